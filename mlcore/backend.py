"""Load TensorFlow and Keras quietly and repeatably: the one place that imports them."""

from __future__ import annotations

import os
from functools import lru_cache
from types import ModuleType


@lru_cache(maxsize=1)
def load_tensorflow() -> ModuleType:
    """Import TensorFlow and Keras with deterministic operations and without start-up noise.

    Returns
    -------
    module
        `tensorflow`; Keras is imported with it. Takes about 10 CPU-seconds the first time.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: F401  (imported here, so that it comes up on this backend)
    import tensorflow

    tensorflow.config.experimental.enable_op_determinism()
    return tensorflow
