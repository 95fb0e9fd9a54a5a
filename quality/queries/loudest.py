"""Clips that last longer than a second, and what cutting them to the loudest one would give."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import QuerySet

from labeling import storage
from labeling.models import Dataset, Item, Split
from mlcore.clips import decode_sound
from mlcore.files import UnusableFile
from mlcore.loudest import cut_to_loudest
from mlcore.riff import pcm16_wav
from mlcore.waveforms import Waves, peaks
from quality.queries.browse import MOST_AT_ONCE
from quality.queries.filters import Filter, Shown, one_of
from quality.queries.tiles import Tile, tiles_of

SECOND = 1.0
SHOWN = 12


@dataclass(frozen=True)
class Outlook:
    """How many of the clips chosen would be cut, and the first of them by key."""

    chosen: int
    longer: int
    in_test: int
    first: list[Tile]

    @property
    def is_too_much(self) -> bool:
        return self.chosen > MOST_AT_ONCE


def longer_than_a_second(dataset: Dataset) -> QuerySet[Item]:
    """Return the clips of a dataset that last longer."""
    rows = dataset.items.filter(withdrawn_at=None, content__mime__startswith="audio/")
    return rows.filter(content__facts__seconds__gt=SECOND)


def outlook(dataset: Dataset, items: Collection[int]) -> Outlook:
    """Say what cutting these items (by id) would change."""
    rows = longer_than_a_second(dataset).filter(one_of("pk", list(items)))
    first = list(rows.select_related("content", "label").order_by("key")[:SHOWN])
    return Outlook(
        chosen=len(items),
        longer=rows.count(),
        in_test=rows.filter(split=Split.TEST).count(),
        first=tiles_of(Shown(dataset, Filter()), first),
    )


@dataclass(frozen=True)
class Preview:
    """The loudest second of a clip, as a page draws and plays it; times in seconds."""

    sound: bytes
    peaks: bytes
    start: float
    length: float


def preview_of(item: Item) -> Preview | None:
    """Cut a clip without keeping what comes out; None where nothing would be cut."""
    if not longer_than_a_second(item.dataset).filter(pk=item.pk).exists():
        return None
    try:
        content = storage.read_bytes(item.content_id)
        found = cut_to_loudest(content)
    except (FileNotFoundError, UnusableFile):
        return None
    if found is None:
        return None
    samples = decode_sound(found.content).samples
    return Preview(
        sound=pcm16_wav(samples, found.rate),
        peaks=peaks(Waves.of([samples]))[0],
        start=found.start / found.rate,
        length=found.frames / found.rate,
    )
