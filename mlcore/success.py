"""Measure a classifier by what its users chose, with the class shares that they expect.

Items are weighted so that every class has its share in production; limits come from leaving out
parts that no source group crosses. A threshold is looked for anew without each part, so that the
limits hold what choosing it costs; parts hold many groups because a value that jumps, as recall at
a precision does, needs that (Shao and Wu 1989, doi:10.1214/aos/1176347263).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mlcore.intervals import (
    Interval,
    accuracy_interval,
    groups_worth,
    jackknife_variance,
    limits_of_share,
    macro_f1_interval,
    student_reach,
    worth_of,
)
from mlcore.refusals import Impossible

ACCURACY, MACRO_F1, RECALL, ROC_AUC, COST = "accuracy", "macro_f1", "recall", "roc_auc", "cost"
METRICS = (ACCURACY, MACRO_F1, RECALL, ROC_AUC, COST)
PARTS = 30
"""Parts left out in turn; Student's t with 29 degrees of freedom is 4 % wider than the normal."""
PARTS_OF_RECALL = 10
"""Recall at a precision jumps: limits from 30 parts held the truth in 87 to 96 of 100 simulated
draws, those from 10 in 91 to 96 (tests/mlcore/test_success.py)."""
TINY = 1e-12
"""Added to a probability before its logarithm is taken."""
ROUNDING = 1e-9
"""By how much a precision may fall short of the least one through rounding alone."""


#: From which items are kept (bool) to a value, NaN where these have none.
Valued = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Success:
    """How success is measured.

    Parameters
    ----------
    metric : str
        One of `METRICS`.
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
    def parts(self) -> int:
        """Into how many parts the items are cut for the limits."""
        return PARTS_OF_RECALL if self.metric == RECALL else PARTS

    @property
    def unit(self) -> float:
        """The largest value that the metric can have."""
        return float(self.costs.max()) if self.metric == COST and self.costs is not None else 1.0


def production_weights(labels: np.ndarray, shares: np.ndarray | None) -> np.ndarray:
    """Return weights of items, mean 1, under which each class has its share in production.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
    shares : float ndarray of shape (n_classes,) or None
        None weighs all items alike. The shares of classes without an item go to the others.

    Returns
    -------
    float ndarray of shape (n_items,)

    Examples
    --------
    >>> production_weights(np.array([0, 0, 0, 1]), np.array([0.5, 0.5]))
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    labels = np.asarray(labels)
    if shares is None:
        return np.ones(len(labels))
    weights = shares[labels] / np.bincount(labels, minlength=len(shares))[labels]
    total = weights.sum()
    return np.asarray(weights * len(labels) / total if total > 0 else weights)


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
    found = _valued(success, labels, probabilities)(np.ones(len(labels), dtype=bool))
    return None if math.isnan(found) else found * success.unit


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
        Items of one group are left out together: they are no independent evidence.

    Returns
    -------
    Interval
        0 to 1; a cost is one per item, 0 to the largest. 0 to 1 wide where one part holds all
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
    predicted = probabilities.argmax(axis=1)
    if success.shares is None and success.metric == ACCURACY:  # as it stands on every other page
        return accuracy_interval(predicted == labels, groups)
    if success.shares is None and success.metric == MACRO_F1:
        n_classes = probabilities.shape[1]
        return macro_f1_interval(labels, predicted, groups, n_classes=n_classes)
    valued = _valued(success, labels, probabilities)
    found = limits_of(valued, success, labels, groups=groups)
    return Interval(*(bound * success.unit for bound in (found.value, found.low, found.high)))


def limits_of(
    valued: Valued, success: Success, labels: np.ndarray, *, groups: np.ndarray
) -> Interval:
    """Return a value, 0 to 1, with the limits that `success` asks for.

    They are 0 and 1 where one part holds all that it is about.
    """
    value, without = _with_and_without(valued, parts_of(groups, success.parts))
    if np.isnan(without).any():
        return Interval(value, 0.0, 1.0)
    return limits_of_share(value, without, **_evidence_of(success, labels, groups))


def difference(
    success: Success,
    labels: np.ndarray,
    *,
    before: np.ndarray,
    after: np.ndarray,
    groups: np.ndarray,
) -> Interval:
    """Return how much the chosen metric changed on the same items, paired.

    Parameters
    ----------
    success, labels, groups
        As for `measure`.
    before, after : float ndarray of shape (n_items, n_classes)

    Returns
    -------
    Interval
        After minus before; exactly 0, 0, 0 where nothing changed.
    """
    labels = np.asarray(labels)
    _check(success, labels)
    parts = parts_of(groups, success.parts)
    old, old_without = _with_and_without(_valued(success, labels, np.asarray(before)), parts)
    new, new_without = _with_and_without(_valued(success, labels, np.asarray(after)), parts)
    value, without, unit = new - old, new_without - old_without, success.unit
    if np.isnan(without).any():
        return Interval(value * unit, -unit, unit)
    reach = _reach(value, without, _evidence_of(success, labels, groups)["worth"])
    return Interval(value * unit, max(-1.0, value - reach) * unit, min(1.0, value + reach) * unit)


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
    valued = mean_of(labels, old - new, success.shares)
    value, without = _with_and_without(valued, parts_of(groups))
    if np.isnan(without).any():
        return Interval(value, math.log(TINY), -math.log(TINY))
    by_item = replace(success, metric=ACCURACY)
    reach = _reach(value, without, _evidence_of(by_item, labels, groups)["worth"])
    return Interval(value, value - reach, value + reach)


def _reach(value: float, without: np.ndarray, worth: float) -> float:
    """Return how far the limits of a difference are from it."""
    widely = student_reach(min(worth, len(without)))
    return widely * math.sqrt(jackknife_variance(value, without))


def parts_of(groups: np.ndarray, most: int = PARTS) -> np.ndarray:
    """Return the part of each item, at most so many; no group is cut, equal groups spread evenly.

    Examples
    --------
    >>> parts_of(np.array([7, 7, 3, 5]))
    array([0, 0, 1, 2])
    """
    group_of = np.unique(groups, return_inverse=True)[1].ravel()
    rank = np.empty(group_of.max() + 1, dtype=np.int64)
    rank[np.argsort(-np.bincount(group_of), kind="stable")] = np.arange(len(rank))
    turn, place = np.divmod(rank[group_of], most)  # there and back again, so that sizes even out
    return np.asarray(np.where(turn % 2, most - 1 - place, place))


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
    """Return what finds the metric, 0 to 1, from the items that are kept; NaN where it has none."""
    predicted = probabilities.argmax(axis=1)
    if success.metric == ACCURACY:
        return mean_of(labels, (predicted == labels).astype(float), success.shares)
    if success.metric == COST:
        assert success.costs is not None
        paid = success.costs[labels, predicted] / (success.unit or 1.0)
        return mean_of(labels, paid, success.shares)
    if success.metric == MACRO_F1:
        return _macro_f1(labels, predicted, success.shares, n_classes=probabilities.shape[1])
    place = np.unique(probabilities[:, success.positive], return_inverse=True)[1].ravel()
    is_positive = labels == success.positive

    def value(kept: np.ndarray) -> float:
        weights = np.zeros(len(labels))
        weights[kept] = production_weights(labels[kept], success.shares)
        if not (weights[is_positive].any() and weights[~is_positive].any()):
            return math.nan
        if success.metric == ROC_AUC:
            return _auc(place, is_positive, weights)
        recall, precision = recall_and_precision(place, is_positive, weights)
        enough = precision >= success.precision - ROUNDING
        return float(recall[enough].max(initial=0.0))

    return value


def mean_of(labels: np.ndarray, values: np.ndarray, shares: np.ndarray | None) -> Valued:
    def value(kept: np.ndarray) -> float:
        weights = production_weights(labels[kept], shares)
        total = weights.sum()
        return float((weights * values[kept]).sum() / total) if total > 0 else math.nan

    return value


def _macro_f1(
    labels: np.ndarray, predicted: np.ndarray, shares: np.ndarray | None, *, n_classes: int
) -> Valued:
    def value(kept: np.ndarray) -> float:
        given, said = labels[kept], predicted[kept]
        weights = production_weights(given, shares)
        counted = [
            np.bincount(which, weights * of, minlength=n_classes)
            for which, of in ((given, given == said), (given, 1.0), (said, 1.0))
        ]
        both = counted[1] + counted[2]
        return float((2 * counted[0][both > 0] / both[both > 0]).mean()) if both.any() else math.nan

    return value


def _auc(place: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> float:
    """Return how often a positive item has the higher score, ties half (Hanley, McNeil 1982)."""
    positive = np.bincount(place, weights * is_positive)
    others = np.bincount(place, weights * ~is_positive)
    below = np.cumsum(others) - others / 2
    return float(min((below * positive).sum() / (positive.sum() * others.sum()), 1.0))


def recall_and_precision(
    place: np.ndarray, is_positive: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return both at each score as the threshold, highest score first."""
    caught = np.cumsum(np.bincount(place, weights * is_positive)[::-1])
    called = np.cumsum(np.bincount(place, weights)[::-1])
    precision = np.divide(caught, called, out=np.zeros(len(called)), where=called > 0)
    return np.minimum(caught / caught[-1], 1.0), precision


def _with_and_without(valued: Valued, parts: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the value of all items, and without each part."""
    whole = valued(np.ones(len(parts), dtype=bool))
    return whole, np.array([valued(parts != part) for part in range(parts.max() + 1)])


def _evidence_of(success: Success, labels: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Return how many groups and items the value rests on."""
    groups = np.asarray(groups)
    if success.metric in (RECALL, ROC_AUC):
        is_positive = labels == success.positive
        sides = [is_positive] if success.metric == RECALL else [is_positive, ~is_positive]
        worth = min(groups_worth(groups[side]) for side in sides)
        n = is_positive.sum() if success.metric == RECALL else len(labels)
        return {"worth": worth, "n": float(n)}
    weights = production_weights(labels, success.shares)
    of_groups = np.bincount(np.unique(groups, return_inverse=True)[1].ravel(), weights)
    return {"worth": worth_of(of_groups), "n": worth_of(weights)}
