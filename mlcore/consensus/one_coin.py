"""One number per annotator: how often they are right; wrong answers are spread evenly."""

from __future__ import annotations

import numpy as np

from mlcore.consensus.answers import Answers

CROWD_ANSWERS = 4.0
"""Weight of the crowd's share of right answers in each annotator's, in answers."""

LEAST = 1e-6
"""No annotator is taken to be always right or always wrong."""


class OneCoin:
    """Annotators who are right with a probability of their own, whatever the class.

    The one-coin model of Zhang et al. (2014), arXiv:1406.3824. Where `common`, all share one
    probability: then the class with the most answers is the most probable one.
    """

    def __init__(self, answers: Answers, *, common: bool = False) -> None:
        self.answers = answers
        self.common = common
        self.given = np.bincount(answers.annotator, minlength=answers.n_annotators)

    def learn(self, belief: np.ndarray) -> None:
        """Estimate everybody's share of right answers from P(class) of each item."""
        answers = self.answers
        own = belief[answers.item, answers.answer]
        self.right = np.bincount(answers.annotator, own, answers.n_annotators)
        self.share = float((self.right.sum() + 0.5) / (self.given.sum() + 1.0))

    def accuracies(self) -> np.ndarray:
        """Return P(right) of each annotator, shape (n_annotators,)."""
        return self._shrunk(self.right, self.given)

    def log_evidence(self) -> np.ndarray:
        """Return log P(answers | class), up to a constant per item, (n_items, n_classes)."""
        answers = self.answers
        right = self.accuracies()
        weight = np.log(right) - np.log(self._each_wrong(right))
        cells = answers.item * answers.n_classes + answers.answer
        sums = np.bincount(cells, weight[answers.annotator], answers.n_items * answers.n_classes)
        return sums.reshape(answers.n_items, answers.n_classes)

    def left_out(self, belief: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return P(answer | class) as learned without the answer's item, (n_rows, n_classes)."""
        annotator, answer = self.answers.annotator[rows], self.answers.answer[rows]
        own = belief[self.answers.item[rows], answer]
        right = self._shrunk(self.right[annotator] - own, self.given[annotator] - 1)
        likelihood = np.repeat(self._each_wrong(right)[:, None], belief.shape[1], axis=1)
        likelihood[np.arange(len(rows)), answer] = right
        return likelihood

    def confusion(self) -> np.ndarray:
        """Return P(answer | class), shape (n_annotators, n_classes, n_answers)."""
        right, n_classes = self.accuracies(), self.answers.n_classes
        matrices = np.repeat(self._each_wrong(right), n_classes**2).reshape(
            -1, n_classes, n_classes
        )
        matrices[:, np.arange(n_classes), np.arange(n_classes)] = right[:, None]
        return matrices

    def _shrunk(self, right: np.ndarray, given: np.ndarray) -> np.ndarray:
        if self.common:
            shrunk = np.full(len(right), self.share)
        else:
            shrunk = (right + CROWD_ANSWERS * self.share) / (given + CROWD_ANSWERS)
        return np.clip(shrunk, LEAST, 1 - LEAST)

    def _each_wrong(self, right: np.ndarray) -> np.ndarray:
        return (1 - right) / max(1, self.answers.n_classes - 1)
