"""The pull of suggestions is estimated with limits that hold it."""

import numpy as np
import pytest

from mlcore.suggestion_pull import suggestion_pull


def answers_under(
    pull: float, *, rng: np.random.Generator, people: int = 12, spread: float = 0.0
) -> tuple[np.ndarray, ...]:
    """Suggestions are right in 8 of 10 cases, people in 85 of 100; a tenth is hidden."""
    n = 3000
    annotators = rng.integers(0, people, n)
    shown = rng.random(n) > 0.1
    right = rng.random(n) < 0.85
    suggestion_right = rng.random(n) < 0.8
    own = np.where(right, suggestion_right, ~suggestion_right & (rng.random(n) < 0.3))
    pulls = np.clip(pull + spread * rng.standard_normal(people), 0, 1)[annotators]
    return shown, own | (shown & (rng.random(n) < pulls)), annotators


@pytest.mark.parametrize("pull", [0.0, 0.1, 0.3])
def test_the_limits_hold_the_pull_nine_times_in_ten(pull: float) -> None:
    rng = np.random.default_rng(int(100 * pull))
    held = 0
    for _ in range(200):
        found = suggestion_pull(*answers_under(pull, rng=rng))
        assert found is not None
        held += found.low <= pull <= found.high
    assert held >= 180


def test_people_who_are_pulled_differently_widen_the_limits_and_are_held() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        found = suggestion_pull(*answers_under(0.3, rng=rng, spread=0.1))
        assert found is not None
        held += found.low <= 0.3 <= found.high
    assert held >= 180


def test_a_clear_pull_is_told_from_none() -> None:
    found = suggestion_pull(*answers_under(0.3, rng=np.random.default_rng(2)))
    assert found is not None
    assert found.low > 0.1


def test_without_a_comparison_nothing_is_said() -> None:
    yes, people = np.ones(10, bool), np.arange(10)
    assert suggestion_pull(yes, yes, people) is None
    assert suggestion_pull(~yes, ~yes, people) is None
    assert suggestion_pull(np.arange(10) > 5, yes, people) is None
    assert suggestion_pull(yes[:0], yes[:0], people[:0]) is None
