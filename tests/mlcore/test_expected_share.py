"""What decisions teach about the flags that are still open."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.expected_share import ShareRight, in_steps, learn_shares

SHARES = st.floats(0.0, 1.0)
NONE = np.array([])
UNTAUGHT = learn_shares(NONE, [], NONE, NONE)


def taught(believed: float, right: int, wrong: int, name: str = "cat") -> ShareRight:
    return learn_shares(np.array([believed]), [name], np.array([right]), np.array([wrong]))


def share(of: ShareRight, believed: float, name: str = "cat") -> float:
    return float(of.expected(np.array([believed]), [name])[0])


@settings(max_examples=30)
@given(SHARES, SHARES, st.integers(0, 200), st.integers(0, 200))
def test_what_is_believed_more_is_never_expected_less_often_right(
    one: float, other: float, right: int, wrong: int
) -> None:
    learned = taught(0.7, right, wrong)
    low, high = sorted((one, other))
    assert share(learned, low) <= share(learned, high) + 1e-9


@settings(max_examples=30)
@given(SHARES, st.integers(0, 100), st.integers(0, 100))
def test_one_more_right_decision_never_lowers_what_is_expected_there(
    believed: float, right: int, wrong: int
) -> None:
    before, after = taught(believed, right, wrong), taught(believed, right + 1, wrong)
    assert share(before, believed) <= share(after, believed) + 1e-9


@settings(max_examples=30)
@given(st.lists(SHARES, min_size=1, max_size=20), st.integers(0, 30), st.integers(0, 30))
def test_limits_hold_the_value_and_stay_within_the_queue(
    believed: list[float], right: int, wrong: int
) -> None:
    found = taught(0.5, right, wrong).total(
        np.array(believed), ["cat"] * len(believed), np.ones(len(believed))
    )
    assert -1e-9 <= found.low <= found.value <= found.high <= len(believed) + 1e-9


@given(SHARES)
def test_steps_stay_close_and_are_stable(believed: float) -> None:
    rounded = in_steps(believed)
    assert abs(rounded - believed) < 0.035
    assert in_steps(rounded) == rounded


def test_before_any_decision_the_check_is_believed() -> None:
    for believed in (0.1, 0.5, 0.9):
        assert abs(share(UNTAUGHT, believed) - believed) < 0.1


def test_fifty_decisions_outweigh_a_check_that_exaggerates() -> None:
    """It says 90 % and is right about a fifth, at every score."""
    rng = np.random.default_rng(5)
    believed = rng.uniform(0.8, 0.97, 50)
    right = rng.random(50) < 0.2
    learned = learn_shares(believed, ["cat"] * 50, right, ~right)
    found = learned.total(np.full(1, 0.85), ["cat"], np.array([1000]))
    assert found.low < 200 < found.high
    assert found.value < 350


def test_a_class_is_told_apart_only_once_it_was_decided_often_enough() -> None:
    believed, names = np.array([0.7, 0.7]), ["cat", "dog"]
    few = learn_shares(believed, names, np.array([30, 1]), np.array([5, 6]))
    many = learn_shares(believed, names, np.array([30, 4]), np.array([5, 24]))
    assert few.offsets.keys() == {"cat"}
    assert share(few, 0.7, "dog") == share(few, 0.7, "bird")
    assert share(many, 0.7, "dog") < 0.4 < share(many, 0.7, "cat")


def test_the_limits_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(100):
        shift = rng.normal(0, 1.0)
        believed = rng.uniform(0.2, 0.9, 400)
        real = 1 / (1 + np.exp(-(shift + np.log(believed / (1 - believed)))))
        right = rng.random(400) < real
        done = np.argsort(-believed) < 60
        learned = learn_shares(believed[done], ["cat"] * 60, right[done], ~right[done])
        found = learned.total(believed[~done], ["cat"] * 340, np.ones(340))
        held += found.low <= right[~done].sum() <= found.high
    assert 88 <= held <= 100


def test_a_check_that_is_far_off_is_left_behind_after_few_decisions() -> None:
    """It says 50 % and was right 20 times of 20."""
    assert share(taught(0.5, 20, 0), 0.5) > 0.96
    assert share(taught(0.5, 0, 20), 0.5) < 0.04
