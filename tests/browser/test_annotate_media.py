"""Looking and listening: zoom, pan, speed, gain, and what must be heard before it is accepted."""

from typing import Any

import pytest
from playwright.sync_api import expect

from labeling.models import Annotation, Content
from tests.browser.asking import log_in, make_asking, nothing_waits
from tests.factories import make_member

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
IS_DRAWN = """() => {
    const canvas = document.querySelector("#stage canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some(Boolean);
}"""


def width_of_picture(page: Any) -> float:
    return float(page.locator("#stage img").bounding_box()["width"])


def test_keys_wheel_and_drag_zoom_and_move_the_picture(annotating: Any) -> None:
    page, _ = annotating(make_asking())
    whole = width_of_picture(page)
    page.keyboard.press("Equal")
    assert width_of_picture(page) == pytest.approx(2 * whole, rel=0.01)
    left = page.locator("#stage img").bounding_box()["x"]
    page.keyboard.press("ArrowRight")
    assert page.locator("#stage img").bounding_box()["x"] < left - 50
    page.mouse.move(300, 400)
    page.mouse.down()
    page.mouse.move(400, 400, steps=4)
    page.mouse.up()
    assert page.locator("#stage img").bounding_box()["x"] == pytest.approx(
        left - 0.2 * page.locator("#stage").bounding_box()["width"] + 100, abs=3
    )
    page.keyboard.press("Minus")
    assert width_of_picture(page) == pytest.approx(whole, rel=0.01)
    page.mouse.wheel(0, -300)
    page.wait_for_function(
        "() => stage.querySelector('img').getBoundingClientRect().width > 1.5 * stage.clientWidth"
    )
    page.keyboard.press("Digit1")  # the next picture is whole again
    assert width_of_picture(page) == pytest.approx(whole, rel=0.01)


def test_two_fingers_zoom_on_a_touch_screen(annotating: Any) -> None:
    page, _ = annotating(make_asking())
    whole = width_of_picture(page)
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, apart: int) -> None:
        points = [{"x": 400 - apart, "y": 400, "id": 1}, {"x": 400 + apart, "y": 400, "id": 2}]
        points = [] if kind == "touchEnd" else points
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 50)
    for apart in (70, 90, 110, 150):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    assert width_of_picture(page) == pytest.approx(3 * whole, rel=0.1)


def test_a_clip_is_accepted_only_after_it_was_heard(annotating: Any) -> None:
    asking = make_asking("audio", kind="verify", classes=("one", "two", "seven"))
    page, _ = annotating(asking)
    expect(page.locator("#question")).to_have_text("Is this “seven”?")
    expect(page.locator("#yes")).to_be_disabled()
    expect(page.locator("#yes-waits")).to_be_visible()
    page.keyboard.press("Digit1")  # refused and corrected at once
    page.keyboard.press("KeyN")  # refused at once, without saying what it is
    page.keyboard.press("KeyY")
    expect(page.locator("#yes-waits")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.locator("#yes")).to_be_enabled()
    expect(page.locator("#yes-waits")).to_be_hidden()
    page.keyboard.press("KeyY")
    nothing_waits(page)
    rows = Annotation.objects.order_by("pk")
    said = list(rows.values_list("answer", "label__name", "asked__name"))
    assert said == [("class", "one", "seven"), ("no", None, "seven"), ("class", "seven", "seven")]


def test_a_clip_that_never_came_is_asked_for_again_and_jumping_to_its_end_is_not_listening(
    annotating: Any, page: Any
) -> None:
    Content.objects.update(facts={"seconds": 0.4})
    page.clock.install()
    page.route("**/display?*", lambda route: "&again" in route.request.url and route.continue_())
    hung: set[str] = set()

    def hang_once(route: Any) -> None:
        if route.request.url in hung:
            route.continue_()
        hung.add(route.request.url)

    page.route("**/preview?*", hang_once)
    annotating(make_asking("audio", kind="verify", classes=("one", "seven")))
    page.keyboard.press("Space")
    page.clock.fast_forward(10_000)
    page.wait_for_function("() => document.getElementById('winnow-audio').readyState")
    assert hung
    page.wait_for_function(IS_DRAWN)
    page.evaluate("document.getElementById('winnow-audio').currentTime = 0.35")
    page.wait_for_function("() => document.getElementById('winnow-audio').ended")
    expect(page.locator("#yes")).to_be_disabled()
    page.keyboard.press("KeyR")
    expect(page.locator("#yes")).to_be_enabled()


def test_on_a_phone_a_clip_is_accepted_once_heard_and_refused_at_once(
    browser: Any, live_server: Any
) -> None:
    asking = make_asking("audio", kind="verify", classes=("one", "two", "seven"))
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    context = browser.new_context(**phone)
    log_in(context, live_server.url, make_member(asking.dataset, "annotator"))
    page = context.new_page()
    page.goto(f"{live_server.url}/annotate/{asking.pk}/")
    page.wait_for_selector("#annotate[data-item]")
    expect(page.locator("#yes")).to_be_disabled()
    page.locator("#classes").get_by_role("button", name="one").tap()
    expect(page.locator("#yes")).to_be_disabled()
    page.locator("#play").tap()
    expect(page.locator("#yes")).to_be_enabled()
    page.locator("#yes").tap()
    nothing_waits(page)
    said = list(Annotation.objects.order_by("pk").values_list("answer", "label__name"))
    assert said == [("class", "one"), ("class", "seven")]
    context.close()


def test_speed_and_gain_stay_from_clip_to_clip(annotating: Any) -> None:
    page, _ = annotating(make_asking("audio"))
    page.keyboard.press("BracketLeft")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    page.keyboard.press("Digit1")
    expect(page.locator("#gain")).to_have_text("+12 dB")
    expect(page.locator("[data-speed='0.75']")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.getElementById('winnow-audio').playbackRate") == 0.75
    page.reload()
    expect(page.locator("#gain")).to_have_text("+12 dB")
    expect(page.locator("#speed")).to_have_text("0.75×")


def test_what_plays_a_clip_stands_in_one_row_and_its_menu_gives_the_keys_back(
    annotating: Any,
) -> None:
    page, _ = annotating(make_asking("audio"))
    page.set_viewport_size({"width": 1280, "height": 800})
    shown = page.locator("#sound > :visible")
    tops = {round(box["y"]) for box in (row.bounding_box() for row in shown.all())}
    assert max(tops) - min(tops) < 16, "in a row, each in its middle"
    page.locator(".sound-more > summary").click()
    page.locator("#louder").click()
    page.locator("[data-speed='1.5']").click()
    expect(page.locator("#gain")).to_have_text("+6 dB")
    expect(page.locator("#speed")).to_have_text("1.5×")
    page.locator(".sound-more > summary").click()
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_contain_text("Pause")
    expect(page.locator("#louder")).to_be_hidden()
    page.keyboard.press("Shift+KeyT")
    expect(page.locator("#sound-check")).to_be_visible()


def test_a_soft_clip_says_so_and_a_waveform_swapped_in_is_drawn(annotating: Any) -> None:
    asking = make_asking("audio")
    Content.objects.update(facts={"seconds": 0.4, "peak": 0.0224})
    page, _ = annotating(asking)
    expect(page.locator("#soft")).to_have_text("Soft: peak −33 dBFS")
    expect(page.locator("#soft")).to_be_visible()
    page.evaluate("""() => {
        const alone = document.querySelector("[data-wave]").cloneNode();
        alone.id = "alone";
        document.getElementById("stage").append(alone);
        alone.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true }));
    }""")
    expect(page.locator("#alone canvas")).to_have_count(1)  # a waveform swapped in is drawn too


def test_clips_that_were_fetched_ahead_play_without_a_connection(annotating: Any) -> None:
    page, _ = annotating(make_asking("audio"))
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.keyboard.press("Digit1")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.getElementById('winnow-audio').ended")
    expect(page.locator("#stage")).not_to_contain_text("did not load")
    page.context.set_offline(False)


def test_the_sound_check_plays_and_hands_back_to_the_item(annotating: Any) -> None:
    page, _ = annotating(make_asking("audio"))
    page.keyboard.press("Shift+KeyT")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#sound-check")).to_be_hidden()
    assert not Annotation.objects.exists()
