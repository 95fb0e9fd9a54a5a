"""Top layers start where the frozen network stands, learn, and leave as they are."""

import numpy as np
import pytest

from mlcore.backend import load_tensorflow
from mlcore.calibration import Calibration
from mlcore.features.network import layers_above, map_dimensions
from mlcore.model_file import save_keras
from mlcore.protocols import HOLD_OUT, Protocol
from mlcore.search import TUNED, search_head
from mlcore.training import Cancelled, cross_validate, fit_final
from mlcore.tuning import EPOCHS, Maps, TunedHead

SIDE = 32  # one place a map: all layers, little work
PROTOCOL = Protocol(scheme=HOLD_OUT, tuning=120, epochs=20, learning_rate=0.02)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Maps of nothing in particular, below the last block of a network of that shape."""
    load_tensorflow()
    import keras

    keras.utils.set_random_seed(8)
    weights = tmp_path_factory.mktemp("weights") / "network.weights.h5"
    keras.applications.MobileNetV2(
        alpha=0.35, include_top=False, weights=None, input_shape=(SIDE, SIDE, 3), pooling="avg"
    ).save_weights(weights)
    rng = np.random.default_rng(3)
    return Maps(rng.normal(size=(90, map_dimensions(SIDE))).astype(np.float32), weights)


@pytest.fixture(scope="module")
def vectors(maps):
    """What the frozen layers make of them."""
    above = layers_above(SIDE, weights=maps.weights)
    return np.asarray(above(maps.rows.reshape(-1, 1, 1, map_dimensions(SIDE))))


def test_tuning_starts_from_the_frozen_head(maps, vectors):
    labels = np.arange(90) % 3
    head = fit_final(vectors, labels, np.arange(90), n_classes=3, protocol=PROTOCOL)
    tuner = maps.tuner(3)
    tuner.restart(maps.trained, head)
    assert np.abs(tuner.scores(maps.rows) - head.scores(vectors)).max() < 1e-3


def test_a_tuned_head_learns_is_kept_in_a_file_and_leaves_as_a_keras_model(maps, vectors, tmp_path):
    labels = (maps.rows[:, 0] > 0).astype(np.int64) + (maps.rows[:, 1] > 0)
    tuned = Protocol(**{**vars(PROTOCOL), **TUNED})
    told = fit_final(vectors, labels, np.arange(90), n_classes=3, protocol=tuned, maps=maps)
    assert (told.scores(maps.rows).argmax(axis=1) == labels).mean() > 0.9
    told = TunedHead(told.weights, told.side, told.epochs, Calibration(0.7, 0.2))
    told.save(tmp_path / "head.npz")
    expected = told.predict(maps.rows)
    assert np.array_equal(TunedHead.load(tmp_path / "head.npz").predict(maps.rows), expected)
    save_keras(told, tmp_path / "model.keras")
    import keras

    found = keras.models.load_model(tmp_path / "model.keras").predict(maps.rows, verbose=0)
    assert np.abs(found - expected).max() < 1e-5


def test_tuning_is_tried_beside_the_heads(maps, vectors):
    labels = (maps.rows[:, 0] > 0).astype(np.int64)
    found = search_head(
        vectors, labels, np.arange(90), n_classes=2, protocol=PROTOCOL, maps=maps
    )  # fmt: skip
    assert [one.changes for one in found.tried] == [{}, TUNED]
    assert found.tried[1].surprise is not None
    assert found.protocol.tuned is (found.kept == 1)


def test_a_run_may_tune_some_folds_and_ends_when_asked_to(maps, vectors):
    labels = np.arange(90) % 2
    epochs = []
    two = Protocol(n_folds=2, epochs=2)
    learned = (vectors, labels, np.arange(90))
    changes = ({"tuned": False}, {"tuned": True})
    found = cross_validate(
        *learned, n_classes=2, protocol=two, maps=maps, changes=changes,
        on_epoch=lambda report: epochs.append((report.fold, report.val_loss is not None)),
    )  # fmt: skip
    assert np.allclose(found.probabilities.sum(axis=1), 1, atol=1e-4)
    assert epochs.count((1, True)) == EPOCHS
    with pytest.raises(Cancelled):
        cross_validate(
            *learned, n_classes=2, protocol=two, maps=maps, changes=changes,
            should_stop=lambda: len(epochs) > EPOCHS,
        )  # fmt: skip
