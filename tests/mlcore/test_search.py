"""A search over heads is repeatable, keeps its budget, and changes nothing without good reason."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.protocols import HOLD_OUT, TIME, Protocol, divide
from mlcore.search import GRID, plan, search_head, unsearched
from mlcore.training import Cancelled

QUICK = Protocol(epochs=12, learning_rate=0.03, search=16)


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
    assert found.tried[found.kept].accuracy > found.tried[0].accuracy + 0.2
    assert unsearched(found.protocol) == QUICK


def test_the_usual_head_stays_where_nothing_can_be_learned_and_the_search_repeats_itself():
    features, labels = crossed(200)
    labels = np.random.default_rng(1).permutation(labels)
    two = replace(QUICK, search=11)  # seconds for two heads
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
