"""A pair of classes is reported when most people confuse it, not when one of them spams."""

import csv
import gzip

import numpy as np
import pytest

from mlcore.class_pairs import confused_pairs
from mlcore.consensus import aggregate
from tests.mlcore.crowds import Crowd, coins, crowd_of
from tests.shared import shared_path


def pairs_of(crowd: Crowd) -> list[tuple[int, int]]:
    said = crowd.items, crowd.annotators, crowd.answers
    posterior = aggregate(*said, n_classes=crowd.n_classes).posterior
    return [pair.classes for pair in confused_pairs(*said, posterior=posterior)]


def crowd_that_confuses(people: int, *, among: int, answers_an_item: int = 4) -> Crowd:
    """The first `people` of `among` take classes 1 and 2 for each other in one case of four."""
    rng = np.random.default_rng(people)
    matrices = coins(rng.uniform(0.85, 0.95, among), n_classes=5)
    matrices[:people, 1] = [0.02, 0.7, 0.25, 0.02, 0.01]
    matrices[:people, 2] = [0.02, 0.25, 0.7, 0.02, 0.01]
    return crowd_of(matrices, n_items=1200, answers_an_item=answers_an_item, rng=rng)


@pytest.mark.parametrize("among", [12, 300])
def test_a_pair_that_all_confuse_comes_first(among: int) -> None:
    assert pairs_of(crowd_that_confuses(among, among=among))[0] == (1, 2)


def test_one_annotator_who_confuses_a_pair_raises_nothing() -> None:
    clean = coins([0.95] * 12, n_classes=5)
    clean[0] = np.eye(5)[[0, 2, 1, 3, 4]]
    crowd = crowd_of(clean, n_items=1200, answers_an_item=4, rng=np.random.default_rng(0))
    assert (1, 2) not in pairs_of(crowd)


@pytest.mark.parametrize("seed", range(4))
def test_people_who_differ_in_care_alone_confuse_no_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    skills = coins(rng.uniform(0.8, 0.95, 20), n_classes=5)
    assert pairs_of(crowd_of(skills, n_items=800, answers_an_item=4, rng=rng)) == []


def test_a_class_that_is_spammed_raises_no_pair() -> None:
    rng = np.random.default_rng(5)
    matrices = coins(np.full(15, 0.9), n_classes=5)
    matrices[:9] *= 0.7
    matrices[:9, :, 3] += 0.3
    crowd = crowd_of(matrices, n_items=1500, answers_an_item=5, rng=rng)
    said = crowd.items, crowd.annotators, crowd.answers
    known = np.eye(5)[crowd.truth]
    assert all(pair.rate < 0.02 for pair in confused_pairs(*said, posterior=known))


@pytest.mark.parametrize("seed", range(8))
def test_answers_too_few_for_two_voices_confuse_no_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert (
        pairs_of(
            crowd_of(coins(np.full(2, 0.9), n_classes=3), n_items=24, answers_an_item=2, rng=rng)
        )
        == []
    )


def test_first_three_pairs_of_people_who_labelled_cifar_are_those_of_the_truth() -> None:
    folder = shared_path("data/cifar10")
    with gzip.open(folder / "cifar10n_answers.csv.gz", "rt") as file:
        rows = [(row["item"], row["worker"], row["label"]) for row in csv.DictReader(file)]
    (names, items), (_, annotators), (classes, answers) = (
        np.unique(column, return_inverse=True) for column in zip(*rows)
    )
    truth = np.searchsorted(classes, [str(name).split("/")[1] for name in names])
    taken = np.zeros((10, 10))
    np.add.at(taken, (truth[items], answers), 1)
    both = np.triu(taken + taken.T, 1) / np.add.outer(np.bincount(truth), np.bincount(truth))
    wanted = {divmod(int(place), 10) for place in np.argsort(-both.ravel())[:3]}
    found = pairs_of(Crowd(truth, items, annotators, answers, 10))
    assert set(found[:3]) == wanted


def test_a_minority_who_confuses_a_pair_raises_nothing() -> None:
    assert (1, 2) not in pairs_of(crowd_that_confuses(5, among=16, answers_an_item=8))
