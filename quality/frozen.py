"""Labels and items of a version's lines as numbers, kept by this process: pages ask for them often.

What a digest names never changes, so its labels are read once. Which items the lines speak of
is asked anew as soon as the dataset has a newer item, for that may stand under one of their
keys; an item keeps its id when its key is masked, and one that is deleted is not found.
"""

from functools import lru_cache

import numpy as np
from django.db import connection
from django.db.models import Max

from labeling.models import Item, Version
from labeling.services.versions import read_digest, read_manifest
from quality import arrays
from quality.models import Run

VERSIONS_KEPT = 4  # 1 MB each at 100,000 items
NO_ITEM = -1


def rows_where(run: Run, *, given: str = "", predicted: str = "", read: str = "") -> np.ndarray:
    """Return the rows that a run predicted, with a given and a predicted class; empty means any.

    `read` narrows them to those that it read "right" or "wrong".
    """
    probabilities = arrays.run_array(run, "probabilities")
    if probabilities is None or (predicted and predicted not in run.classes):
        return np.empty(0, np.int64)
    guesses = arrays.predicted_classes(probabilities)
    names, labels = _labels(run.version.digest)
    place = {name: number for number, name in enumerate(names)}
    chosen = guesses >= 0
    if given:
        chosen &= labels == place.get(given, len(names))
    if predicted:
        chosen &= guesses == run.classes.index(predicted)
    if read:
        right = np.array([place.get(name, len(names)) for name in run.classes])[guesses] == labels
        chosen &= right if read == "right" else ~right
    return np.flatnonzero(chosen)


def items_at(version: Version, rows: np.ndarray) -> list[int]:
    """Return the items (by id) that lines of a version speak of, less those deleted since."""
    newest = Item.objects.filter(dataset=version.dataset_id).aggregate(pk=Max("pk"))["pk"]
    found = _items(_Lines(version), newest)[rows]
    there: list[int] = found[found != NO_ITEM].tolist()
    return there


class _Lines:
    """A version, equal to others of the same dataset and digest."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.name = (version.dataset_id, version.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Lines) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


@lru_cache(maxsize=VERSIONS_KEPT)
def _labels(digest: str) -> tuple[list[str | None], np.ndarray]:
    """Return the labels that stand in a version, and for each line its place among them."""
    places: dict[str | None, int] = {}
    found = [places.setdefault(line["label"], len(places)) for line in read_digest(digest)]
    return list(places), np.array(found, np.int32)


@lru_cache(maxsize=VERSIONS_KEPT)
def _items(lines: _Lines, newest: int | None) -> np.ndarray:
    """Return the item of each line; `newest` is the newest item of the dataset when asked."""
    rows = Item.objects.filter(dataset=lines.version.dataset_id)
    with connection.cursor() as cursor:  # as rows of Django's they take half as long again
        cursor.execute(*rows.values_list("key", "pk").query.sql_with_params())
        known = dict(cursor.fetchall())
    keys = (line["key"] for line in read_manifest(lines.version))
    return np.array([known.get(key, NO_ITEM) for key in keys], np.int64)
