"""A cluster with wrong labels and a bad value of a column are found; chance is not."""

import numpy as np
import pytest

from mlcore.slices import find_slices

N, CLASSES, SIZE, CLUSTER = 600, 4, 12, 40


def predicted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors, labels and calibrated probabilities: the label is drawn from them."""
    middles = rng.normal(size=(CLASSES, SIZE)) * 2.0
    vectors = middles[rng.integers(0, CLASSES, N)] + rng.normal(size=(N, SIZE))
    near = -np.square(vectors[:, None] - middles).sum(axis=2) / 4.0
    told = np.exp(near - near.max(axis=1, keepdims=True))
    told /= told.sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(CLASSES, p=row) for row in told])
    return vectors, labels, told


def found(labels, told, vectors=None, **columns):
    return find_slices(labels, told, vectors=vectors, columns=columns, rng=np.random.default_rng(1))


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_with_two_in_five_labels_flipped_is_among_the_first_three(seed):
    rng = np.random.default_rng(seed)
    vectors, labels, told = predicted(rng)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cluster = np.argsort(-(unit @ unit[rng.integers(N)]))[:CLUSTER]
    flipped = rng.choice(cluster, 16, replace=False)
    labels[flipped] = (labels[flipped] + rng.integers(1, CLASSES, 16)) % CLASSES
    first = found(labels, told, vectors)[:3]
    worst = max(first, key=lambda slice_: np.isin(flipped, slice_.rows).sum())
    assert np.isin(flipped, worst.rows).mean() > 0.5
    assert worst.wrong > 2 * worst.elsewhere
    assert np.isin(worst.rows[:5], flipped).mean() > 0.5


def test_a_value_of_a_column_where_labels_are_worse_is_named():
    rng = np.random.default_rng(0)
    _, labels, told = predicted(rng)
    ward = rng.choice(["north", "south", "east"], N)
    flipped = np.flatnonzero((ward == "east") & (rng.random(N) < 0.4))
    labels[flipped] = (labels[flipped] + 1) % CLASSES
    slice_ = found(labels, told, ward=ward.tolist())[0]
    assert (slice_.column, slice_.value) == ("ward", "east")
    assert set(slice_.rows.tolist()) == set(np.flatnonzero(ward == "east").tolist())


@pytest.mark.parametrize(("more", "named"), [(0.04, []), (0.16, ["east"])])
def test_what_only_thousands_of_items_prove_is_not_clearly_worse(more, named):
    rng = np.random.default_rng(0)
    truth, is_east = rng.integers(0, 2, 8_000), rng.random(8_000) < 0.5
    told = np.where(truth[:, None] == np.arange(2), 0.8, 0.2)
    labels = np.where(rng.random(8_000) < 0.44 + more * is_east, 1 - truth, truth)
    ward = np.where(is_east, "east", "west").tolist()
    assert [slice_.value for slice_ in found(labels, told, ward=ward)] == named


def test_errors_that_chance_dealt_out_are_no_slice():
    sure = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        vectors, labels, told = predicted(rng)
        order = rng.permutation(N)
        sure += [
            slice_
            for slice_ in found(
                labels[order], told[order], vectors, ward=rng.choice(["n", "s"], N).tolist()
            )
            if slice_.p_value <= 0.01
        ]
    assert not sure


class Dealer:
    """Count how often a set is dealt anew."""

    def __init__(self) -> None:
        self.rng, self.deals = np.random.default_rng(1), 0

    def permutation(self, values):
        self.deals += 1
        return self.rng.permutation(values)


def test_dealing_ends_once_no_slice_can_be_named():
    vectors, labels, told = predicted(np.random.default_rng(0))
    clean, flawed = Dealer(), Dealer()
    assert not find_slices(labels, told, vectors=vectors, columns={}, rng=clean)
    near = np.argsort(-(vectors @ vectors[0]))[:CLUSTER]
    labels[near] = (labels[near] + 1) % CLASSES
    assert find_slices(labels, told, vectors=vectors, columns={}, rng=flawed)
    assert clean.deals < 100
    assert flawed.deals == 400


def test_where_the_model_is_never_wrong_it_is_nowhere_worse():
    """Each label is drawn from what the model says; it is sure in one place, surer in another."""
    named = 0
    for seed in range(20):
        vectors, labels, told = predicted(np.random.default_rng(seed))
        named += bool(found(labels, told, vectors))
    assert named <= 1


def test_what_is_not_judged_is_in_no_slice():
    vectors, labels, told = predicted(np.random.default_rng(0))
    told[::2] = np.nan
    labels[1::4] = -1
    flawed = np.arange(N) < 200
    labels[flawed & (labels >= 0)] = 0
    judged = (np.arange(N) % 4) == 3
    for slice_ in found(labels, told, vectors, early=np.where(flawed, "y", "n").tolist()):
        assert judged[slice_.rows].all()
    assert not found(np.full(N, -1), told, vectors)
    assert not found(labels[:8], told[:8], vectors[:8])


@pytest.mark.parametrize("n_wrong", [0, 1])
def test_where_nothing_or_one_item_surprises_no_slice_is_named(n_wrong):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, N)
    told = np.eye(CLASSES)[labels]
    labels[:n_wrong] = (labels[:n_wrong] + 1) % CLASSES
    ward = rng.choice(["north", "south"], N).tolist()
    assert not found(labels, told, rng.normal(size=(N, SIZE)), ward=ward)
