"""The neighbour graph: for each content its nearest others by cosine.

One graph is built per backbone and read by every check that needs neighbours. Up to EXACT_ITEMS
it is exact. Of more, candidates are looked for in the few directions that hold most of the
vectors' variance and then compared as they are; on some of the items the answer is held against
the exact one, and where too many neighbours are missed the search is exact after all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NEIGHBOURS = 20
"""Neighbours kept per item; the 20-neighbour vote is the one measured on CIFAR-10N."""

BLOCK_BYTES = 64 * 2**20
"""Bytes of one block of similarities (rows of a block x all columns, float32)."""

EXACT_ITEMS = 50_000
"""Up to so many items the search is exact."""

DIRECTIONS = 128
"""Directions in which candidates are looked for."""

SPREAD_ROWS = 10_000
"""Items, evenly spaced, whose directions of greatest variance are taken."""

CANDIDATES = 4
"""Candidates for each neighbour that is kept."""

TRIED_ROWS = 500
LEAST_RECALL = 0.995
"""Items, evenly spaced, that must have this share of their true neighbours."""

ROUNDING = 1e-5
"""Difference of two cosines that float32 may make of nothing."""

GROUP = 32
"""Similarities of which only the largest is looked at first."""

MOST_RENEWED = 0.25
"""Above this share of new lists a graph is built anew: each costs two rows of an exact search."""

LIKELY_COPIES = 2
"""Nearest neighbours that may be copies and tell nothing about chance."""

TAIL_RANK = 6
"""Neighbour that the nearer ones are measured by to learn how they thin out."""

TAIL_ITEMS = 30
"""With fewer items the estimate would be chance itself."""

TAIL_LEAST = 1e-4
"""Distances below are equal but for rounding."""


@dataclass(frozen=True)
class NeighbourGraph:
    """The k nearest others of each item, nearest first.

    Attributes
    ----------
    indices : int32 ndarray of shape (n_items, k)
        Row numbers of the neighbours; an item is never its own neighbour.
    similarities : float32 ndarray of shape (n_items, k)
        Cosine, from -1 to 1, falling along each row.
    """

    indices: np.ndarray
    similarities: np.ndarray

    def save(self, path: Path) -> None:
        """Write the graph to `path` as one npz file."""
        with path.open("wb") as file:
            np.savez(file, indices=self.indices, similarities=self.similarities)

    @classmethod
    def load(cls, path: Path) -> NeighbourGraph:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["indices"], arrays["similarities"])

    def expanded(self, content_of_item: np.ndarray) -> NeighbourGraph:
        """Return the graph over items, given the graph row of each item's content.

        A graph is built over distinct contents. Each item gets the neighbours of its
        content, and each neighbouring content stands for its first item, so that many
        copies of one picture have one vote.

        Parameters
        ----------
        content_of_item : int ndarray of shape (n_items,)
            Row of the graph for each item; every row of the graph has at least one item.
        """
        first_item = np.zeros(len(self.indices), np.int32)
        rows, firsts = np.unique(content_of_item, return_index=True)
        first_item[rows] = firsts
        return NeighbourGraph(
            first_item[self.indices[content_of_item]], self.similarities[content_of_item]
        )


def nearest(
    vectors: np.ndarray,
    *,
    k: int = NEIGHBOURS,
    block_bytes: int = BLOCK_BYTES,
    exact_items: int = EXACT_ITEMS,
) -> NeighbourGraph:
    """Find the k most similar others of each vector.

    Parameters
    ----------
    vectors : float ndarray of shape (n_items, n_dimensions)
        May be a memory map. A row of zeros is similar to nothing (cosine 0).
    k : int
        Neighbours per item; fewer come back when there are fewer other items.
    block_bytes : int
        Memory of one block of similarities; it changes speed, not the neighbours.
    exact_items : int
        Of more items at least LEAST_RECALL of the neighbours are the nearest ones.

    Returns
    -------
    NeighbourGraph
        Equal similarities are ordered by row number.

    Examples
    --------
    >>> nearest(np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), k=1).indices.ravel().tolist()
    [1, 0, 1]
    """
    search = _Search(vectors, k=k, block_bytes=block_bytes, exact_items=exact_items)
    return NeighbourGraph(*search.of_rows(np.arange(len(vectors))))


def extended(
    graph: NeighbourGraph,
    vectors: np.ndarray,
    *,
    old_rows: np.ndarray,
    k: int = NEIGHBOURS,
) -> NeighbourGraph:
    """Return the graph over items of which most are in an earlier graph.

    Only new items are compared with all others, and items that a neighbour was taken from; the
    rest keep their lists, into which new items are put where they are nearer.

    Parameters
    ----------
    graph : NeighbourGraph
        The earlier graph.
    vectors : float ndarray of shape (n_items, n_dimensions)
        Of all items, those of the earlier graph as they were.
    old_rows : int ndarray of shape (n_items,)
        Row of each item in the earlier graph; -1 is new.
    k : int
        As in `nearest`.

    Returns
    -------
    NeighbourGraph
        The one that `nearest` would find, but for rounding.

    Examples
    --------
    >>> points = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.2, 0.9], [0.8, 0.1]])
    >>> early = nearest(points[:4], k=1)
    >>> extended(early, points, old_rows=np.array([0, 1, 2, 3, -1]), k=1).indices.ravel().tolist()
    [2, 3, 4, 1, 2]
    """
    n_items, old_rows = len(vectors), np.asarray(old_rows)
    k = max(0, min(k, n_items - 1))
    if graph.indices.shape[1] != k or not k:
        return nearest(vectors, k=k)
    row_of = np.full(len(graph.indices), -1, np.int32)
    row_of[old_rows[old_rows >= 0]] = np.flatnonzero(old_rows >= 0)
    lists, similarities = row_of[graph.indices[old_rows]], graph.similarities[old_rows]
    renewed = (old_rows < 0) | (lists < 0).any(axis=1)
    if renewed.mean() > MOST_RENEWED:
        return nearest(vectors, k=k)
    search = _Search(vectors, k=k, block_bytes=BLOCK_BYTES, exact_items=n_items)
    lists[renewed], similarities[renewed] = search.of_rows(np.flatnonzero(renewed))
    new = np.flatnonzero(old_rows < 0)
    old = np.flatnonzero(~renewed) if len(new) else new
    for rows in search.blocks(old, among=len(new)):
        similarity = search.unit[rows] @ search.unit[new].T
        found = _largest(similarity, min(k, len(new)))
        values = np.take_along_axis(similarity, found, axis=1)
        lists[rows], similarities[rows] = _first(
            np.hstack((lists[rows], new[found])), np.hstack((similarities[rows], values)), k
        )
    return NeighbourGraph(lists, similarities)


class _Search:
    """Vectors made ready to be searched."""

    def __init__(self, vectors: np.ndarray, *, k: int, block_bytes: int, exact_items: int) -> None:
        if vectors.ndim != 2:
            raise ValueError(f"vectors must have two axes, not {vectors.ndim}")
        self.unit = _unit_rows(vectors)
        self.k = max(0, min(k, len(vectors) - 1))
        self.block_bytes = block_bytes
        self.shadow: np.ndarray | None = None
        if len(vectors) > exact_items and vectors.shape[1] > DIRECTIONS:
            self._look_in_few_directions()

    def of_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest others of some rows and their similarities."""
        indices = np.empty((len(rows), self.k), np.int32)
        similarities = np.empty((len(rows), self.k), np.float32)
        start = 0
        for block in self.blocks(rows, among=len(self.unit)) if self.k else ():
            part = slice(start, start + len(block))
            indices[part], similarities[part] = self._nearest(block)
            start = part.stop
        return indices, similarities

    def blocks(self, rows: np.ndarray, *, among: int) -> Iterator[np.ndarray]:
        """Cut rows into blocks whose similarities to so many others fit into the memory."""
        size = max(1, self.block_bytes // (4 * max(1, among)))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _nearest(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        looked_at = self.unit if self.shadow is None else self.shadow
        similarity = looked_at[rows] @ looked_at.T
        similarity[np.arange(len(rows)), rows] = -np.inf
        if self.shadow is None:
            found = _largest(similarity, self.k)
            return _first(found, np.take_along_axis(similarity, found, axis=1), self.k)
        found = _largest(similarity, min(CANDIDATES * self.k, len(self.unit) - 1))
        values = [self.unit[near] @ self.unit[row] for row, near in zip(rows, found, strict=True)]
        return _first(found, np.array(values, np.float32), self.k)

    def _look_in_few_directions(self) -> None:
        sample = self.unit[:: -(-len(self.unit) // SPREAD_ROWS)]
        directions = np.linalg.eigh(sample.T @ sample)[1][:, -DIRECTIONS:]
        rows = np.arange(0, len(self.unit), -(-len(self.unit) // TRIED_ROWS))
        exact = self.of_rows(rows)[1]
        self.shadow = self.unit @ directions
        found = self.of_rows(rows)[1]
        if (found >= exact[:, -1:] - ROUNDING).mean() < LEAST_RECALL:
            self.shadow = None


def _unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return a float32 copy with rows of length 1 (rows of zeros stay zero)."""
    unit = np.array(vectors, np.float32, order="C")
    lengths = np.sqrt(np.einsum("ij,ij->i", unit, unit))
    if not np.isfinite(lengths).all():
        raise ValueError("vectors hold values that are not finite")
    unit /= np.where(lengths > 0, lengths, 1.0)[:, None]
    return unit


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the columns of the largest values of each row, in no order.

    They lie in those groups of columns whose own largest values are the largest.
    """
    n_groups = values.shape[1] // GROUP
    if n_groups <= 2 * count:
        return np.argpartition(values, -count, axis=1)[:, -count:]
    grouped = values[:, : n_groups * GROUP].reshape(len(values), GROUP, n_groups)
    groups = np.argpartition(grouped.max(axis=1), -count, axis=1)[:, -count:]
    columns = (groups[:, None, :] + np.arange(GROUP)[:, None] * n_groups).reshape(len(values), -1)
    left = np.arange(n_groups * GROUP, values.shape[1])
    columns = np.hstack((columns, np.tile(left, (len(values), 1))))
    found = np.argpartition(np.take_along_axis(values, columns, axis=1), -count, axis=1)
    return np.take_along_axis(columns, found[:, -count:], axis=1)


def _first(
    indices: np.ndarray, similarities: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the most similar of each row, nearest first; equal ones by row number."""
    order = np.lexsort((indices, -similarities), axis=1)[:, :count]
    return (
        np.take_along_axis(indices, order, axis=1).astype(np.int32),
        np.clip(np.take_along_axis(similarities, order, axis=1), -1.0, 1.0),
    )


def tail_exponent(distances: np.ndarray) -> float:
    """Return the power with which the share of items within a distance falls towards zero.

    Half the intrinsic dimension for squared distances, the dimension itself for plain ones
    (Levina and Bickel 2005, the median over items in place of the mean, since some have copies).

    Parameters
    ----------
    distances : ndarray of shape (n_items, k)
        To the k nearest, ascending. The two nearest are left out: they may be copies.

    Returns
    -------
    float
        Infinite where fewer than TAIL_RANK neighbours or TAIL_ITEMS items tell nothing.

    Examples
    --------
    >>> line = np.arange(1, 9) / 10  # the tenth part of the distance holds the tenth part of all
    >>> tail_exponent(np.tile(line, (40, 1))) < tail_exponent(np.tile(line**0.5, (40, 1)))
    True
    """
    if distances.shape[1] < TAIL_RANK or len(distances) < TAIL_ITEMS:
        return float("inf")
    reach = np.maximum(distances[:, TAIL_RANK - 1 : TAIL_RANK], TAIL_LEAST)
    inner = np.maximum(distances[:, LIKELY_COPIES : TAIL_RANK - 1], TAIL_LEAST)
    depth = float(np.median(np.log(reach / inner).mean(axis=1)))
    return 1.0 / depth if depth > 0 else 0.0
