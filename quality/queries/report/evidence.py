"""What a report shows of the items behind a doubt: small pictures, waves and words."""

import base64
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from django.db.models import Case, F, Value, When, Window
from django.db.models.functions import RowNumber
from django.urls import reverse

from labeling import storage
from labeling.models import Dataset, Item, Media
from quality.models import Flag, FlagItem
from quality.queries.flags import Tally, worst_of
from quality.queries.tiles import media_url

FLAGS_SHOWN = 3  # of a kind
ITEMS_SHOWN = 2  # of a flag
WORDS_SHOWN = 160  # characters of a text
WAVE_WIDTH, WAVE_HEIGHT = 96, 32  # units of the picture of a wave
ZERO, REACH = 128, 127  # of a peak; mlcore.sounds.peaks

Picture = Callable[[Dataset, Item], str]


@dataclass(frozen=True)
class Shown:
    """One item as evidence; `wave` is the path of an SVG."""

    key: str
    url: str
    label: str
    split: str
    text: str
    picture: str
    wave: str


@dataclass(frozen=True)
class Evidence:
    """One open doubt with the first items that it is about."""

    url: str
    reason: str
    given: str
    suggested: str
    items: list[Shown]


def evidence_of(
    dataset: Dataset, kinds: Iterable[str], *, tally: Tally, picture: Picture
) -> dict[str, list[Evidence]]:
    """Return the worst open doubts of each kind; their items cost one query in all."""
    worst = worst_of(dataset, kinds, tally=tally, count=FLAGS_SHOWN)
    items = items_of(flag for flags in worst.values() for flag in flags)
    return {
        kind: [
            Evidence(
                url=reverse("quality:flag", args=[dataset.slug, kind, flag.pk]),
                reason=flag.reason,
                given=flag.given,
                suggested=flag.suggested,
                items=[_shown(dataset, item, picture) for item in items[flag.pk]],
            )
            for flag in flags
        ]
        for kind, flags in worst.items()
    }


def items_of(flags: Iterable[Flag]) -> dict[int, list[Item]]:
    """Read a few items of each flag; of a group, which may be a whole class, its examples."""
    examples_first = Case(When(role="example", then=Value(0)), default=Value(1))
    place = Window(RowNumber(), partition_by=F("flag"), order_by=[examples_first, F("pk").asc()])
    rows = FlagItem.objects.filter(flag__in=list(flags), item__withdrawn_at__isnull=True)
    rows = rows.annotate(place=place).filter(place__lte=ITEMS_SHOWN).order_by("flag", "place")
    found: dict[int, list[Item]] = defaultdict(list)
    for row in rows.select_related("item__content", "item__label"):
        found[row.flag_id].append(row.item)
    return found


def _shown(dataset: Dataset, item: Item, picture: Picture) -> Shown:
    is_image, is_sound = dataset.media == Media.IMAGE, dataset.media == Media.AUDIO
    return Shown(
        key=item.key,
        url=reverse("quality:item", args=[dataset.slug, item.pk]),
        label=item.label.name if item.label else "",
        split=item.split,
        text=item.content.text[:WORDS_SHOWN] if dataset.media == Media.TEXT else "",
        picture=picture(dataset, item) if is_image else "",
        wave=wave_path(_preview(item)) if is_sound else "",
    )


def address_of(dataset: Dataset, item: Item) -> str:
    """Return where the app serves an item's small picture."""
    return media_url(dataset, item, "preview")


def bytes_of(_dataset: Dataset, item: Item) -> str:
    """Return an item's small picture as a `data:` address, which a file carries along."""
    written = base64.b64encode(_preview(item)).decode()
    return f"data:{item.content.preview_mime};base64,{written}" if written else ""


def _preview(item: Item) -> bytes:
    try:
        return storage.path_of(item.content.preview).read_bytes() if item.content.preview else b""
    except FileNotFoundError:  # its item was just deleted
        return b""


def wave_path(peaks: bytes) -> str:
    """Return the path of a wave from its peaks (least, greatest, least ...; 128 is zero).

    >>> wave_path(bytes([128, 255, 1, 128]))
    'M0 0V16M48 16V32'
    """
    pairs = np.frombuffer(peaks[: len(peaks) // 2 * 2], np.uint8).reshape(-1, 2).astype(int)
    strokes = np.array_split(pairs, min(WAVE_WIDTH, len(pairs))) if len(pairs) else []
    step = WAVE_WIDTH / max(1, len(strokes))
    return "".join(
        f"M{place * step:.3g} {_height(stroke.max())}V{_height(stroke.min())}"
        for place, stroke in enumerate(strokes)
    )


def _height(value: int) -> str:
    return f"{WAVE_HEIGHT / 2 * (1 - (value - ZERO) / REACH):.3g}"
