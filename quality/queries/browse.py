"""Reads of Browse: one page of items by keyset, and what its filter offers."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from labeling.models import Dataset, Item, ItemTag, Media, User
from quality.models import UNFLAGGED, Action, Decision, Flag, FlagState, ProposalState, Run
from quality.queries import measurements, suspicion
from quality.queries.filters import LISTED, Shown, one_of
from quality.queries.id_lists import ids_of_rows

ITEMS_A_PAGE = 120
RANDOM_ITEMS = 100
MOST_AT_ONCE = 10_000  # items; a decision keeps the state of each before and after in one row
TAGS_SHOWN = 30
END = "end"

Walk = Callable[..., list[tuple[int, float]]]


@dataclass(frozen=True)
class Page:
    """Items of one page, and the cursors of the pages around it (empty: there is none)."""

    items: list[Item]
    previous: str = ""
    next: str = ""


@dataclass(frozen=True)
class Outline:
    """Which kinds of flags and which tags a dataset has: boxes that do not come and go."""

    kinds: Collection[str] = ()
    tags: Collection[str] = ()


def run_of(dataset: Dataset, number: int) -> Run | None:
    """The run that a filter names."""
    found = Run.objects.filter(dataset=dataset, number=number).select_related("version")
    return found.first() if number else None


def page_of(shown: Shown, *, after: str = "", before: str = "") -> Page:
    """Return one page in the filter's order; cursors are places, never offsets."""
    if shown.filter.random is not None:
        drawn = _drawn(shown, seed=shown.filter.random)
        return Page(_in_order(shown.items(), drawn, media=shown.dataset.media))
    if shown.filter.like:
        return Page(_in_order(shown.items(), shown.ids or [], media=shown.dataset.media))
    if walk := _walk(shown):
        return _walked_page(shown, walk, after=after, before=before)
    column = "key" if shown.filter.sort == "key" else "pk"
    return _keyset_page(shown, column, newest_first=column == "pk", after=after, before=before)


def _with_parts(rows: QuerySet[Item], *, media: str) -> QuerySet[Item]:
    text = ["content__text"] if media == Media.TEXT else []
    named = ("dataset", "key", "split", "excluded", "withdrawn_at", "label__name")
    shown = ("content__facts", "content__preview", "content__display")
    return rows.select_related("content", "label").only(*named, *shown, *text)


def _keyset_page(shown: Shown, column: str, *, newest_first: bool, after: str, before: str) -> Page:
    backwards = bool(before)
    rows = _on_the_way(shown)
    cursor = before or after
    descending = newest_first != backwards
    if cursor and cursor != END:
        place = cursor if column == "key" else _whole(cursor)
        rows = rows.filter(**{f"{column}__{'lt' if descending else 'gt'}": place})
    rows = rows.order_by(f"-{column}" if descending else column)
    if _is_sifted(shown):
        ids = measurements.sifted(shown, rows, count=ITEMS_A_PAGE + 1)
        found = _in_order(shown.dataset.items.all(), ids, media=shown.dataset.media)
    else:
        found = list(_with_parts(rows, media=shown.dataset.media)[: ITEMS_A_PAGE + 1])
    more = len(found) > ITEMS_A_PAGE
    found = found[:ITEMS_A_PAGE]
    if backwards:
        found.reverse()
    return _page(found, backwards=backwards, cursor=cursor, more=more, name=column)


def _is_sifted(shown: Shown) -> bool:
    """Tell whether a range leaves so many items that walking all is faster than naming them."""
    return shown.filter.has_range and not shown.names_few


def _on_the_way(shown: Shown) -> QuerySet[Item]:
    """Return the items shown, and where they are sifted those that other filters show, too."""
    return shown.items(without=LISTED) if _is_sifted(shown) else shown.items()


def _page(found: list[Item], *, backwards: bool, cursor: str, more: bool, name: str) -> Page:
    if not found:
        return Page([])
    has_previous = more if backwards else bool(cursor)
    has_next = cursor != END if backwards else more
    return Page(
        found,
        previous=str(getattr(found[0], name)) if has_previous else "",
        next=str(getattr(found[-1], name)) if has_next else "",
    )


def _walk(shown: Shown) -> Walk | None:
    """Return what goes along the order, where no column of an item gives it."""
    if shown.filter.sort == "suspicious":
        return suspicion.ids_beside
    return measurements.ids_beside if measurements.gives_order(shown) else None


def _walked_page(shown: Shown, walk: Walk, *, after: str, before: str) -> Page:
    """One page in the order of a walk; the cursor is the value with the item's id."""
    cursor = before or after
    place = None if cursor == END else _place(cursor)
    found = walk(shown, place, backwards=bool(before), count=ITEMS_A_PAGE + 1)
    more = len(found) > ITEMS_A_PAGE
    found = found[:ITEMS_A_PAGE][:: -1 if before else 1]
    if not found:
        return Page([])
    first, last = (f"{value!r}~{pk}" for pk, value in (found[0], found[-1]))
    has_previous, has_next = (more, cursor != END) if before else (bool(cursor), more)
    ids = [pk for pk, _value in found]
    items = _in_order(shown.dataset.items.all(), ids, media=shown.dataset.media)
    return Page(items, first if has_previous else "", last if has_next else "")


def _whole(cursor: str) -> int:
    return int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 19 else 0


def ids_to_ask(shown: Shown, *, order: str) -> list[int]:
    """Return all items shown (by id): `worst` doubts first, `listed` by key, else at random."""
    if shown.filter.random is not None:
        return _drawn(shown, seed=shown.filter.random)
    if order == "worst":
        doubted = [pk for pk, _score in suspicion.worst_first(shown)]
        rest = shown.items().order_by("key").values_list("pk", flat=True)
        return list(dict.fromkeys([*doubted, *rest]))
    column = "key" if order == "listed" else "pk"
    found = list(shown.items().order_by(column).values_list("pk", flat=True))
    if order != "listed":
        random.Random(shown.dataset.pk).shuffle(found)
    return found


def _place(cursor: str) -> tuple[float, int] | None:
    """Read a cursor of a value and an item's id."""
    value, sign, pk = cursor.partition("~")
    try:
        return (float(value), _whole(pk)) if sign else None
    except ValueError:
        return None


def _drawn(shown: Shown, *, seed: int) -> list[int]:
    """Return items drawn at random: the same for the same filter, seed and dataset."""
    ids = ids_of_rows(shown.items())
    drawn = random.Random(seed).sample(range(len(ids)), min(RANDOM_ITEMS, len(ids)))
    return [int(pk) for pk in ids[drawn]]


def _in_order(rows: QuerySet[Item], ids: list[int], *, media: str) -> list[Item]:
    found = {item.pk: item for item in _with_parts(rows, media=media).filter(one_of("pk", ids))}
    return [found[pk] for pk in ids if pk in found]


def ids_of(shown: Shown) -> list[int]:
    """Return all items that a filter shows; of too many, one more than may be changed."""
    if shown.filter.random is not None:
        return _drawn(shown, seed=shown.filter.random)
    return list(shown.items().order_by("pk").values_list("pk", flat=True)[: MOST_AT_ONCE + 1])


def ids_around(shown: Shown, item: Item) -> tuple[int | None, int | None]:
    """Return the items before and after one in the filter's order."""
    chosen = shown.filter
    if chosen.random is not None or chosen.like:
        ids = _drawn(shown, seed=chosen.random) if chosen.random is not None else shown.ids or []
        if item.pk not in ids:
            return None, None
        beside, at = dict(enumerate(ids)), ids.index(item.pk)
        return beside.get(at - 1), beside.get(at + 1)
    if walk := _walk(shown):
        is_measured = measurements.gives_order(shown)
        place = measurements.place_of(shown, item) if is_measured else suspicion.place_of(item)
        sides = [walk(shown, place, backwards=way, count=1) for way in (True, False)]
        return sides[0][0][0] if sides[0] else None, sides[1][0][0] if sides[1] else None
    column = "key" if chosen.sort == "key" else "pk"
    rows, place = _on_the_way(shown), getattr(item, column)
    lower = rows.filter(**{f"{column}__lt": place}).order_by(f"-{column}")
    upper = rows.filter(**{f"{column}__gt": place}).order_by(column)
    below, above = (_nearest(shown, side) for side in (lower, upper))
    return (below, above) if column == "key" else (above, below)


def _nearest(shown: Shown, rows: QuerySet[Item]) -> int | None:
    if _is_sifted(shown):
        return next(iter(measurements.sifted(shown, rows, count=1)), None)
    return rows.values_list("pk", flat=True).first()


def outline_of(dataset: Dataset) -> Outline:
    """Return what the filter offers, without counting what each box would show."""
    flags = Flag.objects.filter(dataset=dataset, state=FlagState.OPEN).order_by()
    flags = flags.exclude(kind=UNFLAGGED)
    tags = ItemTag.objects.filter(item__dataset=dataset).values_list("name")
    often = tags.annotate(n=Count("pk")).order_by("-n", "name")[:TAGS_SHOWN]
    return Outline(
        kinds=set(flags.values_list("kind", flat=True).distinct()),
        tags=[name for name, _n in often],
    )


def last_selection_decision(dataset: Dataset, user: User) -> Decision | None:
    """The newest thing a person did to a selection that is not undone.

    Merged classes are parted again where they were merged: guideline and rounds go with them.
    """
    mine = Decision.objects.filter(dataset=dataset, by=user, flag=None, undone_by=None)
    mine = mine.exclude(undo_proposals__state=ProposalState.WAITING).defer("before")
    return mine.exclude(action__in=(Action.UNDO, Action.CLASSES)).order_by("-pk").first()
