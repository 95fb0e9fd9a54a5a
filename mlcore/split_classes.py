"""Find classes that are really two: their items fall into two parts that few neighbours join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DIMENSIONS = 32
"""Leading directions of all items that are looked at; noise fills the rest."""

SHRINKAGE = 0.1
"""Share of a round covariance in that of the classes (Friedman 1989)."""

NEAREST = 20
"""Neighbours in the graph of a class."""

MOST_ITEMS = 300
"""Items of a class that are cut, as many of each so that cuts compare; others follow these."""

LEAST_ITEMS = 30
"""Items of a class below which two parts would be a few pictures each."""

LEAST_SHARE = 0.1
"""Share of a class that makes a part; a smaller one is a matter of outliers or wrong labels."""

LOCAL = 10
"""Nearest of the class that an item's spread is measured from."""

TYPICAL = 12
"""Most typical items of each part, to be shown."""


@dataclass(frozen=True)
class SplitClass:
    """One class and the two parts that it falls into.

    Attributes
    ----------
    label : int
    score : float
        0 to 1: how many fewer neighbour links join the two parts than the halves of the middle
        class of the others, or of one round cloud if that is fewer.
    conductance : float
        Share of the neighbour links that join the two parts, both sides added (0 to 2, lower is
        further apart; Shi and Malik 2000, the normalised cut).
    parts : tuple of int64 ndarray
        Rows of the larger and of the smaller part.
    typical : tuple of int64 ndarray
        The rows nearest to the middle of each part, TYPICAL at most.
    """

    label: int
    score: float
    conductance: float
    parts: tuple[np.ndarray, np.ndarray]
    typical: tuple[np.ndarray, np.ndarray]


def find_split_classes(
    vectors: np.ndarray,
    labels: np.ndarray,
    *,
    n_classes: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> list[SplitClass]:
    """Return the classes in the order of how far apart their two parts are.

    Parameters
    ----------
    vectors : float ndarray of shape (n_items, n_dimensions)
        Of a backbone that has not seen these labels.
    labels : int ndarray of shape (n_items,)
        -1 where there is none.
    n_classes : int
    rng : numpy Generator
    groups : sequence of str of length n_items, optional
        Speaker, camera, patient; "" where unknown. What is common to a source that has items of
        at least half the classes is taken off, else every class falls into its speakers.

    Returns
    -------
    list of SplitClass
        One for every class with LEAST_ITEMS or more, the furthest apart first. Each class's graph
        of nearest items, in directions scaled by the spread within classes, is cut at its second
        eigenvector. On `cifar10` and `clothing` two classes under one name stand among the first
        three of nearly all pairs (docs/detectors.md).
    """
    counts = np.bincount(labels[labels >= 0], minlength=n_classes)
    judged = np.flatnonzero(counts >= LEAST_ITEMS).tolist()
    if len(judged) < 2:
        return []
    known = np.flatnonzero(labels >= 0)
    scaled = np.zeros((len(labels), min(DIMENSIONS, vectors.shape[1])), np.float32)
    points = _unit(np.nan_to_num(np.asarray(vectors[known], np.float32)))
    if groups is not None:
        points = _without_sources(points, labels[known], np.array(groups)[known], len(judged))
    scaled[known] = _scaled(points, labels[known], n_classes)
    rows = {label: rng.permutation(np.flatnonzero(labels == label)) for label in judged}
    cuts = {label: _cut(scaled[rows[label][:MOST_ITEMS]]) for label in judged}
    round_cloud = _cut(rng.normal(size=(MOST_ITEMS, scaled.shape[1])))[0]
    found = []
    for label in judged:
        others = [value for other, (value, _) in cuts.items() if other != label]
        usual = min(round_cloud, float(np.median(others)))
        found.append(_split(label, scaled, rows[label], cuts[label], usual))
    return sorted(found, key=lambda split: -split.score)


def _split(
    label: int,
    scaled: np.ndarray,
    rows: np.ndarray,
    cut: tuple[float, np.ndarray],
    usual: float,
) -> SplitClass:
    some, rest = rows[:MOST_ITEMS], rows[MOST_ITEMS:]
    conductance, is_second = cut
    sides = np.concatenate((is_second, _followers(scaled[rest], scaled[some], is_second)))
    if 2 * sides.sum() > len(sides):
        sides = ~sides
    parts = (np.sort(rows[~sides]), np.sort(rows[sides]))
    return SplitClass(
        label=label,
        score=max(0.0, 1.0 - conductance / usual) if usual > 0 else 0.0,
        conductance=conductance,
        parts=parts,
        typical=(_typical(scaled, parts[0]), _typical(scaled, parts[1])),
    )


def _typical(scaled: np.ndarray, rows: np.ndarray) -> np.ndarray:
    distances = np.square(scaled[rows] - np.median(scaled[rows], axis=0)).sum(axis=1)
    return np.asarray(rows[np.argsort(distances, kind="stable")[:TYPICAL]])


def _followers(points: np.ndarray, known: np.ndarray, is_second: np.ndarray) -> np.ndarray:
    if not len(points):
        return np.zeros(0, dtype=bool)
    nearest = np.argpartition(-(_unit(points) @ _unit(known).T), 4, axis=1)[:, :5]
    return np.asarray(is_second[nearest].mean(axis=1) > 0.5)


def _cut(points: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the conductance of the best cut, and who is on its second side."""
    unit = _unit(points)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    k = min(NEAREST, len(unit) // 4)
    links = np.zeros_like(similarity)
    np.put_along_axis(links, np.argpartition(-similarity, k, axis=1)[:, :k], 1.0, axis=1)
    links = np.maximum(links, links.T)
    degrees = links.sum(axis=1)
    scale = 1.0 / np.sqrt(degrees)
    _, vectors = np.linalg.eigh(np.eye(len(links)) - links * scale[:, None] * scale)
    order = np.argsort(vectors[:, 1] * scale, kind="stable")
    ordered = links[order][:, order]
    crossing = np.cumsum(degrees[order] - 2.0 * np.tril(ordered).sum(axis=1))
    volume = np.cumsum(degrees[order])
    least = max(1, int(LEAST_SHARE * len(order)))
    places = np.arange(least - 1, len(order) - least)
    values = crossing[places] * (1 / volume[places] + 1 / (volume[-1] - volume[places]))
    best = int(values.argmin())
    is_second = np.zeros(len(order), dtype=bool)
    is_second[order[places[best] + 1 :]] = True
    return float(values[best]), is_second


def _unit(points: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(lengths > 0, lengths, 1.0))


def _without_sources(
    points: np.ndarray, labels: np.ndarray, groups: np.ndarray, n_classes: int
) -> np.ndarray:
    """Take off the mean of each source that has items of half the classes or more."""
    own = points.copy()
    for source in np.unique(groups[groups != ""]):
        of_source = groups == source
        if 2 * len(np.unique(labels[of_source])) >= n_classes and of_source.sum() >= LEAST_ITEMS:
            own[of_source] -= points[of_source].mean(axis=0)
    return own


def _scaled(vectors: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the leading directions, scaled so that the spread within classes is round."""
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    points = centred @ directions[:, ::-1][:, :DIMENSIONS]
    within = np.concatenate(
        [
            _from_nearest(points[np.flatnonzero(labels == label)[:MOST_ITEMS]])
            for label in range(n_classes)
        ]
    )
    spread = within.T @ within / len(within)
    size = len(spread)
    spread = (1 - SHRINKAGE) * spread + SHRINKAGE * np.trace(spread) / size * np.eye(size)
    values, axes = np.linalg.eigh(spread)
    return np.asarray(points @ (axes / np.sqrt(np.maximum(values, 1e-12))), np.float32)


def _from_nearest(points: np.ndarray) -> np.ndarray:
    """Return each item less its nearest ones: the spread inside the parts, not between them."""
    if len(points) <= LOCAL:
        return points[:0]
    squares = np.square(points).sum(axis=1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, LOCAL, axis=1)[:, :LOCAL]
    return np.asarray(points - points[nearest].mean(axis=1))
