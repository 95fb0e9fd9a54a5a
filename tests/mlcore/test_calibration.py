"""Probabilities are made to mean what they say, and it is measured whether they do."""

import numpy as np
import pytest

from mlcore.calibration import fit_calibration, reliability, softmax
from tests.mlcore.test_success import heavy_tail


def drawn(n_items, *, wrong, seed=0):
    """Scores and labels that follow them, but for a share that is drawn at random."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, size=(n_items, 5))
    chances = softmax(scores).cumsum(axis=1)
    labels = (rng.random((n_items, 1)) > chances).sum(axis=1)
    noisy = rng.random(n_items) < wrong
    return scores, np.where(noisy, rng.integers(0, 5, n_items), labels)


@pytest.mark.parametrize("wrong", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("heat", [0.6, 1.0, 2.0])
def test_heat_and_labels_at_random_are_both_found(heat, wrong):
    scores, labels = drawn(20_000, wrong=wrong)
    found = fit_calibration(scores * heat, labels)
    assert found.temperature == pytest.approx(heat, rel=0.15)
    assert found.doubt == pytest.approx(wrong, abs=0.06)
    fresh, answers = drawn(20_000, wrong=wrong, seed=1)
    told = found.probabilities(fresh * heat)
    assert told.sum(axis=1) == pytest.approx(1)
    assert np.array_equal(told.argmax(axis=1), fresh.argmax(axis=1))
    right = told.argmax(axis=1) == answers
    assert reliability(told.max(axis=1), right, np.arange(20_000)).error.value < 0.03


def test_a_few_items_change_little():
    scores = np.array([[3.0, 0.0]] * 5)
    found = fit_calibration(scores, np.array([0, 0, 0, 0, 1]))
    assert 0.6 < found.temperature < 1.7
    assert found.doubt < 0.2


def test_the_error_is_the_gap_by_tenths_with_limits_around_it():
    confidence = np.repeat([0.55, 0.95], 50)
    right = np.concatenate([np.arange(50) < 20, np.arange(50) < 45])
    found = reliability(confidence, right, np.arange(100))
    assert found.error.value == pytest.approx((0.15 + 0.05) / 2)
    assert found.error.low <= found.error.value <= found.error.high
    assert found.n.tolist() == [50, 50]
    assert found.right == pytest.approx([0.4, 0.9])


def test_limits_of_the_error_hold_where_few_of_many_groups_have_most_items():
    rng, held = np.random.default_rng(3), 0
    for _ in range(100):
        groups = np.repeat(np.arange(200), heavy_tail(200, rng))
        right = (rng.random(200) < 0.7)[groups]  # groups right or wrong as a whole
        error = reliability(np.full(len(groups), 0.95), right, groups).error
        held += error.low <= 0.25 <= error.high
    assert held >= 93
