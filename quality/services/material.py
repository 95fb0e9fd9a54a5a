"""What a version offers to learn from: keys, labels, splits and groups as arrays."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from labeling.models import Content, Dataset, Split, Version
from labeling.models.items import WITHDRAWN
from labeling.queries.versions import Line
from labeling.services.jobs import Refused, Work
from labeling.services.versions import read_manifest
from quality.arrays import class_numbers

LEAST_CLASSES = 2
LEAST_ITEMS_A_CLASS = 2  # one to learn from and one to hold out
NOTHING_TO_LEARN = (
    "No item outside the test split has a label yet (where something is in train: none in "
    "train or validation). Annotate some, or import labels."
)
HASHES_A_QUERY = 500


@dataclass(frozen=True)
class Material:
    """A version as arrays, one entry per manifest line."""

    version: Version
    keys: list[str]
    hashes: list[str]
    splits: np.ndarray
    names: list[str | None]
    sources: list[str]
    classes: list[str]
    moments: list[str | None]

    @cached_property
    def times(self) -> np.ndarray:
        """When each item was made, in seconds since 1970; NaN where that is not known."""
        return np.array(
            [
                datetime.fromisoformat(moment).timestamp() if moment else np.nan
                for moment in self.moments
            ]
        )

    @cached_property
    def labels(self) -> np.ndarray:
        """Index into `classes` of each item's label, -1 where there is none."""
        return class_numbers(self.names, self.classes)

    @cached_property
    def is_test(self) -> np.ndarray:
        return self.splits == Split.TEST

    @cached_property
    def is_learned(self) -> np.ndarray:
        """Labelled and in a split to learn from: what every head of a run may see."""
        return (self.labels >= 0) & np.isin(self.splits, learned_splits(self.splits))

    @cached_property
    def is_left_out(self) -> np.ndarray:
        """Labelled, but in no split while others are: neither learned from nor judged on."""
        is_labelled = np.array([name is not None for name in self.names], dtype=bool)
        return is_labelled & ~self.is_test & ~self.is_learned

    @cached_property
    def is_judged(self) -> np.ndarray:
        """Test items with a label."""
        return self.is_test & np.array([name is not None for name in self.names])

    @cached_property
    def contents(self) -> dict[str, Content]:
        """Content rows by hash; none for items whose person withdrew consent."""
        return contents_of(sha256 for sha256 in self.hashes if sha256 != WITHDRAWN)

    @cached_property
    def is_withdrawn(self) -> np.ndarray:
        """Nothing is left of the item: neither learned from, judged on nor compared with."""
        return np.array([sha256 == WITHDRAWN for sha256 in self.hashes], dtype=bool)

    @cached_property
    def groups(self) -> np.ndarray:
        """Source groups joined with equal contents; `copies.sets_of` finds the other copies."""
        from mlcore.folds import join_groups

        rows = [self.contents.get(sha256) for sha256 in self.hashes]
        told = [None if row is None or row.is_flat else row.phash or None for row in rows]
        return join_groups(
            [source or None for source in self.sources],
            self.hashes,
            [row.pixel_hash or None if row else None for row in rows],
            told,
        )


def learned_splits(splits: Iterable[str]) -> list[str]:
    """Return the splits that are learned from; items in none of them only where none is in train.

    So taking an item out of train keeps it from being learned, and a dataset that was never
    divided is learned whole.
    """
    if Split.TRAIN in set(splits):
        return [Split.TRAIN, Split.VALIDATION]
    return [Split.VALIDATION, Split.NONE]


def read_material(version: Version) -> Material:
    """Read a version; classes are those that an item to learn from carries, in the set's order."""
    return material_of(version, list(read_manifest(version)))


def material_of(version: Version, lines: list[Line]) -> Material:
    """Read lines as if they were those of a version."""
    for line in lines:
        if line["sha256"] == WITHDRAWN:  # its label still counts in the version, not in a model
            line["label"] = None
    learned = learned_splits(line["split"] for line in lines)
    carried = {line["label"] for line in lines if line["label"] and line["split"] in learned}
    known = list(version.dataset.classes.values_list("name", flat=True))
    ordered = [name for name in known if name in carried]
    return Material(
        version=version,
        keys=[line["key"] for line in lines],
        hashes=[line["sha256"] for line in lines],
        splits=np.array([line["split"] for line in lines], dtype="U12"),
        names=[line["label"] for line in lines],
        sources=[line["group"] for line in lines],
        classes=ordered + sorted(carried - set(ordered)),
        moments=[line["captured_at"] for line in lines],
    )


def check_labels(dataset: Dataset) -> None:
    """Refuse, in words and without reading what is there, a dataset without a label to learn."""
    labelled = dataset.items.filter(label__isnull=False, excluded="").exclude(split=Split.TEST)
    if not labelled.exists():
        raise Refused(NOTHING_TO_LEARN)


def check_material(material: Material) -> None:
    """Refuse, in words, what no model can learn from."""
    counts = Counter(
        name for name, learned in zip(material.names, material.is_learned) if learned and name
    )
    if not counts:
        raise Refused(NOTHING_TO_LEARN)
    enough = [name for name, count in counts.items() if count >= LEAST_ITEMS_A_CLASS]
    if len(enough) < LEAST_CLASSES:
        raise Refused(
            f"Training needs at least {LEAST_CLASSES} classes with {LEAST_ITEMS_A_CLASS} labelled "
            f"items each to learn from, outside the test split; so far {_listed(counts)}."
        )


@contextmanager
def stopped_in_words(work: Work) -> Iterator[None]:
    """End a job whose learning ended: as it was asked to, or with what is wrong in words."""
    from mlcore.refusals import Impossible
    from mlcore.steps import Cancelled

    try:
        yield
    except Cancelled:
        work.check()
        raise
    except Impossible as impossible:
        raise Refused(str(impossible)) from impossible


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} has {count}" for name, count in counts.most_common(5))


def contents_of(hashes: Iterable[str]) -> dict[str, Content]:
    """Read contents by their hashes, some at a time."""
    distinct, found = list(dict.fromkeys(hashes)), {}
    for start in range(0, len(distinct), HASHES_A_QUERY):
        found.update(Content.objects.in_bulk(distinct[start : start + HASHES_A_QUERY]))
    return found
