"""The one place where predictions meet the metric that the task card chose."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from labeling.queries.success import EVERY_OTHER, Choice
from mlcore.refusals import Impossible
from mlcore.signal import CHANCE, OF_ONE_CLASS, order_of_class
from mlcore.success import Success, difference, measure, value_of

GONE = {"reason": "Its predictions are gone from the disk."}


@dataclass(frozen=True)
class Judge:
    """Measures predictions of the same items by the chosen metric.

    `labels` are places in `classes`, -1 for none; probabilities are NaN where none was predicted.
    """

    choice: Choice
    classes: list[str]
    labels: np.ndarray
    groups: np.ndarray

    def measured(self, values: np.ndarray | None) -> dict[str, Any]:
        """Return the metric with its limits, or the reason why nobody can tell."""
        if values is None:
            return GONE
        rows = self.rows(values)
        try:
            success = success_for(self.choice, self.classes)
            found = measure(
                success, self.labels[rows], probabilities=values[rows], groups=self.groups[rows]
            )
        except Impossible as impossible:  # the words are for people
            return {"reason": str(impossible)}
        told = {"value": found.value, "low": found.low, "high": found.high}
        return {**told, "span": success.unit, "n": len(rows)}

    def changed(self, before: np.ndarray | None, after: np.ndarray | None) -> dict[str, Any]:
        """Return how the metric differs on the items that both predicted, paired."""
        if before is None or after is None:
            return GONE
        rows = self.rows(before, after)
        labels, groups = self.labels[rows], self.groups[rows]
        try:
            success = success_for(self.choice, self.classes)
            change = difference(
                success, labels, before=before[rows], after=after[rows], groups=groups
            )
            then = measure(success, labels, probabilities=before[rows], groups=groups).value
        except Impossible as impossible:
            return {"reason": str(impossible)}
        return {
            "before": then,
            "after": then + change.value,
            "difference": change.value,
            "low": change.low,
            "high": change.high,
            "span": success.unit,
        }

    def order(self, values: np.ndarray | None) -> dict[str, Any]:
        """Return how well the class that success is about is ordered; {} if it is about none."""
        if self.choice.metric not in OF_ONE_CLASS or values is None:
            return {}
        rows = self.rows(values)
        try:
            positive = success_for(self.choice, self.classes).positive
            found = order_of_class(
                self.labels[rows], values[rows], self.groups[rows], positive=positive
            )
        except Impossible:  # `measured` says why
            return {}
        told = {"value": found.value, "low": found.low, "high": found.high}
        return {**told, "found": found.low > CHANCE}

    def by_fold(self, values: np.ndarray | None, folds: np.ndarray | None) -> list[float | None]:
        """Return the metric of each fold, in their order; [] where it has none."""
        told_by = epoch_judge(self.choice, self.classes)
        if values is None or folds is None or told_by is None:
            return []
        rows = self.rows(values)
        of = [rows[folds[rows] == one] for one in range(int(folds.max(initial=-1)) + 1)]
        return [told_by(self.labels[some], values[some]) for some in of]

    def rows(self, *sides: np.ndarray) -> np.ndarray:
        """Return the labelled items that all sides predicted."""
        is_known = self.labels >= 0
        for side in sides:
            is_known = is_known & ~np.isnan(side).any(axis=1)
        return np.flatnonzero(is_known)


def epoch_judge(choice: Choice | None, classes: list[str]) -> Callable[..., float | None] | None:
    """Return what measures labels and probabilities by the choice; None where none can."""
    if choice is None:
        return None
    try:
        return partial(value_of, success_for(choice, classes))
    except Impossible:  # a class that success names was not learned: the run's page says so
        return None


def success_for(choice: Choice, classes: list[str]) -> Success:
    """Return the choice in the numbers of a run's classes; Impossible says what is missing."""
    unknown = [name for name, value in choice.shares.items() if value and name not in classes]
    unknown += [choice.positive] if choice.positive and choice.positive not in classes else []
    if unknown:
        raise Impossible(f"There are no predictions of the class “{unknown[0]}”.")
    return Success(
        choice.metric,
        positive=classes.index(choice.positive) if choice.positive else 0,
        precision=choice.precision,
        costs=_cost_matrix(choice, classes) if choice.costs else None,
        shares=np.array([choice.shares.get(name, 0.0) for name in classes])
        if choice.shares
        else None,
    )


def _cost_matrix(choice: Choice, classes: list[str]) -> np.ndarray:
    """Return the cost of each kind of mistake; one that nobody named costs 1."""
    costs = np.ones((len(classes), len(classes)))
    for row, given in enumerate(classes):
        told = choice.costs.get(given, {})
        for column, said in enumerate(classes):
            costs[row, column] = told.get(said, told.get(EVERY_OTHER, 1.0))
    np.fill_diagonal(costs, 0.0)
    return costs


def spread(values: np.ndarray, own: list[str], classes: list[str]) -> np.ndarray:
    """Put a run's columns at the places of their classes in the common list; same names add up."""
    found = np.zeros((len(values), len(classes)), dtype=np.float32)
    for column, name in enumerate(own):
        found[:, classes.index(name)] += values[:, column]
    found[np.isnan(values).any(axis=1)] = np.nan
    return found
