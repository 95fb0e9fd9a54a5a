"""Try a few heads, and fine-tuned layers, within budgets of seconds; say which to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from mlcore.intervals import Interval, recall_difference
from mlcore.protocols import FOLDS, Protocol, divide
from mlcore.refusals import Impossible
from mlcore.success import (
    ACCURACY,
    COST,
    Success,
    difference,
    measure,
    surprise_difference,
)
from mlcore.training import cross_validate
from mlcore.tuning import Maps

USUAL_L2 = Protocol.l2
GRID: tuple[dict[str, Any], ...] = (
    {},
    {"l2": USUAL_L2 * 10},
    {"hidden": 128, "dropout": 0.3, "l2": USUAL_L2 / 10},
    {"l2": USUAL_L2 / 10},
    {"hidden": 64, "dropout": 0.3},
)
"""What each head has other than the usual one; where time is short the last are left out."""
BY_ACCURACY = Success(ACCURACY)
SEARCHED = ("l2", "hidden", "dropout", "tuned")
"""What of a protocol a search chooses."""
PARTS = 3
"""Each head is asked about each item of the search once, by parts of whole groups."""
FEWEST_ITEMS = 4_000
"""Rather fewer heads than fewer items: where 8 % of answers change, 1.2 points can be told."""
START_SECONDS = 5.0
SECONDS_A_CELL = 2e-7
SECONDS_A_UNIT = 8e-9
"""CPU-seconds that a head costs on crowded cores: by its many small steps, which sets that are
easy to learn take most of; an item and feature; each of these and hidden unit
(`bench/heads.py --search`)."""
TUNED: dict[str, Any] = {"tuned": True}
TUNED_SECONDS_AN_ITEM = 0.08
"""CPU-seconds that PARTS tuned heads cost an item of the search (`bench/finetune.py`)."""


@dataclass(frozen=True)
class Tried:
    """One head of the search: its metric on held-out items, and how much better than the usual one.

    The limits of `lead` hold for all heads of a search together, positive is for the better, of
    costs too; None for the usual head. `surprise` is how much log loss, in nats, a fine-tuned head
    adds to that of the frozen one which is best; None for others.
    """

    changes: dict[str, Any]
    value: float
    lead: Interval | None
    surprise: Interval | None = None


@dataclass(frozen=True)
class Search:
    """The protocol with the head to use, what was tried on how many items, and whose turn it is.

    `reason` says in words why nothing could be tried, where the metric is why.
    """

    protocol: Protocol
    tried: tuple[Tried, ...] = ()
    n_items: int = 0
    kept: int = 0
    reason: str = ""


def plan(n_items: int, n_features: int, *, seconds: float) -> tuple[int, int]:
    """Return how many heads are tried on how many items: by size alone, the same on any machine.

    Examples
    --------
    >>> [plan(n, 1280, seconds=30) for n in (500, 5_000, 50_000)]
    [(5, 500), (4, 4283), (4, 4283)]
    """
    for n_heads in range(len(GRID), 1, -1):
        left = seconds - START_SECONDS * n_heads
        most = int(left / sum(_seconds_an_item(n_features, one) for one in GRID[:n_heads]))
        if most >= min(n_items, FEWEST_ITEMS):
            return n_heads, min(n_items, most)
    return 1, 0


def plan_tuning(n_items: int, *, seconds: float) -> int:
    """Return on how many items fine-tuning is tried within so many CPU-seconds.

    Examples
    --------
    >>> [plan_tuning(n, seconds=100) for n in (400, 50_000)]
    [400, 1250]
    """
    return min(n_items, int(seconds / TUNED_SECONDS_AN_ITEM))


def _seconds_an_item(n_features: int, changes: dict[str, Any]) -> float:
    return n_features * (SECONDS_A_CELL + SECONDS_A_UNIT * changes.get("hidden", 0))


def unsearched(protocol: Protocol) -> Protocol:
    """Return the protocol as it was before a search chose the head."""
    return replace(protocol, **{name: getattr(Protocol, name) for name in SEARCHED})


def search_head(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    n_classes: int,
    protocol: Protocol,
    success: Success = BY_ACCURACY,
    copies: np.ndarray | None = None,
    times: np.ndarray | None = None,
    maps: Maps | None = None,
    on_head: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Search:
    """Return the protocol with the head that suits these items, and what was tried.

    Each head predicts the items of the search by parts, as it would in a run; `choose` says which
    is kept. Where one part or later ones judge the run, none of those items is used; for folds
    see `heads_of_folds`.

    Parameters
    ----------
    features, labels, groups, n_classes, copies, times, maps, should_stop
        As for `mlcore.training.cross_validate`. With maps fine-tuning is tried as one more head.
    protocol : Protocol
        Of the run; `search` and `tuning` are budgets in CPU-seconds of one core for all searches
        of it.
    success : Success
        What the heads are judged by.
    on_head : callable, optional
        Called with the number of the head at hand, from 0, and how many there are.

    Returns
    -------
    Search
        The same for the same input.

    Raises
    ------
    Impossible, Cancelled
        As `mlcore.training.cross_validate`.
    """
    groups = np.asarray(groups)
    rows = _unjudged(labels, groups, protocol=protocol, times=times)
    vectors = features.shape[1] * (1 if copies is None else 2)
    heads, n_items = _heads(len(rows), vectors, protocol=protocol, with_tuned=maps is not None)
    rng = np.random.default_rng(protocol.seed)
    rows = rows[_whole_groups(groups[rows], n_items, rng=rng)]
    if len(np.unique(groups[rows])) < PARTS or len(np.unique(labels[rows])) < 2:
        return Search(protocol)
    alike = replace(protocol, scheme=FOLDS, n_folds=PARTS, shuffles=1)
    told = []
    for number, changes in enumerate(heads):
        if on_head is not None:
            on_head(number, len(heads))
        found = cross_validate(
            features[rows],
            labels[rows],
            groups[rows],
            n_classes=n_classes,
            protocol=replace(alike, **changes),
            copies=None if copies is None else copies[rows],
            maps=None if maps is None else maps[rows],
            should_stop=should_stop,
        )
        told.append(found.probabilities)
    return choose(heads, told, labels[rows], groups[rows], protocol=protocol, success=success)


def searches_of(protocol: Protocol) -> int:
    """Return among how many searches a run divides its seconds: its own, and those for folds.

    Examples
    --------
    >>> [searches_of(Protocol(scheme=one)) for one in ("folds", "hold-out", "time")]
    [3, 1, 1]
    """
    return 1 + 2 * protocol.shuffles if protocol.scheme == FOLDS else 1


def heads_of_folds(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    protocol: Protocol,
    copies: np.ndarray | None = None,
    maps: Maps | None = None,
    **more: Any,
) -> tuple[dict[str, Any], ...]:
    """Return the head of each fold, chosen on others' items.

    Folds ask about every item, so one choice for all would have seen what it is judged by. The
    folds are two halves, and each takes the head that a search inside the other half found: that
    is part of what its heads learn from, and no item has a say in how it is predicted itself.

    Parameters
    ----------
    features, labels, groups, protocol, copies, maps
        As for `search_head`; so is what else is given.

    Returns
    -------
    tuple of dict
        As `mlcore.training.cross_validate` takes it, with every setting that a search chooses;
        empty without a search, and under any other scheme than FOLDS.
    """
    if protocol.scheme != FOLDS or not (protocol.search or protocol.tuning):
        return ()
    usual, chosen = unsearched(protocol), []
    for divisions in divide(labels, np.asarray(groups), protocol=protocol):
        asked = [one.unseen for one in divisions]
        middle = len(asked) // 2
        for others, n_folds in ((asked[middle:], middle), (asked[:middle], len(asked) - middle)):
            rows = np.sort(np.concatenate(others))
            found = search_head(
                features[rows],
                labels[rows],
                np.asarray(groups)[rows],
                protocol=usual,
                copies=None if copies is None else copies[rows],
                maps=None if maps is None else maps[rows],
                **more,
            )
            head = {name: getattr(found.protocol, name) for name in SEARCHED}
            chosen += [head] * n_folds
    return tuple(chosen)


def _heads(
    n_items: int, n_features: int, *, protocol: Protocol, with_tuned: bool
) -> tuple[tuple[dict[str, Any], ...], int]:
    """Return which heads are tried, on how many items."""
    n_searches = searches_of(protocol)
    n_heads, most = plan(n_items, n_features, seconds=protocol.search / n_searches)
    if not (with_tuned and protocol.tuning):
        return GRID[:n_heads], most
    affordable = plan_tuning(n_items, seconds=protocol.tuning / n_searches)
    return (*GRID[:n_heads], TUNED), min(affordable, most or n_items)


def choose(
    heads: tuple[dict[str, Any], ...],
    told: list[np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    protocol: Protocol,
    success: Success = BY_ACCURACY,
) -> Search:
    """Return the head to keep, by what each said of items that it had not learned.

    Of frozen ones the best by the metric is kept if its lead over the usual one is clear (paired,
    limits for so many rivals by Bonferroni) and, where accuracy judges, the mean recall of classes
    is no lower. A fine-tuned one is kept before that unless it is clearly worse, by the metric or
    by log loss (docs/decisions/fine-tuning-is-tried-first.md).

    Parameters
    ----------
    heads : tuple of dict
        What each has other than the protocol; the first nothing, a fine-tuned one is the last.
    told : list of float ndarray of shape (n_items, n_classes)
        Probabilities of each head, calibrated.
    labels, groups, protocol, success
        As for `search_head`.
    """
    usual, *rivals = told
    try:
        value = measure(success, labels, probabilities=usual, groups=groups).value
    except Impossible as impossible:  # none of the chosen class, and the like
        return Search(protocol, reason=str(impossible))
    for_the_better = -1.0 if success.metric == COST else 1.0
    tried = [Tried(heads[0], value, None)]
    for changes, one in zip(heads[1:], rivals, strict=True):
        found = difference(success, labels, before=usual, after=one, groups=groups)
        gain = _for_all(found.value * for_the_better, found, success, n_rivals=len(rivals))
        tried.append(Tried(changes, value + found.value, gain))
    frozen = [one.value * for_the_better for one in tried if one.changes != TUNED]
    best = int(np.argmax(frozen))  # of equal ones the first
    lead = tried[best].lead
    if lead is None or lead.low <= 0 or _costs_recall(success, usual, told[best], labels, groups):
        best = 0
    if heads[-1] == TUNED:
        pair: dict[str, np.ndarray] = {"before": told[best], "after": told[-1], "groups": groups}
        surprise = surprise_difference(success, labels, **pair)
        tried[-1] = replace(tried[-1], surprise=surprise)
        gain = difference(success, labels, **pair)
        is_worse = gain.low > 0 if success.metric == COST else gain.high < 0
        if not is_worse and surprise.low <= 0:
            best = len(heads) - 1
    return Search(replace(protocol, **heads[best]), tuple(tried), len(labels), best)


def _for_all(gain: float, found: Interval, success: Success, *, n_rivals: int) -> Interval:
    """Return the paired gain with limits that hold for all rivals together (Bonferroni)."""
    normal = NormalDist()
    wider = normal.inv_cdf(1 - 0.025 / n_rivals) / normal.inv_cdf(0.975)
    reach = wider * max(found.value - found.low, found.high - found.value)
    return Interval(gain, max(-success.unit, gain - reach), min(success.unit, gain + reach))


def _costs_recall(
    success: Success, usual: np.ndarray, best: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> bool:
    """Tell whether accuracy is bought with rare classes, which it hardly counts."""
    if success.metric != ACCURACY or success.shares is not None:
        return False
    before, after = (one.argmax(axis=1) == labels for one in (usual, best))
    return recall_difference(before, after, labels, groups).value < 0


def _unjudged(
    labels: np.ndarray, groups: np.ndarray, *, protocol: Protocol, times: np.ndarray | None
) -> np.ndarray:
    """Return the items that no head of the run is asked about; under FOLDS there is none: all."""
    if protocol.scheme == FOLDS:
        return np.arange(len(labels))
    seen = [one.seen for one in divide(labels, groups, protocol=protocol, times=times)[0]]
    return seen[0]  # by time, the first step learns from the oldest part alone


def _whole_groups(groups: np.ndarray, most: int, *, rng: np.random.Generator) -> np.ndarray:
    """Return places of randomly drawn whole groups with at most so many items."""
    group_of = np.unique(groups, return_inverse=True)[1]
    order = rng.permutation(group_of.max(initial=-1) + 1)
    is_drawn = np.zeros(len(order), dtype=bool)
    is_drawn[order] = np.cumsum(np.bincount(group_of, minlength=len(order))[order]) <= most
    return np.flatnonzero(is_drawn[group_of])
