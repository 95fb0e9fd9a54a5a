"""What a planted data set consists of, and how its files get their names."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from quality.demo.truth import Planted, write_truth


@dataclass(frozen=True)
class PlannedClass:
    """One possible answer and the key that gives it."""

    name: str
    key: str
    role: str = "ordinary"


@dataclass(frozen=True)
class Plan:
    """A planted data set on disk and all that a lead would type in to create it."""

    slug: str
    title: str
    media: str
    folder: Path
    labels_csv: Path | None
    annotations_csv: Path | None
    truth_json: Path
    truth: list[Planted]
    question: str
    classes: tuple[PlannedClass, ...]
    task_card: dict[str, str]
    guideline: str


@dataclass(frozen=True)
class PlannedFile:
    """One file before it has a name."""

    content: bytes
    split: str
    label: str
    suffix: str
    group: str = ""


@dataclass
class Planting:
    """Files and faults gathered in any order; names come last, so that none betrays a fault."""

    files: list[PlannedFile] = field(default_factory=list)
    faults: list[tuple[str, str, tuple[int, ...], str]] = field(default_factory=list)

    def add(self, file: PlannedFile) -> int:
        self.files.append(file)
        return len(self.files) - 1

    def fault(self, kind: str, what: str, *, at: Sequence[int], right_label: str = "") -> None:
        self.faults.append((kind, what, tuple(at), right_label))

    def keys(self, stem: str, *, rng: np.random.Generator) -> list[str]:
        """Name every file `split/label/stem_0001.suffix`, numbered in a shuffled order."""
        numbers = rng.permutation(len(self.files)) + 1
        return [
            f"{file.split}/{file.label}/{stem}_{number:04d}{file.suffix}"
            for file, number in zip(self.files, numbers, strict=True)
        ]

    def write(self, folder: Path, keys: Sequence[str]) -> tuple[Path, list[Planted]]:
        """Write the files below `folder/files` and what is wrong with them to `truth.json`."""
        for key, file in zip(keys, self.files, strict=True):
            path = folder / "files" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        truth = [
            Planted(kind, tuple(keys[at] for at in where), what, right_label)
            for kind, what, where, right_label in self.faults
        ]
        truth.sort(key=lambda planted: (planted.kind, planted.what, planted.keys))
        path = folder / "truth.json"
        write_truth(truth, path)
        return path, truth


def write_csv(path: Path, *, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a CSV with the same bytes on every system."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path
