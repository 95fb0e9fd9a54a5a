"""Once around the whole loop in Chromium, with real workers, on the demo and on own files."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from quality.views.demo import HEADINGS
from tests.conftest import Winnow
from tests.quality.test_demo import assert_enough
from tests.test_cancel import rows, until

pytestmark = pytest.mark.browser
WORK_SECONDS = 1200  # training and checks of both demo sets, on two busy cores
SEED = 1  # `make verify` also plants others, without a browser
LEAST_KINDS = 4  # of faults that are planted into each of the two
CHECKED = "select count(*) from labeling_job where kind='detect' and state='done'"
UNDER_WAY = "select count(*) from labeling_job where state in ('queued', 'running')"
KIND_OF = {str(heading): kind for kind, heading in HEADINGS.items()}


@pytest.fixture(scope="module")
def demo(winnow: Winnow) -> dict[str, str]:
    """The demo's passwords by name; training has been sent to the workers."""
    printed = winnow.manage("demo", "--seed", str(SEED), "--json")
    return dict(json.loads(printed.strip().splitlines()[-1])["log_ins"])


@pytest.fixture(scope="module")
def lead(browser: Any, winnow: Winnow, demo: dict[str, str]) -> Iterator[Any]:
    page = log_in(browser, winnow, "lead", demo["lead"])
    yield page
    page.context.close()


def log_in(browser: Any, winnow: Winnow, name: str, password: str) -> Any:
    page = browser.new_context(
        viewport={"width": 1440, "height": 900}, accept_downloads=True
    ).new_page()
    page.goto(winnow.url)
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    return page


def own_files() -> bytes:
    """Two classes of drawn shapes, one file that is no picture, one that is not what it says."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(12):
            image = Image.new("RGB", (80, 80), (200 - number * 3, 220, 230))
            draw = ImageDraw.Draw(image)
            shape = (10 + number, 12, 60 + number, 62)
            kind = "round" if number % 2 else "square"
            (draw.ellipse if kind == "round" else draw.rectangle)(shape, fill=(20, 90 + number, 60))
            content = io.BytesIO()
            image.save(content, "PNG" if number == 3 else "JPEG", quality=92)
            archive.writestr(f"shapes/{kind}/{number}.jpg", content.getvalue())
        archive.writestr("shapes/round/broken.jpg", b"this is no picture")
    return packed.getvalue()


def test_own_files_are_imported_and_reported(lead: Any, winnow: Winnow) -> None:
    lead.goto(winnow.url + "datasets/new/")
    lead.fill("input[name=name]", "Shapes")
    lead.locator("[name=media][value=image], select[name=media]").first.evaluate(
        "element => element.tagName === 'SELECT' ? (element.value = 'image') : element.click()"
    )
    lead.fill("input[name=question]", "What shape is this?")
    lead.get_by_role("button", name="Make it and choose files").click()
    payload = {"name": "shapes.zip", "mimeType": "application/zip", "buffer": own_files()}
    lead.set_input_files("#files", payload)
    if not re.search(r"/uploads/\d+/", lead.url):
        lead.locator("#send").click()
    lead.wait_for_url(re.compile(r"/uploads/\d+/"), timeout=60_000)
    expect(lead.locator(".stat b").first).to_have_text("12", timeout=60_000)
    expect(lead.locator("body")).to_contain_text("broken.jpg")
    expect(lead.locator("body")).to_contain_text("3.jpg")


def all_is_checked(winnow: Winnow) -> bool:
    """Both demo sets were checked, and no work is under way."""
    return rows(winnow.data, CHECKED) >= [(2,)] and rows(winnow.data, UNDER_WAY) == [(0,)]


def test_the_demo_trains_and_is_checked_by_itself(lead: Any, winnow: Winnow) -> None:
    until(lambda: all_is_checked(winnow), seconds=WORK_SECONDS)
    for slug in ("digits", "tones"):
        lead.goto(f"{winnow.url}d/{slug}/demo/")
        expect(lead.locator(".notice")).to_have_count(0)
        groups = lead.locator("tbody").all()
        assert len(groups) >= LEAST_KINDS
        for group in groups:
            heading, *rows = (row.split("\t") for row in group.locator("tr").all_inner_texts())
            besides = sum(int(row[4]) for row in rows if row[0] == "not planted")
            assert_enough(
                KIND_OF.get(heading[0], ""),
                planted=int(heading[1]),
                found=int(heading[2]),
                besides=besides,
            )


def test_items_are_browsed_filtered_and_tagged(lead: Any, winnow: Winnow) -> None:
    lead.goto(f"{winnow.url}d/digits/browse/?split=train&class=3")
    tiles = lead.locator("#grid > li")
    expect(tiles.first).to_be_visible()
    before = lead.url
    lead.keyboard.press("KeyR")
    lead.wait_for_url(lambda url: url != before)
    expect(lead.locator("#grid > li").first).to_be_visible()
    lead.locator("#grid > li a").first.click()
    lead.wait_for_url(re.compile(r"/items/\d+/"))
    expect(lead.locator("main img").first).to_be_visible()


def test_an_annotator_answers_by_key_and_undoes(
    browser: Any, winnow: Winnow, demo: dict[str, str], lead: Any
) -> None:
    page = log_in(browser, winnow, "annotator", demo["annotator"])
    page.goto(winnow.url + "work/")
    page.get_by_role("link", name="Start").first.click()
    expect(page.locator("#stage")).to_be_visible()
    for number in (1, 2, 3):
        page.keyboard.press("Digit1")
        expect(page.locator("#answered")).to_have_text(str(number))
    page.keyboard.press("KeyZ")
    expect(page.locator("#answered")).to_have_text("2")
    assert page.goto(f"{winnow.url}d/digits/browse/").status == 403
    page.context.close()


def test_a_cell_of_the_matrix_opens_its_items(lead: Any, winnow: Winnow) -> None:
    lead.goto(f"{winnow.url}d/digits/runs/1/")
    expect(lead.locator("body")).to_contain_text("Majority class")
    expect(lead.locator("body")).to_contain_text("test items sealed")
    cell = lead.locator("table.matrix td a").first
    count = int(cell.inner_text())
    lead.goto(winnow.url.rstrip("/") + cell.get_attribute("href"))
    expect(lead.locator("body")).to_contain_text(f"{count} item")


def test_doubts_are_reviewed_undone_and_never_decided_twice(lead: Any, winnow: Winnow) -> None:
    lead.goto(f"{winnow.url}d/digits/review/label_error/")
    for key in ("Enter", "Enter", "KeyK", "KeyZ", "Enter", "Enter", "Enter"):
        lead.wait_for_selector("#flag[data-seen]", state="attached")
        shown = lead.locator("[data-decide]").get_attribute("data-decide")
        # Without a suggestion, as model and neighbours differ, Enter does nothing.
        has_main = lead.locator("[data-decide] [data-key^=Enter]").count()
        lead.keyboard.press(key if key != "Enter" or has_main else "KeyK")
        expect(lead.locator("[data-decide]")).not_to_have_attribute("data-decide", shown)
    expect(lead.locator("#sending")).to_be_hidden()
    expect(lead.locator(".pagehead")).to_contain_text("5 decided")  # the last one was answered
    lead.reload()
    expect(lead.locator(".pagehead")).to_contain_text("5 decided")
    lead.goto(f"{winnow.url}d/digits/review/near_duplicate/")
    lead.wait_for_selector("#flag[data-seen]", state="attached")
    shown = lead.locator("[data-decide]").get_attribute("data-decide")
    lead.keyboard.press("Enter")
    expect(lead.locator("[data-decide]")).not_to_have_attribute("data-decide", shown)


def test_the_next_version_is_proved_against_the_first(lead: Any, winnow: Winnow) -> None:
    trained = json.loads(winnow.manage("train", "digits", "--json").strip().splitlines()[-1])
    assert trained["version"] == 2
    proved = json.loads(winnow.manage("prove", "digits", "1", "2", "--json").splitlines()[-1])
    assert proved["low"] <= proved["difference"] <= proved["high"]
    assert proved["after"] - proved["before"] == pytest.approx(proved["difference"], abs=1e-9)
    lead.goto(f"{winnow.url}d/digits/before-after/?old=1&new=2")
    expect(lead.locator(".ba-head")).to_contain_text("points")
    is_same = "Not one of" in lead.locator("main").inner_text()
    expect(lead.locator("table.matrix")).to_have_count(1 if is_same else 3)
    expect(lead.locator("body")).to_contain_text("What was changed")


def test_a_version_downloads_with_the_same_bytes_each_time(lead: Any, winnow: Winnow) -> None:
    for form in ("csv", "jsonl", "folders"):
        address = f"{winnow.url}d/digits/export/items.{form}?version=2"
        first, second = (lead.request.get(address).body() for _ in range(2))
        assert len(first) > 1000
        assert first == second


def test_every_page_says_what_it_is_without_serious_findings(lead: Any, winnow: Winnow) -> None:
    pages = (
        "",
        "work/",
        "account/",
        *(
            f"d/{slug}/{page}"
            for slug in ("digits", "tones")
            for page in (
                "",
                "browse/",
                "rounds/",
                "runs/",
                "runs/1/",
                "checks/",
                "review/",
                "review/label_error/",
                "versions/",
                "before-after/",
                "members/",
                "settings/",
                "import/",
                "demo/",
            )
        ),
    )
    refused = []
    lead.on(
        "console", lambda message: refused.append(message.text) if "Policy" in message.text else 0
    )
    # A page that shows a job loads itself anew at its end, which may cross the way to the next.
    until(lambda: all_is_checked(winnow), seconds=WORK_SECONDS)
    for path in pages:
        answer = lead.goto(winnow.url + path)
        assert answer.status == 200, path
        expect(lead.locator("h1")).to_have_count(1)
    assert not refused
