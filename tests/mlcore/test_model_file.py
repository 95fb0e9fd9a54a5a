"""A head in a Keras file predicts what it predicted here."""

from itertools import pairwise

import numpy as np
import pytest

from mlcore.calibration import Calibration
from mlcore.head import Head
from mlcore.model_file import save_keras


@pytest.mark.parametrize("hidden", [0, 6])
def test_a_keras_file_loads_and_predicts_what_the_head_predicts(tmp_path, hidden):
    rng = np.random.default_rng(7)
    spread = rng.uniform(1e-4, 30, 40).astype(np.float32)
    spread[0] = 1  # a constant feature is not enlarged
    centre = rng.normal(0, 5, 40).astype(np.float32)
    widths = [40, hidden, 3] if hidden else [40, 3]
    layers = tuple(
        (
            rng.normal(0, 0.5, (n_in, n_out)).astype(np.float32),
            rng.normal(0, 1, n_out).astype(np.float32),
        )
        for n_in, n_out in pairwise(widths)
    )
    calibration = Calibration(temperature=0.7, doubt=0.2)
    head = Head(layers, centre, spread, epochs=4, calibration=calibration)
    save_keras(head, tmp_path / "model.keras")
    import keras

    features = (centre + rng.normal(0, 1, (50, 40)) * spread).astype(np.float32)
    found = keras.models.load_model(tmp_path / "model.keras").predict(features, verbose=0)
    assert np.abs(found - head.predict(features)).max() < 1e-5
