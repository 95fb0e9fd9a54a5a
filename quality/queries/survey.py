"""A dataset as the checks see it: one entry per included item, in order of keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from labeling.models import ClassRole, Dataset, Item, Split
from labeling.services.versions import read_manifest
from mlcore.duplicates import Pair, find_copies
from mlcore.neighbours import NeighbourGraph
from quality import arrays
from quality.models import Run

ROWS_A_READ = 2_000
# Score from which a pair waits in the queue of copies; that of leaks goes on below (a bounded
# number, see quality.doubts.copies). Sure copies begin at mlcore.duplicates.LEAST_SCORE.
# At .35 / .05, .84 / .94 of the copies that people listed in cifar10 are there: set with that
# list in view. The longer tail is 115 pairs among its 15,000 pictures, 2 among 1,074 digits and
# none in clothing.
SUSPECTED_COPY = 0.05
FEWEST_WORDS = 8  # one word more or less is over an eighth of a shorter text: no sign of a copy
HEX_DIGITS = 16  # of a 64-bit perceptual hash


@dataclass(frozen=True)
class Survey:
    """Columns of equal length; what a check needs and is not there is None."""

    dataset: Dataset
    ids: list[int]
    keys: list[str]
    hashes: list[str]
    splits: np.ndarray
    labels: np.ndarray
    groups: list[str]
    odd: list[list[list[str]]]
    classes: list[str]
    contents: Mapping[str, dict[str, Any]]
    backgrounds: frozenset[int] = frozenset()
    metadata: list[dict[str, Any]] = field(default_factory=list)
    run: Run | None = None
    probabilities: np.ndarray | None = None
    uncalibrated: np.ndarray | None = None
    graph: NeighbourGraph | None = None
    thumbnails: np.ndarray | None = None
    texts: list[str] | None = None
    backbone: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def is_test(self) -> np.ndarray:
        return self.splits == Split.TEST

    @cached_property
    def doubted_labels(self) -> np.ndarray:
        """Labels that may be doubted and may vote: those of test items stay sealed (-1)."""
        return np.where(self.is_test, -1, self.labels)

    @cached_property
    def vectors(self) -> np.ndarray | None:
        """Vectors of the backbone that the neighbours were found with, read when asked for."""
        return arrays.load_features(self.backbone, self.hashes) if self.backbone else None

    def facts(self, row: int) -> dict[str, Any]:
        """What the one decode measured of an item."""
        facts: dict[str, Any] = self.contents[self.hashes[row]]["facts"]
        return facts

    def column(self, name: str) -> list[Any]:
        """One field of every item's content."""
        return [self.contents[sha256][name] for sha256 in self.hashes]

    @property
    def phashes(self) -> np.ndarray:
        """Perceptual hashes as numbers; 0 where there is none (see `without_hash`)."""
        hashes = self.column("phash")
        return np.array([int(value or "0", HEX_DIGITS) for value in hashes], np.uint64)

    @cached_property
    def extents(self) -> list[float]:
        """How much an item shows or says: pixels, seconds, else bytes."""
        sizes = []
        for row, size in enumerate(self.column("size")):
            facts = self.facts(row)
            pixels = facts.get("width", 0) * facts.get("height", 0)
            sizes.append(float(pixels or facts.get("seconds") or size))
        return sizes

    @property
    def copies(self) -> list[Pair]:
        """Pairs that are taken for the same thing, suspected ones included; surest first."""
        return [pair for pair in self.likenesses if pair.score >= SUSPECTED_COPY]

    @cached_property
    def likenesses(self) -> list[Pair]:
        """Pairs that may be the same thing, down to the faintest likeness; surest first."""
        if not len(self):
            return []
        has_hash = any(self.column("phash"))
        return find_copies(
            sha256=self.hashes,
            pixel_hashes=self.column("pixel_hash"),
            phashes=self.phashes if has_hash else None,
            flat=self.without_hash if has_hash else self.is_brief,
            framed=self.is_framed,
            neighbours=self.graph,
            thumbnails=self.thumbnails,
            texts=self.texts,
            least_score=0.0,
        )

    @property
    def is_framed(self) -> np.ndarray:
        """Pictures with even bars at their sides, however thin."""
        shares = [self.facts(row).get("frame_share", 0.0) for row in range(len(self))]
        return np.array([share > 0 for share in shares], dtype=bool)

    @cached_property
    def is_brief(self) -> np.ndarray:
        """Texts too short for likeness to mean anything; equal words still join them."""
        words = [self.facts(row).get("words", FEWEST_WORDS) for row in range(len(self))]
        return np.array([count < FEWEST_WORDS for count in words], dtype=bool)

    @cached_property
    def without_hash(self) -> np.ndarray:
        """Items that only bytes and pixels can compare."""
        pairs = zip(self.column("phash"), self.column("is_flat"), strict=True)
        return np.array([flat or not phash for phash, flat in pairs], dtype=bool)


CONTENT_FIELDS = ("type", "size", "pixel_hash", "phash", "is_flat", "facts")


def survey_of(dataset: Dataset) -> Survey:
    """Read what the checks look at, without vectors and predictions."""
    rows = (
        Item.objects.filter(dataset=dataset, excluded="")
        .order_by("key")
        .values_list(
            "id", "key", "content_id", "split", "label__name", "source_group", "odd", "metadata",
            *(f"content__{name}" for name in CONTENT_FIELDS),
        )
    )  # fmt: skip
    read = sorted(rows.iterator(chunk_size=ROWS_A_READ), key=lambda row: row[1])
    known = list(dataset.classes.values_list("name", "role"))
    classes = [name for name, _ in known]
    return Survey(
        dataset=dataset,
        ids=[row[0] for row in read],
        keys=[row[1] for row in read],
        hashes=[row[2] for row in read],
        splits=np.array([row[3] for row in read], dtype="U12"),
        labels=arrays.class_numbers((row[4] for row in read), classes),
        groups=[row[5] for row in read],
        odd=[row[6] for row in read],
        classes=classes,
        backgrounds=frozenset(
            place for place, (_, role) in enumerate(known) if role == ClassRole.BACKGROUND
        ),
        metadata=[row[7] for row in read],
        contents={row[2]: dict(zip(CONTENT_FIELDS, row[8:], strict=True)) for row in read},
    )


def run_probabilities(survey: Survey, run: Run) -> dict[str, np.ndarray]:
    """Return a run's out-of-sample probabilities in the survey's rows and classes.

    Under the names of the survey's fields; older runs kept none from before calibrating. Rows
    are NaN where the run says nothing: new items, other bytes, items without a label then, and
    all test items. Classes that the run did not know have probability 0; those that were merged
    since give theirs to what they became.
    """
    columns = {name: place for place, name in enumerate(survey.classes)}
    kept = {name: arrays.run_array(run, name) for name in ("probabilities", "uncalibrated")}
    if any(name not in columns for name in run.classes):
        return {}
    places = {
        (line["key"], line["sha256"]): row for row, line in enumerate(read_manifest(run.version))
    }
    wanted = [columns[name] for name in run.classes]
    pairs = zip(survey.keys, survey.hashes, strict=True)
    sources = np.array([places.get(pair, -1) for pair in pairs], dtype=np.int64)
    sources[survey.is_test] = -1
    shape = (len(survey), len(survey.classes))
    merged = survey.dataset.classes.filter(merged_into__isnull=False)
    became = [(columns[o], columns[n]) for o, n in merged.values_list("name", "merged_into__name")]
    return {
        name: _moved(_placed(values, sources=sources, columns=wanted, shape=shape), became)
        for name, values in kept.items()
        if values is not None
    }


def _placed(
    values: np.ndarray, *, sources: np.ndarray, columns: list[int], shape: tuple[int, int]
) -> np.ndarray:
    """Return a run's rows where `sources` says, its classes in `columns`; NaN where it is -1."""
    found = np.full(shape, np.nan)
    there = sources >= 0
    taken = np.asarray(values)[sources[there]]
    filled = np.zeros((len(taken), shape[1]))
    filled[:, columns] = taken
    found[there] = np.where(np.isnan(taken).any(axis=1, keepdims=True), np.nan, filled)
    return found


def _moved(found: np.ndarray, became: list[tuple[int, int]]) -> np.ndarray:
    for old, new in became:
        found[:, new] += found[:, old]
        found[:, old] *= 0  # NaN stays
    return found
