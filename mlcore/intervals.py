"""State how sure a score is, and how sure a paired difference.

Groups of very unequal size are why there is no bootstrap here: with a third of the items in one
group its 95 % limits held the truth 41 to 96 times in 100 (`bench/intervals.py`). They are also
why no variance is below that which the likeness of a group's items implies: where few groups hold
most items, leaving out one at a time sees only those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlcore.metrics import moved_f1
from mlcore.refusals import Impossible

COVERAGE = 0.95
NORMAL_95 = 1.959964
"""Standard deviations that hold 95 of 100 draws from a normal distribution."""
LEAST_FREEDOM = 1.0
"""Degrees of freedom where nearly all items are in one group."""
NUMBERS_AT_ONCE = 10_000_000
"""Counts held in memory at once: 80 MB."""


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


@dataclass(frozen=True)
class Evidence:
    """How many groups a value rests on, and what they and the items are worth (Kish 1965)."""

    n_groups: int
    worth: float
    n: float


def accuracy_interval(correct: np.ndarray, groups: np.ndarray) -> Interval:
    """Return the accuracy, with limits over groups.

    Parameters
    ----------
    correct : bool ndarray of shape (n_items,)
        Or what each item counts, 0 to 1.
    groups : int ndarray of shape (n_items,)
        Items of one group are no independent evidence.

    Returns
    -------
    Interval
        0 to 1.

    Examples
    --------
    >>> found = accuracy_interval(np.arange(40) < 30, np.arange(40) // 4)
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (0.75, 0.41, 0.93)
    """
    right, group_of = np.asarray(correct, dtype=float), _numbered(groups)
    value = float(right.mean())
    return limits_of_share(value, right - value, group_of)


def difference_interval(change: np.ndarray, groups: np.ndarray) -> Interval:
    """Return a mean difference, with limits over groups.

    Parameters
    ----------
    change : float ndarray of shape (n_items,)
        What each item's answer won or lost, its mean from -1 to 1.
    groups : int ndarray of shape (n_items,)

    Returns
    -------
    Interval
        -1 to 1.
    """
    return _difference(np.asarray(change, dtype=float), groups)


def paired_difference(
    before_correct: np.ndarray, after_correct: np.ndarray, groups: np.ndarray
) -> PairedDifference:
    """Return how much the accuracy changed on the same items.

    Parameters
    ----------
    before_correct, after_correct : bool ndarray of shape (n_items,)
    groups : int ndarray of shape (n_items,)
        As for `accuracy_interval`.

    Returns
    -------
    PairedDifference
        -1 to 1. Limits have a width also where no answer changed: other items might have. Where
        groups are right or wrong as a whole, a whole group might: the variance is never less than
        Agresti and Min's for that many effective items of which none changed.

    Examples
    --------
    >>> found = paired_difference(np.zeros(3, bool), np.ones(3, bool), np.arange(3))
    >>> found.value, round(found.low, 2), round(found.p_value, 2)
    (1.0, -0.28, 0.25)
    """
    from scipy.stats import binomtest

    before, after = np.asarray(before_correct, dtype=bool), np.asarray(after_correct, dtype=bool)
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    alike = min(_effective(correct, groups) for correct in (before, after))
    change = after.astype(float) - before.astype(float)
    whole = _difference(change, groups, least=1 / (alike + 2) ** 2)
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return PairedDifference(whole.value, whole.low, whole.high, p_value, gained, lost)


def _effective(correct: np.ndarray, groups: np.ndarray) -> float:
    """Return how many independent items would tell this share as surely (Kish 1965).

    Never fewer than the groups are worth: so many where a group is all right or all wrong.
    """
    share, least = float(correct.mean()), groups_worth(groups)
    varies = _jackknife_variance(correct - share, _numbered(groups))
    return min(max(share * (1 - share) / varies, least), len(correct)) if varies else least


def _difference(change: np.ndarray, groups: np.ndarray, *, least: float = 0.0) -> Interval:
    """Return a mean with its limits; its variance is at least `least`.

    Few changed items vary little only because they are few: the variance is never less than Agresti
    and Min's for independent pairs (2005, doi:10.1002/sim.1781), half an item more each way.
    """
    value, n = float(change.mean()), len(change) + 2
    few = float((change**2).sum() + 1 - change.sum() ** 2 / n) / n**2
    varies = max(variance_of(change - value, groups), few, least)
    reach = student_reach(len(np.unique(groups))) * math.sqrt(varies)
    return Interval(value, max(-1.0, value - reach), min(1.0, value + reach))


def subset_difference(correct: np.ndarray, is_kept: np.ndarray, groups: np.ndarray) -> Interval:
    """Return how much the accuracy differs on some of the items from that on all of them.

    The two share items, so their limits must not be compared.

    Parameters
    ----------
    correct : bool ndarray of shape (n_items,)
    is_kept : bool ndarray of shape (n_items,)
        The items of the subset; at least one.
    groups : int ndarray of shape (n_items,)
        As for `accuracy_interval`.

    Returns
    -------
    Interval
        Accuracy of the subset minus that of all, -1 to 1; exactly 0, 0, 0 where all are kept or
        all are right or all are wrong.

    Examples
    --------
    >>> correct, is_kept = np.arange(40) % 8 > 0, np.arange(40) % 2 > 0
    >>> round(subset_difference(correct, is_kept, np.arange(40)).value, 3)
    0.125
    """
    right, kept = np.asarray(correct, dtype=float), np.asarray(is_kept, dtype=bool)
    group_of = _numbered(groups)
    value = float(right[kept].mean() - right.mean())
    pulls = kept / kept.mean() * (right - right[kept].mean()) - (right - right.mean())
    reach = student_reach(len(np.unique(group_of[kept]))) * math.sqrt(variance_of(pulls, group_of))
    return Interval(value, max(-1.0, value - reach), min(1.0, value + reach))


def recall_difference(
    before_correct: np.ndarray, after_correct: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> Interval:
    """Return how much the mean recall over classes changed on the same items.

    Every class counts alike, however many items it has.

    Parameters
    ----------
    before_correct, after_correct : bool ndarray of shape (n_items,)
    labels : int ndarray of shape (n_items,)
    groups : int ndarray of shape (n_items,)
        As for `accuracy_interval`.

    Returns
    -------
    Interval
        -1 to 1.

    Examples
    --------
    >>> labels = np.array([0] * 6 + [1] * 2)
    >>> recall_difference(labels == 0, labels == labels, labels, np.arange(8)).value
    0.5
    """
    counts = np.bincount(labels)
    weights = len(labels) / (np.count_nonzero(counts) * counts[labels])
    change = np.asarray(after_correct, dtype=float) - np.asarray(before_correct, dtype=float)
    return difference_interval(change * weights, groups)


def macro_f1_interval(
    labels: np.ndarray, predicted: np.ndarray, groups: np.ndarray, *, n_classes: int
) -> Interval:
    """Return the mean F1 over classes that occur, with limits from leaving out each group.

    Its pulls alone do not tell how much it varies: of ten groups with 13 items of five classes such
    limits held the truth in 85 of 100 draws.

    Parameters
    ----------
    labels, predicted : int ndarray of shape (n_items,)
    groups : int ndarray of shape (n_items,)
        As for `accuracy_interval`.
    n_classes : int

    Returns
    -------
    Interval
        0 to 1. Classes that neither occur nor are predicted are left out.
    """
    from scipy.sparse import coo_matrix

    labels, predicted = np.asarray(labels), np.asarray(predicted)
    group_of = _numbered(groups)
    right = labels == predicted
    rows = np.concatenate([group_of[right], group_of, group_of])
    columns = np.concatenate([labels[right], n_classes + labels, 2 * n_classes + predicted])
    shape = (int(group_of.max()) + 1, 3 * n_classes)
    counts = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
    total = np.asarray(counts.sum(axis=0)).reshape(1, -1)
    block = max(NUMBERS_AT_ONCE // shape[1], 1)
    without = [
        _macro_f1(total - counts[start : start + block].toarray(), n_classes)
        for start in range(0, shape[0], block)
    ]
    value = float(_macro_f1(total, n_classes)[0])
    pulls = moved_f1(total[0], labels, predicted)
    return limits_of_share(value, pulls, groups, moved=value - np.concatenate(without))


def _macro_f1(counts: np.ndarray, n_classes: int) -> np.ndarray:
    """Return macro-F1 from rows of right, given and predicted items per class."""
    right, given, predicted = np.split(counts, [n_classes, 2 * n_classes], axis=1)
    occurs = (given + predicted) > 0
    f1 = 2 * right / np.maximum(given + predicted, 1)
    return np.asarray(f1.sum(axis=1) / np.maximum(occurs.sum(axis=1), 1))


def evidence_of(groups: np.ndarray, weights: np.ndarray | None = None) -> Evidence:
    """Return how much says what a mean of items is, that count alike or by their weights."""
    weights = np.ones(len(groups)) if weights is None else weights
    counted = weights > 0
    of_groups = np.bincount(_numbered(groups[counted]), weights[counted])
    return Evidence(len(of_groups), _worth_of(of_groups), _worth_of(weights))


def groups_worth(groups: np.ndarray) -> float:
    """Return how many groups of equal size would say as much (Kish 1965, section 11.7).

    Examples
    --------
    >>> groups_worth(np.array([0, 0, 1, 1])), groups_worth(np.array([0, 0, 0, 1]))
    (2.0, 1.6)
    """
    return _worth_of(np.bincount(_numbered(groups)))


def _worth_of(sizes: np.ndarray) -> float:
    """Return how many of equal size, or weight, would say as much as these (Kish 1965)."""
    return float(sizes.sum() ** 2 / (sizes.astype(float) ** 2).sum())


def _numbered(groups: np.ndarray) -> np.ndarray:
    if not len(groups):
        raise Impossible("There are no items to judge by.")
    return np.asarray(np.unique(groups, return_inverse=True)[1])


def variance_of(pulls: np.ndarray, groups: np.ndarray, moved: np.ndarray | None = None) -> float:
    """Return the variance of a value: the larger of two, of independent items if one group.

    Parameters
    ----------
    pulls : float ndarray of shape (n_items,)
        How much each item moves the value, times the number of items (`mlcore.metrics`); sum 0.
    groups : int ndarray of shape (n_items,)
    moved : float ndarray of shape (n_groups,), optional
        The value less that without each group, where it is not what the pulls of a mean add up to.

    Examples
    --------
    >>> alone, twos = np.arange(4), np.arange(4) // 2
    >>> pulls = np.array([0.5, 0.5, -0.5, -0.5])
    >>> round(variance_of(pulls, alone), 3), round(variance_of(pulls, twos), 3)
    (0.083, 0.25)
    """
    group_of = _numbered(groups)
    return max(_jackknife_variance(pulls, group_of, moved), _variance_of_alike(pulls, group_of))


def _jackknife_variance(
    pulls: np.ndarray, group_of: np.ndarray, moved: np.ndarray | None = None
) -> float:
    """Return the variance from leaving out each group (Efron and Stein 1981); 0 of one group."""
    sums, sizes = np.bincount(group_of, pulls), np.bincount(group_of)
    if moved is None:
        moved = sums / np.maximum(len(pulls) - sizes, 1)
    return float((len(sizes) - 1) / len(sizes) * (moved**2).sum())


def _variance_of_alike(pulls: np.ndarray, group_of: np.ndarray) -> float:
    """Return the variance from how much the items of a group have in common.

    How much that is all groups tell alike (analysis of variance, unbiased at any sizes; Searle,
    Casella and McCulloch 1992, section 3.6).
    """
    sums, sizes = np.bincount(group_of, pulls), np.bincount(group_of)
    n, spare = len(pulls), len(pulls) - len(sizes)
    whole = float((pulls**2).sum())
    if len(sizes) == 1:
        return whole / n**2
    within = (whole - float((sums**2 / sizes).sum())) / spare if spare else whole / n
    return within / n + max(0.0, whole / n - within * (1 - 1 / n)) / (_worth_of(sizes) - 1)


def student_reach(groups: float) -> float:
    """Return the standard errors that hold 95 of 100 (Student's t)."""
    from scipy.special import stdtrit

    return float(stdtrit(max(LEAST_FREEDOM, groups - 1), (1 + COVERAGE) / 2))


def limits_of_share(
    value: float,
    pulls: np.ndarray,
    groups: np.ndarray,
    *,
    moved: np.ndarray | None = None,
    evidence: Evidence | None = None,
) -> Interval:
    """Return Wilson's limits with Korn and Graubard's effective size (1998).

    That is how many independent items would vary so much; never more than there are, and the
    worth of the groups where they do not vary. One group tells nothing.

    Parameters
    ----------
    value : float
        0 to 1.
    pulls, groups, moved
        As for `variance_of`.
    evidence : Evidence, optional
        Where items do not count alike.
    """
    known = evidence or evidence_of(groups)
    if known.n_groups < 2:
        return Interval(value, 0.0, 1.0)
    varies = variance_of(pulls, groups, moved)
    effective = value * (1 - value) / varies if varies > 0 and 0 < value < 1 else known.worth
    return wilson(value, min(effective, known.n), student_reach(known.n_groups))


def wilson(share: float, n: float, z: float) -> Interval:
    """Return limits of a share of `n` independent items (Wilson 1927, eq. 2)."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n * n)) / (1 + z**2 / n)
    return Interval(
        share, max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))
    )
