"""What the splits of a dataset share: copies, sources and time, as a matrix and as lists."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from labeling.models import Dataset, Item, Split
from labeling.queries.by_hand import rows_of
from mlcore.duplicates import LEAST_SCORE, Pair
from mlcore.leakage import find_ties
from quality import copy_pairs
from quality.models import FlagItem, FlagState
from quality.queries.filters import Filter, Shown, one_of
from quality.queries.tiles import Tile, tiles_of
from quality.queries.together import Paired, paired_in

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

DIVIDED = (Split.TRAIN, Split.VALIDATION, Split.TEST)
#: Kinds of evidence in the order of a cell; pixels are those of a picture, or samples.
EVIDENCE: dict[str, "_StrPromise"] = {
    "bytes": gettext_lazy("same bytes"),
    "pixels": gettext_lazy("same content"),
    "letters": gettext_lazy("same letters"),
    "hash": gettext_lazy("alike"),
    "words": gettext_lazy("nearly the same words"),
    "mirror": gettext_lazy("mirrored"),
    "turn": gettext_lazy("turned"),
    "part": gettext_lazy("a part of it"),
    "strip": gettext_lazy("alike but for a strip"),
    "embedding": gettext_lazy("alike to the model"),
}
GROUP, TIME = "group", "time"
TITLES: dict[str, "_StrPromise"] = {
    **EVIDENCE,
    GROUP: gettext_lazy("same source"),
    TIME: gettext_lazy("earlier than the last"),
}
PAIRS_A_PAGE = 40
COPIES = ("near_duplicate", "leakage")


@dataclass(frozen=True)
class Shared:
    """What the splits of a dataset have in common now, read once for a page."""

    dataset: Dataset
    sizes: Mapping[str, int]
    were_compared: bool
    paired: Paired
    sources: Mapping[str, Mapping[str, int]]
    last: Mapping[str, datetime] = field(default_factory=dict)
    early: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @cached_property
    def splits(self) -> list[str]:
        return [str(split) for split in DIVIDED if self.sizes.get(split)]

    @cached_property
    def torn(self) -> list[str]:
        """Sources that stand in several splits."""
        return sorted(name for name, counts in self.sources.items() if len(counts) > 1)

    def count(self, kind: str, split: str, other: str) -> int:
        """How many items of a split have a counterpart in another."""
        if kind == TIME:
            return self.early.get((split, other), 0)
        if kind == GROUP:
            held = (self.sources[name] for name in self.torn)
            torn = (counts[split] for counts in held if split in counts and other in counts)
            return sum(torn) if split != other else 0
        return self.counts[kind, split, other]

    @cached_property
    def counts(self) -> Counter[tuple[str, str, str]]:
        """Items by evidence, their split and that of their counterpart."""
        return self.paired.counts(self.splits)

    @cached_property
    def is_everywhere(self) -> bool:
        """Whether every source stands in every split that has sources."""
        places = {split for counts in self.sources.values() for split in counts}
        return bool(self.torn) and all(len(held) == len(places) for held in self.sources.values())


def shared_by_splits(dataset: Dataset) -> Shared:
    """Read what splits share: the pairs of the last check, and sources and times of now."""
    items = divided(dataset)
    pairs = copy_pairs.load_pairs(dataset.pk)
    sources = sources_of(dataset)
    sizes = Counter[str]()
    for counts in sources.values():
        for split, n in counts.items():
            sizes[split] += n
    sources.pop("", None)
    last = _last_moments(items)
    return Shared(
        dataset=dataset,
        sizes=sizes,
        were_compared=pairs is not None,
        paired=paired_in(dataset, copies_of(dataset, pairs or ())),
        sources=sources,
        last=last,
        early=_early(items, last),
    )


def sources_of(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Count the items of each source by split, those without one under an empty name.

    Only what is in the index is asked for, in its order: to leave out other splits there costs
    more than to pass over them here (bench/pages.py).
    """
    rows = Item.objects.filter(dataset=dataset, excluded="").values_list("source_group", "split")
    sources: dict[str, dict[str, int]] = {}
    counted = rows.annotate(n=Count("*")).order_by("source_group", "split")
    for group, split, n in rows_of(counted):
        if split in DIVIDED:
            sources.setdefault(group, {})[split] = n
    return sources


def divided(dataset: Dataset) -> QuerySet[Item]:
    """Items that stand in a split."""
    return Item.objects.filter(dataset=dataset, excluded="", split__in=DIVIDED)


def _last_moments(items: QuerySet[Item]) -> dict[str, datetime]:
    """Return when the last item of each split was captured: an index has the last of one split."""
    newest = {
        str(split): items.filter(split=split).aggregate(last=Max("captured_at"))["last"]
        for split in DIVIDED
    }
    return {split: last for split, last in newest.items() if last}


def copies_of(dataset: Dataset, pairs: Iterable[Pair]) -> list[Pair]:
    """Return the sure pairs, less those that a reviewer said are not the same."""
    parted = defaultdict[int, set[int]](set)
    for item, flag in parted_in(dataset):
        parted[item].add(flag)
    sure = [pair for pair in pairs if pair.score >= LEAST_SCORE]
    if not parted:
        return sure
    return [pair for pair in sure if not parted[pair.first] & parted[pair.second]]


def parted_in(dataset: Dataset) -> list[tuple[int, int]]:
    """Return the items of each copy that a reviewer said is none, with its flag, in order.

    Sorted here: in the database's order of rows, SQLite reads the items of all flags.
    """
    settled = FlagItem.objects.filter(
        flag__dataset=dataset, flag__kind__in=COPIES, flag__state=FlagState.DISMISSED
    ).exclude(flag__evidence__has_key="group")
    return sorted(settled.values_list("item", "flag"))


def _early(items: QuerySet[Item], last: Mapping[str, datetime]) -> dict[tuple[str, str], int]:
    """Count items captured before the last one of a split that should be the earlier."""
    order = [str(split) for split in DIVIDED if split in last]
    return {
        (later, earlier): items.filter(split=later, captured_at__lt=last[earlier]).count()
        for place, later in enumerate(order)
        for earlier in order[:place]
    }


@dataclass(frozen=True)
class Tied:
    """An item beside its counterpart; `note` says what is counted there."""

    item: Tile
    other: Tile | None
    note: str


@dataclass(frozen=True)
class TiedPage:
    """One page of the pairs that a cell of the matrix counts."""

    rows: list[Tied]
    next: str


def tied_page(dataset: Dataset, kind: str, split: str, *, other: str, after: str = "") -> TiedPage:
    """Return the pairs of a cell in order of the items' keys, of the same source by source.

    It costs as many reads for many as for few.
    """
    counterparts: Mapping[int, tuple[int, str]] = {}
    items = Item.objects.filter(dataset=dataset, excluded="", split=split)
    if kind == GROUP:
        items = _in_torn_sources(items, other=other, after=after)
    elif kind == TIME:
        last = _last_of(dataset, other)
        items = items.filter(captured_at__lt=last.captured_at) if last else items.none()
    else:
        counterparts = _by_copy(dataset, kind, split, other=other)
        items = items.filter(one_of("pk", list(counterparts)))
    if kind != GROUP:
        items = items.filter(key__gt=after).order_by("key")
    found = list(items.select_related("content", "label")[: PAIRS_A_PAGE + 1])
    shown = found[:PAIRS_A_PAGE]
    if kind == GROUP:
        counterparts = _of_same_source(dataset, shown, split=other)
    elif kind == TIME and last:
        counterparts = {item.pk: (last.pk, _captured_words(item, last)) for item in shown}
    return TiedPage(
        _beside(dataset, shown, counterparts),
        next=shown[-1].key if len(found) > PAIRS_A_PAGE else "",
    )


def _by_copy(dataset: Dataset, kind: str, split: str, *, other: str) -> dict[int, tuple[int, str]]:
    """Return the closest counterpart in another split, by one kind of evidence, of each item."""
    pairs = copies_of(dataset, copy_pairs.load_pairs(dataset.pk) or ())
    paired = paired_in(dataset, [pair for pair in pairs if pair.evidence == kind])
    splits, ids = paired.splits.tolist(), paired.ids.tolist()
    return {
        ids[tie.item]: (ids[tie.other], _alike_words(tie.score))
        for tie in find_ties(paired.pairs, splits)
        if (splits[tie.item], splits[tie.other]) == (split, other)
    }


def _in_torn_sources(items: QuerySet[Item], *, other: str, after: str) -> QuerySet[Item]:
    """Narrow the items of a split to those of a source that another has, too, source by source.

    An index is in this order: in order of keys, all of them were read to be sorted.
    """
    there = Item.objects.filter(dataset=OuterRef("dataset"), excluded="", split=other)
    rows = items.filter(Exists(there.filter(source_group=OuterRef("source_group"))))
    rows = rows.filter(source_group__gt="").order_by("source_group", "pk")
    last = items.filter(key=after).first() if after else None
    if last is None:
        return rows
    later = Q(source_group__gt=last.source_group) | Q(pk__gt=last.pk)
    return rows.filter(later, source_group__gte=last.source_group)


def _alike_words(score: float) -> str:
    return _("likeness %(score).2f") % {"score": score}


def _last_of(dataset: Dataset, split: str) -> Item | None:
    dated = divided(dataset).filter(split=split, captured_at__isnull=False)
    return dated.order_by("-captured_at", "pk").first()


def _captured_words(item: Item, last: Item) -> str:
    assert item.captured_at
    assert last.captured_at
    days = (last.captured_at - item.captured_at).days
    if not days:
        return _("less than a day earlier")
    return ngettext("%(n)s day earlier", "%(n)s days earlier", days) % {"n": days}


def _of_same_source(
    dataset: Dataset, items: list[Item], *, split: str
) -> dict[int, tuple[int, str]]:
    """Return one item of the same source in a split, and how many there are, for each item."""
    groups = {item.source_group for item in items}
    there = divided(dataset).filter(split=split, source_group__in=groups)
    found = {
        row["source_group"]: row
        for row in there.values("source_group").annotate(n=Count("pk"), first=Min("pk")).order_by()
    }
    told = {}
    for item in items:
        row = found[item.source_group]
        words = ngettext(
            "source %(group)s: %(n)s item in %(split)s",
            "source %(group)s: %(n)s items in %(split)s",
            row["n"],
        )
        named = {"group": item.source_group, "n": row["n"], "split": split}
        told[item.pk] = (row["first"], words % named)
    return told


def _beside(
    dataset: Dataset, items: list[Item], counterparts: Mapping[int, tuple[int, str]]
) -> list[Tied]:
    others = Item.objects.filter(pk__in={counterparts[item.pk][0] for item in items})
    everything = {item.pk: item for item in others.select_related("content", "label")}
    everything |= {item.pk: item for item in items}
    shown = Shown(dataset, Filter())
    tiles = {tile.pk: tile for tile in tiles_of(shown, list(everything.values()))}
    rows = []
    for item in items:
        other, note = counterparts[item.pk]
        rows.append(Tied(tiles[item.pk], tiles.get(other), note))
    return rows


def is_cell(kind: str, split: str, *, other: str) -> bool:
    """Tell whether an address names a cell of the matrix."""
    return kind in TITLES and split in DIVIDED and other in DIVIDED
