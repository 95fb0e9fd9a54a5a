"""Take the steps of training one softmax layer, fast, repeatably and cancellably."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from mlcore.backend import load_tensorflow

STEPS_BETWEEN_POLLS = 16
"""Batches between two looks at `should_stop`; 16 of 256 x 1280 take about 30 ms."""
STEPS_AN_EPOCH = 16
"""Fewest batches an epoch where items allow: small sets would else not be learned in time."""
SMALLEST_BATCH = 16


class Cancelled(Exception):  # noqa: N818  (no error: somebody asked for it)
    """The caller's `should_stop` said yes."""


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
                tf.TensorSpec((None, None), tf.int64),
                tf.TensorSpec((), tf.float32),
            ],
        )

    def _several_steps(
        self, features: Any, labels: Any, weights: Any, batches: Any, penalty: Any
    ) -> Any:
        """Take one step per row of `batches` in one call: a call costs more than a step."""
        tf = self._tf

        def go_on(number: Any, loss: Any, right: Any) -> Any:
            batch = batches[number]
            more_loss, more_right = self._one_step(features, labels, weights, batch, penalty)
            return number + 1, loss + more_loss, right + more_right

        _, loss, right = tf.while_loop(
            lambda number, *_: number < tf.shape(batches)[0],
            go_on,
            (tf.constant(0), tf.constant(0.0), tf.constant(0.0)),
        )
        return loss, right

    def _one_step(self, features: Any, labels: Any, weights: Any, batch: Any, penalty: Any) -> Any:
        tf = self._tf
        rows, answers = tf.gather(features, batch), tf.gather(labels, batch)
        with tf.GradientTape() as tape:
            scores = self._layer(rows)
            surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(answers, scores)
            loss = tf.reduce_mean(surprise * tf.gather(weights, batch))
            total = loss + penalty / 2 * tf.reduce_sum(tf.square(self._layer.kernel.value))
        slopes = tape.gradient(total, [v.value for v in self._layer.trainable_variables])
        self._adam.apply(slopes, self._layer.trainable_variables)
        right = tf.reduce_sum(tf.cast(tf.argmax(scores, axis=1) == answers, tf.float32))
        return loss, right

    def restart(self, *, learning_rate: float) -> None:
        """Forget everything: zero weights, fresh optimiser."""
        for variable in self._layer.trainable_variables:
            variable.assign(np.zeros(variable.shape, dtype=np.float32))
        for variable, value in zip(self._adam.variables, self._fresh, strict=True):
            variable.assign(value)
        self._adam.learning_rate = learning_rate

    def pass_over(
        self,
        material: tuple[np.ndarray, np.ndarray, np.ndarray],
        *,
        batch: int,
        l2: float,
        rng: np.random.Generator,
        should_stop: Callable[[], bool] | None,
    ) -> tuple[float, float]:
        """Go once over all items in random batches; return mean loss and accuracy."""
        features, labels, weights = (self._tf.constant(array) for array in material)
        n_items, n_features = material[0].shape
        penalty = self._tf.constant(l2 * n_features / n_items, self._tf.float32)
        steps = max(-(-n_items // batch), min(STEPS_AN_EPOCH, n_items // SMALLEST_BATCH))
        steps = max(steps, 1)
        size = n_items // steps
        # Batches of one size; the few items that are left over differ from epoch to epoch.
        batches = rng.permutation(n_items)[: steps * size].reshape(steps, size)
        loss = right = 0.0
        for start in range(0, steps, STEPS_BETWEEN_POLLS):
            if should_stop is not None and should_stop():
                raise Cancelled
            part = batches[start : start + STEPS_BETWEEN_POLLS]
            more_loss, more_right = self._steps(features, labels, weights, part, penalty)
            loss += float(more_loss)
            right += float(more_right)
        return loss / steps, right / (steps * size)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel (n_features, n_classes) and bias (n_classes,) as they stand."""
        return self._layer.kernel.numpy(), self._layer.bias.numpy()
