"""A trained head: what it needs to predict, and the file that it is kept in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.calibration import Calibration

ROWS_AT_ONCE = 2048
Layers = tuple[tuple[np.ndarray, np.ndarray], ...]
"""Kernel (n_in, n_out) and bias (n_out,) of each layer; a ReLU follows all but the last."""
SMALLEST_SPREAD = 1e-6
"""Standard deviation below which a feature counts as constant and is not enlarged."""
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


def standardised(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features of mean 0 and deviation 1 with what was their centre and spread."""
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    standard = features - centre
    squares = np.zeros(features.shape[1])
    for start in range(0, len(standard), ROWS_AT_ONCE):  # of all at once in float64: 4 times slower
        squares += np.square(standard[start : start + ROWS_AT_ONCE], dtype=np.float64).sum(axis=0)
    spread = np.sqrt(squares / len(standard)).astype(np.float32)
    spread = np.where(spread < SMALLEST_SPREAD, np.float32(1), spread)
    standard /= spread
    return standard, centre, spread
