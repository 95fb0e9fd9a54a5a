"""What is believed of an item before anybody's answer: class shares, a model, gold."""

from __future__ import annotations

import numpy as np

from mlcore.consensus.answers import UNKNOWN, Answers

LEAST_OF_VOTES = 0.5
"""Least share of a class, as a share of its votes: no class dies out while others are learned."""

CALIBRATION_ITEMS = 5_000
"""Items that a model is calibrated on: two numbers and a class share need no more."""

LEAST_PROBABILITY = 1e-6
"""A model is never taken to be surer than this."""

SURELY = -1e6
"""Log probability of the classes that a gold item is not."""


class ItemPrior:
    """P(class) of each item before its answers: that of all items, or a calibrated model's.

    A model's log probabilities are multiplied by one `weight` (a temperature, Guo et al. 2017,
    arXiv:1706.04599) and shifted by class, both fitted to what the answers say. A model that
    the answers do not bear out gets the weight 0.
    """

    def __init__(
        self, answers: Answers, *, probabilities: np.ndarray | None = None, flat: bool = False
    ) -> None:
        self.flat = flat
        self.n_classes = answers.n_classes
        self.weight = 0.0
        self.spoken_for = answers.spoken_for().astype(np.float64)
        self.votes = _shares(np.bincount(answers.answer, minlength=answers.n_classes))
        self.shares = self.votes
        self.bias = np.log(self.shares)
        self.gold_items = np.flatnonzero(answers.gold != UNKNOWN)
        self.gold = answers.gold[self.gold_items]
        self.log_model = None
        if probabilities is not None:
            least = np.maximum(np.asarray(probabilities, np.float64), LEAST_PROBABILITY)
            self.log_model = np.log(least)
            judged = np.flatnonzero(self.spoken_for)
            self.judged = judged[:: max(1, len(judged) // CALIBRATION_ITEMS)]

    def learn(self, belief: np.ndarray) -> None:
        """Take class shares, and the model's calibration one step nearer, from the beliefs."""
        if self.flat or not self.spoken_for.any():
            self.shares = np.full(self.n_classes, 1.0 / self.n_classes)
        else:
            found = _shares(self.spoken_for @ belief)
            self.shares = _shares(np.maximum(found, LEAST_OF_VOTES * self.votes), smooth=0.0)
        if self.log_model is not None and len(self.judged):
            self._calibrate(self.log_model[self.judged], belief[self.judged])

    def log(self) -> np.ndarray:
        """Return log P(class) up to a constant per item, shape (n_items, n_classes)."""
        if self.log_model is None:
            log = np.tile(np.log(self.shares), (len(self.spoken_for), 1))
        else:
            log = self.weight * self.log_model + self.bias
        log[self.gold_items] = SURELY
        log[self.gold_items, self.gold] = 0.0
        return log

    def _calibrate(self, log_model: np.ndarray, belief: np.ndarray) -> None:
        """Take a Newton step towards the weight, and match the class shares."""
        expected = softmax(self.weight * log_model + self.bias)
        gradient = ((belief - expected) * log_model).sum()
        mean = (expected * log_model).sum(axis=1, keepdims=True)
        curvature = (expected * (log_model - mean) ** 2).sum()
        self.weight = float(np.clip(self.weight + gradient / (curvature + 1.0), 0.0, 2.0))
        if not self.flat:
            expected = softmax(self.weight * log_model + self.bias).mean(axis=0)
            self.bias += np.log(_shares(belief.sum(axis=0))) - np.log(
                _shares(expected, smooth=1e-9)
            )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return rows that sum to 1."""
    top = logits[:, 0].copy()
    for column in logits.T[1:]:  # three times as fast as a maximum over short rows
        np.maximum(top, column, out=top)
    shifted = logits - top[:, None]
    np.exp(shifted, out=shifted)
    shifted /= (shifted @ np.ones(shifted.shape[1]))[:, None]
    return shifted


def _shares(counts: np.ndarray, *, smooth: float = 0.5) -> np.ndarray:
    smoothed = counts + smooth
    shares: np.ndarray = smoothed / max(smoothed.sum(), LEAST_PROBABILITY)
    return shares
