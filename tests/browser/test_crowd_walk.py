"""A lead and their annotators around the crowd: disputes, pauses and check items, by hand."""

import random
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from labeling.models import Annotator, GoldItem, Item, LabelClass, Round, RoundItem, User
from labeling.services import gold, guards
from tests.browser.asking import log_in, make_asking
from tests.factories import make_member
from tests.labeling.test_crowd import measure
from tests.labeling.test_rounds import answer, claim, make_annotator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CLASSES = ("Dress", "Hat", "Shoes")


def answered(*, items: int = 12) -> Round:
    """A round that four people are through with; two of them cannot tell the first two items."""
    asking = make_asking(items=items, wanted=4, classes=CLASSES)
    rows = list(asking.dataset.items.order_by("pk"))
    for person in range(4):
        annotator = make_annotator(asking)
        for number, item in enumerate(rows):
            said = "unsure" if number < 2 and person < 2 else CLASSES[number % 3]
            answer(asking, item, annotator, said, seconds=3.0)
    return asking


def as_user(page: Any, live_server: Any, user: User, path: str) -> None:
    page.context.clear_cookies()
    log_in(page.context, live_server.url, user)
    page.goto(f"{live_server.url}{path}")


def test_a_lead_walks_from_the_crowd_to_a_person_and_through_the_disputes_and_back(
    page: Any, live_server: Any
) -> None:
    asking = answered()
    dataset = asking.dataset
    measure(dataset)
    tied = list(asking.round_items.filter(state="disputed").order_by("position"))
    assert len(tied) == 2
    as_user(page, live_server, make_member(dataset, "lead"), f"/d/{dataset.slug}/crowd/")
    page.locator("tbody th a").first.click()
    expect(page.locator("#confusion")).to_contain_text("Rows: what the crowd settles on")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="2 disputes").click()
    expect(page.locator("main, body").first).to_contain_text("Everybody's answers show after")
    page.keyboard.press("Digit1")
    expect(page.locator(".panel")).to_contain_text("Everybody said")
    page.keyboard.press("Enter")
    expect(page.locator(".pagehead-note")).to_contain_text("1 open")
    first = Item.objects.get(pk=tied[0].item_id)
    assert (first.label.name, first.label_source) == ("Dress", "review")
    page.keyboard.press("KeyZ")
    expect(page.locator(".pagehead-note")).to_contain_text("2 open")
    assert RoundItem.objects.get(pk=tied[0].pk).state == "disputed"
    assert Item.objects.get(pk=tied[0].item_id).label is None
    page.keyboard.press("KeyA")
    expect(page.locator(".pagehead-note")).to_contain_text("1 open")
    sent_on = Round.objects.get(kind="adjudicate")
    assert [row.item_id for row in sent_on.round_items.all()] == [tied[0].item_id]
    page.keyboard.press("KeyZ")
    expect(page.locator(".pagehead-note")).to_contain_text("2 open")
    assert not sent_on.round_items.exists()


def answered_in_seconds(*, items: int) -> Round:
    """A round that two people are through with, at a pace of a few seconds an item."""
    asking = make_asking(items=items, wanted=3, classes=CLASSES)
    for seed in (1, 2):
        other, rng = make_annotator(asking), random.Random(seed)
        while found := claim(asking, other, 20):
            for item in found:
                answer(asking, item, other, CLASSES[item.pk % 3], seconds=rng.uniform(2, 6))
    return asking


def hurry(asking: Round, hasty: Annotator, n: int) -> None:
    for item in (item for _ in range(n // 10) for item in claim(asking, hasty, 10)):
        answer(asking, item, hasty, CLASSES[item.pk % 3], seconds=0.2)
    guards.watch(now=timezone.now())


def test_a_warning_is_over_with_the_round(page: Any, live_server: Any) -> None:
    asking = answered_in_seconds(items=41)
    hasty = make_annotator(asking)
    hurry(asking, hasty, 40)
    as_user(page, live_server, hasty.user, f"/annotate/{asking.pk}/")
    page.wait_for_selector("#annotate[data-item]")
    expect(page.locator("#warned")).to_be_visible()
    page.keyboard.press("Digit1")
    page.wait_for_selector("#blank[data-state=done]")
    expect(page.locator("#warned")).to_be_hidden()


def test_who_is_warned_and_then_paused_reads_why_answers_and_goes_on_when_the_lead_says_so(
    page: Any, live_server: Any
) -> None:
    asking = answered_in_seconds(items=90)
    hasty = make_annotator(asking)
    hurry(asking, hasty, 40)
    as_user(page, live_server, hasty.user, f"/annotate/{asking.pk}/")
    page.wait_for_selector("#annotate[data-item]")
    expect(page.locator("body")).to_contain_text("came much faster than others")
    hurry(asking, hasty, 30)
    page.goto(f"{live_server.url}/annotate/{asking.pk}/")
    expect(page.locator("body")).to_contain_text("Your lead has been told")
    page.goto(f"{live_server.url}/work/")
    stop = page.locator(f"#stop-{hasty.pk}")
    expect(stop).to_contain_text("you are paused because many of the last answers came much faster")
    expect(page.locator("main li .pill.warn")).to_have_text("paused")
    stop.locator("[name=text]").fill("I know these by heart.")
    page.keyboard.press("Enter")
    expect(stop).to_contain_text("I know these by heart.")
    lead = make_member(asking.dataset, "lead")
    as_user(page, live_server, lead, f"/d/{asking.dataset.slug}/pauses/")
    expect(page.locator("body")).to_contain_text("I know these by heart.")
    page.get_by_role("button", name="Let go on").click()
    expect(page.locator("body")).to_contain_text("Nobody is paused")
    as_user(page, live_server, hasty.user, f"/annotate/{asking.pk}/")
    page.wait_for_selector("#annotate[data-item]")
    assert hasty.guard_events.last().act == "resume"


def test_who_is_paused_before_an_item_gives_that_answer_and_then_reads_why(
    page: Any, live_server: Any
) -> None:
    asking = make_asking(items=20, wanted=1, classes=CLASSES)
    person = make_annotator(asking)
    as_user(page, live_server, person.user, f"/annotate/{asking.pk}/")
    page.wait_for_selector("#annotate[data-item]")
    shown = int(page.get_attribute("#annotate", "data-item"))
    lead = make_member(asking.dataset, "lead")
    guards.pause(annotator=person, text="Let us talk first.", by=lead, now=timezone.now())
    page.keyboard.press("Digit1")
    expect(page.locator("body")).to_contain_text("Let us talk first.")
    kept = person.annotations.get(item=shown)
    assert kept.withdrawn_at is None
    assert not kept.is_surplus
    assert person.annotations.count() == 1
    assert not asking.round_items.filter(claims__annotator=person).exists()


def test_own_check_results_are_seen_and_a_wrong_known_answer_is_reported_and_mended(
    page: Any, live_server: Any
) -> None:
    asking = make_asking(items=14, classes=CLASSES)
    dataset = asking.dataset
    lead = make_member(dataset, "lead")
    rows = list(dataset.items.order_by("pk"))[:10]
    hat, shoes = LabelClass.objects.get(name="Hat"), LabelClass.objects.get(name="Shoes")
    Item.objects.filter(pk__in=[row.pk for row in rows]).update(label=hat, label_source="import")
    known = [row.pk for row in rows]
    gold.use_labels_as_gold(items=known, dataset=dataset, by=lead, now=timezone.now())
    wrong = GoldItem.objects.get(item=rows[0])
    GoldItem.objects.filter(pk=wrong.pk).update(label=shoes)
    asking.round_items.filter(item__in=known).update(state="gold", wanted=32_767)
    people = [make_annotator(asking) for _ in range(4)]
    for person in people:
        for item in rows:
            answer(asking, item, person, "Hat")
    as_user(page, live_server, people[0].user, "/work/")
    expect(page.locator("body")).to_contain_text("9 of your last 10 check items right")
    as_user(page, live_server, lead, f"/d/{dataset.slug}/gold/")
    expect(page.locator(".notice")).to_contain_text("Nearly everybody fails 1 check item")
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("wrong?")
    expect(row.locator("select")).to_be_hidden()  # told apart from what can be done by a click
    row.get_by_text("Change").click()
    row.locator("select").select_option(label="Hat")
    row.get_by_role("button", name="Correct").click()
    expect(page.locator("body")).not_to_contain_text("Nearly everybody fails")
    as_user(page, live_server, people[0].user, "/work/")
    expect(page.locator("body")).to_contain_text("10 of your last 10 check items right")
