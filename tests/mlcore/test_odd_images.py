"""Planted faults of pictures are found; what is usual in a set is not odd in it."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from mlcore.files import Fact
from mlcore.frames import frame_share, frame_shares, rim_of
from mlcore.image_measures import surface_facts
from mlcore.images import measure_image
from mlcore.odd_images import READS, OddPicture, find_odd_images
from tests.mlcore.test_images import saved, scene

N, PLANTED, SIDE = 200, 8, 96


def measured(picture: Image.Image) -> dict[str, Fact]:
    return measure_image(saved(picture, quality=90), "a.jpg").facts


def photo(seed: int) -> Image.Image:
    """Return a scene with the light and noise of a photo of its own."""
    rng = np.random.default_rng(seed)
    pixels = np.asarray(scene(seed, size=SIDE), float)
    pixels = rng.uniform(0.7, 1.2) * pixels + rng.uniform(-25, 25) + rng.normal(0, 6, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@cache
def clean() -> list[dict[str, Fact]]:
    return [measured(photo(seed)) for seed in range(N)]


def found(facts: list[dict[str, Fact]]) -> list[OddPicture]:
    columns = {name: np.array([one.get(name, np.nan) for one in facts], float) for name in READS}
    return find_odd_images(columns, pixels=[""] * len(facts), labels=np.zeros(len(facts), int))


def drawn(picture: Image.Image) -> Image.Image:
    blank = Image.new("RGB", picture.size, (238, 238, 238))
    ImageDraw.Draw(blank).rectangle((30, 30, 66, 60), outline=(160, 160, 160), width=2)
    return blank


def mostly(change: Callable[[int], float]) -> Callable[[Image.Image], Image.Image]:
    """Return what changes the light of a picture but for a sixth of it, as beside a lamp."""

    def lit(picture: Image.Image) -> Image.Image:
        changed = picture.point(lambda v: int(change(v)))
        changed.paste(picture.crop((0, 0, SIDE // 6, SIDE)))
        return changed

    return lit


def smeared(picture: Image.Image) -> Image.Image:
    """Return a picture moved while it was taken: the mean of nine, each a pixel further."""
    pixels = np.asarray(picture, float)
    moved = [np.roll(pixels, (step, step), axis=(0, 1)) for step in range(9)]
    return Image.fromarray(np.mean(moved, axis=0).astype(np.uint8))


def noise(picture: Image.Image) -> Image.Image:
    rng = np.random.default_rng(np.asarray(picture).sum())
    return Image.fromarray(rng.integers(0, 256, (*picture.size[::-1], 3)).astype(np.uint8))


def checked(picture: Image.Image) -> Image.Image:
    """Return fields of two colours, with so many edges that JPEG leaves them uneven."""
    fields = np.add.outer(np.arange(SIDE) // 13, np.arange(SIDE) // 11) % 2
    return Image.fromarray(np.where(fields[..., None], (200, 190, 180), (60, 50, 45)).astype("u1"))


def too_long_exposed(picture: Image.Image) -> Image.Image:
    """Return a coloured picture whose red is cut off over a part, beside what is well seen."""
    light = picture.copy()
    light.paste(picture.crop((0, 0, SIDE, SIDE // 2)).point(lambda v: min(255, v + 90)))
    red, green, blue = light.split()
    top = red.crop((0, 0, SIDE, SIDE // 2)).point(lambda v: min(255, 3 * v))
    red.paste(top)
    return Image.merge("RGB", (red, green, blue))


def without_blue(picture: Image.Image) -> Image.Image:
    red, green, _blue = picture.split()
    return Image.merge("RGB", (red, green, Image.new("L", picture.size)))


FAULTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "dark": lambda picture: picture.point(lambda v: int(v * 0.15)),
    "over_light": lambda picture: picture.point(lambda v: 205 + int(v * 0.18)),
    "black": mostly(lambda v: 0.05 * v),
    "blown": mostly(lambda v: min(255, 8 * v)),
    "blurry": lambda picture: picture.filter(ImageFilter.GaussianBlur(3)),
    "cut_off": too_long_exposed,
    "drawn": drawn,
    "two_colours": checked,
    "noise": noise,
    "odd_shape": lambda picture: picture.resize((400, 60)),
    "channel_lost": without_blue,
    "framed": lambda picture: ImageOps.expand(picture, border=12, fill="white"),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
}


def test_what_moved_is_blurry_although_edges_along_the_way_stay_sharp():
    planted = [measured(smeared(photo(1000 + seed))) for seed in range(PLANTED)]
    hit = {odd.row for odd in found(clean() + planted) if odd.code == "blurry" and odd.is_likely}
    assert len(hit & set(range(N, N + PLANTED))) >= PLANTED - 1


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_named_and_others_left_alone(fault):
    planted = [measured(FAULTS[fault](photo(1000 + seed))) for seed in range(PLANTED)]
    told = found(clean() + planted)
    hit = {odd.row for odd in told if odd.code == fault and odd.row >= N}
    assert len(hit) >= PLANTED - 1
    assert len({odd.row for odd in told if odd.row < N and odd.is_likely}) <= 0.01 * N


@pytest.mark.parametrize("fault", FAULTS)
def test_a_set_that_is_all_like_that_is_not_odd(fault):
    """Pictures of the night, of a scanner, on white ground: usual here, whatever the limit."""
    night = [measured(FAULTS[fault](photo(seed))) for seed in range(60)]
    told = [odd for odd in found(night) if odd.is_likely and odd.code == fault]
    assert len(told) <= 1


@pytest.mark.parametrize("ground", ["black", "white"])
def test_a_thing_well_seen_on_black_or_white_ground_is_not_lost(ground):
    placed = Image.new("RGB", (2 * SIDE, 2 * SIDE), ground)
    placed.paste(photo(5), (SIDE // 2, SIDE // 2))
    told = {odd.code for odd in found([*clean(), measured(placed)]) if odd.row == N}
    assert not told & {"dark", "over_light", "black", "blown"}


def test_light_paper_and_ink_is_neither_over_exposed_nor_a_sign_where_all_are_like_that():
    """Sheets in full light, nearly white and more or less tinted, a few of them most of all."""
    rng = np.random.default_rng(5)
    sheets = []
    for light in rng.normal(1.0, 0.02, N):
        sheet = Image.new("RGB", (SIDE, SIDE), (250, 246, 240))
        width = int(rng.integers(4, 9))
        ImageDraw.Draw(sheet).ellipse((25, 15, 70, 80), outline=(40, 50, 90), width=width)
        pixels = np.asarray(sheet, float) * light + rng.normal(0, 2.5, (SIDE, SIDE, 1))
        shown = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        sheets.append(measured(shown.filter(ImageFilter.GaussianBlur(2))))
    assert [odd for odd in found(sheets) if odd.code in ("cut_off", "two_colours")] == []


def test_a_field_of_one_colour_that_light_took_to_the_end_has_lost_nothing():
    planted = []
    for seed in range(PLANTED):
        picture = photo(1000 + seed).resize((256, 256)).point(lambda v: int(0.8 * v))
        ImageDraw.Draw(picture).rectangle((60, 10 + seed, 190, 130), fill=(225, 180, 60 + seed))
        planted.append(measured(picture.point(lambda v: min(255, int(1.25 * v)))))
    assert [odd for odd in found(clean() + planted) if odd.code == "cut_off"] == []


def sky(seed: int) -> Image.Image:
    """Return a plane before a light sky that brightens evenly, with the noise of a camera."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(0, rng.uniform(8, 20), SIDE)[:, None]
    luma = rng.uniform(165, 225) + slope + rng.normal(0, 1.5, (SIDE, SIDE))
    shown = Image.fromarray(np.clip(luma[..., None] + [-12, 0, 12], 0, 255).astype(np.uint8))
    x, y = rng.integers(30, 60, 2).tolist()
    ImageDraw.Draw(shown).polygon([(x, y), (x + 26, y + 6), (x + 9, y + 12)], fill=(40, 45, 60))
    return shown


def test_a_plane_before_an_even_sky_is_neither_over_light_nor_a_sign():
    planted = [measured(sky(seed)) for seed in range(PLANTED)]
    assert min(one["two_colour_share"] for one in planted) > 0.9
    assert min(one["luma_low"] for one in planted) > 150
    assert [odd for odd in found(clean() + planted) if odd.row >= N and odd.is_likely] == []


def test_what_is_blurred_until_hardly_anything_differs_is_still_blurry():
    planted = []
    for seed in range(PLANTED):
        faint = photo(1000 + seed).point(lambda v: 60 + v // 2)
        planted.append(measured(faint.filter(ImageFilter.GaussianBlur(12))))
    assert max(one["contrast"] for one in planted) < 8
    told = {odd.row for odd in found(clean() + planted) if odd.code == "blurry" and odd.is_likely}
    assert told >= set(range(N, N + PLANTED))


def test_a_dark_picture_is_not_also_said_to_show_little():
    planted = [measured(photo(7).point(lambda v: int(v * 0.06)))]
    assert [odd.code for odd in found(clean() + planted) if odd.row == N] == ["dark"]


def test_one_picture_for_items_of_several_classes_is_a_placeholder():
    facts = {name: np.full(60, np.nan) for name in READS}
    pixels = [str(row) for row in range(60)]
    pixels[3] = pixels[20] = pixels[41] = "same"
    labels = np.arange(60) % 2
    told = find_odd_images(facts, pixels=pixels, labels=labels)
    assert {(odd.row, odd.code) for odd in told} == {(row, "placeholder") for row in (3, 20, 41)}
    assert not find_odd_images(facts, pixels=pixels, labels=np.zeros(60, int))


def test_a_picture_saved_at_the_lowest_quality_is_coarse():
    coarse = measure_image(saved(photo(3), quality=5), "a.jpg").facts
    assert "coarse" in {odd.code for odd in found([*clean(), coarse]) if odd.row == N}


def test_the_grey_end_of_a_file_that_broke_off_is_a_frame():
    broken = photo(4)
    broken.paste((128, 128, 128), (0, 60, SIDE, SIDE))
    assert {odd.code for odd in found([*clean(), measured(broken)]) if odd.row == N} == {"framed"}
    broken.paste((128, 128, 128), (40, 52, SIDE, 60))  # within a row of blocks
    assert frame_share(np.asarray(broken)) == pytest.approx(44 / SIDE)


def test_few_pictures_say_nothing():
    assert not found([*clean()[:10], measured(Image.new("RGB", (64, 64)))])


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 90))
def test_any_measurements_give_scores_within_their_limits(seed, n_items):
    rng = np.random.default_rng(seed)
    facts = {
        name: rng.choice([np.nan, 0.0, 1.0, 60.0, 255.0, rng.random()], n_items) for name in READS
    }
    facts["width"] = facts["height"] = rng.integers(1, 9, n_items).astype(float)
    labels = rng.integers(-1, 2, n_items)
    told = find_odd_images(facts, pixels=rng.choice(["", "a", "b"], n_items), labels=labels)
    assert all(0.0 <= odd.score <= 1.0 and 0 <= odd.row < n_items for odd in told)


@given(st.tuples(*[st.integers(0, 12)] * 4), st.integers(0, 99),
       st.sampled_from([(0, 0, 0), (255, 255, 255), (220, 0, 30), (10, 20, 90)]))  # fmt: skip
def test_bars_of_any_colour_at_any_sides_have_the_share_that_was_drawn(sides, seed, colour):
    left, top, right, bottom = sides
    pixels = np.full((80, 80, 3), colour, np.uint8)
    inside = np.random.default_rng(seed).integers(
        60, 200, (80 - top - bottom, 80 - left - right, 3)
    )
    pixels[top : 80 - bottom, left : 80 - right] = inside
    drawn = 1 - inside.size / pixels.size
    assert frame_share(pixels) == pytest.approx(drawn)


def test_a_frame_around_one_line_of_pixels_has_all_its_sides():
    pixels = np.full((9, 3), 100, np.uint8)
    pixels[1:8, 1] = 200
    assert frame_share(pixels) == pytest.approx(20 / 27)


@given(st.integers(1, 9), st.booleans(), st.integers(10, 25))
def test_an_edge_has_the_width_over_which_it_rises(width, is_upright, step):
    luma = np.tile(20 + step * np.clip(np.arange(64) - 20, 0, width), (64, 1)).astype(np.uint8)
    picture = Image.fromarray(luma if is_upright else luma.T.copy())
    assert surface_facts(np.asarray(picture))["edge_width"] == pytest.approx(width, rel=0.02)


def clouds(seed: int, *, blur: float = 0.0) -> Image.Image:
    """Return coarse and fine clouds with noise; once blurred, little but rounding bends."""
    rng = np.random.default_rng(seed)
    size = (2 * SIDE, 2 * SIDE)
    pixels = rng.normal(127, rng.uniform(2, 8), size)
    for cells, strength in ((6, 1.4), (36, 0.8)):
        cloud = Image.fromarray(rng.integers(0, 80, (cells, cells)).astype(np.uint8))
        pixels += strength * (np.asarray(cloud.resize(size, Image.Resampling.BICUBIC), float) - 40)
    shown = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert("RGB")
    return shown.filter(ImageFilter.GaussianBlur(blur))


def test_what_is_strongly_blurred_is_told_in_a_set_of_sharp_and_of_soft_pictures():
    """Few levels are left to it, so rounding makes most of what bends; it is no edge."""
    halves = [clouds(seed).reduce(2) for seed in range(40)]
    facts = [*clean(), *map(measured, halves)]
    blurred = [measured(clouds(1000 + seed, blur=7)) for seed in range(PLANTED)]
    told = [odd.row for odd in found(facts + blurred) if odd.code == "blurry" and odd.is_likely]
    assert len({row for row in told if row >= len(facts)}) >= PLANTED - 1
    assert len({row for row in told if row < len(facts)}) <= 0.01 * len(facts)


def test_products_cut_out_on_white_are_neither_framed_nor_too_light():
    products = []
    for seed in range(8):
        ground = Image.new("RGB", (SIDE, SIDE), "white")
        mask = Image.new("L", (SIDE, SIDE))
        shape = (10 + seed, 5 + seed // 2, SIDE - 8, SIDE - 3 - seed)
        ImageDraw.Draw(mask).rounded_rectangle(shape, radius=14, fill=255)
        ground.paste(photo(seed), mask=mask)
        assert frame_shares([ground], [rim_of(np.asarray(ground))]) == [0.0]
        products.append(measured(ground))
    told = {odd.code for odd in found(clean() + products) if odd.row >= N}
    assert not told & {"framed", "over_light", "blown", "cut_off"}


def test_ground_around_an_object_and_sky_above_a_road_are_no_frames():
    ground = Image.new("L", (120, 120), 250)
    ImageDraw.Draw(ground).ellipse((30, 20, 90, 100), fill=60)
    assert frame_share(np.asarray(ground)) == 0.0
    road = np.random.default_rng(0).integers(0, 90, (120, 120)).astype(np.uint8)
    road[:40] = 220
    assert frame_share(road) == 0.0


def test_an_outline_that_grows_before_plain_ground_frames_nothing():
    car = Image.new("RGB", (32, 32), "white")
    ImageDraw.Draw(car).rounded_rectangle((1, 8, 30, 23), radius=5, fill=(20, 40, 110))
    assert frame_share(np.asarray(car)) == 0.0
    ImageDraw.Draw(car).rectangle((0, 8, 31, 23), fill=(20, 40, 110))
    assert frame_share(np.asarray(car)) == 0.5


def test_strokes_along_a_side_are_no_frame_among_drawings():
    icons = []
    for seed in range(60):
        icon = Image.new("RGB", (SIDE, SIDE), "white")
        pen = ImageDraw.Draw(icon)
        pen.line((20 + seed % 9, 20, 70, 30 + seed), fill="black", width=6)
        if seed in (3, 30):
            pen.rectangle((12, 0, 20, SIDE), fill="black")
        icons.append(measured(icon))
    assert sum(one["frame_share"] > 0 for one in icons) == 2
    assert [odd for odd in found(icons) if odd.code == "framed"] == []


@pytest.mark.parametrize("turn", range(4))
def test_waves_whose_even_ends_meet_frame_nothing(turn):
    waves = np.tile(np.repeat([100, 90, 115, 110], 8).astype(np.uint8), (32, 1))
    assert frame_share(np.ascontiguousarray(np.rot90(waves, turn))) == 0.0


def test_a_frame_is_found_after_jpeg():
    out = io.BytesIO()
    ImageOps.expand(photo(1), border=20, fill="black").save(out, "JPEG", quality=60)
    assert measure_image(out.getvalue(), "a.jpg").facts["frame_share"] > 0.35
