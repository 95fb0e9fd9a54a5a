"""Crowds for bench/crowd.py: the real ones, parts of them, simulated ones of many shapes."""

import csv
import gzip
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SHARED = Path(
    os.environ.get("WINNOW_SHARED") or Path(__file__).resolve().parent.parent.parent / "shared"
)
SEEDS = 3


class Crowd(NamedTuple):
    """Answers with the truth they are about; -1 where the truth is not known."""

    truth: np.ndarray
    items: np.ndarray
    annotators: np.ndarray
    answers: np.ndarray
    n_classes: int


def real_names() -> list[str]:
    return sorted(path.name for path in (SHARED / "data" / "crowd").iterdir() if path.is_dir())


def real_crowd(name: str) -> Crowd:
    """Read a real crowd; of a person's several answers to an item the first counts."""
    folder = SHARED / "data" / "crowd" / name
    packed = folder / "answers.csv.gz"
    with gzip.open(packed, "rt") if packed.exists() else (folder / "answers.csv").open() as file:
        said: dict[tuple[str, str], str] = {}
        for row in csv.DictReader(file):
            said.setdefault((row["item"], row["worker"]), row["label"])
    with (folder / "truth.csv").open() as file:
        truth_of = {row["item"]: row["label"] for row in csv.DictReader(file)}
    names, items = np.unique([item for item, _ in said], return_inverse=True)
    annotators = np.unique([worker for _, worker in said], return_inverse=True)[1]
    classes, answers = np.unique([*said.values()], return_inverse=True)
    places = {str(label): place for place, label in enumerate(classes)}
    truth = np.array([places.get(truth_of.get(str(item), ""), -1) for item in names])
    return Crowd(truth, items, annotators, answers, len(classes))


def part_of(crowd: Crowd, kept: np.ndarray) -> Crowd:
    names, items = np.unique(crowd.items[kept], return_inverse=True)
    people = np.unique(crowd.annotators[kept], return_inverse=True)[1]
    return Crowd(crowd.truth[names], items, people, crowd.answers[kept], crowd.n_classes)


def parts(crowd: Crowd, rng: np.random.Generator) -> dict[str, Crowd]:
    """Return the crowd with fewer people, fewer answers an item, and fewer items."""
    shuffled = np.lexsort((rng.random(len(crowd.items)), crowd.items))
    place = np.empty(len(shuffled), int)
    starts = np.searchsorted(crowd.items[shuffled], crowd.items[shuffled])
    place[shuffled] = np.arange(len(shuffled)) - starts
    people = rng.permutation(int(crowd.annotators.max()) + 1)
    items = rng.permutation(len(crowd.truth))
    return {
        "half of the people": part_of(crowd, np.isin(crowd.annotators, people[::2])),
        "two answers an item": part_of(crowd, place < 2),
        "three answers an item": part_of(crowd, place < 3),
        "a quarter of the items": part_of(crowd, np.isin(crowd.items, items[::4])),
    }


SHAPES: dict[str, dict[str, Any]] = {
    "binary": {},
    "binary, 400 people of 3 answers": {"n_items": 400, "people": 400, "each": 3},
    "binary, two answers an item": {"each": 2},
    "binary, 40 % spammers": {"spam": 0.4},
    "binary, 20 % contrary": {"contrary": 0.2, "each": 9},
    "binary, half lean to a class": {"biased": 0.5},
    "binary, all lean to the same class": {"biased": 1.0},
    "binary, 95 : 5": {"shares": (0.95, 0.05)},
    "binary, 95 : 5, biased and spammed": {
        "shares": (0.95, 0.05),
        "spam": 0.2,
        "biased": 0.3,
        "each": 7,
    },
    "binary, hard items": {"hard": 0.6, "each": 7},
    "binary, 60 items": {"n_items": 60, "people": 8, "each": 4},
    "binary, weak people": {"skill": (2, 6), "each": 9, "people": 60},
    "3 classes, 5 people answer all": {"n_classes": 3, "n_items": 300, "people": 5},
    "3 classes, hard and spammed": {"n_classes": 3, "each": 10, "hard": 0.5, "spam": 0.3},
    "5 classes": {"n_classes": 5},
    "5 classes, 450 people": {"n_classes": 5, "n_items": 300, "people": 450, "each": 4},
    "5 classes, 20 answers, hard": {
        "n_classes": 5,
        "n_items": 300,
        "each": 20,
        "hard": 0.6,
        "people": 100,
    },
    "5 classes, rare ones": {"n_classes": 5, "shares": (8, 4, 2, 1, 0.5)},
    "5 classes, 35 % spammers": {"n_classes": 5, "spam": 0.35},
    "5 classes, 20 % contrary": {"n_classes": 5, "contrary": 0.2, "each": 7},
    "5 classes, half lean": {"n_classes": 5, "biased": 0.5},
    "5 classes, weak people": {"n_classes": 5, "skill": (3, 6), "each": 8},
    "6 classes, confused in pairs": {"n_classes": 6, "pairs": 0.9},
    "10 classes, 300 people": {
        "n_classes": 10,
        "n_items": 1000,
        "people": 300,
        "each": 3,
        "spam": 0.1,
    },
    "10 classes, two answers": {"n_classes": 10, "n_items": 1000, "people": 50, "each": 2},
    "10 classes, one rare, pairs": {
        "n_classes": 10,
        "n_items": 1000,
        "pairs": 0.7,
        "shares": (1,) * 9 + (0.1,),
    },
    "10 classes, half lean, spammed": {
        "n_classes": 10,
        "n_items": 2000,
        "people": 100,
        "each": 3,
        "spam": 0.12,
        "biased": 0.5,
    },
    "50 classes": {"n_classes": 50, "n_items": 1500, "people": 60, "each": 4, "spam": 0.1},
}


def simulated(
    rng: np.random.Generator,
    *,
    n_items: int = 600,
    people: int = 40,
    each: int = 5,
    n_classes: int = 2,
    skill: tuple[float, float] = (8, 3),
    spam: float = 0.0,
    contrary: float = 0.0,
    biased: float = 0.0,
    shares: tuple[float, ...] | None = None,
    hard: float = 0.0,
    pairs: float = 0.0,
) -> Crowd:
    """Draw a crowd in which people differ in skill, kind and how much they answer."""
    even = np.ones(n_classes) if shares is None else np.array(shares, dtype=float)
    truth = rng.choice(n_classes, n_items, p=even / even.sum())
    matrices = np.stack(
        [
            _person(rng, n_classes, skill, spam, contrary, biased, pairs, everybody=biased == 1)
            for _ in range(people)
        ]
    )
    load = np.log(rng.dirichlet(np.ones(people)) + 1e-4)
    drawn = np.argsort(-(load + rng.gumbel(size=(n_items, people))), axis=1)[:, :each]
    items, annotators = np.repeat(np.arange(n_items), drawn.shape[1]), drawn.ravel()
    said = matrices[annotators, truth[items]]
    if hard:  # an item may look, by a share of its own, as much like another class
        doubt = np.clip(rng.beta(1, 3, n_items) * hard * 2, 0, 1)[items, None]
        other = (truth + rng.integers(1, n_classes, n_items)) % n_classes
        both = (np.eye(n_classes)[truth] + np.eye(n_classes)[other])[items] / 2
        said = (1 - doubt) * said + doubt * both
    reached = said.cumsum(axis=1)
    answers = (rng.random((len(items), 1)) * reached[:, -1:] > reached).sum(axis=1)
    return Crowd(truth, items, annotators, answers.clip(0, n_classes - 1), n_classes)


def _person(
    rng: np.random.Generator,
    n_classes: int,
    skill: tuple[float, float],
    spam: float,
    contrary: float,
    biased: float,
    pairs: float,
    *,
    everybody: bool,
) -> np.ndarray:
    mistakes = np.full((n_classes, n_classes), 1 / (n_classes - 1))
    if pairs:
        neighbour = np.eye(n_classes)[np.arange(n_classes) ^ 1]
        mistakes = (1 - pairs) * mistakes + pairs * neighbour
    mistakes = mistakes * rng.gamma(2, 1, mistakes.shape)
    np.fill_diagonal(mistakes, 0)
    mistakes /= mistakes.sum(axis=1, keepdims=True)
    right = rng.beta(*skill) * (1 - 1 / n_classes) + 1 / n_classes
    right = np.clip(right + rng.normal(0, 0.08, n_classes), 0.02, 0.99)
    matrix: np.ndarray = mistakes * (1 - right[:, None]) + np.diag(right)
    kind = rng.random()
    if kind < spam:
        return np.tile(rng.dirichlet(np.full(n_classes, 0.5)), (n_classes, 1))
    if kind < spam + contrary:
        return matrix[:, np.roll(np.arange(n_classes), 1)]
    if kind < spam + contrary + biased:
        matrix *= 0.55
        matrix[:, 0 if everybody else rng.integers(n_classes)] += 0.45
    return matrix
