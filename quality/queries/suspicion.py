"""Items in the order of suspicion: by their worst standing doubt, then all others, newest first.

Flags are walked by an index in the order of their scores until a page is full: to read all of
20,000 first took a page half a second (bench/pages.py).
"""

from typing import Any

from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Value

from labeling.models import Item
from quality.models import FlagItem
from quality.queries.doubts import standing_doubts
from quality.queries.filters import Shown, one_of
from quality.queries.measurements import Place

UNDOUBTED = -1.0  # where items stand that nothing doubts: below every score


def ids_beside(
    shown: Shown, place: Place | None, *, backwards: bool, count: int
) -> list[tuple[int, float]]:
    """Return the next items (id, score) after a place, nearest first; before it if backwards."""
    found: list[tuple[int, float]] = []
    walks = (_doubted,) if shown.filter.flags else (_doubted, _others)  # doubted is what it asks
    for walk in walks[:: -1 if backwards else 1]:
        if len(found) < count:
            found += walk(shown, place, backwards=backwards)[: count - len(found)]
    return found


def place_of(item: Item) -> Place:
    """Return where an item stands in the order."""
    worst = standing_doubts().filter(item=item).aggregate(score=Max("flag__score"))["score"]
    return (UNDOUBTED if worst is None else worst, item.pk)


def worst_first(shown: Shown) -> QuerySet[FlagItem, tuple[int, float]]:
    """Return the items shown that something doubts (id, worst score), most suspicious first.

    What is asked of items stands in EXISTS: joined with it, SQLite may walk all items.
    """
    there = shown.items().filter(pk=OuterRef("item_id"))
    rows = standing_doubts(shown.dataset).filter(Exists(there))
    if shown.names_few:
        rows = rows.filter(one_of("item", shown.listed.tolist()))
    worse = standing_doubts().filter(
        item=OuterRef("item_id"), flag__score__gt=OuterRef("flag__score")
    )
    ordered = rows.filter(~Exists(worse)).order_by("-flag__score", "-item_id")
    return ordered.values_list("item_id", "flag__score").distinct()


def _doubted(shown: Shown, place: Place | None, *, backwards: bool) -> Any:
    rows = worst_first(shown)
    if place:  # the second condition is implied: it is the one that an index can serve
        score, pk = place
        beyond = "gt" if backwards else "lt"
        nearer = Q(**{f"flag__score__{beyond}": score}) | Q(**{f"item_id__{beyond}": pk})
        rows = rows.filter(nearer, **{f"flag__score__{beyond}e": score})
    return rows.reverse() if backwards else rows


def _others(shown: Shown, place: Place | None, *, backwards: bool) -> Any:
    doubts = standing_doubts().filter(item=OuterRef("pk"))
    rows = shown.items().filter(~Exists(doubts)).order_by("pk" if backwards else "-pk")
    if place and place[0] == UNDOUBTED:
        rows = rows.filter(**{"pk__gt" if backwards else "pk__lt": place[1]})
    elif place and backwards:
        rows = rows.none()
    return rows.annotate(score=Value(UNDOUBTED)).values_list("pk", "score")
