"""What an annotator and a lead tell each other: guideline, questions, answers changed later."""

from typing import Any

import pytest
from playwright.sync_api import expect

from labeling.models import Annotation, Item, LabelClass, Question, RoundItem, Suggestion
from labeling.queries import annotators
from labeling.services.guidelines import publish_guideline, use_as_example
from tests.browser.asking import log_in, make_asking, nothing_waits, shown
from tests.factories import make_member

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_keyboard_alone_leads_from_the_first_item_to_the_last(annotating: Any) -> None:
    asking = make_asking(items=6)
    page, _ = annotating(asking)
    for key in ("Digit1", "KeyU", "KeyX", "Digit3", "KeyS", "KeyP"):
        page.keyboard.press(key)
    page.keyboard.press("KeyA")
    page.keyboard.type("Is a poncho outerwear?")
    page.keyboard.press("Control+Enter")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.wait_for_selector("#annotate[data-item]")  # the sixth item came by a second claim
    page.keyboard.press("Digit2")
    page.wait_for_function("() => document.querySelector('#parked').textContent === ''")
    page.wait_for_selector("#annotate[data-item]")
    page.keyboard.press("Digit4")  # what was parked came back
    nothing_waits(page)
    expect(page.locator("#blank")).to_contain_text("All done")
    said = Annotation.objects.filter(withdrawn_at__isnull=True).order_by("pk")
    assert [row.label.name if row.label else row.answer for row in said] == [
        *("Dress", "unsure", "unusable", "skip", "Hat", "Outerwear"),
    ]
    assert Question.objects.get().text == "Is a poncho outerwear?"
    assert Annotation.objects.filter(is_parked=True, withdrawn_at__isnull=False).count() == 1


def test_what_was_parked_comes_back_although_its_answer_is_acknowledged_late(
    annotating: Any,
) -> None:
    page, _ = annotating(make_asking(items=1))
    first = shown(page)
    withheld: list[Any] = []
    handed_out: list[int] = []

    def withhold_the_first(route: Any) -> None:
        if withheld:
            route.continue_()
        else:
            withheld.append((route, route.fetch()))

    def note(route: Any) -> None:
        response = route.fetch()
        route.fulfill(response=response)
        handed_out.extend(item["item"] for item in response.json()["items"])

    page.route("**/answers/", withhold_the_first)
    page.route("**/claims/", note)
    page.keyboard.press("KeyP")
    while not withheld or first not in handed_out:
        page.wait_for_timeout(50)
    (route, response), *_ = withheld
    route.fulfill(response=response)
    page.wait_for_selector("#annotate[data-item]")
    assert shown(page) == first
    page.keyboard.press("Digit4")
    nothing_waits(page)
    expect(page.locator("#blank")).to_contain_text("All done")
    assert Annotation.objects.get(withdrawn_at__isnull=True).label.name == "Outerwear"


def test_an_input_method_that_composes_answers_nothing_and_swallows_nothing(
    annotating: Any,
) -> None:
    classes = tuple(f"class {number}" for number in range(30))
    page, _ = annotating(make_asking("text", classes=classes))
    first = shown(page)
    page.keyboard.press("Slash")
    typing = page.context.new_cdp_session(page)
    composing = {"text": "に", "selectionStart": 1, "selectionEnd": 1}
    typing.send("Input.imeSetComposition", composing)
    page.keyboard.press("Enter")
    assert shown(page) == first  # Enter ended the composition only
    page.keyboard.press("Escape")
    # With an input method switched on, browsers name the key "Process" (229); its code stays.
    page.evaluate(
        """document.body.dispatchEvent(new KeyboardEvent("keydown",
        {code: "Digit1", key: "Process", keyCode: 229, bubbles: true, cancelable: true}))"""
    )
    nothing_waits(page)
    assert Annotation.objects.get().label.name == "class 0"


def test_an_answer_that_settled_its_item_is_undone_after_a_reload(annotating: Any) -> None:
    asking = make_asking(items=4)
    page, _ = annotating(asking)
    first = shown(page)
    page.keyboard.press("Digit9")
    nothing_waits(page)
    assert Item.objects.get(pk=first).label.name == "Skirt"
    page.reload()
    page.wait_for_selector("#annotate[data-item]")
    expect(page.locator("#undo")).to_contain_text("Skirt")
    page.keyboard.press("KeyZ")
    nothing_waits(page)
    assert shown(page) == first
    assert RoundItem.objects.get(item_id=first).state == "open"
    assert Item.objects.get(pk=first).label is None


def test_an_earlier_answer_is_changed_from_my_answers(annotating: Any) -> None:
    asking = make_asking(items=6)
    page, _ = annotating(asking)
    first = shown(page)
    for key in ("Digit1", "Digit2", "Digit3"):
        page.keyboard.press(key)
    nothing_waits(page)
    page.keyboard.press("KeyM")
    page.wait_for_selector(".my-answers")
    page.locator(".my-answers tbody tr").last.get_by_role("link").click()
    page.wait_for_selector("#annotate[data-item]")
    assert shown(page) == first
    expect(page.locator("#changing")).to_contain_text("Dress")
    assert Annotation.objects.filter(withdrawn_at__isnull=False).count() == 0  # only looked at
    page.keyboard.press("Digit0")
    nothing_waits(page)
    now = Annotation.objects.get(item_id=first, withdrawn_at__isnull=True)
    assert (now.label.name, now.is_surplus) == ("T-shirt", False)
    assert Item.objects.get(pk=first).label.name == "T-shirt"


def test_a_changed_guideline_shows_itself_once_between_two_items(annotating: Any) -> None:
    asking = make_asking(items=8)
    page, _ = annotating(asking)
    item = Item.objects.first()
    use_as_example(item=item, label=LabelClass.objects.last(), is_right=True, note="no sleeves")
    new = publish_guideline(dataset=asking.dataset, text="**New**", change="Tops are T-shirts.")
    before = shown(page)
    page.keyboard.press("Digit1")
    with page.expect_response("**/guideline/"):  # the refill says that there is a newer one
        page.keyboard.press("Digit2")
    nothing_waits(page)
    page.keyboard.press("Digit3")
    dialog = page.locator("#guideline-changed")
    expect(dialog).to_contain_text("Tops are T-shirts.")
    expect(dialog).to_contain_text("no sleeves")
    now = shown(page)
    assert now != before
    page.keyboard.press("Digit4")  # somebody who reads answers nothing by accident
    assert shown(page) == now
    page.keyboard.press("Enter")
    page.keyboard.press("Digit5")
    nothing_waits(page)
    read = [row.guideline.number for row in Annotation.objects.order_by("pk")]
    assert read[0] == 3
    assert read[-1] == new.number
    page.reload()
    page.wait_for_selector("#annotate[data-item]")
    expect(dialog).to_be_hidden()
    expect(page.locator("#guideline-body")).to_contain_text("no sleeves")


def test_the_guideline_stays_as_it_was_left(annotating: Any) -> None:
    page, _ = annotating(make_asking())
    assert page.locator("#guideline strong").first.inner_text() == "Skirt"
    assert "<script>alert(1)</script>" in page.locator("#guideline").inner_text()
    page.keyboard.press("KeyG")
    expect(page.locator("#guideline")).to_be_hidden()
    page.reload()
    expect(page.locator("#guideline")).to_be_hidden()
    page.keyboard.press("KeyG")
    expect(page.locator("#guideline")).to_be_visible()


@pytest.mark.parametrize("mode", ["before", "after"])
def test_suggestions_are_shown_when_the_round_says_so_and_recorded(
    annotating: Any, live_server: Any, mode: str
) -> None:
    asking = make_asking(items=30, suggesting=mode)
    skirt = LabelClass.objects.get(name="Skirt")
    Suggestion.objects.bulk_create(
        Suggestion(item=item, label=skirt, probability=0.8) for item in Item.objects.all()
    )
    page, _ = annotating(asking)
    told = []
    for _ in range(12):
        if mode == "before":
            told.append(page.locator("#suggestion").inner_text())
        page.keyboard.press("Digit1")
        if mode == "after":
            told.append(page.locator("#recent .caption").first.inner_text())
        nothing_waits(page)
    rows = list(Annotation.objects.order_by("pk"))
    assert {row.suggestion for row in rows} == {skirt}
    for row, words in zip(rows, told, strict=True):
        assert (words == "The model says Skirt") == (row.suggestion_shown == mode)
        assert row.suggestion_shown in (mode, "withheld")


def test_a_reply_reaches_my_work(annotating: Any, live_server: Any) -> None:
    asking = make_asking()
    page, user = annotating(asking)
    page.keyboard.press("KeyA")
    page.keyboard.type("Which one?")
    page.click("#ask-lead >> text=Send")
    nothing_waits(page)
    log_in(page.context, live_server.url, make_member(asking.dataset, "lead"))
    page.goto(f"{live_server.url}/d/{asking.dataset.slug}/rounds/{asking.pk}/")
    page.fill("#questions [name=text]", "The larger one.")
    page.keyboard.press("Enter")
    expect(page.locator("#questions")).to_contain_text("The larger one.")
    log_in(page.context, live_server.url, user)
    page.goto(f"{live_server.url}/work/")
    expect(page.locator("#asked")).to_contain_text("new reply")
    expect(page.locator("#asked")).to_contain_text("The larger one.")
    assert annotators.replies_for(user)[0].reply == "The larger one."
