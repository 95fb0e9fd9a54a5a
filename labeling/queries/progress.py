"""How far a round is: its state, pace, forecast and cost, and who answered."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, F, Max, Min, Q, Sum
from django.db.models.functions import Coalesce

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Claim,
    Dataset,
    Round,
    RoundItem,
    RoundItemState,
)
from labeling.queries import guards
from labeling.queries.guards import Stopped
from labeling.queries.rounds import start_of_day

MOST_DIGITS = 10  # of an id in an address
MOST_HOURS_AHEAD = 24 * 365  # a forecast beyond a year says nothing
PACE_OVER = timedelta(hours=1)
LATELY = ("today", "last_hour", "last_day")


@dataclass(frozen=True)
class Answering:
    """A person in a round: their counts, their pace, and when they answered last.

    `counted` are the answers that settle items, neither surplus nor given to check items; of them
    `timed` took so many seconds together.
    """

    person: Annotator
    answers: int
    counted: int
    last_hour: int
    last_day: int
    timed: int
    took: float
    today: int
    unsure: int
    unusable: int
    skipped: int
    surplus: int
    pace: float | None
    last: datetime | None


def crowd(asking: Round, *, now: datetime) -> list[Answering]:
    """Return who answered in a round, most answers first: two queries.

    Counted by person and then named: joined, SQLite walks what they answered in all rounds.
    """
    told: Any = Annotation.objects.filter(round=asking).order_by().values("annotator")
    told = told.annotate(**_counts_of_answers(now))
    counted = {row.pop("annotator"): row for row in told}
    people = Annotator.objects.filter(pk__in=list(counted)).select_related("user")
    found = [Answering(person, **_by_themselves(person, counted[person.pk])) for person in people]
    return sorted(found, key=lambda row: (-row.answers, row.person.pk))


def _counts_of_answers(now: datetime) -> dict[str, Any]:
    here = Q(withdrawn_at__isnull=True)
    given = here & ~Q(answer=Answer.SKIP)
    counts = given & Q(is_surplus=False, is_gold=False)
    starts = (start_of_day(now), now - PACE_OVER, now - timedelta(days=1))
    today, hour, day = (Q(created_at__gte=start) for start in starts)
    return {
        "answers": Count("pk", filter=given),
        "today": Count("pk", filter=given & today),
        "counted": Count("pk", filter=counts),
        "last_hour": Count("pk", filter=counts & hour),
        "last_day": Count("pk", filter=counts & day),
        "timed": Count("seconds", filter=counts),
        "took": Coalesce(Sum("seconds", filter=counts), 0.0),
        "unsure": Count("pk", filter=here & Q(answer=Answer.UNSURE)),
        "unusable": Count("pk", filter=here & Q(answer=Answer.UNUSABLE)),
        "skipped": Count("pk", filter=here & Q(answer=Answer.SKIP)),
        "surplus": Count("pk", filter=given & Q(is_surplus=True)),
        "pace": Avg("seconds", filter=given),
        "last": Max("created_at", filter=here),
    }


def _by_themselves(person: Annotator, counted: dict[str, Any]) -> dict[str, Any]:
    """Return the counts of a person; what was imported today was answered elsewhere, earlier."""
    return counted if person.user_id else counted | dict.fromkeys(LATELY, 0)


@dataclass(frozen=True)
class Progress:
    """How far a round is, and how long the rest takes at the pace so far.

    `goes_on_hour` and `goes_on_day` are what of the latest answers came from people who are not
    stopped: the others bring no more.
    """

    total: int
    settled: int
    disputed: int
    answers: int
    answers_wanted: int
    seconds_an_answer: float | None
    answers_last_hour: int
    answers_last_day: int
    goes_on_hour: int
    goes_on_day: int
    paid: int
    missing: int
    price: Decimal | None
    now: datetime
    fewest: int
    most: int

    @property
    def done(self) -> int:
        return self.settled + self.disputed

    @property
    def seconds_left(self) -> float | None:
        """Working time of one person for the answers that are missing."""
        if self.seconds_an_answer is None:
            return None
        return self.missing * self.seconds_an_answer

    @property
    def pace(self) -> float:
        """Answers an hour: of the last hour, or of the last day when that one was quiet."""
        return self.goes_on_hour or self.goes_on_day / 24

    @property
    def without_stopped(self) -> bool:
        """Return whether people who are stopped gave some of the latest answers."""
        return self.goes_on_day < self.answers_last_day

    @property
    def done_at(self) -> datetime | None:
        """When the last answer comes at the pace so far."""
        if not self.missing or not self.pace:
            return None
        hours = self.missing / self.pace
        return self.now + timedelta(hours=hours) if hours < MOST_HOURS_AHEAD else None

    @property
    def beside(self) -> int:
        """Answers that are paid but settle nothing: to check items, and surplus ones."""
        return self.paid - self.answers

    @property
    def cost(self) -> Decimal | None:
        """What the answers so far cost; surplus ones and check items were work as well."""
        return None if self.price is None else self.price * self.paid

    @property
    def cost_in_all(self) -> Decimal | None:
        """What it will have cost with the answers that are missing."""
        return None if self.price is None else self.price * (self.paid + self.missing)


def progress(
    asking: Round, *, now: datetime, people: Iterable[Answering] | None = None
) -> Progress:
    """Count items by state and answers, with the pace; who answered is asked unless it is known."""
    people = crowd(asking, now=now) if people is None else people
    asked = asking.round_items.exclude(state=RoundItemState.GOLD)
    rows: Any = asked.order_by().values("state")
    rows = rows.annotate(n=Count("pk"), all=Sum("wanted"), fewest=Min("wanted"), most=Max("wanted"))
    states = {row["state"]: row for row in rows}
    done = {state: row["n"] for state, row in states.items()}
    return Progress(
        total=sum(done.values()),
        settled=done.get(RoundItemState.SETTLED, 0),
        disputed=done.get(RoundItemState.DISPUTED, 0),
        answers_wanted=sum(row["all"] for row in states.values()),
        **_answered(people, stopped=guards.stopped_in(asking.dataset)),
        missing=_missing(asking),
        price=asking.price,
        now=now,
        fewest=min((row["fewest"] for row in states.values()), default=0),
        most=max((row["most"] for row in states.values()), default=0),
    )


def _answered(people: Iterable[Answering], *, stopped: Iterable[Stopped]) -> dict[str, Any]:
    """Add up what everybody answered, and lately those who go on."""
    everybody, away = list(people), {row.annotator.pk for row in stopped}
    goes_on = [row for row in everybody if row.person.pk not in away]
    timed = sum(row.timed for row in everybody)
    return {
        "paid": sum(row.answers for row in everybody),
        "answers": sum(row.counted for row in everybody),
        "seconds_an_answer": sum(row.took for row in everybody) / timed if timed else None,
        "answers_last_hour": sum(row.last_hour for row in everybody),
        "answers_last_day": sum(row.last_day for row in everybody),
        "goes_on_hour": sum(row.last_hour for row in goes_on),
        "goes_on_day": sum(row.last_day for row in goes_on),
    }


def _missing(asking: Round) -> int:
    """Count the answers that are still to come, those under way among them."""
    is_open = {"state": RoundItemState.OPEN, "item__excluded": ""}
    left = asking.round_items.filter(**is_open).aggregate(n=Sum(F("wanted") - F("taken")))
    claimed = {f"round_item__{name}": value for name, value in is_open.items()}
    under_way = Claim.objects.filter(round_item__round=asking, **claimed)  # taken, not answered
    return (left["n"] or 0) + under_way.count()


def read_count(value: str) -> str:
    """Return which items of a round a count means: its id, or `id.state`; empty when neither."""
    number, _dot, state = value.partition(".")
    is_number = number.isascii() and number.isdigit() and len(number) < MOST_DIGITS
    return value if is_number and state in ("", *RoundItemState.values) else ""


def items_counted(dataset: Dataset, count: str) -> set[int]:
    """Return the items (by id) that such a count of a round counts."""
    number, _dot, state = count.partition(".")
    places = RoundItem.objects.filter(round__dataset=dataset, round=int(number))
    places = places.filter(state=state) if state else places.exclude(state=RoundItemState.GOLD)
    return set(places.values_list("item", flat=True))
