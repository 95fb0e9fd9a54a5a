"""What the page of one item shows: what is in rows at once, what lies in files afterwards."""

import gzip
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Case, IntegerField, Value, When

from labeling import storage
from labeling.models import (
    Annotation,
    Dataset,
    Item,
    LabelChange,
    Media,
    Outcome,
    Split,
    UploadEntry,
    Version,
)
from labeling.services.tombstones import KEY_START
from labeling.services.versions import read_manifest
from quality import arrays
from quality.models import UNFLAGGED, Flag, FlagState, Run
from quality.queries.facts import FACTS, Limit
from quality.queries.neighbours import nearest_items
from quality.queries.tiles import SMALL_ORIGINAL, media_url

COPY_KINDS = ("near_duplicate", "leakage")
COPIES_SHOWN = 12
NEIGHBOURS_SHOWN = 8
VERSIONS_READ = 8  # newest; each is a manifest to unpack: 0.1 s at 100,000 items
RUNS_SHOWN = 5
CLASSES_SHOWN = 4
HISTORY_SHOWN = 50
LEAST_TOLD = 0.0005  # of a measurement; less is told as 0


def item_page(item: Item) -> dict[str, Any]:
    """Return what rows tell about an item: a fixed number of queries, whatever its history."""
    flags = _flags(item)
    return {
        "history": _history(item),
        "annotations": _annotations(item),
        "open_flags": [flag for flag in flags if flag.state == FlagState.OPEN],
        "past_flags": [flag for flag in flags if flag.state != FlagState.OPEN],
        "copies": [] if item.withdrawn_at else _copies(item, flags),  # they would tell of it
        "tags": list(item.tags.order_by("name").values_list("name", flat=True)),
        "facts": [] if item.withdrawn_at else _facts(item),
        "swap": None if item.withdrawn_at else _swap(item),
        "media_url": media_url(item.dataset, item, "display"),
        "peaks_url": media_url(item.dataset, item, "preview"),
        "original_url": media_url(item.dataset, item, "original"),
    }


def _history(item: Item) -> list[LabelChange]:
    changes = LabelChange.objects.filter(item=item).select_related("before", "after", "by")
    return list(changes.order_by("-pk")[:HISTORY_SHOWN])


def _swap(item: Item) -> UploadEntry | None:
    """Return what gave the item the bytes that it has, in the place of earlier ones."""
    replaced = UploadEntry.objects.filter(item=item, outcome=Outcome.REPLACED)
    newest = replaced.select_related("upload").order_by("-pk").first()
    is_so = newest is not None and newest.proposed.get("content") == item.content_id
    return newest if is_so else None


def _annotations(item: Item) -> list[Annotation]:
    rows = Annotation.objects.filter(item=item).select_related("annotator__user", "round", "label")
    return list(rows.order_by("-pk")[:HISTORY_SHOWN])


def _flags(item: Item) -> list[Flag]:
    is_closed = Case(
        When(state=FlagState.OPEN, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    doubts = Flag.objects.filter(items=item).exclude(kind=UNFLAGGED)
    return list(doubts.order_by(is_closed, "-score", "-pk")[:HISTORY_SHOWN])


def _copies(item: Item, flags: list[Flag]) -> list[Item]:
    telling = [
        flag.pk for flag in flags if flag.kind in COPY_KINDS and "group" not in flag.evidence
    ]
    others = Item.objects.filter(
        dataset=item.dataset, withdrawn_at=None, flag_items__flag__in=telling
    )
    shown = others.exclude(pk=item.pk).select_related("label", "content").order_by("key")
    return list(shown.distinct()[:COPIES_SHOWN])


@dataclass(frozen=True)
class Told:
    """One thing that was measured of an item, and from where on a check asks about it."""

    name: str
    value: str
    limits: tuple[Limit, ...] = ()


def _facts(item: Item) -> list[Told]:
    content, told = item.content, item.content.facts
    rows = [Told("Type", content.type.upper()), Told("Size", _bytes(content.size))]
    if told.get("width"):
        rows.append(Told("Pixels", f"{told['width']} × {told['height']}"))
    if told.get("sample_rate"):
        rate, channels = told["sample_rate"], told.get("channels", 1)
        rows.append(Told("Sampling", f"{rate:,} Hz, {channels} ch"))
    for fact in FACTS[item.dataset.media]:
        value = told.get(fact.name)
        if isinstance(value, (int, float)) and fact.name not in ("width", "height"):
            rows.append(Told(fact.words, f"{_figure(value)} {fact.unit}".strip(), fact.limits))
    return rows


def _figure(value: float) -> str:
    """Return three figures, never as a power of ten, with a real minus.

    >>> _figure(-18.034), _figure(1e-05), _figure(12345)
    ('−18', '0', '12,345')
    """
    if abs(value) < LEAST_TOLD:
        return "0"
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")


def _bytes(size: int) -> str:
    return f"{size / 1000:.1f} kB" if size < 10**6 else f"{size / 10**6:.1f} MB"


@dataclass(frozen=True)
class Held:
    """An item as a version holds it."""

    version: Version
    row: int
    label: str | None
    split: str


@dataclass(frozen=True)
class Prediction:
    """What a run says about an item, or that it says nothing because test items are sealed."""

    run: Run
    given: str | None
    classes: list[tuple[str, float]]
    is_sealed: bool

    @property
    def agrees(self) -> bool:
        return bool(self.classes) and self.classes[0][0] == self.given


def item_in_files(item: Item) -> dict[str, Any]:
    """Return what lies in files: versions that hold the item, predictions, neighbours."""
    versions = list(
        Version.objects.filter(dataset=item.dataset).order_by("-number")[:VERSIONS_READ]
    )
    held = [found for version in versions if (found := _held(version, item.key))]
    return {
        "held": held,
        "older_versions": len(versions) == VERSIONS_READ,
        "predictions": _predictions(item.dataset, {one.version.pk: one for one in held}),
        "neighbours": nearest_items(item.dataset, item, count=NEIGHBOURS_SHOWN),
    }


def _held(version: Version, key: str) -> Held | None:
    """Find a key's line without parsing the others."""
    if key.startswith(KEY_START):  # of a tombstone no manifest holds the key
        for row, frozen in enumerate(read_manifest(version)):
            if frozen["key"] == key:
                return Held(version, row, frozen["label"], frozen["split"])
        return None
    told = f'"key": {json.dumps(key, ensure_ascii=False)}'
    with gzip.open(storage.path_of(version.digest), "rt", encoding="utf-8") as lines:
        for row, text in enumerate(lines):
            if told in text:
                line = json.loads(text)
                if line["key"] == key:
                    return Held(version, row, line["label"], line["split"])
    return None


def _predictions(dataset: Dataset, held: dict[int, Held]) -> list[Prediction]:
    runs = Run.objects.filter(dataset=dataset, finished_at__isnull=False, version__in=held)
    shown = runs.select_related("version").order_by("-number")[:RUNS_SHOWN]
    return [_prediction(run, held[run.version_id]) for run in shown]


def _prediction(run: Run, held: Held) -> Prediction:
    known = arrays.run_array(run, "probabilities")
    told = np.asarray(known[held.row]) if known is not None else np.full(1, np.nan)
    if held.split == Split.TEST or np.isnan(told).any():
        return Prediction(run, held.label, [], held.split == Split.TEST)
    best = np.argsort(-told, kind="stable")[:CLASSES_SHOWN].tolist()
    return Prediction(
        run, held.label, [(run.classes[one], float(told[one])) for one in best], False
    )


def is_small(item: Item) -> bool:
    """Whether a picture has so few pixels that smoothing would hide them."""
    told = item.content.facts
    side = max(told.get("width", 0), told.get("height", 0))
    return item.dataset.media == Media.IMAGE and 0 < side <= SMALL_ORIGINAL
