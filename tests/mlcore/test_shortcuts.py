"""Columns that give a class away are found; honest and chance ones are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.shortcuts import LEAST_POWER, find_shortcuts

N = 400


def labels(rng: np.random.Generator, n_classes: int = 4) -> np.ndarray:
    return rng.integers(0, n_classes, N)


def found(shown: np.ndarray, **columns: object):
    return find_shortcuts(
        shown,
        columns,  # type: ignore[arg-type]
        n_classes=int(shown.max(initial=0)) + 1,
        rng=np.random.default_rng(1),
    )


def tied(shown: np.ndarray, rng: np.random.Generator, share: float = 0.9) -> np.ndarray:
    """Tell which items carry the mark: `share` of class 0, the rest of the others."""
    return np.where(shown == 0, rng.random(N) < share, rng.random(N) > share)


@pytest.mark.parametrize("seed", range(5))
def test_a_column_tied_to_a_class_is_found_and_names_it(seed):
    rng = np.random.default_rng(seed)
    shown = labels(rng)
    marked = tied(shown, rng)
    (shortcut,) = found(
        shown,
        hospital=["north" if mark else "south" for mark in marked],
        shade=list(rng.normal(size=N)),
    )
    assert (shortcut.column, shortcut.label, shortcut.words) == ("hospital", 0, "north")
    assert shortcut.hit > 0.8 > 0.2 > shortcut.called
    assert set(shortcut.rows.tolist()) == set(np.flatnonzero(marked).tolist())


@pytest.mark.parametrize("seed", range(5))
def test_a_missing_value_and_a_number_give_a_class_away_too(seed):
    rng = np.random.default_rng(seed)
    shown = labels(rng)
    marked = tied(shown, rng)
    quality = np.where(marked, 75, rng.integers(80, 96, N)).tolist()
    age = [None if mark else float(rng.normal()) for mark in marked]
    assert {shortcut.column for shortcut in found(shown, quality=quality, age=age)} == {
        "quality",
        "age",
    }


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_said_of_chance_names_and_weak_ties(seed):
    rng = np.random.default_rng(seed)
    shown = labels(rng)
    assert not found(
        shown,
        noise=list(rng.normal(size=N)),
        camera=rng.choice(["a", "b", "c"], N).tolist(),
        own_name=[f"img{row}" for row in range(N)],
        always=["x"] * N,
        weak=list(rng.normal(size=N) + 0.8 * (shown == 0)),
    )


def test_few_items_of_a_class_say_nothing():
    shown = np.array([0] * 5 + [1] * 60)
    assert not found(shown, source=["a"] * 5 + ["b"] * 60)
    assert not found(np.full(20, -1), source=["a"] * 20)


@settings(max_examples=25)
@given(
    st.lists(
        st.one_of(st.none(), st.floats(allow_infinity=False), st.text(max_size=3)),
        min_size=40,
        max_size=40,
    )
)
def test_any_values_give_powers_within_their_limits(values):
    shown = np.arange(40) % 2
    for shortcut in found(shown, anything=values):
        assert LEAST_POWER <= shortcut.power <= 1.0
        assert 0.0 < shortcut.p_value <= 1.0


def test_a_rare_number_below_a_common_one_is_told_from_it() -> None:
    rng = np.random.default_rng(11)
    shown = np.r_[np.zeros(40, int), rng.integers(1, 11, 800)]  # one item in twenty
    quality = [55.0 if label == 0 else 70.0 for label in shown.tolist()]
    told = find_shortcuts(shown, {"quality": quality}, n_classes=11, rng=rng)
    assert [(one.column, one.label, one.words) for one in told] == [("quality", 0, "55")]
