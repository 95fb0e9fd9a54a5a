"""A sorted file and one in takes are noticed; a shuffled one is in no order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.chance import SURE
from mlcore.file_order import LEAST_NEARNESS, FileOrder, follow_order
from mlcore.neighbours import nearest

N = 240


def follow(labels: np.ndarray, vectors: np.ndarray | None = None) -> FileOrder:
    graph = None if vectors is None else nearest(vectors)
    return follow_order(labels, graph=graph, rng=np.random.default_rng(1))


def is_noticed(nearness: float, p_value: float) -> bool:
    return nearness >= LEAST_NEARNESS and p_value <= SURE


def takes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return classes in turn, and vectors that change from take to take of twenty items."""
    scenes = rng.normal(size=(N // 20, 12))
    return np.arange(N) % 3, np.repeat(scenes, 20, axis=0) + 0.5 * rng.normal(size=(N, 12))


def test_a_file_sorted_by_class_is_noticed():
    found = follow(np.sort(np.arange(N) % 4))
    assert found.by_class == pytest.approx(1.0)
    assert is_noticed(found.by_class, found.p_class)


@pytest.mark.parametrize("seed", range(3))
def test_takes_of_one_session_are_noticed_within_each_class(seed):
    found = follow(*takes(np.random.default_rng(seed)))
    assert is_noticed(found.by_likeness, found.p_likeness)
    assert not is_noticed(found.by_class, found.p_class)


def test_class_folders_alone_are_no_likeness():
    rng = np.random.default_rng(0)
    labels = np.sort(np.arange(N) % 4)
    found = follow(labels, 3.0 * np.eye(12)[labels] + rng.normal(size=(N, 12)))
    assert not is_noticed(found.by_likeness, found.p_likeness)


def test_a_shuffled_file_is_in_no_order():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels, vectors = takes(rng)
        order = rng.permutation(N)
        found = follow(labels[order], vectors[order])
        assert not is_noticed(found.by_class, found.p_class)
        assert not is_noticed(found.by_likeness, found.p_likeness)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_any_labels_give_a_chance(seed, n_items):
    labels = np.random.default_rng(seed).integers(-1, 3, n_items)
    found = follow(labels)
    assert found.by_class <= 1.0 + 1e-9
    assert 0.0 < found.p_class <= 1.0


def test_of_small_classes_the_example_has_neighbours_too():
    rng = np.random.default_rng(0)
    session = np.repeat(np.arange(40), 3)
    vectors = np.eye(40)[session] + rng.normal(size=(120, 40)) * 0.1
    vectors[0], labels = rng.normal(size=40), session.copy()
    labels[0] = 40  # alone in its class
    together = follow(labels, vectors).together
    assert len(together) == 3
    assert len(np.unique(labels[together])) == 1
