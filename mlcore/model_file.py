"""Write a trained head as a Keras file that needs nothing of ours to load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlcore.backend import load_tensorflow
from mlcore.head import Head
from mlcore.tuning import TunedHead, classifier


def as_keras(head: Head | TunedHead) -> Any:
    """Return a Keras model that predicts what the head predicts.

    Parameters
    ----------
    head : Head or TunedHead

    Returns
    -------
    keras.Model
        Takes float32 (n_items, n_features), not standardised, or the maps that a tuned head
        begins at; gives (n_items, n_classes), rows sum to 1. Only layers of
        Keras: no custom object is needed to load it.
    """
    load_tensorflow()
    import keras

    if isinstance(head, TunedHead):
        return _tuned(head)
    *hidden, (kernel, bias) = head.layers
    n_classes = len(bias)
    inner = [
        keras.layers.Dense(len(shift), activation="relu", name="hidden") for _, shift in hidden
    ]
    dense = keras.layers.Dense(n_classes, activation="softmax", name="classes")
    variance = np.square(head.spread.astype(np.float64)).astype(np.float32)
    standardise = keras.layers.Normalization(mean=head.centre, variance=variance, name="standard")
    calibrate = _doubting(head.calibration.doubt, n_classes)
    vector = keras.Input((len(head.centre),), name="vector")
    model = keras.Sequential([vector, standardise, *inner, dense, calibrate])
    warmth = np.float32(head.calibration.temperature)
    for layer, weights in zip(inner, hidden, strict=True):
        layer.set_weights(weights)
    dense.set_weights([kernel / warmth, bias / warmth])
    return model


def _doubting(doubt: float, n_classes: int) -> Any:
    import keras

    return keras.layers.Rescaling(1 - doubt, offset=doubt / n_classes, name="calibrate")


def _tuned(head: TunedHead) -> Any:
    import keras

    *layers, kernel, bias = head.weights
    warmth = np.float32(head.calibration.temperature)
    model = classifier(head.side, len(bias))
    model.set_weights([*layers, kernel / warmth, bias / warmth])
    sure = keras.layers.Softmax(name="probabilities")(model.output)
    return keras.Model(model.input, _doubting(head.calibration.doubt, len(bias))(sure))


def save_keras(head: Head | TunedHead, path: Path) -> None:
    """Write the head as a `.keras` file."""
    as_keras(head).save(path)
