"""CPU-seconds and accuracy of our head beside logistic regressions that were run to their end.

    PYTHONPATH=. OMP_NUM_THREADS=1 python bench/heads.py [--items N] [--features N] [--reference]
    PYTHONPATH=. OMP_NUM_THREADS=1 python bench/heads.py --real [clothing banking77 cifar10]
    PYTHONPATH=. OMP_NUM_THREADS=1 python bench/heads.py --search [SECONDS] [--seeds N]

The first: all five folds, and a head of one of them alone, of vectors that are drawn: classes and
noise in few directions, as networks have them, and no number below zero, as after a ReLU.
TensorFlow is started before the clock. The second: test accuracy on real pictures and texts of the
folder that WINNOW_SHARED names, learned from clean labels and from those of CIFAR-10N, five seeds.
The third: the head that a search chose beside the usual one, the same sets and spoken digits;
vectors are kept as by bench/active.py.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
import zipfile
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from bench.active import features_of, packed, table
from bench.features import NOWHERE, SHARED, WEIGHTS, contents_of, numbers, rows_of, vectors_of
from mlcore.features import choose_backbones, extract
from mlcore.head import Head
from mlcore.intervals import paired_difference
from mlcore.protocols import Protocol
from mlcore.search import search_head
from mlcore.training import CrossValidation, cross_validate, fit_final

CLASSES = 10
REACH = 0.09  # of class centres, in standard deviations of an item: two thirds can be told
PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5)
SEEDS = 5
Learned = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Vectors and labels to learn from, vectors and labels to be judged by."""


def drawn(n_items: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, n_items)
    spectrum = 1 / np.sqrt(1 + np.arange(n_features) / 8)
    turn = rng.normal(size=(n_features, n_features)).astype(np.float32) / np.sqrt(n_features)
    centres = rng.normal(size=(CLASSES, n_features)) * spectrum * REACH
    hidden = centres[labels] + rng.normal(size=(n_items, n_features)) * spectrum
    return np.maximum(hidden.astype(np.float32) @ turn, 0), labels


def main() -> None:
    """Print one line a head."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=50_000)
    options.add_argument("--features", type=int, default=1280)
    options.add_argument("--reference", action="store_true")
    options.add_argument("--real", nargs="*", choices=list(REAL))
    options.add_argument("--search", type=int, nargs="?", const=30, default=0)
    options.add_argument("--seeds", type=int, default=SEEDS)
    asked = options.parse_args()
    if asked.real is not None:
        real(asked.real or list(REAL))
        return
    if asked.search:
        searching(asked.search, asked.seeds)
        return
    vectors, labels = drawn(asked.items, asked.features)
    parts = StratifiedKFold(5, shuffle=True, random_state=0)
    learned, judged = next(parts.split(vectors, labels))
    folds(vectors[:200], labels[:200], epochs=1)
    ours(vectors[:200], labels[:200], epochs=1)
    started = time.process_time()
    found = folds(vectors, labels)
    spent = time.process_time() - started
    right = found.probabilities.argmax(axis=1) == labels
    print(f"five folds: {right.mean():.4f}, {spent:.2f} CPU-s", flush=True)
    started = time.process_time()
    head = ours(vectors[learned], labels[learned])
    spent = time.process_time() - started
    right = head.predict(vectors[judged]).argmax(axis=1) == labels[judged]
    print(f"one head: {right.mean():.4f}, {spent:.2f} CPU-s, {head.epochs} epochs", flush=True)
    if asked.reference:
        reference((vectors[learned], labels[learned], vectors[judged], labels[judged]))


def ours(vectors: np.ndarray, labels: np.ndarray, **settings: int) -> Head:
    """Return our head of these items."""
    alone, n_classes = np.arange(len(labels)), int(labels.max()) + 1
    return fit_final(vectors, labels, alone, n_classes=n_classes, protocol=Protocol(**settings))


def folds(vectors: np.ndarray, labels: np.ndarray, **settings: int) -> CrossValidation:
    """Return what five of our heads say of the items that they did not learn."""
    alone, n_classes = np.arange(len(labels)), int(labels.max()) + 1
    protocol = Protocol(**settings)
    return cross_validate(vectors, labels, alone, n_classes=n_classes, protocol=protocol)


def reference(parts: Learned) -> None:
    """Print what logistic regressions reach that were run to their end."""
    vectors, labels, unseen, answers = parts
    centre, spread = vectors.mean(axis=0), vectors.std(axis=0) + 1e-6
    for c in (1 / (Protocol.l2 * vectors.shape[1]), *PENALTIES):
        started = time.process_time()
        model = LogisticRegression(C=c, max_iter=1000, tol=1e-5)
        model.fit((vectors - centre) / spread, labels)
        score = model.score((unseen - centre) / spread, answers)
        print(f"C={c:.3g}: {score:.4f}, {time.process_time() - started:.1f} CPU-s", flush=True)


def real(names: Sequence[str]) -> None:
    """Print ours and the references for each real set."""
    for subject, parts in (one for name in names for one in REAL[name]().items()):
        vectors, labels, unseen, answers = parts
        started = time.process_time()
        heads = [ours(vectors, labels, seed=seed) for seed in range(SEEDS)]
        spent = (time.process_time() - started) / SEEDS
        scores = [(head.predict(unseen).argmax(axis=1) == answers).mean() for head in heads]
        told = f"{np.mean(scores):.4f} ({min(scores):.4f} to {max(scores):.4f}), {spent:.2f} CPU-s"
        print(f"{subject}, {len(labels)} items: ours {told}", flush=True)
        found = [folds(vectors, labels, seed=seed).probabilities for seed in range(SEEDS)]
        right = [(one.argmax(axis=1) == labels).mean() for one in found]
        told = f"{np.mean(right):.4f} ({min(right):.4f} to {max(right):.4f})"
        print(f"    out of fold, by the given label: {told}", flush=True)
        reference(parts)


def cifar10() -> dict[str, Learned]:
    """Return the pictures with the labels of their makers and with two kinds of people's."""
    folder = SHARED / "data" / "cifar10"
    with (folder / "cifar10n_train_labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with zipfile.ZipFile(folder / "images.zip") as packed:
        tests = sorted(name for name in packed.namelist() if name.endswith(".jpg"))
        tests = [name for name in tests if name.startswith("test/")]
        contents = [packed.read(name) for name in [*(row["file"] for row in rows), *tests]]
    backbone = choose_backbones(
        "image", weights_folder=WEIGHTS, keras_cache=NOWHERE, native_side=32
    )[0]
    vectors = extract(backbone, contents)
    answers = numbers([name.split("/")[1] for name in tests])
    return {
        f"cifar10, {column}": (
            vectors[: len(rows)], numbers([row[column] for row in rows]),
            vectors[len(rows) :], answers,
        )
        for column in ("truth", "aggregated", "annotator1", "worst")
    }  # fmt: skip


def clothing() -> dict[str, Learned]:
    """Return the photos; their test part is of senders who sent no others."""
    rows = rows_of("clothing")
    contents = contents_of("clothing", "images.zip", [row["file"] for row in rows])
    backbone = choose_backbones("image", weights_folder=WEIGHTS, keras_cache=NOWHERE)[0]
    vectors, labels = extract(backbone, contents), numbers([row["folder_label"] for row in rows])
    judged = np.array([row["split"] == "test" for row in rows])
    return {"clothing": (vectors[~judged], labels[~judged], vectors[judged], labels[judged])}


def banking77() -> dict[str, Learned]:
    """Return the questions with their makers' labels."""
    rows = {}
    for part in ("train", "test"):
        path = SHARED / "data" / "banking77" / f"{part}.csv.gz"
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows[part] = list(csv.DictReader(file))
    both = [*rows["train"], *rows["test"]]
    vectors = vectors_of("text", [row["text"].encode() for row in both], side=None)
    labels, n = numbers([row["category"] for row in both]), len(rows["train"])
    return {"banking77": (vectors[:n], labels[:n], vectors[n:], labels[n:])}


REAL = {"clothing": clothing, "banking77": banking77, "cifar10": cifar10}


def searching(seconds: int, n_seeds: int) -> None:
    """Print what a search chose for each real set, and what that does to the test accuracy."""
    sets = kept_sets()
    for seed in range(n_seeds):
        for subject, (parts, groups) in sets.items():
            vectors, labels, unseen, answers = parts
            n_classes = int(labels.max()) + 1
            learned, more = (vectors, labels, groups), {"n_classes": n_classes}
            usual = Protocol(seed=seed, search=3 * seconds)  # those for folds take the rest
            started = time.process_time()
            found = search_head(*learned, **more, protocol=usual)
            spent = time.process_time() - started
            heads = [fit_final(*learned, **more, protocol=one) for one in (usual, found.protocol)]
            right = [head.predict(unseen).argmax(axis=1) == answers for head in heads]
            gain = paired_difference(*right, np.arange(len(answers)))
            print(f"{subject}, seed {seed}: test {right[0].mean():.4f} to {right[1].mean():.4f} "
                  f"({gain.low:+.4f} to {gain.high:+.4f}), search of {found.n_items} of "
                  f"{len(labels)} items {spent:.1f} CPU-s, kept {found.tried[found.kept].changes}",
                  flush=True)  # fmt: skip
            for one in found.tried:
                lead = one.lead and f"{one.lead.low:+.4f} to {one.lead.high:+.4f}"
                print(f"    {one.changes}: {one.value:.4f}, {lead}", flush=True)


def kept_sets() -> dict[str, tuple[Learned, np.ndarray]]:
    """Return each set with the groups that stay together: senders, else each item alone."""
    folder = SHARED / "data" / "cifar10"
    rows = table(folder / "cifar10n_train_labels.csv")
    with zipfile.ZipFile(folder / "images.zip") as archive:
        names = archive.namelist()
    tests = sorted(name for name in names if name.startswith("test/") and "." in name)
    files = [row["file"] for row in rows] + tests
    vectors = features_of("cifar10", "image", packed(folder / "images.zip", files), 32)
    answers, alone = numbers([name.split("/")[1] for name in tests]), np.arange(len(rows))
    of_test = (vectors[len(rows) :], answers)
    found = {}
    for column in ("truth", "worst"):
        labels = numbers([row[column] for row in rows])
        found[f"cifar10, {column}"] = ((vectors[: len(rows)], labels, *of_test), alone)
    found["clothing"] = kept_table("clothing", "folder_label", "images.zip", "sender_id")
    found["fsdd"] = kept_table("fsdd", "digit", "audio.zip", "file")
    return found


def kept_table(name: str, column: str, archive: str, together: str) -> tuple[Learned, np.ndarray]:
    """Return a set whose table names label, split and what stays together."""
    folder = SHARED / "data" / name
    rows = table(folder / "index.csv")
    media, side = ("audio", None) if name == "fsdd" else ("image", 400.0)
    contents = packed(folder / archive, [row["file"] for row in rows])
    vectors, labels = features_of(name, media, contents, side), numbers([r[column] for r in rows])
    judged = np.array([row["split"] == "test" for row in rows])
    groups = numbers([row[together] for row in rows])[~judged]
    return (vectors[~judged], labels[~judged], vectors[judged], labels[judged]), groups


if __name__ == "__main__":
    main()
