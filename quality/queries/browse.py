"""Reads of Browse: one page of items by keyset, and the counts beside the filters."""

import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, QuerySet

from labeling.models import Dataset, Item, ItemTag, Media, RoundItem, RoundItemState, User
from quality.models import UNFLAGGED, Action, Decision, Flag, FlagState, ProposalState, Run
from quality.queries.filters import Shown, one_of
from quality.queries.measurements import ids_beside, place_of

ITEMS_A_PAGE = 120
RANDOM_ITEMS = 100
MOST_AT_ONCE = 10_000  # items; a decision keeps the state of each before and after in one row
TAGS_SHOWN = 30
END = "end"


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


@dataclass(frozen=True)
class Facets:
    """How many items each box of the filter would show; each group ignores its own boxes."""

    total: int = 0
    classes: Mapping[int | None, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    odd: int = 0
    excluded: int = 0
    disputed: int = 0
    flagged: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)


def run_of(dataset: Dataset, number: int) -> Run | None:
    """The run that a filter names."""
    found = Run.objects.filter(dataset=dataset, number=number).select_related("version")
    return found.first() if number else None


def page_of(shown: Shown, *, after: str = "", before: str = "") -> Page:
    """Return one page in the filter's order; cursors are places, never offsets."""
    if shown.filter.random is not None:
        return Page(_in_order(shown, _drawn(shown, seed=shown.filter.random)))
    if shown.filter.like:
        return Page(_in_order(shown, shown.ids or []))
    if shown.filter.sort == "suspicious":
        return _suspicious_page(shown, after=after, before=before)
    if shown.filter.sorts_by_fact:
        return _measured_page(shown, after=after, before=before)
    column = "key" if shown.filter.sort == "key" else "pk"
    rows = _with_parts(shown)
    return _keyset_page(rows, column, newest_first=column == "pk", after=after, before=before)


def _with_parts(shown: Shown) -> QuerySet[Item]:
    rows: QuerySet[Item] = shown.items().select_related("content", "label")
    if shown.dataset.media != Media.TEXT:
        rows = rows.defer("content__text")
    return rows.defer("content__oddities")


def _keyset_page(
    rows: QuerySet[Item], column: str, *, newest_first: bool, after: str, before: str
) -> Page:
    backwards = bool(before)
    cursor = before or after
    descending = newest_first != backwards
    if cursor and cursor != END:
        place = cursor if column == "key" else _whole(cursor)
        rows = rows.filter(**{f"{column}__{'lt' if descending else 'gt'}": place})
    found = list(rows.order_by(f"-{column}" if descending else column)[: ITEMS_A_PAGE + 1])
    more = len(found) > ITEMS_A_PAGE
    found = found[:ITEMS_A_PAGE]
    if backwards:
        found.reverse()
    return _page(found, backwards=backwards, cursor=cursor, more=more, name=column)


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


def _measured_page(shown: Shown, *, after: str, before: str) -> Page:
    """One page in the order of a measurement; the cursor is the value with the item's id."""
    cursor = before or after
    place = None if cursor == END else _place(cursor)
    found = ids_beside(shown, place, backwards=bool(before), count=ITEMS_A_PAGE + 1)
    more = len(found) > ITEMS_A_PAGE
    found = found[:ITEMS_A_PAGE][:: -1 if before else 1]
    if not found:
        return Page([])
    first, last = (f"{value!r}~{pk}" for pk, value in (found[0], found[-1]))
    has_previous, has_next = (more, cursor != END) if before else (bool(cursor), more)
    items = _in_order(shown, [pk for pk, _value in found])
    return Page(items, first if has_previous else "", last if has_next else "")


def _whole(cursor: str) -> int:
    return int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 19 else 0


def _suspicious_page(shown: Shown, *, after: str, before: str) -> Page:
    """Flagged items by their worst flag, then all others, newest first.

    The flagged ones are few beside the rest and their order is a maximum over flags, so
    it is made here; the rest is walked in the database.
    """
    order = suspicious_order(shown)
    cursor = before or after
    find = _ids_before if before else _ids_after
    ids = find(shown, order, cursor)
    more = len(ids) > ITEMS_A_PAGE
    ids = ids[-ITEMS_A_PAGE:] if before else ids[:ITEMS_A_PAGE]
    if not ids:
        return Page([])
    scores = dict(order)
    first, last = (_suspicious_cursor(pk, scores) for pk in (ids[0], ids[-1]))
    has_previous, has_next = (more, cursor != END) if before else (bool(cursor), more)
    return Page(_in_order(shown, ids), first if has_previous else "", last if has_next else "")


def ids_to_ask(shown: Shown, *, order: str) -> list[int]:
    """Return all items shown (by id): `worst` doubts first, `listed` by key, else at random."""
    if shown.filter.random is not None:
        return _drawn(shown, seed=shown.filter.random)
    if order == "worst":
        doubted = [pk for pk, _score in suspicious_order(shown)]
        rest = shown.items().order_by("key").values_list("pk", flat=True)
        return list(dict.fromkeys([*doubted, *rest]))
    column = "key" if order == "listed" else "pk"
    found = list(shown.items().order_by(column).values_list("pk", flat=True))
    if order != "listed":
        random.Random(shown.dataset.pk).shuffle(found)
    return found


def suspicious_order(shown: Shown) -> list[tuple[int, float]]:
    """Return flagged items of the filter with their worst score, most suspicious first."""
    scores: dict[int, float] = {}
    for doubt in shown.doubts:
        scores[doubt.item] = max(doubt.score, scores.get(doubt.item, 0.0))
    there = shown.items().filter(one_of("pk", list(scores))).values_list("pk", flat=True)
    return sorted(((pk, scores[pk]) for pk in there), key=lambda row: (-row[1], -row[0]))


def _suspicious_cursor(pk: int, scores: Mapping[int, float]) -> str:
    return f"{scores[pk]!r}~{pk}" if pk in scores else str(pk)


def _worst_place(cursor: str) -> tuple[float, int] | None:
    """Read the cursor of a flagged item; None for an item of the rest."""
    place = _place(cursor)
    return (-place[0], -place[1]) if place else None


def _place(cursor: str) -> tuple[float, int] | None:
    """Read a cursor of a value and an item's id."""
    value, sign, pk = cursor.partition("~")
    try:
        return (float(value), _whole(pk)) if sign else None
    except ValueError:
        return None


def _rest(shown: Shown, order: list[tuple[int, float]]) -> Any:
    rows = shown.items()
    return rows.exclude(one_of("pk", [pk for pk, _ in order])) if order else rows


def _ids_after(shown: Shown, order: list[tuple[int, float]], cursor: str) -> list[int]:
    place = _worst_place(cursor)
    ids: list[int] = []
    rest = _rest(shown, order).order_by("-pk")
    if place or not cursor:
        start = bisect_right([(-score, -pk) for pk, score in order], place) if place else 0
        ids = [pk for pk, _ in order[start : start + ITEMS_A_PAGE + 1]]
    else:
        rest = rest.filter(pk__lt=_whole(cursor))
    wanted = ITEMS_A_PAGE + 1 - len(ids)
    return ids + (list(rest.values_list("pk", flat=True)[:wanted]) if wanted else [])


def _ids_before(shown: Shown, order: list[tuple[int, float]], cursor: str) -> list[int]:
    place = _worst_place(cursor)
    if place:
        end, ids = bisect_left([(-score, -pk) for pk, score in order], place), []
    else:
        rest = _rest(shown, order).order_by("pk")
        if cursor != END:
            rest = rest.filter(pk__gt=_whole(cursor))
        end, ids = len(order), list(rest.values_list("pk", flat=True)[: ITEMS_A_PAGE + 1])[::-1]
    missing = ITEMS_A_PAGE + 1 - len(ids)
    return [pk for pk, _ in order[max(0, end - missing) : end]] + ids if missing else ids


def _drawn(shown: Shown, *, seed: int) -> list[int]:
    """Return items drawn at random: the same for the same filter, seed and dataset."""
    ids = list(shown.items().order_by("pk").values_list("pk", flat=True))
    return random.Random(seed).sample(ids, min(RANDOM_ITEMS, len(ids)))


def _in_order(shown: Shown, ids: list[int]) -> list[Item]:
    found = {item.pk: item for item in _with_parts(shown).filter(one_of("pk", ids))}
    return [found[pk] for pk in ids if pk in found]


def ids_of(shown: Shown) -> list[int]:
    """Return all items that a filter shows; of too many, one more than may be changed."""
    if shown.filter.random is not None:
        return _drawn(shown, seed=shown.filter.random)
    return list(shown.items().order_by("pk").values_list("pk", flat=True)[: MOST_AT_ONCE + 1])


def ids_around(shown: Shown, item: Item) -> tuple[int | None, int | None]:
    """Return the items before and after one in the filter's order."""
    chosen = shown.filter
    if chosen.sorts_by_fact and chosen.random is None and not chosen.like:
        place = place_of(shown, item)
        sides = [ids_beside(shown, place, backwards=way, count=1) for way in (True, False)]
        return sides[0][0][0] if sides[0] else None, sides[1][0][0] if sides[1] else None
    if chosen.random is not None or chosen.like or chosen.sort == "suspicious":
        if chosen.random is not None:
            ids = _drawn(shown, seed=chosen.random)
        elif chosen.like:
            ids = shown.ids or []
        else:
            return _around_suspicious(shown, item)
        at = ids.index(item.pk) if item.pk in ids else None
        if at is None:
            return None, None
        beside = dict(enumerate(ids))
        return beside.get(at - 1), beside.get(at + 1)
    column = "key" if chosen.sort == "key" else "pk"
    lower = shown.items().filter(**{f"{column}__lt": getattr(item, column)})
    upper = shown.items().filter(**{f"{column}__gt": getattr(item, column)})
    below = lower.order_by(f"-{column}").values_list("pk", flat=True).first()
    above = upper.order_by(column).values_list("pk", flat=True).first()
    return (below, above) if column == "key" else (above, below)


def _around_suspicious(shown: Shown, item: Item) -> tuple[int | None, int | None]:
    order = suspicious_order(shown)
    cursor = _suspicious_cursor(item.pk, dict(order))
    before, after = _ids_before(shown, order, cursor), _ids_after(shown, order, cursor)
    return (before[-1] if before else None), (after[0] if after else None)


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


OWN_GROUPS = ("classes", "unlabelled", "splits", "odd", "excluded")


def facets_of(shown: Shown) -> Facets:
    """Count what each box of the filter would show, in a handful of grouped queries."""
    rows = shown.items(without=OWN_GROUPS).order_by()
    groups = rows.values_list("label", "split", "is_odd", "excluded").annotate(n=Count("pk"))
    counted = _summed(shown, list(groups))
    doubted = _among(shown, shown.doubted(), without=("flags",))
    kinds = {(doubt.kind, doubt.item) for doubt in shown.doubts if doubt.item in doubted}
    disputed = RoundItem.objects.filter(
        round__dataset=shown.dataset, round__counts=True, state=RoundItemState.DISPUTED
    ).values_list("item", flat=True)
    named = ItemTag.objects.filter(item__dataset=shown.dataset).values_list("item", "name")
    tagged = _among(shown, [item for item, _name in named], without=("tags",))
    tags = Counter(name for item, name in named if item in tagged)
    return Facets(
        **counted,
        kinds=Counter(kind for kind, _item in kinds),
        flagged=len(doubted),
        disputed=len(_among(shown, list(disputed), without=("disputed",))),
        tags=dict(tags),
    )


def _among(shown: Shown, ids: Collection[int], *, without: Collection[str]) -> set[int]:
    """Return which of these items a filter shows; a join instead is read in a bad order."""
    if not ids:
        return set()
    rows = shown.items(without=without).filter(one_of("pk", list(dict.fromkeys(ids))))
    return set(rows.values_list("pk", flat=True))


def _summed(shown: Shown, groups: list[tuple[int | None, str, bool, str, int]]) -> dict[str, Any]:
    """Add up groups of equal label, split, oddity and exclusion for each box."""
    chosen = shown.filter
    names = dict(shown.dataset.classes.values_list("pk", "name"))
    classes: Counter[int | None] = Counter()
    splits: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for label, split, is_odd, reason, n in groups:
        by_label = chosen.unlabelled if label is None else names.get(label, "") in chosen.classes
        passes = {
            "label": by_label or not (chosen.classes or chosen.unlabelled),
            "split": not chosen.splits or split in chosen.splits,
            "odd": not chosen.odd or is_odd,
            "excluded": bool(reason) if chosen.excluded else not reason or chosen.names_items,
        }
        missed = [name for name, passed in passes.items() if not passed]
        sums["total"] += n * (not missed)
        classes[label] += n * (not missed or missed == ["label"])
        splits[split] += n * (not missed or missed == ["split"])
        sums["odd"] += n * is_odd * (not missed or missed == ["odd"])
        sums["excluded"] += n * bool(reason) * (not missed or missed == ["excluded"])
    return {
        "classes": +classes,
        "splits": +splits,
        **{name: sums[name] for name in ("total", "odd", "excluded")},
    }


def last_selection_decision(dataset: Dataset, user: User) -> Decision | None:
    """The newest thing a person did to a selection that is not undone.

    Merged classes are parted again where they were merged: guideline and rounds go with them.
    """
    mine = Decision.objects.filter(dataset=dataset, by=user, flag=None, undone_by=None)
    mine = mine.exclude(undo_proposals__state=ProposalState.WAITING)
    return mine.exclude(action__in=(Action.UNDO, Action.CLASSES)).order_by("-pk").first()
