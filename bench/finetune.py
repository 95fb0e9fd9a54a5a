"""Few photos a class: frozen layers, the last block fine-tuned, and the choice between them.

    PYTHONPATH=. OMP_NUM_THREADS=1 python bench/finetune.py [--draws 3] [--a-class 10 20 100]
    PYTHONPATH=. OMP_NUM_THREADS=1 python bench/finetune.py --cifar10 [--a-class 200]

`clothing`, learned from draws of its training photos, judged on its 372 test photos, whose senders
occur in no training photo. It has 42 to 52 training photos a class: where more are asked for all
are taken. `cifar10` has true labels, small pictures, and is judged on 2,000 of its test pictures.
`chosen` is what a run keeps (`mlcore.search.choose`), by parts of what was drawn with senders
together; `clearly better`, `accuracy` and `log loss` keep what the same parts say by other rules,
`average` takes the mean of both heads' probabilities. Each draw is one JSON line from which any
rule can be read: what was right of the test photos, and what tuned gained inside over frozen, by
accuracy and in nats of calibrated log loss. CPU-seconds are those of all threads.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
import zipfile
from dataclasses import asdict, dataclass, replace

import numpy as np

from bench.features import NOWHERE, SHARED, WEIGHTS, contents_of, drawn, numbers, reach, rows_of
from mlcore.features import choose_backbones, extract, maps_of
from mlcore.folds import join_groups
from mlcore.protocols import Protocol
from mlcore.search import TUNED, TUNED_SECONDS_AN_ITEM, search_head
from mlcore.training import fit_final
from mlcore.tuning import Maps

WAYS = ("frozen", "tuned", "average", "chosen", "clearly better", "accuracy", "log loss")
CIFAR10_TESTS = 2_000
ENOUGH_SECONDS = int(10_000 * TUNED_SECONDS_AN_ITEM)


@dataclass(frozen=True)
class Photos:
    """All photos: vectors, maps, labels and senders."""

    vectors: np.ndarray
    maps: Maps
    labels: np.ndarray
    senders: np.ndarray
    is_test: np.ndarray

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return int(self.labels.max()) + 1


def read_photos() -> Photos:
    """Read clothing."""
    rows = rows_of("clothing")
    return seen_by_the_network(
        contents_of("clothing", "images.zip", [row["file"] for row in rows]),
        labels=numbers([row["folder_label"] for row in rows]),
        senders=join_groups([row["sender_id"] for row in rows]),
        is_test=np.array([row["split"] == "test" for row in rows]),
        native=None,
    )


def read_cifar10(a_class: int) -> Photos:
    """Read so many of its pictures of each class, and test pictures, each from a source alone."""
    with (SHARED / "data" / "cifar10" / "cifar10n_train_labels.csv").open(newline="") as file:
        truth = {row["file"]: row["truth"] for row in csv.DictReader(file)}
    with zipfile.ZipFile(SHARED / "data" / "cifar10" / "images.zip") as packed:
        tests = sorted(name for name in packed.namelist() if name.startswith("test/"))
    truth |= {name: name.split("/")[1] for name in tests if "." in name}
    rng, chosen = np.random.default_rng(0), []
    for is_test, most in ((False, a_class), (True, CIFAR10_TESTS // 10)):
        names = [name for name in truth if name.startswith("test/") == is_test]
        for one in sorted(set(truth.values())):
            of_class = [name for name in names if truth[name] == one]
            chosen += [of_class[place] for place in rng.permutation(len(of_class))[:most]]
    return seen_by_the_network(
        contents_of("cifar10", "images.zip", chosen),
        labels=numbers([truth[name] for name in chosen]),
        senders=np.arange(len(chosen)),
        is_test=np.array([name.startswith("test/") for name in chosen]),
        native=32,
    )


def seen_by_the_network(
    contents: list[bytes],
    *,
    labels: np.ndarray,
    senders: np.ndarray,
    is_test: np.ndarray,
    native: float | None,
) -> Photos:
    """Return photos with their vectors, and their maps below the last block."""
    backbone = choose_backbones(
        "image", weights_folder=WEIGHTS, keras_cache=NOWHERE, native_side=native
    )[0]
    below = maps_of(backbone)
    assert below is not None
    assert below.weights is not None
    started = time.process_time()
    maps = Maps(extract(below, contents), below.weights)
    each = (time.process_time() - started) / len(contents) * 1000
    print(f"maps: {each:.1f} CPU-ms a photo", flush=True)
    return Photos(
        vectors=extract(backbone, contents),
        maps=maps,
        labels=labels,
        senders=senders,
        is_test=is_test,
    )


def one_draw(photos: Photos, rows: np.ndarray, seed: int) -> dict[str, float]:
    """Return the test accuracy of each way; print it with what was found inside and its cost."""
    learned = photos.vectors[rows], photos.labels[rows], photos.senders[rows]
    more = {"n_classes": photos.n_classes, "maps": photos.maps[rows]}
    test, found, told, spent = np.flatnonzero(photos.is_test), {}, [], []

    def right(probabilities: np.ndarray) -> float:
        return float((probabilities.argmax(axis=1) == photos.labels[test]).mean())

    for name, changes in (("frozen", {}), ("tuned", TUNED)):
        started = time.process_time()
        head = fit_final(*learned, protocol=replace(Protocol(seed=seed), **changes), **more)
        asked = photos.maps.rows[test] if changes else photos.vectors[test]
        spent.append(time.process_time() - started)
        told.append(head.predict(asked))
        found[name] = right(told[-1])
    found["average"] = right(told[0] + told[1])
    started = time.process_time()
    searching = replace(Protocol(seed=seed), tuning=3 * ENOUGH_SECONDS)
    choice = search_head(*learned, protocol=searching, **more)
    spent.append(time.process_time() - started)
    lead, surprise = choice.tried[1].lead, choice.tried[1].surprise
    assert lead is not None
    assert surprise is not None
    rules = {
        "chosen": choice.protocol.tuned,
        "clearly better": lead.low > 0,
        "accuracy": lead.value > 0,
        "log loss": surprise.value < 0,
    }
    found |= {rule: found["tuned" if keeps else "frozen"] for rule, keeps in rules.items()}
    found["best"] = max(found["frozen"], found["tuned"])
    inside = {"frozen": choice.tried[0].value, "gain": asdict(lead), "nats": asdict(surprise)}
    draw_of = {"photos": len(rows), "draw": seed, "frozen, tuned, search CPU-s": spent}
    print(json.dumps({**draw_of, **found, "inside": inside}), flush=True)
    return found


def main() -> None:
    """Print a line a number a class; limits are over draws (95 %, Student)."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cifar10", action="store_true")
    options.add_argument("--draws", type=int, default=3)
    options.add_argument("--a-class", type=int, nargs="+", default=[10, 20, 100])
    asked = options.parse_args()
    photos = read_cifar10(max(asked.a_class)) if asked.cifar10 else read_photos()
    seen = np.flatnonzero(~photos.is_test)
    for a_class in asked.a_class:
        draws = [
            one_draw(photos, drawn(photos.labels, seen, a_class, seed=seed), seed)
            for seed in range(asked.draws)
        ]
        for name in WAYS if len(draws) > 1 else ():
            values = np.array([found[name] for found in draws])
            for beside in ("frozen", "best"):
                gain = values - np.array([found[beside] for found in draws])
                print(f"{a_class} a class, {name}: {values.mean():.4f}, beside {beside} "
                      f"{gain.mean():+.4f} ± {reach(gain):.4f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
