"""Take the steps of training softmax heads, fast, repeatably and cancellably.

Heads of several folds learn side by side: a batch of rows is read once and multiplied by the
weights of all heads at once, and each head is told which of the rows it learns from. What a head
does not learn from has no weight in any of its sums, so no held-out item has a say in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mlcore.backend import load_tensorflow
from mlcore.head import Layers
from mlcore.protocols import Protocol

ROWS_A_CALL = 2048
"""Rows that go to TensorFlow at a time: 10 MB of 1,280 features each, some 10 ms of work."""
STEPS_AN_EPOCH = 16
"""Fewest batches an epoch where items allow: small sets would else not be learned in time."""
SMALLEST_BATCH = 16
MANY_STEPS = 64
"""Steps an epoch from which on two and more are taken as one, with as many times the rate."""
LONGEST_STRIDE = 4
COLUMNS_AT_ONCE = 100
"""Classes of all heads that learn side by side; a wider product takes as long as several."""


@dataclass(frozen=True)
class Material:
    """What heads learn from: `features` float32 (n_items, n_features), `labels` int64 (n_items,).

    `weights` float32 (n_items, n_heads) hold 0 where a head does not learn from the item;
    `centre` and `spread` float32 (n_heads, n_features) are those of the items that it learns.
    """

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    centre: np.ndarray
    spread: np.ndarray

    def of_heads(self, places: Sequence[int]) -> Material:
        """Return the same items for some of the heads, with weights of their own."""
        own = self.weights[:, places], self.centre[places], self.spread[places]
        return Material(self.features, self.labels, *own)


class Cancelled(Exception):  # noqa: N818  (no error: somebody asked for it)
    """The caller's `should_stop` said yes."""


def steps_an_epoch(n_items: int, *, batch: int) -> int:
    """Return into how many batches so many items are cut.

    Examples
    --------
    >>> [steps_an_epoch(n, batch=256) for n in (10, 160, 4_000, 40_000)]
    [1, 10, 16, 157]
    """
    return max(-(-n_items // batch), min(STEPS_AN_EPOCH, n_items // SMALLEST_BATCH), 1)


def stride(n_items: int, *, batch: int) -> int:
    """Return how many steps are taken as one, so long: of many, each costs its share of calls.

    Examples
    --------
    >>> [stride(n, batch=256) for n in (160, 8_000, 40_000, 200_000)]
    [1, 1, 2, 4]
    """
    return min(max(steps_an_epoch(n_items, batch=batch) // MANY_STEPS, 1), LONGEST_STRIDE)


def heads_at_once(n_items: int, n_classes: int, *, protocol: Protocol) -> int:
    """Return how many heads learn side by side.

    Small sets are cut into small batches, of which each head would get an uneven part.

    Examples
    --------
    >>> [heads_at_once(50_000, n, protocol=Protocol()) for n in (2, 10, 77)]
    [50, 10, 1]
    >>> heads_at_once(500, 10, protocol=Protocol())
    1
    """
    is_small = n_items < STEPS_AN_EPOCH * protocol.batch
    return 1 if is_small or protocol.hidden else max(COLUMNS_AT_ONCE // n_classes, 1)


@lru_cache(maxsize=8)
def trainer_for(n_features: int, n_classes: int, hidden: int, n_heads: int) -> Trainer:
    """Return the trainer for this shape, built once a process."""
    return Trainer(n_features, n_classes, hidden, n_heads)


class Trainer:
    """The Keras layers of heads side by side, and their compiled step: tracing costs 0.5 s."""

    def __init__(self, n_features: int, n_classes: int, hidden: int, n_heads: int) -> None:
        tf = load_tensorflow()
        import keras

        widths = [n_features, hidden, n_classes] if hidden else [n_features, n_heads * n_classes]
        self._layers = [keras.layers.Dense(width) for width in widths[1:]]
        for layer, width in zip(self._layers, widths, strict=False):
            layer.build((None, width))
        self._variables = [one for layer in self._layers for one in layer.trainable_variables]
        self._adam = keras.optimizers.Adam()
        self._adam.build(self._variables)
        self._fresh = [variable.numpy() for variable in self._adam.variables]
        self._tf = tf
        self._n_heads = n_heads
        self._steps = tf.function(
            self._several_steps,
            jit_compile=False,
            autograph=False,  # it would read this file again, which an upgrade may have changed
            input_signature=[
                tf.TensorSpec((None, n_features), tf.float32),
                tf.TensorSpec((None,), tf.int64),
                tf.TensorSpec((None, n_heads), tf.float32),
                tf.TensorSpec((2, n_features, widths[1]), tf.float32),
                tf.TensorSpec((), tf.int32),
                tf.TensorSpec((n_heads,), tf.float32),
                tf.TensorSpec((), tf.float32),
                tf.TensorSpec((), tf.int32),
            ],
        ).get_concrete_function()

    def _several_steps(
        self,
        features: Any,
        labels: Any,
        weights: Any,
        standard: Any,
        size: Any,
        penalty: Any,
        dropout: Any,
        seed: Any,
    ) -> Any:
        """Take one step per `size` rows in one call: a call costs more than a step."""
        tf = self._tf

        def go_on(start: Any, loss: Any, right: Any) -> Any:
            batch = slice(start, start + size)
            parts = features[batch], labels[batch], weights[batch]
            more = self._one_step(*parts, standard, penalty, dropout, (seed, start))
            return start + size, loss + more[0], right + more[1]

        nothing = tf.zeros(self._n_heads)
        _, loss, right = tf.while_loop(
            lambda start, *_: start < tf.shape(features)[0],
            go_on,
            (tf.constant(0), nothing, nothing),
        )
        return loss, right

    def _one_step(
        self,
        rows: Any,
        answers: Any,
        weights: Any,
        standard: Any,
        penalty: Any,
        dropout: Any,
        seed: Any,
    ) -> Any:
        tf = self._tf
        values = [variable.value for variable in self._variables]
        is_learned = weights > 0
        answers = tf.repeat(answers[:, None], self._n_heads, axis=1)
        with tf.GradientTape() as tape:
            scores = self._forward(rows, values, standard, dropout, seed)
            # Whatever stands in a row that a head does not learn, its slope is 0 times a number.
            scores = tf.where(is_learned[:, :, None], scores, 0)
            surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(answers, scores)
            n = tf.maximum(tf.reduce_sum(tf.cast(is_learned, tf.float32), axis=0), 1)
            loss = tf.reduce_sum(surprise * weights, axis=0) / n
            squares = tf.add_n([self._squares(kernel) for kernel in values[::2]])
            total = tf.reduce_sum(loss + penalty / 2 * squares)
        slopes = tape.gradient(total, values)
        self._adam.apply(slopes, self._variables)
        is_right = (tf.argmax(scores, axis=2) == answers) & is_learned
        return loss, tf.reduce_sum(tf.cast(is_right, tf.float32), axis=0)

    def _forward(self, rows: Any, values: list[Any], standard: Any, dropout: Any, seed: Any) -> Any:
        """Return the scores, (n_rows, n_heads, n_classes); each head standardises in its weights.

        (rows - centre) / spread times a kernel is rows times kernel / spread, less a constant.
        """
        tf = self._tf
        (first, shift), rest = values[:2], values[2:]
        slope, centre = standard[0], standard[1]
        found = self._product(rows, first * slope) + shift - tf.reduce_sum(first * centre, axis=0)
        if rest:
            found = tf.nn.relu(found)
            is_kept = tf.random.stateless_uniform(tf.shape(found), seed) >= dropout
            found = tf.where(is_kept, found / (1 - dropout), 0)
            found = self._product(found, rest[0]) + rest[1]
        return tf.reshape(found, (tf.shape(rows)[0], self._n_heads, -1))

    def _product(self, rows: Any, kernel: Any) -> Any:
        # A layer's own product; turned, its gradient reads the rows in their order in memory and
        # takes a third of the time (bench/heads.py).
        return self._tf.matmul(rows, self._tf.transpose(kernel), transpose_b=True)

    def _squares(self, kernel: Any) -> Any:
        """Return the sum of the squared weights of each head."""
        by_head = self._tf.reshape(kernel, (kernel.shape[0], self._n_heads, -1))
        return self._tf.reduce_sum(self._tf.square(by_head), axis=(0, 2))

    def restart(self, rng: np.random.Generator) -> None:
        """Forget everything: zero weights, of hidden units random ones, and fresh optimiser."""
        for variable in self._variables:
            variable.assign(np.zeros(variable.shape, dtype=np.float32))
        for layer in self._layers[:-1]:  # He et al. 2015, arXiv:1502.01852
            drawn = rng.normal(0, np.sqrt(2 / layer.kernel.shape[0]), layer.kernel.shape)
            layer.kernel.assign(drawn.astype(np.float32))
        for variable, value in zip(self._adam.variables, self._fresh, strict=True):
            variable.assign(value)

    def pass_over(
        self,
        material: Material,
        *,
        protocol: Protocol,
        rng: np.random.Generator,
        should_stop: Callable[[], bool] | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Go once over the rows in random batches; return mean loss and accuracy of each head."""
        constant, n_features = self._tf.constant, material.features.shape[1]
        counts = np.count_nonzero(material.weights, axis=0)
        among = np.flatnonzero(material.weights.any(axis=1))
        n_items = round(counts.mean())
        longer = stride(n_items, batch=protocol.batch)
        self._adam.learning_rate = protocol.learning_rate * longer
        steps = steps_an_epoch(n_items, batch=protocol.batch * longer)
        size = len(among) // steps
        # Batches of one size; the few items that are left over differ from epoch to epoch.
        order = among[rng.permutation(len(among))[: steps * size]]
        most = min(len(order), max(ROWS_A_CALL // size, 1) * size)
        dealt = np.empty((most, n_features), np.float32)
        settings = (
            constant(self._standard(material)),
            constant(size),
            constant(protocol.l2 * n_features / counts, self._tf.float32),
            constant(protocol.dropout, self._tf.float32),
        )
        loss, right = np.zeros((2, self._n_heads))
        for start in range(0, len(order), most):
            if should_stop is not None and should_stop():
                raise Cancelled
            part = order[start : start + most]
            # Into one place in memory: fresh pages for all items would cost as much as the steps.
            rows = np.take(material.features, part, axis=0, out=dealt[: len(part)], mode="clip")
            arrays = (rows, material.labels[part], material.weights[part])
            seed = constant(int(rng.integers(2**31)) if len(self._layers) > 1 else 0)
            more = self._steps(*(constant(array) for array in arrays), *settings, seed)
            loss += more[0].numpy()
            right += more[1].numpy()
        met = np.count_nonzero(material.weights[order], axis=0)
        return loss / steps, right / np.maximum(met, 1)

    def _standard(self, material: Material) -> np.ndarray:
        """Return what each weight of the first layer is multiplied by, and what it is to lose."""
        slope = 1 / material.spread.T
        width = self._layers[0].kernel.shape[1] // self._n_heads
        return np.repeat(np.stack([slope, material.centre.T * slope]), width, axis=2)

    def layers(self) -> Sequence[Layers]:
        """Return the kernel and the bias of each layer of each head as they stand."""
        arrays = [(layer.kernel.numpy(), layer.bias.numpy()) for layer in self._layers]
        if self._n_heads == 1:
            return [tuple(arrays)]
        (kernel, bias), n_heads = arrays[0], self._n_heads
        pairs = zip(np.split(kernel, n_heads, axis=1), np.split(bias, n_heads), strict=True)
        return [((own.copy(), shift.copy()),) for own, shift in pairs]
