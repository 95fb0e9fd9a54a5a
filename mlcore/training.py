"""Train a small softmax head on frozen features, and predict every item out of sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlcore.calibration import Calibration, fit_calibration, softmax
from mlcore.folds import grouped_folds
from mlcore.head import Head, scores_of, standardised
from mlcore.protocols import Division, Protocol, divide
from mlcore.steps import (
    Cancelled,
    Material,
    Trainer,
    steps_an_epoch,
    trainer_for,
)

FEWEST_ITEMS_TO_HOLD_OUT = 30
"""Items below which early stopping would decide on five or fewer, and is left out."""
INNER_PARTS = 6
"""One in so many training items is held out to decide when to stop."""
PATIENT_STEPS = 400
"""Steps without a lower held-out loss that are enough; large sets take hundreds an epoch."""


@dataclass(frozen=True)
class EpochReport:
    """One pass over the training part of a fold; losses in nats, accuracies 0 to 1.

    `val_loss`, `val_accuracy` and `val_success` (what `success_of` found) are of inner held-out
    items, None where there were too few.
    """

    fold: int
    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    val_success: float | None = None


#: From labels and probabilities of held-out items to what success is measured by.
SuccessOf = Callable[[np.ndarray, np.ndarray], float | None]


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
    `calibrations` what was fitted on its inner held-out items; `uncalibrated` are the
    probabilities before that was applied.
    """

    probabilities: np.ndarray
    folds: np.ndarray
    curves: tuple[EpochReport, ...]
    divisions: tuple[Division, ...]
    heads: tuple[tuple[float, int], ...]
    calibrations: tuple[Calibration, ...]
    uncalibrated: np.ndarray


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
    on_epoch, on_fold : callable, optional
        Called as training goes on.
    should_stop : callable, optional
        Asked every few batches; True raises `Cancelled`.

    Returns
    -------
    CrossValidation

    Raises
    ------
    ValueError
        What is wrong with the input, in words.
    Cancelled
    """
    features, labels = _checked(features, labels, groups, n_classes=n_classes)
    shuffles = divide(labels, np.asarray(groups), protocol=protocol, times=times)
    heads = [division for divisions in shuffles for division in divisions]
    sums = np.zeros((len(labels), n_classes), dtype=np.float32)
    sums_before = np.zeros_like(sums)
    asked = np.zeros(len(labels), dtype=np.float32)
    curves: list[EpochReport] = []
    told: list[tuple[float, int]] = []
    calibrations: list[Calibration] = []

    def record(report: EpochReport) -> None:
        curves.append(report)
        if on_epoch is not None:
            on_epoch(report)

    for fold, division in enumerate(heads):
        seen, unseen = division.seen, division.unseen
        head = _fit(
            features[seen],
            labels[seen],
            np.asarray(groups)[seen],
            n_classes=n_classes,
            protocol=replace(protocol, **changes[fold]) if changes else protocol,
            copies=None if copies is None else copies[seen],
            fold=fold,
            success_of=success_of,
            on_epoch=record,
            should_stop=should_stop,
        )
        scores = head.scores(features[unseen])
        found = head.calibration.probabilities(scores)
        sums[unseen] += found
        sums_before[unseen] += softmax(scores)
        asked[unseen] += 1
        accuracy = float((found.argmax(axis=1) == labels[unseen]).mean())
        told.append((accuracy, len(unseen)))
        calibrations.append(head.calibration)
        if on_fold is not None:
            on_fold(FoldReport(fold, len(heads), unseen, found, accuracy, head.epochs))
    folds = np.full(len(labels), -1, dtype=np.int64)
    for fold, division in enumerate(shuffles[0]):
        folds[division.unseen] = fold
    with np.errstate(invalid="ignore"):  # 0 / 0 where nobody was asked: NaN
        means, means_before = sums / asked[:, None], sums_before / asked[:, None]
    return CrossValidation(
        probabilities=means,
        folds=folds,
        curves=tuple(curves),
        divisions=tuple(shuffles[0]),
        heads=tuple(told),
        calibrations=tuple(calibrations),
        uncalibrated=means_before,
    )


def fit_final(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    n_classes: int,
    protocol: Protocol,
    copies: np.ndarray | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Head:
    """Train one head on all items, under the protocol of `cross_validate`.

    Parameters
    ----------
    features, labels, groups, n_classes, protocol, copies, should_stop
        As for `cross_validate`.

    Returns
    -------
    Head
        The same for the same input.
    """
    features, labels = _checked(features, labels, groups, n_classes=n_classes)
    return _fit(
        features,
        labels,
        np.asarray(groups),
        n_classes=n_classes,
        protocol=protocol,
        copies=copies,
        fold=0,
        on_epoch=None,
        should_stop=should_stop,
    )


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
        raise ValueError("There are no labelled items to train on.")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"Labels must lie between 0 and {n_classes - 1}.")
    if len(np.unique(labels)) < 2:
        raise ValueError("All items have the same label; training needs at least two classes.")
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        raise ValueError(f"Features of {len(broken)} items are no numbers, first item {broken[0]}.")
    return features, labels


def _fit(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    n_classes: int,
    protocol: Protocol,
    copies: np.ndarray | None,
    fold: int,
    on_epoch: Callable[[EpochReport], None] | None,
    should_stop: Callable[[], bool] | None,
    success_of: SuccessOf | None = None,
) -> Head:
    """Find on held-out groups how long to train, then train on everything for so long."""
    if should_stop is not None and should_stop():
        raise Cancelled
    rng = np.random.default_rng((protocol.seed, fold))
    held_out = _held_out(labels, groups, rng=rng)
    if copies is not None:
        features, labels = np.concatenate([features, copies]), np.tile(labels, 2)
    trainer = trainer_for(features.shape[1], n_classes, protocol.hidden)
    standard, centre, spread = standardised(features)
    weights = _item_weights(labels, n_classes=n_classes, balanced=protocol.class_weights)
    epochs, calibration = protocol.epochs, Calibration()
    if held_out is not None:
        epochs, calibration = _best_length(
            trainer,
            (standard, labels, weights),
            kept=np.flatnonzero(np.resize(~held_out, len(labels))),
            unseen=np.flatnonzero(held_out),
            protocol=protocol,
            fold=fold,
            rng=rng,
            success_of=success_of,
            on_epoch=on_epoch,
            should_stop=should_stop,
        )
        on_epoch = None  # the curve that shows both losses is the one to look at
    trainer.restart(rng)
    for epoch in range(epochs):
        loss, accuracy = trainer.pass_over(
            (standard, labels, weights),
            among=np.arange(len(labels)),
            protocol=protocol,
            rng=rng,
            should_stop=should_stop,
        )
        if on_epoch is not None:
            on_epoch(EpochReport(fold, epoch, loss, accuracy, None, None))
    return Head(trainer.layers(), centre, spread, epochs, calibration)


def _item_weights(labels: np.ndarray, *, n_classes: int, balanced: bool) -> np.ndarray:
    """Return weights of mean 1 that give every class present the same total."""
    if not balanced:
        return np.ones(len(labels), dtype=np.float32)
    counts = np.bincount(labels, minlength=n_classes)
    present = np.count_nonzero(counts)
    return (len(labels) / (present * counts[labels])).astype(np.float32)


def _held_out(
    labels: np.ndarray, groups: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray | None:
    """Mark whole groups to decide on when to stop; None where that leaves too little."""
    if len(labels) < FEWEST_ITEMS_TO_HOLD_OUT or len(np.unique(groups)) < 2:
        return None
    held_out = grouped_folds(labels, groups, n_folds=INNER_PARTS, rng=rng) == 0
    return held_out if len(np.unique(labels[~held_out])) > 1 else None


def _best_length(
    trainer: Trainer,
    material: Material,
    *,
    kept: np.ndarray,
    unseen: np.ndarray,
    protocol: Protocol,
    fold: int,
    rng: np.random.Generator,
    success_of: SuccessOf | None,
    on_epoch: Callable[[EpochReport], None] | None,
    should_stop: Callable[[], bool] | None,
) -> tuple[int, Calibration]:
    """Return after how many epochs the loss on held-out items was lowest, and what suits them."""
    features, labels, weights = material
    asked, answers, importance = features[unseen], labels[unseen], weights[unseen]
    steps = steps_an_epoch(len(kept), batch=protocol.batch)
    patience = min(protocol.patience, -(-PATIENT_STEPS // steps))
    trainer.restart(rng)
    lowest, best, scores_then = np.inf, 1, np.empty(0)
    for epoch in range(protocol.epochs):
        loss, accuracy = trainer.pass_over(
            material,
            among=kept,
            protocol=protocol,
            rng=rng,
            should_stop=should_stop,
        )
        scores = scores_of(asked, trainer.layers())
        probabilities = softmax(scores)
        surprise = -np.log(probabilities[np.arange(len(answers)), answers] + 1e-12)
        val_loss = float((surprise * importance).sum() / importance.sum())
        val_accuracy = float((probabilities.argmax(axis=1) == answers).mean())
        if on_epoch is not None:
            chosen = None if success_of is None else success_of(answers, probabilities)
            on_epoch(EpochReport(fold, epoch, loss, accuracy, val_loss, val_accuracy, chosen))
        if val_loss < lowest:
            lowest, best, scores_then = val_loss, epoch + 1, scores
        elif epoch + 1 - best >= patience:
            break
    return best, fit_calibration(scores_then, answers)
