"""Simulated people of different skill, who mistake look-alikes and slip on the keyboard."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

LOOK_ALIKE = "taken for its look-alike"
SLIP = "slip of the hand"
LOOK_ALIKE_SHARE = 1 / 3
"""Of an annotator's mistakes; the rest are slips, which are easy to see."""


@dataclass(frozen=True)
class Annotator:
    """One simulated person: share of wrong answers, and pairs that they habitually mix up."""

    name: str
    wrong_share: float
    habits: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What one annotator said about one item; `mistake` is empty where they were right."""

    item: int
    annotator: str
    label: int
    mistake: str


@dataclass(frozen=True)
class Answers:
    """All answers, the label each item got from them, and the mistake behind a wrong one."""

    given: list[Answer]
    labels: np.ndarray
    mistakes: dict[int, str]


def ask(
    people: Sequence[Annotator],
    labels: np.ndarray,
    *,
    look_alikes: np.ndarray,
    ambiguity: np.ndarray,
    asked_thrice: int,
    rng: np.random.Generator,
) -> Answers:
    """Ask one person about each item, and three about the first `asked_thrice` of a shuffle.

    An item's label is what most said; where all differ, what the first said. Every person gets
    a quota of mistakes, not a chance of them, so that the share of wrong labels hardly varies.
    """
    order = rng.permutation(len(labels))
    items_of: list[list[int]] = [[] for _ in people]
    for turn, item in enumerate(order):
        first = turn % len(people)
        for ahead in range(3 if turn < asked_thrice else 1):
            items_of[(first + ahead * (1 + turn % 2)) % len(people)].append(int(item))
    given: list[Answer] = []
    for person, items in zip(people, items_of, strict=True):
        given += _answers_of(
            person, items, labels=labels, look_alikes=look_alikes, ambiguity=ambiguity, rng=rng
        )
    return _settle(given, labels)


def _answers_of(
    person: Annotator,
    items: Sequence[int],
    *,
    labels: np.ndarray,
    look_alikes: np.ndarray,
    ambiguity: np.ndarray,
    rng: np.random.Generator,
) -> list[Answer]:
    n_wrong = round(person.wrong_share * len(items))
    n_alike = round(n_wrong * LOOK_ALIKE_SHARE)
    chance = ambiguity[items] / ambiguity[items].sum()
    alike = rng.choice(items, size=n_alike, replace=False, p=chance).tolist()
    others = [item for item in items if item not in alike]
    slipped = rng.choice(others, size=n_wrong - n_alike, replace=False).tolist()
    answers = []
    for item in items:
        label, mistake = int(labels[item]), ""
        if item in alike:
            label, mistake = int(look_alikes[item]), LOOK_ALIKE
        elif item in slipped:
            label, mistake = _slip(person, label, n_classes=int(labels.max()) + 1, rng=rng), SLIP
        answers.append(Answer(item=item, annotator=person.name, label=label, mistake=mistake))
    return answers


def _slip(person: Annotator, label: int, *, n_classes: int, rng: np.random.Generator) -> int:
    if label in person.habits:
        return person.habits[label]
    return int((label + rng.integers(1, n_classes)) % n_classes)


def _settle(given: Sequence[Answer], truth: np.ndarray) -> Answers:
    by_item: dict[int, list[Answer]] = {}
    for answer in given:
        by_item.setdefault(answer.item, []).append(answer)
    labels = truth.copy()
    mistakes = {}
    for item, answers in by_item.items():
        # most_common keeps the order of first sight among equals: the first answer wins a tie.
        labels[item] = Counter(answer.label for answer in answers).most_common(1)[0][0]
        if labels[item] != truth[item]:
            mistakes[item] = next(a.mistake for a in answers if a.label == labels[item])
    return Answers(given=list(given), labels=labels, mistakes=mistakes)
