"""The neighbour graph: for each content its nearest others by cosine, exact.

One graph is built per backbone and read by every check that needs neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

NEIGHBOURS = 20
"""Neighbours kept per item; the 20-neighbour vote is the one measured on CIFAR-10N."""

BLOCK_BYTES = 64 * 2**20
"""Bytes of one block of similarities (rows of a block x all columns, float32)."""

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
    vectors: np.ndarray, *, k: int = NEIGHBOURS, block_bytes: int = BLOCK_BYTES
) -> NeighbourGraph:
    """Find the k most similar others of each vector, exactly.

    Parameters
    ----------
    vectors : float ndarray of shape (n_items, n_dimensions)
        May be a memory map. A row of zeros is similar to nothing (cosine 0).
    k : int
        Neighbours per item; fewer come back when there are fewer other items.
    block_bytes : int
        Memory of one block of similarities; it changes speed, not the neighbours.

    Returns
    -------
    NeighbourGraph
        Equal similarities are ordered by row number.

    Examples
    --------
    >>> nearest(np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), k=1).indices.ravel().tolist()
    [1, 0, 1]
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have two axes, not {vectors.ndim}")
    n_items = len(vectors)
    k = max(0, min(k, n_items - 1))
    unit = _unit_rows(vectors)
    indices = np.empty((n_items, k), np.int32)
    similarities = np.empty((n_items, k), np.float32)
    rows = max(1, block_bytes // (4 * max(1, n_items)))
    for start in range(0, n_items if k else 0, rows):
        block = slice(start, min(start + rows, n_items))
        indices[block], similarities[block] = _nearest_of_block(unit, block, k)
    return NeighbourGraph(indices, similarities)


def _unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return a float32 copy with rows of length 1 (rows of zeros stay zero)."""
    unit = np.array(vectors, np.float32, order="C")
    if not np.isfinite(unit).all():
        raise ValueError("vectors hold values that are not finite")
    lengths = np.sqrt(np.einsum("ij,ij->i", unit, unit))
    unit /= np.where(lengths > 0, lengths, 1.0)[:, None]
    return unit


def _nearest_of_block(unit: np.ndarray, block: slice, k: int) -> tuple[np.ndarray, np.ndarray]:
    similarity = unit[block] @ unit.T
    own = np.arange(block.start, block.stop)
    similarity[own - block.start, own] = -np.inf
    found = np.argpartition(similarity, -k, axis=1)[:, -k:]
    values = np.take_along_axis(similarity, found, axis=1)
    order = np.lexsort((found, -values), axis=1)
    return (
        np.take_along_axis(found, order, axis=1).astype(np.int32),
        np.clip(np.take_along_axis(values, order, axis=1), -1.0, 1.0),
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
