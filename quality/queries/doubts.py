"""Standing doubts: items' parts in open flags that still doubt the label that the item has."""

from collections.abc import Collection
from typing import NamedTuple

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from labeling.models import Dataset
from quality.models import UNFLAGGED, FlagItem, FlagState

ANY = "any"


class Doubt(NamedTuple):
    """One item's part in an open flag."""

    item: int
    kind: str
    score: float
    suggested: str


def open_parts(dataset: Dataset | None = None) -> QuerySet[FlagItem]:
    """Return items' parts in open flags, also those whose label is another by now."""
    rows = FlagItem.objects.filter(flag__state=FlagState.OPEN).exclude(flag__kind=UNFLAGGED)
    return rows.filter(flag__dataset=dataset) if dataset else rows


def standing_doubts(dataset: Dataset | None = None) -> QuerySet[FlagItem]:
    """Return the parts that still doubt the label that the item has, or no label."""
    return open_parts(dataset).filter(Q(flag__given="") | Q(flag__given=F("item__label__name")))


def is_doubted(dataset: Dataset, kinds: Collection[str] = (ANY,), *, are_named: bool = False) -> Q:
    """Match items with standing doubts of these kinds.

    Open flags are listed without a look at items; then only items on the way are asked whether
    it stands: to find all that stand first takes three times as long (bench/pages.py). Of items
    that are named anyway (`are_named`) each is asked at once.
    """
    named, standing = open_parts(dataset), standing_doubts().filter(item=OuterRef("pk"))
    if ANY not in kinds:
        named = named.filter(flag__kind__in=kinds)
        standing = standing.filter(flag__kind__in=kinds)
    found = Q(Exists(standing))
    return found if are_named else Q(pk__in=named.values("item")) & found


def doubts_about(items: Collection[int]) -> list[Doubt]:
    """Return those about a page of items (by id)."""
    rows = standing_doubts().filter(item__in=items)
    return [
        Doubt(*row)
        for row in rows.values_list("item", "flag__kind", "flag__score", "flag__suggested")
    ]
