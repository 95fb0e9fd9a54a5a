"""Find splits that don't represent each other: other shares of classes, another domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy.linalg

from mlcore.chance import PERMUTATIONS, SURE, p_value

LEAST_ITEMS = 30
"""Items of a split below which nothing is said about it."""

LEAST_SHARE = 0.1
"""Total variation distance: one item in ten would need another class for equal shares."""

LEAST_AUC = 0.65
"""Share of pairs, one item of each split, that the classifier sorts rightly; .5 tells nothing."""

MOST_ITEMS = 4_000
"""Items of a pair of splits looked at."""

DIRECTIONS, PENALTY, FOLDS = 32, 1e-2, 5
"""Leading directions of the vectors, ridge penalty as a share of their mean variance, folds."""


@dataclass(frozen=True)
class Shift:
    """Two splits that differ in one way.

    Attributes
    ----------
    cause : str
        "classes" or "domain".
    splits : tuple of str
    size : float
        Total variation distance of the class shares less its chance level, 0 to 1, or AUC.
    p_value : float
        Times the number of pairs and causes looked at (Bonferroni), at most 1.
    typical : pair of int64 ndarrays
        Items of each side: of the classes that are more frequent there, or by which a classifier
        tells the side most surely.
    """

    cause: str
    splits: tuple[str, str]
    size: float
    p_value: float
    typical: tuple[np.ndarray, np.ndarray]


def find_split_shifts(
    labels: np.ndarray,
    splits: np.ndarray,
    *,
    groups: Sequence[str],
    vectors: np.ndarray | None,
    rng: np.random.Generator,
) -> list[Shift]:
    """Return pairs of splits whose class shares or contents differ, largest difference first.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        -1 where there is none.
    splits : str ndarray of shape (n_items,)
        "" where an item is in none.
    groups : sequence of str of length n_items
        Source; "" where unknown. What is shuffled is which split a source is in, not an item, so
        that speakers of one split only are no surprise.
    vectors : float ndarray of shape (n_items, n_dimensions) or None
        For the domain: what is left of them after the mean of each class is taken off.
    rng : numpy Generator

    Returns
    -------
    list of Shift
        Whatever is large enough to matter (LEAST_SHARE, LEAST_AUC), with its p-value.
    """
    names, counts = np.unique(splits[(splits != "") & (labels >= 0)], return_counts=True)
    pairs = list(combinations(names[counts >= LEAST_ITEMS].tolist(), 2))
    n_checks = len(pairs) * (1 if vectors is None else 2)
    n_deals = max(PERMUTATIONS, round(2 * n_checks / SURE))  # else no p-value could reach SURE
    found = []
    for pair in pairs:
        rows = np.flatnonzero(np.isin(splits, pair) & (labels >= 0))
        if len(rows) > MOST_ITEMS:
            rows = np.sort(rng.choice(rows, MOST_ITEMS, replace=False))
        is_second = splits[rows] == pair[1]
        units = _units([groups[row] for row in rows.tolist()], is_second)
        dealt = _dealt(is_second, units, n_deals=n_deals, rng=rng)
        checks = [("classes", LEAST_SHARE, _share_shift(labels[rows], dealt))]
        if vectors is not None:
            points = _points(vectors[rows], labels[rows])
            checks.append(("domain", LEAST_AUC, _domain_shift(points, dealt, units, rng=rng)))
        for cause, least, (sizes, lean) in checks:
            if sizes[0] >= least:
                p = min(1.0, n_checks * p_value(sizes[0], sizes[1:]))
                order = np.argsort(lean, kind="stable")
                typical = (
                    rows[order[~is_second[order]]],
                    rows[order[is_second[order]][::-1]],
                )
                found.append(Shift(cause, pair, float(sizes[0]), p, typical))
    return sorted(found, key=lambda shift: (shift.p_value, -shift.size))


def _units(groups: Sequence[str], is_second: np.ndarray) -> np.ndarray:
    """Number what is dealt as a whole: a source within a split, or an item without one."""
    told = [
        f"{group}\t{second}" if group else row
        for row, (group, second) in enumerate(zip(groups, is_second.tolist(), strict=True))
    ]
    places = {name: place for place, name in enumerate(dict.fromkeys(told))}
    return np.array([places[name] for name in told])


def _dealt(
    is_second: np.ndarray, units: np.ndarray, *, n_deals: int, rng: np.random.Generator
) -> np.ndarray:
    """Return who is on the second side: as it is, then n_deals times dealt by units."""
    of_unit = np.zeros(units.max() + 1, dtype=bool)
    of_unit[units] = is_second
    return np.stack([is_second, *(rng.permutation(of_unit)[units] for _ in range(n_deals))])


def _share_shift(labels: np.ndarray, dealt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of the class shares in each deal, and what leans to the second side."""
    is_class = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    second = dealt.astype(np.float32) @ is_class
    first = is_class.sum(axis=0) - second
    difference = second / np.maximum(second.sum(axis=1, keepdims=True), 1) - first / np.maximum(
        first.sum(axis=1, keepdims=True), 1
    )
    distances = 0.5 * np.abs(difference).sum(axis=1)
    return np.maximum(distances - distances[1:].mean(), 0.0), difference[0][labels]


def _points(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the leading directions of what is left when each class's mean is taken off."""
    points = np.nan_to_num(np.asarray(vectors, np.float64))
    for label in np.unique(labels).tolist():
        points[labels == label] -= points[labels == label].mean(axis=0)
    n_items, n_dimensions = points.shape
    is_wide = n_dimensions > n_items
    products = points @ points.T if is_wide else points.T @ points
    last = len(products) - 1
    leading = [max(0, last - DIRECTIONS + 1), last]
    squares, directions = scipy.linalg.eigh(products, subset_by_index=leading)
    if is_wide:  # the same points up to rotation, by which ridge regression does not change
        return np.asarray(directions * np.sqrt(np.maximum(squares, 0.0)))
    return np.asarray(points @ directions)


def _domain_shift(
    points: np.ndarray, dealt: np.ndarray, units: np.ndarray, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the AUC of a ridge classifier in each deal, and its out-of-sample scores as it is.

    Its scores are linear in who is on which side: all deals are solved at once.
    """
    sides = dealt.T.astype(np.float64)
    fold = rng.permutation(units.max() + 1)[units] % FOLDS
    scores = np.zeros_like(sides)
    penalty = PENALTY * np.square(points).sum() * np.eye(points.shape[1]) / points.shape[1]
    for out in range(FOLDS):
        known = fold != out
        inner = points[known].T @ points[known] + penalty
        wanted = sides[known] - sides[known].mean(axis=0)
        weights = np.linalg.solve(inner, points[known].T @ wanted)
        scores[~known] = points[~known] @ weights
    ranks = scores.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") + 1
    n_second = sides.sum(axis=0)
    n_pairs = np.maximum(n_second * (len(sides) - n_second), 1)
    above = (ranks * sides).sum(axis=0) - n_second * (n_second + 1) / 2
    return above / n_pairs, scores[:, 0]
