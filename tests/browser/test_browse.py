"""Browse in a real browser: keys, ranges, dialogs, undo, all under the strict policy."""

from typing import Any

import pytest
from playwright.sync_api import expect

from labeling.models import Dataset, Item
from tests import factories
from tests.browser.asking import log_in
from tests.factories import make_member

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def pets() -> Dataset:
    dataset = factories.make_dataset("pets")
    for n in range(30):
        split = "test" if n < 3 else "train"
        factories.make_item(dataset, f"{n:02}.png", "cat", split=split)
    return dataset


@pytest.fixture
def grid(page: Any, live_server: Any, pets: Dataset) -> Any:
    log_in(page.context, live_server.url, make_member(pets))
    page.route("**/media/**", lambda route: route.fulfill(status=204))
    page.goto(f"{live_server.url}/d/pets/browse/?sort=key")
    page.wait_for_function("document.documentElement.dataset.keysStarted && window.htmx")
    return page


def labels(*keys: str) -> list[str]:
    found = dict(Item.objects.values_list("key", "label__name"))
    return [found[key] for key in keys]


def test_arrows_walk_and_a_range_is_relabelled_and_undone_by_keys(grid: Any) -> None:
    keyboard = grid.keyboard
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("Space")
    keyboard.press("Shift+ArrowRight")
    expect(grid.locator("[data-selected-count]")).to_have_text("2 selected")
    keyboard.press("KeyL")
    keyboard.press("Digit2")
    expect(grid.locator("#toasts")).to_contain_text("2 items are dog now.")
    assert labels("02.png", "03.png", "04.png", "05.png") == ["cat", "dog", "dog", "cat"]
    keyboard.press("KeyZ")
    expect(grid.locator("#toasts")).to_contain_text("Undone")
    assert labels("03.png", "04.png") == ["cat", "cat"]


def test_test_items_are_asked_about_before_they_change(grid: Any) -> None:
    grid.locator(".tile-check").nth(1).click()
    grid.locator(".tile-check").nth(4).click(modifiers=["Shift"])
    expect(grid.locator("[data-selected-test]")).to_have_text("2 in test")
    grid.keyboard.press("KeyL")
    grid.keyboard.press("Digit2")
    expect(grid.locator("#confirm-test")).to_be_visible()
    grid.click("[data-test-choice=without_test]")
    expect(grid.locator("#toasts")).to_contain_text("2 items are dog now.")
    assert labels("01.png", "02.png", "03.png", "04.png") == ["cat", "cat", "dog", "dog"]


def test_escape_clears_and_the_bar_goes(grid: Any) -> None:
    grid.locator(".tile-check").nth(5).click()
    expect(grid.locator("#actions")).to_be_visible()
    grid.keyboard.press("Escape")
    expect(grid.locator("#actions")).to_be_hidden()


def test_the_address_holds_only_what_was_chosen_and_the_size_stays(grid: Any) -> None:
    grid.click("[data-size=s]")
    grid.get_by_label("Train").check()
    grid.wait_for_url("**split=train**")
    assert "q=" not in grid.url
    assert "keys=" not in grid.url
    expect(grid.locator("[data-size=s]")).to_have_attribute("aria-pressed", "true")
    expect(grid.locator(".browse-count")).to_have_text("27 items")


def test_a_flag_with_a_note_is_written_by_keyboard_alone(grid: Any) -> None:
    grid.keyboard.press("ArrowDown")
    grid.keyboard.press("Space")
    grid.keyboard.press("KeyF")
    grid.keyboard.type("What is this?")
    grid.keyboard.press("Enter")
    expect(grid.locator("#toasts")).to_contain_text("1 item flagged.")
    assert Item.objects.get(key="00.png").flags.get().reason == "What is this?"


def test_all_of_a_filter_are_selected_beyond_the_page_and_undone(grid: Any, pets: Dataset) -> None:
    for n in range(30, 130):
        factories.make_item(pets, f"{n:03}.png", "cat", split="train")
    factories.make_item(pets, "other.png", "dog", split="train")
    grid.goto(grid.url + "&class=cat")
    grid.wait_for_function("document.documentElement.dataset.keysStarted && window.htmx")
    grid.keyboard.press("Control+KeyA")
    expect(grid.locator("[data-selected-count]")).to_have_text("120 selected")
    grid.click("text=Select all 130 of this filter")
    expect(grid.locator("[data-selected-count]")).to_have_text("All 130 of this filter selected")
    grid.keyboard.press("KeyX")
    grid.keyboard.press("Digit1")
    expect(grid.locator("#confirm-test")).to_contain_text("3 of these are test items")
    grid.click("text=Leave test items as they are")
    expect(grid.locator("#toasts")).to_contain_text("127 items")
    assert Item.objects.exclude(excluded="").count() == 127
    grid.keyboard.press("KeyZ")
    expect(grid.locator("#toasts")).to_contain_text("Undone")
    assert not Item.objects.exclude(excluded="").exists()


def test_the_first_tab_offers_to_skip_what_all_pages_have(grid: Any) -> None:
    grid.reload()
    grid.keyboard.press("Tab")
    expect(grid.locator(".skip")).to_be_focused()
