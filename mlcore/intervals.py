"""State how sure a score is: bootstrap over groups, paired differences, plain baselines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
"""Enough for 95 % limits to two digits (Efron and Tibshirani 1993, section 13.3: 1000)."""
COVERAGE = 0.95
NORMAL_95 = 1.959964
"""Standard deviations that hold 95 of 100 draws from a normal distribution."""
NUMBERS_AT_ONCE = 10_000_000
"""Resampling counts held in memory at once: 80 MB."""


@dataclass(frozen=True)
class Interval:
    """A value with the limits that hold it in 95 of 100 repetitions."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference(Interval):
    """After minus before on the same items.

    `p_value` is McNemar's exact test, two-sided, items taken as independent; `gained` and
    `lost` count items that became right and wrong.
    """

    p_value: float
    gained: int
    lost: int


def accuracy_interval(
    correct: np.ndarray,
    groups: np.ndarray,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the accuracy, with limits from resampling whole groups.

    Parameters
    ----------
    correct : bool ndarray of shape (n_items,)
    groups : int ndarray of shape (n_items,)
        Items of one group are drawn together: they are no independent evidence.
    rng : numpy Generator
    resamples : int

    Returns
    -------
    Interval
        0 to 1.

    Examples
    --------
    >>> accuracy_interval(np.ones(8), np.arange(8), rng=np.random.default_rng(0))
    Interval(value=1.0, low=1.0, high=1.0)
    """
    return _mean_interval(np.asarray(correct, dtype=float), groups, rng=rng, resamples=resamples)


def paired_difference(
    before_correct: np.ndarray,
    after_correct: np.ndarray,
    groups: np.ndarray,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> PairedDifference:
    """Return how much the accuracy changed on the same items.

    Parameters
    ----------
    before_correct, after_correct : bool ndarray of shape (n_items,)
    groups, rng, resamples
        As for `accuracy_interval`.

    Returns
    -------
    PairedDifference
        -1 to 1; exactly 0, 0, 0 where nothing changed.
    """
    from scipy.stats import binomtest

    before, after = np.asarray(before_correct, dtype=bool), np.asarray(after_correct, dtype=bool)
    change = after.astype(float) - before.astype(float)
    whole = _mean_interval(change, groups, rng=rng, resamples=resamples)
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return PairedDifference(whole.value, whole.low, whole.high, p_value, gained, lost)


def macro_f1_interval(
    labels: np.ndarray,
    predicted: np.ndarray,
    groups: np.ndarray,
    *,
    n_classes: int,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the mean F1 over classes that occur, with limits from resampling whole groups.

    Parameters
    ----------
    labels, predicted : int ndarray of shape (n_items,)
    groups, rng, resamples
        As for `accuracy_interval`.
    n_classes : int

    Returns
    -------
    Interval
        0 to 1. In a resample, classes that neither occur nor are predicted are left out.
    """
    from scipy.sparse import coo_matrix

    labels, predicted = np.asarray(labels), np.asarray(predicted)
    group_of = np.unique(groups, return_inverse=True)[1].ravel()
    right = labels == predicted
    rows = np.concatenate([group_of[right], group_of, group_of])
    columns = np.concatenate([labels[right], n_classes + labels, 2 * n_classes + predicted])
    shape = (int(group_of.max(initial=-1)) + 1, 3 * n_classes)
    counts = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
    value = float(_macro_f1(np.asarray(counts.sum(axis=0)).reshape(1, -1), n_classes)[0])
    found = []
    for draws in draws_of(np.ones(shape[0]), rng=rng, resamples=resamples):
        found.append(_macro_f1((counts.T @ draws.T).T, n_classes))
    return bounds(value, np.concatenate(found))


def _macro_f1(counts: np.ndarray, n_classes: int) -> np.ndarray:
    """Return macro-F1 from rows of right, given and predicted items per class."""
    right, given, predicted = np.split(counts, [n_classes, 2 * n_classes], axis=1)
    occurs = (given + predicted) > 0
    f1 = 2 * right / np.maximum(given + predicted, 1)
    return f1.sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)


def _mean_interval(
    values: np.ndarray, groups: np.ndarray, *, rng: np.random.Generator, resamples: int
) -> Interval:
    """Resample groups; those of equal sum and size are drawn together, which is exact."""
    if not len(values):
        raise ValueError("There are no items to judge by.")
    group_of = np.unique(groups, return_inverse=True)[1].ravel()
    per_group = np.stack([np.bincount(group_of, values), np.bincount(group_of)], axis=1)
    kinds, how_many = np.unique(per_group, axis=0, return_counts=True)
    found = []
    for draws in draws_of(how_many, rng=rng, resamples=resamples):
        total, size = (draws @ kinds).T
        found.append(total / size)
    return bounds(float(values.mean()), np.concatenate(found))


def draws_of(
    how_many: np.ndarray, *, rng: np.random.Generator, resamples: int
) -> Iterator[np.ndarray]:
    """Yield, in blocks, how often each kind of group is drawn in each resample."""
    n_groups = int(how_many.sum())
    block = max(NUMBERS_AT_ONCE // len(how_many), 1)
    for start in range(0, resamples, block):
        yield rng.multinomial(n_groups, how_many / n_groups, size=min(block, resamples - start))


def bounds(value: float, found: np.ndarray) -> Interval:
    """Return the value with the limits that hold most of what resampling found.

    Resamples in which it is not defined (nan) are left out.
    """
    defined = found[~np.isnan(found)]
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail]) if len(defined) else (np.nan, np.nan)
    return Interval(value, float(low), float(high))


def share_interval(hits: int, n: int) -> Interval:
    """Return a share of independent yes and no, with Wilson's limits (Wilson 1927, eq. 2).

    Examples
    --------
    >>> found = share_interval(9, 10)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.9, 0.596, 0.982)
    """
    z2, share = NORMAL_95**2, hits / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = NORMAL_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(share, max(0.0, middle - reach), min(1.0, middle + reach))


def majority_baseline(labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Predict for every item the commonest label of the other folds.

    Parameters
    ----------
    labels, folds : int ndarray of shape (n_items,)

    Returns
    -------
    int64 ndarray of shape (n_items,)

    Examples
    --------
    >>> majority_baseline(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]))
    array([1, 1, 0, 0])
    """
    predicted = np.zeros(len(labels), dtype=np.int64)
    for fold in np.unique(folds):
        predicted[folds == fold] = np.bincount(labels[folds != fold]).argmax()
    return predicted


def nearest_centroid_baseline(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """Predict for every item the class whose mean, over the other folds, lies nearest.

    Parameters
    ----------
    features : float ndarray of shape (n_items, n_features)
        Standardised on the other folds before distances are taken.
    labels, folds : int ndarray of shape (n_items,)

    Returns
    -------
    int64 ndarray of shape (n_items,)
    """
    predicted = np.zeros(len(labels), dtype=np.int64)
    for fold in np.unique(folds):
        unseen, seen = folds == fold, folds != fold
        centre, spread = features[seen].mean(axis=0), features[seen].std(axis=0)
        standard = (features - centre) / np.where(spread > 0, spread, 1)
        classes = np.unique(labels[seen])
        means = np.stack([standard[seen & (labels == kind)].mean(axis=0) for kind in classes])
        squares = (means**2).sum(axis=1) - 2 * standard[unseen] @ means.T
        predicted[unseen] = classes[squares.argmin(axis=1)]
    return predicted
