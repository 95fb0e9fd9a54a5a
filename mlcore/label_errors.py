"""Find items whose label is probably wrong, and say how probably.

A model that is often confused disagrees with many right labels. So the rate of wrong labels is
read where the model is surest (its own confusion is smallest there), and each disagreement is
weighed: what a wrong label explains against what the model's doubt explains (Bayes). Where the
classes' rates of noise do not differ by more than chance, that ranks like the model's confidence
in the label alone. Anchors after Patrini et al. 2017 (arXiv:1609.03683), neighbours' votes after
Zhu et al. 2022 (SimiFeat, arXiv:2110.06283).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mlcore.neighbours import NeighbourGraph

ERROR_SHARE = 0.5
"""Expected share of wrong labels from which one is called an error."""

ANCHOR_SHARE = 0.2
"""Share of the items of each predicted class, the surest, that the noise is read from.

At .1 / .2 / .3, 0.4 / 0.6 / 1.2 % of CIFAR-10 with its true labels are marked."""

ANCHOR_ROWS = 50_000
ANCHOR_ROWS_A_CLASS = 100
"""Items, evenly spaced, among which anchors are looked for: a rate of .01 is known to .001. More
where there are many classes, so that each has anchors."""

LEAST_KEPT = 0.1
"""Least share of the anchors' disagreement that is taken for wrong labels."""

BELIEVED = 2 / 3
"""How far the noise of a class is believed against that of all classes, in logarithms: a
compromise between planted noise of a few kinds (1 would be best) and models that confuse classes
when they meet new speakers (0 would be)."""

CONCENTRATIONS = np.geomspace(1.0, 30_000.0, 16)
"""Weights tried, in items, of the noise of all classes together in that of each."""

VOTE_PRIOR = 1.0
"""Weight of the class shares in a neighbours' vote, in neighbours."""

SHARPNESS_STEPS = np.geomspace(0.4, 3.0, 15)
"""Exponents tried when beliefs are fitted to the given labels (temperatures)."""

SHARPNESS_ROWS = 5_000
"""Items that an exponent is fitted on, evenly spaced."""

BLOCK_VALUES = 2**18
"""Probabilities worked on at once: 1 MB, which stays in the processor's cache."""

LEAST_PROBABILITY = 1e-12
"""Smaller probabilities are taken as this; no model can know better."""


@dataclass(frozen=True)
class LabelErrors:
    """What is wrong with the labels.

    Attributes
    ----------
    score : float64 ndarray of shape (n_items,)
        Expected share of wrong labels among items like this one, 0 to 1; 0 if unlabelled.
    is_error : bool ndarray of shape (n_items,)
        The model prefers another class and the score is at least one half.
    suggested : int64 ndarray of shape (n_items,)
        Most probable class.
    noise_matrix : float64 ndarray of shape (n_classes, n_classes)
        Row: true class, column: given label; rows sum to 1.
    """

    score: np.ndarray
    is_error: np.ndarray
    suggested: np.ndarray
    noise_matrix: np.ndarray


def find_label_errors(
    labels: np.ndarray,
    probabilities: np.ndarray | None,
    *,
    n_classes: int | None = None,
    neighbours: NeighbourGraph | None = None,
    block_values: int = BLOCK_VALUES,
) -> LabelErrors:
    """Score how probably each label is wrong.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        Class index; -1 is unlabelled: never scored, never votes.
    probabilities : float ndarray of shape (n_items, n_classes) or None
        Out-of-sample, rows sum to 1; may be a memory map, which is read block by block. None
        before any run: then the neighbours decide alone. Without neighbours they are taken as
        they are.
    n_classes : int or None
        Needed only without probabilities.
    neighbours : NeighbourGraph or None
        Over the same rows. Both are fitted to the given labels by one temperature each, joined
        by their geometric mean, and fitted once more.
    block_values : int
        Memory of one block; the answer does not depend on it.

    Returns
    -------
    LabelErrors

    Examples
    --------
    >>> labels = np.repeat([0, 1], 50)
    >>> probabilities = np.eye(2)[labels] * 0.98 + 0.01
    >>> labels[7] = 1
    >>> np.flatnonzero(find_label_errors(labels, probabilities).is_error)
    array([7])
    """
    labels = np.asarray(labels)
    if probabilities is not None:
        n_classes = n_classes or np.shape(probabilities)[-1]
    if n_classes is None:
        raise ValueError("label errors need probabilities, or n_classes and neighbours")
    _check(labels, probabilities, neighbours, n_classes)
    rows = max(1, block_values // max(1, n_classes))
    beliefs: _Given | _Joined
    if neighbours is None and probabilities is not None:
        beliefs = _Given(probabilities)
    else:
        beliefs = _Joined(labels, probabilities, neighbours, n_classes, rows)
    suggested, confidence = _tops(beliefs, rows)
    noise, believed = _noise(labels, suggested, confidence, n_classes)
    score = _expected_shares(beliefs, labels, suggested, believed, rows)
    return LabelErrors(score, score >= ERROR_SHARE, suggested, noise)


def _check(
    labels: np.ndarray,
    probabilities: np.ndarray | None,
    neighbours: NeighbourGraph | None,
    n_classes: int,
) -> None:
    if probabilities is None and neighbours is None:
        raise ValueError("label errors need probabilities, neighbours, or both")
    if probabilities is not None and probabilities.shape != (len(labels), n_classes):
        raise ValueError(f"probabilities must have shape ({len(labels)}, {n_classes})")
    if neighbours is not None and len(neighbours.indices) != len(labels):
        raise ValueError(f"the neighbour graph must have {len(labels)} rows")
    if labels.ndim != 1 or (len(labels) and not -1 <= labels.min() <= labels.max() < n_classes):
        raise ValueError(f"labels must be one axis of -1 to {n_classes - 1}")


class _Given:
    """Probabilities as they were given, a block at a time."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self.probabilities = probabilities

    def __len__(self) -> int:
        return len(self.probabilities)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return beliefs of some rows, float32."""
        given = self.probabilities
        if isinstance(given, np.memmap) and isinstance(given.base, mmap.mmap):
            # Mapped anew, so that pages read once do not pile up in this process's memory.
            given = np.memmap(
                given.filename,
                dtype=given.dtype,
                mode="r",
                offset=given.offset + start * given.strides[0],
                shape=(stop - start, given.shape[1]),
            )
            return np.asarray(given, np.float32)
        return np.asarray(given[start:stop], np.float32)


class _Joined:
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


def _tops(beliefs: _Given | _Joined, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the most probable class of each item and its probability."""
    best = np.empty(len(beliefs), np.int64)
    confidence = np.empty(len(beliefs), np.float32)
    for start, stop in _blocks(len(beliefs), rows):
        belief = beliefs.block(start, stop)
        belief.argmax(axis=1, out=best[start:stop])
        confidence[start:stop] = belief[np.arange(stop - start), best[start:stop]]
    return best, confidence


def _expected_shares(
    beliefs: _Given | _Joined,
    labels: np.ndarray,
    suggested: np.ndarray,
    noise: np.ndarray,
    rows: int,
) -> np.ndarray:
    """Return P(label is wrong | label, item) by Bayes' rule."""
    score = np.empty(len(beliefs))
    mistaken = np.ascontiguousarray(noise.T, np.float32)
    stays = np.diag(mistaken).copy()
    np.fill_diagonal(mistaken, 0.0)
    for start, stop in _blocks(len(beliefs), rows):
        belief, told = beliefs.block(start, stop), labels[start:stop]
        label = np.maximum(told, 0)
        wrong = np.einsum("ij,ij->i", belief, mistaken[label])
        right = belief[np.arange(len(label)), label] * stays[label]
        share = wrong / np.maximum(wrong + right, np.float32(LEAST_PROBABILITY))
        # With the model on the label's side there is nothing to suggest, whatever the noise.
        agrees = suggested[start:stop] == told
        share[agrees] = np.minimum(share[agrees], np.float32(0.99 * ERROR_SHARE))
        share[told < 0] = 0.0
        score[start:stop] = share
    return score


def _blocks(n_items: int, rows: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n_items, rows):
        yield start, min(start + rows, n_items)


def _normalised(log: np.ndarray) -> np.ndarray:
    log = log - log.max(axis=1, keepdims=True)
    return np.asarray(log - np.log(np.exp(log).sum(axis=1, keepdims=True)))


def _noise(
    labels: np.ndarray, suggested: np.ndarray, confidence: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read from the surest items of each predicted class which labels its items are given.

    Returns the noise of each class, and what of it is believed of single items: a model's own
    habit of confusing two classes looks like noise between them, so a geometric mean with the
    noise of all classes together. Half a wrong label is added to the latter, so that a clean
    data set is never quite certain to be clean.
    """
    known = np.flatnonzero(labels >= 0)
    most = max(ANCHOR_ROWS, ANCHOR_ROWS_A_CLASS * n_classes)
    known = known[:: max(1, -(-len(known) // most))]
    given, believed = labels[known].astype(np.int64), suggested[known]
    places, sizes = _places(believed, confidence[known], n_classes)
    is_anchor = places < np.ceil(ANCHOR_SHARE * sizes)[believed]
    is_surest = places < np.ceil(ANCHOR_SHARE / 2 * sizes)[believed]
    rate = _rate(believed[is_anchor] != given[is_anchor])
    # From the surest fifth to the surest tenth; the same fall once more leads to the very top.
    # What falls away is the model's own confusion.
    kept = (_rate(believed[is_surest] != given[is_surest]) / rate) ** 2
    shares = np.bincount(given, minlength=n_classes) + 1.0 / n_classes
    pooled = np.tile(shares, (n_classes, 1))
    np.fill_diagonal(pooled, 0.0)
    pooled *= rate / np.maximum(pooled.sum(axis=1, keepdims=True), LEAST_PROBABILITY)
    np.fill_diagonal(pooled, 1.0 - rate if n_classes > 1 else 1.0)
    cells = believed[is_anchor] * n_classes + given[is_anchor]
    counts = np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)
    noise = counts + _concentration(counts, pooled) * pooled
    kept = min(1.0, max(LEAST_KEPT, kept))
    noise /= noise.sum(axis=1, keepdims=True)
    return _scaled(noise, kept), _scaled(noise**BELIEVED * pooled ** (1 - BELIEVED), kept)


def _scaled(noise: np.ndarray, kept: float) -> np.ndarray:
    """Make rows sum to 1 and keep a share of what is beside the diagonal."""
    noise = noise * (kept / noise.sum(axis=1, keepdims=True))
    np.fill_diagonal(noise, 0.0)
    np.fill_diagonal(noise, 1.0 - noise.sum(axis=1))
    return np.asarray(noise)


def _rate(disagrees: np.ndarray) -> float:
    return (np.count_nonzero(disagrees) + 0.5) / (len(disagrees) + 1.0)


def _places(
    suggested: np.ndarray, confidence: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each item's place in its predicted class, 0 is the surest, and the classes' sizes."""
    order = np.lexsort((-confidence, suggested))
    sizes = np.bincount(suggested, minlength=n_classes)
    begin = np.cumsum(sizes) - sizes
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - begin[suggested[order]]
    return places, sizes


def _concentration(counts: np.ndarray, pooled: np.ndarray) -> float:
    """Return the weight of `pooled`, in items, that makes the counts likeliest.

    Parameters
    ----------
    counts : int ndarray of shape (n_classes, n_classes)
    pooled : float ndarray of shape (n_classes, n_classes)
        Rows sum to 1: the mean of the Dirichlet distribution that rows of noise come from.
    """
    from scipy.special import gammaln

    seen = counts > 0
    found, expected, totals = counts[seen], pooled[seen], counts.sum(axis=1)

    def log_likelihood(weight: float) -> float:
        rows = gammaln(weight) - gammaln(weight + totals)
        cells = gammaln(weight * expected + found) - gammaln(weight * expected)
        return float(rows.sum() + cells.sum())

    return float(max(CONCENTRATIONS, key=log_likelihood))
