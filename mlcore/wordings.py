"""Compare two wordings of a question that were tried on the same items by two halves of a crowd.

People were dealt to the wordings at random, so people are what is permuted and left out: what is
asked is whether other people, on these items, would differ between the wordings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from mlcore.intervals import COVERAGE, NORMAL_95

SHOWN_BELOW = 1 - COVERAGE
"""Permutation p below which a difference is shown, if its limits leave out 0, too."""

DEALS = 2_000
"""Ways to deal the people that are tried at most; all of them where there are no more. The
error of p at .05 is then .005 (Ernst 2004, doi:10.1214/088342304000000396)."""

NUMBERS_AT_ONCE = 4_000_000
"""Votes held in memory at once: 32 MB."""

Measure = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Difference:
    """Second wording minus first: value with 95 % limits, and the permutation p.

    Attributes
    ----------
    first, second, value, low, high : float
        nan where it cannot be told, as with one person left.
    p_value : float
        Share of the ways to deal these people that differ at least so much.
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    p_value: float

    @property
    def is_shown(self) -> bool:
        """Whether the wordings differ beyond what dealing the people explains."""
        return self.p_value <= SHOWN_BELOW and (self.low > 0 or self.high < 0)


def alpha_of(votes: np.ndarray) -> Measure:
    """Return the measure of agreement, Krippendorff's nominal alpha.

    Parameters
    ----------
    votes : int ndarray of shape (n_people, n_items, n_classes)
        1 where a person named a class for an item.
    """
    n_people, n_items, n_classes = votes.shape
    flat = votes.reshape(n_people, -1).astype(np.float64)
    at_once = max(1, NUMBERS_AT_ONCE // max(1, n_items * n_classes))

    def measure(members: np.ndarray) -> np.ndarray:
        parts = [
            _alphas((members[start : start + at_once] @ flat).reshape(-1, n_items, n_classes))
            for start in range(0, len(members), at_once)
        ]
        return np.concatenate(parts)

    return measure


def _alphas(counts: np.ndarray) -> np.ndarray:
    """Return alpha of each set of people from its votes, shape (n_sets, n_items, n_classes)."""
    answers = counts.sum(axis=2)
    counts = counts * (answers > 1)[:, :, None]
    unlike = answers**2 - (counts**2).sum(axis=2)
    observed = (np.where(answers > 1, unlike, 0.0) / np.maximum(answers - 1, 1)).sum(axis=1)
    named = counts.sum(axis=1)
    total = named.sum(axis=1)
    expected = (total**2 - (named**2).sum(axis=1)) / np.maximum(total - 1, 1)
    ratio = np.divide(observed, expected, out=np.full(len(total), np.nan), where=expected > 0)
    alpha: np.ndarray = 1.0 - ratio
    return alpha


def share_of(hits: np.ndarray, answers: np.ndarray) -> Measure:
    """Return the measure of a share or mean: sums of `hits` over sums of `answers` by person."""

    def measure(members: np.ndarray) -> np.ndarray:
        of = members @ answers
        return np.divide(members @ hits, of, out=np.full(len(of), np.nan), where=of > 0)

    return measure


def difference(measure: Measure, in_second: np.ndarray, *, rng: np.random.Generator) -> Difference:
    """Return how two wordings differ in a measure.

    Parameters
    ----------
    measure : callable
        Takes memberships of shape (n_sets, n_people), 0 or 1, and gives a value for each set.
    in_second : bool ndarray of shape (n_people,)
        Who answered the second wording.
    rng : numpy Generator
        Deals the people where there are too many ways to try all.

    Examples
    --------
    >>> right, asked = np.array([9, 8, 9, 8, 2, 3, 2, 3]), np.full(8, 10)
    >>> second = np.arange(8) >= 4
    >>> found = difference(share_of(right, asked), second, rng=np.random.default_rng(0))
    >>> round(found.value, 2), round(found.p_value, 3), found.is_shown
    (-0.6, 0.029, True)
    """
    second = np.asarray(in_second, dtype=bool)
    value, low, high = _with_limits(measure, second)
    first_value, second_value = measure(np.stack([~second, second]).astype(float))
    p_value = _p_value(measure, second, value, rng)
    return Difference(float(first_value), float(second_value), value, low, high, p_value)


def _with_limits(measure: Measure, second: np.ndarray) -> tuple[float, float, float]:
    """Leave out one person at a time (Efron and Tibshirani 1993, section 11.3), Welch's freedom."""
    values, variances, freedom = [], [], []
    for members in (~second, second):
        value = float(measure(members[None].astype(float))[0])
        without = np.repeat(members[None].astype(float), members.sum(), axis=0)
        without[np.arange(len(without)), np.flatnonzero(members)] = 0.0
        left = measure(without) if len(without) > 1 else np.array([np.nan])
        n = len(left)
        values.append(value)
        variances.append(float((n - 1) / n * ((left - left.mean()) ** 2).sum()))
        freedom.append(n - 1)
    whole = values[1] - values[0]
    spread = sum(variances)
    if math.isnan(whole) or math.isnan(spread):
        return whole, math.nan, math.nan
    reach = _reach(variances, freedom) * math.sqrt(spread)
    return whole, whole - reach, whole + reach


def _reach(variances: list[float], freedom: list[int]) -> float:
    from scipy.special import stdtrit

    parts = sum(v**2 / f for v, f in zip(variances, freedom))
    if not parts:
        return NORMAL_95
    return float(stdtrit(sum(variances) ** 2 / parts, (1 + COVERAGE) / 2))


def _p_value(measure: Measure, second: np.ndarray, value: float, rng: np.random.Generator) -> float:
    deals = _deals(second, rng)
    found = measure(deals) - measure(1.0 - deals)
    found = found[~np.isnan(found)]
    if math.isnan(value) or not len(found):
        return math.nan
    return float((np.abs(found) >= abs(value) - 1e-12).mean())


def _deals(second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ways to deal as many people to the second wording; the way it was done is one."""
    n, k = len(second), int(second.sum())
    if math.comb(n, k) <= DEALS:
        chosen = np.array(list(islice(combinations(range(n), k), DEALS)))
    else:
        chosen = np.argsort(rng.random((DEALS - 1, n)), axis=1)[:, :k]
        chosen = np.vstack([np.flatnonzero(second), chosen])
    deals = np.zeros((len(chosen), n))
    deals[np.arange(len(chosen))[:, None], chosen] = 1.0
    return deals


@dataclass(frozen=True)
class PairRate:
    """How often two classes stand against each other about an item, under each wording.

    `first` and `second` are the share of other people's answers that name the one class where
    somebody named the other; `items` count where both were named.
    """

    classes: tuple[int, int]
    first: float
    second: float
    items: tuple[int, int]


def pair_rates(first: np.ndarray, second: np.ndarray) -> list[PairRate]:
    """Return the pairs of classes that people disagree between, the most frequent first.

    Parameters
    ----------
    first, second : int ndarrays of shape (n_items, n_classes)
        How many people named each class under each wording.
    """
    rates = [_rates(np.asarray(votes, dtype=float)) for votes in (first, second)]
    both = [(np.asarray(votes) > 0).astype(int) for votes in (first, second)]
    together = [named.T @ named for named in both]
    found = [
        PairRate(
            (a, b),
            float(rates[0][a, b]),
            float(rates[1][a, b]),
            (int(together[0][a, b]), int(together[1][a, b])),
        )
        for a, b in combinations(range(np.shape(first)[1]), 2)
        if together[0][a, b] or together[1][a, b]
    ]
    return sorted(found, key=lambda row: -max(row.first, row.second))


def _rates(votes: np.ndarray) -> np.ndarray:
    answers = votes.sum(axis=1)
    votes, answers = votes[answers > 1], answers[answers > 1]
    against = (votes / np.maximum(answers - 1, 1)[:, None]).T @ votes
    named = votes.sum(axis=0)
    either = named[:, None] + named[None, :]
    return np.divide(2 * against, either, out=np.zeros_like(against), where=either > 0)
