"""A trained head: what it needs to predict, and the file that it is kept in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.calibration import Calibration

ROWS_AT_ONCE = 2048
Layers = tuple[tuple[np.ndarray, np.ndarray], ...]
"""Kernel (n_in, n_out) and bias (n_out,) of each layer; a ReLU follows all but the last."""
SMALLEST_SPREAD = 1e-6
"""Standard deviation, of the size of the mean where that is larger, below which a feature counts
as constant and is not enlarged: float32 tells no less."""
_NAMES, _HIDDEN_NAMES = ("weights", "bias"), ("hidden_weights", "hidden_bias")


@dataclass(frozen=True)
class Head:
    """Trained layers over standardised features; needs no TensorFlow to predict."""

    layers: Layers
    centre: np.ndarray
    spread: np.ndarray
    epochs: int
    calibration: Calibration = field(default_factory=Calibration)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return what goes into the softmax, float32 (n_items, n_classes)."""
        standard = (np.asarray(features, dtype=np.float32) - self.centre) / self.spread
        return scores_of(standard, self.layers)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return class probabilities, float32 (n_items, n_classes); rows sum to 1."""
        return self.calibration.probabilities(self.scores(features))

    def save(self, path: Path) -> None:
        """Write the head to one .npz file."""
        arrays: dict[str, Any] = {"centre": self.centre, "spread": self.spread}
        for names, layer in zip((_NAMES, _HIDDEN_NAMES), reversed(self.layers), strict=False):
            arrays |= zip(names, layer, strict=True)
        with path.open("wb") as file:
            np.savez(file, **arrays, epochs=self.epochs, **asdict(self.calibration))

    @classmethod
    def load(cls, path: Path) -> Head:
        """Read a head that `save` wrote."""
        with np.load(path, allow_pickle=False) as held:
            pairs = (_HIDDEN_NAMES, _NAMES) if _HIDDEN_NAMES[0] in held else (_NAMES,)
            layers = tuple((held[kernel], held[bias]) for kernel, bias in pairs)
            known = [one.name for one in fields(Calibration) if one.name in held]
            calibration = Calibration(**{name: float(held[name]) for name in known})
            epochs = int(held["epochs"])
            return cls(layers, held["centre"], held["spread"], epochs, calibration)


def scores_of(standard: np.ndarray, layers: Layers) -> np.ndarray:
    """Return what layers make of standardised features, (n_items, n_classes)."""
    *hidden, (kernel, bias) = layers
    for inner, shift in hidden:
        standard = np.maximum(standard @ inner + shift, 0)
    return np.asarray(standard @ kernel + bias)


def standards_of(features: np.ndarray, seen: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre and the spread of the features among each of several lots of items.

    Parameters
    ----------
    features : float32 ndarray of shape (n_items, n_features)
    seen : sequence of int ndarray
        Numbers of the items of each lot; they may overlap.

    Returns
    -------
    centre, spread : float32 ndarray of shape (n_lots, n_features)
        The mean, and the standard deviation, 1 where the feature is constant.
    """
    is_of = np.zeros((len(seen), len(features)))
    for lot, rows in enumerate(seen):
        is_of[lot, rows] = 1
    sums, squares = np.zeros((2, len(seen), features.shape[1]))
    for start in range(0, len(features), ROWS_AT_ONCE):
        part = features[start : start + ROWS_AT_ONCE].astype(np.float64)
        of = is_of[:, start : start + ROWS_AT_ONCE]
        sums += of @ part
        squares += of @ np.square(part)
    n = is_of.sum(axis=1, keepdims=True)
    centre = sums / n
    spread = np.sqrt(np.maximum(squares / n - centre**2, 0))
    is_constant = spread < SMALLEST_SPREAD * np.maximum(np.abs(centre), 1)
    return centre.astype(np.float32), np.where(is_constant, 1, spread).astype(np.float32)
