"""The annotation screen in Chromium: one key answers, and the next item is there."""

from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import expect

from labeling.models import Annotation, Claim, Round, RoundItem
from tests.browser.asking import (
    GIVES_UP_MS,
    holds_claims,
    log_in,
    make_asking,
    nothing_waits,
    shown,
)
from tests.factories import make_member

SETTLES_MS = 300  # until what was shown last is painted and told
SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { sources } of list.getEntries())
      for (const { node } of sources) window.shifts.push(node?.id || node?.className);
  }).observe({ type: "layout-shift" });
}"""

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_next_item_is_shown_without_waiting_for_the_network(annotating: Any, page: Any) -> None:
    page.clock.install()
    annotating(make_asking())
    page.wait_for_function("() => document.images.length > 0")
    page.wait_for_load_state("networkidle")
    page.route("**/*", lambda route: None)  # no request is ever answered again
    seen = [shown(page)]
    for key in ("Digit1", "Digit2", "Digit0", "Numpad3"):
        page.keyboard.press(key)
        seen.append(shown(page))
        image = page.locator("#stage img").evaluate("(it) => it.complete && it.naturalWidth")
        assert image == 480
    assert len(set(seen)) == 5
    expect(page.locator("#sending")).to_have_text("4 answers waiting to be sent")
    page.clock.fast_forward(GIVES_UP_MS)
    expect(page.locator("#sending")).to_have_text("Offline: 4 kept here")
    page.unroute_all()
    page.clock.fast_forward(1000)
    nothing_waits(page)
    assert Annotation.objects.count() == 4
    holds_claims(page, 6)


def test_each_key_gives_the_answer_on_its_button(annotating: Any) -> None:
    page, _ = annotating(make_asking())
    for key in ("Digit1", "Digit2", "Digit0", "Numpad3"):
        page.keyboard.press(key)
    nothing_waits(page)
    said = list(Annotation.objects.order_by("pk").values_list("label__name", flat=True))
    assert said == ["Dress", "Hat", "T-shirt", "Long sleeve"]
    expect(page.locator("#answered")).to_have_text("4")
    expect(page.locator("#total")).to_have_text("12")


def test_nothing_on_the_page_hints_at_the_answer(annotating: Any) -> None:
    page, _ = annotating(make_asking())
    assert "secret-class" not in page.content()
    assert page.evaluate("document.activeElement.closest('#answers')") is None


def test_undo_skip_unsure_and_unusable(annotating: Any) -> None:
    asking = make_asking(items=6)
    page, _ = annotating(asking)
    first = shown(page)
    page.keyboard.press("Digit9")
    expect(page.locator("#undo")).to_contain_text("Skirt")
    nothing_waits(page)
    page.keyboard.press("KeyZ")
    assert shown(page) == first
    page.keyboard.press("KeyU")
    page.keyboard.press("KeyS")
    page.keyboard.press("KeyX")
    page.keyboard.press("Digit2")
    nothing_waits(page)
    rows = Annotation.objects.order_by("pk").values_list("answer", "reason", "withdrawn_at")
    kept = [(answer, reason) for answer, reason, withdrawn in rows if withdrawn is None]
    assert kept == [("unsure", ""), ("skip", ""), ("unusable", "nothing of what is asked for")]
    assert Annotation.objects.get(label__name="Skirt").withdrawn_at is not None
    row = RoundItem.objects.get(item_id=first)
    assert (row.taken, row.state) == (1, "disputed")


def test_nothing_free_says_who_has_the_rest_and_done_says_so(annotating: Any) -> None:
    asking = make_asking(items=2)
    page, _ = annotating(asking)
    other = make_member(asking.dataset, "annotator")
    from labeling.services.annotations import annotator_for

    held = annotator_for(dataset=asking.dataset, user=other)
    page.keyboard.press("Digit1")
    nothing_waits(page)
    Claim.objects.update(annotator=held)
    page.reload()
    expect(page.locator("#blank")).to_contain_text("Nothing free just now")
    expect(page.locator("#blank")).to_contain_text(
        "1 item is with somebody else, next free in 5 min"
    )
    Claim.objects.all().delete()
    page.reload()
    expect(page.locator("#blank")).to_contain_text("All done")


def test_many_classes_are_searched_and_enter_takes_the_first(annotating: Any) -> None:
    classes = tuple(f"intent {number}" for number in range(77))
    page, _ = annotating(make_asking("text", classes=classes))
    expect(page.locator("#stage")).to_contain_text("my card")
    page.keyboard.press("Slash")
    page.keyboard.type("intent 42")
    page.keyboard.press("Enter")
    nothing_waits(page)
    assert Annotation.objects.get().label.name == "intent 42"


def test_the_phone_answers_by_touch(browser: Any, live_server: Any) -> None:
    asking: Round = make_asking(items=3)
    user = make_member(asking.dataset, "annotator")
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    log_in(context, live_server.url, user)
    page = context.new_page()
    page.goto(f"{live_server.url}/work/")
    page.tap("text=Start")
    page.wait_for_selector("#annotate[data-item]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap("text=Shoes")
    nothing_waits(page)
    assert Annotation.objects.get().label.name == "Shoes"
    context.close()


@pytest.mark.parametrize("media", ["image", "audio", "text"])
def test_axe_finds_nothing_serious(annotating: Any, media: str) -> None:
    dataset_round: Round = make_asking(media, kind="verify" if media == "audio" else "classify")
    page, _ = annotating(dataset_round)
    page.keyboard.press("Digit1")
    axe = (settings.BASE_DIR / "static/vendor/axe.min.js").read_text()
    page.evaluate(axe)
    found = page.evaluate("axe.run().then((result) => result.violations)")
    serious = [row for row in found if row["impact"] in ("serious", "critical")]
    assert [(row["id"], row["nodes"][0]["html"]) for row in serious] == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("media", ["image", "audio", "text"])
def test_nothing_moves_from_item_to_item(annotating: Any, media: str, width: int) -> None:
    page, _ = annotating(make_asking(media))
    page.set_viewport_size({"width": width, "height": 800})
    page.keyboard.press("Digit1")  # the strip of last answers begins
    nothing_waits(page)
    page.wait_for_timeout(SETTLES_MS)
    page.evaluate(SHIFTS)
    for key in ("Digit1", "Digit2", "Digit1", "Digit2", "Digit1", "Digit2"):
        was = shown(page)
        page.keyboard.press(key)
        page.wait_for_function(f"document.getElementById('annotate').dataset.item !== '{was}'")
        nothing_waits(page)
    page.wait_for_timeout(SETTLES_MS)
    assert page.evaluate("window.shifts") == []
