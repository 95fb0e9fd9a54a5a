"""Labels dealt at random rarely show a signal, in any of the ways together; real ones do."""

import numpy as np
import pytest

from mlcore.intervals import macro_f1_interval, paired_difference, recall_difference
from mlcore.signal import CHANCE, always_commonest, order_of_class

DRAWS = 100


def share_claimed(shares, *, apart, groups):
    """Return how often predictions of a last class that stands apart are said to have a signal."""
    rng, claimed = np.random.default_rng(5), 0
    for _draw in range(DRAWS):
        labels = rng.choice(len(shares), p=shares, size=len(groups))
        scores = rng.normal(size=(len(groups), len(shares))) + rng.normal(size=len(shares)) / 4
        scores[labels == len(shares) - 1, -1] += apart
        chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        right, constant = chances.argmax(axis=1) == labels, always_commonest(labels)
        ways = (
            paired_difference(constant, right, groups),
            recall_difference(constant, right, labels, groups),
        )
        order = order_of_class(labels, chances, groups, positive=len(shares) - 1)
        claimed += any(way.low > 0 for way in ways) or order.low > CHANCE
    return claimed / DRAWS


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.8, 0.2], [0.4, 0.3, 0.2, 0.1]])
def test_a_signal_is_claimed_of_guesses_at_most_once_in_twenty_and_of_a_weak_one_mostly(shares):
    groups = np.arange(240) // 2
    assert share_claimed(shares, apart=0.0, groups=groups) <= 0.05
    assert share_claimed(shares, apart=1.2, groups=groups) >= 0.8


def test_guessing_is_ahead_of_one_answer_by_macro_f1_which_therefore_shows_no_signal():
    rng, groups = np.random.default_rng(0), np.arange(200)
    labels, guesses = rng.integers(2, size=200), rng.integers(2, size=200)
    said = macro_f1_interval(labels, guesses, groups, n_classes=2)
    assert said.low > macro_f1_interval(labels, np.zeros(200, int), groups, n_classes=2).value
    found = recall_difference(always_commonest(labels), guesses == labels, labels, groups)
    assert found.low < 0
