"""Find parts of a set that don't represent each other: other classes, another domain."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mlcore.chance import PERMUTATIONS, SURE, p_value
from mlcore.folds import join_groups

LEAST_ITEMS = 30
"""Items of a part below which nothing is said about it."""

LEAST_SHARE = 0.1
"""Total variation distance: one item in ten would need another class for equal shares."""

LEAST_AUC = 0.65
"""Share of pairs, one item of each part, that the classifier sorts rightly; .5 tells nothing."""

MOST_ITEMS = 2_000
"""Items of a part looked at, drawn by chance."""

DIRECTIONS, PENALTY, FOLDS = 32, 1e-2, 5
"""Leading directions of the vectors, ridge penalty as a share of their mean variance, folds."""

SPARE, TURNS = 10, 3
"""Directions beyond those kept and power iterations of the random range finder (Halko, Martinsson
and Tropp 2011, doi:10.1137/090771806)."""

LEAST_SPREAD = 1e-9
"""Spread of what chance gives below which it gives always the same."""


@dataclass(frozen=True)
class Shift:
    """How two parts differ in one way.

    Attributes
    ----------
    cause : str
        "classes" or "domain".
    parts : tuple of str
    size : float
        Total variation distance of the class shares less its chance level, 0 to 1, or AUC.
    p_value : float
        Chance that any pair and cause looked at stands out as much.
    by_group : bool
        Whether groups were dealt as a whole; False where too few for that are in the pair.
    n_items : tuple of int
        Items of each part looked at.
    typical : pair of int64 ndarrays
        Items of each side: of the classes that are more frequent there, or by which a classifier
        tells the side most surely.
    """

    cause: str
    parts: tuple[str, str]
    size: float
    p_value: float
    by_group: bool
    n_items: tuple[int, int]
    typical: tuple[np.ndarray, np.ndarray]

    @property
    def is_sure(self) -> bool:
        """Whether it is large enough to matter and more than chance."""
        least = LEAST_SHARE if self.cause == "classes" else LEAST_AUC
        return self.size >= least and self.p_value <= SURE


@dataclass(frozen=True)
class _Sides:
    """A pair: its rows, who is on the second side in each deal (first as it is), what is dealt."""

    rows: np.ndarray
    is_labelled: bool
    dealt: np.ndarray
    groups: np.ndarray
    by_group: bool


@dataclass(frozen=True)
class _Tried:
    """What was found of a pair in one way: its size in each deal, which rows lean to the second."""

    pair: tuple[str, str]
    cause: str
    sides: _Sides
    sizes: np.ndarray
    lean: np.ndarray


def find_shifts(
    labels: np.ndarray,
    parts: np.ndarray,
    *,
    groups: Sequence[str],
    copies: Sequence[Hashable | None] | None = None,
    vectors: np.ndarray | None,
    rng: np.random.Generator,
) -> list[Shift]:
    """Compare every two parts by their class shares and by what is in them.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        -1 where there is none. Where both of two parts have enough labelled items, these alone
        are compared and each class's mean is taken off; else classes are not looked at.
    parts : str ndarray of shape (n_items,)
        "" where an item is in none.
    groups : sequence of str of length n_items
        Source; "" where unknown. What is shuffled is which part a source is in, not an item, so
        that speakers of one part only are no surprise.
    copies : sequence of hashable or None of length n_items, optional
        Copy set of each item. Sources and copy sets are on one side of each fold.
    vectors : float ndarray of shape (n_items, n_dimensions) or None
        For the domain. Their leading directions are found once for all pairs.
    rng : numpy Generator

    Returns
    -------
    list of Shift
        Of each pair of parts with enough items and each cause, surest and largest first. A size
        is told in standard deviations of its own shuffles; that of the largest of all pairs and
        causes corrects each p-value for their number (Westfall and Young 1993).
    """
    names, counts = np.unique(parts[parts != ""], return_counts=True)
    kept = names[counts >= LEAST_ITEMS].tolist()
    chosen = {name: _drawn(parts == name, labels, rng) for name in kept}
    pairs = list(combinations(kept, 2))
    if not pairs:
        return []
    everything = np.unique(np.concatenate(list(chosen.values())))
    points = None
    if vectors is not None:
        within = _within_classes(vectors[everything], labels[everything])
        points = leading(within, rng=rng)
    tried: list[_Tried] = []
    for pair in pairs:
        sides = _sides([chosen[name] for name in pair], labels, groups, copies, rng=rng)
        own = points[np.searchsorted(everything, sides.rows)] if points is not None else None
        tried += _compared(pair, sides, labels[sides.rows], own, rng=rng)
    return _told(tried)


def _compared(
    pair: tuple[str, str],
    sides: _Sides,
    labels: np.ndarray,
    points: np.ndarray | None,
    *,
    rng: np.random.Generator,
) -> Iterator[_Tried]:
    """Look at a pair in each way that its labels and points allow."""
    if sides.is_labelled:
        yield _Tried(pair, "classes", sides, *_share_shift(labels, sides.dealt))
    if points is not None:
        within = _within_classes(points, labels)
        yield _Tried(pair, "domain", sides, *_domain_shift(within, sides, rng=rng))


def _told(tried: list[_Tried]) -> list[Shift]:
    """Return what was tried, surest first, each p-value corrected for how much was tried."""
    if not tried:
        return []
    stands_out = np.stack([_standard(one.sizes) for one in tried])
    largest = stands_out[:, 1:].max(axis=0)
    found = [
        _shift(one, p=p_value(float(out[0]), largest))
        for one, out in zip(tried, stands_out, strict=True)
    ]
    return sorted(found, key=lambda shift: (shift.p_value, -shift.size))


def leading(vectors: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return the coordinates of vectors along their leading directions.

    Parameters
    ----------
    vectors : float ndarray of shape (n_items, n_dimensions)
        Centred, without NaN.
    rng : numpy Generator

    Returns
    -------
    float64 ndarray of shape (n_items, min(DIRECTIONS, n_items, n_dimensions))
    """
    points = np.asarray(vectors, np.float32)
    wanted = min(DIRECTIONS + SPARE, *points.shape)
    span = np.linalg.qr(points @ rng.standard_normal((points.shape[1], wanted), np.float32))[0]
    for _ in range(TURNS):
        span = np.linalg.qr(points @ np.linalg.qr(points.T @ span)[0])[0]
    directions = np.linalg.svd(span.T @ points, full_matrices=False)[2][:DIRECTIONS]
    return np.asarray(points @ directions.T, np.float64)


def _drawn(is_in: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows of a part, MOST_ITEMS at most; the labelled ones alone where they are enough."""
    rows = np.flatnonzero(is_in & (labels >= 0))
    if len(rows) < LEAST_ITEMS:
        rows = np.flatnonzero(is_in)
    return np.sort(rng.choice(rows, MOST_ITEMS, replace=False)) if len(rows) > MOST_ITEMS else rows


def _sides(
    chosen: list[np.ndarray],
    labels: np.ndarray,
    groups: Sequence[str],
    copies: Sequence[Hashable | None] | None,
    *,
    rng: np.random.Generator,
) -> _Sides:
    # Shuffled, so that where scores are equal neither side comes last.
    order = rng.permutation(sum(map(len, chosen)))
    rows = np.concatenate(chosen)[order]
    is_second = np.repeat([False, True], [len(side) for side in chosen])[order]
    sources = [groups[row] or None for row in rows.tolist()]
    sets = [copies[row] if copies is not None else None for row in rows.tolist()]
    together = join_groups(sources, sets)
    by_group = _is_dealt_enough(together, is_second)
    units = together if by_group else join_groups(sets)
    return _Sides(
        rows,
        is_labelled=bool((labels[rows] >= 0).all()),
        dealt=_dealt(is_second, _within(units, is_second), rng=rng),
        groups=together if by_group else units,
        by_group=by_group,
    )


def _is_dealt_enough(units: np.ndarray, is_second: np.ndarray) -> bool:
    """Whether there are more ways to deal the units than shuffles are made."""
    sizes = [len(np.unique(units[side])) for side in (is_second, ~is_second)]
    return math.comb(sum(sizes), sizes[0]) > PERMUTATIONS


def _within(units: np.ndarray, is_second: np.ndarray) -> np.ndarray:
    """Number what is dealt as a whole: a group within a side."""
    return np.unique(2 * units + is_second, return_inverse=True)[1]


def _dealt(is_second: np.ndarray, units: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return who is on the second side: as it is, then PERMUTATIONS times dealt by units."""
    of_unit = np.zeros(units.max() + 1, dtype=bool)
    of_unit[units] = is_second
    deals = (rng.permutation(of_unit)[units] for _ in range(PERMUTATIONS))
    return np.stack([is_second, *deals])


def _standard(sizes: np.ndarray) -> np.ndarray:
    """Return sizes in standard deviations above the middle of what chance gives."""
    spread = max(float(sizes[1:].std()), LEAST_SPREAD)
    return np.asarray((sizes - sizes[1:].mean()) / spread)


def _shift(one: _Tried, *, p: float) -> Shift:
    sides, order = one.sides, np.argsort(one.lean, kind="stable")
    is_second = sides.dealt[0]
    typical = (
        sides.rows[order[~is_second[order]]],
        sides.rows[order[is_second[order]][::-1]],
    )
    n_items = (len(typical[0]), len(typical[1]))
    size = float(one.sizes[0])
    return Shift(one.cause, one.pair, size, p, sides.by_group, n_items, typical)


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


def _within_classes(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Take each class's mean off, or the mean of all where some have no label; NaN counts as 0."""
    codes = np.unique(np.where(labels.min() < 0, 0, labels), return_inverse=True)[1]
    points, is_class = np.nan_to_num(points), np.eye(codes.max() + 1, dtype=points.dtype)[codes]
    means = (is_class.T @ points) / is_class.sum(axis=0)[:, None]
    return np.asarray(points - means[codes])


def _domain_shift(
    points: np.ndarray, sides: _Sides, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the AUC of a ridge classifier in each deal, and its out-of-sample scores as it is.

    Its scores are linear in who is on which side: all deals are solved at once.
    """
    is_second = sides.dealt.astype(np.float64)
    fold = rng.permutation(sides.groups.max() + 1)[sides.groups] % FOLDS
    scores = np.zeros_like(is_second)
    least = np.finfo(float).tiny  # where all are alike: nothing is told, nothing divided by 0
    penalty = max(PENALTY * np.square(points).sum() / points.shape[1], least)
    for out in range(FOLDS):
        known = fold != out
        if not known.any():  # all are copies of each other
            continue
        inner = points[known].T @ points[known] + penalty * np.eye(points.shape[1])
        wanted = is_second[:, known] - is_second[:, known].mean(axis=1, keepdims=True)
        weights = np.linalg.solve(inner, (wanted @ points[known]).T)
        scores[:, ~known] = (points[~known] @ weights).T
    return _areas(scores, sides.dealt), scores[0]


def _areas(scores: np.ndarray, is_second: np.ndarray) -> np.ndarray:
    """Return, a row each, the share of pairs of both sides that scores put in order."""
    order = scores.argsort(axis=1, kind="stable")
    n_items = scores.shape[1]
    places = np.arange(1, n_items + 1)
    ranks = np.take_along_axis(is_second, order, axis=1) @ places
    n_second = is_second.sum(axis=1)
    n_pairs = np.maximum(n_second * (n_items - n_second), 1)
    return np.asarray((ranks - n_second * (n_second + 1) / 2) / n_pairs)
