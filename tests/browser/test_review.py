"""Review in Chromium: one key decides, the next flag is there at once, nothing is lost."""

import random
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from labeling.models import Dataset, Item
from quality.models import Bulk, Decision, Flag, FlagItem, FlagState
from quality.services import bulk
from quality.services.decisions import decide_flag
from tests.browser.asking import content_of, log_in, open_queue, seen
from tests.factories import make_dataset, make_flag, make_item, make_member
from tests.setup import chromium

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def expect_counts(page: Any, *, decided: int, still_open: int) -> None:
    counts = page.locator("#counts")
    expect(counts).to_contain_text(f"{decided} decided")
    expect(counts).to_contain_text(f"{still_open} open")


def make_doubt(dataset: Dataset, number: int, **fields: Any) -> Flag:
    item = make_item(dataset, f"{number:02}.jpg", "cat", split="train")
    Item.objects.filter(pk=item.pk).update(content=content_of("image", number))
    values = {"given": "cat", "suggested": "dog", "reason": f"doubt number {number}"} | fields
    return make_flag(item, score=0.9 - number / 100, **values)


def judge_sample(dataset: Dataset, leaving: int = 0) -> None:
    """Draw a sample of a dataset's flags and judge it, but for the last ones."""
    by = make_member(dataset)
    sample = bulk.draw_sample(
        dataset=dataset, kind="label_error", least_score=0.0, by=by, rng=random.Random(3)
    )
    flags = Flag.objects.filter(pk__in=sample.sample).order_by("-score")
    for flag in flags[: len(sample.sample) - leaving]:
        decide_flag(flag=flag, reviewer=by, action="relabel")


def test_one_key_decides_and_the_next_flag_waits_for_no_answer(page, live_server):
    dataset = make_dataset()
    flags = [make_doubt(dataset, number) for number in range(4)]
    open_queue(page, live_server, dataset)
    expect(page.get_by_text("doubt number 0")).to_be_visible()
    unanswered = []
    page.route(
        "**",
        lambda route: (
            route.fallback() if route.request.method == "GET" else unanswered.append(route)
        ),
    )
    for number, key in enumerate(("Enter", "k"), start=1):
        seen(page)
        page.keyboard.press(key)
        expect(page.get_by_text(f"doubt number {number}")).to_be_visible()
        keep = page.locator("#flag button[data-key=KeyK]")  # a card that came without htmx
        expect(keep).to_have_attribute("aria-keyshortcuts", "K", timeout=5_000)
    assert len(unanswered) == 1
    assert not Decision.objects.exists()
    page.unroute("**")  # answers what was held back
    expect_counts(page, decided=2, still_open=2)
    states = [Flag.objects.get(pk=flag.pk).state for flag in flags]
    assert states == [FlagState.DECIDED, FlagState.DISMISSED, FlagState.OPEN, FlagState.OPEN]
    assert Item.objects.get(key="00.jpg").label.name == "dog"


def test_undo_brings_the_flag_and_the_label_back(page, live_server):
    dataset = make_dataset()
    make_doubt(dataset, 0)
    make_doubt(dataset, 1)
    open_queue(page, live_server, dataset)
    page.keyboard.press("Digit2")
    expect(page.get_by_text("doubt number 1")).to_be_visible()
    page.keyboard.press("KeyZ")
    expect(page.get_by_text("doubt number 0")).to_be_visible()
    assert Item.objects.get(key="00.jpg").label.name == "cat"


def test_the_last_card_of_a_sample_leads_to_its_result_where_enter_decides(page, live_server):
    dataset = make_dataset()
    for number in range(24):
        make_doubt(dataset, number)
    judge_sample(dataset, leaving=2)
    open_queue(page, live_server, dataset)
    page.keyboard.press("Enter")
    seen(page)
    page.keyboard.press("KeyK")
    expect(page.get_by_text("19 as proposed")).to_be_visible()
    everything = page.locator("button[value=decide]")
    assert not Bulk.objects.get().action
    page.keyboard.press("KeyZ")
    expect(page.get_by_text("this sample is judged before all others")).to_be_visible()
    seen(page)
    page.keyboard.press("Enter")
    expect(page.get_by_text("20 as proposed")).to_be_visible()
    expect(everything).to_have_attribute("data-key", "Enter NumpadEnter")  # it can have been read
    page.keyboard.press("Enter")
    expect(page.get_by_text("Last decision about many")).to_be_visible()
    assert Bulk.objects.get().action == "relabel"


def test_back_from_the_result_of_a_sample_shows_the_queue_as_it_is_now(browser, live_server):
    dataset = make_dataset()
    for number in range(24):
        make_doubt(dataset, number)
    judge_sample(dataset, leaving=1)
    keeping = browser.browser_type.launch(  # as people's browsers do, pages that were left
        executable_path=chromium.find(),
        args=chromium.ARGUMENTS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    page = keeping.new_page()
    open_queue(page, live_server, dataset)
    page.keyboard.press("Enter")
    expect(page.get_by_text("20 as proposed")).to_be_visible()
    page.evaluate("setTimeout(() => history.back())")  # `go_back` waits for a page that loads
    expect(page.get_by_text("20 as proposed")).not_to_be_visible()
    seen(page)
    keeping.close()


def test_whoever_presses_on_after_a_sample_decides_nothing_about_many(page, live_server):
    dataset = make_dataset()
    for number in range(24):
        make_doubt(dataset, number)
    judge_sample(dataset)
    open_queue(page, live_server, dataset)
    page.clock.install()
    page.clock.pause_at(datetime.now() + timedelta(hours=1))  # from here on it goes as told
    page.get_by_text("Sample judged").click()
    everything = page.locator("button[value=decide]")
    page.wait_for_load_state("networkidle")
    for _ in range(4):
        page.keyboard.press("Enter")
        expect(page.locator("#toasts")).to_contain_text("that key decided nothing")
        page.clock.run_for(900)
        assert everything.get_attribute("data-key") is None
    page.clock.run_for(200)
    expect(everything).to_have_attribute("data-key", "Enter NumpadEnter")


def test_cards_put_off_of_a_sample_are_reached_again_from_its_page(page, live_server):
    dataset = make_dataset()
    for number in range(24):
        make_doubt(dataset, number)
    judge_sample(dataset, leaving=2)
    open_queue(page, live_server, dataset)
    page.keyboard.press("KeyS")
    seen(page)
    page.keyboard.press("Enter")
    seen(page)  # no page of many yet: the others of the queue, and then what was put off
    assert "/many/" not in page.url
    page.get_by_text("Sample: 19 of 20 judged").click()
    page.wait_for_url("**/many/")  # loaded whole: a key pressed before would still be the queue's
    page.keyboard.press("Enter")
    expect(page.get_by_text("this sample is judged before all others")).to_be_visible()
    seen(page)
    page.keyboard.press("Enter")
    expect(page.get_by_text("20 as proposed")).to_be_visible()


def test_a_reason_is_asked_for_leaving_out_and_later_puts_off(page, live_server):
    dataset = make_dataset()
    for number in range(3):
        make_doubt(dataset, number)
    open_queue(page, live_server, dataset)
    page.keyboard.press("KeyX")
    page.keyboard.press("Digit1")
    expect(page.get_by_text("doubt number 1")).to_be_visible()
    page.keyboard.press("KeyS")
    expect(page.get_by_text("doubt number 2")).to_be_visible()
    seen(page)
    page.keyboard.press("KeyK")
    expect(page.get_by_text("Nothing left to review here")).to_be_visible()
    expect_counts(page, decided=2, still_open=1)
    assert Item.objects.get(key="00.jpg").excluded == "too blurred, dark or small"


def test_a_colleague_who_was_faster_is_said_calmly_and_review_goes_on(page, live_server):
    dataset = make_dataset()
    first = make_doubt(dataset, 0)
    make_doubt(dataset, 1)
    open_queue(page, live_server, dataset)
    decide_flag(flag=first, reviewer=make_member(dataset), action="keep", seconds=1.0)
    page.keyboard.press("Enter")
    expect(page.get_by_text("doubt number 1")).to_be_visible()
    expect(page.locator("#toasts")).to_contain_text("A colleague has decided this already.")
    assert Decision.objects.count() == 1


def test_decisions_stand_still_whatever_is_told_above_them(page, live_server):
    dataset = make_dataset()
    for number, reason in enumerate(("short", "long " * 60, "middling " * 12)):
        make_doubt(dataset, number, reason=f"doubt {reason}")
    make_doubt(dataset, 3, suggested="")
    for width, height in ((1280, 800), (1280, 640), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        open_queue(page, live_server, dataset)
        kept, relabelled = set(), set()
        for _ in range(4):
            seen(page)
            keep = page.locator("[value=keep]").bounding_box()
            kept.add((keep["y"], keep["width"]) if width > 390 else keep["y"])
            main = page.locator(".review-main .btn-main")
            if main.count():
                relabelled.add(str(main.bounding_box()))
            page.keyboard.press("KeyS")
        assert (len(kept), len(relabelled)) == (1, 1), (width, kept, relabelled)
        page.evaluate("sessionStorage.clear()")


def test_a_second_key_decides_nothing_that_nobody_has_seen_and_says_so(page, live_server):
    dataset = make_dataset()
    for number in range(3):
        make_doubt(dataset, number)
    open_queue(page, live_server, dataset)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_text("doubt number 1")).to_be_visible()
    expect(page.locator("#toasts")).to_contain_text("that key decided nothing")
    expect_counts(page, decided=1, still_open=2)
    seen(page)
    page.keyboard.press("Enter")
    expect_counts(page, decided=2, still_open=1)
    assert Decision.objects.count() == 2


def test_what_was_decided_in_another_tab_is_said_to_be_ones_own(page, live_server):
    dataset = make_dataset()
    first = make_doubt(dataset, 0)
    make_doubt(dataset, 1)
    user = open_queue(page, live_server, dataset)
    decide_flag(flag=first, reviewer=user, action="keep", seconds=1.0)
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("You decided this in another tab.")
    toast = page.locator("#toasts .notice").bounding_box()
    decisions = page.locator("#flag .panel").bounding_box()
    assert toast["x"] + toast["width"] <= decisions["x"]


def test_a_decision_is_sent_again_until_the_server_answers(page, live_server):
    dataset = make_dataset()
    flag = make_doubt(dataset, 0)
    make_doubt(dataset, 1)
    open_queue(page, live_server, dataset)
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.get_by_text("doubt number 1")).to_be_visible()
    expect(page.locator("#sending")).to_contain_text("Offline: 1 kept")
    page.context.set_offline(False)
    expect_counts(page, decided=1, still_open=1)
    assert Flag.objects.get(pk=flag.pk).state == FlagState.DECIDED


def test_touching_a_test_item_is_confirmed_first(page, live_server):
    dataset = make_dataset()
    flag = make_doubt(dataset, 0, kind="manual", given="", suggested="")
    flag.items.update(split="test")
    open_queue(page, live_server, dataset, "manual")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This changes test items")).to_be_visible()
    page.keyboard.press("KeyY")
    expect(page.get_by_text("Nothing left to review here")).to_be_visible()
    expect_counts(page, decided=1, still_open=0)
    assert Decision.objects.get().touches_test
    answered_by_keys(page, live_server, dataset)


def answered_by_keys(page, live_server, dataset):
    """The undo of it waits where a second reviewer is asked; N, Z and Enter answer there."""
    Dataset.objects.update(has_second_reviewer=True)
    page.keyboard.press("KeyZ")
    expect(page.locator("#toasts")).to_contain_text("Taking it back waits for a second reviewer")
    log_in(page.context, live_server.url, make_member(dataset))
    page.goto(f"{live_server.url}/d/{dataset.slug}/second/")
    page.keyboard.press("KeyN")
    expect(page.get_by_text("Nothing changes; the leads are told.")).to_be_visible()
    page.keyboard.press("KeyZ")
    expect(page.get_by_text("It takes effect when you agree.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Agreed: it took effect.")).to_be_visible()
    assert Flag.objects.get().state == FlagState.OPEN


def make_two_in_one(dataset: Dataset, **more: Any) -> Flag:
    """The doubt that a class is really two, with one item in its smaller part."""
    fields = {"kind": "double_class", "suggested": "", "evidence": {"parts": []}, **more}
    flag = make_doubt(dataset, 0, **fields)
    FlagItem.objects.filter(flag=flag).update(role="part")
    return flag


@pytest.mark.parametrize(("is_likely", "key"), [(True, "Enter"), (False, "c")])
def test_a_class_is_split_only_once_it_has_a_name_and_a_refusal_brings_it_back(
    page, live_server, is_likely, key
):
    dataset = make_dataset()
    flag = make_two_in_one(dataset, is_likely=is_likely)
    open_queue(page, live_server, dataset, "double_class")
    page.keyboard.press(key)
    name = page.locator("[name=new_class]")
    expect(name).to_be_focused()
    name.fill("cat")
    name.press("Enter")
    expect(page.get_by_text("This decision was refused")).to_be_visible()
    expect(page.get_by_text("doubt number 0")).to_be_visible()
    seen(page)
    name.fill("cat (wild)")
    name.press("Tab")
    page.keyboard.type("it has a bushy tail")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing left to review here")).to_be_visible()
    expect_counts(page, decided=1, still_open=0)
    assert Item.objects.get(key="00.jpg").label.name == "cat (wild)"
    assert "it has a bushy tail" in dataset.guidelines.first().text
    assert Flag.objects.get(pk=flag.pk).state == FlagState.DECIDED


def test_enter_pressed_in_rhythm_decides_nothing_where_candidates_begin(page, live_server):
    dataset = make_dataset()
    for number in range(3):
        fields = {"suggested": "", "given": "", "kind": "odd_image", "is_likely": number == 0}
        make_doubt(dataset, number, **fields)
    open_queue(page, live_server, dataset, "odd_image")
    page.keyboard.press("Enter")
    expect(page.get_by_text("doubt number 1")).to_be_visible()
    seen(page)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Enter decided nothing")).to_be_visible()
    expect(page.get_by_text("doubt number 1")).to_be_visible()
    page.keyboard.press("KeyK")
    expect_counts(page, decided=2, still_open=1)
    assert [flag.state for flag in Flag.objects.order_by("-score")][1] == FlagState.DISMISSED


def test_a_class_with_a_letter_of_its_own_is_chosen_with_shift(page, live_server):
    dataset = make_dataset()
    dataset.classes.create(name="star", key="KeyS")
    make_doubt(dataset, 0)
    open_queue(page, live_server, dataset)
    expect(page.locator(".keyref")).to_contain_text("⇧S star")
    page.keyboard.press("Shift+KeyS")
    expect_counts(page, decided=1, still_open=0)
    assert Item.objects.get(key="00.jpg").label.name == "star"


def test_the_clips_of_a_set_are_heard_one_after_the_other_by_key(page, live_server):
    dataset = make_dataset(media="audio")
    items = [make_item(dataset, f"{number}.wav", "cat") for number in range(2)]
    for number, item in enumerate(items):
        Item.objects.filter(pk=item.pk).update(content=content_of("audio", number))
    make_flag(*items, kind="near_duplicate", roles=("keep", "copy"))
    open_queue(page, live_server, dataset, "near_duplicate")
    waves = page.locator(".copy-wave")
    for turn in (0, 1, 0):
        page.keyboard.press("Space")
        expect(waves.nth(turn)).to_have_attribute("data-state", re.compile("play|ended"))
        source = page.locator("#winnow-audio").get_attribute("src")
        assert source == waves.nth(turn).get_attribute("data-media")


def test_a_group_is_asked_about_seen_and_decided_in_that_order_on_a_phone(page, live_server):
    dataset = make_dataset()
    flag = make_two_in_one(dataset)
    for number in range(1, 9):
        item = make_item(dataset, f"{number:02}.jpg", "cat")
        FlagItem.objects.create(flag=flag, item=item, role="part")
    shown = list(dataset.items.values_list("pk", flat=True)[:3])
    flag.evidence = {"parts": [{"name": "the smaller part", "n": 9, "items": shown}]}
    flag.save()
    page.set_viewport_size({"width": 390, "height": 844})
    open_queue(page, live_server, dataset, "double_class")
    heights = [
        page.locator(part).first.bounding_box()["y"]
        for part in ("#flag .lead-w", ".part-items img", ".review-form [value=exclude]")
    ]
    assert heights == sorted(heights)
    page.keyboard.press("KeyB")
    expect(page.get_by_text("of one group in doubt")).to_be_visible()
    expect(page.locator(".tile")).to_have_count(9)
