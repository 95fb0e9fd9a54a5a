"""Scores come with limits that hold, and confusion matrices count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from mlcore.baselines import majority_baseline, nearest_centroid_baseline
from mlcore.confusion import confusion, similarity_order
from mlcore.intervals import (
    accuracy_interval,
    difference_interval,
    groups_worth,
    macro_f1_interval,
    paired_difference,
    recall_difference,
    subset_difference,
    variance_of,
)
from mlcore.protocols import Division


def rng():
    return np.random.default_rng(0)


def test_the_interval_of_single_items_is_that_of_the_binomial():
    correct = np.arange(400) < 300
    found = accuracy_interval(correct, np.arange(400))
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.75, 0.75 - half, 0.75 + half), abs=0.006
    )


def test_items_of_one_group_are_no_independent_evidence():
    correct = np.arange(400) < 300
    alone = accuracy_interval(correct, np.arange(400))
    tens = accuracy_interval(correct, np.arange(400) // 10)
    assert tens.high - tens.low > 2.5 * (alone.high - alone.low)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2))
def test_what_leaving_out_a_group_moves_is_what_its_items_pull(rows):
    right, groups = np.array(rows).T
    kept = [groups != group for group in np.unique(groups)]
    if len(kept) > 1:
        moved = right.mean() - np.array([right[of].mean() for of in kept])
        pulls = right - right.mean()
        assert variance_of(pulls, groups) == pytest.approx(variance_of(pulls, groups, moved))


@pytest.mark.parametrize("n_groups", [10, 60])
@pytest.mark.parametrize("accuracy", [0.6, 0.85, 0.95])
@pytest.mark.parametrize("like", [0.0, 0.3, 1.0])
def test_limits_hold_the_truth_where_one_group_holds_a_third(n_groups, accuracy, like):
    source = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        sizes = source.geometric(0.3, size=n_groups - 1)
        groups = np.repeat(np.arange(n_groups), [max(1, sizes.sum() // 2), *sizes])
        rate = _rates(accuracy, like, n_groups, source)[groups]
        found = accuracy_interval(source.random(len(groups)) < rate, groups)
        assert found.low <= found.value <= found.high
        held += found.low <= accuracy <= found.high
    assert held >= 0.9 * 300


@pytest.mark.parametrize("accuracy", [0.6, 0.95])
def test_limits_hold_the_truth_where_few_of_many_groups_hold_most_items(accuracy):
    """Sizes have a heavy tail, a group is all right or all wrong, and wrong ones may be mended."""
    source, repeats = np.random.default_rng(2), 300
    held = np.zeros(3)
    for _ in range(repeats):
        sizes = np.clip((source.pareto(1.2, size=150) * 2).astype(int), 1, 500)
        groups = np.repeat(np.arange(150), sizes)
        right = (source.random(150) < accuracy)[groups]
        mended = (source.random(150) < 0.3)[groups]
        after = np.where(right, source.random(len(right)) >= 0.05, mended)
        score, change = accuracy_interval(right, groups), paired_difference(right, after, groups)
        f1 = macro_f1_interval(0 * groups, 1 - right, groups, n_classes=2)
        truths = accuracy, 0.3 * (1 - accuracy) - 0.05 * accuracy, accuracy / (1 + accuracy)
        held += [
            found.low <= truth <= found.high
            for found, truth in zip((score, change, f1), truths, strict=True)
        ]
    assert (held >= 0.9 * repeats).all()


def _rates(accuracy, like, n_groups, source):
    if like in (0.0, 1.0):
        return source.random(n_groups) < accuracy if like else np.full(n_groups, accuracy)
    weight = (1 - like) / like
    return source.beta(accuracy * weight, (1 - accuracy) * weight, size=n_groups)


def test_limits_are_no_wider_than_they_need_to_be():
    source = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        rate = np.repeat(source.beta(8, 2, size=60), 5)
        found = accuracy_interval(source.random(300) < rate, np.arange(300) // 5)
        held += found.low <= 0.8 <= found.high
    assert 0.92 * 300 <= held <= 0.98 * 300


def test_the_value_is_not_at_the_edge_where_one_large_group_differs():
    """A third of the items come from one source, and those are harder."""
    correct = np.concatenate([np.arange(70) < 50, np.arange(140) < 130])
    groups = np.concatenate([np.zeros(70), np.arange(140) // 4 + 1])
    found = accuracy_interval(correct, groups)
    assert found.value == pytest.approx(180 / 210)
    assert found.value - found.low > 0.5 * (found.high - found.low) / 2
    assert found.high - found.value > 0.3 * (found.high - found.low) / 2


def test_all_right_is_not_taken_for_certain():
    assert accuracy_interval(np.ones(400), np.arange(400)).low == pytest.approx(0.99, abs=0.002)
    assert accuracy_interval(np.ones(400), np.arange(400) // 100).low < 0.5


def test_one_group_tells_next_to_nothing():
    found = accuracy_interval(np.arange(50) < 40, np.zeros(50))
    assert found.low < 0.01
    assert found.high > 0.99
    assert groups_worth(np.zeros(50)) == 1.0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 5)), min_size=1),
)
def test_every_value_lies_inside_its_limits(rows):
    labels, predicted, groups = np.array(rows).T
    right, other = labels == predicted, labels == 0
    for found in (
        accuracy_interval(right, groups),
        macro_f1_interval(labels, predicted, groups, n_classes=4),
        paired_difference(right, other, groups),
    ):
        assert -1 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("n", [8, 50, 500])
def test_where_no_answer_changed_a_small_change_is_still_possible(n):
    """With no change in n items one in n / 3 may change (the rule of three)."""
    correct = rng().random(n) < 0.7
    found = paired_difference(correct, correct, np.arange(n))
    assert (found.value, found.p_value) == (0.0, 1.0)
    assert found.low == -found.high
    assert 1.5 / n < found.high < 3 / n


@pytest.mark.parametrize("together", [1, 5])
def test_few_changes_in_few_items_hold_the_truth(together):
    """30 % of the wrong items become right, 5 % of the right ones wrong; at times none is."""
    truth, held = 0.3 * 0.15 - 0.05 * 0.85, 0
    for seed in range(300):
        draw = np.random.default_rng(seed)
        groups = np.repeat(np.arange(14), together)
        right = draw.random(len(groups)) < 0.85
        after = np.where(right, draw.random(len(right)) >= 0.05, draw.random(len(right)) < 0.3)
        found = paired_difference(right, after, groups)
        held += found.low <= truth <= found.high
    assert held / 300 > 0.93


@pytest.mark.parametrize("n_groups", [10, 40])
def test_a_difference_holds_the_truth_where_groups_change_as_a_whole(n_groups):
    """Each group is all right or all wrong, and of the wrong ones 30 % become all right."""
    held = 0
    for seed in range(300):
        draw = np.random.default_rng(seed)
        groups = np.repeat(np.arange(n_groups), 5)
        right = (draw.random(n_groups) < 0.6)[groups]
        mended = (draw.random(n_groups) < 0.3)[groups]
        after = np.where(right, draw.random(len(right)) >= 0.05, mended)
        found = paired_difference(right, after, groups)
        held += found.low <= 0.3 * 0.4 - 0.05 * 0.6 <= found.high
    assert 0.92 <= held / 300 <= 0.995


def test_whole_groups_that_might_change_widen_no_difference_of_many_groups():
    draw = rng()
    groups = np.repeat(np.arange(200), 5)
    right = draw.random(1000) < 0.8
    after = np.where(right, draw.random(1000) >= 0.05, draw.random(1000) < 0.3)
    found = paired_difference(right, after, groups)
    own = difference_interval(after.astype(float) - right, groups)
    assert (found.low, found.high) == (own.low, own.high)


@given(n=st.integers(1, 30), groups=st.integers(1, 30))
def test_items_that_all_changed_alike_still_have_limits(n, groups):
    found = paired_difference(np.zeros(n, bool), np.ones(n, bool), np.arange(n) % groups)
    assert found.value == found.high == 1
    assert found.low < 1
    if n <= 3:
        assert found.low < 0 < found.p_value


def test_a_gain_is_counted_and_tested_exactly():
    before = np.zeros(40, dtype=bool)
    after = np.arange(40) < 8
    found = paired_difference(before, after, np.arange(40))
    assert (found.gained, found.lost) == (8, 0)
    assert found.value == pytest.approx(0.2)
    assert found.p_value == pytest.approx(2 * 0.5**8)
    assert found.low > 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_macro_f1_and_confusion_agree_with_scikit_learn(pairs):
    labels, predicted = np.array(pairs).T
    found = macro_f1_interval(labels, predicted, np.arange(len(labels)), n_classes=4)
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
    halves = np.arange(3), np.arange(3, 6)
    divisions = [Division(halves[1], halves[0]), Division(halves[0], halves[1])]
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert majority_baseline(labels, divisions).tolist() == [1, 1, 1, 0, 0, 0]
    features = np.array([[0.0], [5.0], [0.1], [0.0], [5.1], [5.0]])
    mixed = np.array([0, 1, 0, 0, 1, 1])
    near = nearest_centroid_baseline(features, mixed, divisions, n_classes=2)
    assert near.argmax(axis=1).tolist() == mixed.tolist()
    assert near.sum(axis=1) == pytest.approx(1)


@given(st.integers(0, 2**32 - 1))
def test_the_difference_in_mean_recall_is_that_of_the_classes_recalls(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=60)
    before, after = rng.random(60) < 0.5, rng.random(60) < 0.7
    recalls = [after[labels == k].mean() - before[labels == k].mean() for k in np.unique(labels)]
    found = recall_difference(before, after, labels, rng.integers(20, size=60))
    assert found.value == pytest.approx(np.mean(recalls))
    assert found.low <= found.value <= found.high


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), min_size=2))
def test_a_subset_differs_by_what_its_accuracy_differs_and_all_of_it_by_nothing(rows):
    correct, is_kept, groups = (np.array(column) for column in zip(*rows, strict=True))
    is_kept[0] = True
    found = subset_difference(correct, is_kept, groups)
    assert found.value == pytest.approx(correct[is_kept].mean() - correct.mean())
    assert found.low <= found.value <= found.high
    whole = subset_difference(correct, np.ones(len(rows), bool), groups)
    assert (whole.value, whole.low, whole.high) == (0, 0, 0)


def test_limits_of_a_subset_hold_no_difference_where_there_is_none():
    rng = np.random.default_rng(6)
    held = 0
    for _repeat in range(200):
        groups = np.repeat(np.arange(60), 3)
        correct = rng.random(180) < np.repeat(rng.beta(4, 1, 60), 3)
        found = subset_difference(correct, np.repeat(rng.random(60) < 0.7, 3), groups)
        held += found.low <= 0 <= found.high
    assert 180 <= held <= 199
