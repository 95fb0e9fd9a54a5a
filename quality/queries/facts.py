"""What import measured of each item, as Browse filters, draws and sorts by it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from django.db import connection
from django.db.models import FloatField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from labeling.models import Dataset, Item, Media

FACTS_KEPT = 4  # 2 MB each at 100,000 items


@dataclass(frozen=True)
class Fact:
    """One measurement of a content that can be drawn as a histogram and filtered by."""

    name: str
    words: str
    unit: str = ""
    line: str = ""  # from where on a check asks about it; docs/detectors.md says why there


FACTS: dict[str, tuple[Fact, ...]] = {
    Media.IMAGE: (
        Fact("brightness", "Brightness"),
        Fact("width", "Width", "px"),
        Fact("height", "Height", "px"),
        Fact("contrast", "Contrast"),
        Fact("sharpness", "Sharpness"),
        Fact("edge_width", "Edge width", "px", line="blurry: 3 and above; noise: .68 and below"),
        Fact("luma_low", "Dark end", line="over-light: 150 and above"),
        Fact("luma_high", "Light end", line="dark: 84 and below"),
        Fact("black_share", "Lost in the dark", line="dark: a third and above"),
        Fact("white_share", "Blown out", line="over-light: a third and above"),
        Fact("cut_share", "Colours cut off", line="over-exposed: .2 and above"),
        Fact("entropy", "Information", "bits", line="shows little: 3 and below"),
        Fact("even_share", "Even share", line="drawn: .8 and above"),
        Fact("two_colour_share", "Two colours", line="drawn: .9 and above"),
        Fact("frame_share", "Frame", line="framed: .02 and above"),
        Fact("colourfulness", "Colourfulness", line="without colours: below 1"),
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


def fact_value(name: str, *, prefix: str = "") -> Cast:
    """Return a fact of the content as a number the database can compare."""
    return Cast(KeyTextTransform(name, f"{prefix}content__facts"), FloatField())


@dataclass(frozen=True)
class Measured:
    """One fact of all items of a dataset, in the order of value and id; `rest` has none."""

    values: np.ndarray
    ids: np.ndarray
    rest: np.ndarray


def measured(dataset: Dataset, name: str) -> Measured:
    """Return a fact of all items, read anew once any came, went or got other bytes.

    It lies in the JSON of 100,000 contents: to read it costs half a second (bench/pages.py), so
    this process keeps it. What a content measured never changes.
    """
    return _measured(dataset.pk, name, dataset.files_changed)


def forget() -> None:
    """Read all facts anew: for whoever changes what contents measured, as tests do."""
    _measured.cache_clear()


@lru_cache(maxsize=FACTS_KEPT)
def _measured(dataset: int, name: str, _files_changed: int) -> Measured:
    rows = Item.objects.filter(dataset=dataset).order_by().annotate(value=fact_value(name))
    with connection.cursor() as cursor:  # as rows of Django's they take half as long again
        cursor.execute(*rows.values_list("pk", "value").query.sql_with_params())
        read = cursor.fetchall()
    ids = np.array([pk for pk, _value in read], np.int64)
    values = np.array([value for _pk, value in read], np.float64)  # None becomes NaN
    known = np.isfinite(values)
    order = np.lexsort((ids[known], values[known]))
    return Measured(values[known][order], ids[known][order], np.sort(ids[~known]))
