"""Picture features of ImageNet MobileNetV2-0.35, run by LiteRT in batches."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.backend import load_tensorflow

SIDES = (96, 128, 160, 224)
"""Sides in pixels that the network takes pictures at; it was trained on 224, but is made of
convolutions, so others serve."""
MOST_ENLARGED = 4
"""Times that pictures are enlarged at most. Enlarged further they look unlike anything the
network learned from, and cost more (docs/training.md has accuracy and CPU-ms by side)."""
DIMENSIONS = 1280
CUT = "block_15_add"
"""Layer above which fine-tuning trains: the last of 16 blocks, and the convolution after it."""
MAP_CHANNELS, STRIDE = 56, 32
"""Of the map at the cut: numbers a place, and pixels from one place to the next."""
NETWORK_BATCH = 8
"""Pictures a call. CPU-ms a picture: LiteRT in batches of 8 3.2, 16 3.2, `tf.function` in
batches of 32 13.3, frozen 6.5; a batch of 8 takes 150 MB less than one of 16."""
THREADS = 1


def side_for(native: float | None) -> int:
    """Return the side to look at pictures of this native side at (pixels); 224 where unknown.

    Examples
    --------
    >>> side_for(32), side_for(400)
    (128, 224)
    """
    if native is None:
        return SIDES[-1]
    return next((side for side in SIDES if side >= MOST_ENLARGED * native), SIDES[-1])


def map_dimensions(side: int) -> int:
    """Return how many numbers the map below the last block has, for pictures of this side.

    Examples
    --------
    >>> map_dimensions(224), side_of(2744)
    (2744, 224)
    """
    return (side // STRIDE) ** 2 * MAP_CHANNELS


def side_of(dimensions: int) -> int:
    """Return the side in pixels of the pictures whose maps have so many numbers."""
    return math.isqrt(dimensions // MAP_CHANNELS) * STRIDE


def describe_squares(
    squares: Sequence[np.ndarray], *, weights: Path, as_maps: bool = False
) -> np.ndarray:
    """Return what the network sees in pictures.

    Parameters
    ----------
    squares : sequence of uint8 ndarray of shape (side, side, 3)
        All of one side of `SIDES`.
    weights : Path
        Keras weight file of MobileNetV2, alpha 0.35, without top.
    as_maps : bool
        Whether to stop below the last block, which fine-tuning begins at (`mlcore.tuning`).

    Returns
    -------
    float32 ndarray of shape (n_pictures, 1280)
        Averages over the last feature map, 0 to 6; with `as_maps` (n_pictures, map_dimensions).
        A picture's row is the same whatever others are in its batch.
    """
    if not len(squares):
        return np.zeros((0, DIMENSIONS), dtype=np.float32)
    side = len(squares[0])
    interpreter, entry, answer = _interpreter(weights, side, as_maps)
    width = map_dimensions(side) if as_maps else DIMENSIONS
    rows = np.zeros((len(squares), width), dtype=np.float32)
    pixels = np.zeros((NETWORK_BATCH, side, side, 3), dtype=np.float32)
    for start in range(0, len(squares), NETWORK_BATCH):
        part = squares[start : start + NETWORK_BATCH]
        pixels[: len(part)] = np.stack(part)
        pixels[: len(part)] /= 127.5
        pixels[: len(part)] -= 1.0  # the range that keras.applications trained this network on
        interpreter.set_tensor(entry, pixels)
        interpreter.invoke()
        rows[start : start + len(part)] = interpreter.get_tensor(answer)[: len(part)].reshape(
            len(part), width
        )
    return rows


def layers_above(side: int, *, weights: Path | None = None) -> Any:
    """Return the last block and convolution with their average, trained where a file is given."""
    import keras

    whole = _network(side, weights)
    return keras.Model(whole.get_layer(CUT).output, whole.output, name="top_layers")


def _network(side: int, weights: Path | None) -> Any:
    load_tensorflow()
    import keras

    return keras.applications.MobileNetV2(
        alpha=0.35,
        include_top=False,
        weights=None if weights is None else str(weights),
        input_shape=(side, side, 3),
        pooling="avg",
    )


@lru_cache(maxsize=2)
def _interpreter(weights: Path, side: int, as_maps: bool) -> tuple[Any, int, int]:
    """Convert the Keras network once a process: 4 CPU-seconds, saves 10 ms a picture."""
    interpreter = lite_interpreter(model_content=_converted(weights, side, as_maps))
    entry = interpreter.get_input_details()[0]["index"]
    answer = interpreter.get_output_details()[0]["index"]
    return interpreter, entry, answer


def lite_interpreter(**source: Any) -> Any:
    """Return a LiteRT interpreter with its tensors allocated."""
    tf = load_tensorflow()
    with warnings.catch_warnings():
        # TensorFlow 2.21 still ships the interpreter and says that it will move.
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        interpreter = tf.lite.Interpreter(num_threads=THREADS, **source)
    interpreter.allocate_tensors()
    return interpreter


def _converted(weights: Path, side: int, as_maps: bool) -> bytes:
    tf = load_tensorflow()
    import keras
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    network = _network(side, weights)
    if as_maps:
        network = keras.Model(network.input, network.get_layer(CUT).output)
    entry = tf.TensorSpec((NETWORK_BATCH, side, side, 3), tf.float32)
    traced = tf.function(
        lambda pixels: network(pixels, training=False), input_signature=[entry], autograph=False
    )
    # With constants instead of variables the converter can fold batch normalisation away:
    # 3 instead of 12 CPU-seconds to convert, and 10 times as fast to run.
    frozen = convert_variables_to_constants_v2(traced.get_concrete_function())
    converted = tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
    keras.backend.clear_session()
    return bytes(converted)
