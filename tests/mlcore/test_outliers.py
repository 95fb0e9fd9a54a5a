"""Foreign items are found; of clean clouds next to nothing is called far out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.neighbours import NeighbourGraph, nearest
from mlcore.outliers import find_outliers

N, SIZE = 1_200, 24


def clouds(rng: np.random.Generator, shares: list[float], widths: list[float]) -> tuple:
    """Return points around one middle a class, of different number and width, and classes."""
    middles = rng.normal(size=(len(shares), SIZE)) * 1.5
    shown = rng.choice(len(shares), N, p=shares)
    return middles[shown] + np.array(widths)[shown, None] * rng.normal(size=(N, SIZE)), shown


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_foreign", [3, 12])
def test_foreign_items_come_first_and_are_marked(seed, n_foreign):
    rng = np.random.default_rng(seed)
    vectors, labels = clouds(rng, [0.25] * 4, [0.6] * 4)
    foreign = rng.choice(N, n_foreign, replace=False)
    vectors[foreign] = 1.5 * rng.normal(size=(n_foreign, SIZE))
    found = find_outliers(nearest(vectors), labels)
    first = np.argsort(-found.score)[:n_foreign]
    assert len(set(first.tolist()) & set(foreign.tolist())) >= 0.8 * n_foreign
    assert found.is_likely[foreign].mean() >= 0.6


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("shares", "widths"),
    [([0.25] * 4, [1.0] * 4), ([0.3, 0.3, 0.35, 0.05], [1.0, 1.0, 1.0, 2.0])],
)
def test_of_clean_clouds_at_most_one_in_a_hundred_is_marked(seed, shares, widths):
    vectors, labels = clouds(np.random.default_rng(seed), shares, widths)
    found = find_outliers(nearest(vectors), labels)
    assert found.is_likely.mean() <= 0.01


def test_items_without_a_vector_and_small_sets_are_not_judged():
    vectors = clouds(np.random.default_rng(0), [1.0], [1.0])[0] + 4.0
    vectors[3] = 0.0
    assert not find_outliers(nearest(vectors)).is_candidate[3]
    for few in (vectors[:1], vectors[:30], vectors[:0]):
        assert not find_outliers(nearest(few)).is_candidate.any()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 120))
def test_any_graph_gives_scores_within_their_limits(seed, k, n_items):
    rng = np.random.default_rng(seed)
    similarities = -np.sort(-rng.choice([-1.0, 0.0, 0.5, 1.0], (n_items, k)), axis=1)
    graph = NeighbourGraph(rng.integers(0, n_items, (n_items, k), np.int32), similarities)
    found = find_outliers(graph, rng.integers(-1, 2, n_items))
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert (found.is_candidate | ~found.is_likely).all()
    assert np.isfinite(found.times_farther).all()
