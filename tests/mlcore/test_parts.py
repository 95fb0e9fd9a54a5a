"""A crop is found in what it was cut from, a picture in its frame, or with text over it."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from mlcore.alignment import SIDE
from mlcore.duplicates import Pair
from mlcore.neighbours import nearest
from mlcore.parts import left_as_part
from tests.mlcore.test_duplicates import copies_among, drawings, jpeg

CHANGES = {
    "15 % at a corner": lambda picture: picture.crop((38, 38, 256, 256)),
    "25 % around": lambda picture: picture.crop((32, 32, 224, 224)),
    "25 % below": lambda picture: picture.crop((0, 0, 256, 192)),
    "a fifth at the left": lambda picture: picture.crop((51, 0, 256, 256)),
    "a frame of 12 %": lambda picture: ImageOps.expand(picture, 31, 40),
}


def scene(seed: int) -> Image.Image:
    """Coarse and finer patches of light, as photos have."""
    rng = np.random.default_rng(seed)
    grey = np.full((256, 256), 125.0)
    for cells, weight in ((5, 25), (10, 15), (20, 8)):
        patches = Image.fromarray(rng.normal(size=(cells, cells)).astype(np.float32))
        grey += weight * np.asarray(patches.resize((256, 256), Image.Resampling.BICUBIC))
    return Image.fromarray(np.uint8(np.clip(grey, 0, 255)))


def copies_near_by(contents: list[bytes], of: list[int]) -> list[Pair]:
    """Find copies where a backbone sees what each picture was made of; they are all it knows."""
    rng = np.random.default_rng(1)
    seen = rng.normal(size=(max(of) + 1, 64))[of] + 0.3 * rng.normal(size=(len(of), 64))
    return copies_among(contents, neighbours=nearest(seen))


@pytest.mark.parametrize("kind", CHANGES)
def test_a_part_is_found_and_named(kind: str) -> None:
    pictures = [scene(seed) for seed in range(40)]
    contents = [jpeg(picture) for picture in pictures]
    contents += [jpeg(CHANGES[kind](picture)) for picture in pictures[:10]]
    pairs = copies_near_by(contents, [*range(40), *range(10)])
    assert {(pair.first, pair.second) for pair in pairs} == {(n, 40 + n) for n in range(10)}
    assert {pair.evidence for pair in pairs} == {"part"}
    assert all("a part of the other" in pair.reason for pair in pairs)


def with_text(picture: Image.Image, words: str, y: int) -> Image.Image:
    font = ImageFont.load_default(size=34)
    over = picture.copy()
    told = {"anchor": "ma", "fill": 255, "stroke_width": 2, "stroke_fill": 0}
    ImageDraw.Draw(over).text((128, y), words, font=font, **told)
    return over


@pytest.mark.parametrize("y", [12, 110, 200])
def test_a_copy_with_a_line_of_text_over_it_is_found_and_named(y: int) -> None:
    pictures = [scene(seed) for seed in range(40)]
    contents = [jpeg(picture) for picture in pictures]
    contents += [jpeg(with_text(picture, "WHEN YOU SEE", y)) for picture in pictures[:10]]
    pairs = copies_near_by(contents, [*range(40), *range(10)])
    assert {(pair.first, pair.second) for pair in pairs} == {(n, 40 + n) for n in range(10)}
    assert {pair.evidence for pair in pairs} == {"strip"}
    assert all("but for a strip across one" in pair.reason for pair in pairs)


def plate(seed: int) -> Image.Image:
    """A plate on a wall, told by nothing but its letters."""
    letters = "".join(chr(65 + n) for n in np.random.default_rng(seed).integers(0, 26, 7))
    picture = Image.new("L", (256, 256), 90)
    ImageDraw.Draw(picture).rectangle((12, 80, 244, 170), fill=230)
    return with_text(picture, letters, 108)


def ship(seed: int) -> Image.Image:
    """A dark boat somewhere before one horizon."""
    rng = np.random.default_rng(seed)
    grey = np.where(np.arange(256)[:, None] < 130, 200.0, 60.0) + rng.normal(0, 9, (256, 256))
    picture = Image.fromarray(np.uint8(np.clip(grey, 0, 255)))
    x, long = rng.integers(20, 180), rng.integers(30, 60)
    ImageDraw.Draw(picture).rectangle((x, 110, x + long, 134), fill=20)
    return picture


@pytest.mark.parametrize("draw", [plate, ship])
def test_what_only_the_strip_tells_apart_is_no_copy(draw: Callable[[int], Image.Image]) -> None:
    told = [draw(seed) for seed in range(80)] + [scene(seed) for seed in range(80)]
    pairs = copies_near_by([jpeg(one) for one in told], [n % 40 for n in range(160)])
    assert "strip" not in {pair.evidence for pair in pairs}


def test_pictures_that_only_the_model_takes_for_one_thing_are_no_parts() -> None:
    pairs = copies_near_by([jpeg(scene(seed)) for seed in range(60)], [n % 30 for n in range(60)])
    assert "part" not in {pair.evidence for pair in pairs}


def test_drawings_of_one_shape_in_several_sizes_are_no_parts_of_each_other() -> None:
    pairs = copies_near_by([jpeg(one) for one in drawings(150)], [n % 10 for n in range(150)])
    assert "part" not in {pair.evidence for pair in pairs}


def test_only_the_part_has_to_be_explained() -> None:
    whole, other = (np.asarray(scene(seed).resize((40, 40)), float) for seed in (1, 2))
    framed = np.full((40, 40), 90.0)
    framed[4:36, 4:36] = whole[4:36, 4:36]
    pictures = [framed, whole[4:36, 4:36], other[4:36, 4:36]]
    small = [Image.fromarray(np.uint8(one)).resize((SIDE, SIDE)) for one in pictures]
    grey = np.stack([np.asarray(one, np.float32).ravel() for one in small])
    pairs = np.array([[0, 1], [1, 0], [0, 2]])
    of_frame, frame_of, unrelated = left_as_part(grey, pairs, most=np.ones(3))
    assert of_frame < 0.1 < 0.3 < min(frame_of, unrelated)
    assert left_as_part(grey, pairs[:0], most=np.ones(0)).shape == (0,)
