"""Scores come with limits that hold, and confusion matrices count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from mlcore.confusion import confusion, similarity_order
from mlcore.intervals import (
    accuracy_interval,
    macro_f1_interval,
    majority_baseline,
    nearest_centroid_baseline,
    paired_difference,
)


def rng():
    return np.random.default_rng(0)


def test_the_interval_of_single_items_is_that_of_the_binomial():
    correct = np.arange(400) < 300
    found = accuracy_interval(correct, np.arange(400), rng=rng())
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.75, 0.75 - half, 0.75 + half), abs=0.006
    )


def test_items_of_one_group_are_no_independent_evidence():
    correct = np.arange(400) < 300
    alone = accuracy_interval(correct, np.arange(400), rng=rng())
    tens = accuracy_interval(correct, np.arange(400) // 10, rng=rng())
    assert tens.high - tens.low > 2.5 * (alone.high - alone.low)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    source = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        rate = np.repeat(source.beta(8, 2, size=60), 5)
        found = accuracy_interval(
            source.random(300) < rate, np.arange(300) // 5, rng=source, resamples=500
        )
        held += found.low <= 0.8 <= found.high
    assert held >= 178


def test_nothing_changed_gives_exactly_zero():
    correct = rng().random(50) < 0.7
    found = paired_difference(correct, correct, np.arange(50), rng=rng())
    assert (found.value, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_gain_is_counted_and_tested_exactly():
    before = np.zeros(40, dtype=bool)
    after = np.arange(40) < 8
    found = paired_difference(before, after, np.arange(40), rng=rng())
    assert (found.gained, found.lost) == (8, 0)
    assert found.value == pytest.approx(0.2)
    assert found.p_value == pytest.approx(2 * 0.5**8)
    assert found.low > 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_macro_f1_and_confusion_agree_with_scikit_learn(pairs):
    labels, predicted = np.array(pairs).T
    found = macro_f1_interval(
        labels, predicted, np.arange(len(labels)), n_classes=4, rng=rng(), resamples=20
    )
    assert found.value == pytest.approx(f1_score(labels, predicted, average="macro"))
    ours = confusion(labels, predicted, n_classes=4)
    assert (ours == confusion_matrix(labels, predicted, labels=range(4))).all()


def test_confused_classes_stand_side_by_side():
    matrix = np.diag([50] * 6)
    for one, two in ((0, 3), (1, 5), (2, 4)):
        matrix[one, two] = matrix[two, one] = 20
    order = similarity_order(matrix).tolist()
    assert sorted(order) == list(range(6))
    for one, two in ((0, 3), (1, 5), (2, 4)):
        assert abs(order.index(one) - order.index(two)) == 1


def test_no_confusion_keeps_the_given_order():
    assert similarity_order(np.diag([5, 5, 5])).tolist() == [0, 1, 2]


def test_a_class_outside_the_matrix_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        confusion(np.array([2]), np.array([1]), n_classes=2)


def test_baselines_never_look_at_their_own_fold():
    folds = np.array([0, 0, 0, 1, 1, 1])
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert majority_baseline(labels, folds).tolist() == [1, 1, 1, 0, 0, 0]
    features = np.array([[0.0], [5.0], [0.1], [0.0], [5.1], [5.0]])
    mixed = np.array([0, 1, 0, 0, 1, 1])
    assert nearest_centroid_baseline(features, mixed, folds).tolist() == mixed.tolist()
