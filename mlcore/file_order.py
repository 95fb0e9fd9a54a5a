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
    """

    by_class: float
    p_class: float
    by_likeness: float
    p_likeness: float


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
    by_class, p_class = _class_order(labels[labels >= 0], rng)
    by_likeness, p_likeness = _likeness_order(labels, graph, rng) if graph else (0.0, 1.0)
    return FileOrder(by_class, min(1.0, 2 * p_class), by_likeness, min(1.0, 2 * p_likeness))


def _class_order(labels: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    if len(labels) < LEAST_ITEMS or len(np.unique(labels)) < 2:
        return 0.0, 1.0
    dealt = [labels, *(rng.permutation(labels) for _ in range(ORDERINGS))]
    side_by_side = np.array([float((one[1:] == one[:-1]).mean()) for one in dealt])
    chance = side_by_side[1:].mean()
    most = 1.0 - (len(np.unique(labels)) - 1) / (len(labels) - 1)  # sorted: one seam a class
    if most <= chance:
        return 0.0, 1.0
    nearness = float(np.clip((side_by_side[0] - chance) / (most - chance), -1.0, 1.0))
    return nearness, p_value(side_by_side[0], side_by_side[1:])


def _likeness_order(
    labels: np.ndarray, graph: NeighbourGraph, rng: np.random.Generator
) -> tuple[float, float]:
    asked = np.flatnonzero(labels >= 0)
    if len(asked) > MOST_ITEMS:
        asked = rng.choice(asked, MOST_ITEMS, replace=False)
    others = graph.indices[asked]
    rows, columns = np.nonzero(labels[others] == labels[asked][:, None])
    if len(rows) < LEAST_ITEMS:
        return 0.0, 1.0
    first, second = asked[rows], others[rows, columns]
    rooms = [np.flatnonzero(labels == label) for label in np.unique(labels[asked])]
    distances = np.array(
        [_distance(rooms, first, second, labels, shuffle) for shuffle in (None, *[rng] * ORDERINGS)]
    )
    chance = distances[1:].mean()
    return float(1.0 - distances[0] / chance), p_value(-distances[0], -distances[1:])


def _distance(
    rooms: list[np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator | None,
) -> float:
    """Return how far apart pairs of one class stand in it, as a share of its length."""
    place = np.zeros(len(labels))
    for rows in rooms:
        order = np.arange(len(rows)) if rng is None else rng.permutation(len(rows))
        place[rows] = order / len(rows)
    return float(np.abs(place[first] - place[second]).mean())
