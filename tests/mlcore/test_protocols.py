"""Heads are judged on what they did not learn, on nothing that belongs to it, on nothing older."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.protocols import FOLDS, HOLD_OUT, SCHEMES, TIME, Protocol, divide, suited
from mlcore.training import cross_validate

items = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 15),
        st.one_of(st.just(np.nan), st.integers(0, 40).map(float)),
    ),
    min_size=2,
    max_size=60,
)


@given(items, st.sampled_from(SCHEMES), st.integers(1, 3), st.integers(2, 6))
def test_no_group_is_both_learned_and_asked_about(drawn, scheme, shuffles, n_folds):
    labels, groups = (np.array(column) for column in list(zip(*drawn, strict=True))[:2])
    times = np.array([moment for *_rest, moment in drawn])
    protocol = Protocol(scheme=scheme, shuffles=shuffles, n_folds=n_folds)
    try:
        found = divide(labels, groups, protocol=protocol, times=times)
    except ValueError:  # one group, or nothing that is only older
        return
    for divisions in found:
        asked = np.concatenate([division.unseen for division in divisions])
        assert len(np.unique(asked)) == len(asked)
        if scheme == FOLDS:
            assert len(asked) == len(labels)
        for division in divisions:
            assert min(len(division.seen), len(division.unseen)) > 0
            assert not set(groups[division.seen]) & set(groups[division.unseen])
            if scheme == TIME:
                assert times[division.seen].max() <= times[division.unseen].min()


def test_the_number_of_items_chooses_and_a_wish_goes_first():
    assert suited(Protocol(), n_items=60) == Protocol(shuffles=3)
    assert suited(Protocol(), n_items=5_000) == Protocol()
    assert suited(Protocol(), n_items=500_000).scheme == HOLD_OUT
    assert suited(Protocol(), n_items=60, scheme=TIME) == Protocol(scheme=TIME)


def test_most_items_in_order_of_time_are_predicted():
    labels, times = np.arange(120) % 2, np.arange(120.0)
    (steps,) = divide(labels, np.arange(120), protocol=Protocol(scheme=TIME), times=times)
    assert [len(step.unseen) for step in steps] == [20] * 5
    assert [len(step.seen) for step in steps] == [20, 40, 60, 80, 100]


def test_sources_that_lie_across_the_dates_are_learned_up_to_the_step():
    labels, groups, times = np.arange(600) % 6, np.arange(600) % 50, np.arange(600.0)
    groups[300:] += 50  # the first fifty sources go on all the first half, the others follow
    (steps,) = divide(labels, groups, protocol=Protocol(scheme=TIME), times=times)
    (step,) = steps
    assert step.seen.tolist() == list(range(300))
    assert set(groups[step.unseen]) == set(range(50, 100))


def test_sources_that_all_lie_across_all_dates_leave_nothing_to_judge_by():
    labels, groups, times = np.arange(600) % 6, np.arange(600) % 50, np.arange(600.0)
    with pytest.raises(ValueError, match="the sources that lie across them"):
        divide(labels, groups, protocol=Protocol(scheme=TIME), times=times)


def test_without_dates_nothing_is_judged_by_time():
    labels, times = np.arange(20) % 2, np.full(20, np.nan)
    with pytest.raises(ValueError, match="No item has a date"):
        divide(labels, np.arange(20), protocol=Protocol(scheme=TIME), times=times)


def test_several_shuffles_count_by_their_mean_and_one_part_alone_leaves_the_rest_unasked():
    rng = np.random.default_rng(0)
    labels, groups = np.arange(60) % 2, np.arange(60)
    features = (labels[:, None] + rng.normal(size=(60, 5))).astype(np.float32)
    quick = Protocol(epochs=3, learning_rate=0.05, n_folds=2)
    reports = []
    found = cross_validate(
        features, labels, groups, n_classes=2,
        protocol=replace(quick, shuffles=2), on_fold=reports.append,
    )  # fmt: skip
    assert len(reports) == len(found.heads) == 4
    sums = np.zeros((60, 2), dtype=np.float32)
    for report in reports:
        sums[report.items] += report.probabilities
    assert found.probabilities == pytest.approx(sums / 2)
    held = cross_validate(
        features, labels, groups, n_classes=2, protocol=replace(quick, scheme=HOLD_OUT)
    )
    assert np.isnan(held.probabilities[held.folds < 0]).all()
    assert np.array_equal(np.flatnonzero(held.folds == 0), held.divisions[0].unseen)
    assert (held.folds < 0).sum() == 30
