"""Measure a classifier by what its users chose, with the class shares that they expect.

Items are weighted so that every class has its share in production; limits come from leaving out
parts that no source group crosses and from what the items of a group have in common, as those of
`mlcore.intervals` do. A threshold is looked for anew without each part, so that the limits hold
what choosing it costs; parts hold many groups because a value that jumps, as recall at a precision
does, needs that (Shao and Wu 1989, doi:10.1214/aos/1176347263).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

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
from mlcore.metrics import (
    Valued,
    auc,
    centred,
    macro_f1,
    mean_of,
    moved_auc,
    production_weights,
    recall_and_precision,
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
    found = _valued(success, labels, probabilities).of(np.ones(len(labels), dtype=bool))
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
    """Return a value, 0 to 1, with the limits that `success` asks for.

    They are 0 and 1 where one part holds all that it is about.
    """
    value, without = _with_and_without(valued, parts_of(groups, success.parts))
    if np.isnan(without).any():
        return Interval(value, 0.0, 1.0)
    told = _evidence_in(success, labels, valued.pulls(), groups=np.asarray(groups))
    return limits_of_share(value, without, **told)


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
    old, new = (_valued(success, labels, np.asarray(one)) for one in (before, after))
    change = Valued(lambda kept: new.of(kept) - old.of(kept), lambda: new.pulls() - old.pulls())
    value, reach, unit = *_reach(change, success, labels, groups=groups), success.unit
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
    by_item = replace(success, metric=ACCURACY)
    value, reach = _reach(valued, by_item, labels, groups=groups)
    widest = -math.log(TINY)
    return Interval(value, max(-widest, value - reach), min(widest, value + reach))


def _reach(
    valued: Valued, success: Success, labels: np.ndarray, *, groups: np.ndarray
) -> tuple[float, float]:
    """Return a difference and how far its limits are from it; without end where none can tell."""
    value, without = _with_and_without(valued, parts_of(groups, success.parts))
    if np.isnan(without).any():
        return value, math.inf
    told = _evidence_in(success, labels, valued.pulls(), groups=np.asarray(groups))
    widely = student_reach(min(told["evidence"].n_groups, len(without)))
    varies = variance_of(value, without, pulls=told["pulls"], groups=told["groups"])
    return value, widely * math.sqrt(varies)


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
    """Return what finds the metric, 0 to 1."""
    predicted = probabilities.argmax(axis=1)
    if success.metric in (ACCURACY, COST):
        return mean_of(labels, _by_item(success, labels, predicted), success.shares)
    if success.metric == MACRO_F1:
        return macro_f1(labels, predicted, success.shares, n_classes=probabilities.shape[1])
    place = np.unique(probabilities[:, success.positive], return_inverse=True)[1].ravel()
    return _of_one_class(success, labels, place)


def _by_item(success: Success, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return what each item counts, 0 to 1: whether it is right, or what it costs."""
    if success.costs is None or success.metric == ACCURACY:
        return np.asarray(predicted == labels, dtype=float)
    return np.asarray(success.costs[labels, predicted] / (success.unit or 1.0))


def _of_one_class(success: Success, labels: np.ndarray, place: np.ndarray) -> Valued:
    """Return what finds recall at a precision or ROC AUC from the order of the scores."""
    is_positive = labels == success.positive

    def value(kept: np.ndarray) -> float:
        weights = np.zeros(len(labels))
        weights[kept] = production_weights(labels[kept], success.shares)
        if not (weights[is_positive].any() and weights[~is_positive].any()):
            return math.nan
        if success.metric == ROC_AUC:
            return auc(place, is_positive, weights)
        recall, precision = recall_and_precision(place, is_positive, weights)
        enough = precision >= success.precision - ROUNDING
        return float(recall[enough].max(initial=0.0))

    def pulls() -> np.ndarray:
        weights = production_weights(labels, success.shares)
        if success.metric == ROC_AUC:
            return centred(moved_auc(place, is_positive, weights), labels, success.shares)
        caught = value(np.ones(len(labels), dtype=bool)) * is_positive.sum()
        ahead = np.cumsum(np.bincount(place, is_positive)[::-1])[::-1]  # positives as high or more
        moved = is_positive * (ahead[place] <= caught + ROUNDING) * len(labels) / is_positive.sum()
        return np.asarray(moved - is_positive * moved[is_positive].mean())

    return Valued(value, pulls)


def _with_and_without(valued: Valued, parts: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the value of all items, and without each part."""
    whole = valued.of(np.ones(len(parts), dtype=bool))
    return whole, np.array([valued.of(parts != part) for part in range(parts.max() + 1)])


def _evidence_in(
    success: Success, labels: np.ndarray, pulls: np.ndarray, *, groups: np.ndarray
) -> dict[str, Any]:
    """Return the pulls, groups and evidence of the items that the metric is about."""
    is_positive = labels == success.positive
    if success.metric == RECALL:
        pulls, groups = pulls[is_positive] * is_positive.mean(), groups[is_positive]
        return {"pulls": pulls, "groups": groups, "evidence": evidence_of(groups)}
    known = evidence_of(groups, production_weights(labels, success.shares))
    if success.metric == ROC_AUC:
        fewer = [evidence_of(groups[side]) for side in (is_positive, ~is_positive)]
        worth = min(one.worth for one in fewer)
        known = Evidence(min(one.n_groups for one in fewer), worth, float(len(labels)))
    return {"pulls": pulls, "groups": groups, "evidence": known}
