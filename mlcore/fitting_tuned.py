"""Fit one tuned head: from a linear one on, calibrated by held-out groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from mlcore.calibration import Calibration, fit_calibration
from mlcore.fitting import (
    EpochReport,
    SuccessOf,
    fit_frozen,
    held_out_of,
    item_weights,
    judged,
)
from mlcore.protocols import Protocol
from mlcore.tuning import EPOCHS, Batches, Maps, TunedHead, Tuner


def fit_tuned(
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
    weights = item_weights(labels, n_classes=n_classes, balanced=protocol.class_weights)
    held_out = held_out_of(labels, groups, rng=np.random.default_rng((protocol.seed, fold)))

    def passes(among: np.ndarray) -> Iterator[tuple[int, float, float]]:
        [linear] = fit_frozen(
            features,
            labels,
            groups,
            parts=[among],
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
                found = judged(tuner.scores(rows), answers, importance, success_of=success_of)
                on_epoch(EpochReport(fold, epoch, loss, accuracy, *found))
        calibration = fit_calibration(tuner.scores(rows), answers)
        on_epoch = None  # the curve that shows both losses is the one to look at
    for epoch, loss, accuracy in passes(np.arange(len(labels))):
        if on_epoch is not None:
            on_epoch(EpochReport(fold, epoch, loss, accuracy, None, None))
    return TunedHead(tuner.weights(), maps.side, EPOCHS, calibration)


def _passes(
    tuner: Tuner,
    material: Batches,
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
