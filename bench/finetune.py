"""Few photos a class: frozen features, with changed copies, and with top layers fine-tuned.

    PYTHONPATH=. OMP_NUM_THREADS=1 python bench/finetune.py [--draws 4] [--a-class 10 20 40]

`clothing`, learned from draws of its training photos, judged on its 372 test photos, whose senders
occur in no training photo. It has 42 to 51 training photos a class: 100 a class cannot be drawn.
Fine-tuning starts from the frozen head; what lies below the layers that it changes is computed
once. How long to go on is chosen on inner held-out senders, as for a head; the last column is that
choice between all three on the same inner senders. CPU-seconds leave out what all share.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.features import NOWHERE, WEIGHTS, contents_of, numbers, rows_of
from mlcore.augment import augmented, rng_of
from mlcore.backend import load_tensorflow
from mlcore.features import choose_backbones, extract
from mlcore.features.pixels import decode_square
from mlcore.files import sha256_of
from mlcore.folds import grouped_folds, join_groups
from mlcore.head import Head
from mlcore.protocols import CHANGES, Protocol
from mlcore.training import fit_final

CUTS = ("block_15_add", "block_12_add")
"""Layers above which all is fine-tuned: 1 or 4 of 16 blocks, and the last convolution."""
RATES = (3e-4,)
EPOCHS = 8
BATCH = 16
INNER_PARTS = 3


@dataclass(frozen=True)
class Photos:
    """All photos: vectors, those of one changed copy, and the maps at a cut."""

    vectors: np.ndarray
    copies: np.ndarray
    maps: dict[str, np.ndarray]
    labels: np.ndarray
    senders: np.ndarray
    is_test: np.ndarray
    n_classes: int


def read_photos() -> tuple[Photos, Any]:
    """Read the photos and the network."""
    rows = rows_of("clothing")
    contents = contents_of("clothing", "images.zip", [row["file"] for row in rows])
    backbone = choose_backbones("image", weights_folder=WEIGHTS, keras_cache=NOWHERE)[0]
    started = time.process_time()
    changed = [augmented(one, CHANGES["image"], rng=rng_of(sha256_of(one))) for one in contents]
    copies = extract(backbone, changed)
    each = (time.process_time() - started) / len(contents) * 1000
    print(f"changed copies: {each:.1f} CPU-ms a photo", flush=True)
    network = _network(backbone)
    labels = numbers([row["folder_label"] for row in rows])
    photos = Photos(
        vectors=extract(backbone, contents),
        copies=copies,
        maps={cut: _maps(network, cut, contents) for cut in CUTS},
        labels=labels,
        senders=join_groups([row["sender_id"] for row in rows]),
        is_test=np.array([row["split"] == "test" for row in rows]),
        n_classes=int(labels.max()) + 1,
    )
    return photos, network


def _network(backbone: Any) -> Any:
    load_tensorflow()
    import keras

    return keras.applications.MobileNetV2(
        alpha=0.35,
        include_top=False,
        weights=str(backbone.weights),
        input_shape=(backbone.side, backbone.side, 3),
        pooling="avg",
    )


def _maps(network: Any, cut: str, contents: list[bytes]) -> np.ndarray:
    import keras

    below = keras.Model(network.input, network.get_layer(cut).output)
    started, found = time.process_time(), []
    for start in range(0, len(contents), BATCH):
        squares = [decode_square(one, 224) for one in contents[start : start + BATCH]]
        pixels = np.stack(squares).astype(np.float32) / 127.5 - 1
        found.append(below(pixels, training=False).numpy())
    each = (time.process_time() - started) / len(contents) * 1000
    print(f"maps at {cut}: {each:.1f} CPU-ms a photo", flush=True)
    return np.concatenate(found)


class Tuner:
    """The layers above a cut with a softmax on top, trained together."""

    def __init__(self, network: Any, cut: str, n_classes: int) -> None:
        self.tf = load_tensorflow()
        import keras

        self.above = keras.Model(network.get_layer(cut).output, network.output)
        self.dense = keras.layers.Dense(n_classes)
        self.dense.build((None, network.output.shape[-1]))
        self.first = self.above.get_weights()
        self.variables = [*self.above.trainable_variables, *self.dense.trainable_variables]
        self.adam = keras.optimizers.Adam()
        self.adam.build(self.variables)
        self.fresh = [variable.numpy() for variable in self.adam.variables]
        self.step = self.tf.function(self._step, reduce_retracing=True, autograph=False)

    def _step(self, maps: Any, labels: Any) -> None:
        tf = self.tf
        with tf.GradientTape() as tape:
            scores = self.dense(self.above(maps, training=False))
            surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores)
            loss = tf.reduce_mean(surprise)
        slopes = tape.gradient(loss, [variable.value for variable in self.variables])
        self.adam.apply(slopes, self.variables)

    def restart(self, head: Head, *, rate: float) -> None:
        """Start from the trained network and the frozen head."""
        self.above.set_weights(self.first)
        ((weights, bias),) = head.layers
        kernel = weights / head.spread[:, None]
        self.dense.set_weights([kernel, bias - head.centre @ kernel])
        for variable, value in zip(self.adam.variables, self.fresh, strict=True):
            variable.assign(value)
        self.adam.learning_rate = rate

    def epoch(self, maps: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> None:
        """Go once over all in random batches of one size."""
        order = rng.permutation(len(labels))
        for start in range(0, len(labels) - BATCH + 1, BATCH):
            part = order[start : start + BATCH]
            self.step(maps[part], labels[part])

    def scores(self, maps: np.ndarray) -> np.ndarray:
        """Return scores (n_items, n_classes)."""
        parts = [
            self.dense(self.above(maps[start : start + 64], training=False)).numpy()
            for start in range(0, len(maps), 64)
        ]
        return np.concatenate(parts)


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of rows whose greatest answer is right."""
    return float((answers.argmax(axis=1) == labels).mean())


def head_of(photos: Photos, rows: np.ndarray, *, with_copies: bool) -> Head:
    """Return a head that learned these photos, and a changed copy of each if asked."""
    parts = [photos.vectors[rows], *([photos.copies[rows]] if with_copies else [])]
    times = len(parts)
    return fit_final(
        np.concatenate(parts),
        np.tile(photos.labels[rows], times),
        np.tile(photos.senders[rows], times),
        n_classes=photos.n_classes,
        protocol=Protocol(),
    )


def tuned(
    photos: Photos,
    tuner: Tuner,
    cut: str,
    rate: float,
    rows: np.ndarray,
    *,
    asked: np.ndarray,
    at: set[int],
) -> dict[int, float]:
    """Return the accuracy on `asked` after so many epochs of learning `rows`, 0 for none."""
    tuner.restart(head_of(photos, rows, with_copies=False), rate=rate)
    rng, maps, labels = np.random.default_rng(0), photos.maps[cut], photos.labels
    found = {}
    for epoch in range(max(at) + 1):
        if epoch:
            tuner.epoch(maps[rows], labels[rows], rng=rng)
        if epoch in at:
            found[epoch] = accuracy(tuner.scores(maps[asked]), labels[asked])
    return found


def draw(photos: Photos, a_class: int, seed: int) -> np.ndarray:
    """Return the rows of so many training photos of each class."""
    rng, seen = np.random.default_rng(seed), np.flatnonzero(~photos.is_test)
    of_class = (seen[photos.labels[seen] == one] for one in range(photos.n_classes))
    return np.concatenate([rng.permutation(rows)[:a_class] for rows in of_class])


def one_draw(
    photos: Photos, tuners: dict[str, Tuner], rows: np.ndarray, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Return accuracy inside, on test photos, and CPU-seconds of each way."""
    rng, test = np.random.default_rng(seed), np.flatnonzero(photos.is_test)
    labels = photos.labels
    parts = grouped_folds(labels[rows], photos.senders[rows], n_folds=INNER_PARTS, rng=rng)
    kept, held = rows[parts != 0], rows[parts == 0]
    found = {}
    for name, with_copies in (("frozen", False), ("copies", True)):
        started = time.process_time()
        inner = head_of(photos, kept, with_copies=with_copies)
        outer = head_of(photos, rows, with_copies=with_copies)
        spent = time.process_time() - started
        inside = accuracy(inner.predict(photos.vectors[held]), labels[held])
        found[name] = (inside, accuracy(outer.predict(photos.vectors[test]), labels[test]), spent)
    for cut, tuner in tuners.items():
        for rate in RATES:
            started = time.process_time()
            all_of_them = set(range(EPOCHS + 1))
            inside = tuned(photos, tuner, cut, rate, kept, asked=held, at=all_of_them)
            length = max(inside, key=lambda epoch: inside[epoch])
            outside = tuned(photos, tuner, cut, rate, rows, asked=test, at={length, EPOCHS})
            spent = time.process_time() - started
            found[f"{cut} {rate:g}"] = (inside[length], outside[length], spent)
            found[f"{cut} {rate:g}, all {EPOCHS} epochs"] = (-1.0, outside[EPOCHS], spent)
    found["best inside"] = max(found.values(), key=lambda one: one[0])
    return found


def main() -> None:
    """Print a line a way and number a class; intervals are paired over draws."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--draws", type=int, default=4)
    options.add_argument("--a-class", type=int, nargs="+", default=[10, 20, 40])
    asked = options.parse_args()
    photos, network = read_photos()
    tuners = {cut: Tuner(network, cut, photos.n_classes) for cut in CUTS}
    for a_class in asked.a_class:
        draws = [
            one_draw(photos, tuners, draw(photos, a_class, seed), seed)
            for seed in range(asked.draws)
        ]
        for name in draws[0]:
            test = np.array([found[name][1] for found in draws])
            gain = test - np.array([found["frozen"][1] for found in draws])
            spent = np.mean([found[name][2] for found in draws])
            reach = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
            print(f"{a_class} a class, {name}: {test.mean():.4f}, beside frozen "
                  f"{gain.mean():+.4f} ± {reach:.4f}, {spent:.1f} CPU-s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
