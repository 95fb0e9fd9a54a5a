"""Label, split, source and item of each line of a version, as arrays: one file, whole or absent.

Pages ask them of all lines. To read the lines of 100,000 items takes a quarter of a second, these
a few milliseconds (bench/pages.py). Row i is line i; of people the file holds numbers alone.
"""

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from django.conf import settings

from labeling.models import Split, Version
from labeling.shards import save_arrays, save_text

DIGITS = 32  # of a digest in the name of a file: no two meet
NONE = -1  # no label, no source, no item
#: Splits as files number them, whatever order they are shown in.
SPLITS = {Split.NONE: 0, Split.TRAIN: 1, Split.VALIDATION: 2, Split.TEST: 3}
NAMED = {number: str(split) for split, number in SPLITS.items()}
Row = tuple[str | None, str, str, int]  # label, split, source, item (by id)
Kept = TypeVar("Kept")


class Held(NamedTuple):
    """What a version holds of an item."""

    label: str | None
    split: str


@dataclass(frozen=True)
class Columns:
    """One entry a line, but for `names`, which has the labels that there are.

    `labels` are places among these, `splits` numbers of SPLITS; equal sources share a number,
    and items stand by their id.
    """

    names: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    sources: np.ndarray
    items: np.ndarray

    def line(self, row: int) -> Held | None:
        """Return what one line holds; None for the line NONE."""
        if row == NONE:
            return None
        label = int(self.labels[row])
        name = None if label == NONE else str(self.names[label])
        return Held(name, NAMED[int(self.splits[row])])

    def is_in(self, *splits: str) -> np.ndarray:
        """Tell of each line whether it stands in one of these splits."""
        return np.isin(self.splits, [SPLITS[Split(one)] for one in splits])

    def is_labelled(self, name: str) -> np.ndarray:
        """Tell of each line whether it has this label."""
        return self.labels_in([name]) == 0

    def labels_in(self, classes: Sequence[str]) -> np.ndarray:
        """Return the place of each label among classes; NONE for every other."""
        places = {name: place for place, name in enumerate(classes)}
        found = [places.get(name, NONE) for name in self.names.tolist()]
        return np.array([*found, NONE])[self.labels]  # NONE finds the last one


def columns_from(rows: Iterable[Row]) -> Columns:
    """Return the columns of lines."""
    labels, splits, sources, items = zip(*rows, strict=True)
    names, label_places = _numbered(labels)
    numbers = {str(split): number for split, number in SPLITS.items()}
    return Columns(
        names=np.array(names, dtype=np.str_),
        labels=label_places,
        splits=np.array([numbers[split] for split in splits], np.int8),
        sources=_numbered(source or None for source in sources)[1],
        items=np.array(items, np.int64),
    )


def _numbered(values: Iterable[Hashable | None]) -> tuple[list[Hashable], np.ndarray]:
    """Return distinct values, and the place of each value among them."""
    places: dict[Hashable, int] = {}
    found = [NONE if one is None else places.setdefault(one, len(places)) for one in values]
    return list(places), np.array(found, np.int32)


def keep(version: Version, columns: Columns) -> None:
    """Write the columns of a version."""
    save_arrays(_path(version), vars(columns))


def kept(version: Version) -> Columns | None:
    """Read the columns of a version; None where they were not written."""
    return _read(Columns, _path(version))


def _read(kind: Callable[..., Kept], path: Path) -> Kept | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return kind(**dict(file))
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class Differing:
    """The lines in which two versions differ, by key: an entry a change, numbers alone.

    `was` and `now` are lines of the earlier and the later version, NONE where it has no such
    item; `what` has a bit for each of the marks that `labeling.queries.versions` gives a change.
    """

    was: np.ndarray
    now: np.ndarray
    what: np.ndarray


def differing_from(rows: Iterable[tuple[int, int, int]]) -> Differing:
    """Return the columns of changes."""
    return Differing(*np.array(list(rows), np.int32).reshape(-1, 3).T)


def keep_changes(
    before: Version, after: Version, told: Mapping[str, Any], *, lines: Differing
) -> None:
    """Write in which lines two versions differ, and how many do in what."""
    path = _path_of_changes(before, after)
    save_arrays(path.with_suffix(".npz"), vars(lines))
    save_text(path, json.dumps(told))


def kept_lines(before: Version, after: Version) -> Differing | None:
    """Read in which lines two versions differ; None where it was not written."""
    return _read(Differing, _path_of_changes(before, after).with_suffix(".npz"))


def kept_changes(before: Version, after: Version) -> dict[str, Any] | None:
    """Read how many lines differ; None where it was not written, or by kind alone as once."""
    try:
        told: dict[str, Any] = json.loads(_path_of_changes(before, after).read_text())
    except FileNotFoundError:
        return None
    return told if "kinds" in told else None


def remove_columns(version: Version) -> None:
    """Remove the columns of a version, of which somebody withdrew consent or which goes."""
    _path(version).unlink(missing_ok=True)


def remove(version: Version) -> None:
    """Remove what is kept of a version that goes."""
    remove_columns(version)
    for path in _folder().glob(f"*{version.digest[:DIGITS]}*.json"):
        path.unlink(missing_ok=True)
        path.with_suffix(".npz").unlink(missing_ok=True)


def written() -> list[Path]:
    """Return all files of versions."""
    return [*_folder().glob("[0-9a-f]*.npz"), *_folder().glob("[0-9a-f]*.json")]


def remove_others(files: Iterable[Path], versions: Collection[tuple[int, str]]) -> None:
    """Remove the files that are of none of these versions (id and digest)."""
    digests = {digest[:DIGITS] for _, digest in versions}
    columns = {f"{pk}-{digest[:DIGITS]}" for pk, digest in versions}
    for path in files:
        if path.stem not in columns and not digests.issuperset(path.stem.split("-")):
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "versions"


def _path(version: Version) -> Path:
    return _folder() / f"{version.pk}-{version.digest[:DIGITS]}.npz"


def _path_of_changes(before: Version, after: Version) -> Path:
    return _folder() / f"{before.digest[:DIGITS]}-{after.digest[:DIGITS]}.json"
