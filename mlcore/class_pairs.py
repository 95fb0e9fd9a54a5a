"""Find pairs of classes that most annotators take for each other: the guideline is at fault."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PANEL_CHANCES = 20.0
"""Items of the two classes that an annotator must have answered to be judged alone; others are
put together until they have as many."""

MOST = 0.5
"""Share of the annotators (or panels) beyond which a confusion is everybody's."""

LEAST_RATE = 0.01
"""One answer in a hundred: what an annotator confuses less often is left to chance, and to the
traces that a posterior has of every class."""

HABIT = 0.05
"""Somebody is taken to answer by habit, whatever is shown, unless habit alone is right as often
with a smaller probability than this one: the usual 5 %."""

SURE = 1e-3
"""Most probable that people without any such confusion show as many."""


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that most annotators take for each other.

    Attributes
    ----------
    classes : tuple of int
        The lower one first.
    rate : float
        Share of the answers to items of the two that name the other one, beyond what the
        annotators name it anyway; the middle annotator's, 0 to 1.
    support : float
        Share of annotators (those with few answers taken together) who confuse them.
    panels : int
        How many annotators, or groups of those with few answers, were judged.
    first_as_second, second_as_first : float
        Expected number of answers.
    """

    classes: tuple[int, int]
    rate: float
    support: float
    panels: int
    first_as_second: float
    second_as_first: float


def by_habit(
    items: np.ndarray, annotators: np.ndarray, answers: np.ndarray, *, posterior: np.ndarray
) -> np.ndarray:
    """Return who is right no more often than by naming classes as often without looking.

    Parameters
    ----------
    items, annotators, answers, posterior
        As of `confused_pairs`.

    Returns
    -------
    bool ndarray of shape (n_annotators,)
        Never those with too few answers to be judged alone (`PANEL_CHANCES`).

    Examples
    --------
    The first of two presses one key.

    >>> truth = np.arange(30) % 3
    >>> said = np.tile(np.arange(30), 2), np.repeat([0, 1], 30), np.append(truth * 0, truth)
    >>> by_habit(*said, posterior=np.eye(3)[truth])
    array([ True, False])
    """
    from scipy.stats import binom

    counts = _counts(items, annotators, answers, posterior=posterior)
    given = np.bincount(annotators, minlength=len(counts))
    right = np.trace(counts, axis1=1, axis2=2)
    share = (counts.sum(axis=2) * counts.sum(axis=1)).sum(axis=1) / np.maximum(given, 1) ** 2
    by_chance = binom.sf(np.floor(right) - 1, given, np.minimum(share, 1.0))
    blind: np.ndarray = (given >= PANEL_CHANCES) & (by_chance > HABIT)
    return blind


def _counts(
    items: np.ndarray, annotators: np.ndarray, answers: np.ndarray, *, posterior: np.ndarray
) -> np.ndarray:
    """Return the expected answers by annotator, answer and class."""
    n_classes = posterior.shape[1]
    n_people = int(annotators.max(initial=-1)) + 1
    counts = np.zeros((n_people * n_classes, n_classes))
    np.add.at(counts, annotators * n_classes + answers, posterior[items])
    return counts.reshape(n_people, n_classes, n_classes)


def confused_pairs(
    items: np.ndarray, annotators: np.ndarray, answers: np.ndarray, *, posterior: np.ndarray
) -> list[ConfusedPair]:
    """Return the pairs that most annotators confuse, the most confused first.

    Parameters
    ----------
    items, annotators, answers : int ndarrays of shape (n_answers,)
        Who said what about which item, all counted from 0.
    posterior : float ndarray of shape (n_items, n_classes)
        P(class) of each item, from `mlcore.consensus` or from known labels.

    Returns
    -------
    list of ConfusedPair
        One bad annotator is one voice, and a class that people name whatever they are shown
        is no confusion: what each names beside the two classes is taken off. The middle
        annotator counts, in the way of a median, so that a minority can do nothing.
    """
    n_classes = posterior.shape[1]
    counts = _counts(items, annotators, answers, posterior=posterior)
    by_class = counts.sum(axis=1)
    found = [
        _pair(counts, by_class, first, second)
        for first in range(n_classes)
        for second in range(first + 1, n_classes)
        if counts[:, first, second].sum() + counts[:, second, first].sum() >= 1.0
    ]
    kept = [pair for pair in found if pair is not None]
    return sorted(kept, key=lambda pair: (-pair.rate, pair.classes))


def _pair(counts: np.ndarray, by_class: np.ndarray, first: int, second: int) -> ConfusedPair | None:
    from scipy.stats import poisson

    chances = by_class[:, first] + by_class[:, second]
    taken = counts[:, second, first] + counts[:, first, second]
    habit = _habit(counts, by_class, first, second)
    expected = by_class[:, first] * habit[:, 1] + by_class[:, second] * habit[:, 0]
    panel = _panels(chances)
    if not panel.any():  # one voice alone: nothing tells most people from one of them
        return None
    chances, taken, expected = (np.bincount(panel, each) for each in (chances, taken, expected))
    rates = (taken - expected) / np.maximum(chances, 1e-9)
    support = float((rates >= LEAST_RATE).mean())
    rate = float(np.median(rates))
    by_chance = poisson.sf(np.floor(taken.sum()) - 1, max(expected.sum(), 1e-9))
    if support <= MOST or rate < LEAST_RATE or by_chance > SURE:
        return None
    one, other = float(counts[:, second, first].sum()), float(counts[:, first, second].sum())
    return ConfusedPair((first, second), rate, support, len(rates), one, other)


def _habit(counts: np.ndarray, by_class: np.ndarray, first: int, second: int) -> np.ndarray:
    """Return how often each annotator names the two where neither is right, shape (n, 2)."""
    elsewhere = by_class.sum(axis=1) - by_class[:, first] - by_class[:, second]
    named = [
        counts[:, answer].sum(axis=1) - counts[:, answer, first] - counts[:, answer, second]
        for answer in (first, second)
    ]
    # With two classes there is no elsewhere, and every mistake is this confusion.
    return np.stack([n / np.maximum(elsewhere, 1.0) for n in named], axis=1)


def _panels(chances: np.ndarray) -> np.ndarray:
    """Return the panel of each annotator: alone with many chances, else with the next ones.

    The last panel may be short; it is joined with the one before.
    """
    panel, current, filled = np.zeros(len(chances), np.int64), 0, 0.0
    for person, own in enumerate(chances):
        panel[person] = current
        filled += own
        if filled >= PANEL_CHANCES:
            current, filled = current + 1, 0.0
    if filled < PANEL_CHANCES and current > 0:
        panel[panel == current] = current - 1
    return panel
