"""Rounds in Chromium: a lead makes one of each kind, and annotators see what it asks of them."""

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from labeling.models import Annotation, LabelClass, QualifyingEvent, Question, Round, User
from labeling.services import gold
from labeling.services.qualifications import make_qualification
from tests.browser.asking import log_in, make_asking, nothing_waits, shown
from tests.factories import make_member

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def make_known(asking: Round, *, n: int) -> User:
    """Let an expert say of the first items, in turn, that they are dresses and hats."""
    owner = make_member(asking.dataset, "owner")
    classes = list(LabelClass.objects.filter(dataset=asking.dataset).order_by("pk")[:2])
    items = asking.dataset.items.order_by("pk")[:n]
    labels = {item.pk: classes[number % 2].pk for number, item in enumerate(items)}
    gold.use_as_gold(
        labels=labels, dataset=asking.dataset, why="See the hem", by=owner, now=timezone.now()
    )
    return owner


def key_of(item: int, *, right: bool = True) -> str:
    known = gold.queries.known_labels(Round.objects.first().dataset)[item]
    is_first = LabelClass.objects.get(pk=known).name == "Dress"
    return "Digit1" if is_first == right else "Digit2"


def test_a_qualification_from_its_form_to_the_round_that_needs_it(
    page: Any, live_server: Any
) -> None:
    asking = make_asking(items=8)
    owner, person = make_known(asking, n=4), make_member(asking.dataset, "annotator")
    dataset = asking.dataset
    log_in(page.context, live_server.url, owner)
    page.goto(f"{live_server.url}/d/{dataset.slug}/rounds/new/")
    page.click("text=Qualify")
    page.fill("[name=count]", "3")
    page.fill("[name=pass_mark]", "60")
    page.click("text=Start asking")
    expect(page.locator("main")).to_contain_text("3 items, 60 % must be right")
    entry = Round.objects.get(kind="qualify")
    Round.objects.filter(pk=asking.pk).update(requires=entry)

    log_in(page.context, live_server.url, person)
    page.goto(f"{live_server.url}/annotate/{asking.pk}/")
    expect(page.locator("#blank")).to_contain_text("first pass “Qualification”: 60 % of its items")
    page.goto(f"{live_server.url}/work/")
    page.click("text=To the qualification")
    page.wait_for_selector("#annotate[data-item]")
    first = shown(page)
    page.keyboard.press(key_of(first, right=False))
    expect(page.locator("#feedback-body")).to_contain_text("you said")
    expect(page.locator("#feedback-body")).to_contain_text("See the hem")
    assert shown(page) == first  # it stays until the feedback was read
    for _ in range(2):
        page.keyboard.press("Enter")
        expect(page.locator("#feedback")).to_be_hidden()
        page.keyboard.press(key_of(shown(page)))
        expect(page.locator("#feedback-body")).to_contain_text("Right")
    expect(page.locator("#feedback-body")).to_contain_text("Passed: 2 of 3 right (66 %)")
    page.keyboard.press("Enter")
    expect(page.locator("#blank")).to_contain_text("You have passed")
    expect(page.locator("#blank")).to_contain_text("60 % were needed")
    expect(page.locator("#blank")).to_contain_text("Open to you now, in My work: “Round 4”")
    expect(page.locator("[data-verdict]:visible")).to_have_count(0)
    nothing_waits(page)
    assert QualifyingEvent.objects.get().act == "passed"

    page.goto(f"{live_server.url}/annotate/{asking.pk}/")
    page.wait_for_selector("#annotate[data-item]")
    page.keyboard.press("Digit1")
    nothing_waits(page)
    assert Annotation.objects.filter(round=asking, is_surplus=False).count() == 1


def test_who_failed_reads_why_tries_again_and_then_asks_the_lead(
    page: Any, live_server: Any
) -> None:
    asking = make_asking(items=6)
    make_known(asking, n=6)
    entry = make_qualification(
        dataset=asking.dataset, name="Entry", count=3, pass_mark=60, attempts=2
    )
    log_in(page.context, live_server.url, make_member(asking.dataset, "annotator"))
    page.goto(f"{live_server.url}/annotate/{entry.pk}/")
    asked = [_fail(page), _fail(page)]
    assert not asked[0] & asked[1]
    expect(page.locator("#blank")).to_contain_text("There is no attempt left")
    page.keyboard.press("a")
    page.keyboard.type("May I try once more?")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("Sent to the lead")
    assert Question.objects.get().round == entry


def _fail(page: Any) -> set[int]:
    """Answer three items wrongly; returns them (by id) with what stands there afterwards."""
    asked = set()
    page.wait_for_selector("#annotate[data-item]")
    for _ in range(3):
        asked.add(shown(page))
        page.keyboard.press(key_of(shown(page), right=False))
        expect(page.locator("#feedback-next")).to_be_visible()
        page.keyboard.press("Enter")
    expect(page.locator("#blank")).to_contain_text("Not passed: 0 of 3 right (0 %)")
    if page.locator("[data-verdict=again]").is_visible():
        expect(page.locator("#blank")).to_contain_text("It asks other items.")
        page.keyboard.press("r")
    return asked


def test_a_pilot_from_its_form_to_the_wording_that_is_used(page: Any, live_server: Any) -> None:
    asking = make_asking(items=3)
    dataset = asking.dataset
    owner = make_member(dataset, "owner")
    log_in(page.context, live_server.url, owner)
    page.goto(f"{live_server.url}/d/{dataset.slug}/rounds/new/?kind=pilot")
    page.fill("[name=question_b]", "Which garment?")
    page.click("text=Start asking")
    expect(page.get_by_text("A pilot needs 4 people or more")).to_be_in_viewport()
    for _ in range(4):
        make_member(dataset, "annotator")
    page.fill("[name=question_b]", "Which garment fills the frame?")
    page.click("text=Start asking")
    expect(page.locator("main")).to_contain_text("Not enough answers yet")
    for pilot in Round.objects.filter(kind="pilot").order_by("pk"):
        for person in pilot.people.all():
            log_in(page.context, live_server.url, person)
            page.goto(f"{live_server.url}/annotate/{pilot.pk}/")
            page.wait_for_selector("#annotate[data-item]")
            expect(page.locator("#question")).to_have_text(pilot.wording["question"])
            for _ in range(3):
                page.keyboard.press("Digit1")
            nothing_waits(page)
    assert Annotation.objects.count() == 12
    log_in(page.context, live_server.url, owner)
    page.goto(f"{live_server.url}/d/{dataset.slug}/rounds/{pilot.pk}/pilot/")
    expect(page.locator("main")).to_contain_text("No difference could be shown with 4 people")
    page.click("text=Count both")
    expect(page.locator("main")).to_contain_text("3 items got another label")
    page.click("text=Use wording B")
    dataset.refresh_from_db()
    assert dataset.question == "Which garment fills the frame?"
    assert {item.label.name for item in dataset.items.all()} == {"Dress"}
