"""Notice annotators who do not look at the items: too fast, one key or a pattern, many skips.

Everything is measured against what the same items took and were answered by other people, so
that a rare class, a hard item or a slow clip is nobody's fault.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKIPPED = -1
"""Answer that names no class: skipped, unsure or unusable."""

WINDOW = 60
"""Latest answers of an annotator that are judged."""

LEAST_ANSWERS = 20
"""Answers before anything is said about anybody."""

SURE = 1e-4
"""Most probable that an honest annotator is warned by one guard at one look.

They are looked at again and again; below one in a hundred are ever warned (tests)."""

FAST = 1 / 3
"""Share of the time that others take for the same item, below which an answer is too fast."""

MUCH = 0.5
"""Share of the possible excess (all answers the same) that is a habit and not a leaning."""

MANY_SKIPS = 0.25
"""The same for skips: every fourth item beyond what others skip."""

OTHERS = 1.0
"""Weight of all items' class shares in one item's, in answers."""

SHARPER = 3.0
"""Power of the others' shares: the best annotator agrees with most people at nearly each item,
and so gives common classes more often than the crowd, whose mistakes lie elsewhere."""

USUAL_TIME = 2.0
"""Weight of the usual time in one item's, in answers."""

PATTERN_STEPS = (2, 3)
"""An answer equal to the one so many before: two or three keys in turn."""


@dataclass(frozen=True)
class Warning:
    """What is odd about an annotator's latest answers.

    Attributes
    ----------
    annotator : int
    kind : str
        "too fast", "one key", "pattern" or "many skips".
    count, expected : float
        Answers that are so, and how many were expected of other people on the same items.
    answers : int
        Answers looked at.
    """

    annotator: int
    kind: str
    count: float
    expected: float
    answers: int


def warnings_of(
    items: np.ndarray,
    annotators: np.ndarray,
    answers: np.ndarray,
    seconds: np.ndarray,
    *,
    n_classes: int,
    window: int = WINDOW,
) -> list[Warning]:
    """Return what is odd about the latest answers of each annotator.

    Parameters
    ----------
    items, annotators, answers : int ndarrays of shape (n_answers,)
        In the order in which they were given, all counted from 0; answer -1 is a skip.
    seconds : float ndarray of shape (n_answers,)
        From shown to answered; nan where it was not measured.
    n_classes : int
    window : int
        Latest answers of each annotator that are judged.

    Returns
    -------
    list of Warning
        In the order of annotators; empty where everybody works as people do.
    """
    if not len(items):
        return []
    shares, skips = _usual_answers(items, annotators, answers, n_classes)
    times = _usual_times(items, seconds)
    order = np.argsort(annotators, kind="stable")
    own = np.split(order, np.flatnonzero(np.diff(annotators[order])) + 1)
    found = []
    for rows in own:
        latest = rows[-window:]
        if len(latest) < LEAST_ANSWERS:
            continue
        person = int(annotators[latest[0]])
        named = latest[answers[latest] != SKIPPED]
        checks = [
            ("too fast", *_too_fast(seconds[latest], times[latest]), MUCH),
            ("many skips", float(len(latest) - len(named)), skips[latest], MANY_SKIPS),
            ("one key", *_one_key(answers[named], shares[named]), MUCH),
            *(
                ("pattern", *_repeats(answers[named], shares[named], step), MUCH)
                for step in PATTERN_STEPS
            ),
        ]
        found += [
            Warning(person, kind, count, float(chances.sum()), len(latest))
            for kind, count, chances, much in checks
            if _beyond(count, chances, much=much)
        ]
    return _one_of_a_kind(found)


def _usual_answers(
    items: np.ndarray, annotators: np.ndarray, answers: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what others answer to the item of each answer: class shares, and P(skip)."""
    columns = n_classes + 1  # the last one is the skip
    code = np.where(answers == SKIPPED, n_classes, answers)
    n_items = int(items.max()) + 1
    votes = np.bincount(items * columns + code, minlength=n_items * columns)
    others = votes.reshape(n_items, columns)[items].astype(np.float64)
    others[np.arange(len(items)), code] -= 1.0
    n_people = int(annotators.max()) + 1
    own = np.bincount(annotators * columns + code, minlength=n_people * columns)
    own = own.reshape(n_people, columns)
    usual = own.sum(axis=0) - own + 0.5  # what everybody else answers, to whatever item
    named = usual[:, :-1] / usual[:, :-1].sum(axis=1, keepdims=True)
    classes = (others[:, :-1] + OTHERS * named[annotators]) ** SHARPER
    skipped = (usual[:, -1] / usual.sum(axis=1))[annotators]
    skips = (others[:, -1] + OTHERS * skipped) / (others.sum(axis=1) + OTHERS)
    return classes / classes.sum(axis=1, keepdims=True), skips


def _usual_times(items: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the seconds that others take for the item of each answer (geometric mean)."""
    timed = np.isfinite(seconds) & (seconds >= 0)
    log = np.log(np.maximum(np.where(timed, seconds, 1.0), 1e-3))
    usual = np.median(log[timed]) if timed.any() else 0.0
    total = np.bincount(items, log * timed)[items] - log * timed
    count = np.bincount(items, timed)[items] - timed
    times: np.ndarray = np.exp((total + USUAL_TIME * usual) / (count + USUAL_TIME))
    return times


def _too_fast(seconds: np.ndarray, usual: np.ndarray) -> tuple[float, np.ndarray]:
    """Count answers in a third of the usual time; an honest median would give half of them."""
    timed = np.isfinite(seconds)
    fast = float((seconds[timed] < FAST * usual[timed]).sum())
    return fast, np.full(int(timed.sum()), 0.5)


def _one_key(answers: np.ndarray, shares: np.ndarray) -> tuple[float, np.ndarray]:
    """Count the class that exceeds most what others answer to the same items."""
    counts = np.bincount(answers, minlength=shares.shape[1])
    excess = counts - shares.sum(axis=0)
    most = int(excess.argmax())
    return float(counts[most]), shares[:, most]


def _repeats(answers: np.ndarray, shares: np.ndarray, step: int) -> tuple[float, np.ndarray]:
    """Count answers equal to the one `step` before, and how probable that is of each."""
    if len(answers) <= step:
        return 0.0, np.zeros(0)
    same = float((answers[step:] == answers[:-step]).sum())
    return same, (shares[step:] * shares[:-step]).sum(axis=1)


def _beyond(count: float, chances: np.ndarray, *, much: float) -> bool:
    """Return whether a count is both improbable by chance and far beyond what is expected."""
    from scipy.stats import poisson

    room = len(chances) - chances.sum()
    if len(chances) < LEAST_ANSWERS or count - chances.sum() < much * room:
        return False
    rest = len(chances) - count  # rarer than the count where nearly all are expected
    few = poisson.cdf(rest, max(room, 1e-9))
    many = poisson.sf(count - 1, max(chances.sum(), 1e-9))
    return bool(min(few, many) < SURE)


def _one_of_a_kind(found: list[Warning]) -> list[Warning]:
    """Leave out patterns of those who press one key, and repetitions of a kind."""
    kept: dict[tuple[int, str], Warning] = {}
    for warning in found:
        if warning.kind == "pattern" and (warning.annotator, "one key") in kept:
            continue
        kept.setdefault((warning.annotator, warning.kind), warning)
    return list(kept.values())
