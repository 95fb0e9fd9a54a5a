"""Reads about pilots: how two wordings of a question compare."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from django.utils.translation import gettext as _

from labeling.models import LabelClass, Round
from labeling.queries.crowd import answers_url
from labeling.queries.gold import known_labels
from labeling.queries.rounds import answers_given

SEED = 20_111  # of the resampling: the same answers give the same figures
PAIRS_SHOWN = 10
BEST = {"alpha": 1.0, "doubtful": 0.0, "gold": 1.0}


def rounds_of(asking: Round) -> list[Round]:
    """Return the rounds of a pilot, the first wording first, from either of them."""
    first = asking.beside or asking
    rows = [first, *Round.objects.filter(beside=first).select_related("guideline")]
    for row in rows:
        row.dataset = asking.dataset
    return rows


@dataclass(frozen=True)
class Arm:
    """One wording with what was answered under it."""

    round: Round
    answers: int
    people: int
    alpha: float
    alpha_low: float
    alpha_high: float
    meaning: str


@dataclass(frozen=True)
class Compared:
    """One measure under both wordings; `is_time` is in seconds, its difference a factor."""

    name: str
    words: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    is_shown: bool
    is_time: bool = False
    urls: tuple[str, str] = ("", "")  # the answers behind each figure, worst first


@dataclass(frozen=True)
class Pair:
    """Two classes that people disagree between, under each wording."""

    classes: tuple[str, str]
    first: float
    second: float
    items: tuple[int, int]
    urls: tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """Two wordings side by side."""

    arms: list[Arm]
    measures: list[Compared]
    pairs: list[Pair]

    @property
    def shown(self) -> list[Compared]:
        return [row for row in self.measures if row.is_shown]

    @property
    def people(self) -> int:
        return sum(arm.people for arm in self.arms)

    @property
    def has_answers(self) -> bool:
        return all(arm.answers for arm in self.arms)


@dataclass(frozen=True)
class _Said:
    """Answers as arrays, one entry each, people and items counted from 0."""

    item: np.ndarray
    person: np.ndarray
    label: np.ndarray  # -1: unsure or unusable
    seconds: np.ndarray
    right: np.ndarray  # nan: not known
    in_second: np.ndarray  # of each person
    classes: list[LabelClass]

    @property
    def votes(self) -> np.ndarray:
        """1 where a person named a class for an item: (people, items, classes)."""
        shape = (len(self.in_second), int(self.item.max(initial=-1)) + 1, len(self.classes))
        votes = np.zeros(shape, dtype=np.int64)
        named = self.label >= 0
        votes[self.person[named], self.item[named], self.label[named]] = 1
        return votes

    def summed(self, values: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return sums and counts by person."""
        n = len(self.in_second)
        sums = np.bincount(self.person[where], weights=values[where], minlength=n)
        return sums, np.bincount(self.person[where], minlength=n).astype(float)


def comparison_of(pilot: Round) -> Comparison:
    """Compare the wordings of a pilot in agreement, time, doubts, gold and confused classes."""
    from mlcore.wordings import pair_rates

    rounds = rounds_of(pilot)
    said = _read(rounds)
    votes = said.votes
    by_arm = [votes[said.in_second == second].sum(axis=0) for second in (False, True)]
    pairs = []
    for row in pair_rates(*by_arm)[:PAIRS_SHOWN]:
        one, other = (said.classes[place] for place in row.classes)
        first, second = (
            answers_url(pilot.dataset, said=one.pk, beside=other.pk, round=arm.pk) for arm in rounds
        )
        names = (one.name, other.name)
        pairs.append(Pair(names, row.first, row.second, row.items, (first, second)))
    arms = [_arm(row, said, second) for row, second in zip(rounds, (False, True))]
    is_told = all(arm.people > 1 for arm in arms)
    return Comparison(arms, _measures(rounds, said, votes) if is_told else [], pairs)


def _read(rounds: list[Round]) -> _Said:
    classes = list(rounds[0].dataset.classes.all())
    column = {row.pk: place for place, row in enumerate(classes)}
    known = known_labels(rounds[0].dataset)
    given = answers_given().filter(round__in=rounds, is_gold=False).order_by("pk")
    rows = list(given.values_list("item", "annotator", "label", "seconds", "round"))
    items = {pk: place for place, pk in enumerate(dict.fromkeys(row[0] for row in rows))}
    people = {pk: place for place, pk in enumerate(dict.fromkeys(row[1] for row in rows))}
    second = {row[1] for row in rows if row[4] != rounds[0].pk}
    return _Said(
        item=np.array([items[row[0]] for row in rows], np.int64),
        person=np.array([people[row[1]] for row in rows], np.int64),
        label=np.array([column.get(row[2], -1) for row in rows], np.int64),
        seconds=np.array([row[3] or np.nan for row in rows], float),
        right=np.array(
            [float(row[2] == known[row[0]]) if row[0] in known else np.nan for row in rows], float
        ),
        in_second=np.array([pk in second for pk in people], bool),
        classes=classes,
    )


def _arm(asking: Round, said: _Said, second: bool) -> Arm:
    from mlcore.agreement import agreement

    mine = said.in_second[said.person] == second if len(said.person) else said.person > 0
    named = mine & (said.label >= 0)
    found = agreement(
        said.item[named],
        said.person[named],
        said.label[named],
        n_classes=max(1, len(said.classes)),
        rng=np.random.default_rng(SEED),
    )
    alpha = found.alpha
    people = len(np.unique(said.person[mine]))
    return Arm(asking, int(mine.sum()), people, alpha.value, alpha.low, alpha.high, found.meaning)


def _measures(rounds: list[Round], said: _Said, votes: np.ndarray) -> list[Compared]:
    from mlcore.wordings import alpha_of, share_of

    timed, known = ~np.isnan(said.seconds) & (said.seconds > 0), ~np.isnan(said.right)
    everything = np.ones(len(said.person), bool)
    logs = np.log(np.where(timed, said.seconds, 1.0))
    measures = [
        _compared("alpha", _("Agreement (Krippendorff’s alpha)"), said, alpha_of(votes)),
        _compared(
            "doubtful",
            _("Unsure or unusable"),
            said,
            share_of(*said.summed((said.label < 0).astype(float), everything)),
        ),
        _compared(
            "gold", _("Right on check items"), said, share_of(*said.summed(said.right, known))
        ),
        _compared(
            "seconds",
            _("Time for an answer"),
            said,
            share_of(*said.summed(logs, timed)),
            is_time=True,
        ),
    ]
    return [replace(row, urls=_behind(rounds, row)) for row in measures]


def _behind(rounds: list[Round], row: Compared) -> tuple[str, str]:
    """Return where the answers behind both figures are listed; none behind a perfect one."""
    first, second = (
        ""
        if value is None or round(value, 9) == BEST.get(row.name)
        else answers_url(arm.dataset, round=arm.pk, worst=row.name)
        for arm, value in zip(rounds, (row.first, row.second))
    )
    return first, second


def _compared(
    name: str,
    words: str,
    said: _Said,
    measure: Callable[[np.ndarray], np.ndarray],
    *,
    is_time: bool = False,
) -> Compared:
    from mlcore.wordings import difference

    found = difference(measure, said.in_second, rng=np.random.default_rng(SEED))
    shown = math.exp if is_time else float
    figures = (found.first, found.second, found.value, found.low, found.high)
    first, second, change, low, high = (
        None if math.isnan(each) else shown(each) for each in figures
    )
    p_value = None if math.isnan(found.p_value) else found.p_value
    return Compared(name, words, first, second, change, low, high, p_value, found.is_shown, is_time)
