"""Whose items a withdrawal of consent takes, counted for whoever has to confirm it."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.models import Annotation, Dataset, Example, GoldItem, Item, Split
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
