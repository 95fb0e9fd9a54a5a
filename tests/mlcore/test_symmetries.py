"""Pictures that are alike once one is mirrored, turned or both are met in one search."""

import numpy as np
import pytest
from PIL import Image

from mlcore.alignment import SIDE
from mlcore.symmetries import N_WAYS, changed_pairs, lying
from tests.mlcore.test_duplicates import copies_among, jpeg, textured


@pytest.mark.parametrize("way", range(1, N_WAYS))
def test_copies_that_lie_in_any_way_are_met_with_the_way(way: int) -> None:
    rng = np.random.default_rng(2)
    light = rng.normal(size=(60, SIDE, SIDE)).cumsum(axis=1).cumsum(axis=2)
    pictures = 128 + 40 * (light / light.std(axis=(1, 2), keepdims=True)).reshape(60, -1)
    copies = lying(pictures[:30][::-1], way) + rng.normal(0, 3, (30, SIDE * SIDE))
    pairs, ways = changed_pairs(np.concatenate([pictures, copies]), most_bits=10)
    for (one, other), found in zip(pairs, ways, strict=True):
        if one + other == 89:
            back = lying(np.concatenate([pictures, copies])[[other]], found)
            assert np.corrcoef(back[0], pictures[one])[0, 1] > 0.9
    met = {(int(one), int(other)) for one, other in pairs}
    assert {(n, 89 - n) for n in range(30)} <= met


@pytest.mark.parametrize(
    ("way", "evidence", "words"),
    [
        (Image.Transpose.FLIP_LEFT_RIGHT, "mirror", "mirrored."),
        (Image.Transpose.FLIP_TOP_BOTTOM, "mirror", "mirrored from top to bottom."),
        (Image.Transpose.ROTATE_90, "turn", "turned by 90 degrees."),
        (Image.Transpose.ROTATE_180, "turn", "turned by 180 degrees."),
        (Image.Transpose.ROTATE_270, "turn", "turned by 90 degrees."),
        (Image.Transpose.TRANSPOSE, "turn", "mirrored and turned by 90 degrees."),
        (Image.Transpose.TRANSVERSE, "turn", "mirrored and turned by 90 degrees."),
    ],
)
def test_mirrored_and_turned_copies_are_found_and_named(
    way: Image.Transpose, evidence: str, words: str
) -> None:
    pictures = [textured(seed).crop((0, 0, 256, 192)) for seed in range(60)]
    contents = [jpeg(picture) for picture in pictures]
    contents += [jpeg(one.transpose(way), 60) for one in reversed(pictures[:12])]
    pairs = copies_among(contents)
    assert {(pair.first, pair.second) for pair in pairs} == {(n, 71 - n) for n in range(12)}
    assert {pair.evidence for pair in pairs} == {evidence}
    assert all(pair.reason.endswith(f", once one is {words}") for pair in pairs)


def test_a_copy_that_looks_the_same_turned_is_told_as_it_lies() -> None:
    grey = [np.asarray(textured(seed), float) for seed in range(40)]
    alike = [sum(np.rot90(one, turn) for turn in range(4)) / 4 for one in grey]
    pictures = [Image.fromarray(np.uint8(one)) for one in alike]
    pairs = copies_among([*map(jpeg, pictures), *(jpeg(one, 40) for one in pictures[:8])])
    found = [(pair.first, pair.second, pair.evidence) for pair in pairs]
    assert sorted(found) == [(n, 40 + n, "hash") for n in range(8)]


def test_a_picture_that_looks_the_same_mirrored_is_no_pair_of_its_own() -> None:
    even = np.abs(np.indices((SIDE, SIDE)) - SIDE / 2 + 0.5).sum(axis=0).ravel()[None] * 4
    pairs, ways = changed_pairs(even, most_bits=10)
    assert pairs.shape == (0, 2)
    assert len(ways) == 0
    assert changed_pairs(even[:0], most_bits=10)[0].shape == (0, 2)


def test_pictures_that_look_alike_however_they_lie_are_paired_once_a_way() -> None:
    down, right = np.indices((SIDE, SIDE)) - 15.5
    ring = 255 - 200 * np.exp(-((np.hypot(down, right) - 9) ** 2) / 4)
    noise = np.random.default_rng(1).normal(0, 2, (60, SIDE, SIDE))
    pairs, ways = changed_pairs((ring + noise).reshape(60, -1), most_bits=10)
    told = [tuple(one) for one in np.column_stack([pairs, ways]).tolist()]
    assert told
    assert told == sorted(set(told))
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert set(ways.tolist()) <= set(range(1, N_WAYS))
