"""A picture in a frame is found by what the frame holds; no model has to propose it."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from mlcore.alignment import SIDE
from mlcore.insides import insides
from tests.mlcore.test_duplicates import copies_among, digit_pictures, jpeg
from tests.mlcore.test_parts import scene

WHITE, BLACK, DARK_GREY = 255, 0, 50


def framed(picture: Image.Image, share: float, level: int) -> Image.Image:
    return ImageOps.expand(picture, round(share * picture.width), level)


@pytest.mark.parametrize("level", [WHITE, BLACK, DARK_GREY])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.15, 0.2])
def test_a_picture_in_a_frame_is_found_without_a_model(share: float, level: int) -> None:
    pictures = [scene(seed) for seed in range(40)]
    contents = [jpeg(picture) for picture in pictures]
    contents += [jpeg(framed(picture, share, level)) for picture in pictures[:10]]
    pairs = {(pair.first, pair.second) for pair in copies_among(contents)}
    planted = {(n, 40 + n) for n in range(10)}
    assert pairs <= planted
    assert len(pairs) >= 8


def test_pictures_in_the_same_frame_are_no_copies() -> None:
    alike = [jpeg(framed(scene(seed), 0.12, BLACK)) for seed in range(60)]
    assert copies_among(alike + [jpeg(scene(seed)) for seed in range(60, 120)]) == []


def test_digits_in_the_same_frame_are_no_copies() -> None:
    pages = digit_pictures(200)
    contents = [jpeg(framed(page, 0.1, BLACK) if n % 2 else page) for n, page in enumerate(pages)]
    assert copies_among(contents) == []


@pytest.mark.parametrize("sides", [(0, 30), (30, 0), (30, 30)])
def test_an_inside_is_what_bars_leave(sides: tuple[int, int]) -> None:
    alone = scene(3)
    within = ImageOps.expand(alone, sides, 20)
    small = [
        np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX))
        for picture in (alone, within)
    ]
    rows, found = insides(np.stack(small).reshape(2, -1))
    assert rows.tolist() == [1]
    assert np.corrcoef(found[0], small[0].ravel())[0, 1] > 0.95


def test_a_thin_strip_between_wide_bars_is_left_alone() -> None:
    within = ImageOps.expand(scene(3).crop((0, 0, 256, 60)), (0, 100), 20)
    small = np.asarray(within.resize((SIDE, SIDE), Image.Resampling.BOX))
    assert len(insides(small.reshape(1, -1))[0]) == 0
    assert len(insides(np.zeros((0, SIDE * SIDE)))[0]) == 0
