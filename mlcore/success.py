"""Measure a classifier by what its users chose, with the class shares that they expect.

Items are weighted so that every class has its share in production. Limits go by how much each item
moves the metric and by what the items of a group have in common, as those of `mlcore.intervals` do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mlcore.intervals import (
    Evidence,
    Interval,
    accuracy_interval,
    evidence_of,
    limits_of_share,
    macro_f1_interval,
    student_reach,
    variance_of,
)
from mlcore.metrics import Valued, macro_f1, mean_of, production_weights, recall_at, roc_auc
from mlcore.refusals import Impossible
from mlcore.shares import separate_difference

ACCURACY, MACRO_F1, RECALL, ROC_AUC, COST = "accuracy", "macro_f1", "recall", "roc_auc", "cost"
TINY = 1e-12
"""Added to a probability before its logarithm is taken."""


@dataclass(frozen=True)
class Success:
    """How success is measured.

    Parameters
    ----------
    metric : str
        ACCURACY, MACRO_F1, RECALL, ROC_AUC or COST.
    positive : int
        The class that recall and ROC AUC are about, against all others.
    precision : float
        Of what is called positive, the least share that must be.
    costs : float ndarray of shape (n_classes, n_classes), optional
        Cost of taking an item of the row's class for the column's, not negative; 0 on the diagonal.
    shares : float ndarray of shape (n_classes,), optional
        Of the classes in production, sum 1; without them the items count as they are.
    """

    metric: str
    positive: int = 0
    precision: float = 0.0
    costs: np.ndarray | None = None
    shares: np.ndarray | None = None

    @property
    def unit(self) -> float:
        """The largest value that the metric can have."""
        return float(self.costs.max()) if self.metric == COST and self.costs is not None else 1.0


def value_of(success: Success, labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Return the chosen metric without limits; None where these items cannot tell it.

    Parameters
    ----------
    success, labels, probabilities
        As for `measure`.

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> value_of(Success(ROC_AUC, positive=1), np.array([0, 0, 1, 1]), sure)
    0.75
    >>> value_of(Success(ROC_AUC, positive=1), np.array([0, 0, 0, 0]), sure) is None
    True
    """
    try:
        _check(success, labels)
    except Impossible:
        return None
    return _valued(success, labels, probabilities).value * success.unit


def measure(
    success: Success, labels: np.ndarray, *, probabilities: np.ndarray, groups: np.ndarray
) -> Interval:
    """Return the chosen metric with its limits.

    Parameters
    ----------
    success : Success
    labels : int ndarray of shape (n_items,)
    probabilities : float ndarray of shape (n_items, n_classes)
        Out of sample.
    groups : int ndarray of shape (n_items,)
        Items of one group are no independent evidence.

    Returns
    -------
    Interval
        0 to 1; a cost is one per item, 0 to the largest. 0 to 1 wide where one group holds all
        that the metric is about.

    Raises
    ------
    Impossible
        Why nothing can be said, in words.

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> found = measure(
    ...     Success(ROC_AUC, positive=1), np.array([0, 0, 1, 1]),
    ...     probabilities=sure, groups=np.arange(4),
    ... )
    >>> found.value
    0.75
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    _check(success, labels)
    if np.allclose(production_weights(labels, success.shares), 1):  # as on every other page
        success = replace(success, shares=None)
    predicted = probabilities.argmax(axis=1)
    if success.shares is None and success.metric in (ACCURACY, COST):
        found = accuracy_interval(_by_item(success, labels, predicted), groups)
    elif success.shares is None and success.metric == MACRO_F1:
        n_classes = probabilities.shape[1]
        found = macro_f1_interval(labels, predicted, groups, n_classes=n_classes)
    else:
        valued = _valued(success, labels, probabilities)
        found = limits_of(valued, success, labels, groups=groups)
    return Interval(*(bound * success.unit for bound in (found.value, found.low, found.high)))


def limits_of(
    valued: Valued, success: Success, labels: np.ndarray, *, groups: np.ndarray
) -> Interval:
    """Return a value, 0 to 1, with the limits that `success` asks for."""
    known = _evidence_in(success, labels, groups)
    moved = _moved(success, labels, valued.pulls, groups=groups)
    found = limits_of_share(valued.value, valued.pulls, groups, moved=moved, evidence=known)
    return Interval(found.value, min(found.low, valued.least), max(found.high, valued.most))


def difference(
    success: Success,
    labels: np.ndarray,
    *,
    before: np.ndarray,
    after: np.ndarray,
    groups: np.ndarray,
) -> Interval:
    """Return how much the chosen metric changed on the same items, paired.

    Limits are those of two separate values (Newcombe 1998), narrower by as much as the difference
    varies less on the same items.

    Parameters
    ----------
    success, labels, groups
        As for `measure`.
    before, after : float ndarray of shape (n_items, n_classes)

    Returns
    -------
    Interval
        After minus before; exactly 0, 0, 0 where nothing changed. Of any size where one group
        holds all that the metric is about.
    """
    labels = np.asarray(labels)
    _check(success, labels)
    old, new = (_valued(success, labels, np.asarray(one)) for one in (before, after))
    value, unit = new.value - old.value, success.unit
    if _evidence_in(success, labels, groups).n_groups < 2:
        return Interval(value * unit, -unit, unit)
    sides = (limits_of(one, success, labels, groups=groups) for one in (new, old))
    apart = separate_difference(*sides)
    varies = [
        variance_of(pulls, groups, _moved(success, labels, pulls, groups=groups))
        for pulls in (new.pulls - old.pulls, new.pulls, old.pulls)
    ]
    is_same = np.array_equal(before, after)
    of_apart = math.sqrt(varies[0] / sum(varies[1:])) if sum(varies[1:]) else float(not is_same)
    low, high = (value + of_apart * (bound - value) for bound in (apart.low, apart.high))
    return Interval(value * unit, max(-1.0, low) * unit, min(1.0, high) * unit)


def surprise_difference(
    success: Success,
    labels: np.ndarray,
    *,
    before: np.ndarray,
    after: np.ndarray,
    groups: np.ndarray,
) -> Interval:
    """Return how much the log loss changed on the same items, nats an item, paired.

    Parameters
    ----------
    success, labels, before, after, groups
        As for `difference`; of `success` only the shares in production count.

    Examples
    --------
    >>> half, sure = np.full((4, 2), 0.5), np.tile([0.9, 0.1], (4, 1))
    >>> zeros, apart = np.zeros(4, dtype=int), np.arange(4)
    >>> found = surprise_difference(
    ...     Success(ACCURACY), zeros, before=half, after=sure, groups=apart
    ... )
    >>> round(found.value, 2)
    -0.59
    """
    labels, place = np.asarray(labels), np.arange(len(labels))
    old, new = (np.log(one[place, labels].astype(float) + TINY) for one in (before, after))
    found, widest = mean_of(labels, old - new, success.shares), -math.log(TINY)
    success = replace(success, metric=ACCURACY)
    n_groups = _evidence_in(success, labels, groups).n_groups
    moved = _moved(success, labels, found.pulls, groups=groups)
    reach = student_reach(n_groups) * math.sqrt(variance_of(found.pulls, groups, moved))
    reach = reach if n_groups > 1 else math.inf
    low, high = max(-widest, found.value - reach), min(widest, found.value + reach)
    return Interval(found.value, low, high)


def _check(success: Success, labels: np.ndarray) -> None:
    if not len(labels):
        raise Impossible("There are no items to judge by.")
    if success.metric in (RECALL, ROC_AUC):
        n_positive = int((labels == success.positive).sum())
        if not 0 < n_positive < len(labels):
            raise Impossible("It needs items of the chosen class, and of others.")
    if success.shares is None:
        return
    counts = np.bincount(labels, minlength=len(success.shares))
    if ((success.shares > 0) & (counts == 0)).any():
        raise Impossible("A class that production has is not among the predicted items.")
    is_against_others = success.metric in (RECALL, ROC_AUC)
    if is_against_others and not 0 < success.shares[success.positive] < 1:
        raise Impossible("Production must have the chosen class, and others.")


def _valued(success: Success, labels: np.ndarray, probabilities: np.ndarray) -> Valued:
    """Return what finds the metric, 0 to 1."""
    predicted = probabilities.argmax(axis=1)
    if success.metric in (ACCURACY, COST):
        return mean_of(labels, _by_item(success, labels, predicted), success.shares)
    if success.metric == MACRO_F1:
        return macro_f1(labels, predicted, success.shares, n_classes=probabilities.shape[1])
    place = np.unique(probabilities[:, success.positive], return_inverse=True)[1]
    shares, positive = success.shares, success.positive
    if success.metric == ROC_AUC:
        return roc_auc(labels, place, shares=shares, positive=positive)
    least = success.precision
    return recall_at(labels, place, shares=shares, positive=positive, precision=least)


def _by_item(success: Success, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return what each item counts, 0 to 1: whether it is right, or what it costs."""
    if success.costs is None or success.metric == ACCURACY:
        return np.asarray(predicted == labels, dtype=float)
    return np.asarray(success.costs[labels, predicted] / (success.unit or 1.0))


def _moved(
    success: Success, labels: np.ndarray, pulls: np.ndarray, *, groups: np.ndarray
) -> np.ndarray:
    """Return how much leaving out each group moves a value made of means of classes, or of sides.

    The more of a class a group has, the more the mean of the others is another.
    """
    side = np.zeros(len(labels), dtype=np.int64)
    if success.metric in (RECALL, ROC_AUC):
        side = (labels == success.positive).astype(np.int64)
    of = labels if success.shares is not None else side
    group_of, n_sides = np.unique(groups, return_inverse=True)[1], int(of.max()) + 1
    # Of those that occur: all groups times all classes would not fit into memory.
    cells, at = np.unique(group_of * n_sides + of, return_inverse=True)
    sums, counts, whole = np.bincount(at, pulls), np.bincount(at), np.bincount(of)[cells % n_sides]
    moved = sums * whole / np.maximum(whole - counts, 1)
    return np.asarray(np.bincount(cells // n_sides, moved) / len(pulls))


def _evidence_in(success: Success, labels: np.ndarray, groups: np.ndarray) -> Evidence:
    """Return the evidence in the items that the metric is about."""
    groups, is_positive = np.asarray(groups), labels == success.positive
    if success.metric not in (RECALL, ROC_AUC):
        return evidence_of(groups, production_weights(labels, success.shares))
    sides = [evidence_of(groups[side]) for side in (is_positive, ~is_positive)]
    if success.metric == RECALL:
        return sides[0]
    n_groups, worth = min(one.n_groups for one in sides), min(one.worth for one in sides)
    return Evidence(n_groups, worth, float(len(labels)))
