"""Simulated crowds of known truth and skill, and the real ones of the shared folder."""

import csv
import gzip
from typing import NamedTuple

import numpy as np

from tests.shared import shared_path


class Crowd(NamedTuple):
    """Answers with the truth they are about; -1 where the truth is not known."""

    truth: np.ndarray
    items: np.ndarray
    annotators: np.ndarray
    answers: np.ndarray
    n_classes: int

    def right(self, label: np.ndarray) -> float:
        known = self.truth >= 0
        return float((label[known] == self.truth[known]).mean())


def crowd_of(
    matrices: np.ndarray,
    *,
    n_items: int,
    answers_an_item: int,
    rng: np.random.Generator,
    shares: np.ndarray | None = None,
) -> Crowd:
    """Draw annotators without repetition; `matrices` is P(answer | class) of each of them."""
    n_annotators, n_classes, _ = matrices.shape
    truth = rng.choice(n_classes, n_items, p=shares)
    drawn = rng.random((n_items, n_annotators)).argsort(axis=1)[:, :answers_an_item]
    items, annotators = np.repeat(np.arange(n_items), answers_an_item), drawn.ravel()
    reached = matrices[annotators, truth[items]].cumsum(axis=1)
    answers = (rng.random(len(items))[:, None] > reached).sum(axis=1).clip(0, n_classes - 1)
    return Crowd(truth, items, annotators, answers, n_classes)


def coins(right: np.ndarray | list[float], *, n_classes: int) -> np.ndarray:
    """Return matrices of annotators who are right so often, and wrong in any other way."""
    share = np.asarray(right, dtype=float)[:, None, None]
    return np.where(np.eye(n_classes, dtype=bool), share, (1 - share) / max(1, n_classes - 1))


def real_crowd(name: str) -> Crowd:
    """Read one of the real crowds; of a person's several answers to an item, all are kept."""
    folder = shared_path(f"data/crowd/{name}")
    packed = folder / "answers.csv.gz"
    with gzip.open(packed, "rt") if packed.exists() else (folder / "answers.csv").open() as file:
        rows = [(row["item"], row["worker"], row["label"]) for row in csv.DictReader(file)]
    with (folder / "truth.csv").open() as file:
        truth_of = {row["item"]: row["label"] for row in csv.DictReader(file)}
    (names, items), (_, annotators), (classes, answers) = (
        np.unique(column, return_inverse=True) for column in zip(*rows)
    )
    places = {str(label): place for place, label in enumerate(classes)}
    truth = np.array([places.get(truth_of.get(str(name), ""), -1) for name in names])
    return Crowd(truth, items, annotators, answers, len(classes))


def mixed_people(n_annotators: int, *, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return matrices: of ten people six are good, two biased, one lazy and one a spammer."""
    matrices = coins(rng.uniform(0.75, 0.95, n_annotators), n_classes=n_classes)
    for person in range(n_annotators):
        favourite = rng.integers(n_classes)
        if person % 10 in (6, 7):  # biased: every third answer is their favourite
            matrices[person] *= 2 / 3
            matrices[person, :, favourite] += 1 / 3
        elif person % 10 == 8:  # lazy: one key, whatever is shown
            matrices[person] = np.eye(n_classes)[favourite]
        elif person % 10 == 9:  # spams at random
            matrices[person] = 1 / n_classes
    return matrices


def mixed_crowd(
    *, n_items: int, answers_an_item: int, n_classes: int, rng: np.random.Generator
) -> Crowd:
    """Draw answers of good, biased, lazy, spamming and (every twentieth) alternating people."""
    matrices = mixed_people(40, n_classes=n_classes, rng=rng)
    crowd = crowd_of(matrices, n_items=n_items, answers_an_item=answers_an_item, rng=rng)
    for person in range(5, 40, 20):  # alternates between two keys
        own = np.flatnonzero(crowd.annotators == person)
        crowd.answers[own] = np.arange(len(own)) % 2
    return crowd
