"""A class made of two is the first of the list; classes that are one stay below the line."""

import numpy as np
import pytest

from mlcore.split_classes import find_split_classes

CLASSES, EACH, SIZE = 6, 60, 20


def points(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return clouds of one width around middles that are about as far apart as each other."""
    middles = rng.normal(size=(CLASSES, SIZE)) * 1.2
    shown = np.repeat(np.arange(CLASSES), EACH)
    return middles[shown] + rng.normal(size=(len(shown), SIZE)), shown


def found(vectors, shown, **more):
    return find_split_classes(
        vectors, shown, n_classes=CLASSES, rng=np.random.default_rng(1), **more
    )


@pytest.mark.parametrize("seed", range(5))
def test_two_classes_under_one_name_come_first_and_apart(seed):
    vectors, truth = points(np.random.default_rng(seed))
    shown = np.where(truth == 5, 2, truth)
    first, second, *_ = found(vectors, shown)
    assert first.label == 2
    assert first.score > second.score
    assert all(max(np.mean(truth[part] == name) for name in (2, 5)) > 0.9 for part in first.parts)
    assert set(first.typical[0].tolist()) <= set(first.parts[0].tolist())


@pytest.mark.parametrize("seed", range(5))
def test_classes_that_are_one_stay_below_the_line(seed):
    vectors, truth = points(np.random.default_rng(seed))
    assert all(split.score < 0.5 for split in found(vectors, truth))


def test_what_is_common_to_a_source_is_no_part_of_a_class():
    rng = np.random.default_rng(0)
    vectors, truth = points(rng)
    speakers = np.arange(len(truth)) % 2
    vectors = vectors + speakers[:, None] * 6.0
    assert found(vectors, truth)[0].conductance < 0.1
    groups = [f"speaker {number}" for number in speakers]
    assert all(split.conductance > 0.3 for split in found(vectors, truth, groups=groups))


def test_small_classes_and_single_ones_are_not_judged():
    vectors = np.random.default_rng(0).normal(size=(40, 4))
    assert not found(vectors, np.arange(40) % 4)
    assert not found(vectors, np.zeros(40, dtype=int))
