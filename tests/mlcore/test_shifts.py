"""Parts of a sorted file and of another domain are found; shuffled ones are not."""

import numpy as np
import pytest

from mlcore.shifts import find_shifts

N, CLASSES, SIZE = 400, 4, 20


def items(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, CLASSES, N)
    middles = rng.normal(size=(CLASSES, SIZE)) * 2.0
    return labels, middles[labels] + rng.normal(size=(N, SIZE))


def found(labels, splits, vectors=None, groups=None):
    return find_shifts(
        labels,
        np.asarray(splits, dtype="U12"),
        groups=[""] * len(labels) if groups is None else groups,
        vectors=vectors,
        rng=np.random.default_rng(1),
    )


def sure(shifts):
    return [shift for shift in shifts if shift.is_sure and shift.by_group]


def test_a_sorted_file_cut_at_four_fifths_has_other_classes_on_each_side():
    labels = np.sort(items(np.random.default_rng(0))[0])
    splits = np.where(np.arange(N) < 0.8 * N, "train", "test")
    (shift,) = sure(found(labels, splits))
    assert (shift.cause, shift.parts) == ("classes", ("test", "train"))
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
    told = {shift.parts for shift in sure(found(labels, splits, vectors))}
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
    assert not sure(found(np.full(N, -1), ["train", "test"] * (N // 2), vectors))


def test_more_dimensions_than_items_say_the_same_as_those_that_hold_something():
    rng = np.random.default_rng(0)
    labels, vectors = items(rng)
    splits = np.where(rng.random(N) < 0.7, "train", "test")
    vectors[splits == "test"] += 0.5
    wide = np.pad(vectors, ((0, 0), (0, N)))
    (narrow,), (shift,) = sure(found(labels, splits, vectors)), sure(found(labels, splits, wide))
    assert shift.cause == narrow.cause == "domain"
    assert shift.size == pytest.approx(narrow.size, abs=0.02)


def test_where_too_few_sources_can_be_dealt_the_difference_is_said_to_be_theirs():
    rng = np.random.default_rng(0)
    labels, vectors = items(rng)
    speaker = np.arange(N) % 4
    vectors += (rng.normal(size=(4, SIZE)) * 2.0)[speaker]
    parts = np.where(speaker < 2, "north", "south")
    shifts = found(labels, parts, vectors, [f"speaker {number}" for number in speaker])
    assert {shift.cause for shift in shifts if shift.is_sure} == {"domain"}
    assert not any(shift.by_group for shift in shifts)


def test_parts_without_labels_are_compared_by_all_that_is_in_them():
    rng = np.random.default_rng(0)
    labels, vectors = items(rng)
    parts = rng.choice(["old", "new"], N)
    vectors[parts == "new"] += 1.0
    (shift,) = found(np.where(parts == "new", -1, labels), parts, vectors)
    assert shift.cause == "domain"
    assert shift.is_sure


def test_copies_across_parts_do_not_tell_them_apart():
    rng = np.random.default_rng(0)
    labels, vectors = items(rng)
    half = N // 2
    labels[half:], vectors[half:] = labels[:half], vectors[:half]
    parts = np.repeat(["a", "b"], half)
    copies = np.arange(N) % half
    shifts = find_shifts(
        labels, parts, groups=[""] * N, copies=copies.tolist(), vectors=vectors, rng=rng
    )
    assert not sure(shifts)
    assert next(s for s in shifts if s.cause == "domain").size == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("same_copies", [False, True])
def test_items_that_are_all_alike_do_not_tell_parts_apart(same_copies):
    shifts = find_shifts(
        np.full(N, -1),
        np.repeat(["a", "b"], N // 2),
        groups=[""] * N,
        copies=[1] * N if same_copies else None,
        vectors=np.ones((N, SIZE)),
        rng=np.random.default_rng(1),
    )
    (shift,) = shifts
    assert shift.size == pytest.approx(0.5, abs=0.1)
    assert not shift.is_sure


def test_many_equal_items_are_no_evidence_whatever_their_order():
    rng = np.random.default_rng(0)
    chances = []
    for _ in range(5):
        vectors = rng.normal(size=(N, SIZE))
        vectors[rng.random(N) < 0.9] = 0.0
        (shift,) = found(np.full(N, -1), np.repeat(["a", "b"], N // 2), vectors)
        chances.append(shift.p_value)
    assert np.median(chances) > 0.2
