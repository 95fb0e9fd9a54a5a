"""Train a small softmax head on frozen features, and predict every item out of sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlcore.calibration import softmax
from mlcore.fitting import EarlyReport, EpochReport, SuccessOf, fit_frozen
from mlcore.fitting_tuned import fit_tuned
from mlcore.head import Head
from mlcore.protocols import TIME, Division, Protocol, divide
from mlcore.refusals import Impossible
from mlcore.steps import Cancelled, heads_at_once
from mlcore.tuning import Maps, TunedHead

__all__ = [
    "Cancelled",
    "CrossValidation",
    "EarlyReport",
    "EpochReport",
    "FoldReport",
    "cross_validate",
    "fit_final",
]


@dataclass(frozen=True)
class FoldReport:
    """A finished fold: `probabilities[i]` belongs to item `items[i]`, predicted unseen."""

    fold: int
    n_folds: int
    items: np.ndarray
    probabilities: np.ndarray
    accuracy: float
    epochs: int


@dataclass(frozen=True)
class CrossValidation:
    """Out-of-sample predictions of every item that the protocol asks about.

    `probabilities` is float32 (n_items, n_classes), the mean over shuffles, NaN where not asked;
    `folds` int64 (n_items,) of the first shuffle, -1 where not asked. `divisions` are those of
    the first shuffle. `heads` tells each head's share of right answers and how many it gave,
    `successes` what `success_of` found of them (None where nothing was asked for or it cannot
    tell), `uncalibrated` are the probabilities before what each head fitted on its inner held-out
    items was applied. Where folds are dealt several times, `shuffled` is float32 (n_items,
    n_shuffles, n_classes), what each shuffle said by itself, and
    `shuffled_folds` int64 (n_items, n_shuffles) its folds; else both have no shuffle.
    """

    probabilities: np.ndarray
    folds: np.ndarray
    curves: tuple[EpochReport, ...]
    divisions: tuple[Division, ...]
    heads: tuple[tuple[float, int], ...]
    successes: tuple[float | None, ...]
    uncalibrated: np.ndarray
    shuffled: np.ndarray
    shuffled_folds: np.ndarray


def cross_validate(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    n_classes: int,
    protocol: Protocol,
    copies: np.ndarray | None = None,
    times: np.ndarray | None = None,
    changes: Sequence[Mapping[str, Any]] = (),
    success_of: SuccessOf | None = None,
    maps: Maps | None = None,
    on_early: Callable[[EarlyReport], None] | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_fold: Callable[[FoldReport], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> CrossValidation:
    """Predict items by heads that saw neither them nor their groups.

    Parameters
    ----------
    features : float ndarray of shape (n_items, n_features)
    labels : int ndarray of shape (n_items,)
        0 to n_classes - 1.
    groups : int ndarray of shape (n_items,)
        As `mlcore.folds.join_groups` returns them.
    n_classes : int
    protocol : Protocol
    copies : float ndarray of shape (n_items, n_features), optional
        Vectors of a changed copy of each item. A head learns those of the items that it learns,
        and is asked about none; nor do they decide how long it learns.
    times : float ndarray of shape (n_items,), optional
        As for `mlcore.protocols.divide`.
    changes : sequence of mapping
        What each head has other than the protocol says, in their order; none where empty.
    success_of : callable, optional
        Measures held-out items after each epoch, from their labels and probabilities.
    maps : Maps, optional
        Of the items, needed by a head whose protocol says `tuned`.
    on_early : callable, optional
        Called before the reports of each epoch, until the first fold is done, with what heads say
        of a sample of their unseen items; of tuned ones not at all. Nothing is decided by it.
    on_epoch, on_fold : callable, optional
        Called as training goes on.
    should_stop : callable, optional
        Asked every few batches; True raises `Cancelled`.

    Returns
    -------
    CrossValidation

    Raises
    ------
    Impossible
        Why these items cannot be learned from, in words.
    ValueError
        What is wrong with the arrays.
    Cancelled
    """
    features, labels = _checked(features, labels, groups, n_classes=n_classes)
    shuffles = divide(labels, np.asarray(groups), protocol=protocol, times=times)
    heads = [division for divisions in shuffles for division in divisions]
    curves: list[EpochReport] = []
    folds: list[FoldReport] = []
    before: list[np.ndarray] = []

    def record(report: EpochReport) -> None:
        curves.append(report)
        if on_epoch is not None:
            on_epoch(report)

    def finish(division: Division, head: Head | TunedHead) -> None:
        unseen = division.unseen
        scores = _scores(head, unseen, features=features, maps=maps)
        found = head.calibration.probabilities(scores)
        accuracy = float((found.argmax(axis=1) == labels[unseen]).mean())
        folds.append(FoldReport(len(folds), len(heads), unseen, found, accuracy, head.epochs))
        before.append(softmax(scores))
        if on_fold is not None:
            on_fold(folds[-1])

    for own, lot in _lots(heads, changes, n_classes=n_classes, protocol=protocol):
        found = fit(
            features,
            labels,
            np.asarray(groups),
            parts=[division.seen for division in lot],
            n_classes=n_classes,
            protocol=own,
            fold=len(folds),
            copies=copies,
            success_of=success_of,
            maps=maps,
            unseen=[division.unseen for division in lot],
            on_early=None if folds else on_early,
            on_epoch=record,
            should_stop=should_stop,
        )
        for division, head in zip(lot, found, strict=True):
            finish(division, head)
    return _joined(folds, before, curves, shuffles=shuffles, labels=labels, success_of=success_of)


def _joined(
    folds: Sequence[FoldReport],
    before: Sequence[np.ndarray],
    curves: Sequence[EpochReport],
    *,
    shuffles: Sequence[Sequence[Division]],
    labels: np.ndarray,
    success_of: SuccessOf | None,
) -> CrossValidation:
    """Return what all heads said of the items, and how each head did.

    `before` has the probabilities of each head as they were before it was calibrated.
    """
    n_items, heads = len(labels), [division for divisions in shuffles for division in divisions]
    shuffled, shuffled_folds = _by_shuffle(folds, shuffles, n_items=n_items)
    return CrossValidation(
        probabilities=_means([one.probabilities for one in folds], heads, n_items=n_items),
        folds=_fold_of(shuffles[0], n_items=n_items),
        curves=tuple(curves),
        divisions=tuple(shuffles[0]),
        heads=tuple((one.accuracy, len(one.items)) for one in folds),
        successes=tuple(
            None if success_of is None else success_of(labels[one.items], one.probabilities)
            for one in folds
        ),
        uncalibrated=_means(before, heads, n_items=n_items),
        shuffled=shuffled,
        shuffled_folds=shuffled_folds,
    )


def _scores(
    head: Head | TunedHead, rows: np.ndarray, *, features: np.ndarray, maps: Maps | None
) -> np.ndarray:
    if maps is not None and isinstance(head, TunedHead):
        return head.scores(maps[rows].rows)
    return head.scores(features[rows])


def _lots(
    divisions: Sequence[Division],
    changes: Sequence[Mapping[str, Any]],
    *,
    n_classes: int,
    protocol: Protocol,
) -> Iterator[tuple[Protocol, Sequence[Division]]]:
    """Return which heads learn side by side, in their order, and the protocol of each lot.

    Steps in time learn one after another: the last learns from many times as many as the first.
    """
    own = [
        replace(protocol, **changes[fold]) if changes else protocol
        for fold in range(len(divisions))
    ]
    start = 0
    while start < len(divisions):
        is_alone = protocol.scheme == TIME or own[start].tuned
        n_items = len(divisions[start].seen)
        most = 1 if is_alone else heads_at_once(n_items, n_classes, protocol=own[start])
        end = start + 1
        while end < min(start + most, len(divisions)) and own[end] == own[start]:
            end += 1
        yield own[start], divisions[start:end]
        start = end


def _means(
    answers: Sequence[np.ndarray], divisions: Sequence[Division], *, n_items: int
) -> np.ndarray:
    """Return the mean of what each item got from the heads that were asked; NaN where none was."""
    sums = np.zeros((n_items, answers[0].shape[1]), dtype=np.float32)
    asked = np.zeros(n_items, dtype=np.float32)
    for probabilities, division in zip(answers, divisions, strict=True):
        sums[division.unseen] += probabilities
        asked[division.unseen] += 1
    with np.errstate(invalid="ignore"):  # 0 / 0 where nobody was asked
        return np.asarray(sums / asked[:, None])


def _by_shuffle(
    folds: Sequence[FoldReport], shuffles: Sequence[Sequence[Division]], *, n_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each of several shuffles said by itself, and its folds; none of a single one."""
    several = shuffles if len(shuffles) > 1 else []
    n_classes = folds[0].probabilities.shape[1]
    said = np.full((n_items, len(several), n_classes), np.nan, dtype=np.float32)
    fold_of = np.full((n_items, len(several)), -1, dtype=np.int64)
    report = iter(folds)
    for shuffle, divisions in enumerate(several):
        fold_of[:, shuffle] = _fold_of(divisions, n_items=n_items)
        for division in divisions:
            said[division.unseen, shuffle] = next(report).probabilities
    return said, fold_of


def _fold_of(divisions: Sequence[Division], *, n_items: int) -> np.ndarray:
    """Return which division asks about each item, -1 where none does."""
    fold_of = np.full(n_items, -1, dtype=np.int64)
    for fold, division in enumerate(divisions):
        fold_of[division.unseen] = fold
    return fold_of


def fit_final(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    n_classes: int,
    protocol: Protocol,
    copies: np.ndarray | None = None,
    maps: Maps | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Head | TunedHead:
    """Train one head on all items, under the protocol of `cross_validate`.

    Parameters
    ----------
    features, labels, groups, n_classes, protocol, copies, maps, should_stop
        As for `cross_validate`.

    Returns
    -------
    Head or TunedHead
        The same for the same input; a tuned one predicts from maps.
    """
    features, labels = _checked(features, labels, groups, n_classes=n_classes)
    [head] = fit(
        features,
        labels,
        np.asarray(groups),
        parts=[np.arange(len(labels))],
        n_classes=n_classes,
        protocol=protocol,
        copies=copies,
        maps=maps,
        fold=0,
        on_epoch=None,
        should_stop=should_stop,
    )
    return head


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    parts: Sequence[np.ndarray],
    protocol: Protocol,
    copies: np.ndarray | None,
    maps: Maps | None,
    unseen: Sequence[np.ndarray] = (),
    on_early: Callable[[EarlyReport], None] | None = None,
    **more: Any,
) -> Sequence[Head | TunedHead]:
    """Return a head for each part of the items; tuned ones learn one at a time, without copies."""
    if not protocol.tuned:
        more |= {"parts": parts, "copies": copies, "unseen": unseen, "on_early": on_early}
        return fit_frozen(features, labels, groups, protocol=protocol, **more)
    if maps is None:
        raise ValueError("Fine-tuning needs the maps of the items.")
    [part] = parts
    own = features[part], labels[part], groups[part]
    return [fit_tuned(*own, maps=maps[part], protocol=protocol, **more)]


def _checked(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    features = np.asarray(features, dtype=np.float32)
    labels = np.asarray(labels, dtype=np.int64)
    if features.ndim != 2 or not len(features) == len(labels) == len(groups):
        raise ValueError(
            f"Features {features.shape}, labels {labels.shape} and groups ({len(groups)},) "
            "do not belong together."
        )
    if not len(labels):
        raise Impossible("There are no labelled items to train on.")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"Labels must lie between 0 and {n_classes - 1}.")
    if len(np.unique(labels)) < 2:
        raise Impossible("All items have the same label; training needs at least two classes.")
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        raise ValueError(f"Features of {len(broken)} items are no numbers, first item {broken[0]}.")
    return features, labels
