"""Fit one head: find on held-out groups how long, then learn everything for so long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlcore.calibration import Calibration, fit_calibration, softmax
from mlcore.folds import grouped_folds
from mlcore.head import Head, scores_of, standardised
from mlcore.protocols import Protocol
from mlcore.steps import Cancelled, Material, Trainer, steps_an_epoch, trainer_for
from mlcore.tuning import EPOCHS, Maps, TunedHead, Tuner

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


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    protocol: Protocol,
    copies: np.ndarray | None,
    maps: Maps | None,
    **more: Any,
) -> Head | TunedHead:
    """Return a head that learned these items under the protocol; see `mlcore.training`."""
    if not protocol.tuned:
        return _fit_frozen(features, labels, groups, protocol=protocol, copies=copies, **more)
    if maps is None:
        raise ValueError("Fine-tuning needs the maps of the items.")
    return _fit_tuned(features, labels, groups, maps=maps, protocol=protocol, **more)


def _fit_tuned(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    n_classes: int,
    protocol: Protocol,
    maps: Maps,
    fold: int,
    on_epoch: Callable[[EpochReport], None] | None,
    should_stop: Callable[[], bool] | None,
    success_of: SuccessOf | None = None,
) -> TunedHead:
    """Tune the top layers, from a linear head on; calibrate by held-out groups."""
    tuner = maps.tuner(n_classes)
    weights = _item_weights(labels, n_classes=n_classes, balanced=protocol.class_weights)
    held_out = _held_out(labels, groups, rng=np.random.default_rng((protocol.seed, fold)))

    def passes(among: np.ndarray) -> Iterator[tuple[int, float, float]]:
        linear = _fit_frozen(
            features[among],
            labels[among],
            groups[among],
            n_classes=n_classes,
            protocol=replace(protocol, hidden=0, dropout=0.0),
            copies=None,
            fold=fold,
            on_epoch=None,
            should_stop=should_stop,
        )
        tuner.restart(maps.trained, linear)
        material, seed = (maps.rows, labels, weights), (protocol.seed, fold)
        return _passes(tuner, material, among=among, seed=seed, should_stop=should_stop)

    calibration = Calibration()
    if held_out is not None:
        rows, answers, importance = maps.rows[held_out], labels[held_out], weights[held_out]
        for epoch, loss, accuracy in passes(np.flatnonzero(~held_out)):
            if on_epoch is not None:
                judged = _judged(tuner.scores(rows), answers, importance, success_of=success_of)
                on_epoch(EpochReport(fold, epoch, loss, accuracy, *judged))
        calibration = fit_calibration(tuner.scores(rows), answers)
        on_epoch = None  # the curve that shows both losses is the one to look at
    for epoch, loss, accuracy in passes(np.arange(len(labels))):
        if on_epoch is not None:
            on_epoch(EpochReport(fold, epoch, loss, accuracy, None, None))
    return TunedHead(tuner.weights(), maps.side, EPOCHS, calibration)


def _passes(
    tuner: Tuner,
    material: Material,
    *,
    among: np.ndarray,
    seed: tuple[int, int],
    should_stop: Callable[[], bool] | None,
) -> Iterator[tuple[int, float, float]]:
    """Learn the rows `among` from where the tuner stands; tell each pass, its loss, accuracy."""
    for epoch in range(EPOCHS):
        rng = np.random.default_rng((*seed, epoch))
        loss, accuracy = tuner.pass_over(
            material, among=among, epoch=epoch, rng=rng, should_stop=should_stop
        )
        yield epoch, loss, accuracy


def _judged(
    scores: np.ndarray,
    answers: np.ndarray,
    importance: np.ndarray,
    *,
    success_of: SuccessOf | None,
) -> tuple[float, float, float | None]:
    """Return loss, accuracy and success on held-out items."""
    told = softmax(scores)
    surprise = -np.log(told[np.arange(len(answers)), answers] + 1e-12)
    return (
        float((surprise * importance).sum() / importance.sum()),
        float((told.argmax(axis=1) == answers).mean()),
        None if success_of is None else success_of(answers, told),
    )


def _fit_frozen(
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
        judged = _judged(scores, answers, importance, success_of=success_of)
        if on_epoch is not None:
            on_epoch(EpochReport(fold, epoch, loss, accuracy, *judged))
        if judged[0] < lowest:
            lowest, best, scores_then = judged[0], epoch + 1, scores
        elif epoch + 1 - best >= patience:
            break
    return best, fit_calibration(scores_then, answers)
