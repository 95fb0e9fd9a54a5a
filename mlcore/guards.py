"""Notice annotators who do not look at the items: too fast, one key or a pattern, many skips,
any key at a normal speed.

Everything is measured against what the same items took and were answered by other people, so
that a rare class, a hard item or a slow clip is nobody's fault.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcore.shares import share_interval

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
of the time, and sixty answers do not always tell it from a weak but honest annotator."""

AS_GOOD = (0.5, 1.5)
"""How much an honest annotator agrees beyond chance, as shares of what the others do: from half
as good to half again as good. How probable each is, the others tell."""

STEPS = 11
"""Points between them at which the likelihood is summed."""

EVEN = 10.0
"""Weight of all of these being equally probable, in people."""

TURNS = 30
"""Rounds of learning how probable they are; the shares move by less than .01 after 20."""

LIKELIER = 50.0
"""Times that answers must be likelier under chance than under honest work: strong evidence (20 to
150, Kass and Raftery 1995). However often one looks, at most one honest annotator in so many is
ever warned (Ville 1939); with 20, more than one in a hundred were, with 50 none to seven in a
thousand (bench/guards.py)."""

SURELY = 0.98
"""Highest probability of an agreement: everybody's finger slips now and then."""

CLEAREST = 5
"""Lead in votes beyond which the others' answer is no surer."""

BELIEVED = 4.0
"""Weight of the crowd's usual agreement in that on a kind of item or a known one, in answers."""

LEAST_KNOWN = 8
"""Answers to items whose right answer is known, before these say anything about anybody."""

CLOSELY = 2
"""One item in so many is a known one for somebody whom these do not yet tell from chance."""

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
        Those whose answers, agreeing or not with what most others say of the item (their own
        left out), are far likelier under chance than under work like that of the others. An item
        that all of these agree on tells more than one they are divided about.
    """
    agreed, lead = _agreement(items, answers, known)
    rows = np.flatnonzero(lead)
    order = rows[np.argsort(annotators[rows], kind="stable")]
    if not len(order) or annotators[order[0]] == annotators[order[-1]]:
        return []
    usual = np.zeros(len(items))
    usual[order] = _usual_agreement(
        *(each[order] for each in (items, annotators, agreed, lead, options))
    )
    latest = order[_from_the_end(annotators[order]) < window]
    people, who, counts = np.unique(annotators[latest], return_inverse=True, return_counts=True)
    told = _likelihoods(
        agreed[latest], who.ravel(), usual=usual[latest], chance=1.0 / options[latest]
    )
    honest = np.logaddexp.reduce(told[:, 1:] + np.log(_as_others_are(told)), axis=1)
    is_found = (counts >= LEAST_ANSWERS) & (told[:, 0] - honest >= np.log(LIKELIER))
    count, expected = (np.bincount(who.ravel(), each[latest]) for each in (agreed, usual))
    return [
        Warning(int(people[row]), "by chance", count[row], expected[row], int(counts[row]))
        for row in np.flatnonzero(is_found)
    ]


def is_vouched_for(right: int, answered: int, *, options: int) -> bool:
    """Return whether known answers show, with 95 % limits, that somebody is better than chance.

    >>> is_vouched_for(8, 10, options=2), is_vouched_for(9, 10, options=2)
    (False, True)
    """
    return answered >= LEAST_KNOWN and share_interval(right, answered).low > 1.0 / options


def _agreement(
    items: np.ndarray, answers: np.ndarray, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each answer is what most others say, and by how many votes they lead.

    Nought where nobody else answered or the others are tied; beyond `CLEAREST` where the right
    answer is known.
    """
    named = answers != SKIPPED
    n_items, n_codes = int(items.max(initial=-1)) + 1, max(2, int(answers.max(initial=0)) + 1)
    votes = np.bincount(items[named] * n_codes + answers[named], minlength=n_items * n_codes)
    others = votes.reshape(n_items, n_codes)[items]
    others[np.flatnonzero(named), answers[named]] -= 1
    second, first = np.partition(others, -2, axis=1)[:, -2:].T
    said, lead = others.argmax(axis=1), np.minimum(first - second, CLEAREST)
    if known is not None:
        right = known[items]
        said, lead = np.where(right >= 0, right, said), np.where(right >= 0, CLEAREST + 1, lead)
    return answers == said, np.where(named, lead, 0)


def _usual_agreement(
    items: np.ndarray,
    annotators: np.ndarray,
    agreed: np.ndarray,
    lead: np.ndarray,
    options: np.ndarray,
) -> np.ndarray:
    """Return how probably the others agree, on items as clear as that of each answer.

    On one whose right answer is known, as often as the others are right about that very item.
    """
    overall = _share_of_others(np.zeros_like(items), annotators, agreed, usual=0.5)
    kinds = np.unique(options * (CLEAREST + 2) + lead, return_inverse=True)[1]
    alike = _share_of_others(kinds, annotators, agreed, usual=overall)
    same = _share_of_others(items, annotators, agreed, usual=alike)
    return np.where(lead > CLEAREST, same, alike)


def _share_of_others(
    groups: np.ndarray, annotators: np.ndarray, agreed: np.ndarray, *, usual: np.ndarray | float
) -> np.ndarray:
    """Return the share of agreement in the group of each answer, its annotator left out."""
    pairs = np.unique(groups * (annotators.max() + 1) + annotators, return_inverse=True)[1]
    count = np.bincount(groups)[groups] - np.bincount(pairs)[pairs]
    right = np.bincount(groups, agreed)[groups] - np.bincount(pairs, agreed)[pairs]
    share: np.ndarray = (right + BELIEVED * usual) / (count + BELIEVED)
    return share


def _from_the_end(groups: np.ndarray) -> np.ndarray:
    """Return the place of each row from the end of its group; groups lie together."""
    ends = np.flatnonzero(np.diff(groups, append=groups[-1] + 1))
    place: np.ndarray = np.repeat(ends, np.diff(ends, prepend=-1)) - np.arange(len(groups))
    return place


def _likelihoods(
    agreed: np.ndarray, who: np.ndarray, *, usual: np.ndarray, chance: np.ndarray
) -> np.ndarray:
    """Return log P(agreements of each person) under chance, then under each honest skill."""
    told = []
    for good in (0.0, *np.linspace(*AS_GOOD, STEPS)):
        likely = chance + good * np.maximum(usual - chance, 0.0)
        likely = np.minimum(likely, np.maximum(chance, SURELY))
        told.append(np.bincount(who, np.where(agreed, np.log(likely), np.log1p(-likely))))
    return np.transpose(told)


def _as_others_are(told: np.ndarray) -> np.ndarray:
    """Return how probable each honest skill is for each person, as the others have them.

    By expectation and maximisation (Laird 1978): shares of chance and of each skill under which
    everybody's answers are likeliest. Where few people answered, all skills stay as probable.
    """
    likely = np.exp(told - told.max(axis=1, keepdims=True))
    even = np.array([0.0, *np.full(STEPS, 1.0 / STEPS)])
    shares = np.full(STEPS + 1, 1.0 / (STEPS + 1))
    for _turn in range(TURNS):
        each = likely * shares
        each /= each.sum(axis=1, keepdims=True)
        shares = each.sum(axis=0) + EVEN * even
        shares /= shares.sum()
    others = (each.sum(axis=0) - each + EVEN * even)[:, 1:]  # nobody vouches for themselves
    skills: np.ndarray = others / others.sum(axis=1, keepdims=True)
    return skills


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
