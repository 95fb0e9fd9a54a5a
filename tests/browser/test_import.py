"""Files dropped into the browser arrive: a zip, many files, whole folders, a folder in a folder."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from labeling import tasks
from labeling.models import Dataset, Item, Job
from tests import factories
from tests.browser.asking import log_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
MANY = 130  # a browser reads a dropped folder 100 entries at a time


def picture(number: int) -> bytes:
    image = Image.new("RGB", (32, 32), (number % 256, 255 - number % 256, 90))
    image.putpixel((number % 32, number // 32), (255, 255, 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def importing(page: Any, live_server: Any) -> tuple[Any, Dataset]:
    """The import page of an empty dataset, open to its owner."""
    dataset = factories.make_dataset("dropped", classes=())
    log_in(page.context, live_server.url, factories.make_member(dataset))
    page.goto(f"{live_server.url}/d/dropped/import/")
    expect(page.locator(".folder-choice")).to_be_visible()
    return page, dataset


def drop_paths(page: Any, *paths: Path) -> None:
    """Drop files or folders of this machine where a person would, as the browser itself does it."""
    box = page.locator("#drop").bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 20}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def send(page: Any) -> None:
    """Press Import, and do the worker's part once the report page is there."""
    page.click("#send")
    page.wait_for_url(re.compile(r"/uploads/\d+/"))
    tasks.import_upload(Job.objects.get(kind="import").pk)
    page.reload()


def test_a_zip_dropped_as_an_event_is_imported(importing: tuple[Any, Dataset]) -> None:
    page, dataset = importing
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(3):
            archive.writestr(f"set/train/cat/{number}.png", picture(number))
        archive.writestr("set/train/dog/broken.png", b"no picture")
    transfer = page.evaluate_handle(
        """(bytes) => { const moved = new DataTransfer();
        moved.items.add(new File([new Uint8Array(bytes)], "pets.zip", {type: "application/zip"}));
        return moved; }""",
        list(packed.getvalue()),
    )
    page.dispatch_event("#drop", "dragenter", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_have_class(re.compile("dropping"))
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(page.locator("#drop")).not_to_have_class(re.compile("dropping"))
    expect(page.locator("#chosen")).to_contain_text("pets.zip")
    send(page)
    expect(page.locator("h1")).to_have_text("Import of pets.zip")
    expect(page.locator(".stat b").nth(0)).to_have_text("3")
    expect(page.locator(".stat b").nth(1)).to_have_text("1")
    expect(page.locator("#lines")).to_contain_text("broken.png")
    keys = sorted(Item.objects.filter(dataset=dataset).values_list("key", flat=True))
    assert keys == [f"train/cat/{number}.png" for number in range(3)]


def test_a_dropped_folder_brings_every_file_with_its_path(
    importing: tuple[Any, Dataset], tmp_path: Path
) -> None:
    page, dataset = importing
    for number in range(MANY):
        kind = "cat" if number % 130 < 110 else "dog"
        file = tmp_path / "pets" / "train" / kind / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(number))
    drop_paths(page, tmp_path / "pets")
    expect(page.locator("#chosen")).to_contain_text(f"{MANY} files")
    send(page)
    expect(page.locator(".stat b").nth(0)).to_have_text(str(MANY))
    assert Item.objects.filter(dataset=dataset, split="train", label__name="cat").count() == 110
    assert Item.objects.filter(dataset=dataset, key="train/dog/129.png").exists()


def test_several_dropped_files_come_together_and_another_drop_replaces_them(
    importing: tuple[Any, Dataset], tmp_path: Path
) -> None:
    page, dataset = importing
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(picture(number))
    drop_paths(page, *paths[:3])
    expect(page.locator("#chosen")).to_contain_text("3 files")
    drop_paths(page, *paths[2:])
    expect(page.locator("#chosen")).to_contain_text("2 files")
    send(page)
    expect(page.locator(".stat b").nth(0)).to_have_text("2")
    assert dataset.items.count() == 2


def test_what_is_dropped_beside_the_zone_does_not_leave_the_page(
    importing: tuple[Any, Dataset], tmp_path: Path
) -> None:
    page, _dataset = importing
    (tmp_path / "a.png").write_bytes(picture(1))
    data = {"items": [], "files": [str(tmp_path / "a.png")], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 5, "y": 800, "data": data})
    expect(page.locator("#chosen")).to_contain_text("a.png")
    assert page.url.endswith("/import/")
