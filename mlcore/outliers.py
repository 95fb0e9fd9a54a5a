"""Find items far out: unlike everything else of a set, by the graph of nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcore.neighbours import NeighbourGraph

LEAST_ITEMS = 50
"""With fewer items the spread of the distances is a guess."""

LEAST_NEIGHBOURS = 4

LIKELY = 3.5
"""Robust standard deviations: Iglewicz and Hoaglin 1993. Of the clean sets in docs/detectors.md at
most 1 in 500 passes."""

LEAST = 2.5
"""From here on an item may be a candidate."""

LEAST_DISTANCE = 1e-6
"""Cosine distances below are equal but for rounding."""

MOST_DEVIATIONS = 100.0

NORMAL_QUARTILE, NORMAL_DECILE = 0.6745, 1.2816
"""Upper quartile and decile of the standard normal distribution."""


@dataclass(frozen=True)
class Outliers:
    """How far out each item lies.

    Attributes
    ----------
    score : float ndarray of shape (n_items,)
        0 to 1, higher is further out; .5 stands for LIKELY standard deviations.
    is_likely : bool ndarray of shape (n_items,)
    is_candidate : bool ndarray of shape (n_items,)
        From LEAST standard deviations on, the likely ones included.
    times_farther : float ndarray of shape (n_items,)
        Mean distance to the farther half of its neighbours over that of the middle item.
    """

    score: np.ndarray
    is_likely: np.ndarray
    is_candidate: np.ndarray
    times_farther: np.ndarray


def find_outliers(graph: NeighbourGraph, labels: np.ndarray | None = None) -> Outliers:
    """Measure how far each item lies from its neighbours, by what is usual in the set.

    Parameters
    ----------
    graph : NeighbourGraph
        Over all items; one that is similar to nothing (a vector of zeros) is not judged.
    labels : int ndarray of shape (n_items,), optional
        -1 where there is none. A class that is more varied than the others is measured by itself.

    Returns
    -------
    Outliers
        The log of the mean cosine distance to the farther half of the neighbours (a few copies or
        foreign items of one kind don't hide each other), plus by how much it exceeds that of the
        neighbours themselves (a thin region is no outlier: Breunig et al. 2000,
        doi:10.1145/342009.335388). Both logs are near to normal on real sets; the deviation from
        the median is measured by the upper quartile and decile, whichever says less.

    Examples
    --------
    >>> from mlcore.neighbours import nearest
    >>> points = np.random.default_rng(0).normal(size=(200, 5)) + 4.0
    >>> points[7] = -4.0
    >>> np.flatnonzero(find_outliers(nearest(points)).is_likely).tolist()
    [7]
    """
    n_items, k = graph.indices.shape
    judged = graph.similarities[:, 0] != 0.0 if k else np.zeros(n_items, dtype=bool)
    if k < LEAST_NEIGHBOURS or judged.sum() < LEAST_ITEMS:
        nothing = np.zeros(n_items)
        return Outliers(nothing, nothing > 0, nothing > 0, nothing + 1.0)
    distances = np.maximum(1.0 - graph.similarities[:, k // 2 :], LEAST_DISTANCE)
    log = np.log(distances.astype(np.float64).mean(axis=1))
    out = 2.0 * log - log[graph.indices].mean(axis=1)
    if labels is not None:
        out -= _more_varied(out, np.where(judged, labels, -1))
    deviation = np.where(judged, deviations_above(out, judged), 0.0)
    return Outliers(
        score=deviation / (deviation + LIKELY),
        is_likely=deviation >= LIKELY,
        is_candidate=deviation >= LEAST,
        times_farther=np.exp(log - np.median(log[judged])),
    )


def _more_varied(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return by how much the middle item of each one's class is above that of all."""
    above = np.zeros(len(values))
    for label in np.flatnonzero(np.bincount(labels[labels >= 0]) >= LEAST_ITEMS).tolist():
        above[labels == label] = np.median(values[labels == label]) - np.median(values)
    return np.maximum(above, 0.0)


def deviations_above(values: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Return how many robust standard deviations above the median each value is; 0 below it.

    Parameters
    ----------
    values : float ndarray of shape (n_items,)
    judged : bool ndarray of shape (n_items,)
        Which of them tell what is usual.

    Returns
    -------
    float ndarray of shape (n_items,)
        By the upper quartile or decile, whichever says less; where both are the median itself,
        anything above it is MOST_DEVIATIONS away.
    """
    middle, quartile, decile = np.quantile(values[judged], [0.5, 0.75, 0.9])
    spread = max((quartile - middle) / NORMAL_QUARTILE, (decile - middle) / NORMAL_DECILE)
    above = np.maximum(values - middle, 0.0)
    return np.minimum(above / max(spread, 1e-12), MOST_DEVIATIONS)
