"""Write a trained head as a Keras file that needs nothing of ours to load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlcore.backend import load_tensorflow
from mlcore.head import Head


def as_keras(head: Head) -> Any:
    """Return a Keras model that predicts what the head predicts.

    Parameters
    ----------
    head : Head

    Returns
    -------
    keras.Model
        Takes float32 (n_items, n_features), not standardised; gives (n_items, n_classes), rows
        sum to 1. Only layers of Keras: no custom object is needed to load it.
    """
    load_tensorflow()
    import keras

    *hidden, (kernel, bias) = head.layers
    n_classes = len(bias)
    inner = [
        keras.layers.Dense(len(shift), activation="relu", name="hidden") for _, shift in hidden
    ]
    dense = keras.layers.Dense(n_classes, activation="softmax", name="classes")
    variance = np.square(head.spread.astype(np.float64)).astype(np.float32)
    standardise = keras.layers.Normalization(mean=head.centre, variance=variance, name="standard")
    doubt = head.calibration.doubt
    calibrate = keras.layers.Rescaling(1 - doubt, offset=doubt / n_classes, name="calibrate")
    vector = keras.Input((len(head.centre),), name="vector")
    model = keras.Sequential([vector, standardise, *inner, dense, calibrate])
    warmth = np.float32(head.calibration.temperature)
    for layer, weights in zip(inner, hidden, strict=True):
        layer.set_weights(weights)
    dense.set_weights([kernel / warmth, bias / warmth])
    return model


def save_keras(head: Head, path: Path) -> None:
    """Write the head as a `.keras` file."""
    as_keras(head).save(path)
