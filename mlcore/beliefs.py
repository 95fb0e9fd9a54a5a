"""Which class each item shows, as a model and its neighbours believe, a block at a time."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Callable, Iterator

import numpy as np

from mlcore.neighbours import NeighbourGraph

VOTE_PRIOR = 10.0
"""Weight of the class shares in a neighbours' vote, in neighbours. With 1, as long as likeness
tells little, no vote at all for a class says too much against it: 1.5 % of CIFAR-10 with its true
labels are marked by 20 neighbours, with 4 to 16 at most .2 %, and none of seven sets is ranked
worse by model and neighbours by more than .01 (average precision)."""

DOUBTS = np.array([0.0, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4])
"""Shares of labels drawn at random that are tried, so that wrong labels do not look
like a model that is too sure."""

SHARPNESS_STEPS = np.geomspace(0.4, 3.0, 15)
"""Exponents tried when beliefs are fitted to the given labels (temperatures)."""

SHARPNESS_ROWS = 5_000
"""Items that an exponent is fitted on, evenly spaced."""

POWERS = (1.0, 1.25, 1.5, 2.5, 0.5, 0.25, 0.125, 0.0625)
"""Exponents tried where probabilities are given: roots and products, a fifth of the price of any
other. Wrong labels make probabilities look surer than they should be: one below 1 is taken only
where the given labels are likelier so even if some of them were drawn at random."""

POWER_ROWS = 1_000
"""Items, evenly spaced, that such an exponent is fitted on."""

FAR_FROM_1 = 0.1
"""How far the sum of a row may be from 1: probabilities are rounded, by some to two places, which
takes up to .1 from a row of some dozens of classes."""

FEW_CLASSES = 32
"""Up to here the largest belief is found class by class over all items: a third of the time."""

LEAST_PROBABILITY = 1e-12
"""Smaller probabilities are taken as this; no model can know better."""

BLOCKS_HELD = 16
"""Blocks of a memory map after which its pages are let go: 4 MB."""

ROWS_HELD = 64
"""The same of single rows, each of which brings its neighbours in: 64 KB (Linux's fault-around)."""


Block = tuple[int, int, np.ndarray]
"""First row, the one after the last, and what is believed of these, float32."""


class Given:
    """Probabilities as they were given, a block at a time; one block holds until the next.

    A model may know more than it says, or less, or not how common the classes are. Where the
    given labels, with the wrong ones among them, are likelier under a power of the probabilities,
    or under these times the classes' shares or their roots, that weighs one class against another.

    Attributes
    ----------
    power : float
        One of `POWERS`.
    sizes : float32 ndarray of shape (n_classes,)
        The classes' shares, or their roots where many of a rare class's labels are wrong; the
        largest is 1, and all are where the probabilities know them.
    """

    def __init__(self, labels: np.ndarray, probabilities: np.ndarray, rows: int) -> None:
        self.probabilities = probabilities
        self.mapping = _mapping(probabilities)
        self.rows = rows
        self.power, self.sizes = self._fitted(labels, rows)
        self.raised = np.empty((min(rows, len(self)), probabilities.shape[1]), np.float32)

    def __len__(self) -> int:
        return len(self.probabilities)

    def blocks(self) -> Iterator[Block]:
        """Yield what ranks the classes of some rows as `odds` times `sizes` does."""
        if (self.sizes == 1.0).all():
            yield from self._stored()
            return
        # Those of a rare class to a 16th power would vanish; a root of all is dearer than of sizes.
        is_soft = self.power < 1.0
        sizes = self.sizes if is_soft else self.sizes ** np.float32(1.0 / self.power)
        for start, stop, belief in self.odds() if is_soft else self._stored():
            if len(sizes) <= FEW_CLASSES:  # class by class, as they are then looked at
                yield start, stop, np.multiply(belief.T, sizes[:, None], order="C").T
            else:
                yield start, stop, np.multiply(belief, sizes, out=self.raised[: len(belief)])

    def odds(self) -> Iterator[Block]:
        """Yield what weighs the classes of some rows, but for `sizes`."""
        for start, stop, belief in self._stored():
            yield start, stop, _raised(belief, self.power, out=self.raised[: len(belief)])

    def _stored(self) -> Iterator[Block]:
        """Yield what was given."""
        for place, (start, stop) in enumerate(parts(len(self), self.rows), start=1):
            self._check_length()
            yield start, stop, np.asarray(self.probabilities[start:stop], np.float32)
            if place % BLOCKS_HELD == 0:
                self._let_go()
        self._let_go()

    def _fitted(self, labels: np.ndarray, block_rows: int) -> tuple[float, np.ndarray]:
        """Return power and sizes under which the given labels are likeliest."""
        known = np.flatnonzero(labels >= 0)
        chosen = known[:: max(1, -(-len(known) // POWER_ROWS))]
        alike = np.ones(self.probabilities.shape[1], np.float32)
        counts = np.bincount(labels[known], minlength=len(alike)) + 1.0 / len(alike)
        shares = (counts / counts.max()).astype(np.float32)
        ways = list(itertools.product(POWERS, (alike, np.sqrt(shares), shares)))
        found = np.zeros((len(ways), len(DOUBTS)))
        for at in range(0, len(chosen), block_rows):
            rows = chosen[at : at + block_rows]
            told = self._picked(rows)
            _check_sums(told, rows)
            by_chance = (counts / counts.sum())[labels[rows]]
            for place, power in enumerate(POWERS):
                odds = _raised(told, power)
                for kind, sizes in enumerate((alike, np.sqrt(shares), shares)):
                    share = _share_of_given(odds, sizes, labels[rows])
                    found[3 * place + kind] += _log_likelihoods(share, by_chance)
        # Each departure from what was given costs what an estimate does (Schwarz 1978).
        cost = 0.5 * np.log(max(2, len(chosen)))
        found -= [[cost * ((power != 1.0) + (sizes is not alike))] for power, sizes in ways]
        if (softer := ways[int(found.max(axis=1).argmax())])[0] < 1.0:
            return softer
        sure = [place for place, (power, _) in enumerate(ways) if power >= 1.0]
        return ways[max(sure, key=lambda place: found[place, 0])]

    def _picked(self, rows: np.ndarray) -> np.ndarray:
        """Return single rows, float32."""
        found = np.empty((len(rows), self.probabilities.shape[1]), np.float32)
        for start, stop in parts(len(rows), ROWS_HELD):
            self._check_length()
            found[start:stop] = self.probabilities[rows[start:stop]]
            self._let_go()
        return found

    def _check_length(self) -> None:
        """Refuse a memory map whose file was cut short since: reading on would end the process."""
        if self.mapping is None:
            return
        assert isinstance(self.probabilities, np.memmap)
        begins = (self.probabilities.offset or 0) // mmap.ALLOCATIONGRANULARITY
        if self.mapping.size() < begins * mmap.ALLOCATIONGRANULARITY + len(self.mapping):
            raise ValueError("the file of the memory map is shorter than when it was opened")

    def _let_go(self) -> None:
        """Take a memory map's pages out of this process, else all of them pile up in its memory.

        Reading the file by its name costs as much, and another may bear that name by now.
        """
        if self.mapping is not None and getattr(self.probabilities, "mode", "c") != "c":
            self.mapping.madvise(mmap.MADV_DONTNEED)  # changes of mode "c" stand there alone


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
        self.rows = rows
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

    def blocks(self) -> Iterator[Block]:
        """Yield beliefs of some rows; each row sums to 1."""
        for start, stop in parts(len(self), self.rows):
            log = np.float32(self.sharpness) * self._log_joined(np.arange(start, stop))
            belief = np.exp(log - log.max(axis=1, keepdims=True))
            yield start, stop, np.asarray(belief / belief.sum(axis=1, keepdims=True))

    odds = blocks

    @property
    def sizes(self) -> np.ndarray:
        return np.ones(self.n_classes, np.float32)

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


def parts(n_items: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield where each block begins and ends."""
    for start in range(0, n_items, rows):
        yield start, min(start + rows, n_items)


def _mapping(values: np.ndarray) -> mmap.mmap | None:
    """Return what a memory map, or a view of one, reads from."""
    base: object = values if isinstance(values, np.memmap) else None
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def _normalised(log: np.ndarray) -> np.ndarray:
    log = log - log.max(axis=1, keepdims=True)
    return np.asarray(log - np.log(np.exp(log).sum(axis=1, keepdims=True)))


def _raised(values: np.ndarray, power: float, out: np.ndarray | None = None) -> np.ndarray:
    """Return the values to one of `POWERS`; NaN below 0."""
    if power == 1.0:
        return values
    with np.errstate(invalid="ignore"):
        found = np.sqrt(values, out=out)
    for _ in range({1.25: 1, 0.25: 1, 0.125: 2, 0.0625: 3}.get(power, 0)):
        np.sqrt(found, out=found)
    for _ in range(int(power)):
        found *= values
    return found


def _share_of_given(odds: np.ndarray, sizes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    given = odds[np.arange(len(odds)), labels] * sizes[labels]
    return np.asarray(given / np.maximum(odds @ sizes, np.finfo(np.float32).tiny), np.float64)


def _log_likelihoods(share: np.ndarray, by_chance: np.ndarray) -> np.ndarray:
    """Return how likely labels are, by `DOUBTS`, that are believed by these shares."""
    mixed = np.multiply.outer(1.0 - DOUBTS, share) + np.multiply.outer(DOUBTS, by_chance)
    return np.asarray(np.log(np.maximum(mixed, LEAST_PROBABILITY)).sum(axis=1))


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
