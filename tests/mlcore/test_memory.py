"""What memory buys is what copies and sources in several folds bring, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.folds import grouped_folds
from mlcore.memory import Memory, memory_gain, sample_of_groups

N, COLUMNS, CLASSES = 500, 120, 5


def measure(*, planted: str, grouped: bool, seed: int = 0) -> Memory:
    """Classes that a head can tell, with 10 % copies or ten sources of their own look."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, N)
    groups = np.arange(N)
    features = rng.normal(size=(CLASSES, COLUMNS))[labels] * 0.3 + rng.normal(size=(N, COLUMNS))
    if planted == "copies":
        of = rng.choice(N // 2, N // 10, replace=False)
        copies = np.arange(N - N // 10, N)
        features[copies] = features[of] + 0.1 * rng.normal(size=(len(of), COLUMNS))
        labels[copies], groups[copies] = labels[of], of
    if planted == "sources":
        groups = rng.integers(0, 10, N)
        features += 2 * rng.normal(size=(10, CLASSES, COLUMNS))[groups, labels]
    folds = rng.integers(0, 3, N)
    if grouped:
        folds = grouped_folds(labels, groups, n_folds=3, rng=rng)
    return memory_gain(features, labels, groups, folds, rng=rng)


@pytest.mark.parametrize("planted", ["copies", "sources"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_copies_and_sources_across_folds_buy_score_and_kept_together_none(planted, seed):
    torn = measure(planted=planted, grouped=False, seed=seed)
    kept = measure(planted=planted, grouped=True, seed=seed)
    assert torn.gain.low > 0.01
    assert kept.gain.low <= 0 <= kept.gain.high
    assert abs(kept.gain.value) < torn.gain.value / 4


def test_where_nothing_is_planted_a_good_score_is_no_memory():
    found = [measure(planted="", grouped=False, seed=seed) for seed in range(5)]
    assert all(one.score > 0.6 for one in found)
    assert not any(one.gain.low > 0 and one.gain.value >= 0.01 for one in found)


def test_limits_of_what_few_large_sources_recall_are_shares():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, 120), rng.integers(0, 3, 120)
    features = 0.8 * rng.normal(size=(3, 2, 30))[groups, labels] + rng.normal(size=(120, 30))
    found = memory_gain(features, labels, groups, rng.integers(0, 3, 120), rng=rng)
    assert 0 <= found.recalled.low < found.recalled.value < found.recalled.high <= 1
    assert found.recalled.high - found.chance == found.gain.high


def test_a_split_is_judged_by_what_its_own_training_part_holds():
    rng = np.random.default_rng(3)
    features, labels = rng.normal(size=(200, 300)), rng.integers(0, 4, 200)
    folds = np.where(np.arange(200) < 150, -1, 0)
    features[150:], labels[150:] = features[:50], labels[:50]
    groups = np.concatenate([np.arange(150), np.arange(50)])
    found = memory_gain(features, labels, groups, folds, rng=rng)
    assert found.n == 50
    assert found.recalled.value > 0.9


def test_one_class_or_nothing_to_judge_is_refused():
    rng, many = np.random.default_rng(0), np.arange(6)
    with pytest.raises(ValueError, match="two classes"):
        memory_gain(np.eye(6), np.zeros(6, int), many, many % 2, rng=rng)
    with pytest.raises(ValueError, match="others to judge"):
        memory_gain(np.eye(6), many % 2, many, np.full(6, -1), rng=rng)


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 40))
def test_a_sample_has_each_row_once_and_all_groups_while_there_is_room(groups, most):
    rows = sample_of_groups(np.array(groups, dtype=int), most=most, rng=np.random.default_rng(0))
    assert len(set(rows.tolist())) == len(rows) <= most
    if len(groups) <= most:
        assert sorted(rows.tolist()) == list(range(len(groups)))
    elif 2 * len(set(groups)) <= most:
        assert {groups[row] for row in rows} == set(groups)
