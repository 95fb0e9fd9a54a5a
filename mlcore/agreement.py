"""Measure how far annotators agree beyond chance: Krippendorff's alpha."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlcore.intervals import COVERAGE, NUMBERS_AT_ONCE, Interval

Level = Literal["nominal", "ordinal"]

RELIABLE, TENTATIVE = 0.8, 0.667
"""Least alpha to rely on, and to draw tentative conclusions (Krippendorff 2004,
"Content Analysis", 2nd ed., section 11.4.4)."""

RESAMPLES = 1000
"""Enough for 95 % limits to two digits (Efron and Tibshirani 1993, section 13.3)."""


NOTHING = Interval(np.nan, np.nan, np.nan)
"""Where there is nothing to compare."""


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha: 1 full agreement, 0 what chance gives, below 0 they contradict.

    Attributes
    ----------
    alpha : Interval
        Of all answers; 95 % limits from resampling items, and never narrower than what so
        many items leave unseen: where all agree, resampling finds nothing but agreement. nan
        where nothing can be compared.
    by_class : list of Interval
        Of "this class or another one", per class.
    by_annotator : list of Interval
        Of this annotator's answers against everybody else's on the same items.
    n_items : int
        Items with two answers or more; the others say nothing about agreement.
    """

    alpha: Interval
    by_class: list[Interval]
    by_annotator: list[Interval]
    n_items: int

    @property
    def meaning(self) -> str:
        """One word for `alpha`: unknown, none, poor, tentative or reliable."""
        return meaning_of(self.alpha.value) if tells(self.alpha.low, self.alpha.high) else "unknown"


def tells(low: float, high: float) -> bool:
    """Return whether limits leave anything out: no agreement at all, or one to rely on.

    Examples
    --------
    >>> [tells(low, high) for low, high in ((-0.1, 0.9), (0.1, 0.9), (-0.1, 0.7))]
    [False, True, True]
    """
    return bool(low > 0 or high < RELIABLE)


def meaning_of(alpha: float) -> str:
    """Return what an alpha means, in Krippendorff's terms.

    Examples
    --------
    >>> [meaning_of(alpha) for alpha in (0.85, 0.7, 0.3, -0.1, float("nan"))]
    ['reliable', 'tentative', 'poor', 'none', 'unknown']
    """
    if np.isnan(alpha):
        return "unknown"
    if alpha >= RELIABLE:
        return "reliable"
    if alpha >= TENTATIVE:
        return "tentative"
    return "poor" if alpha > 0 else "none"


def agreement(
    items: np.ndarray,
    annotators: np.ndarray,
    answers: np.ndarray,
    *,
    n_classes: int,
    level: Level = "nominal",
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Return Krippendorff's alpha in all, by class and by annotator.

    Parameters
    ----------
    items, annotators, answers : int ndarrays of shape (n_answers,)
        Who answered what about which item, all counted from 0; at most one answer per item
        and annotator.
    n_classes : int
    level : {"nominal", "ordinal"}
        Whether classes are merely different, or in an order in which far apart is worse.
    rng : numpy Generator
    resamples : int
        Bootstrap draws of items.

    Returns
    -------
    Agreement
        Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability",
        https://repository.upenn.edu/asc_papers/43; bootstrap over items, as what the next
        items would give is the question.

    Examples
    --------
    Krippendorff's example B: two observers, twelve units, five nominal categories.

    >>> said = np.array([list("aabbdcccedda"), list("babbbccceddd")])
    >>> answers = np.unique(said.ravel(), return_inverse=True)[1]
    >>> items, annotators = np.tile(np.arange(12), 2), np.repeat([0, 1], 12)
    >>> found = agreement(items, annotators, answers, n_classes=5, rng=np.random.default_rng(0))
    >>> round(found.alpha.value, 3), found.meaning
    (0.692, 'tentative')
    """
    items, annotators, answers = np.asarray(items), np.asarray(annotators), np.asarray(answers)
    votes = _votes(items, answers, n_classes)
    compared = votes.sum(axis=1) > 1
    patterns, how_many = np.unique(votes[compared], axis=0, return_counts=True)
    n_annotators = int(annotators.max(initial=-1)) + 1
    if not len(patterns):
        return Agreement(NOTHING, [NOTHING] * n_classes, [NOTHING] * n_annotators, 0)
    agreed = patterns * (patterns - 1) / (patterns.sum(axis=1, keepdims=True) - 1)
    pairs = _pairs(patterns) if level == "ordinal" else None
    value, by_class = _alphas(how_many[None], patterns, agreed, pairs)
    drawn = [
        _alphas(draws, patterns, agreed, pairs)
        for draws in _draws_of(how_many, rng=rng, resamples=resamples)
    ]
    found, found_by_class = (np.concatenate(each) for each in zip(*drawn))
    distances = _disagreements(votes, items, answers, level)
    worst, worst_by_class = _worst(how_many @ patterns, level)
    n_items = int(compared.sum())
    return Agreement(
        _bounds(float(value[0]), found, n=n_items, worst=worst),
        [
            _bounds(float(v), each, n=n_items, worst=float(of_class))
            for v, each, of_class in zip(by_class[0], found_by_class.T, worst_by_class)
        ],
        [
            _of_one(distances[(annotators == person) & compared[items]], rng, resamples, worst)
            for person in range(n_annotators)
        ],
        n_items,
    )


def _votes(items: np.ndarray, answers: np.ndarray, n_classes: int) -> np.ndarray:
    n_items = int(items.max(initial=-1)) + 1
    counts = np.bincount(items * n_classes + answers, minlength=n_items * n_classes)
    return counts.reshape(n_items, n_classes)


def _pairs(patterns: np.ndarray) -> np.ndarray:
    """Return the coincidences in an item of each pattern, shape (n_patterns, K, K)."""
    paired = patterns[:, :, None] * patterns[:, None, :].astype(np.float64)
    diagonal = np.arange(patterns.shape[1])
    paired[:, diagonal, diagonal] -= patterns
    paired /= (patterns.sum(axis=1) - 1)[:, None, None]
    return paired


def _alphas(
    draws: np.ndarray, patterns: np.ndarray, agreed: np.ndarray, pairs: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return alpha, and alpha of each class against the others, of each draw of items."""
    n_classes = patterns.shape[1]
    counts = (draws @ patterns).astype(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    split = counts - draws @ agreed
    by_chance = counts * (total - counts) / (total - 1)
    by_class = _beyond_chance(split, by_chance)
    if pairs is None:  # all different classes are equally far apart
        return _beyond_chance(split.sum(axis=1), by_chance.sum(axis=1)), by_class
    found = (draws @ pairs.reshape(len(pairs), -1)).reshape(-1, n_classes, n_classes)
    distance = _distances(counts, "ordinal")
    expected = (distance * counts[:, :, None] * counts[:, None, :]).sum(axis=(1, 2))
    return _beyond_chance(
        (distance * found).sum(axis=(1, 2)), expected / (total[:, 0] - 1)
    ), by_class


def _distances(counts: np.ndarray, level: Level) -> np.ndarray:
    """Return the squared distance of every two classes, shape (n_draws, K, K).

    Ordinal: the square of the answers that lie between two classes, their own halved.
    """
    n_classes = counts.shape[1]
    if level == "nominal":
        return np.broadcast_to(1.0 - np.eye(n_classes), (len(counts), n_classes, n_classes))
    middle = np.cumsum(counts, axis=1) - counts / 2
    return (middle[:, :, None] - middle[:, None, :]) ** 2


def _worst(counts: np.ndarray, level: Level) -> tuple[float, np.ndarray]:
    """Return the most that an item can disagree, chance being 1: in all, and by class."""
    distance = _distances(counts[None].astype(np.float64), level)[0]
    total = counts.sum()
    paired = counts / total * counts[:, None] / (total - 1)
    expected = np.append((distance * paired).sum(), 2 * counts * (total - counts))
    expected[1:] /= total * (total - 1)
    most = np.append(distance.max(), np.ones(len(counts)))
    found = np.divide(most, expected, out=np.full(len(most), np.nan), where=expected > 0)
    return float(found[0]), found[1:]


def _beyond_chance(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return 1 - observed / expected disagreement; nan where only one class was ever named."""
    ratio = np.divide(observed, expected, out=np.full(observed.shape, np.nan), where=expected > 0)
    alpha: np.ndarray = 1.0 - ratio
    return alpha


def _disagreements(
    votes: np.ndarray, items: np.ndarray, answers: np.ndarray, level: Level
) -> np.ndarray:
    """Return each answer's mean distance from the item's other answers, chance being 1."""
    used = votes * (votes.sum(axis=1, keepdims=True) > 1)
    counts = used.sum(axis=0, keepdims=True).astype(np.float64)
    distance = _distances(counts, level)[0]
    total = counts.sum()
    expected = float((distance * counts.T * counts).sum() / (total * (total - 1)))
    others = np.maximum(votes[items].sum(axis=1) - 1, 1)
    observed = (distance[answers] * votes[items]).sum(axis=1) / others
    return observed / expected if expected > 0 else np.full(len(items), np.nan)


def _of_one(
    distances: np.ndarray, rng: np.random.Generator, resamples: int, worst: float
) -> Interval:
    if not len(distances) or np.isnan(distances).any():
        return NOTHING
    kinds, how_many = np.unique(distances, return_counts=True)
    drawn = [draws @ kinds for draws in _draws_of(how_many, rng=rng, resamples=resamples)]
    found = 1.0 - np.concatenate(drawn) / len(distances)
    return _bounds(1.0 - float(distances.mean()), found, n=len(distances), worst=worst)


def _draws_of(
    how_many: np.ndarray, *, rng: np.random.Generator, resamples: int
) -> Iterator[np.ndarray]:
    """Yield, in blocks, how often each kind of item is drawn in each resample."""
    n_items = int(how_many.sum())
    block = max(NUMBERS_AT_ONCE // len(how_many), 1)
    for start in range(0, resamples, block):
        yield rng.multinomial(n_items, how_many / n_items, size=min(block, resamples - start))


def _bounds(value: float, found: np.ndarray, *, n: int, worst: float) -> Interval:
    """Return the value with the limits that hold most of what resampling `n` items found.

    Resamples in which it is not defined (nan) are left out. A kind of item that none of the n
    showed may have a share of up to `unseen` (Clopper and Pearson 1934, of 0 in n), and
    disagree by `worst` or not at all: what resampling cannot know.
    """
    defined = found[~np.isnan(found)]
    if not len(defined) or np.isnan(value):
        return Interval(value, np.nan, np.nan)
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    unseen = 1 - tail ** (1 / n)
    seen = (1 - unseen) * (1 - value)
    lowest = max(1 - seen - unseen * worst, min(-1.0, low))
    return Interval(value, float(min(low, lowest)), float(max(high, 1 - seen)))
