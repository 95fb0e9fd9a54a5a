"""Reads for the review pages: one flag with its items and evidence, and what comes next."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from math import log10
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.urls import reverse

from labeling.models import Dataset, Item, LabelClass, Split
from mlcore.duplicates import EXACT
from quality.models import UNFLAGGED, Flag, FlagItem
from quality.queries import unflagged
from quality.queries.bulk import sample_of
from quality.queries.flags import DOUBTED, PART, review_queue

QUIETEST_PEAK = 1e-5  # -100 dBFS: below one step of 16 bits
AHEAD = 11  # flags in the rail: what fits on a screen 900 px high
ITEMS_SHOWN = 12  # of a set; a source may have hundreds
SMALL_PICTURE = 200  # px of the longer side below which a picture is not blown up to the stage
PIXEL_PICTURE = 64  # px of the longer side up to which pixels are drawn as squares
DIGITS = "1234567890"  # as they stand on a keyboard


@dataclass(frozen=True)
class Shown:
    """An item as a review page shows it."""

    item: Item
    role: str
    url: str
    thumb_url: str
    media_url: str
    is_changed: bool = False
    is_part: bool = False
    is_same: bool = False
    note: str = ""

    @property
    def label(self) -> str:
        return _label_of(self.item)

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.item.content.facts
        return facts

    @property
    def peak_db(self) -> float:
        """Peak of a clip in dBFS; its waveform is drawn relative to it."""
        return 20 * log10(max(self.facts.get("peak") or 0.0, QUIETEST_PEAK))

    @property
    def clipped_share(self) -> float:
        """Share of samples cut at full scale, or at the clip's own top as its check counts them."""
        names = ("clipped_share", "flat_top_share")
        return max(self.facts.get(name) or 0.0 for name in names)

    @property
    def size_class(self) -> str:
        longer = max(self.facts.get("width", 0), self.facts.get("height", 0))
        return "small-original" if longer and longer < SMALL_PICTURE else ""

    @property
    def is_pixelated(self) -> bool:
        return 0 < max(self.facts.get("width", 0), self.facts.get("height", 0)) <= PIXEL_PICTURE


@dataclass(frozen=True)
class Neighbour:
    """One of the nearest items, with the label it has now."""

    shown: Shown
    similarity: float
    agrees: bool

    @property
    def text(self) -> str:
        """Cosine with two figures, as on the bars: `.71`."""
        return _two_figures(self.similarity)


@dataclass(frozen=True)
class Part:
    """One side of a group of items: what it is, how many there are, some of them."""

    name: str
    n: int
    examples: list[Shown]  # each with what the model said of it as its note, where it told
    every_url: str = ""  # where all are seen that a decision is about, if more than are shown here
    n_every: int = 0


@dataclass(frozen=True)
class Evidence:
    """A flag with everything its page shows."""

    flag: Flag
    items: list[Shown]
    every: list[Item]
    roles: dict[int, str]
    neighbours: list[Neighbour]
    votes: list[tuple[str, int]]
    bars: list[dict[str, Any]]
    parts: list[Part] = field(default_factory=list)

    @property
    def more_items(self) -> int:
        return len(self.every) - len(self.items)

    @property
    def first(self) -> Shown | None:
        return self.items[0] if self.items else None

    @property
    def is_set(self) -> bool:
        return len(self.items) > 1

    @property
    def is_all_same(self) -> bool:
        """Whether no copy differs from the first: there is no difference to draw."""
        return self.is_set and all(shown.is_same for shown in self.items[1:])

    @property
    def tells_of_withdrawn(self) -> bool:
        """Whether what is shown would be shown of a withdrawn item, too: they are copies."""
        is_copies = self.is_set and not self.flag.evidence.get("group")
        return is_copies and any(item.withdrawn_at for item in self.every)

    @property
    def splits(self) -> list[str]:
        return list(dict.fromkeys(shown.item.get_split_display() for shown in self.items))

    @property
    def neighbours_in_test(self) -> bool:
        return any(near.shown.item.split == Split.TEST for near in self.neighbours)

    @property
    def labels(self) -> list[str]:
        """Return the labels that the items have now; a check knew those of then."""
        return sorted({label for item in self.every if (label := _label_of(item))})


def flag_in(dataset: Dataset, kind: str, pk: int) -> Flag | None:
    """Return a flag of one queue, or one drawn at random that is mixed in, whatever its state."""
    kinds = (kind, UNFLAGGED) if kind == DOUBTED else (kind,)
    found = Flag.objects.filter(dataset=dataset, kind__in=kinds, pk=pk)
    flag = found.select_related("run__version", "raised_by").first()
    if flag:
        flag.dataset = dataset
    return flag


def first_open(dataset: Dataset, kind: str, *, later: Iterable[int] = ()) -> Flag | None:
    """Return the worst open flag that was not put off; those put off come last."""
    waiting = review_queue(dataset, kind, first=sample_of(dataset, kind)).select_related(
        "run__version", "raised_by"
    )
    flag = waiting.exclude(pk__in=list(later)).first() or waiting.first()
    mixed = unflagged.mixed_in(dataset, kind, later=later) if flag else None
    if mixed and not mixed.ahead:
        flag = mixed.flag
    if flag:
        flag.dataset = dataset
    return flag


def upcoming(dataset: Dataset, kind: str, *, later: Iterable[int] = ()) -> list[tuple[Flag, Shown]]:
    """Return the next flags with their first item, worst first."""
    queue = review_queue(dataset, kind, first=sample_of(dataset, kind))
    rows = with_first_items(dataset, queue.exclude(pk__in=list(later)), most=AHEAD)
    mixed = unflagged.mixed_in(dataset, kind, later=later) if rows else None
    if mixed and mixed.ahead <= len(rows):
        drawn = with_first_items(dataset, Flag.objects.filter(pk=mixed.flag.pk), most=1)
        rows[mixed.ahead : mixed.ahead] = drawn
    return rows[:AHEAD]


def with_first_items(
    dataset: Dataset, flags: QuerySet[Flag], *, most: int
) -> list[tuple[Flag, Shown]]:
    """Return flags with their first item, which has its content and label."""
    items = FlagItem.objects.select_related("item__content", "item__label").order_by("pk")
    found = flags.prefetch_related(Prefetch("flag_items", items))[:most]
    rows = [(flag, flag.flag_items.all()) for flag in found]
    return [(flag, _shown(dataset, of[0].item)) for flag, of in rows if of]


def evidence_of(flag: Flag) -> Evidence:
    """Collect what a person needs to decide a flag; a fixed number of queries."""
    rows = FlagItem.objects.filter(flag=flag).select_related("item__content", "item__label")
    # What stays comes first: it is what the others are compared with.
    parts = sorted(
        rows.order_by("item__key"), key=lambda row: (row.role != "keep", row.item.split != "test")
    )
    notes = _notes(flag, parts[0].item_id if parts else 0)
    items = [
        _shown(flag.dataset, row.item, role=row.role, **notes.get(row.item_id, {}))
        for row in parts[:ITEMS_SHOWN]
    ]
    by_item = {row.item_id: row.item for row in parts}
    decided = {row.item_id for row in parts if row.role == PART}
    neighbours = _neighbours(flag)
    counted = Counter(neighbour.shown.label for neighbour in neighbours)
    is_alone = flag.given and flag.given not in counted  # its label, which no neighbour has
    return Evidence(
        flag=flag,
        items=items,
        every=[row.item for row in parts],
        roles={row.item_id: row.role for row in parts},
        neighbours=neighbours,
        votes=counted.most_common() + ([(flag.given, 0)] if is_alone else []),
        bars=_bars(flag),
        parts=[_part(flag, part, by_item, decided) for part in flag.evidence.get("parts", [])],
    )


def _part(flag: Flag, told: dict[str, Any], by_item: dict[int, Item], decided: set[int]) -> Part:
    """Return a side of a group; `decided` are the items that a decision about it changes."""
    said = zip_longest(told["items"], told.get("said", []), fillvalue="")
    examples = [_shown(flag.dataset, by_item[pk], note=note) for pk, note in said if pk in by_item]
    part = Part(told["name"], told["n"], examples)
    if len(decided) <= len(examples) or not decided.issuperset(told["items"]):
        return part
    browse = reverse("quality:browse", args=[flag.dataset.slug])
    return replace(part, every_url=f"{browse}?doubt={flag.pk}", n_every=len(decided))


def of_class_in_test(flag: Flag) -> int:
    """Count the test items of a doubted class: its check looks at none, so no decision moves them.

    What is excluded is in no version and left out.
    """
    items = Item.objects.filter(dataset=flag.dataset, split=Split.TEST, excluded="")
    return items.filter(label__name=flag.given).count()


def class_keys(dataset: Dataset) -> list[tuple[LabelClass, str]]:
    """Return the classes in use with the key (code) that chooses them, as in a round.

    Letters belong to the review page: those of classes are pressed with Shift. Classes without
    a key of their own take the digits that are free.
    """
    classes = list(dataset.classes.filter(retired_at__isnull=True))
    own = {row.pk: row.key_cap for row in classes if row.key.startswith("Digit")}
    free = iter([digit for digit in DIGITS if digit not in own.values()])
    found = []
    for row in classes:
        if row.key.startswith("Key"):
            found.append((row, f"Shift+{row.key}"))
        else:
            digit = own[row.pk] if row.pk in own else next(free, "")
            found.append((row, f"Digit{digit}" if digit else ""))
    return found


def _shown(dataset: Dataset, item: Item, *, role: str = "item", **more: Any) -> Shown:
    def media(what: str) -> str:
        address = reverse("labeling:media", args=[dataset.slug, item.pk, what])
        return f"{address}?v={item.content_mark}"

    url = reverse("quality:item", args=[dataset.slug, item.pk])
    return Shown(item, role, url, media("preview"), media("display"), **more)


def _notes(flag: Flag, first: int) -> dict[int, dict[str, Any]]:
    """Say per copy how it relates to the first one, where they were compared directly."""
    notes: dict[int, dict[str, Any]] = {}
    for one, other, score, evidence, reason in flag.evidence.get("pairs", []):
        told = {
            "note": f"{reason} ({score:.2f})",
            "is_changed": evidence in ("mirror", "turn"),
            "is_part": evidence == "part",
            "is_same": evidence in EXACT,
        }
        if first in (one, other):
            notes[other if one == first else one] = told
        else:
            notes.setdefault(other, {"note": told["note"]})
    return notes


def _neighbours(flag: Flag) -> list[Neighbour]:
    told = flag.evidence.get("neighbours", [])
    there = Item.objects.filter(dataset=flag.dataset).select_related("content", "label")
    found = there.in_bulk([pk for pk, _ in told]) if told else {}
    return [
        Neighbour(
            _shown(flag.dataset, found[pk]),
            similarity,
            _label_of(found[pk]) == flag.suggested,
        )
        for pk, similarity in told
        if pk in found
    ]


def _bars(flag: Flag) -> list[dict[str, Any]]:
    tones = {flag.suggested: "suggested", flag.given: "given"}
    return [
        {
            "label": name,
            "value": value,
            "text": _two_figures(value),
            "tone": tones.get(name, ""),
        }
        for name, value in flag.evidence.get("probabilities", [])
    ]


def _two_figures(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def _label_of(item: Item) -> str:
    return item.label.name if item.label else ""
