"""Copies are found however they were made; pictures that only look alike are not."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from mlcore.alignment import SIDE, TRANSFORMED, unexplained
from mlcore.copy_sets import copy_sets, propose
from mlcore.duplicates import Pair, find_copies
from mlcore.features.waves import read_wave, spectrogram_picture
from mlcore.files import sha256_of
from mlcore.hamming import BRUTE_FORCE_ITEMS, close_pairs
from mlcore.images import measure_image

PLANTED_OF_A_KIND = 12
WORD_RATE = 16_000


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def digit_pictures(count: int) -> list[Image.Image]:
    """Real scans of digits, enlarged to 128 px, on slightly uneven paper."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(5)
    scans = load_digits().images[:count]
    pictures = []
    for scan in scans:
        small = Image.fromarray(np.uint8(scan * 15))
        big = small.resize((104, 104), Image.Resampling.BICUBIC)
        page = np.full((128, 128), 235.0) + rng.normal(0, 2, (128, 128))
        page[12:116, 12:116] -= np.asarray(big, float) * 0.85
        pictures.append(Image.fromarray(np.uint8(np.clip(page, 0, 255))))
    return pictures


def shifted(picture: Image.Image) -> Image.Image:
    pixels = np.pad(np.asarray(picture), ((3, 0), (4, 0)), mode="edge")
    return Image.fromarray(np.ascontiguousarray(pixels[:128, :128]))


CHANGES = {
    "shifted": lambda picture: jpeg(shifted(picture)),
    "re-encoded": lambda picture: jpeg(picture, 30),
    "brightened": lambda picture: jpeg(picture.point(lambda level: min(255, level * 1.15 + 8))),
    "mirrored": lambda picture: jpeg(ImageOps.mirror(picture)),
    "turned": lambda picture: jpeg(picture.rotate(90)),
    "upside down": lambda picture: jpeg(picture.rotate(180)),
}


def copies_among(contents: list[bytes], **more: float) -> list[Pair]:
    measured = [measure_image(content, "a.jpg") for content in contents]
    grey = [
        Image.open(io.BytesIO(one.preview)).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
        for one in measured
    ]
    return find_copies(
        sha256=[sha256_of(content) for content in contents],
        pixel_hashes=[one.pixel_hash for one in measured],
        phashes=np.array([one.phash for one in measured], np.uint64),
        flat=np.array([one.flat for one in measured]),
        framed=np.array([one.facts["frame_share"] > 0 for one in measured]),
        thumbnails=np.array([np.asarray(picture, np.float32).ravel() for picture in grey]),
        **more,
    )


@pytest.fixture(scope="module")
def found_among_digits() -> tuple[set[tuple[int, int]], dict[tuple[int, int], str]]:
    pictures = digit_pictures(600)
    contents = [jpeg(picture) for picture in pictures]
    planted: dict[tuple[int, int], str] = {}
    original = 0
    for kind, change in CHANGES.items():
        for _ in range(PLANTED_OF_A_KIND):
            planted[original, len(contents)] = kind
            contents.append(change(pictures[original]))
            original += 7
    return {(pair.first, pair.second) for pair in copies_among(contents)}, planted


@pytest.mark.parametrize("kind", CHANGES)
def test_planted_copies_of_digits_are_found(
    kind: str, found_among_digits: tuple[set[tuple[int, int]], dict[tuple[int, int], str]]
) -> None:
    found, planted = found_among_digits
    of_kind = {pair for pair, name in planted.items() if name == kind}
    assert len(of_kind & found) >= PLANTED_OF_A_KIND - 1


def test_different_scans_of_one_digit_are_not_called_copies(
    found_among_digits: tuple[set[tuple[int, int]], dict[tuple[int, int], str]],
) -> None:
    found, planted = found_among_digits
    original = {copy: first for first, copy in planted}
    false = {pair for pair in found if pair not in planted}
    # The scans hold a few natural twins: 1 % of the items is the most that may be called copies.
    assert len(false) <= 6, [(original.get(one, one), original.get(two, two)) for one, two in false]


def drawings(count: int) -> list[Image.Image]:
    """Plain shapes of random kind, place, size and colour: few parameters, so many near twins."""
    rng = np.random.default_rng(7)
    pictures = []
    for _ in range(count):
        paper, ink = rng.integers(140, 250, 3), rng.integers(0, 130, 3)
        page = Image.new("RGB", (160, 160), tuple(paper.tolist()))
        x, y, size = rng.integers(50, 110), rng.integers(50, 110), rng.integers(18, 42)
        draw = ImageDraw.Draw(page)
        box, colour = [x - size, y - size, x + size, y + size], tuple(ink.tolist())
        if rng.random() < 0.5:
            draw.ellipse(box, fill=colour)
        else:
            draw.rectangle(box, fill=colour)
        noisy = np.asarray(page) + rng.normal(0, 5, (160, 160, 3))
        pictures.append(Image.fromarray(np.uint8(np.clip(noisy, 0, 255))))
    return pictures


def test_simple_drawings_that_chance_makes_alike_are_not_copies() -> None:
    pictures = drawings(200)
    contents = [jpeg(picture) for picture in pictures]
    planted = {(place, 200 + place) for place in range(20)}
    contents += [CHANGES["re-encoded"](picture) for picture in pictures[:10]]
    contents += [CHANGES["brightened"](picture) for picture in pictures[10:20]]
    found = {(pair.first, pair.second) for pair in copies_among(contents)}
    assert len(planted & found) >= 17
    assert len(found - planted) <= 10


def textured(seed: int) -> Image.Image:
    """Patches and fine folds, as cloth and leaves have: a zoom moves them by their own width."""
    rng = np.random.default_rng(seed)
    grey = sum(
        weight * np.asarray(
            Image.fromarray(rng.normal(size=(cells, cells)).astype(np.float32)).resize(
                (256, 256), Image.Resampling.BICUBIC
            )
        )
        for cells, weight in ((6, 20), (40, 40))
    )  # fmt: skip
    return Image.fromarray(np.uint8(np.clip(125 + grey, 0, 255)))


@pytest.mark.parametrize("cut", [8, 14])  # 3 and 5.5 % at each side
def test_crops_of_textured_pictures_are_copies(cut: int) -> None:
    pictures = [textured(seed) for seed in range(80)]
    edges = (cut, cut, 256 - cut, 256 - cut)
    contents = [jpeg(picture) for picture in pictures]
    contents += [jpeg(picture.crop(edges)) for picture in pictures[:20]]
    found = {(pair.first, pair.second) for pair in copies_among(contents)}
    planted = {(place, 80 + place) for place in range(20)}
    assert len(planted & found) >= 18
    assert not found - planted


def test_many_copies_of_one_picture_do_not_hide_a_smaller_one() -> None:
    pictures = [textured(seed) for seed in range(12)]
    same = [jpeg(pictures[0], quality) for quality in (60, 70, 80, 90, 95)]
    squeezed = jpeg(pictures[0].resize((150, 110)), 50)
    pairs = copies_among([*same, squeezed, *map(jpeg, pictures[1:])])
    assert {pair.second for pair in pairs if pair.first == 0} == {1, 2, 3, 4, 5}
    assert all(pair.second < 6 for pair in pairs)


def test_where_few_pictures_are_unrelated_no_two_of_them_are_copies() -> None:
    ground = textured(99)
    for seed in (0, 2, 4):
        pictures = [Image.blend(textured(one), ground, 0.65) for one in (seed, seed + 1)]
        pairs = copies_among([jpeg(one, quality) for one in pictures for quality in (60, 90)])
        assert {(pair.first, pair.second) for pair in pairs} == {(0, 1), (2, 3)}


def test_what_is_less_than_matters_is_told_as_if_all_were_looked_for() -> None:
    rng = np.random.default_rng(4)
    first = rng.normal(size=(60, SIDE * SIDE)).cumsum(axis=1)
    nearer = np.roll(first, 2, axis=1) + rng.normal(size=first.shape) * rng.uniform(0, 9, (60, 1))
    most = rng.uniform(0, 0.6, len(first))
    own = np.stack([np.arange(len(first))] * 2, axis=1)
    full, told = (unexplained(first, nearer, own, most=limit) for limit in (None, most))
    assert 10 < (full < most).sum() < 50
    np.testing.assert_allclose(told[full < most], full[full < most], atol=1e-4)
    assert (told[full >= most] >= most[full >= most]).all()
    assert unexplained(first, nearer, own[:0], most=most[:0]).shape == (0,)


def test_a_picture_in_many_pairs_is_compared_as_if_each_pair_were_alone() -> None:
    rng = np.random.default_rng(4)
    pictures = rng.integers(0, 256, (30, 8, 8)).repeat(4, axis=1).repeat(4, axis=2)
    pictures = np.concatenate([pictures, np.roll(pictures[:10], 1, axis=2)]).reshape(40, -1)
    pairs = rng.integers(0, 40, (TRANSFORMED + 500, 2))
    together = unexplained(pictures.astype(np.uint8), pictures, pairs)
    alone = [unexplained(pictures, pictures, pair[None])[0] for pair in pairs[::13]]
    np.testing.assert_allclose(together[::13], alone, atol=1e-4)
    assert together.min() < 0.1 < 0.5 < together.max()


def test_blank_pages_do_not_match_each_other_unless_they_are_equal() -> None:
    rng = np.random.default_rng(0)
    pages = [
        jpeg(Image.fromarray(np.uint8(np.clip(rng.normal(grey, 0.3, (64, 64)), 0, 255))))
        for grey in range(100, 160, 3)
    ]
    pairs = copies_among([*pages, pages[0]])
    assert [(pair.first, pair.second, pair.evidence) for pair in pairs] == [(0, 20, "bytes")]


def sky(rng: np.random.Generator) -> Image.Image:
    """A plain sky that darkens upwards, with one soft light spot and a camera's noise."""
    down, right = np.mgrid[:120, :160]
    spot = (down - rng.uniform(0, 120)) ** 2 + (right - rng.uniform(0, 160)) ** 2
    light = 40 * np.exp(-spot / rng.uniform(500, 3000)) + down * rng.uniform(0.1, 0.5)
    colours = np.array([110, 150, 220]) + light[..., None] + rng.normal(0, 2, (120, 160, 3))
    return Image.fromarray(np.uint8(np.clip(colours, 0, 255)))


def test_plain_skies_with_a_light_spot_match_nothing_beside_photos_that_do() -> None:
    rng = np.random.default_rng(3)
    photos = [textured(seed) for seed in range(120)]
    contents = [jpeg(picture) for picture in [*photos, *(sky(rng) for _ in range(60))]]
    contents += [CHANGES["brightened"](picture) for picture in photos[:10]]
    pairs = copies_among(contents)
    assert {(pair.first, pair.second) for pair in pairs} == {(i, 180 + i) for i in range(10)}


def moon(rng: np.random.Generator, cover: float, corners: float) -> Image.Image:
    """A shape in a plain sky that darkens upwards: a disc, a crescent or a square that may be cut.

    A second disc of its size covers it but for `cover` of its radius; more than 2 leaves it whole.
    """
    down, right = np.mgrid[:120, :160]
    y, x, size = rng.uniform(10, 110), rng.uniform(10, 150), rng.uniform(8, 25)
    norm = np.hypot if corners < 1 else np.maximum
    turn = rng.uniform(0, 2 * np.pi)
    inside = norm(np.abs(down - y), np.abs(right - x)) < size
    shift = (down - y - cover * size * np.sin(turn), right - x - cover * size * np.cos(turn))
    inside &= np.hypot(*shift) >= size
    light = np.where(inside, rng.uniform(60, 100), down * rng.uniform(0.1, 0.5))
    colours = np.array([110, 150, 150]) + light[..., None] + rng.normal(0, 2, (120, 160, 3))
    return Image.fromarray(np.uint8(np.clip(colours, 0, 255)))


@pytest.mark.parametrize(("cover", "corners"), [(3, 0), (0.6, 0), (3, 1)])
def test_plain_shapes_are_copies_where_they_lie_and_of_no_other_shape(
    cover: float, corners: float
) -> None:
    rng = np.random.default_rng(4)
    moons = [moon(rng, cover, corners) for _ in range(60)]
    pictures = [*(textured(seed) for seed in range(60)), *moons]
    contents = [jpeg(picture) for picture in pictures]
    contents += [jpeg(picture.resize((107, 80)), 60) for picture in pictures[60:80]]
    contents += [CHANGES["re-encoded"](picture) for picture in pictures[50:60]]
    found = {(pair.first, pair.second) for pair in copies_among(contents)}
    planted = {(60 + i, 120 + i) for i in range(20)}
    assert len(found & planted) >= 19
    assert found - planted == {(50 + i, 140 + i) for i in range(10)}


def test_equal_pixels_in_other_bytes_are_found_without_any_picture() -> None:
    pairs = find_copies(sha256=["a", "b", "c"], pixel_hashes=["x", "y", "x"])
    assert [(pair.first, pair.second, pair.evidence) for pair in pairs] == [(0, 2, "pixels")]


def test_texts_join_by_letters_and_by_words_into_one_set_and_short_ones_by_letters_only() -> None:
    texts = [
        "When will the new card that I ordered last week be here?",
        "when will the new card, that I ordered last week, be here",
        "When will the new card that I ordered last week be here please",
        "Where is it?",
        "where is it",
        "Where is it then",
    ]
    brief = np.array([False, False, False, True, True, True])
    pairs = find_copies(sha256=list("abcdef"), flat=brief, texts=texts)
    found = [(pair.first, pair.second, pair.evidence) for pair in pairs]
    assert found == [(0, 1, "letters"), (3, 4, "letters"), (0, 2, "words")]
    assert pairs[0].reason == "The same words; only punctuation, spaces or capitals differ."
    assert copy_sets(6, pairs) == [[0, 1, 2], [3, 4]]


def spoken(seed: int) -> np.ndarray:
    """A second at 16 kHz: four vowels of random pitch and formants, in a quiet room."""
    rng = np.random.default_rng(seed)
    wave = rng.normal(0, 2e-4, WORD_RATE)
    begin = 4000
    for _ in range(4):
        length = int(rng.integers(1200, 2400))
        time = np.arange(length) / WORD_RATE
        formants, pitch = rng.uniform(300, 3500, 3), rng.uniform(90, 250)
        for partial in pitch * np.arange(1, 25):
            loud = np.exp(-(((partial - formants) / 250) ** 2)).sum()
            wave[begin : begin + length] += 0.05 * loud * np.sin(2 * np.pi * partial * time)
        begin += length
    return wave


def encoded(wave: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, wave, WORD_RATE, format=kind)
    return stream.getvalue()


SOUND_CHANGES = {
    "10 ms later": lambda wave: encoded(np.r_[np.zeros(160), wave[:-160]], "WAV"),
    "200 ms later": lambda wave: encoded(np.r_[np.zeros(3200), wave[:-3200]], "WAV"),
    "200 ms earlier": lambda wave: encoded(np.r_[wave[3200:], np.zeros(3200)], "WAV"),
    "softer": lambda wave: encoded(0.1 * wave, "WAV"),
    "mp3": lambda wave: encoded(wave, "MP3"),
    "ogg": lambda wave: encoded(wave, "OGG"),
    "all": lambda wave: encoded(0.5 * np.r_[np.zeros(1600), wave[:-1600]], "MP3"),
}


@pytest.mark.parametrize("change", SOUND_CHANGES)
def test_shifted_louder_and_re_encoded_clips_are_copies_and_other_words_are_not(
    change: str,
) -> None:
    words = [spoken(seed) for seed in range(40)]
    copies = [SOUND_CHANGES[change](words[place]) for place in range(5)]
    contents = [encoded(word, "WAV") for word in words] + copies
    pictures = np.stack([spectrogram_picture(read_wave(content)) for content in contents])
    pairs = find_copies(sha256=[str(row) for row in range(45)], thumbnails=pictures)
    assert sorted((pair.first, pair.second) for pair in pairs) == [(n, 40 + n) for n in range(5)]


def test_silent_clips_are_alike_to_nothing() -> None:
    clips = [spoken(seed) for seed in range(30)] + [np.zeros(WORD_RATE)] * 3
    pictures = np.stack([spectrogram_picture(clip) for clip in clips])
    assert find_copies(sha256=[str(row) for row in range(33)], thumbnails=pictures) == []


@pytest.mark.parametrize("evidence", ["pixels", "hash"])
def test_of_equally_large_copies_the_sharpest_is_proposed_to_stay(evidence: str) -> None:
    pairs = [Pair(0, 1, 0.9, evidence, ""), Pair(1, 2, 0.9, evidence, "")]
    pairs.append(Pair(0, 2, 0.9, evidence, ""))
    known = {"is_test": [False] * 3, "is_labelled": [True] * 3, "sizes": [5.0] * 3}
    (found,) = propose(pairs, **known, sharpness=[1.0, 3.0, 2.0])
    assert (found.kept, found.taken) == ((1,), (0, 2))


@settings(max_examples=20)
@given(seed=st.integers(0, 100), most_bits=st.integers(0, 11))
def test_hash_search_finds_what_comparing_all_finds(seed: int, most_bits: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, 80, np.uint64)
    for bits in range(12):
        hashes[bits] = hashes[40 + bits] ^ np.uint64(2**bits - 1)
    distance = np.bitwise_count(hashes[:, None] ^ hashes)
    wanted = [[i, j] for i, j in np.argwhere(distance <= most_bits).tolist() if i < j]
    assert close_pairs(hashes, hashes, most_bits=most_bits).tolist() == wanted


def test_hash_search_by_buckets_finds_planted_pairs_among_many() -> None:
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**64, BRUTE_FORCE_ITEMS + 500, np.uint64)
    for place in range(100):
        flipped = rng.choice(64, 10, replace=False).astype(np.uint64)
        hashes[place + 200] = hashes[place] ^ (np.uint64(1) << flipped).sum(dtype=np.uint64)
    found = {tuple(pair) for pair in close_pairs(hashes, hashes, most_bits=10).tolist()}
    assert {(place, place + 200) for place in range(100)} <= found
    assert len(found) < 110
