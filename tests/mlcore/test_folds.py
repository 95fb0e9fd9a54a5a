"""Folds and splits keep together what belongs together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.folds import (
    SPLIT_NAMES,
    extend_split,
    grouped_folds,
    join_groups,
    propose_split,
)

few_groups = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=2, max_size=60
).filter(lambda pairs: len({group for _, group in pairs}) > 1)


@given(few_groups, st.integers(2, 6))
def test_no_group_straddles_folds_and_no_fold_is_empty(pairs, n_folds):
    labels, groups = np.array(pairs).T
    folds = grouped_folds(labels, groups, n_folds=n_folds, rng=np.random.default_rng(0))
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    assert len(np.unique(folds)) == min(n_folds, len(np.unique(groups)))
    assert folds.max() + 1 == len(np.unique(folds))


def test_single_items_are_dealt_evenly_by_label():
    labels = np.repeat([0, 1, 2], [100, 50, 25])
    folds = grouped_folds(labels, np.arange(175), rng=np.random.default_rng(1))
    per_fold = np.array([np.bincount(labels[folds == fold]) for fold in range(5)])
    assert (per_fold == [20, 10, 5]).all()


def test_groups_of_many_sizes_leave_folds_alike():
    rng = np.random.default_rng(2)
    groups = rng.zipf(1.6, size=2000) % 300
    labels = rng.integers(0, 4, size=2000)
    folds = grouped_folds(labels, groups, rng=rng)
    largest = np.bincount(groups).max()
    assert np.bincount(folds).max() <= max(largest, 440)


def test_a_class_with_fewer_items_than_folds_is_spread_over_some():
    labels = np.array([0] * 20 + [1] * 2)
    folds = grouped_folds(labels, np.arange(22), rng=np.random.default_rng(3))
    assert len(np.unique(folds[labels == 1])) == 2
    assert np.bincount(folds).tolist().count(4) >= 3


def test_one_group_alone_is_refused_in_words():
    with pytest.raises(ValueError, match="one group"):
        grouped_folds(np.array([0, 1]), np.array([7, 7]), rng=np.random.default_rng(0))


def test_the_same_seed_gives_the_same_folds():
    labels, groups = np.arange(60) % 3, np.arange(60) // 2
    first, second = (grouped_folds(labels, groups, rng=np.random.default_rng(4)) for _ in range(2))
    assert (first == second).all()


@given(st.lists(st.tuples(*[st.one_of(st.none(), st.integers(0, 5))] * 2), max_size=30))
def test_items_that_share_a_value_are_joined_and_chains_too(pairs):
    partitions = list(zip(*pairs, strict=True)) or [[], []]
    groups = join_groups(*partitions)
    for partition in partitions:
        for one, value in enumerate(partition):
            for two in range(one):
                if value is not None and partition[two] == value:
                    assert groups[one] == groups[two]
    lonely = [item for item, pair in enumerate(pairs) if pair == (None, None)]
    assert len({int(groups[item]) for item in lonely}) == len(lonely)


def test_a_proposed_split_keeps_shares_classes_and_groups():
    labels = np.arange(600) % 3
    groups = np.where(np.arange(600) < 60, np.arange(600) // 6, np.arange(600) + 1000)
    split, reason = propose_split(labels, groups, None, rng=np.random.default_rng(5))
    assert [(split == name).sum() for name in ("train", "validation", "test")] == pytest.approx(
        [420, 90, 90], abs=4
    )
    for group in range(10):
        assert len(np.unique(split[groups == group])) == 1
    assert "Shuffled" in reason
    assert "one source" in reason


def test_a_proposed_split_does_not_follow_file_order():
    labels = np.zeros(300, dtype=int)
    split, _ = propose_split(labels, np.arange(300), None, rng=np.random.default_rng(6))
    assert 20 < (split[:150] == "test").sum() + (split[150:] == "validation").sum() < 70


def test_the_latest_items_are_for_testing_when_times_differ():
    moments = np.random.default_rng(7).permutation(200).astype(float)
    split, reason = propose_split(
        np.arange(200) % 2, np.arange(200), moments, rng=np.random.default_rng(0)
    )
    assert moments[split == "test"].min() > moments[split == "validation"].max()
    assert moments[split == "validation"].min() > moments[split == "train"].max()
    assert reason.startswith("By time")


def test_a_missing_time_means_no_split_by_time():
    _, reason = propose_split(
        np.zeros(4), np.arange(4), [1.0, 2.0, 3.0, None], rng=np.random.default_rng(0)
    )
    assert reason.startswith("Shuffled")


@given(
    old=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(SPLIT_NAMES)), min_size=1),
    new=st.lists(st.integers(0, 19), min_size=1),
    seed=st.integers(0, 9),
)
def test_new_items_join_their_group_and_others_never_go_to_test(old, new, seed):
    groups = np.array([group for group, _ in old] + new)
    splits = np.array([name for _, name in old] + [""] * len(new))
    labels = np.arange(len(groups)) % 3
    found, _ = extend_split(labels, groups, splits, rng=np.random.default_rng(seed))
    assert (found[: len(old)] == splits[: len(old)]).all()
    for group in set(new):
        homes = {name for other, name in old if other == group}
        there = set(found[len(old) :][np.array(new) == group])
        assert len(there) == 1
        assert there <= homes if homes else there <= {"train", "validation"}


def test_new_items_keep_the_proportion_of_training_and_validation():
    splits = np.array(["train"] * 80 + ["validation"] * 20 + ["test"] * 50 + [""] * 150)
    labels = np.arange(300) % 2
    found, _ = extend_split(labels, np.arange(300), splits, rng=np.random.default_rng(1))
    for label in range(2):
        added = found[150:][labels[150:] == label]
        assert (added == "validation").sum() == 15
    without = np.where(splits == "validation", "train", splits)
    found, _ = extend_split(labels, np.arange(300), without, rng=np.random.default_rng(1))
    assert set(found[150:]) == {"train"}
