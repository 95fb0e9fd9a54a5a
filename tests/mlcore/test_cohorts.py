"""People who read the question differently are found, and no such people where there are none."""

import numpy as np
import pytest

from mlcore.cohorts import attribute_effect, cohorts
from tests.mlcore.crowds import Crowd, coins, crowd_of, mixed_crowd

PEOPLE, ITEMS = 40, 300
#: Six hold every mixture once; what one crowd in twenty may do is seen in forty alone.
few_and_many = pytest.mark.parametrize("crowds", [6, pytest.param(40, marks=pytest.mark.slow)])


def crowd_with_two_readings(
    *, share: float, n_classes: int, rng: np.random.Generator, hard: float = 0.0
) -> tuple[Crowd, np.ndarray, np.ndarray]:
    """A quarter of the items has a property for which some people have another class.

    Of the items the share `hard` is answered by any of two classes by chance.
    """
    matrices = coins(rng.uniform(0.75, 0.95, PEOPLE), n_classes=n_classes)
    crowd = crowd_of(matrices, n_items=ITEMS, answers_an_item=8, rng=rng)
    group = (rng.permutation(PEOPLE) < share * PEOPLE).astype(int)
    has_property = rng.random(ITEMS) < 0.25
    is_hard = rng.random(ITEMS) < hard
    truth = crowd.truth[crowd.items]
    chance = is_hard[crowd.items] & (rng.random(len(truth)) < 0.5)
    other = has_property[crowd.items] & (group[crowd.annotators] == 1)
    changed = chance | (other & (crowd.answers == truth))
    answers = np.where(changed, (truth + 1) % n_classes, crowd.answers)
    return crowd._replace(answers=answers), group, has_property


@pytest.mark.parametrize("n_classes", [2, 4])
def test_three_people_in_ten_who_read_a_property_differently_are_found(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    crowd, group, has_property = crowd_with_two_readings(share=0.3, n_classes=n_classes, rng=rng)
    found = cohorts(*crowd[1:4], n_classes=n_classes, rng=rng)
    assert found is not None
    assert (found.group == group).mean() >= 0.9
    assert has_property[found.items[:10]].mean() >= 0.9
    truth = crowd.truth[found.items[0]]
    assert found.answers[0].tolist() == [truth, (truth + 1) % n_classes]


@few_and_many
def test_nobody_is_found_in_nineteen_homogeneous_crowds_of_twenty(crowds: int) -> None:
    found = 0
    for seed in range(crowds):
        rng = np.random.default_rng(seed)
        n_classes, hard = (2, 3, 4)[seed % 3], (0.0, 0.3)[seed % 2]
        crowd, _, _ = crowd_with_two_readings(share=0.0, n_classes=n_classes, rng=rng, hard=hard)
        found += cohorts(*crowd[1:4], n_classes=n_classes, rng=rng) is not None
    assert found <= max(1, crowds // 20)


@few_and_many
def test_careless_and_biased_people_are_no_cohort(crowds: int) -> None:
    found = 0
    for seed in range(crowds):
        rng = np.random.default_rng(seed)
        crowd = mixed_crowd(n_items=ITEMS, answers_an_item=8, n_classes=2 + seed % 3, rng=rng)
        found += cohorts(*crowd[1:4], n_classes=crowd.n_classes, rng=rng) is not None
    assert found <= max(1, crowds // 20)


def test_too_few_people_are_no_crowd() -> None:
    said = np.repeat(np.arange(9), 3), np.tile(np.arange(3), 9), np.zeros(27, int)
    assert cohorts(*said, n_classes=2, rng=np.random.default_rng(0)) is None


def test_an_attribute_that_decides_the_reading_is_told_from_one_that_does_not() -> None:
    rng = np.random.default_rng(3)
    crowd, group, _ = crowd_with_two_readings(share=0.3, n_classes=4, rng=rng)
    decides = attribute_effect(*crowd[1:4], group, n_classes=4, rng=rng)
    assert decides is not None
    assert decides <= 0.005
    chances = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        idle = attribute_effect(*crowd[1:4], rng.permutation(group), n_classes=4, rng=rng)
        assert idle is not None
        chances.append(idle)
    assert np.mean(np.array(chances) < 0.05) <= 0.15


def test_an_attribute_that_nobody_shares_says_nothing() -> None:
    rng = np.random.default_rng(4)
    crowd, _, _ = crowd_with_two_readings(share=0.0, n_classes=3, rng=rng)
    unknown = np.full(PEOPLE, -1)
    assert attribute_effect(*crowd[1:4], unknown, n_classes=3, rng=rng) is None
