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

POWERS = (1.0, 1.5, 2.5)
"""Exponents tried where probabilities are given: one root and products, a tenth of the price of
any other. None below 1, for wrong labels make probabilities look surer than they should be."""

POWER_ROWS = 1_000
"""Items, evenly spaced, that such an exponent is fitted on."""

LEAST_GAIN = 2.0
"""Log likelihood that a larger exponent has to add: twice it is beyond chance at 5 %."""

FAR_FROM_1 = 0.1
"""How far the sum of a row may be from 1: probabilities are rounded, by some to two places."""

LEAST_PROBABILITY = 1e-12
"""Smaller probabilities are taken as this; no model can know better."""


class Given:
    """Probabilities as they were given, a block at a time; one block holds until the next.

    A model may be surer than it says. Where even the given labels, the wrong ones among them, are
    likelier under a power of the probabilities, that power weighs one class against another.
    """

    def __init__(self, labels: np.ndarray, probabilities: np.ndarray, rows: int) -> None:
        self.probabilities = probabilities
        is_file = isinstance(probabilities, np.memmap) and isinstance(probabilities.base, mmap.mmap)
        self.is_read = is_file and probabilities.flags.c_contiguous
        if self.is_read:
            shape = (min(rows, len(self)), probabilities.shape[1])
            self.place = np.empty(shape, probabilities.dtype)
        self.power = self._fitted(labels, rows)
        self.raised = np.empty((min(rows, len(self)), probabilities.shape[1]), np.float32)

    def __len__(self) -> int:
        return len(self.probabilities)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return beliefs of some rows, float32."""
        if self.is_read:
            return np.asarray(self._read(start, stop), np.float32)
        return np.asarray(self.probabilities[start:stop], np.float32)

    def odds(self, start: int, stop: int) -> np.ndarray:
        """Return what weighs the classes of some rows against each other, float32."""
        belief = self.block(start, stop)
        return _raised(belief, self.power, out=self.raised[: len(belief)])

    def _fitted(self, labels: np.ndarray, block_rows: int) -> float:
        """Return the power that makes the given labels likeliest."""
        known = np.flatnonzero(labels >= 0)
        chosen = known[:: max(1, -(-len(known) // POWER_ROWS))]
        found = np.zeros(len(POWERS))
        for at in range(0, len(chosen), block_rows):
            rows = chosen[at : at + block_rows]
            told = self._picked(rows)
            _check_sums(told, rows)
            for place, power in enumerate(POWERS):
                weights = _raised(told, power)
                given = weights[np.arange(len(rows)), labels[rows]]
                share = given / np.maximum(weights.sum(axis=1), np.finfo(np.float32).tiny)
                least = np.maximum(share, np.float32(LEAST_PROBABILITY))
                found[place] += np.log(least).sum(dtype=np.float64)
        best = int(found.argmax())
        return POWERS[best] if found[best] >= found[0] + LEAST_GAIN else POWERS[0]

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Read rows of a memory map's file into one place that stays in the processor's cache.

        Mapped pages cost twice as much, and pile up in this process's memory.
        """
        found = self.place[: stop - start]
        with io.FileIO(str(self._mapped.filename)) as file:
            self._fill(file, start, found)
        return found

    def _picked(self, rows: np.ndarray) -> np.ndarray:
        """Return single rows, float32; of a memory map's file without mapping their pages."""
        if not self.is_read:
            return np.asarray(self.probabilities[rows], np.float32)
        found = np.empty((len(rows), *self.place.shape[1:]), self.place.dtype)
        with io.FileIO(str(self._mapped.filename)) as file:
            for place, row in enumerate(rows.tolist()):
                self._fill(file, row, found[place : place + 1])
        return np.asarray(found, np.float32)

    def _fill(self, file: io.FileIO, start: int, found: np.ndarray) -> None:
        file.seek(self._mapped.offset + start * self._mapped.strides[0])
        if file.readinto(found.data) != found.nbytes:
            raise ValueError(f"{self._mapped.filename} is shorter than when it was opened")

    @property
    def _mapped(self) -> np.memmap:
        assert isinstance(self.probabilities, np.memmap)
        return self.probabilities


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

    odds = block

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


def _raised(values: np.ndarray, power: float, out: np.ndarray | None = None) -> np.ndarray:
    """Return the values to one of `POWERS`; NaN below 0."""
    if power == 1.0:
        return values
    with np.errstate(invalid="ignore"):
        found = np.sqrt(values, out=out)
    for _ in range(int(power)):
        found *= values
    return found


def _check_sums(told: np.ndarray, rows: np.ndarray) -> None:
    """Refuse what does not sum to 1: scores, counts, or several classes at once."""
    totals = told.sum(axis=1)
    fits = (abs(totals - 1.0) <= FAR_FROM_1) & (told.min(axis=1) >= 0)
    if not fits.all():
        row = int(fits.argmin())
        raise ValueError(
            f"probabilities must be from 0 to 1 and sum to 1 in each row; row {rows[row]} sums "
            f"to {totals[row]:g} and its least is {told[row].min():g}"
        )
