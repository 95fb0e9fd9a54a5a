"""Train the top layers of a picture network together with the classes on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.backend import load_tensorflow
from mlcore.calibration import Calibration
from mlcore.features import network
from mlcore.head import Head
from mlcore.steps import Cancelled

EPOCHS = 12
RATE = 1e-3
"""Of Adam at first, falling to nothing (docs/decisions/fine-tuning-is-tried-first.md)."""
BATCH = 16
SECONDS_AN_ITEM = 2.4e-3
"""CPU-seconds that one pass costs an item of 224 pixels (`bench/finetune.py`)."""
ROWS_A_CALL = 64
Batches = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Maps, labels int64 (n_items,) and weights float32 (n_items,)."""


def seconds_to_tune(n_items: int, n_heads: int) -> float:
    """Return about how many CPU-seconds it takes to tune for a run, its final head included.

    Examples
    --------
    >>> round(seconds_to_tune(400, 5))
    106
    """
    passes = EPOCHS * 11 / 6  # a sixth is held out at first, then all is learned
    return n_items * SECONDS_AN_ITEM * passes * (0.8 * n_heads + 1)


@dataclass(frozen=True)
class TunedHead:
    """Trained layers from the maps below the last block on; `weights` as Keras lists them.

    `side` is that of the pictures, in pixels.
    """

    weights: tuple[np.ndarray, ...]
    side: int
    epochs: int
    calibration: Calibration = field(default_factory=Calibration)

    def scores(self, maps: np.ndarray) -> np.ndarray:
        """Return what goes into the softmax, float32 (n_items, n_classes)."""
        tuner = tuner_for(self.side, len(self.weights[-1]))
        tuner.model.set_weights(self.weights)
        return tuner.scores(maps)

    def predict(self, maps: np.ndarray) -> np.ndarray:
        """Return class probabilities, float32 (n_items, n_classes); rows sum to 1."""
        return self.calibration.probabilities(self.scores(maps))

    def save(self, path: Path) -> None:
        """Write the layers to one .npz file."""
        arrays: dict[str, Any] = {f"layer_{n}": one for n, one in enumerate(self.weights)}
        with path.open("wb") as file:
            np.savez(file, **arrays, side=self.side, epochs=self.epochs, **asdict(self.calibration))

    @classmethod
    def load(cls, path: Path) -> TunedHead:
        """Read layers that `save` wrote."""
        with np.load(path, allow_pickle=False) as held:
            n_layers = sum(name.startswith("layer_") for name in held)
            weights = tuple(held[f"layer_{n}"] for n in range(n_layers))
            told = {one.name: float(held[one.name]) for one in fields(Calibration)}
            return cls(weights, int(held["side"]), int(held["epochs"]), Calibration(**told))


@dataclass(frozen=True)
class Maps:
    """What the network `weights` makes of items below its last block, (n_items, n_numbers)."""

    rows: np.ndarray
    weights: Path

    def __getitem__(self, places: np.ndarray) -> Maps:
        return Maps(self.rows[places], self.weights)

    @property
    def side(self) -> int:
        """Of the pictures, in pixels."""
        return network.side_of(self.rows.shape[1])

    @property
    def trained(self) -> tuple[np.ndarray, ...]:
        """The layers above the cut as they were trained."""
        return _trained(self.weights, self.side)

    def tuner(self, n_classes: int) -> Tuner:
        """Return what trains them, built once a process."""
        return tuner_for(self.side, n_classes)


@lru_cache(maxsize=2)
def _trained(weights: Path, side: int) -> tuple[np.ndarray, ...]:
    load_tensorflow()
    return tuple(network.layers_above(side, weights=weights).get_weights())


@lru_cache(maxsize=2)
def tuner_for(side: int, n_classes: int) -> Tuner:
    """Return the layers for pictures of this side, built once a process."""
    return Tuner(side, n_classes)


class Tuner:
    """The layers above the cut with the classes on top, and their compiled step."""

    def __init__(self, side: int, n_classes: int) -> None:
        self._tf = tf = load_tensorflow()
        import keras

        self.model = classifier(side, n_classes)
        self._variables = self.model.trainable_variables
        self._adam = keras.optimizers.Adam(RATE)
        self._adam.build(self._variables)
        self._fresh = [variable.numpy() for variable in self._adam.variables]
        maps = tf.TensorSpec((None, network.map_dimensions(side)), tf.float32)
        signature = [maps, tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None,), tf.float32)]
        self._step = tf.function(self._one_step, input_signature=signature, autograph=False)
        self._answer = tf.function(
            lambda rows: self.model(rows, training=False), input_signature=[maps], autograph=False
        )

    def _one_step(self, maps: Any, labels: Any, weights: Any) -> Any:
        tf = self._tf
        with tf.GradientTape() as tape:
            scores = self.model(maps, training=False)  # batches are too small to normalise by
            surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores)
            loss = tf.reduce_mean(surprise * weights)
        slopes = tape.gradient(loss, [variable.value for variable in self._variables])
        self._adam.apply(slopes, self._variables)
        right = tf.reduce_sum(tf.cast(tf.argmax(scores, axis=1) == labels, tf.float32))
        return loss, right

    def restart(self, trained: tuple[np.ndarray, ...], head: Head) -> None:
        """Start from the network as it was trained and a linear head on it."""
        ((weights, bias),) = head.layers
        kernel = weights / head.spread[:, None]
        self.model.set_weights([*trained, kernel, bias - head.centre @ kernel])
        for variable, value in zip(self._adam.variables, self._fresh, strict=True):
            variable.assign(value)

    def pass_over(
        self,
        material: Batches,
        *,
        among: np.ndarray,
        epoch: int,
        rng: np.random.Generator,
        should_stop: Callable[[], bool] | None,
    ) -> tuple[float, float]:
        """Go once over the rows `among` in random batches; return mean loss and accuracy."""
        maps, labels, weights = material
        self._adam.learning_rate = RATE * (1 - epoch / EPOCHS)
        order = rng.permutation(among)
        size = min(BATCH, len(order))
        starts = range(0, len(order) - size + 1, size)  # the few left over differ each time
        loss = right = 0.0
        for start in starts:
            if should_stop is not None and should_stop():
                raise Cancelled
            part = order[start : start + size]
            more_loss, more_right = self._step(maps[part], labels[part], weights[part])
            loss, right = loss + float(more_loss), right + float(more_right)
        return loss / len(starts), right / (len(starts) * size)

    def scores(self, maps: np.ndarray) -> np.ndarray:
        """Return scores (n_items, n_classes)."""
        starts = range(0, len(maps), ROWS_A_CALL)
        parts = [self._answer(maps[start : start + ROWS_A_CALL]).numpy() for start in starts]
        return np.concatenate(parts)

    def weights(self) -> tuple[np.ndarray, ...]:
        """Return all layers as they stand."""
        return tuple(self.model.get_weights())


def classifier(side: int, n_classes: int) -> Any:
    """Return a Keras model from maps, flat, to scores, with nothing learned in it."""
    load_tensorflow()
    import keras

    above = network.layers_above(side)
    flat = keras.Input((network.map_dimensions(side),), name="map")
    shaped = keras.layers.Reshape(above.input_shape[1:], name="shape")(flat)
    scores = keras.layers.Dense(n_classes, name="classes")(above(shaped))
    return keras.Model(flat, scores)
