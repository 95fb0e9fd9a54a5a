"""Find items whose label is probably wrong, and say how probably.

A model that is often confused disagrees with many right labels. So the rate of wrong labels is
read where the model is surest (its own confusion is smallest there), and each disagreement is
weighed: what a wrong label explains against what the model's doubt explains (Bayes). Anchors
after Patrini et al. 2017 (arXiv:1609.03683), neighbours' votes after Zhu et al. 2022
(SimiFeat, arXiv:2110.06283).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlcore.neighbours import NeighbourGraph

ERROR_SHARE = 0.5
"""Expected share of wrong labels from which one is called an error."""

ANCHOR_SHARE = 0.2
"""Share of the items of each predicted class, the surest, that the noise is read from.

At .1 / .2 / .3, 0.4 / 0.6 / 1.2 % of CIFAR-10 with its true labels are marked."""

LEAST_KEPT = 0.1
"""Least share of the anchors' disagreement that is taken for wrong labels."""

POOLED_ANCHORS = 5.0
"""Weight of the noise of all classes together in that of each, in items."""

VOTE_PRIOR = 1.0
"""Weight of the class shares in a neighbours' vote, in neighbours."""

SHARPNESS_STEPS = np.geomspace(0.4, 3.0, 15)
"""Exponents tried when the probabilities are fitted to the given labels (temperatures)."""

SHARPNESS_ROWS = 20_000
"""Items that the exponent is fitted on, evenly spaced."""

BLOCK_VALUES = 2**19
"""Probabilities worked on at once; bounds memory to some 20 MB."""

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
    n_classes: int,
    neighbours: NeighbourGraph | None = None,
    candidates: np.ndarray | None = None,
    block_values: int = BLOCK_VALUES,
) -> LabelErrors:
    """Score how probably each label is wrong.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        Class index; -1 is unlabelled: never scored, never votes.
    probabilities : float ndarray of shape (n_items, n_classes) or None
        Out-of-sample, rows sum to 1; may be a memory map. None before any run: then the
        neighbours decide alone.
    n_classes : int
    neighbours : NeighbourGraph or None
        Over the same rows; joined with the probabilities by their geometric mean.
    candidates : bool ndarray of shape (n_items,) or None
        Items that may be marked, all by default; the others only vote.
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
    >>> np.flatnonzero(find_label_errors(labels, probabilities, n_classes=2).is_error)
    array([7])
    """
    labels = np.asarray(labels, np.int64)
    _check(labels, probabilities, neighbours, n_classes)
    known = labels >= 0
    candidates = known if candidates is None else known & np.asarray(candidates, bool)
    beliefs = _Beliefs(labels, probabilities, neighbours, n_classes, block_values)
    suggested, confidence = beliefs.tops()
    noise = _noise(labels[known], suggested[known], confidence[known], n_classes)
    score = beliefs.expected_shares(noise)
    # With the model on the label's side there is nothing to suggest, whatever the noise.
    score[suggested == labels] = np.minimum(score[suggested == labels], 0.99 * ERROR_SHARE)
    score[~candidates] = 0.0
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
    if labels.ndim != 1 or (labels < -1).any() or (labels >= n_classes).any():
        raise ValueError(f"labels must be one axis of -1 to {n_classes - 1}")


class _Beliefs:
    """Calibrated probabilities of the given labels, block by block, never all at once."""

    def __init__(
        self,
        labels: np.ndarray,
        probabilities: np.ndarray | None,
        neighbours: NeighbourGraph | None,
        n_classes: int,
        block_values: int,
    ) -> None:
        self.labels = labels
        self.probabilities = probabilities
        self.neighbours = neighbours
        self.n_classes = n_classes
        self.rows = max(1, block_values // max(1, n_classes))
        counts = np.bincount(labels[labels >= 0], minlength=n_classes).astype(np.float64)
        self.prior = (counts + 1.0 / n_classes) / (counts.sum() + 1.0)
        self.sharpness = self._fitted_sharpness()

    def _fitted_sharpness(self) -> float:
        known = np.flatnonzero(self.labels >= 0)
        most = max(1, min(SHARPNESS_ROWS, 16 * BLOCK_VALUES // self.n_classes))
        rows = known[:: max(1, -(-len(known) // most))]
        if not len(rows):
            return 1.0
        log = self._log_joined(rows)
        given = log[np.arange(len(rows)), self.labels[rows]]
        losses = [
            float(np.mean(np.log(np.exp(step * log).sum(axis=1)) - step * given))
            for step in SHARPNESS_STEPS.astype(np.float32)
        ]
        return float(SHARPNESS_STEPS[int(np.argmin(losses))])

    def _log_joined(self, rows: np.ndarray) -> np.ndarray:
        """Return log probabilities, up to a constant per row: the largest is 0."""
        if self.probabilities is None:
            log = np.log(self._votes(rows))
        else:
            given = np.asarray(self.probabilities[rows], np.float32)
            log = np.log(np.maximum(given, np.float32(LEAST_PROBABILITY)))
            if self.neighbours is not None:
                log = (log + np.log(self._votes(rows))) / 2
        return np.asarray(log - log.max(axis=1, keepdims=True))

    def _votes(self, rows: np.ndarray) -> np.ndarray:
        """Return the share of each class among the neighbours' labels."""
        assert self.neighbours is not None
        near = self.labels[self.neighbours.indices[rows]]
        cell = np.arange(len(rows))[:, None] * self.n_classes + near
        votes = np.bincount(cell[near >= 0], minlength=len(rows) * self.n_classes)
        counted = votes.reshape(len(rows), self.n_classes) + VOTE_PRIOR * self.prior
        counted /= counted.sum(axis=1, keepdims=True)
        return np.asarray(counted, np.float32)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        for start in range(0, len(self.labels), self.rows):
            block = slice(start, min(start + self.rows, len(self.labels)))
            belief = np.exp(
                np.float32(self.sharpness) * self._log_joined(np.arange(block.start, block.stop))
            )
            belief /= belief.sum(axis=1, keepdims=True)
            yield block, belief

    def tops(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the most probable class of each item and its probability."""
        best = np.empty(len(self.labels), np.int64)
        confidence = np.empty(len(self.labels), np.float32)
        for block, belief in self.blocks():
            best[block] = belief.argmax(axis=1)
            confidence[block] = belief.max(axis=1)
        return best, confidence

    def expected_shares(self, noise: np.ndarray) -> np.ndarray:
        """Return P(label is wrong | label, item) by Bayes' rule."""
        score = np.empty(len(self.labels))
        mistaken = noise.T.astype(np.float32).copy()
        np.fill_diagonal(mistaken, 0.0)
        stays = np.diag(noise)
        for block, belief in self.blocks():
            label = np.maximum(self.labels[block], 0)
            wrong = np.einsum("ij,ij->i", belief, mistaken[label]).astype(np.float64)
            right = belief[np.arange(len(label)), label].astype(np.float64) * stays[label]
            score[block] = wrong / np.maximum(wrong + right, LEAST_PROBABILITY**2)
        return score


def _noise(
    labels: np.ndarray, suggested: np.ndarray, confidence: np.ndarray, n_classes: int
) -> np.ndarray:
    """Count which labels the surest items of each predicted class carry.

    Each class is shrunk towards the noise of all of them; half a wrong label is added to the
    latter, so that a clean data set is never quite certain to be clean. What falls away as
    the model gets surer is its own confusion, and is taken off.
    """
    anchors = _anchors(suggested, confidence, n_classes, share=ANCHOR_SHARE)
    surest = _anchors(suggested, confidence, n_classes, share=ANCHOR_SHARE / 2)
    rate = _rate(suggested[anchors] != labels[anchors])
    # From the surest fifth to the surest tenth; the same fall once more leads to the very top.
    kept = np.clip((_rate(suggested[surest] != labels[surest]) / rate) ** 2, LEAST_KEPT, 1.0)
    cells = suggested[anchors] * n_classes + labels[anchors]
    counts = np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)
    shares = np.bincount(labels, minlength=n_classes) + 1.0 / n_classes
    spread = np.tile(shares, (n_classes, 1))
    np.fill_diagonal(spread, 0.0)
    spread *= rate / np.maximum(spread.sum(axis=1, keepdims=True), LEAST_PROBABILITY)
    np.fill_diagonal(spread, 1.0 - rate if n_classes > 1 else 1.0)
    noise = counts + POOLED_ANCHORS * spread
    noise *= kept / noise.sum(axis=1, keepdims=True)
    np.fill_diagonal(noise, 0.0)
    np.fill_diagonal(noise, 1.0 - noise.sum(axis=1))
    return np.asarray(noise)


def _rate(disagrees: np.ndarray) -> float:
    return float((disagrees.sum() + 0.5) / (len(disagrees) + 1.0))


def _anchors(
    suggested: np.ndarray, confidence: np.ndarray, n_classes: int, *, share: float
) -> np.ndarray:
    """Return the surest `share` of each predicted class, at least one item each."""
    order = np.lexsort((-confidence, suggested))
    size = np.bincount(suggested, minlength=n_classes)
    begin = np.cumsum(size) - size
    place = np.arange(len(order)) - begin[suggested[order]]
    wanted = np.ceil(share * size)
    anchors: np.ndarray = order[place < wanted[suggested[order]]]
    return anchors
