"""What differs between copies, in Chromium: the same thing is shown at the same place."""

import io
import re

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from labeling import storage
from labeling.models import Content, Dataset, Item
from tests.browser.asking import open_queue
from tests.factories import make_dataset, make_flag, make_item

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

RIGHTED = """() => {
  const shown = [...document.querySelectorAll("[data-copy-image]")].at(-1).src;
  return shown.startsWith("data:") && shown;
}"""
FIRST_PIXELS_APART = """async (address) => {
  const first = document.querySelector("[data-copy-image]"), other = new Image();
  other.src = address;
  await other.decode();
  const [one, two] = [first, other].map((image) => {
    const context = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.naturalWidth, image.naturalHeight).data;
  });
  if (one.length !== two.length) return 255;
  return one.reduce((sum, level, at) => sum + Math.abs(level - two[at]), 0) / one.length;
}"""


def shown_as(picture: Image.Image) -> Content:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    sha256 = storage.write_bytes(buffer.getvalue())
    shown = {"preview": sha256, "preview_mime": "image/png"}
    shown["facts"] = {"width": picture.width, "height": picture.height}
    return Content.objects.create(sha256=sha256, size=1, type="png", mime="image/png", **shown)


def lopsided() -> Image.Image:
    picture = Image.new("RGB", (480, 300), (200, 90, 40))
    pen = ImageDraw.Draw(picture)
    pen.polygon([(20, 20), (300, 60), (90, 280)], fill=(20, 60, 220))
    pen.ellipse((330, 150, 400, 260), fill=(230, 230, 90))
    pen.rectangle((370, 60, 430, 100), fill=(20, 90, 60))
    return picture


def make_alike(first: Image.Image, other: Image.Image, evidence: str) -> Dataset:
    dataset = make_dataset()
    items = [make_item(dataset, key, "cat", split="train") for key in ("a.png", "b.png")]
    for item, picture in zip(items, (first, other), strict=True):
        Item.objects.filter(pk=item.pk).update(content=shown_as(picture))
    pairs = [[*(item.pk for item in items), 0.9, evidence, "Alike, once one is changed."]]
    told = {"labels": ["cat"], "splits": ["train"], "pairs": pairs}
    make_flag(*items, kind="near_duplicate", roles=("keep", "copy"), evidence=told)
    return dataset


@pytest.mark.parametrize(
    ("evidence", "turn"),
    [
        ("mirror", Image.Transpose.FLIP_LEFT_RIGHT),
        ("turn", Image.Transpose.ROTATE_90),
        ("turn", Image.Transpose.ROTATE_180),
        ("turn", Image.Transpose.ROTATE_270),
        ("turn", Image.Transpose.TRANSPOSE),
    ],
)
def test_a_mirrored_or_turned_copy_is_put_right_before_it_is_compared(
    page, live_server, evidence, turn
):
    dataset = make_alike(lopsided(), lopsided().transpose(turn), evidence)
    open_queue(page, live_server, dataset, "near_duplicate")
    mean = page.locator("[data-mean]").last
    expect(mean).to_have_text(re.compile(r"^[0-2]\.\d$"))
    copy = page.locator("[data-copy-image]").last
    as_it_was = copy.get_attribute("src")
    page.keyboard.press("b")
    first = page.locator("[data-copy-image]").first.get_attribute("src")
    expect(copy).to_have_attribute("src", first)
    right = page.wait_for_function(RIGHTED).json_value()
    assert page.evaluate(FIRST_PIXELS_APART, right) < 3
    page.keyboard.press("b")
    expect(copy).to_have_attribute("src", as_it_was)


PART = (96, 30, 456, 270)
N_SHOWN = """async (address) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const context = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
  return data.filter((level, at) => at % 4 === 3 && level === 255).length;
}"""


def test_a_part_is_laid_over_where_it_lies_in_the_whole(page, live_server):
    picture = lopsided()
    part = picture.crop(PART).resize((270, 180))
    open_queue(page, live_server, make_alike(picture, part, "part"), "near_duplicate")
    expect(page.locator("[data-mean]").last).to_have_text(re.compile(r"^[0-2]\.\d$"))
    told = page.locator("[data-is-part]").last.inner_text()
    assert re.match(r"2 is a part of 1, about (59|60|61) % of it", told)
    expect(page.locator("[data-has-part]").last).to_be_hidden()
    page.keyboard.press("b")
    laid = page.wait_for_function(RIGHTED).json_value()
    assert page.evaluate(N_SHOWN, laid) == pytest.approx(360 * 240, rel=0.03)


def test_a_whole_is_cut_to_what_its_part_shows(page, live_server):
    picture = lopsided()
    pair = make_alike(picture.crop(PART), picture, "part")
    open_queue(page, live_server, pair, "near_duplicate")
    expect(page.locator("[data-mean]").last).to_have_text(re.compile(r"^[0-2]\.\d$"))
    told = page.locator("[data-has-part]").last.inner_text()
    assert re.fullmatch(r"1 is a part of 2, about (59|60|61) % of it\.", told)
    page.keyboard.press("b")
    cut = page.wait_for_function(RIGHTED).json_value()
    assert page.evaluate(FIRST_PIXELS_APART, cut) < 3
