"""Infer one label per item from the answers of several annotators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SHRINK_ANSWERS = 1.0
"""Weight of the pooled confusion in each annotator's, in answers per true class.

An annotator with few answers is judged like everybody else, one with many by their own.
On nine real crowd sets the mean accuracy is .824 without, .833 / .832 / .831 at 1 / 2 / 4
and .803 at 16 (docs/detectors.md)."""

POOL_ANSWERS = 1.0
"""Weight of "wrong answers are spread evenly" in each row of the pooled confusion, in answers."""

MAX_ROUNDS = 100
"""Most expectation-maximisation rounds (Dawid and Skene 1979, doi:10.2307/2346806)."""

CONVERGED = 1e-3
"""Stop when no item's probability moved by more than this in a round."""


@dataclass(frozen=True)
class Consensus:
    """What the annotators say together.

    Attributes
    ----------
    label : int64 ndarray of shape (n_items,)
        Most probable class of each item; -1 where nobody answered.
    confidence : float64 ndarray of shape (n_items,)
        Probability of that class, 0 to 1; 0 where nobody answered.
    annotator_quality : float64 ndarray of shape (n_annotators,)
        Estimated share of right answers, 0 to 1; nan for one without answers.
    probabilities : float64 ndarray of shape (n_items, n_classes)
        All classes; rows sum to 1.
    """

    label: np.ndarray
    confidence: np.ndarray
    annotator_quality: np.ndarray
    probabilities: np.ndarray


def majority(
    item: np.ndarray,
    annotator: np.ndarray,
    answer: np.ndarray,
    *,
    n_classes: int,
    n_items: int | None = None,
) -> Consensus:
    """Take the most frequent answer; equal counts go to the lowest class.

    Parameters
    ----------
    item, annotator, answer : int ndarrays of shape (n_answers,)
        One answer each: who said what about which item, all counted from 0.
    n_classes : int
        Number of possible answers.
    n_items : int or None
        Number of items, where some may have no answer.

    Returns
    -------
    Consensus
        Its confidence is the share of answers that agree.

    Examples
    --------
    >>> answers = np.array([[0, 0, 1], [0, 1, 1], [0, 2, 0]])
    >>> majority(*answers.T, n_classes=2).label
    array([1])
    """
    item, annotator, answer = _checked(item, annotator, answer, n_classes)
    votes = _votes(item, answer, n_items=n_items, n_classes=n_classes)
    shares = _normalised_rows(votes)
    return _consensus(shares, votes.sum(axis=1) > 0, item, annotator, answer)


def dawid_skene(
    item: np.ndarray,
    annotator: np.ndarray,
    answer: np.ndarray,
    *,
    n_classes: int,
    n_items: int | None = None,
    shrink_answers: float = SHRINK_ANSWERS,
) -> Consensus:
    """Weigh each annotator by what they confuse, as far as their answers can tell.

    Expectation maximisation after Dawid and Skene (1979), started from the vote shares.
    Each annotator's confusion matrix is shrunk towards the pooled one of all annotators,
    and the pooled one towards evenly spread mistakes.

    Parameters
    ----------
    item, annotator, answer : int ndarrays of shape (n_answers,)
        One answer each, all counted from 0; at most one per item and annotator.
    n_classes : int
        Number of possible answers.
    n_items : int or None
        Number of items, where some may have no answer.
    shrink_answers : float
        Weight of the pooled confusion, in answers per true class.

    Returns
    -------
    Consensus
        The same answers in the same order always give the same consensus.

    Examples
    --------
    Two annotators who agree with each other everywhere outweigh a third who guesses.

    >>> item = np.repeat(np.arange(20), 3)
    >>> annotator = np.tile([0, 1, 2], 20)
    >>> answer = np.stack([np.arange(20) % 2] * 2 + [np.arange(20) // 10]).T.ravel()
    >>> result = dawid_skene(item, annotator, answer, n_classes=2)
    >>> (result.label == np.arange(20) % 2).all(), result.annotator_quality.round(1)
    (np.True_, array([1. , 1. , 0.5]))
    """
    item, annotator, answer = _checked(item, annotator, answer, n_classes)
    votes = _votes(item, answer, n_items=n_items, n_classes=n_classes)
    answered = votes.sum(axis=1) > 0
    belief = _normalised_rows(votes)
    given = _answers_given(item, annotator, answer, shape=belief.shape)
    for _ in range(MAX_ROUNDS if len(item) else 0):
        confusion = _confusions(given, belief, shrink_answers=shrink_answers)
        updated = _beliefs(given, confusion, prior=belief[answered].mean(axis=0))
        moved = np.abs(updated[answered] - belief[answered]).max()
        belief[answered] = updated[answered]
        if moved < CONVERGED:
            break
    return _consensus(belief, answered, item, annotator, answer)


def _answers_given(
    item: np.ndarray, annotator: np.ndarray, answer: np.ndarray, *, shape: tuple[int, ...]
) -> csr_array:
    """Return a table of ones: a row per item, a column per annotator and answer."""
    from scipy.sparse import csr_array

    n_items, n_classes = shape
    n_annotators = int(annotator.max()) + 1 if len(annotator) else 0
    cells = (np.ones(len(item)), (item, annotator * n_classes + answer))
    return csr_array(cells, shape=(n_items, n_annotators * n_classes))


def _confusions(given: csr_array, belief: np.ndarray, *, shrink_answers: float) -> np.ndarray:
    """Return P(answer | annotator, true class), shape (n_annotators, n_answers, n_true)."""
    n_classes = belief.shape[1]
    counts = np.asarray(given.T @ belief).reshape(-1, n_classes, n_classes)
    pooled = counts.sum(axis=0)
    right = np.trace(pooled) / pooled.sum()
    even = np.full((n_classes, n_classes), (1.0 - right) / max(1, n_classes - 1))
    np.fill_diagonal(even, right)
    pooled += POOL_ANSWERS * even
    pooled /= pooled.sum(axis=0)
    counts += shrink_answers * pooled
    confusion: np.ndarray = counts / counts.sum(axis=1, keepdims=True)
    return confusion


def _beliefs(given: csr_array, confusion: np.ndarray, *, prior: np.ndarray) -> np.ndarray:
    """Return P(true class | answers) for every item, by Bayes' rule."""
    tiny = np.finfo(np.float64).tiny
    evidence = np.log(np.maximum(confusion, tiny)).reshape(-1, len(prior))
    log_belief = np.asarray(given @ evidence) + np.log(np.maximum(prior, tiny))
    log_belief -= log_belief.max(axis=1, keepdims=True)
    return _normalised_rows(np.exp(log_belief))


def _consensus(
    belief: np.ndarray,
    answered: np.ndarray,
    item: np.ndarray,
    annotator: np.ndarray,
    answer: np.ndarray,
) -> Consensus:
    n_annotators = int(annotator.max()) + 1 if len(annotator) else 0
    given = np.bincount(annotator, minlength=n_annotators)
    right = np.bincount(annotator, belief[item, answer], n_annotators)
    quality = np.divide(right, given, out=np.full(n_annotators, np.nan), where=given > 0)
    return Consensus(
        np.where(answered, belief.argmax(axis=1), -1),
        np.where(answered, belief.max(axis=1, initial=0.0), 0.0),
        quality,
        belief,
    )


def _votes(
    item: np.ndarray, answer: np.ndarray, *, n_items: int | None, n_classes: int
) -> np.ndarray:
    wanted = int(item.max()) + 1 if len(item) else 0
    n_items = wanted if n_items is None else n_items
    if n_items < wanted:
        raise ValueError(f"item {wanted - 1} is beyond the {n_items} items")
    votes = np.bincount(item * n_classes + answer, minlength=n_items * n_classes)
    return votes.reshape(n_items, n_classes).astype(np.float64)


def _normalised_rows(counts: np.ndarray) -> np.ndarray:
    total = counts.sum(axis=1, keepdims=True)
    even = np.full_like(counts, 1.0 / max(1, counts.shape[1]))
    shares: np.ndarray = np.divide(counts, total, out=even, where=total > 0)
    return shares


def _checked(
    item: np.ndarray, annotator: np.ndarray, answer: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = tuple(np.asarray(column, np.int64) for column in (item, annotator, answer))
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        raise ValueError("item, annotator and answer must have one axis of the same length")
    if any((column < 0).any() for column in columns) or (columns[2] >= n_classes).any():
        raise ValueError(f"items and annotators count from 0, answers from 0 to {n_classes - 1}")
    return columns[0], columns[1], columns[2]
