"""The answers that a consensus is inferred from: checked once, each person's first one kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UNKNOWN = -1
"""No class: not gold, not answered, or a tie."""


@dataclass(frozen=True)
class Answers:
    """Answers in the order of their items; at most one per item and annotator.

    Attributes
    ----------
    item, annotator, answer : int64 ndarrays of shape (n_answers,)
    n_items, n_annotators, n_classes : int
    gold : int64 ndarray of shape (n_items,)
        Class that is known; -1 where it is not.
    """

    item: np.ndarray
    annotator: np.ndarray
    answer: np.ndarray
    n_items: int
    n_annotators: int
    n_classes: int
    gold: np.ndarray

    def votes(self) -> np.ndarray:
        """Return how many people gave each answer, shape (n_items, n_classes)."""
        cells = self.item * self.n_classes + self.answer
        counts = np.bincount(cells, minlength=self.n_items * self.n_classes)
        return counts.reshape(self.n_items, self.n_classes).astype(np.float64)

    def spoken_for(self) -> np.ndarray:
        """Return which items have an answer or are gold, shape (n_items,)."""
        answered = np.bincount(self.item, minlength=self.n_items) > 0
        spoken: np.ndarray = answered | (self.gold != UNKNOWN)
        return spoken

    def overlap(self) -> bool:
        """Return whether any item shows two answers, or an answer and its gold class."""
        known = (self.gold != UNKNOWN).astype(np.int64)
        return bool(((np.bincount(self.item, minlength=self.n_items) + known)[self.item] > 1).any())


def checked(
    items: np.ndarray,
    annotators: np.ndarray,
    answers: np.ndarray,
    *,
    n_classes: int,
    n_items: int | None,
    probabilities: np.ndarray | None,
    gold: np.ndarray | None,
) -> Answers:
    """Return the answers sorted by item, without repetitions, or raise ValueError."""
    item, annotator, answer = _columns(items, annotators, answers, n_classes=n_classes)
    n_items = _n_items(item, n_items=n_items, probabilities=probabilities, gold=gold)
    if probabilities is not None and np.shape(probabilities) != (n_items, n_classes):
        raise ValueError(f"probabilities must have the shape ({n_items}, {n_classes})")
    known = np.full(n_items, UNKNOWN) if gold is None else np.asarray(gold, np.int64)
    if known.shape != (n_items,) or (known < UNKNOWN).any() or (known >= n_classes).any():
        raise ValueError(f"gold must name a class, or -1, for each of the {n_items} items")
    n_annotators = int(annotator.max(initial=-1)) + 1
    first = np.unique(item * max(n_annotators, 1) + annotator, return_index=True)[1]
    return Answers(
        item[first], annotator[first], answer[first], n_items, n_annotators, n_classes, known
    )


def _columns(*columns: np.ndarray, n_classes: int) -> tuple[np.ndarray, ...]:
    whole = tuple(np.asarray(column) for column in columns)
    if len({column.shape for column in whole}) != 1 or whole[0].ndim != 1:
        raise ValueError("items, annotators and answers must have one axis of the same length")
    if any(column.size and column.dtype.kind not in "iu" for column in whole):
        raise ValueError("items, annotators and answers must be whole numbers")
    whole = tuple(column.astype(np.int64) for column in whole)
    if any((column < 0).any() for column in whole) or (whole[2] >= n_classes).any():
        raise ValueError(f"items and annotators count from 0, answers from 0 to {n_classes - 1}")
    return whole


def _n_items(
    item: np.ndarray,
    *,
    n_items: int | None,
    probabilities: np.ndarray | None,
    gold: np.ndarray | None,
) -> int:
    wanted = int(item.max(initial=-1)) + 1
    told = [len(rows) for rows in (probabilities, gold) if rows is not None]
    whole = n_items if n_items is not None else max([wanted, *told])
    if whole < wanted:
        raise ValueError(f"item {wanted - 1} is beyond the {whole} items")
    return whole
