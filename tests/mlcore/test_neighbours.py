"""The neighbour graph: exact for few items, all but exact for many, extended with new ones."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.neighbours import NeighbourGraph, extended, nearest


def brute_force(vectors: np.ndarray, k: int) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return -np.sort(-similarity, axis=1)[:, : min(k, len(vectors) - 1)]


@settings(max_examples=30)
@given(
    n_items=st.integers(2, 60) | st.just(400),
    k=st.integers(1, 70),
    block_bytes=st.sampled_from([1, 500, 4000, 10**6]),
    seed=st.integers(0, 1000),
)
def test_neighbours_are_those_of_brute_force_at_any_block_size(
    n_items: int, k: int, block_bytes: int, seed: int
) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n_items, 5))
    graph = nearest(vectors, k=k, block_bytes=block_bytes)
    wanted = brute_force(vectors, k)
    assert graph.similarities.shape == (n_items, min(k, n_items - 1))
    assert np.allclose(graph.similarities, wanted, atol=1e-5)
    assert not (graph.indices == np.arange(n_items)[:, None]).any()


def test_an_item_alone_has_no_neighbours() -> None:
    assert nearest(np.ones((1, 3))).indices.shape == (1, 0)


def test_a_vector_of_zeros_is_similar_to_nothing() -> None:
    graph = nearest(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), k=2)
    assert graph.similarities[0].tolist() == [0.0, 0.0]
    assert graph.indices[1, 0] == 2


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        nearest(np.array([[np.nan, 1.0], [1.0, 1.0]]))


def test_a_saved_graph_is_read_back_equal(tmp_path: Path) -> None:
    graph = nearest(np.random.default_rng(0).normal(size=(9, 4)), k=3)
    graph.save(tmp_path / "graph.npz")
    again = NeighbourGraph.load(tmp_path / "graph.npz")
    assert np.array_equal(again.indices, graph.indices)
    assert np.array_equal(again.similarities, graph.similarities)


def test_copies_of_one_content_have_one_vote() -> None:
    graph = nearest(np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), k=2)
    items = graph.expanded(np.array([0, 0, 1, 2]))
    assert items.indices.tolist() == [[2, 3], [2, 3], [0, 3], [2, 0]]


@settings(max_examples=30)
@given(
    n_items=st.integers(2, 60),
    n_new=st.integers(0, 12),
    n_gone=st.integers(0, 8),
    k=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_an_extended_graph_is_the_one_built_anew(
    n_items: int, n_new: int, n_gone: int, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    early = rng.normal(size=(n_items, 5))
    kept = rng.permutation(n_items)[min(n_gone, n_items - 1) :]
    old_rows = rng.permutation(np.concatenate((kept, np.full(n_new, -1))))
    vectors = np.where(old_rows[:, None] >= 0, early[old_rows], rng.normal(size=(len(old_rows), 5)))
    graph = extended(nearest(early, k=k), vectors, old_rows=old_rows, k=k)
    anew = nearest(vectors, k=k)
    assert np.array_equal(graph.indices, anew.indices)
    assert np.allclose(graph.similarities, anew.similarities, atol=1e-6)


def test_old_lists_are_kept_and_new_items_put_into_them() -> None:
    points = np.eye(20) + 0.1
    early = nearest(points, k=2)
    told = NeighbourGraph(early.indices, np.full_like(early.similarities, 0.5))
    graph = extended(
        told, np.vstack((points, points[:1])), old_rows=np.array([*range(20), -1]), k=2
    )
    assert (graph.similarities[1:20] == 0.5).all()
    assert graph.indices[0, 0] == 20
    assert graph.indices[20, 0] == 0


def test_many_items_are_searched_in_few_directions_and_hardly_a_neighbour_is_missed() -> None:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(20, 30))[rng.integers(0, 20, 1_200)] + rng.normal(size=(1_200, 30))
    vectors = np.maximum(latent @ rng.normal(size=(30, 200)), 0) + 0.3 * rng.random((1_200, 200))
    exact = nearest(vectors)
    graph = nearest(vectors, exact_items=500)
    assert (graph.similarities >= exact.similarities[:, -1:] - 1e-5).mean() >= 0.995
    assert not (graph.indices == np.arange(1_200)[:, None]).any()


def test_where_few_directions_say_too_little_the_search_is_exact() -> None:
    vectors = np.random.default_rng(0).normal(size=(1_500, 600))
    exact = nearest(vectors)
    graph = nearest(vectors, exact_items=500)
    assert np.array_equal(graph.indices, exact.indices)
