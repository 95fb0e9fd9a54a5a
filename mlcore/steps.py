"""Take the steps of training one softmax layer, fast, repeatably and cancellably."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from mlcore.backend import load_tensorflow
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
def trainer_for(n_features: int, n_classes: int) -> Trainer:
    """Return the trainer for this shape, built once a process."""
    return Trainer(n_features, n_classes)


class Trainer:
    """One Keras layer and its compiled step, reused by all folds: tracing costs 0.5 s."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        tf = load_tensorflow()
        import keras

        self._layer = keras.layers.Dense(
            n_classes, kernel_initializer="zeros", bias_initializer="zeros"
        )
        self._layer.build((None, n_features))
        self._adam = keras.optimizers.Adam()
        self._adam.build(self._layer.trainable_variables)
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
            ],
        ).get_concrete_function()

    def _several_steps(
        self, features: Any, labels: Any, weights: Any, size: Any, penalty: Any
    ) -> Any:
        """Take one step per `size` rows in one call: a call costs more than a step."""
        tf = self._tf

        def go_on(start: Any, loss: Any, right: Any) -> Any:
            batch = slice(start, start + size)
            parts = features[batch], labels[batch], weights[batch]
            more_loss, more_right = self._one_step(*parts, penalty)
            return start + size, loss + more_loss, right + more_right

        _, loss, right = tf.while_loop(
            lambda start, *_: start < tf.shape(features)[0],
            go_on,
            (tf.constant(0), tf.constant(0.0), tf.constant(0.0)),
        )
        return loss, right

    def _one_step(self, rows: Any, answers: Any, weights: Any, penalty: Any) -> Any:
        tf = self._tf
        kernel, bias = (variable.value for variable in self._layer.trainable_variables)
        with tf.GradientTape() as tape:
            # The layer's own product; turned, its gradient reads the rows in their order in
            # memory and takes a third of the time (bench/heads.py).
            scores = tf.matmul(rows, tf.transpose(kernel), transpose_b=True) + bias
            surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(answers, scores)
            loss = tf.reduce_mean(surprise * weights)
            total = loss + penalty / 2 * tf.reduce_sum(tf.square(kernel))
        slopes = tape.gradient(total, [kernel, bias])
        self._adam.apply(slopes, self._layer.trainable_variables)
        right = tf.reduce_sum(tf.cast(tf.argmax(scores, axis=1) == answers, tf.float32))
        return loss, right

    def restart(self) -> None:
        """Forget everything: zero weights, fresh optimiser."""
        for variable in self._layer.trainable_variables:
            variable.assign(np.zeros(variable.shape, dtype=np.float32))
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
        loss = right = 0.0
        for start in range(0, len(order), most):
            if should_stop is not None and should_stop():
                raise Cancelled
            part = order[start : start + most]
            # Into one place in memory: fresh pages for all items would cost as much as the steps.
            rows = np.take(features, part, axis=0, out=dealt[: len(part)], mode="clip")
            arrays = (constant(array) for array in (rows, labels[part], weights[part]))
            more_loss, more_right = self._steps(*arrays, constant(size), penalty)
            loss += float(more_loss)
            right += float(more_right)
        return loss / steps, right / (steps * size)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel (n_features, n_classes) and bias (n_classes,) as they stand."""
        return self._layer.kernel.numpy(), self._layer.bias.numpy()
