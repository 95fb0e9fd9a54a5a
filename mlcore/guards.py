"""Notice annotators who do not look at the items: too fast, one key or a pattern, many skips,
any key at a normal speed.

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

AGREED_ON = 300
"""Latest answers whose agreement with others is judged: between two keys, chance is right half
of the time, and sixty answers do not tell it from a weak but honest annotator."""

HALF_AS_GOOD = 0.5
"""Share of the others' agreement beyond chance; who surely has less does not look."""

BY_CHANCE = 0.01
"""As `SURE`, for agreement: even a weak person is well above half as good as the others, so that
fewer than one honest person in a hundred is ever warned, looked at every ten answers
(bench/guards.py)."""

LEAST_REACH = 0.1
"""Agreement beyond chance that the others must have before anybody is measured against it."""

STILL_CHANCE = 2.0
"""Standard deviations above chance up to which an agreement may be chance."""

PATTERN_STEPS = (2, 3)
"""An answer equal to the one so many before: two or three keys in turn."""


@dataclass(frozen=True)
class Warning:
    """What is odd about an annotator's latest answers.

    Attributes
    ----------
    annotator : int
    kind : str
        "too fast", "one key", "pattern", "many skips" or "by chance".
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


def at_chance(
    items: np.ndarray,
    annotators: np.ndarray,
    answers: np.ndarray,
    *,
    options: np.ndarray,
    known: np.ndarray | None = None,
    window: int = AGREED_ON,
) -> list[Warning]:
    """Return who agrees with the others no more than any key pressed at random would.

    Parameters
    ----------
    items, annotators, answers : int ndarrays of shape (n_answers,)
        As in `warnings_of`.
    options : int ndarray of shape (n_answers,)
        Answers that could be chosen between, e.g. classes, or 2 for yes and no.
    known : int ndarray of shape (n_items,) or None
        Right answer of items where it is known, else -1; it counts instead of the others.
    window : int
        Latest answers of each annotator that are judged.

    Returns
    -------
    list of Warning
        Those whose agreement (with what most others say of the item, their own answer left
        out) lies at chance, and surely below what somebody half as good as the others reaches.
    """
    named = answers != SKIPPED
    agreed, is_judged = _agreement(items, answers, named, known)
    rows = np.flatnonzero(is_judged)
    order = rows[np.argsort(annotators[rows], kind="stable")]
    own = np.split(order, np.flatnonzero(np.diff(annotators[order])) + 1) if len(rows) else []
    total, many = agreed[rows].sum(), len(rows)
    found = []
    for given in own:
        latest = given[-window:]
        if len(latest) < LEAST_ANSWERS or many == len(given):
            continue
        usual = (total - agreed[given].sum()) / (many - len(given))
        count, chance = float(agreed[latest].sum()), float((1.0 / options[latest]).mean())
        if _is_chance(count, len(latest), chance=chance, usual=float(usual)):
            person = int(annotators[latest[0]])
            found.append(Warning(person, "by chance", count, usual * len(latest), len(latest)))
    return found


def _agreement(
    items: np.ndarray, answers: np.ndarray, named: np.ndarray, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each answer is what most others say, ties shared, and whether anybody does."""
    n_items, n_codes = int(items.max(initial=-1)) + 1, int(answers.max(initial=0)) + 1
    votes = np.bincount(items[named] * n_codes + answers[named], minlength=n_items * n_codes)
    others = votes.reshape(n_items, n_codes)[items].astype(np.float64)
    line = np.arange(len(items))
    others[line[named], answers[named]] -= 1.0
    top = others == others.max(axis=1, keepdims=True)
    agreed = np.where(named, top[line, answers] / top.sum(axis=1), 0.0)
    is_judged = named & (others.sum(axis=1) > 0)
    if known is not None:
        right = known[items]
        agreed = np.where(right >= 0, answers == right, agreed)
        is_judged |= named & (right >= 0)
    return agreed, is_judged


def _is_chance(count: float, n: int, *, chance: float, usual: float) -> bool:
    from scipy.stats import binom

    reach = usual - chance
    spread = np.sqrt(chance * (1.0 - chance) / n)
    if reach < LEAST_REACH or count / n > chance + STILL_CHANCE * spread:
        return False
    return bool(binom.cdf(np.floor(count), n, chance + HALF_AS_GOOD * reach) < BY_CHANCE)


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
    """Count answers equal to the one `step` before, and how probable that is of each.

    Who gives a common class most of the time repeats it, and is in step with nothing: the more
    probable of what the items and what the own shares of classes would bring counts.
    """
    if len(answers) <= step:
        return 0.0, np.zeros(0)
    same = float((answers[step:] == answers[:-step]).sum())
    own = np.bincount(answers) / len(answers)
    return same, np.maximum((shares[step:] * shares[:-step]).sum(axis=1), (own**2).sum())


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
