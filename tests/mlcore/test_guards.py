"""Guards find who does not look, and leave alone who works honestly on any kind of items."""

import numpy as np
import pytest

from mlcore.guards import SKIPPED, at_chance, warnings_of
from tests.mlcore.crowds import coins, crowd_of

SHARES = {
    "even": np.full(4, 0.25),
    "one class holds 95 %": np.array([0.95, 0.03, 0.01, 0.01]),
    "two classes": np.array([0.7, 0.3]),
}


def shift(
    shares: np.ndarray, *, n_people: int, spammers: int, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Return items, annotators, answers, seconds of people in random order, spammers last.

    Honest people differ in skill, speed (a factor of 1.4 either way) and readiness to skip;
    items differ in the time they take (a factor of 1.6) and in being skipped.
    """
    n_classes = len(shares)
    honest = n_people - spammers
    matrices = coins(rng.uniform(0.65, 0.97, n_people), n_classes=n_classes)
    n_items = n_people * 60 // 4
    crowd = crowd_of(matrices, n_items=n_items, answers_an_item=4, rng=rng, shares=shares)
    order = rng.permutation(len(crowd.items))
    items, people, answers = crowd.items[order], crowd.annotators[order], crowd.answers[order]
    own_speed, item_time = rng.normal(0, 0.35, n_people), rng.normal(1.2, 0.5, n_items)
    seconds = np.exp(item_time[items] + own_speed[people] + rng.normal(0, 0.4, len(items)))
    skipped = rng.random(len(items)) < (
        rng.beta(2, 30, n_people)[people] + rng.beta(1, 20, n_items)[items]
    )
    answers = np.where(skipped, SKIPPED, answers)
    for person in range(honest, n_people):
        own = np.flatnonzero(people == person)
        match person % 4:
            case 0:  # any key at once
                answers[own] = rng.integers(0, n_classes, len(own))
                seconds[own] = rng.lognormal(-0.7, 0.3, len(own))
            case 1:  # one key that is seldom right
                answers[own] = n_classes - 1
            case 2:  # two keys in turn
                answers[own] = np.arange(len(own)) % 2
            case 3:  # skips whatever takes thought
                answers[own] = np.where(rng.random(len(own)) < 0.6, SKIPPED, answers[own])
    return items, people, answers, seconds


@pytest.mark.parametrize("kind", SHARES)
def test_at_most_one_honest_annotator_in_a_hundred_is_warned(kind: str) -> None:
    rng = np.random.default_rng(1)
    said = shift(SHARES[kind], n_people=1000, spammers=0, rng=rng)
    warned: set[int] = set()
    for share in (0.5, 1.0):  # looked at again and again
        so_far = int(share * len(said[0]))
        found = warnings_of(*(column[:so_far] for column in said), n_classes=len(SHARES[kind]))
        warned |= {warning.annotator for warning in found}
    assert len(warned) <= 10


@pytest.mark.parametrize("kind", SHARES)
def test_nine_spammers_in_ten_are_found_within_sixty_answers(kind: str) -> None:
    rng = np.random.default_rng(2)
    said = shift(SHARES[kind], n_people=400, spammers=60, rng=rng)
    place = np.zeros(len(said[0]), int)
    for person in range(400):
        own = said[1] == person
        place[own] = np.arange(own.sum())
    early = place < 60
    found = warnings_of(*(column[early] for column in said), n_classes=len(SHARES[kind]))
    warned = {warning.annotator for warning in found}
    assert len(warned & set(range(340, 400))) >= 54
    assert len(warned - set(range(340, 400))) <= 4


def test_a_warning_says_what_was_seen_and_what_was_expected() -> None:
    rng = np.random.default_rng(3)
    said = shift(SHARES["even"], n_people=100, spammers=4, rng=rng)
    kinds = {warning.annotator: warning for warning in warnings_of(*said, n_classes=4)}
    assert {kinds[person].kind for person in range(96, 100)} == {
        "too fast",
        "one key",
        "pattern",
        "many skips",
    }
    one_key = kinds[97]
    assert one_key.count == one_key.answers
    assert one_key.expected < one_key.answers / 2


def test_answers_without_times_raise_nothing_about_speed() -> None:
    rng = np.random.default_rng(4)
    items, people, answers, seconds = shift(SHARES["even"], n_people=100, spammers=4, rng=rng)
    found = warnings_of(items, people, answers, np.full(len(seconds), np.nan), n_classes=4)
    assert "too fast" not in {warning.kind for warning in found}


def test_nobody_is_judged_by_a_handful_of_answers() -> None:
    assert (
        warnings_of(
            np.arange(10), np.zeros(10, int), np.zeros(10, int), np.full(10, 0.1), n_classes=2
        )
        == []
    )


KEYS = SHARES | {"ten classes": np.full(10, 0.1), "two, one of 95 %": np.array([0.95, 0.05])}


def pressed(
    shares: np.ndarray, *, answers: int, spammers: int, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Return items, annotators, answers of 250 people who take their time; spammers last.

    A round hands its items out in order: one has its answers before those far behind it are asked.
    """
    n_people, n_classes = 250, len(shares)
    matrices = coins(rng.uniform(0.65, 0.97, n_people), n_classes=n_classes)
    matrices[n_people - spammers :] = 1 / n_classes
    n_items = n_people * answers // 4
    crowd = crowd_of(matrices, n_items=n_items, answers_an_item=4, rng=rng, shares=shares)
    order = np.argsort(crowd.items + rng.uniform(0, n_people, len(crowd.items)))
    return crowd.items[order], crowd.annotators[order], crowd.answers[order]


@pytest.mark.parametrize("kind", KEYS)
def test_any_key_at_a_normal_speed_is_told_from_honest_work_by_its_agreement(kind: str) -> None:
    n_classes, spammers, honest = len(KEYS[kind]), 0, 0
    for seed in (6, 7, 8):
        rng = np.random.default_rng(seed)
        answers = 300 if n_classes == 2 else 60
        said = pressed(KEYS[kind], answers=answers, spammers=25, rng=rng)
        warned: set[int] = set()
        for share in (0.2, 0.4, 0.6, 0.8, 1.0):
            so_far = [column[: int(share * len(said[0]))] for column in said]
            options = np.full(len(so_far[0]), n_classes)
            warned |= {warning.annotator for warning in at_chance(*so_far, options=options)}
        spammers += len(warned & set(range(225, 250)))
        honest += len(warned - set(range(225, 250)))
    assert spammers >= 0.9 * 75
    assert honest <= 0.01 * 675


def test_known_answers_tell_chance_where_nobody_else_answered() -> None:
    rng = np.random.default_rng(7)
    known = rng.integers(0, 4, 200)
    items, people = np.arange(200), np.repeat([0, 1], 100)
    answers = np.where(people == 0, known, rng.integers(0, 4, 200))
    found = at_chance(items, people, answers, options=np.full(200, 4), known=known)
    assert [(warning.annotator, warning.kind) for warning in found] == [(1, "by chance")]


def test_an_item_that_all_others_agree_on_tells_more_than_one_they_are_divided_about() -> None:
    items = np.concatenate([np.repeat(np.arange(60), 6), np.arange(60)])
    people = np.concatenate([np.tile(np.arange(6), 60), np.full(60, 6)])
    answers = np.zeros(420, int)
    is_clear = items < 30
    answers[~is_clear & ((people + items) % 6 < 2)] = 1  # two of six others
    answers[(people == 6) & (items % 2 == 1)] = 1  # this one follows nobody

    def warned(some: np.ndarray) -> list[tuple[int, float, int]]:
        told = at_chance(items[some], people[some], answers[some], options=np.full(some.sum(), 2))
        return [(warning.annotator, warning.count, warning.answers) for warning in told]

    assert warned(is_clear) == [(6, 15.0, 30)]
    assert 6 not in [person for person, *_ in warned(~is_clear)]


def test_a_known_answer_that_everybody_fails_is_nobodys_fault() -> None:
    items, people = np.tile(np.arange(40), 5), np.repeat(np.arange(5), 40)
    known = np.where(np.arange(40) < 20, 1, 0)  # the first twenty are known wrongly
    answers = np.zeros(200, int)
    assert at_chance(items, people, answers, options=np.full(200, 2), known=known) == []


def test_nobody_is_measured_against_others_who_agree_on_nothing() -> None:
    rng = np.random.default_rng(8)
    said = pressed(SHARES["even"], answers=60, spammers=250, rng=rng)
    assert at_chance(*said, options=np.full(len(said[0]), 4)) == []
