"""Reads about a dataset's crowd: who answered how much, how well, and where they disagree."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.db.models import Avg, Count, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse

from labeling import crowd_findings
from labeling.crowd_findings import Findings
from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Dataset,
    Job,
    LabelClass,
    RoundItem,
    RoundItemState,
)
from labeling.queries import qualifications
from labeling.queries.datasets import listed
from labeling.queries.gold import Checked, by_annotator

KIND = "measure_crowd"
PEOPLE_A_PAGE = 50
QUIET = timedelta(minutes=2)  # without an answer, before a crowd is measured by itself
OFTEN = timedelta(minutes=15)  # while answers keep coming
MANY = 500  # answers since the last measuring, before the next one
SORTS = ("answers", "accuracy", "time", "unsure", "last")


@dataclass(frozen=True)
class Limits:
    """A figure with its 95 % limits."""

    value: float
    low: float
    high: float

    @property
    def tells(self) -> bool:
        """Whether the limits of an agreement leave anything out."""
        from mlcore.agreement import tells

        return tells(self.low, self.high)


def limits_at(rows: np.ndarray, row: int | None) -> Limits | None:
    """Return a row of (value, low, high); None where there is none or nothing was measured."""
    if row is None or np.isnan(rows[row, 0]):
        return None
    return Limits(*(float(each) for each in rows[row]))


def classes_of(dataset: Dataset) -> list[LabelClass]:
    """All classes, retired ones too: people named them when they answered."""
    return list(dataset.classes.all())


def answers_in(dataset: Dataset) -> QuerySet[Annotation]:
    """Answers of any round that counts and that were not taken back; skipping is none."""
    rows = Annotation.objects.filter(round__dataset=dataset, withdrawn_at__isnull=True)
    rows = rows.filter(round__counts=True)
    return rows.exclude(answer=Answer.SKIP)


def said_in(dataset: Dataset) -> Iterator[tuple[int, int, int]]:
    """Yield item, annotator and class (by id) of every answer that names one, oldest first."""
    rows = answers_in(dataset).filter(label__isnull=False).order_by("pk")
    meant = Coalesce("label__merged_into", "label")
    return rows.values_list("item_id", "annotator_id", meant).iterator(chunk_size=5_000)


@dataclass(frozen=True)
class Person:
    """An annotator as the list of the crowd shows them."""

    annotator: Annotator
    answers: int
    unsure: int
    unusable: int
    skipped: int
    seconds: float | None
    last: datetime | None
    accuracy: Limits | None
    gold: Checked | None
    qualification: qualifications.Standing | None


@dataclass(frozen=True)
class People:
    """A page of the crowd."""

    rows: list[Person]
    total: int
    page: int

    @property
    def has_next(self) -> bool:
        return self.page * PEOPLE_A_PAGE < self.total

    @property
    def has_qualifications(self) -> bool:
        return any(row.qualification for row in self.rows)


def people_of(dataset: Dataset, found: Findings | None, *, sort: str, page: int) -> People:
    """Return a page of those who answered, in the order asked for."""
    given = ~Q(answer=Answer.SKIP)
    counts = (
        Annotation.objects.filter(round__dataset=dataset, withdrawn_at__isnull=True)
        .order_by()
        .values("annotator")
        .annotate(
            answers=Count("pk", filter=given),
            unsure=Count("pk", filter=Q(answer=Answer.UNSURE)),
            unusable=Count("pk", filter=Q(answer=Answer.UNUSABLE)),
            skipped=Count("pk", filter=Q(answer=Answer.SKIP)),
            seconds=Avg("seconds", filter=given),
            last=Max("created_at"),
        )
    )
    rows: list[dict[str, Any]] = [
        {**row, "accuracy": _accuracy(found, row["annotator"])} for row in counts
    ]
    rows.sort(key=lambda row: (_place(row, sort), row["annotator"]))
    shown = rows[(page - 1) * PEOPLE_A_PAGE : page * PEOPLE_A_PAGE]
    names = Annotator.objects.select_related("user").in_bulk([row["annotator"] for row in shown])
    checked, stands = by_annotator(dataset), qualifications.last_of(dataset, names.values())
    people = [
        Person(
            **{key: value for key, value in row.items() if key != "annotator"},
            annotator=names[row["annotator"]],
            gold=checked.get(row["annotator"]),
            qualification=stands.get(row["annotator"]),
        )
        for row in shown
    ]
    return People(people, len(rows), page)


def _accuracy(found: Findings | None, annotator: int) -> Limits | None:
    if found is None or not found.tells_who:
        return None
    return limits_at(found.arrays["accuracy"], found.people.get(annotator))


def _place(row: dict[str, Any], sort: str) -> float:
    """What should be looked at first comes first; those without a figure come last."""
    if sort == "accuracy":
        return row["accuracy"].value if row["accuracy"] else 2.0
    if sort == "time":
        return float("inf") if row["seconds"] is None else float(row["seconds"])
    if sort == "unsure":
        doubtful = row["unsure"] + row["unusable"] + row["skipped"]
        return -float(doubtful) / max(1, row["answers"] + row["skipped"])
    if sort == "last":
        return -float(row["last"].timestamp())
    return -float(row["answers"])


def answers_since(dataset: Dataset, found: Findings) -> int:
    """Count the answers that came after the crowd was measured."""
    return answers_in(dataset).filter(created_at__gt=found.at).count()


@dataclass(frozen=True)
class Pair:
    """Two classes that most annotators take for each other."""

    first: LabelClass
    second: LabelClass
    rate: float
    support: float
    panels: int
    first_as_second: int
    second_as_first: int
    first_url: str
    second_url: str


def pairs_of(dataset: Dataset, found: Findings) -> list[Pair]:
    """Return the confused pairs with how often each way and where these answers are listed."""
    wanted = found.facts["pairs"]
    if not wanted:
        return []
    classes = {c.pk: c for c in classes_of(dataset)}
    counts = _counts(answers_in(dataset), found)
    pairs = []
    for row in wanted:
        first, second = (classes[pk] for pk in row["classes"])
        pairs.append(
            Pair(
                first,
                second,
                row["rate"],
                row["support"],
                row["panels"],
                counts[first.pk, second.pk],
                counts[second.pk, first.pk],
                answers_url(dataset, consensus=first.pk, said=second.pk),
                answers_url(dataset, consensus=second.pk, said=first.pk),
            )
        )
    return pairs


def _counts(rows: QuerySet[Annotation], found: Findings) -> Counter[tuple[int, int]]:
    """Count answers by consensus and class named (ids); consensus 0 where there is none."""
    named = rows.filter(label__isnull=False).order_by()
    pairs = np.array(list(named.values_list("item_id", "label_id")), np.int64).reshape(-1, 2)
    agreed = found.labels_of(pairs[:, 0])
    return Counter(zip(agreed.tolist(), pairs[:, 1].tolist()))


def answers_url(dataset: Dataset, **wanted: Any) -> str:
    """Return the address of the answers that a number counts."""
    query = urlencode({name: value for name, value in wanted.items() if value})
    return f"{reverse('labeling:crowd_answers', args=[dataset.slug])}?{query}"


@dataclass(frozen=True)
class Cell:
    """Answers that name one class about items for which the crowd settles on one."""

    count: int
    share: float
    given: str
    predicted: str
    url: str


@dataclass(frozen=True)
class Row:
    """What was answered where the crowd settles on one class."""

    name: str
    cells: list[Cell]
    total: int
    url: str
    recall: float | None


@dataclass(frozen=True)
class Table:
    """Answers of one annotator, or of all, against the crowd's consensus."""

    heads: list[tuple[str, str]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    unsettled: int = 0

    @property
    def compared(self) -> int:
        """Answers that stand beside a consensus of more than themselves."""
        return sum(row.total for row in self.rows)


def confusion_of(dataset: Dataset, annotator: Annotator | None, found: Findings) -> Table:
    """Return what one annotator, or everybody, answers for each class the crowd settles on."""
    classes, given = classes_of(dataset), answers_in(dataset)
    counts = _counts(given.filter(annotator=annotator) if annotator else given, found)
    whose = annotator.pk if annotator else 0
    used = [c for c in classes if c.retired_at is None or any(c.pk in pair for pair in counts)]

    def url(consensus: int, said: int) -> str:
        return answers_url(dataset, annotator=whose, consensus=consensus, said=said)

    rows = []
    for settled in used:
        total = sum(counts[settled.pk, said.pk] for said in used)
        cells = [
            Cell(
                counts[settled.pk, said.pk],
                counts[settled.pk, said.pk] / total if total else 0.0,
                settled.name,
                said.name,
                url(settled.pk, said.pk),
            )
            for said in used
        ]
        recall = counts[settled.pk, settled.pk] / total if total else None
        rows.append(Row(settled.name, cells, total, url(settled.pk, 0), recall))
    unsettled = sum(count for (consensus, _said), count in counts.items() if not consensus)
    return Table([(c.name, url(0, c.pk)) for c in used], rows, unsettled)


def person_of(dataset: Dataset, annotator: Annotator) -> dict[str, Any]:
    """Return one annotator's counts over all rounds, with when they began."""
    rows = Annotation.objects.filter(round__dataset=dataset, annotator=annotator)
    kept, given = Q(withdrawn_at__isnull=True), ~Q(answer=Answer.SKIP)
    return rows.aggregate(
        answers=Count("pk", filter=kept & given),
        named=Count("pk", filter=kept & Q(label__isnull=False)),
        unsure=Count("pk", filter=kept & Q(answer=Answer.UNSURE)),
        unusable=Count("pk", filter=kept & Q(answer=Answer.UNUSABLE)),
        no=Count("pk", filter=kept & Q(answer=Answer.NO)),
        skipped=Count("pk", filter=kept & Q(answer=Answer.SKIP)),
        surplus=Count("pk", filter=kept & given & Q(is_surplus=True)),
        withdrawn=Count("pk", filter=Q(withdrawn_at__isnull=False)),
        seconds=Avg("seconds", filter=kept & given),
        first=Min("created_at"),
        last=Max("created_at"),
    )


@dataclass(frozen=True)
class Shared:
    """How far answers agree in one class or with one annotator."""

    name: str
    alpha: Limits | None
    url: str

    @property
    def tells(self) -> bool:
        return self.alpha is not None and self.alpha.tells


def agreement_of(dataset: Dataset, found: Findings) -> tuple[list[Shared], list[Shared]]:
    """Return the agreement by class and by annotator: the lowest first, too few to tell last."""
    classes = {c.pk: c.name for c in classes_of(dataset)}
    by_class = [
        Shared(
            classes[pk],
            limits_at(found.arrays["classes_alpha"], row),
            answers_url(dataset, said=pk),
        )
        for row, pk in enumerate(found.arrays["classes"].tolist())
        if pk in classes
    ]
    people = Annotator.objects.filter(dataset=dataset).select_related("user").in_bulk()
    by_person = [
        Shared(
            str(people[pk]),
            limits_at(found.arrays["people_alpha"], row),
            reverse("labeling:crowd_person", args=[dataset.slug, pk]),
        )
        for pk, row in found.people.items()
        if pk in people
    ]
    return sorted(by_class, key=_lowest), sorted(by_person, key=_lowest)


def _lowest(row: Shared) -> tuple[bool, float, str]:
    return (not row.tells, row.alpha.value if row.alpha else 2.0, row.name)


def last_measuring(dataset: Dataset) -> Job | None:
    """Return the newest job that measures or measured the crowd."""
    return Job.objects.filter(dataset=dataset, kind=KIND).order_by("-pk").first()


def crowds_to_measure(*, now: datetime) -> list[Dataset]:
    """Return datasets with answers that no measuring has read.

    At once where nothing is asked any more or many answers came, else when it is quiet, or
    after a while.
    """
    news: list[Dataset] = []
    in_use = listed(Dataset.objects.all())
    for dataset in in_use.annotate(last=Max("rounds__annotations__created_at")):
        job = last_measuring(dataset)
        if dataset.last is None or (job and job.created_at > dataset.last):
            continue
        is_due = dataset.last < now - QUIET or (job and job.created_at < now - OFTEN)
        if is_due or _is_over(dataset) or _many_since(dataset, job):
            news.append(dataset)
    return news


def _is_over(dataset: Dataset) -> bool:
    """Return whether no open round asks for anything more."""
    asked = RoundItem.objects.filter(
        round__dataset=dataset,
        round__closed_at__isnull=True,
        state=RoundItemState.OPEN,
        item__excluded="",
    )
    return not asked.exists()


def _many_since(dataset: Dataset, job: Job | None) -> bool:
    rows = answers_in(dataset)
    if job:
        rows = rows.filter(created_at__gt=job.created_at)
    return rows[: MANY + 1].count() > MANY


def findings_of(dataset: Dataset) -> Findings | None:
    """Return what the last measuring found."""
    return crowd_findings.last(dataset.pk)
