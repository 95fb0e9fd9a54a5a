"""The filter of Browse: read from the address, written back to it, turned into a condition."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property, reduce
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.db import connection
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.db.models.lookups import IContains
from django.http import QueryDict

from labeling.models import (
    Dataset,
    Item,
    ItemTag,
    LabelClass,
    Media,
    RoundItem,
    RoundItemState,
    Split,
)
from labeling.queries.progress import items_counted, read_count
from quality import frozen
from quality.models import Run
from quality.queries.doubts import is_doubted
from quality.queries.facts import FACTS, measured
from quality.queries.flags import items_in_group
from quality.queries.id_lists import ids_of_rows
from quality.queries.neighbours import more_like

SORTS = ("newest", "key", "suspicious")
READ = ("right", "wrong")
MOST_KEYS = 500  # pasted into the address: about 40 kB, below the 64 kB that servers accept
LISTED = ("text", "low", "high")
FEW = 10_000  # items that are named by id in a query; to look for a text again costs as much
MOST_LIKE = 50  # items whose neighbours are asked for at once


@dataclass(frozen=True)
class Filter:
    """Which items, in which order. Empty means: all that are not excluded, newest first."""

    classes: tuple[str, ...] = ()
    unlabelled: bool = False
    splits: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    odd: bool = False
    excluded: bool = False
    disputed: bool = False
    asked: str = ""  # a round, and after a dot the state that its places are in
    doubt: int = 0  # a flag (by id) about a group
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    meta: tuple[str, ...] = ()  # column=value, all of them
    text: str = ""
    keys: tuple[str, ...] = ()
    run: int = 0
    given: str = ""
    predicted: str = ""
    read: str = ""
    like: tuple[int, ...] = ()
    fact: str = ""
    low: float | None = None
    high: float | None = None
    random: int | None = None
    sort: str = SORTS[0]

    def pairs(self) -> list[tuple[str, str]]:
        """Return what stands in the address, in a fixed order."""
        pairs: list[tuple[str, str]] = []
        for name, field in PARAMETERS.items():
            value = getattr(self, field)
            if value is None or value == _DEFAULTS[field]:
                continue
            if field == "keys":
                pairs.append((name, "\n".join(value)))
            elif isinstance(value, tuple):
                pairs += [(name, str(one)) for one in value]
            else:
                pairs.append((name, _written(value)))
        return pairs

    def query(self, **more: Any) -> str:
        """Return the address's query, with more parameters such as a page."""
        return urlencode([*self.pairs(), *more.items()])

    def without(self, *names: str) -> "Filter":
        """Return the filter with these fields as if never set."""
        return replace(self, **{name: _DEFAULTS[name] for name in names})

    @property
    def names_items(self) -> bool:
        """Whether it names its items one by one; then excluded ones are shown as well."""
        return bool(self.run or self.keys or self.like or self.asked or self.doubt)

    @property
    def sorts_by_fact(self) -> str:
        """The measurement that items are sorted by, if any."""
        return "" if self.sort in SORTS else self.sort.removeprefix("-")

    @property
    def has_range(self) -> bool:
        """Whether a measurement narrows the items."""
        return bool(self.fact) and (self.low is not None or self.high is not None)

    @property
    def lists(self) -> bool:
        """Whether a text or a range narrows the items: what lists them at once."""
        return self.has_range or bool(self.text)

    @property
    def is_empty(self) -> bool:
        return self.without("sort", "fact", "random") == Filter()


#: Parameter of the address -> field.
PARAMETERS = {
    "q": "text",
    "class": "classes",
    "unlabelled": "unlabelled",
    "split": "splits",
    "flag": "flags",
    "odd": "odd",
    "disputed": "disputed",
    "round": "asked",
    "doubt": "doubt",
    "excluded": "excluded",
    "group": "groups",
    "tag": "tags",
    "meta": "meta",
    "run": "run",
    "given": "given",
    "predicted": "predicted",
    "read": "read",
    "like": "like",
    "fact": "fact",
    "min": "low",
    "max": "high",
    "random": "random",
    "sort": "sort",
    "keys": "keys",
}
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Filter)}


def read_filter(given: QueryDict, *, media: str) -> Filter:
    """Read a filter from an address; what makes no sense is left out."""
    texts = {
        field: tuple(dict.fromkeys(value for value in given.getlist(name) if value))
        for name, field in PARAMETERS.items()
        if isinstance(_DEFAULTS[field], tuple) and field not in ("keys", "like")
    }
    texts["splits"] = tuple(value for value in texts["splits"] if value in Split.values)
    known_facts = [fact.name for fact in FACTS[media]]
    fact = given.get("fact", "")
    return Filter(
        **texts,
        unlabelled=bool(given.get("unlabelled")),
        odd=bool(given.get("odd")),
        excluded=bool(given.get("excluded")),
        disputed=bool(given.get("disputed")),
        asked=read_count(given.get("round", "")),
        doubt=_whole(given.get("doubt")) or 0,
        text=given.get("q", "").strip(),
        keys=read_keys(given.get("keys", "")),
        run=_whole(given.get("run")) or 0,
        given=given.get("given", ""),
        predicted=given.get("predicted", ""),
        read=given.get("read", "") if given.get("read") in READ else "",
        like=_ids(given.getlist("like"))[:MOST_LIKE],
        fact=fact if fact in known_facts else "",
        low=_number(given.get("min")) if fact in known_facts else None,
        high=_number(given.get("max")) if fact in known_facts else None,
        random=_whole(given.get("random")),
        sort=_read_sort(given.get("sort", ""), known_facts),
    )


def not_understood(given: QueryDict, chosen: Filter) -> list[str]:
    """Return what the address asks and its filter leaves out, as it stands there.

    >>> given = QueryDict("fact=brightnes&min=3&split=train&split=tset&sort=newest")
    >>> not_understood(given, Filter(splits=("train",)))
    ['split=tset', 'fact=brightnes', 'min=3']
    """
    held = dict(chosen.pairs())
    left = [("split", one) for one in given.getlist("split") if one not in (*chosen.splits, "")]
    for name in ("round", "doubt", "run", "read", "fact", "min", "max", "random", "sort"):
        value = given.get(name, "")
        if value and name not in held and value != _written(_DEFAULTS[PARAMETERS[name]]):
            left.append((name, value))
    return [f"{name}={value}" for name, value in left]


def _read_sort(asked: str, known_facts: Collection[str]) -> str:
    """Return a sort of SORTS, or a measurement: least first, with a minus most first."""
    return asked if asked in SORTS or asked.removeprefix("-") in known_facts else SORTS[0]


def read_keys(pasted: str) -> tuple[str, ...]:
    """Return the keys of a pasted list, one a line, each once."""
    lines = (line.strip() for line in pasted.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))[:MOST_KEYS]


def _ids(values: Iterable[str]) -> tuple[int, ...]:
    parts = [part for value in values for part in value.split(",")]
    return tuple(dict.fromkeys(int(part) for part in parts if part.isascii() and part.isdigit()))


def _whole(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else None


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None


def _written(value: Any) -> str:
    if value is True:
        return "1"
    return f"{value:g}" if isinstance(value, float) else str(value)


def one_of(field: str, values: Collection[int] | Collection[str]) -> Q:
    """Match any of many values with one parameter: long lists exceed what databases bind."""
    if not values:  # of no type, which PostgreSQL would miss
        return Q(**{f"{field}__in": []})
    listed = json.dumps(list(values))
    if connection.vendor == "sqlite":
        chosen = RawSQL("SELECT value FROM json_each(%s)", [listed])
    else:
        number = all(isinstance(value, int) for value in values)
        kind = "::bigint" if number else ""
        chosen = RawSQL(f"SELECT value{kind} FROM json_array_elements_text(%s::json)", [listed])
    return Q(**{f"{field}__in": chosen})


@dataclass(frozen=True)
class Shown:
    """A filter on a dataset, with the items that it names one by one looked up (None: none)."""

    dataset: Dataset
    filter: Filter
    ids: list[int] | None = None

    def condition(self, *, without: Collection[str] = (), are_named: bool = False) -> Q:
        """Return the condition on items; of a few that are named beside it (`are_named`)."""
        chosen = self.filter.without(*without)
        found = Q(dataset=self.dataset)
        found &= self._about_labels(chosen)
        if chosen.flags:
            found &= is_doubted(self.dataset, chosen.flags, are_named=are_named)
        found &= self._about_state(chosen, with_excluded="excluded" in without)
        if self.ids is not None:
            found &= one_of("pk", self.ids)
        return found

    def _about_labels(self, chosen: Filter) -> Q:
        found = Q()
        if chosen.classes or chosen.unlabelled:
            classes = LabelClass.objects.filter(dataset=self.dataset, name__in=chosen.classes)
            wanted = Q(label__in=classes.values("pk"))
            found &= wanted | (Q(label=None) if chosen.unlabelled else Q())
        if chosen.splits:
            found &= Q(split__in=chosen.splits)
        if chosen.groups:
            found &= Q(source_group__in=chosen.groups)
        for named in chosen.meta:
            column, _sign, value = named.partition("=")
            there = with_column(Item.objects.filter(dataset=self.dataset), column)
            found &= Q(pk__in=there.filter(told=value).values("pk"))
        return found

    def _about_state(self, chosen: Filter, *, with_excluded: bool) -> Q:
        found = Q()
        if with_excluded:
            pass
        elif chosen.excluded:
            found &= Q(excluded__gt="")
        elif not chosen.names_items:
            found &= Q(excluded="")
        if chosen.odd:
            found &= Q(is_odd=True)
        if chosen.disputed:
            found &= Q(pk__in=disputed_in(self.dataset).values("item"))
        if chosen.tags:
            tagged = ItemTag.objects.filter(item__dataset=self.dataset, name__in=chosen.tags)
            found &= Q(pk__in=tagged.values("item"))
        return found

    def items(self, *, without: Collection[str] = ()) -> QuerySet[Item]:
        """Return the items, unordered."""
        rows = Item.objects.filter(self.condition(without=without))
        if not self.filter.lists or set(LISTED) <= set(without):
            return rows
        if self.filter.has_range or self.names_few:
            return rows.filter(one_of("pk", self.listed.tolist()))
        return rows.filter(_mentions(self.filter.text, media=self.dataset.media))

    @property
    def names_few(self) -> bool:
        """Whether a text or a range leaves so few items that queries had best begin with them."""
        return self.filter.lists and len(self.listed) <= FEW

    @cached_property
    def listed(self) -> np.ndarray:
        """The items of the dataset, rising, that a text or a range leaves, whatever else is asked.

        `items(without=LISTED)` asks the rest. A text is looked for in all rows at once: on the way
        along an index that takes half as long again (bench/pages.py).
        """
        found = [np.sort(self._in_range())] if self.filter.has_range else []
        if self.filter.text:
            mentioned = _mentions(self.filter.text, media=self.dataset.media)
            found.append(ids_of_rows(Item.objects.filter(mentioned, dataset=self.dataset)))
        return reduce(np.intersect1d, found)

    def _in_range(self) -> np.ndarray:
        known = measured(self.dataset, self.filter.fact)
        low, high = self.filter.low, self.filter.high
        first = 0 if low is None else np.searchsorted(known.values, low)
        last = len(known.ids) if high is None else np.searchsorted(known.values, high)
        return known.ids[first:last]


def disputed_in(dataset: Dataset) -> QuerySet[RoundItem]:
    """Return the places of rounds whose answers do not agree."""
    return RoundItem.objects.filter(
        round__dataset=dataset, round__counts=True, state=RoundItemState.DISPUTED
    )


def _mentions(text: str, *, media: str) -> Q:
    """Match key, source group, metadata and text; databases may keep metadata escaped."""
    found = Q(key__icontains=text) | Q(source_group__icontains=text)
    if media == Media.TEXT:
        found |= Q(content__text__icontains=text)
    told, escaped = Cast(F("metadata"), TextField()), json.dumps(text)[1:-1]
    written = Q(IContains(told, text))
    if escaped != text:
        written |= Q(IContains(told, escaped))
    return found | (~Q(metadata={}) & written)


def with_column(rows: Any, column: str) -> Any:
    """Add the value of a metadata column to items, as text (`told`)."""
    return rows.annotate(told=Cast(KeyTextTransform(column, "metadata"), TextField()))


def look_up(dataset: Dataset, chosen: Filter, *, run: Run | None = None) -> Shown:
    """Find the items that a filter names one by one: pasted keys, cells of a run, neighbours."""
    if not chosen.names_items:
        return Shown(dataset, chosen)
    found: list[set[int]] = []
    if chosen.keys:
        found.append(_ids_of(dataset, chosen.keys))
    if chosen.run:
        found.append(_ids_in_run(run, chosen) if run else set())
    if chosen.asked:
        found.append(items_counted(dataset, chosen.asked))
    if chosen.doubt:
        found.append(set(items_in_group(dataset, chosen.doubt)))
    if chosen.like:
        near = more_like(dataset, chosen.like)
        ordered = [pk for pk in near if all(pk in ids for ids in found)]
        return Shown(dataset, chosen, ordered)
    return Shown(dataset, chosen, sorted(set.intersection(*found)))


def _ids_in_run(run: Run, chosen: Filter) -> set[int]:
    """Return a run's predicted items in a cell, or read right or wrong."""
    rows = frozen.rows_where(run, given=chosen.given, predicted=chosen.predicted, read=chosen.read)
    return set(frozen.items_at(run.version, rows))


def _ids_of(dataset: Dataset, keys: Collection[str]) -> set[int]:
    items = Item.objects.filter(one_of("key", keys), dataset=dataset)
    return set(items.values_list("pk", flat=True))
