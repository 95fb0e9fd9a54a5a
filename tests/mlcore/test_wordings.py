"""Two wordings: a planted difference is found, and none is where there is none."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.agreement import agreement
from mlcore.wordings import alpha_of, difference, pair_rates, share_of

ITEMS, CLASSES = 60, 4


def votes_of(accuracies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let people answer every item, rightly as often as their accuracy says."""
    truth = rng.integers(CLASSES, size=ITEMS)
    votes = np.zeros((len(accuracies), ITEMS, CLASSES), dtype=int)
    for person, accuracy in enumerate(accuracies):
        wrong = (truth + rng.integers(1, CLASSES, size=ITEMS)) % CLASSES
        said = np.where(rng.random(ITEMS) < accuracy, truth, wrong)
        votes[person, np.arange(ITEMS), said] = 1
    return votes


def shown(first: float, second: float, *, people: int, seed: int) -> bool:
    rng = np.random.default_rng(seed)
    in_second = rng.permutation(people) >= people // 2
    means = np.where(in_second, second, first)
    votes = votes_of(np.clip(means + rng.normal(0, 0.06, people), 0.05, 0.98), rng)
    return difference(alpha_of(votes), in_second, rng=rng).is_shown


def test_people_of_differing_skill_alone_make_no_difference():
    found = sum(shown(0.75, 0.75, people=10, seed=seed) for seed in range(100))
    assert found <= 10  # 5 expected at most; 10 leaves two standard deviations


def test_a_wording_that_confuses_is_found():
    found = sum(shown(0.9, 0.65, people=10, seed=seed) for seed in range(20))
    assert found >= 18


def test_four_people_can_show_nothing():
    assert not any(shown(0.95, 0.3, people=4, seed=seed) for seed in range(10))


def test_agreement_is_that_of_the_crowd_pages():
    rng = np.random.default_rng(3)
    votes = votes_of(np.full(5, 0.7), rng)
    people, items, said = np.nonzero(votes)
    expected = agreement(items, people, said, n_classes=CLASSES, rng=rng, resamples=10).alpha.value
    assert np.isclose(alpha_of(votes)(np.ones((1, 5)))[0], expected)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_exchanging_the_wordings_turns_the_difference_around(first: int, second: int, seed: int):
    rng = np.random.default_rng(seed)
    asked = rng.integers(1, 50, size=first + second)
    measure = share_of(rng.binomial(asked, 0.5), asked)
    in_second = np.arange(first + second) >= first
    one = difference(measure, in_second, rng=np.random.default_rng(0))
    other = difference(measure, ~in_second, rng=np.random.default_rng(0))
    assert np.isclose(one.value, -other.value)
    assert np.isclose(one.low, -other.high)
    assert 0 < one.p_value <= 1


def test_pairs_are_those_that_people_disagree_between():
    first = np.array([[2, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 2]])
    second = np.array([[2, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]])
    pair, *others = pair_rates(first, second)
    assert (pair.classes, pair.items, others) == ((0, 1), (2, 0), [])
    assert pair.first == 4 / 6
    assert pair.second == 0.0
