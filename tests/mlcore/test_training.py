"""The head learns, repeats itself exactly, and stops when asked."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from mlcore.fitting import MOST_ASKED_EARLY, fit_frozen
from mlcore.head import Head
from mlcore.protocols import Protocol
from mlcore.training import Cancelled, cross_validate, fit_final

QUICK = Protocol(epochs=20, learning_rate=0.01)


def blobs(n_items=120, n_classes=3, *, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n_items) % n_classes
    centres = rng.normal(0, 2, size=(n_classes, 12))
    return (centres[labels] + rng.normal(0, 1, size=(n_items, 12))).astype(np.float32), labels


def validated(features, labels, groups=None, **more):
    groups = np.arange(len(labels)) if groups is None else groups
    more = {"n_classes": int(labels.max()) + 1, "protocol": QUICK} | more
    return cross_validate(features, labels, groups, **more)


def test_every_item_is_predicted_out_of_sample_and_well():
    features, labels = blobs()
    found = validated(features, labels)
    assert found.probabilities.shape == (120, 3)
    assert found.probabilities.dtype == np.float32
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(120), abs=1e-5)
    assert (found.probabilities.argmax(axis=1) == labels).mean() > 0.9


def test_heads_that_learn_side_by_side_see_nothing_of_what_another_learns():
    features, labels = blobs(150)
    third = np.arange(150) // 3 % 3
    parts = [np.flatnonzero(third != place) for place in range(3)]

    def fitted(features, labels):
        more = {"copies": None, "fold": 0, "on_epoch": None, "should_stop": None}
        more |= {"parts": parts, "n_classes": 3, "protocol": QUICK}
        return fit_frozen(features, labels, np.arange(150), **more)

    absurd = np.where(third[:, None] == 0, np.float32(-1e7), features)
    turned = np.where(third == 0, (labels + 1) % 3, labels)
    usual, changed = fitted(features, labels), fitted(absurd, turned)
    is_same = [
        np.array_equal(one.scores(features), other.scores(features))
        and one.calibration == other.calibration
        for one, other in zip(usual, changed, strict=True)
    ]
    assert is_same == [True, False, False]
    for head, part in zip(usual, parts, strict=True):
        unseen = np.setdiff1d(np.arange(150), part)
        assert (head.predict(features[unseen]).argmax(axis=1) == labels[unseen]).mean() > 0.85


def test_folds_of_a_large_set_learn_side_by_side():
    features, labels = blobs(6000)
    epochs, folds = [], []
    found = validated(features, labels, on_epoch=epochs.append, on_fold=folds.append)
    assert [report.fold for report in epochs[:6]] == [0, 1, 2, 3, 4, 0]
    for report in folds:
        assert np.array_equal(found.probabilities[report.items], report.probabilities)
        last = max(one.epoch for one in epochs if one.fold == report.fold)
        assert report.epochs <= last + 1
    asked = np.concatenate([report.items for report in folds])
    assert np.array_equal(np.sort(asked), np.arange(6000))
    assert (found.probabilities.argmax(axis=1) == labels).mean() > 0.9


@pytest.mark.parametrize("n_items", [120, 6000])
def test_what_heads_say_while_they_learn_is_of_unseen_items_and_changes_nothing(n_items):
    features, labels = blobs(n_items)
    heard, was_done = [], []
    more = {"on_early": lambda report: heard.append((report, bool(was_done)))}
    found = validated(features, labels, on_fold=was_done.append, **more)
    usual = validated(features, labels)
    assert np.array_equal(found.probabilities, usual.probabilities)
    assert np.array_equal(found.uncalibrated, usual.uncalibrated)
    assert found.curves == usual.curves
    assert not any(after for _report, after in heard), "whole folds have the word then"
    reports = [report for report, _after in heard]
    assert [report.epoch for report in reports] == list(range(len(reports)))
    first, last = reports[0], reports[-1]
    at_it = set(found.folds[first.items])
    assert at_it == (set(range(5)) if n_items == 6000 else {0})
    n_unseen = np.isin(found.folds, list(at_it)).sum()
    assert len(np.unique(first.items)) == len(first.items) == min(n_unseen, MOST_ASKED_EARLY)
    assert all(np.isin(report.items, first.items).all() for report in reports)
    assert first.probabilities.sum(axis=1) == pytest.approx(np.ones(len(first.items)), abs=1e-5)
    assert (last.probabilities.argmax(axis=1) == labels[last.items]).mean() > 0.9


def test_no_head_learns_what_it_is_asked_about_while_it_learns():
    features, _labels = blobs(120)
    rng = np.random.default_rng(1)
    told = []
    drawn = rng.integers(0, 3, 120)  # no label tells another: who knows one has learned it
    validated(features, drawn, on_early=told.append)
    right = [(one.probabilities.argmax(axis=1) == drawn[one.items]).mean() for one in told]
    assert max(right) < 0.8


def test_features_far_from_zero_are_learned_as_well_as_those_around_it():
    features, labels = blobs(300)
    far = features + np.float32(500)
    far[:, 0] = 12345.678  # constant, and no number of float32
    found = [validated(one, labels).probabilities.argmax(axis=1) for one in (features, far)]
    assert [(one == labels).mean() > 0.9 for one in found] == [True, True]


def test_labels_drawn_at_random_are_not_predicted():
    features, labels = blobs(300)
    shuffled = np.random.default_rng(1).permutation(labels)
    found = validated(features, shuffled)
    assert (found.probabilities.argmax(axis=1) == shuffled).mean() < 0.45


def test_copies_in_one_group_give_nothing_away():
    rng = np.random.default_rng(2)
    features = np.repeat(rng.normal(size=(60, 40)), 4, axis=0).astype(np.float32)
    labels = np.repeat(rng.integers(0, 2, size=60), 4)
    longer = Protocol(epochs=60, learning_rate=0.02, l2=0.0)
    leaking = validated(features, labels, protocol=longer)
    grouped = validated(features, labels, np.arange(240) // 4, protocol=longer)
    assert (leaking.probabilities.argmax(axis=1) == labels).mean() > 0.85
    assert (grouped.probabilities.argmax(axis=1) == labels).mean() < 0.7


def test_the_same_input_gives_the_same_probabilities_bit_for_bit():
    features, labels = blobs()
    first = validated(features, labels)
    validated(*blobs(seed=5))  # another training in between must leave no trace
    second = validated(features, labels)
    assert np.array_equal(first.probabilities, second.probabilities)
    assert first.curves == second.curves
    other = validated(features, labels, protocol=replace(QUICK, seed=1))
    assert not np.array_equal(first.probabilities, other.probabilities)


def test_fold_reports_fill_the_whole_matrix_while_training_goes_on():
    features, labels = blobs()
    folds, epochs = [], []
    found = validated(features, labels, on_fold=folds.append, on_epoch=epochs.append)
    assert sorted(np.concatenate([report.items for report in folds]).tolist()) == list(range(120))
    for report in folds:
        assert np.array_equal(found.probabilities[report.items], report.probabilities)
    assert tuple(epochs) == found.curves
    assert {report.fold for report in epochs} == set(range(5))
    assert all(report.val_loss is not None for report in epochs)


def test_each_epoch_is_measured_by_what_success_means_where_that_is_said():
    features, labels = blobs()

    def right(given, probabilities):
        return float((probabilities.argmax(axis=1) == given).mean())

    found = validated(features, labels, success_of=right)
    assert [report.val_success for report in found.curves] == [
        report.val_accuracy for report in found.curves
    ]
    assert all(report.val_success is None for report in validated(features, labels).curves)


def test_cancelling_ends_training_at_once():
    features, labels = blobs()
    asked = []

    def stop_at_third_look():
        asked.append(1)
        return len(asked) >= 3

    with pytest.raises(Cancelled):
        validated(features, labels, should_stop=stop_at_third_look)
    assert len(asked) == 3


@pytest.mark.parametrize("hidden", [0, 8])
def test_a_head_predicts_the_same_after_saving(tmp_path, hidden):
    features, labels = blobs()
    groups = np.arange(120)
    protocol = replace(QUICK, hidden=hidden, dropout=0.3)
    head = fit_final(features, labels, groups, n_classes=3, protocol=protocol)
    again = fit_final(features, labels, groups, n_classes=3, protocol=protocol)
    head.save(tmp_path / "head.npz")
    loaded = Head.load(tmp_path / "head.npz")
    assert len(loaded.layers) == (2 if hidden else 1)
    assert np.array_equal(head.predict(features), loaded.predict(features))
    assert np.array_equal(head.predict(features), again.predict(features))


def test_hidden_units_learn_what_no_straight_line_divides():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(400, 2)).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] > 0).astype(np.int64)
    longer = replace(QUICK, epochs=60, n_folds=2)
    found = [validated(features, labels, protocol=replace(longer, hidden=n)) for n in (0, 16)]
    right = [(one.probabilities.argmax(axis=1) == labels).mean() for one in found]
    assert right[0] < 0.65 < 0.85 < right[1]


def test_a_rare_class_is_still_predicted():
    features, labels = blobs(330, 3)
    kept = (labels != 2) | (np.cumsum(labels == 2) <= 3)
    found = validated(features[kept], labels[kept])
    rare = labels[kept] == 2
    assert (found.probabilities.argmax(axis=1)[rare] == 2).sum() >= 2


def test_a_class_that_training_folds_miss_does_no_harm():
    features, labels = blobs(60)
    labels = np.where(np.arange(60) == 7, 3, labels)
    found = validated(features, labels, n_classes=5)
    assert np.isfinite(found.probabilities).all()
    assert found.probabilities[7, 3] < 0.5


def test_a_handful_of_items_and_constant_features_are_enough():
    features = np.array([[0, 1], [0, 1], [1, 1], [1, 1]], dtype=np.float32)
    found = validated(features, np.array([0, 0, 1, 1]))
    assert found.folds.max() == 3
    assert np.isfinite(found.probabilities).all()


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        (np.ones((4, 2)), [1, 1, 1, 1], "same label"),
        (np.array([[0, 1], [np.nan, 1]]), [0, 1], "first item 1"),
        (np.ones((3, 2)), [0, 1], "do not belong together"),
        (np.ones((2, 2)), [0, 9], "between 0 and 1"),
        (np.ones((0, 2)), [], "no labelled items"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_words(features, labels, words):
    with pytest.raises(ValueError, match=words):
        cross_validate(
            features, np.array(labels), np.arange(len(labels)), n_classes=2, protocol=QUICK
        )


def test_a_protocol_goes_through_json():
    protocol = Protocol(backbone="text-ngrams-v1", seed=3)
    assert Protocol(**json.loads(json.dumps(asdict(protocol)))) == protocol


def test_a_head_learns_the_copies_of_what_it_learns_and_of_nothing_else():
    features, labels = blobs(40, 2)
    rng = np.random.default_rng(3)
    copies = (features + rng.normal(0, 0.1, features.shape)).astype(np.float32)
    twice = fit_final(features, labels, np.arange(40), n_classes=2, protocol=QUICK, copies=copies)
    once = fit_final(features, labels, np.arange(40), n_classes=2, protocol=QUICK)
    assert not np.array_equal(twice.predict(features), once.predict(features))
    told = []
    found = validated(features, labels, copies=copies, on_fold=told.append)
    asked = np.concatenate([fold.items for fold in told])
    assert np.array_equal(np.sort(asked), np.arange(40))
    # Copies of the first fold's unseen items may be anything: its head never meets them.
    absurd = copies.copy()
    absurd[told[0].items] = 1e6
    again = validated(features, labels, copies=absurd)
    unseen = told[0].items
    assert np.array_equal(found.probabilities[unseen], again.probabilities[unseen])
