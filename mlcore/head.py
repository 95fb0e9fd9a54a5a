"""A trained head: what it needs to predict, and the file that it is kept in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

from mlcore.calibration import Calibration
from mlcore.steps import ROWS_A_CALL

SMALLEST_SPREAD = 1e-6
"""Standard deviation below which a feature counts as constant and is not enlarged."""


@dataclass(frozen=True)
class Head:
    """A trained softmax layer over standardised features; needs no TensorFlow to predict."""

    weights: np.ndarray
    bias: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    epochs: int
    calibration: Calibration = field(default_factory=Calibration)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return what goes into the softmax, float32 (n_items, n_classes)."""
        standard = (np.asarray(features, dtype=np.float32) - self.centre) / self.spread
        return np.asarray(standard @ self.weights + self.bias)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return class probabilities, float32 (n_items, n_classes); rows sum to 1."""
        return self.calibration.probabilities(self.scores(features))

    def save(self, path: Path) -> None:
        """Write the head to one .npz file."""
        with path.open("wb") as file:
            np.savez(
                file,
                weights=self.weights,
                bias=self.bias,
                centre=self.centre,
                spread=self.spread,
                epochs=self.epochs,
                **asdict(self.calibration),
            )

    @classmethod
    def load(cls, path: Path) -> Head:
        """Read a head that `save` wrote."""
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in ("weights", "bias", "centre", "spread")}
            known = [one.name for one in fields(Calibration) if one.name in held]
            calibration = Calibration(**{name: float(held[name]) for name in known})
            return cls(**arrays, epochs=int(held["epochs"]), calibration=calibration)


def standardised(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features of mean 0 and deviation 1 with what was their centre and spread."""
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    standard = features - centre
    squares = np.zeros(features.shape[1])
    for start in range(0, len(standard), ROWS_A_CALL):  # of all at once in float64: 4 times slower
        squares += np.square(standard[start : start + ROWS_A_CALL], dtype=np.float64).sum(axis=0)
    spread = np.sqrt(squares / len(standard)).astype(np.float32)
    spread = np.where(spread < SMALLEST_SPREAD, np.float32(1), spread)
    standard /= spread
    return standard, centre, spread
