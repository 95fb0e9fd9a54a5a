"""What import measured of each item, as Browse filters, draws and sorts by it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from django.db import connection
from django.db.models import Exists, FloatField, OuterRef
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from labeling.models import Dataset, Item, Job, JobState, Media
from labeling.queries.datasets import listed
from mlcore import odd_images as odd
from quality import fact_arrays

FACTS_KEPT = 4  # 2 MB each at 100,000 items
ROWS_A_READ = 5_000
CHANGES_FILES = ("import", "take_back", "cut", "restore", "withdraw", "measure_again")
IDS = "item"  # the column of ids beside those of facts


@dataclass(frozen=True)
class Limit:
    """From where on the check of odd pictures asks about one; docs/detectors.md says why there."""

    words: str
    value: float
    is_least: bool  # it is odd from there up, else up to there

    def __str__(self) -> str:
        return f"{self.words} {'≥' if self.is_least else '≤'} {self.value:.3g}"


def _least(words: str, value: float) -> Limit:
    return Limit(words, value, is_least=True)


def _most(words: str, value: float) -> Limit:
    return Limit(words, value, is_least=False)


@dataclass(frozen=True)
class Fact:
    """One measurement of a content that can be drawn as a histogram and filtered by."""

    name: str
    words: str
    unit: str = ""
    limits: tuple["Limit", ...] = ()


FACTS: dict[str, tuple[Fact, ...]] = {
    Media.IMAGE: (
        Fact("brightness", "Brightness"),
        Fact("width", "Width", "px"),
        Fact("height", "Height", "px"),
        Fact("contrast", "Contrast"),
        Fact("sharpness", "Sharpness"),
        Fact(
            "edge_width",
            "Edge width",
            "px",
            (_least("blurry", odd.BLURRY), _most("noise", odd.NOISE)),
        ),
        Fact("luma_low", "Dark end", limits=(_least("over-light", odd.OVER_LIGHT),)),
        Fact("luma_high", "Light end", limits=(_most("dark", odd.DARK),)),
        Fact("black_share", "Lost in the dark", limits=(_least("dark", odd.LOST),)),
        Fact("white_share", "Blown out", limits=(_least("over-light", odd.LOST),)),
        Fact("clipped_share", "Colours cut off", limits=(_least("over-exposed", odd.CUT_OFF),)),
        Fact("weakest_channel", "Weakest colour", limits=(_most("lost", odd.LOST_CHANNEL),)),
        Fact("jpeg_quality", "JPEG quality", limits=(_most("coarse", odd.COARSE),)),
        Fact("entropy", "Information", "bits", (_most("shows little", odd.LOW_INFORMATION),)),
        Fact("even_share", "Even share", limits=(_least("drawn", odd.DRAWN),)),
        Fact("two_colour_share", "Two colours", limits=(_least("drawn", odd.TWO_COLOURS),)),
        Fact("frame_share", "Frame", limits=(_least("framed", odd.FRAME),)),
        Fact("colourfulness", "Colourfulness", limits=(_most("without colours", odd.GREY),)),
    ),
    Media.AUDIO: (
        Fact("seconds", "Duration", "s"),
        Fact("loud_db", "Loudness", "dB"),
        Fact("noise_floor_db", "Noise floor", "dB"),
        Fact("peak", "Peak"),
        Fact("dc_offset", "DC offset"),
    ),
    Media.TEXT: (Fact("characters", "Characters"), Fact("words", "Words")),
}


def fact_value(name: str) -> Cast:
    """Return a fact of the content as a number the database can compare."""
    return Cast(KeyTextTransform(name, "content__facts"), FloatField())


@dataclass(frozen=True)
class Measured:
    """One fact of all items of a dataset, in the order of value and id; `rest` has none."""

    values: np.ndarray
    ids: np.ndarray
    rest: np.ndarray


def measured(dataset: Dataset, name: str) -> Measured:
    """Return a fact of all items, read anew once any came, went or got other bytes.

    It lies in the JSON of 100,000 contents: to read it costs half a second (bench/pages.py), so
    a worker keeps all facts in a file, and this process the few that it asked for last.
    """
    return _measured(dataset.pk, name, dataset.files_changed)


def forget() -> None:
    """Read all facts anew: for whoever changes what contents measured, as tests do."""
    _measured.cache_clear()


def datasets_at_rest() -> list[Dataset]:
    """Datasets whose files no job is changing just now."""
    running = Job.objects.filter(dataset=OuterRef("pk"), state=JobState.RUNNING)
    changing = running.filter(kind__in=CHANGES_FILES)
    return list(listed(Dataset.objects.all()).exclude(Exists(changing)))


def keep_measured(dataset: Dataset) -> bool:
    """Keep all facts of all items in a file; tells whether those of now were not there yet."""
    names = tuple(fact.name for fact in FACTS[dataset.media])
    state = _state(dataset.pk, dataset.files_changed)
    if fact_arrays.are_kept(dataset.pk, names, state=state):
        return False
    fact_arrays.keep(dataset.pk, _read(dataset.pk, names), state=state)
    return True


def _state(dataset: int, files_changed: int) -> str:
    """Name the items of now; the newest one tells those of a database that was brought back."""
    newest = Item.objects.filter(dataset=dataset).order_by("-pk").values_list("pk", "content")
    return f"{files_changed} {newest.first()}"


@lru_cache(maxsize=FACTS_KEPT)
def _measured(dataset: int, name: str, files_changed: int) -> Measured:
    state = _state(dataset, files_changed)
    columns = fact_arrays.kept(dataset, (IDS, name), state=state) or _read(dataset, (name,))
    ids, values = columns[IDS].astype(np.int64), columns[name]
    known = np.isfinite(values)
    order = np.lexsort((ids[known], values[known]))
    return Measured(values[known][order], ids[known][order], np.sort(ids[~known]))


def _read(dataset: int, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the ids of all items, and these facts of them, NaN where there is none."""
    facts = {name: fact_value(name) for name in names}
    rows = Item.objects.filter(dataset=dataset).order_by().annotate(**facts)
    pieces = [np.empty((0, 1 + len(names)))]
    with connection.cursor() as cursor:  # as rows of Django's they take half as long again
        cursor.execute(*rows.values_list("pk", *names).query.sql_with_params())
        while some := cursor.fetchmany(ROWS_A_READ):
            pieces.append(np.array(some, np.float64))  # None becomes NaN
    return dict(zip((IDS, *names), np.concatenate(pieces).T, strict=True))
