"""Make probabilities mean what they say, and measure whether they do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcore.intervals import Interval, limits_of_share

USUAL_SPREAD = 0.5
"""Standard deviation of log temperatures before any item is seen: few items move it little."""
USUAL_DOUBT = 0.1
"""Mean share of labels drawn at random before any item is seen."""
WARMTHS = np.linspace(-1.0, 1.0, 25)
"""Logs of the temperatures that are tried, 9 % apart."""
DOUBTS = np.concatenate([[0.0], np.geomspace(0.01, 0.5, 15)])
BINS = 10
"""Tenths of confidence; Guo et al. 2017 (arXiv:1706.04599) took 15 of far more items."""


def softmax(scores: np.ndarray) -> np.ndarray:
    """Turn rows of scores into probabilities.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Calibration:
    """Scores are divided by `temperature`; a share `doubt` of labels counts as drawn at random."""

    temperature: float = 1.0
    doubt: float = 0.0

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return class probabilities, (n_items, n_classes); rows sum to 1, the first stays first.

        Examples
        --------
        >>> Calibration(doubt=0.5).probabilities(np.array([[50.0, 0.0]]))
        array([[0.75, 0.25]])
        """
        found = softmax(scores / scores.dtype.type(self.temperature))
        if not self.doubt:
            return found
        kind = found.dtype.type
        return found * kind(1 - self.doubt) + kind(self.doubt / found.shape[1])


def fit_calibration(scores: np.ndarray, labels: np.ndarray) -> Calibration:
    """Return what makes probabilities suit the labels best.

    Temperature scaling (Guo et al. 2017, arXiv:1706.04599) alone makes a head that is right less
    sure because some labels are wrong; the second number takes those (bench/calibration.py).

    Parameters
    ----------
    scores : float ndarray of shape (n_items, n_classes)
        Before the softmax, of items that were not learned from.
    labels : int ndarray of shape (n_items,)

    Examples
    --------
    >>> fit_calibration(np.array([[9.0, 0.0]] * 100), np.arange(100) % 4 // 3).doubt > 0.3
    True
    """
    rows = np.arange(len(labels))
    best, lowest = Calibration(), np.inf
    for warmth in WARMTHS:
        told = softmax(scores.astype(np.float64) / np.exp(warmth))[rows, labels]
        for doubt in DOUBTS:
            mixed = (1 - doubt) * told + doubt / scores.shape[1]
            surprise = -np.log(mixed + 1e-12).sum()
            surprise += (warmth / USUAL_SPREAD) ** 2 / 2 + doubt / USUAL_DOUBT
            if surprise < lowest:
                best, lowest = Calibration(float(np.exp(warmth)), float(doubt)), surprise
    return best


@dataclass(frozen=True)
class Reliability:
    """How sure predictions were, and how often right, by tenths of confidence.

    `confidence`, `right` and `n` hold one entry a tenth that has items; `error` is the expected
    calibration error, 0 to 1.
    """

    error: Interval
    confidence: np.ndarray
    right: np.ndarray
    n: np.ndarray


def reliability(confidence: np.ndarray, right: np.ndarray, groups: np.ndarray) -> Reliability:
    """Compare how sure predictions were with how often they were right.

    Parameters
    ----------
    confidence : float ndarray of shape (n_items,)
        Probability of the first class, out of sample.
    right : bool ndarray of shape (n_items,)
    groups : int ndarray of shape (n_items,)
        As for `mlcore.intervals.accuracy_interval`.

    Examples
    --------
    >>> found = reliability(np.full(4, 0.75), np.array([True, True, False, False]), np.arange(4))
    >>> found.error.value
    0.25
    """
    confidence = confidence.astype(np.float64)
    tenth = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = right - confidence
    total = np.bincount(tenth, gaps, BINS)
    value = float(np.abs(total).sum() / len(right))
    error = limits_of_share(value, np.sign(total)[tenth] * gaps - value, groups)
    n = np.bincount(tenth, minlength=BINS)
    there = n > 0
    means = [np.bincount(tenth, of, BINS)[there] / n[there] for of in (confidence, right)]
    return Reliability(error, means[0], means[1], n[there])
