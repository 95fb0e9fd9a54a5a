"""Nothing that an annotator said is ever lost or counted twice, whatever breaks."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Error, expect

from labeling.models import Annotation, Annotator, Question, Round, RoundItem
from tests.browser.asking import (
    GIVES_UP_MS,
    STEP_MS,
    holds_claims,
    log_in,
    make_asking,
    nothing_waits,
    shown,
)
from tests.conftest import PATIENCE_MS
from tests.factories import make_member
from tests.setup import chromium

TRY_AGAIN = """[...document.querySelectorAll("#stage button")]
    .find((it) => it.textContent.includes("Try again"))?.click()"""
LOADED = """(count) => new Set(performance.getEntriesByType("resource").map(({ name }) => name)
    .filter((name) => name.includes("/media/") && name.includes("/display"))).size >= count"""
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def lose_the_first(page: Any, address: str) -> list[int]:
    """Let one reply get lost on its way; returns the status that it had, once it is lost."""
    lost: list[int] = []

    def lose(route: Any) -> None:
        if lost:
            return route.continue_()
        lost.append(route.fetch().status)
        return route.abort()

    page.route(address, lose)
    return lost


def open_round(live_server: Any, page: Any, *, items: int) -> None:
    """Open the screen of a round as its annotator, whether an item comes or not."""
    asking: Round = make_asking(items=items)
    log_in(page.context, live_server.url, make_member(asking.dataset, "annotator"))
    page.goto(f"{live_server.url}/annotate/{asking.pk}/")


def hang_at_first(page: Any, address: str) -> list[str]:
    """Never answer the first request to each such address; returns those, without their query."""
    hung: list[str] = []

    def hang(route: Any) -> None:
        path = route.request.url.split("?")[0]
        if path in hung:
            route.continue_()
        else:
            hung.append(path)

    page.route(address, hang)
    return hung


def waits_for(page: Any, hung: list[str]) -> None:
    """Let the page go on until it made a request that is not answered."""
    for _ in range(PATIENCE_MS // STEP_MS):
        if hung:
            return
        page.wait_for_timeout(STEP_MS)
    raise AssertionError("no request was made")


def holds_ahead(page: Any, count: int) -> None:
    """Let the page go on until it got so many items in all: it loads their pictures at once."""
    page.wait_for_function(LOADED, arg=count)


def test_answers_given_offline_arrive_exactly_once(annotating: Any) -> None:
    asking = make_asking(items=5)
    page, _ = annotating(asking)
    holds_claims(page, 5)
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    for _ in range(3):
        page.keyboard.press("Digit1")
    expect(page.locator("#sending")).to_have_text("Offline: 3 kept here")
    page.keyboard.press("KeyZ")
    expect(page.locator("#sending")).to_have_text("Offline: 2 kept here")
    page.context.set_offline(False)
    nothing_waits(page)
    assert Annotation.objects.count() == 2


def test_a_reply_that_is_lost_makes_no_second_answer(annotating: Any) -> None:
    asking = make_asking(items=3)
    page, _ = annotating(asking)
    lost = lose_the_first(page, "**/answers/")
    page.keyboard.press("Digit1")
    expect(page.locator("#sending")).to_contain_text("Offline: 1")
    nothing_waits(page)
    assert lost == [200]
    assert Annotation.objects.count() == 1


@pytest.mark.parametrize("then", ["wait", "reload"])
def test_items_whose_reply_is_lost_are_on_screen_again_at_once(
    then: str, live_server: Any, page: Any
) -> None:
    lost = lose_the_first(page, "**/claims/")
    open_round(live_server, page, items=3)
    holds_claims(page, 3)
    if then == "reload":
        page.reload()
    for _ in range(3):  # all of the round was reserved by the request whose reply was lost
        page.wait_for_selector("#annotate[data-item]")
        page.keyboard.press("Digit1")
    nothing_waits(page)
    assert lost == [200]
    assert Annotation.objects.filter(is_surplus=False).count() == 3


def test_what_is_left_is_counted_again_after_a_request_that_failed(
    live_server: Any, page: Any
) -> None:
    page.clock.install()
    lose_the_first(page, "**/standing/")
    open_round(live_server, page, items=3)
    page.wait_for_selector("#annotate[data-item]")
    expect(page.locator("#of-total")).to_be_hidden()
    page.clock.fast_forward(GIVES_UP_MS)
    expect(page.locator("#of-total")).to_have_text("of 3")
    expect(page.locator("#of-total")).to_be_visible()


def test_a_screen_that_nobody_answers_tries_again(live_server: Any, page: Any) -> None:
    page.clock.install()
    hung = ("**/claims/", "**/status/", "**/display?*")
    claims, status, pictures = (hang_at_first(page, address) for address in hung)
    with page.expect_response("**/seen/"):
        open_round(live_server, page, items=3)
    waits_for(page, claims)
    page.clock.fast_forward(GIVES_UP_MS)
    expect(page.locator("#blank")).to_contain_text("No connection")
    page.clock.fast_forward(1000)
    waits_for(page, status)
    page.clock.fast_forward(GIVES_UP_MS)
    page.wait_for_selector("#annotate[data-item]")
    waits_for(page, pictures)
    page.clock.fast_forward(10_000)
    page.wait_for_function("() => document.querySelector('#stage img')?.naturalWidth > 0")


def test_items_are_asked_for_again_while_answers_are_under_way(annotating: Any) -> None:
    page, _ = annotating(make_asking())
    holds_claims(page, 5)
    page.route("**/answers/", lambda route: None)  # none is ever answered
    lose_the_first(page, "**/claims/")
    page.clock.install()
    with page.expect_event("requestfailed"):
        with page.expect_request("**/answers/"):
            page.keyboard.press("Digit1")
        page.keyboard.press("Digit2")
    with page.expect_response("**/claims/"):
        page.clock.fast_forward(GIVES_UP_MS)


def test_the_page_of_a_proxy_acknowledges_nothing(live_server: Any, page: Any) -> None:
    page.clock.install()

    def says(act: Any, status: int = 200) -> None:
        hotel = {"status": status, "body": "<h1>Hotel</h1>"}
        page.route("**/annotate/*/*/", lambda route: route.fulfill(**hotel))
        act()
        expect(page.locator("#sending")).to_contain_text("Offline:")
        page.unroute_all()
        page.clock.fast_forward(4000)
        page.wait_for_selector("#annotate[data-item]")
        nothing_waits(page)

    says(lambda: open_round(live_server, page, items=3))
    assert Annotator.objects.get().guideline_seen is not None
    says(lambda: page.keyboard.press("Digit1"), status=404)
    assert Annotation.objects.get().withdrawn_at is None
    says(lambda: page.keyboard.press("KeyZ"), status=401)
    assert Annotation.objects.get().withdrawn_at is not None
    page.keyboard.press("KeyA")
    page.fill("#ask-text", "Is a collar part of it?")
    says(lambda: page.keyboard.press("Control+Enter"), status=400)
    assert Question.objects.get().text == "Is a collar part of it?"


@pytest.mark.parametrize("opens", ["() => ({})", "() => { throw new Error('forbidden') }"])
def test_a_browser_that_keeps_nothing_says_so_and_sends_all_the_same(
    opens: str, live_server: Any, page: Any
) -> None:
    page.clock.install()
    page.add_init_script(f"indexedDB.open = {opens}")
    open_round(live_server, page, items=3)
    page.clock.fast_forward(GIVES_UP_MS)
    page.wait_for_selector("#annotate[data-item]")
    answers = hang_at_first(page, "**/answers/")
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))  # a slow machine must not use up 5 s
    page.keyboard.press("Digit1")
    expect(page.locator("#sending")).to_contain_text("This browser keeps nothing: do not close")
    waits_for(page, answers)
    page.clock.fast_forward(GIVES_UP_MS)
    expect(page.locator("#sending")).to_have_text("Offline: 1 kept here")
    page.clock.fast_forward(1000)
    nothing_waits(page)
    assert Annotation.objects.count() == 1


def test_a_killed_tab_keeps_its_answers_for_the_next_one(annotating: Any) -> None:
    asking = make_asking(items=5)
    page, _ = annotating(asking)
    holds_claims(page, 5)
    page.wait_for_load_state("networkidle")
    page.route("**/answers/", lambda route: route.abort())
    page.keyboard.press("Digit1")
    page.keyboard.press("Digit2")
    expect(page.locator("#sending")).to_contain_text("2 ")
    again = page.context.new_page()
    page.close()
    again.goto(page.url)
    again.wait_for_selector("#annotate[data-item]")
    nothing_waits(again)
    assert Annotation.objects.count() == 2
    answered = set(Annotation.objects.values_list("item_id", flat=True))
    assert shown(again) not in answered


def test_a_killed_server_loses_nothing_that_was_said(serving: Any, page: Any) -> None:
    asking: Round = make_asking(items=14)
    log_in(page.context, serving.url, make_member(asking.dataset, "annotator"))
    page.goto(f"{serving.url}/annotate/{asking.pk}/")
    page.wait_for_selector("#annotate[data-item]")
    answered = []
    for stroke in range(12):
        answered.append(shown(page))
        page.keyboard.press("Digit1")
        if stroke % 4 == 1:
            serving.kill()  # with answers under way
        if stroke % 4 == 3:
            serving.start()
            nothing_waits(page)
            holds_ahead(page, min(len(answered) + 3, 14))  # enough until it is started again
        page.wait_for_selector("#annotate[data-item]")
    nothing_waits(page)
    rows = Annotation.objects.filter(withdrawn_at__isnull=True)
    assert sorted(rows.values_list("item_id", flat=True)) == sorted(answered)
    assert not rows.filter(is_surplus=True).exists()


def test_a_crashed_browser_keeps_what_was_not_sent(
    browser: Any, live_server: Any, tmp_path: Path
) -> None:
    asking: Round = make_asking(items=12)

    def open_browser() -> tuple[Any, Any]:
        context = browser.browser_type.launch_persistent_context(
            tmp_path, executable_path=chromium.find(), args=chromium.ARGUMENTS
        )
        log_in(context, live_server.url, user)
        page = context.new_page()
        page.goto(f"{live_server.url}/annotate/{asking.pk}/")
        page.wait_for_selector("#annotate[data-item]")
        return context, page

    user = make_member(asking.dataset, "annotator")
    context, page = open_browser()
    page.route("**/answers/", lambda route: route.abort())
    page.keyboard.press("Digit1")
    page.keyboard.press("Digit2")
    expect(page.locator("#sending")).to_have_text("Offline: 2 kept here")
    page.wait_for_timeout(200)
    with pytest.raises(Error):
        context.new_cdp_session(page).send("Browser.crash")
    assert not Annotation.objects.exists()
    for lock in tmp_path.glob("Singleton*"):
        lock.unlink()
    context, page = open_browser()
    nothing_waits(page)
    assert Annotation.objects.count() == 2
    context.close()


def test_an_expired_session_asks_for_the_password_without_leaving_the_page(
    annotating: Any,
) -> None:
    page, _ = annotating(make_asking(items=6))
    Session.objects.all().delete()
    page.keyboard.press("Digit1")
    expect(page.locator("#sending")).to_have_text("Logged out: 1 kept here")
    page.keyboard.press("Digit2")
    expect(page.locator("#sending")).to_have_text("Logged out: 2 kept here")
    here = page.evaluate("window.stayed = performance.timeOrigin")
    page.keyboard.press("Shift+KeyL")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#login [data-error]")).to_contain_text("correct username and password")
    page.locator("[name=password]").fill("correct horse")
    page.keyboard.press("Enter")
    expect(page.locator("#login")).to_be_hidden()
    nothing_waits(page)
    page.keyboard.press("Digit3")
    nothing_waits(page)
    assert page.evaluate("window.stayed") == here
    said = Annotation.objects.order_by("pk").values_list("label__name", flat=True)
    assert list(said) == ["Dress", "Hat", "Long sleeve"]


def test_the_account_of_somebody_else_sends_none_of_my_answers(
    annotating: Any, live_server: Any
) -> None:
    asking = make_asking(items=6)
    page, user = annotating(asking)
    log_in(page.context, live_server.url, make_member(asking.dataset, "annotator"))
    page.keyboard.press("Digit1")
    expect(page.locator("#sending")).to_have_text("Somebody else is logged in: 1 kept here")
    page.click("#login-again")
    page.locator("[name=password]").fill("correct horse")
    page.keyboard.press("Enter")
    nothing_waits(page)
    assert Annotation.objects.get().annotator.user == user


def test_a_file_that_does_not_load_can_be_tried_again_or_called_unusable(annotating: Any) -> None:
    asking = make_asking(items=3)
    page, _ = annotating(asking)
    page.route("**/media/**", lambda route: route.abort())
    page.reload()
    expect(page.locator("#stage")).to_contain_text("This file did not load.")
    page.unroute_all()
    page.click("text=Try again")
    expect(page.locator("#stage img")).to_be_visible()
    page.keyboard.press("Digit1")
    page.click("#stage >> text=Unusable")
    nothing_waits(page)
    assert Annotation.objects.get(answer="unusable").reason == "the file does not load"


def test_one_answer_on_which_the_server_fails_holds_up_no_other(annotating: Any) -> None:
    page, _ = annotating(make_asking(items=5))
    first = shown(page)

    def fail(route: Any) -> None:
        sent = [answer["item"] for answer in route.request.post_data_json["answers"]]
        route.fulfill(status=500) if first in sent else route.continue_()

    page.route("**/answers/", fail)
    for key in ("Digit1", "Digit2", "Digit3"):
        page.keyboard.press(key)
    aside = "1 answer kept aside: the server failed on it"
    expect(page.locator("#sending")).to_have_text(aside)
    assert Annotation.objects.count() == 2
    page.unroute_all()
    page.click("#send-again")
    nothing_waits(page)
    assert set(Annotation.objects.values_list("label__name", flat=True)) == {
        *("Dress", "Hat", "Long sleeve"),
    }


def test_a_picture_that_a_logged_out_phone_cannot_load_asks_for_the_log_in(
    annotating: Any,
) -> None:
    page, _ = annotating(make_asking(items=3))
    page.set_viewport_size({"width": 390, "height": 844})
    page.route("**/media/**", lambda route: route.abort())
    page.reload()
    expect(page.locator("#stage")).to_contain_text("This file did not load.")
    Session.objects.all().delete()
    page.evaluate(TRY_AGAIN)  # no click, which waits for a button that the screen may take away
    expect(page.locator("#stage")).to_contain_text("log in to see it")
    expect(page.locator("#stage >> text=Unusable")).to_be_hidden()
    button = page.locator("#login-again").bounding_box()
    assert button["x"] + button["width"] <= 390
    page.unroute_all()
    page.click("#stage >> text=Log in again")
    page.locator("[name=password]").fill("correct horse")
    page.keyboard.press("Enter")
    expect(page.locator("#stage img")).to_be_visible()
    nothing_waits(page)


def test_a_closing_tab_gives_its_items_back(annotating: Any) -> None:
    asking = make_asking(items=8)
    page, _ = annotating(asking)
    holds_claims(page, 5)
    page.goto("about:blank")
    holds_claims(page, 0)
    assert set(RoundItem.objects.values_list("taken", flat=True)) == {0}
