"""The crowd as a report shows it: agreement, people, and the classes they confuse."""

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from labeling.models import Dataset
from labeling.queries import crowd as queries
from labeling.queries.crowd import Limits, Shared, Table
from labeling.queries.disputes import open_disputes
from mlcore.intervals import Interval
from quality.queries.flags import Paces

PEOPLE_SHOWN = 12


@dataclass(frozen=True)
class Person:
    """An annotator as a row of the report."""

    name: str
    answers: int
    seconds: float | None
    accuracy: Limits | None
    url: str


@dataclass(frozen=True)
class Confused:
    """Two classes that most people take for each other, and how often each way."""

    first: str
    second: str
    first_as_second: int
    second_as_first: int
    first_url: str
    second_url: str


@dataclass(frozen=True)
class Crowd:
    """What the last measuring of the crowd found, and the disputes that wait."""

    at: datetime
    answers: int
    compared: int
    alpha: Interval | None
    meaning: str
    url: str
    disputes: int
    disputes_url: str
    seconds: float | None
    by_class: list[Shared]
    people: list[Person]
    n_people: int
    confused: list[Confused]
    matrix: Table | None


def crowd_of(dataset: Dataset, paces: Paces, *, most_classes: int) -> Crowd | None:
    """Return the crowd as it was measured last; None before the first time."""
    found = queries.findings_of(dataset)
    if found is None:
        return None
    facts, disputes = found.facts, open_disputes(dataset).count()
    by_class, _by_person = queries.agreement_of(dataset, found)
    people = queries.people_of(dataset, found, sort="accuracy", page=1)
    is_small = len(found.arrays["classes"]) <= most_classes
    matrix = queries.confusion_of(dataset, None, found) if is_small else None
    return Crowd(
        at=found.at,
        answers=facts["answers"],
        compared=facts["compared"],
        alpha=_interval(facts),
        meaning=facts["meaning"],
        url=reverse("labeling:agreement", args=[dataset.slug]),
        disputes=disputes,
        disputes_url=reverse("quality:disputes", args=[dataset.slug]),
        seconds=paces.seconds(disputes),
        by_class=by_class,
        people=[_person(dataset, row) for row in people.rows[:PEOPLE_SHOWN]],
        n_people=people.total,
        confused=_confused(queries.pairs_of(dataset, found)),
        matrix=matrix if matrix and matrix.compared else None,
    )


def _interval(facts: dict[str, float | None]) -> Interval | None:
    value, low, high = (facts[name] for name in ("alpha", "alpha_low", "alpha_high"))
    if value is None or low is None or high is None:
        return None
    return Interval(value, low, high)


def _person(dataset: Dataset, row: queries.Person) -> Person:
    return Person(
        name=str(row.annotator),
        answers=row.answers,
        seconds=row.seconds,
        accuracy=row.accuracy,
        url=reverse("labeling:crowd_person", args=[dataset.slug, row.annotator.pk]),
    )


def _confused(pairs: list[queries.Pair]) -> list[Confused]:
    return [
        Confused(
            pair.first.name,
            pair.second.name,
            pair.first_as_second,
            pair.second_as_first,
            pair.first_url,
            pair.second_url,
        )
        for pair in pairs
    ]
