"""Whose items a withdrawal of consent takes, counted for whoever has to confirm it."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.models import Annotation, Dataset, Example, GoldItem, Item, Job, Split, Version
from quality.models import Run
from quality.queries.filters import one_of

NAMED = 20  # items that go, and of others with the same bytes, by their keys


@dataclass(frozen=True)
class Outlook:
    """What a withdrawal would erase, and what would stay."""

    items: int
    keys: list[str]
    people: list[str]
    copies: int
    in_test: int
    answers: int
    examples: int
    staying: list[str]
    n_staying: int
    elsewhere: int


def people_of(dataset: Dataset, items: Collection[int]) -> list[str]:
    """Return the source groups of items (by id); items without one speak for themselves alone."""
    rows = Item.objects.filter(one_of("pk", list(items)), dataset=dataset)
    rows = rows.exclude(source_group="")
    return sorted(set(rows.order_by().values_list("source_group", flat=True)))


def items_taken(
    dataset: Dataset, *, items: Collection[int] = (), people: Collection[str] = ()
) -> list[int]:
    """Return what goes: these items, all of these people, and the same bytes of the same person."""
    there = Item.objects.filter(dataset=dataset, withdrawn_at__isnull=True)
    asked = there.filter(one_of("pk", list(items)) | Q(source_group__in=set(people) - {""}))
    pks = set(asked.values_list("pk", flat=True))
    return sorted(pks | _copies_of_same_person(there, pks))


def _copies_of_same_person(there: QuerySet[Item], pks: Collection[int]) -> set[int]:
    same = there.filter(
        one_of("pk", list(pks)),
        content=OuterRef("content"),
        source_group=OuterRef("source_group"),
    )
    rows = there.exclude(source_group="").filter(Exists(same))
    return set(rows.values_list("pk", flat=True))


def outlook(dataset: Dataset, *, taken: Collection[int], asked: Collection[int] = ()) -> Outlook:
    """Count what goes and what others keep."""
    rows = dataset.items.filter(one_of("pk", list(taken)))
    hashes = list(rows.order_by().values_list("content", flat=True).distinct())
    others = Item.objects.filter(one_of("content", hashes)).exclude(one_of("pk", list(taken)))
    staying = others.filter(dataset=dataset).order_by("key")
    return Outlook(
        items=len(taken),
        keys=list(rows.order_by("key").values_list("key", flat=True)[:NAMED]),
        people=people_of(dataset, taken),
        copies=len(set(taken) - set(asked)) if asked else 0,
        in_test=rows.filter(split=Split.TEST).count(),
        answers=Annotation.objects.filter(item__in=rows).count(),
        examples=Example.objects.filter(item__in=rows).count()
        + GoldItem.objects.filter(item__in=rows, retired_at__isnull=True).count(),
        staying=list(staying.values_list("key", flat=True)[:NAMED]),
        n_staying=staying.count(),
        elsewhere=others.exclude(dataset=dataset).values("dataset").distinct().count(),
    )


@dataclass(frozen=True)
class Touched:
    """A frozen version of which lines are tombstones since, and the runs that learned from it."""

    version: Version
    lines: int
    runs: list[Run]


@dataclass(frozen=True)
class Outcome:
    """What stands in the place of items whose consent was withdrawn, and where they were before."""

    tombstones: list[Item]
    answers: int
    versions: list[Touched]

    @property
    def has_runs(self) -> bool:
        return any(touched.runs for touched in self.versions)


def outcome(dataset: Dataset, job: Job) -> Outcome:
    """Return what a withdrawal (a job that is done) left."""
    rows = dataset.items.filter(one_of("pk", job.options["items"]))
    lines = {int(number): n for number, n in job.result["versions"].items()}
    versions = dataset.versions.filter(number__in=lines).order_by("-number")
    learned: dict[int, list[Run]] = {}
    for run in dataset.runs.filter(version__in=versions, is_imported=False).order_by("number"):
        learned.setdefault(run.version_id, []).append(run)
    return Outcome(
        tombstones=list(rows.select_related("label").order_by("pk")[:NAMED]),
        answers=Annotation.objects.filter(item__in=rows).count(),
        versions=[Touched(row, lines[row.number], learned.get(row.pk, [])) for row in versions],
    )
