"""Find out whether items that stand close together in a file are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcore.chance import p_value
from mlcore.neighbours import NeighbourGraph

ORDERINGS = 200
"""Shuffled orders; the smallest p-value is 1 in 201."""

LEAST_ITEMS = 50
"""With fewer items an order says nothing."""

LEAST_NEARNESS = 0.2
"""Of the way from chance (0) to neighbours that all stand side by side (1): what matters."""

LEAST_TOGETHER = 5
"""Neighbours of its class that an item has at least to be shown as an example."""

MOST_ITEMS = 5_000
"""Items whose neighbours are looked at."""


@dataclass(frozen=True)
class FileOrder:
    """How far the order of a file follows its content.

    Attributes
    ----------
    by_class, by_likeness : float
        0 by chance to 1: items of one class, and within a class the nearest neighbours, stand
        side by side.
    p_class, p_likeness : float
        Times two, for the two looked at (Bonferroni), at most 1.
    together : int64 ndarray
        The item whose neighbours of its class stand nearest to it in the file, and these.
    """

    by_class: float
    p_class: float
    by_likeness: float
    p_likeness: float
    together: np.ndarray


def follow_order(
    labels: np.ndarray, *, graph: NeighbourGraph | None, rng: np.random.Generator
) -> FileOrder:
    """Measure how far the order of the items follows their classes and what they show.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        In the order of the file; -1 where there is none.
    graph : NeighbourGraph or None
        Of the same items. Neighbours of other classes don't count: likeness is asked about
        within a class, so that class folders are no evidence of it.
    rng : numpy Generator

    Returns
    -------
    FileOrder
        By class: the share of items whose next one has their class. By likeness: the mean
        distance in the file, counted in items of the class, to the neighbours. Both against
        ORDERINGS shuffles, of all items and within each class.

    Examples
    --------
    >>> follow_order(np.repeat([0, 1], 50), graph=None, rng=np.random.default_rng(0)).by_class
    1.0
    """
    by_class, p_class = side_by_side(labels[labels >= 0], rng=rng)
    by_likeness, p_likeness, together = 0.0, 1.0, np.array([], dtype=np.int64)
    if graph:
        by_likeness, p_likeness, together = _likeness_order(labels, graph, rng)
    p_class, p_likeness = min(1.0, 2 * p_class), min(1.0, 2 * p_likeness)
    return FileOrder(by_class, p_class, by_likeness, p_likeness, together)


def side_by_side(labels: np.ndarray, *, rng: np.random.Generator) -> tuple[float, float]:
    """Return how far items of one label stand side by side, 0 by chance to 1, and its p-value.

    Examples
    --------
    >>> side_by_side(np.repeat([0, 1], 50), rng=np.random.default_rng(0))[0]
    1.0
    """
    if len(labels) < LEAST_ITEMS or len(np.unique(labels)) < 2:
        return 0.0, 1.0
    dealt = [labels, *(rng.permutation(labels) for _ in range(ORDERINGS))]
    shares = np.array([float((one[1:] == one[:-1]).mean()) for one in dealt])
    chance = shares[1:].mean()
    most = 1.0 - (len(np.unique(labels)) - 1) / (len(labels) - 1)  # sorted: one seam a class
    if most <= chance:
        return 0.0, 1.0
    nearness = float(np.clip((shares[0] - chance) / (most - chance), -1.0, 1.0))
    return nearness, p_value(shares[0], shares[1:])


def _likeness_order(
    labels: np.ndarray, graph: NeighbourGraph, rng: np.random.Generator
) -> tuple[float, float, np.ndarray]:
    asked = np.flatnonzero(labels >= 0)
    if len(asked) > MOST_ITEMS:
        asked = rng.choice(asked, MOST_ITEMS, replace=False)
    others = graph.indices[asked]
    rows, columns = np.nonzero(labels[others] == labels[asked][:, None])
    if len(rows) < LEAST_ITEMS:
        return 0.0, 1.0, asked[:0]
    first, second = asked[rows], others[rows, columns]
    rooms = [np.flatnonzero(labels == label) for label in np.unique(labels[asked])]
    as_it_is = _distances(rooms, first, second, None)
    dealt = np.array([_distances(rooms, first, second, rng).mean() for _ in range(ORDERINGS)])
    counts = np.bincount(rows)
    far = np.bincount(rows, as_it_is) / np.maximum(counts, 1)
    enough = min(LEAST_TOGETHER, int(counts.max()))  # of small classes nobody has so many
    nearest = int(np.argmin(np.where(counts >= enough, far, np.inf)))
    together = np.sort(np.append(second[rows == nearest], asked[nearest]))
    nearness = float(1.0 - as_it_is.mean() / dealt.mean())
    return nearness, p_value(-as_it_is.mean(), -dealt), together


def _distances(
    rooms: list[np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Return how far apart pairs of one class stand in it, as a share of its length."""
    place = np.zeros(1 + max(int(rows[-1]) for rows in rooms))
    for rows in rooms:
        order = np.arange(len(rows)) if rng is None else rng.permutation(len(rows))
        place[rows] = order / len(rows)
    return np.abs(place[first] - place[second])
