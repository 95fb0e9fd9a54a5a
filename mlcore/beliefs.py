"""Which class each item shows, as a model and its neighbours believe, a block at a time."""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable

import numpy as np

from mlcore.neighbours import NeighbourGraph

VOTE_PRIOR = 1.0
"""Weight of the class shares in a neighbours' vote, in neighbours."""

SHARPNESS_STEPS = np.geomspace(0.4, 3.0, 15)
"""Exponents tried when beliefs are fitted to the given labels (temperatures)."""

SHARPNESS_ROWS = 5_000
"""Items that an exponent is fitted on, evenly spaced."""

LEAST_PROBABILITY = 1e-12
"""Smaller probabilities are taken as this; no model can know better."""


class Given:
    """Probabilities as they were given, a block at a time; one block holds until the next."""

    def __init__(self, probabilities: np.ndarray, rows: int) -> None:
        self.probabilities = probabilities
        is_file = isinstance(probabilities, np.memmap) and isinstance(probabilities.base, mmap.mmap)
        self.is_read = is_file and probabilities.flags.c_contiguous
        if self.is_read:
            shape = (min(rows, len(self)), probabilities.shape[1])
            self.place = np.empty(shape, probabilities.dtype)

    def __len__(self) -> int:
        return len(self.probabilities)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return beliefs of some rows, float32."""
        if self.is_read:
            return np.asarray(self._read(start, stop), np.float32)
        return np.asarray(self.probabilities[start:stop], np.float32)

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Read rows of a memory map's file into one place that stays in the processor's cache.

        Mapped pages cost twice as much, and pile up in this process's memory.
        """
        given = self.probabilities
        assert isinstance(given, np.memmap)
        found = self.place[: stop - start]
        with io.FileIO(str(given.filename)) as file:
            file.seek(given.offset + start * given.strides[0])
            if file.readinto(found.data) != found.nbytes:
                raise ValueError(f"{given.filename} is shorter than when it was opened")
        return found


class Joined:
    """Beliefs from model and neighbours, a block at a time."""

    def __init__(
        self,
        labels: np.ndarray,
        probabilities: np.ndarray | None,
        neighbours: NeighbourGraph | None,
        n_classes: int,
        rows: int,
    ) -> None:
        assert neighbours is not None
        self.labels = labels
        self.probabilities = probabilities
        self.neighbours = neighbours
        self.n_classes = n_classes
        counts = np.bincount(labels[labels >= 0], minlength=n_classes).astype(np.float64)
        self.prior = (counts + 1.0 / n_classes) / (counts.sum() + 1.0)
        self.model_sharpness = self.vote_sharpness = self.sharpness = 1.0
        self._fit(rows)

    def __len__(self) -> int:
        return len(self.labels)

    def _fit(self, block_rows: int) -> None:
        """Fit one temperature to the model, one to the votes and one to both together."""
        known = np.flatnonzero(self.labels >= 0)
        if not len(known):
            return
        chosen = known[:: max(1, -(-len(known) // SHARPNESS_ROWS))]
        parts = [chosen[at : at + block_rows] for at in range(0, len(chosen), block_rows)]
        if self.probabilities is not None:
            self.model_sharpness = self._best_sharpness(parts, self._log_model)
            self.vote_sharpness = self._best_sharpness(parts, self._log_votes)
        self.sharpness = self._best_sharpness(parts, self._log_joined)

    def _best_sharpness(
        self, parts: list[np.ndarray], log_beliefs: Callable[[np.ndarray], np.ndarray]
    ) -> float:
        """Return the exponent under which the given labels are least surprising."""
        losses = np.zeros(len(SHARPNESS_STEPS))
        for rows in parts:
            log = log_beliefs(rows)
            log = log - log.max(axis=1, keepdims=True)
            given = log[np.arange(len(rows)), self.labels[rows]]
            for place, step in enumerate(SHARPNESS_STEPS.astype(np.float32)):
                totals = np.log(np.exp(step * log).sum(axis=1))
                losses[place] += float((totals - step * given).sum(dtype=np.float64))
        return float(SHARPNESS_STEPS[int(np.argmin(losses))])

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return beliefs of some rows, float32; each row sums to 1."""
        log = np.float32(self.sharpness) * self._log_joined(np.arange(start, stop))
        belief = np.exp(log - log.max(axis=1, keepdims=True))
        return np.asarray(belief / belief.sum(axis=1, keepdims=True))

    def _log_joined(self, rows: np.ndarray) -> np.ndarray:
        votes = np.float32(self.vote_sharpness) * self._log_votes(rows)
        if self.probabilities is None:
            return votes
        model = np.float32(self.model_sharpness) * self._log_model(rows)
        return np.asarray((_normalised(model) + _normalised(votes)) / 2)

    def _log_model(self, rows: np.ndarray) -> np.ndarray:
        assert self.probabilities is not None
        given = np.asarray(self.probabilities[rows], np.float32)
        return np.log(np.maximum(given, np.float32(LEAST_PROBABILITY)))

    def _log_votes(self, rows: np.ndarray) -> np.ndarray:
        """Return the logarithm of each class's share among the neighbours' labels."""
        near = self.labels[self.neighbours.indices[rows]]
        cell = np.arange(len(rows))[:, None] * self.n_classes + near
        votes = np.bincount(cell[near >= 0], minlength=len(rows) * self.n_classes)
        counted = votes.reshape(len(rows), self.n_classes) + VOTE_PRIOR * self.prior
        counted /= counted.sum(axis=1, keepdims=True)
        return np.log(np.asarray(counted, np.float32))


def _normalised(log: np.ndarray) -> np.ndarray:
    log = log - log.max(axis=1, keepdims=True)
    return np.asarray(log - np.log(np.exp(log).sum(axis=1, keepdims=True)))
