"""A confusion matrix per annotator, as far as their answers can tell one."""

from __future__ import annotations

from copy import copy

import numpy as np

from mlcore.consensus.answers import Answers

LIKELIEST_MISTAKE = 0.5
"""Most that one wrong answer can be, in the pooled matrix, as a share of the right one.

A rare class that people give seldom ("cannot tell") otherwise turns, round by round, into the
class of all doubtful items, and no longer means what its name says (docs/crowd.md)."""

CROWD_MISTAKES = 4.0
"""Weight of the crowd's error rate in each annotator's, in answers."""

LEAST = 1e-9


class DawidSkene:
    """Annotators with a confusion matrix each (Dawid and Skene 1979, doi:10.2307/2346806).

    An annotator's matrix is shrunk, by `strength` answers per class, towards the matrix that
    the whole crowd would have if it made mistakes as often as this annotator does.
    """

    def __init__(self, answers: Answers, *, strength: float) -> None:
        from scipy.sparse import csr_array

        self.answers = answers
        self.strength = strength
        columns = answers.annotator * answers.n_classes + answers.answer
        shape = (answers.n_items, answers.n_annotators * answers.n_classes)
        self.given = csr_array((np.ones(len(columns)), (answers.item, columns)), shape=shape)

    def with_strength(self, strength: float) -> DawidSkene:
        """Return the same answers under another shrinkage."""
        other = copy(self)
        other.strength = strength
        return other

    def learn(self, belief: np.ndarray) -> None:
        """Count everybody's answers by class, from P(class) of each item."""
        n_classes = belief.shape[1]
        counts = np.asarray(self.given.T @ belief).reshape(-1, n_classes, n_classes)
        self.counts = counts  # annotator, answer, class
        self.by_class = counts.sum(axis=1)
        self.pooled = _pooled(counts.sum(axis=0))
        self.error = np.clip(1.0 - np.diag(self.pooled), LEAST, 1.0 - LEAST)
        self.wrong = self.by_class.sum(axis=1) - np.einsum("akk->a", counts)
        self.expected_wrong = self.by_class @ self.error

    def log_evidence(self) -> np.ndarray:
        """Return log P(answers | class) of each item, shape (n_items, n_classes)."""
        n_classes = self.answers.n_classes
        return np.asarray(self.given @ np.log(self._matrices()).reshape(-1, n_classes))

    def left_out(self, belief: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return P(answer | class) as learned without the answer's item, (n_rows, n_classes)."""
        annotator, answer = self.answers.annotator[rows], self.answers.answer[rows]
        own = belief[self.answers.item[rows]]
        line = np.arange(len(rows))
        wrong = self.wrong[annotator] - (1.0 - own[line, answer])
        error = self._errors(wrong, self.expected_wrong[annotator] - own @ self.error)
        likelihood = self.pooled[answer] * error / self.error
        likelihood[line, answer] = 1.0 - error[line, answer]
        likelihood *= self.strength
        likelihood += np.maximum(self.counts[annotator, answer] - own, 0.0)
        likelihood /= np.maximum(self.by_class[annotator] - own, 0.0) + self.strength
        return np.maximum(likelihood, LEAST)

    def confusion(self) -> np.ndarray:
        """Return P(answer | class), shape (n_annotators, n_classes, n_answers)."""
        return self._matrices().transpose(0, 2, 1)

    def _matrices(self) -> np.ndarray:
        error = self._errors(self.wrong, self.expected_wrong)
        matrices = self.pooled[None] * (error / self.error)[:, None, :]
        diagonal = np.arange(len(self.pooled))
        matrices[:, diagonal, diagonal] = 1.0 - error
        matrices *= self.strength
        matrices += self.counts
        matrices /= (self.by_class + self.strength)[:, None, :]
        return np.maximum(matrices, LEAST)

    def _errors(self, wrong: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return P(wrong | class) of annotators, the odds scaled by how they compare."""
        usual = CROWD_MISTAKES * self.wrong.sum() / max(1, len(self.answers.item)) + LEAST
        ratio = (np.maximum(wrong, 0.0) + usual) / (np.maximum(expected, 0.0) + usual)
        odds = ratio[:, None] * (self.error / (1.0 - self.error))
        errors: np.ndarray = odds / (1.0 + odds)
        return errors


def _pooled(counts: np.ndarray) -> np.ndarray:
    """Return the crowd's P(answer | class), where the right answer is the commonest one."""
    n_classes = len(counts)
    right = np.trace(counts) / max(counts.sum(), LEAST)
    counts = counts + (1.0 - right) / max(1, n_classes - 1)  # one answer, spread as mistakes are
    counts[np.diag_indices(n_classes)] += right - (1.0 - right) / max(1, n_classes - 1)
    pooled = counts / np.maximum(counts.sum(axis=0), LEAST)
    pooled = np.minimum(pooled, LIKELIEST_MISTAKE * np.diag(pooled))
    np.fill_diagonal(pooled, 0.0)
    np.fill_diagonal(pooled, 1.0 - pooled.sum(axis=0))
    return pooled
