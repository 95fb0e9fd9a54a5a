"""A search over heads is repeatable, keeps its budget, and changes nothing without good reason."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.protocols import HOLD_OUT, TIME, Protocol, divide
from mlcore.search import (
    GRID,
    SEARCHED,
    TUNED,
    choose,
    heads_of_folds,
    plan,
    search_head,
    unsearched,
)
from mlcore.success import ACCURACY, COST, ROC_AUC, Success
from mlcore.training import Cancelled

QUICK = Protocol(epochs=12, learning_rate=0.03, search=48)


def crossed(n_items=500):
    """Two classes that no straight line divides."""
    features = np.random.default_rng(4).normal(size=(n_items, 2)).astype(np.float32)
    return features, (features[:, 0] * features[:, 1] > 0).astype(np.int64)


def searched(features, labels, **more):
    more = {"n_classes": 2, "protocol": QUICK} | more
    return search_head(features, labels, np.arange(len(labels)), **more)


def test_a_head_that_is_clearly_better_is_kept():
    found = searched(*crossed())
    assert found.protocol.hidden > 0
    assert found.tried[found.kept].lead.low > 0
    assert found.tried[found.kept].value > found.tried[0].value + 0.2
    assert unsearched(found.protocol) == QUICK


def test_the_usual_head_stays_where_nothing_can_be_learned_and_the_search_repeats_itself():
    features, labels = crossed(200)
    labels = np.random.default_rng(1).permutation(labels)
    two = replace(QUICK, search=33)  # seconds for two heads
    once, again = (searched(features, labels, protocol=two) for _time in range(2))
    assert once == again
    assert once.kept == 0
    assert once.protocol == two
    assert len(once.tried) == 2


def test_items_that_judge_the_run_have_no_say_where_some_do_not():
    features, labels = crossed(200)
    times = np.arange(200.0)
    for scheme in (HOLD_OUT, TIME):
        protocol = replace(QUICK, scheme=scheme, epochs=2, search=11)
        divisions = divide(labels, np.arange(200), protocol=protocol, times=times)[0]
        asked = np.concatenate([one.unseen for one in divisions])
        absurd = features.copy()
        absurd[asked] = 1e6
        found = [
            searched(one, labels, protocol=protocol, times=times) for one in (features, absurd)
        ]
        assert found[0] == found[1]
        assert 0 < found[0].n_items <= 200 - len(asked)


def test_no_item_has_a_say_in_the_head_of_its_own_fold():
    features, labels = crossed(300)
    alone = np.arange(300)
    divisions = divide(labels, alone, protocol=QUICK)[0]
    half = np.concatenate([one.unseen for one in divisions[:2]])
    spoilt = features.copy()
    spoilt[half] = 1.0
    found = heads_of_folds(features, labels, alone, n_classes=2, protocol=QUICK)
    told = heads_of_folds(spoilt, labels, alone, n_classes=2, protocol=QUICK)
    assert [set(head) for head in found] == [set(SEARCHED)] * 5
    assert all(head["hidden"] for head in found)
    assert told[:2] == found[:2]
    assert not any(head["hidden"] for head in told[2:])
    held_out = replace(QUICK, scheme=HOLD_OUT)
    assert heads_of_folds(features, labels, alone, n_classes=2, protocol=held_out) == ()


def test_heads_are_judged_by_what_success_means():
    features, labels = crossed(300)
    cost = Success(COST, costs=np.array([[0.0, 4.0], [1.0, 0.0]]))
    found = searched(features, labels, success=cost)
    best = found.tried[found.kept]
    assert best.value < found.tried[0].value
    assert 0 < best.lead.low < best.lead.value < 4
    assert np.isclose(found.tried[0].value - best.value, best.lead.value)
    nobody = searched(features, labels, n_classes=3, success=Success(ROC_AUC, positive=2))
    assert nobody.protocol == QUICK
    assert "chosen class" in nobody.reason


def answers(n_wrong, sure=0.8):
    """Probabilities of 200 items of two classes in turn, of which so many are read as the other."""
    right = np.where(np.arange(200) < n_wrong, 1 - sure, sure)
    return np.where(np.arange(200)[:, None] % 2 == [0, 1], right[:, None], 1 - right[:, None])


@pytest.mark.parametrize(
    ("n_wrong", "sure", "is_kept"),
    [
        (34, 0.8, True),
        (42, 0.8, True),  # two of 200 are no evidence
        (60, 0.8, False),
        (40, 0.99, False),  # as often wrong, but sure of it
    ],
)
@pytest.mark.parametrize("success", [Success(ACCURACY), Success(COST, costs=1 - np.eye(2))])
def test_fine_tuning_stays_unless_it_is_clearly_worse(n_wrong, sure, is_kept, success):
    told = [answers(40), answers(n_wrong, sure)]
    found = choose(
        ({}, TUNED), told, np.arange(200) % 2, np.arange(200), protocol=QUICK, success=success
    )
    assert found.protocol.tuned is is_kept
    assert found.tried[found.kept].changes == (TUNED if is_kept else {})
    assert (found.tried[1].surprise.value > 0) is (n_wrong > 40 or sure > 0.8)


def test_fine_tuning_must_stand_up_to_the_best_frozen_head():
    heads = ({}, {"hidden": 64}, TUNED)
    told = [answers(80), answers(20), answers(75)]
    found = choose(heads, told, np.arange(200) % 2, np.arange(200), protocol=QUICK)
    assert (found.protocol.hidden, found.protocol.tuned) == (64, False)


def test_a_search_ends_when_asked_to():
    heads = []
    with pytest.raises(Cancelled):
        searched(
            *crossed(60),
            on_head=lambda number, _of: heads.append(number),
            should_stop=lambda: len(heads) > 1,
        )
    assert heads == [0, 1]


def test_one_group_or_one_class_leaves_nothing_to_search():
    features, labels = crossed(60)
    for groups, given_labels in ((np.zeros(60), labels), (np.arange(60), np.zeros(60, np.int64))):
        found = search_head(features, given_labels, groups, n_classes=2, protocol=QUICK)
        assert (found.protocol, found.tried) == (QUICK, ())


@given(st.integers(0, 10**6), st.integers(1, 4096), st.integers(1, 600))
def test_more_seconds_never_mean_fewer_heads_nor_more_items_than_there_are(items, features, s):
    heads, taken = plan(items, features, seconds=s)
    more_heads, more_taken = plan(items, features, seconds=s + 30)
    assert 1 <= heads <= more_heads <= len(GRID)
    assert 0 <= taken <= items
    assert more_taken <= items
