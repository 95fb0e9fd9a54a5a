"""Few photos a class: a frozen network's head with and without changed copies of what it learns.

    PYTHONPATH=. OMP_NUM_THREADS=1 python bench/augmentation.py [--draws 8] [--a-class 10 20 40]

`clothing`, learned from draws of its training photos, judged on its 372 test photos, whose senders
occur in no training photo.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from bench.features import NOWHERE, WEIGHTS, contents_of, drawn, numbers, reach, rows_of
from mlcore.augment import augmented, rng_of
from mlcore.features import choose_backbones, extract
from mlcore.files import sha256_of
from mlcore.folds import join_groups
from mlcore.protocols import CHANGES, CROP, FLIP, Protocol
from mlcore.training import fit_final

WAYS = {"mirror": (FLIP,), "mirror, crop": (FLIP, CROP), "all four": CHANGES["image"]}


def main() -> None:
    """Print a line a way and number a class; limits are over draws (95 %, Student), paired."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--draws", type=int, default=8)
    options.add_argument("--a-class", type=int, nargs="+", default=[10, 20, 40])
    asked = options.parse_args()
    rows = rows_of("clothing")
    contents = contents_of("clothing", "images.zip", [row["file"] for row in rows])
    labels = numbers([row["folder_label"] for row in rows])
    senders = join_groups([row["sender_id"] for row in rows])
    is_test = np.array([row["split"] == "test" for row in rows])
    seen, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    backbone = choose_backbones("image", weights_folder=WEIGHTS, keras_cache=NOWHERE)[0]
    vectors, copies = extract(backbone, contents), {}
    for way, changes in WAYS.items():
        started, copies[way] = time.process_time(), np.zeros_like(vectors)
        originals = [contents[place] for place in seen]
        made = [augmented(one, changes, rng=rng_of(sha256_of(one))) for one in originals]
        copies[way][seen] = extract(backbone, made)
        each = (time.process_time() - started) / len(seen) * 1000
        print(f"{way}: {each:.1f} CPU-ms a copy", flush=True)

    def right(learned: np.ndarray, *, seed: int, way: str) -> float:
        head = fit_final(
            vectors[learned],
            labels[learned],
            senders[learned],
            n_classes=int(labels.max()) + 1,
            protocol=Protocol(seed=seed),
            copies=copies[way][learned] if way else None,
        )
        return float((head.predict(vectors[test]).argmax(axis=1) == labels[test]).mean())

    for a_class in asked.a_class:
        found: dict[str, list[float]] = {way: [] for way in ("", *WAYS)}
        for seed in range(asked.draws):
            learned = drawn(labels, seen, a_class, seed=seed)
            for way, values in found.items():
                values.append(right(learned, seed=seed, way=way))
        print(f"{a_class} a class, as they are: {np.mean(found['']):.4f}", flush=True)
        for way in WAYS:
            gain = np.array(found[way]) - np.array(found[""])
            print(f"{a_class} a class, {way}: {gain.mean():+.4f} ± {reach(gain):.4f}", flush=True)


if __name__ == "__main__":
    main()
