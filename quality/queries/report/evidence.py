"""What a report shows of the items behind a doubt: small pictures, waves and words."""

import base64
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from django.urls import reverse

from labeling import storage
from labeling.models import Dataset, Item, Media
from labeling.queries.by_hand import execute, listed
from quality.models import Flag
from quality.queries.flags import Tally, worst_of
from quality.queries.tiles import media_url

FLAGS_SHOWN = 3  # of a kind
ITEMS_SHOWN = 2  # of a flag
WORDS_SHOWN = 160  # characters of a text
WAVE_WIDTH, WAVE_HEIGHT = 96, 32  # units of the picture of a wave
ZERO, REACH = 128, 127  # of a peak; mlcore.sounds.peaks

# From a queryset of items it is a tenth of the front page (bench/pages.py).
FIRST_ITEMS = """
SELECT flag_id, item_id FROM (
  SELECT part.flag_id, part.item_id, ROW_NUMBER() OVER (PARTITION BY part.flag_id
    ORDER BY CASE WHEN part.role = 'example' THEN 0 ELSE 1 END, part.id) AS place
  FROM quality_flagitem part JOIN labeling_item item ON item.id = part.item_id
  WHERE part.flag_id IN (<flags>) AND item.withdrawn_at IS NULL
) picked WHERE place <= %(most)s ORDER BY flag_id, place
"""

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
    found: dict[int, list[Item]] = defaultdict(list)
    if not (asked := listed([flag.pk for flag in flags])):
        return found
    picked = execute(FIRST_ITEMS.replace("<flags>", asked), {"most": ITEMS_SHOWN})
    items = Item.objects.defer("metadata", "odd", "content__facts")
    known = items.select_related("content", "label").in_bulk([pk for _flag, pk in picked])
    for flag, pk in picked:
        if pk in known:  # it may have been deleted meanwhile
            found[flag].append(known[pk])
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
