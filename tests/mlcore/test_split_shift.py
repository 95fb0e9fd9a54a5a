"""Splits of a sorted file and of another domain are found; shuffled ones are not."""

import numpy as np
import pytest

from mlcore.split_shift import find_split_shifts

N, CLASSES, SIZE = 400, 4, 20


def items(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, CLASSES, N)
    middles = rng.normal(size=(CLASSES, SIZE)) * 2.0
    return labels, middles[labels] + rng.normal(size=(N, SIZE))


def found(labels, splits, vectors=None, groups=None):
    return find_split_shifts(
        labels,
        np.asarray(splits, dtype="U12"),
        groups=[""] * len(labels) if groups is None else groups,
        vectors=vectors,
        rng=np.random.default_rng(1),
    )


def sure(shifts):
    return [shift for shift in shifts if shift.p_value <= 0.01]


def test_a_sorted_file_cut_at_four_fifths_has_other_classes_on_each_side():
    labels = np.sort(items(np.random.default_rng(0))[0])
    splits = np.where(np.arange(N) < 0.8 * N, "train", "test")
    (shift,) = sure(found(labels, splits))
    assert (shift.cause, shift.splits) == ("classes", ("test", "train"))
    assert shift.size > 0.5
    assert set(splits[shift.typical[0]]) == {"test"}
    assert labels[shift.typical[0][0]] == CLASSES - 1


@pytest.mark.parametrize("seed", range(3))
def test_splits_from_two_domains_are_told_apart_with_typical_items(seed):
    rng = np.random.default_rng(seed)
    labels, vectors = items(rng)
    splits = np.where(rng.random(N) < 0.7, "train", "test")
    is_other = (splits == "test") & (rng.random(N) < 0.7)
    vectors[is_other] += 2.0
    (shift,) = sure(found(labels, splits, vectors))
    assert shift.cause == "domain"
    assert shift.size > 0.7
    assert is_other[shift.typical[0][:10]].all()


def test_with_three_splits_the_one_that_differs_is_still_sure():
    rng = np.random.default_rng(0)
    labels, vectors = items(rng)
    splits = rng.choice(["train", "validation", "test"], N, p=[0.6, 0.2, 0.2])
    vectors[splits == "test"] += 2.0
    told = {shift.splits for shift in sure(found(labels, splits, vectors))}
    assert told == {("test", "train"), ("test", "validation")}


def test_shuffled_splits_represent_each_other():
    shifts = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        labels, vectors = items(rng)
        splits = rng.choice(["train", "validation", "test"], N, p=[0.7, 0.15, 0.15])
        shifts += sure(found(labels, splits, vectors))
    assert not shifts


def test_speakers_of_one_split_only_are_no_surprise():
    rng = np.random.default_rng(0)
    labels, vectors = items(rng)
    speaker = np.arange(N) % 10
    vectors += (rng.normal(size=(10, SIZE)) * 2.0)[speaker]
    splits = np.where(speaker < 7, "train", "test")
    groups = [f"speaker {number}" for number in speaker]
    assert not sure(found(labels, splits, vectors, groups))


def test_few_items_and_single_splits_say_nothing():
    labels, vectors = items(np.random.default_rng(0))
    assert not found(labels, ["train"] * N, vectors)
    assert not found(labels, ["train"] * (N - 5) + ["test"] * 5, vectors)
    assert not found(np.full(N, -1), ["train", "test"] * (N // 2), vectors)


def test_more_dimensions_than_items_say_the_same_as_those_that_hold_something():
    rng = np.random.default_rng(0)
    labels, vectors = items(rng)
    splits = np.where(rng.random(N) < 0.7, "train", "test")
    vectors[splits == "test"] += 0.5
    wide = np.pad(vectors, ((0, 0), (0, N)))
    (narrow,), (shift,) = sure(found(labels, splits, vectors)), sure(found(labels, splits, wide))
    assert shift.cause == narrow.cause == "domain"
    assert shift.size == pytest.approx(narrow.size, abs=0.02)
