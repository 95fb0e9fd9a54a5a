"""Measure features and training on real data; one JSON line a figure.

    python bench/features.py [clothing fsdd arabic banking77 cifar10]

Reads the folder that WINNOW_SHARED names. CPU seconds are those of the process, all threads.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import resource
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

from mlcore.features import Backbone, choose_backbones, extract, known_backbones
from mlcore.folds import join_groups
from mlcore.intervals import student_reach
from mlcore.protocols import Protocol
from mlcore.training import cross_validate, fit_final

SHARED = Path(os.environ.get("WINNOW_SHARED", Path(__file__).parents[2] / "shared"))
WEIGHTS = SHARED / "weights"
NOWHERE = Path(os.devnull)


def say(**figure: object) -> None:
    print(json.dumps(figure), flush=True)


def rows_of(folder: str, table: str = "index.csv") -> list[dict[str, str]]:
    with (SHARED / "data" / folder / table).open(newline="") as file:
        return list(csv.DictReader(file))


def contents_of(folder: str, archive: str, names: list[str]) -> list[bytes]:
    with zipfile.ZipFile(SHARED / "data" / folder / archive) as packed:
        return [packed.read(name) for name in names]


def vectors_of(media: str, contents: list[bytes], *, side: float | None) -> np.ndarray:
    """Return what the best backbone for pictures of this side, or for other media, says of them."""
    known = choose_backbones(media, weights_folder=WEIGHTS, keras_cache=NOWHERE, native_side=side)
    return extract(known[0], contents)


def numbers(values: list[str]) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]


def drawn(labels: np.ndarray, among: np.ndarray, a_class: int, *, seed: int) -> np.ndarray:
    """Return so many of the rows `among` of each class, all where there are fewer."""
    rng = np.random.default_rng(seed)
    of_class = (among[labels[among] == one] for one in range(int(labels.max()) + 1))
    return np.concatenate([rng.permutation(rows)[:a_class] for rows in of_class])


def reach(values: np.ndarray) -> float:
    """Return how far the 95 % limits of a mean over draws are from it (Student)."""
    return float(student_reach(len(values)) * values.std(ddof=1) / np.sqrt(len(values)))


def timed_features(backbone: Backbone, contents: list[bytes]) -> tuple[np.ndarray, float]:
    extract(backbone, contents[:8])  # loading and converting the network is no cost per item
    start = time.process_time()
    features = extract(backbone, contents)
    return features, (time.process_time() - start) / len(contents) * 1000


def judge(
    subject: str, features: np.ndarray, labels: np.ndarray, groups: np.ndarray, **more: object
) -> None:
    start = time.process_time()
    n_classes = int(labels.max()) + 1
    found = cross_validate(features, labels, groups, n_classes=n_classes, protocol=Protocol())
    accuracy = float((found.probabilities.argmax(axis=1) == labels).mean())
    seconds = round(time.process_time() - start, 1)
    say(subject=subject, accuracy=round(accuracy, 4), n=len(labels), cpu_seconds=seconds, **more)


def clothing() -> None:
    rows = rows_of("clothing")
    contents = contents_of("clothing", "images.zip", [row["file"] for row in rows])
    labels = numbers([row["folder_label"] for row in rows])
    senders = join_groups([row["sender_id"] for row in rows])
    for folder in (WEIGHTS, None):
        backbone = choose_backbones("image", weights_folder=folder, keras_cache=NOWHERE)[0]
        features, each = timed_features(backbone, contents)
        more = {"backbone": backbone.name, "cpu_ms_an_item": round(each, 2)}
        judge("clothing, by sender", features, labels, senders, **more)
        judge("clothing, ungrouped", features, labels, np.arange(len(labels)), **more)
    say(subject="peak memory MB", value=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def sound(folder: str, label: str) -> None:
    rows = rows_of(folder)
    contents = contents_of(folder, "audio.zip", [row["file"] for row in rows])
    labels = numbers([row[label] for row in rows])
    speakers = join_groups([row["speaker"] for row in rows])
    backbones = choose_backbones("audio", weights_folder=WEIGHTS, keras_cache=NOWHERE)
    both = []
    for backbone in backbones:
        features, each = timed_features(backbone, contents)
        both.append(features)
        more = {"backbone": backbone.name, "cpu_ms_an_item": round(each, 2)}
        judge(f"{folder}, by speaker", features, labels, speakers, **more)
        judge(f"{folder}, ungrouped", features, labels, np.arange(len(labels)), **more)
    joined = np.concatenate(both, axis=1)
    judge(f"{folder}, by speaker", joined, labels, speakers, backbone="both side by side")


def fsdd() -> None:
    sound("fsdd", "digit")


def arabic() -> None:
    sound("arabic_speech_commands", "word")


def banking77() -> None:
    texts: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    for part in ("train", "test"):
        path = SHARED / "data" / "banking77" / f"{part}.csv.gz"
        with gzip.open(path, "rt", newline="") as file:
            rows = list(csv.DictReader(file))
        texts[part] = [row["text"] for row in rows]
        names[part] = [row["category"] for row in rows]
    backbone = choose_backbones("text", weights_folder=None)[0]
    start = time.process_time()
    learned = extract(backbone, [text.encode() for text in texts["train"]])
    unseen = extract(backbone, [text.encode() for text in texts["test"]])
    each = (time.process_time() - start) / (len(learned) + len(unseen)) * 1000
    train_test("banking77, test", learned, names["train"], unseen, names["test"], ms=each)


def train_test(
    subject: str,
    learned: np.ndarray,
    given: list[str],
    unseen: np.ndarray,
    truth: list[str],
    *,
    ms: float,
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classes = {name: number for number, name in enumerate(sorted(set(given)))}
    labels = np.array([classes[name] for name in given])
    answers = np.array([classes[name] for name in truth])
    start = time.process_time()
    alone = np.arange(len(labels))
    head = fit_final(learned, labels, alone, n_classes=len(classes), protocol=Protocol())
    seconds = time.process_time() - start
    accuracy = float((head.predict(unseen).argmax(axis=1) == answers).mean())
    say(subject=subject, head="ours", accuracy=round(accuracy, 4), cpu_seconds=round(seconds, 1),
        epochs=head.epochs, cpu_ms_an_item=round(ms, 2))  # fmt: skip
    start = time.process_time()
    rival = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    accuracy = float(rival.fit(learned, labels).score(unseen, answers))
    seconds = time.process_time() - start
    say(subject=subject, head="scikit-learn, C=0.01", accuracy=round(accuracy, 4),
        cpu_seconds=round(seconds, 1))  # fmt: skip


def cifar10() -> None:
    with zipfile.ZipFile(SHARED / "data" / "cifar10" / "images.zip") as packed:
        names = sorted(name for name in packed.namelist() if not name.endswith("/"))
        parts = {
            part: [name for name in names if name.startswith(f"{part}/")]
            for part in ("train", "test")
        }
        contents = {part: [packed.read(name) for name in parts[part]] for part in parts}
    known = known_backbones("image", weights_folder=WEIGHTS, keras_cache=NOWHERE)
    given, truth = ([name.split("/")[1] for name in parts[part]] for part in ("train", "test"))
    for backbone in known:
        learned, each = timed_features(backbone, contents["train"])
        unseen = extract(backbone, contents["test"])
        train_test(f"cifar10, test, {backbone.name}", learned, given, unseen, truth, ms=each)
        judge(
            "cifar10, 5 folds", learned, numbers(given), np.arange(len(given)), side=backbone.side
        )


SUBJECTS = {
    "clothing": clothing,
    "fsdd": fsdd,
    "arabic": arabic,
    "banking77": banking77,
    "cifar10": cifar10,
}

if __name__ == "__main__":
    for subject in sys.argv[1:] or SUBJECTS:
        SUBJECTS[subject]()
