"""Take the steps of training a softmax head, fast, repeatably and cancellably."""

from __future__ import annotations

from collections.abc import Callable
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


Material = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Features float32 (n_items, n_features), labels int64 and weights float32 (n_items,)."""


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


@lru_cache(maxsize=4)
def trainer_for(n_features: int, n_classes: int, hidden: int) -> Trainer:
    """Return the trainer for this shape, built once a process."""
    return Trainer(n_features, n_classes, hidden)


class Trainer:
    """One or two Keras layers and their compiled step, reused by all folds: tracing costs 0.5 s."""

    def __init__(self, n_features: int, n_classes: int, hidden: int) -> None:
        tf = load_tensorflow()
        import keras

        widths = [n_features, hidden, n_classes] if hidden else [n_features, n_classes]
        self._layers = [keras.layers.Dense(width) for width in widths[1:]]
        for layer, width in zip(self._layers, widths, strict=False):
            layer.build((None, width))
        self._variables = [one for layer in self._layers for one in layer.trainable_variables]
        self._adam = keras.optimizers.Adam()
        self._adam.build(self._variables)
        self._fresh = [variable.numpy() for variable in self._adam.variables]
        self._tf = tf
        self._steps = tf.function(
            self._several_steps,
            jit_compile=False,
            autograph=False,  # it would read this file again, which an upgrade may have changed
            input_signature=[
                tf.TensorSpec((None, n_features), tf.float32),
                tf.TensorSpec((None,), tf.int64),
                tf.TensorSpec((None,), tf.float32),
                tf.TensorSpec((), tf.int32),
                tf.TensorSpec((), tf.float32),
                tf.TensorSpec((), tf.float32),
                tf.TensorSpec((), tf.int32),
            ],
        ).get_concrete_function()

    def _several_steps(
        self,
        features: Any,
        labels: Any,
        weights: Any,
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
            more_loss, more_right = self._one_step(*parts, penalty, dropout, (seed, start))
            return start + size, loss + more_loss, right + more_right

        _, loss, right = tf.while_loop(
            lambda start, *_: start < tf.shape(features)[0],
            go_on,
            (tf.constant(0), tf.constant(0.0), tf.constant(0.0)),
        )
        return loss, right

    def _one_step(
        self, rows: Any, answers: Any, weights: Any, penalty: Any, dropout: Any, seed: Any
    ) -> Any:
        tf = self._tf
        values = [variable.value for variable in self._variables]
        with tf.GradientTape() as tape:
            scores = self._forward(rows, values, dropout, seed)
            surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(answers, scores)
            loss = tf.reduce_mean(surprise * weights)
            squares = tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in values[::2]])
            total = loss + penalty / 2 * squares
        slopes = tape.gradient(total, values)
        self._adam.apply(slopes, self._variables)
        right = tf.reduce_sum(tf.cast(tf.argmax(scores, axis=1) == answers, tf.float32))
        return loss, right

    def _forward(self, rows: Any, values: list[Any], dropout: Any, seed: Any) -> Any:
        tf = self._tf
        *hidden, kernel, bias = values
        if hidden:
            rows = tf.nn.relu(self._product(rows, hidden[0]) + hidden[1])
            is_kept = tf.random.stateless_uniform(tf.shape(rows), seed) >= dropout
            rows = tf.where(is_kept, rows / (1 - dropout), 0)
        return self._product(rows, kernel) + bias

    def _product(self, rows: Any, kernel: Any) -> Any:
        # A layer's own product; turned, its gradient reads the rows in their order in memory and
        # takes a third of the time (bench/heads.py).
        return self._tf.matmul(rows, self._tf.transpose(kernel), transpose_b=True)

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
        among: np.ndarray,
        protocol: Protocol,
        rng: np.random.Generator,
        should_stop: Callable[[], bool] | None,
    ) -> tuple[float, float]:
        """Go once over the rows `among` in random batches; return mean loss and accuracy."""
        features, labels, weights = material
        n_items, n_features = len(among), features.shape[1]
        constant = self._tf.constant
        penalty = constant(protocol.l2 * n_features / n_items, self._tf.float32)
        longer = stride(n_items, batch=protocol.batch)
        self._adam.learning_rate = protocol.learning_rate * longer
        steps = steps_an_epoch(n_items, batch=protocol.batch * longer)
        size = n_items // steps
        # Batches of one size; the few items that are left over differ from epoch to epoch.
        order = among[rng.permutation(n_items)[: steps * size]]
        most = min(len(order), max(ROWS_A_CALL // size, 1) * size)
        dealt = np.empty((most, n_features), np.float32)
        dropout = constant(protocol.dropout, self._tf.float32)
        has_hidden = len(self._layers) > 1
        loss = right = 0.0
        for start in range(0, len(order), most):
            if should_stop is not None and should_stop():
                raise Cancelled
            part = order[start : start + most]
            # Into one place in memory: fresh pages for all items would cost as much as the steps.
            rows = np.take(features, part, axis=0, out=dealt[: len(part)], mode="clip")
            arrays = (constant(array) for array in (rows, labels[part], weights[part]))
            seed = constant(int(rng.integers(2**31)) if has_hidden else 0)
            more_loss, more_right = self._steps(*arrays, constant(size), penalty, dropout, seed)
            loss += float(more_loss)
            right += float(more_right)
        return loss / steps, right / (steps * size)

    def layers(self) -> Layers:
        """Return the kernel and the bias of each layer as they stand."""
        return tuple((layer.kernel.numpy(), layer.bias.numpy()) for layer in self._layers)
