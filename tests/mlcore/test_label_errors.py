"""Wrong labels are found; a confused model alone marks next to nothing."""

import csv
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from mlcore.beliefs import Given
from mlcore.label_errors import find_label_errors
from mlcore.neighbours import NeighbourGraph, nearest

SHARED = Path(
    os.environ.get("WINNOW_SHARED", Path(__file__).resolve().parents[2].parent / "shared")
)


def blobs(
    n_items: int, n_classes: int, *, distance: float, noise: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian classes, the Bayes-optimal model's probabilities, and labels with planted errors."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n_items)
    centres = np.eye(n_classes) * distance
    points = centres[truth] + rng.normal(size=(n_items, n_classes))
    logits = points @ centres.T
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    given_labels = truth.copy()
    wrong = rng.random(n_items) < noise
    given_labels[wrong] = (truth[wrong] + rng.integers(1, n_classes, wrong.sum())) % n_classes
    return truth, given_labels, points, probabilities


def test_planted_errors_are_found_and_most_that_is_marked_is_wrong() -> None:
    truth, labels, points, probabilities = blobs(3000, 6, distance=4.0, noise=0.08, seed=1)
    found = find_label_errors(labels, probabilities, n_classes=6, neighbours=nearest(points))
    wrong = labels != truth
    assert wrong[found.is_error].mean() > 0.8
    assert found.is_error[wrong].mean() > 0.5
    assert (found.suggested[found.is_error & wrong] == truth[found.is_error & wrong]).mean() > 0.9


@pytest.mark.parametrize("distance", [1.5, 2.5, 4.0])
def test_clean_labels_are_left_alone_however_confused_the_model(distance: float) -> None:
    _, labels, points, probabilities = blobs(4000, 8, distance=distance, noise=0.0, seed=2)
    assert (probabilities.argmax(axis=1) != labels).mean() < 0.75
    for graph in (None, nearest(points)):
        found = find_label_errors(labels, probabilities, n_classes=8, neighbours=graph)
        assert found.is_error.mean() <= 0.01


@pytest.mark.parametrize("distance", [2.0, 2.5, 4.0])
def test_clean_labels_are_left_alone_by_neighbours_that_tell_little(distance: float) -> None:
    _, labels, points, _ = blobs(4000, 8, distance=distance, noise=0.0, seed=2)
    found = find_label_errors(labels, None, n_classes=8, neighbours=nearest(points))
    assert found.is_error.mean() <= 0.01


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_model_that_is_too_sure_is_believed_less(noise: float) -> None:
    truth, labels, _, told = blobs(4000, 8, distance=2.5, noise=noise, seed=2)
    sure = told**8
    sure /= sure.sum(axis=1, keepdims=True)
    found, wrong = find_label_errors(labels, sure), labels != truth
    assert (found.is_error & ~wrong).mean() <= 0.015  # .11 where it is believed
    assert not noise or found.is_error[wrong].mean() > 0.7
    assert Given(labels, sure, 100).power < 1


@pytest.mark.parametrize("n_classes", [10, 40])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_model_that_takes_all_for_one_class_marks_nothing(n_classes: int, noise: float) -> None:
    _, labels, points, _ = blobs(3000, n_classes, distance=4.0, noise=noise, seed=4)
    deaf = np.full((3000, n_classes), 0.1 / (n_classes - 1))
    deaf[:, 1] = 0.9 - 0.1 * np.tanh(np.abs(points[:, 0]))
    deaf /= deaf.sum(axis=1, keepdims=True)
    assert not find_label_errors(labels, deaf).is_error.any()


@pytest.mark.parametrize("by_share", [False, True])
def test_where_wrong_labels_land_is_learned_when_classes_differ_in_size(by_share: bool) -> None:
    rng = np.random.default_rng(8)
    shares = np.array([50, 30, 20, 10, 5, 4, 3, 2, 1, 1]) / 126
    truth = rng.choice(10, 8000, p=shares)
    logits = 3 * (rng.normal(size=(8000, 10)) + 3 * np.eye(10)[truth])
    logits += by_share * np.log(shares)  # else a model that does not know the classes' sizes
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    landing = rng.choice(10, 8000, p=shares if by_share else None)
    labels = np.where(rng.random(8000) < 0.12, landing, truth)
    own = rankdata(probabilities[np.arange(8000), labels])
    ours = rankdata(-find_label_errors(labels, probabilities).score)
    wrong = labels != truth
    best = own[wrong].mean() + (0 if by_share else 8)  # mean ranks; 8 are .001 of the AUROC
    assert ours[wrong].mean() <= best


def test_neighbours_alone_find_errors_before_any_run() -> None:
    truth, labels, points, _ = blobs(1500, 5, distance=5.0, noise=0.06, seed=3)
    found = find_label_errors(labels, None, n_classes=5, neighbours=nearest(points))
    wrong = labels != truth
    assert wrong[found.is_error].mean() > 0.8
    assert found.is_error[wrong].mean() > 0.4


def test_a_habit_of_one_class_stands_in_the_noise_matrix() -> None:
    truth, labels, _, probabilities = blobs(4000, 4, distance=5.0, noise=0.0, seed=4)
    habit = (truth == 1) & (np.random.default_rng(0).random(4000) < 0.2)
    labels[habit] = 3
    noise = find_label_errors(labels, probabilities, n_classes=4).noise_matrix
    assert noise[1, 3] == pytest.approx(0.2, abs=0.06)
    assert noise[0, 3] < 0.02
    assert np.allclose(noise.sum(axis=1), 1.0)


def test_unlabelled_items_are_neither_scored_nor_asked() -> None:
    _, labels, points, probabilities = blobs(400, 3, distance=4.0, noise=0.1, seed=5)
    labels[::3] = -1
    found = find_label_errors(labels, probabilities, n_classes=3, neighbours=nearest(points))
    assert (found.score[::3] == 0).all()
    assert not found.is_error[::3].any()
    alone = NeighbourGraph(np.array([[1], [0]], np.int32), np.ones((2, 1), np.float32))
    silent = find_label_errors(np.array([0, -1]), None, n_classes=2, neighbours=alone)
    assert not silent.is_error.any()


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    n_items=st.integers(1, 60),
    n_classes=st.integers(1, 5),
    block_values=st.sampled_from([1, 7, 64, 10**6]),
    asked=st.sampled_from(["model", "both", "neighbours"]),
)
def test_the_block_size_changes_nothing(
    seed: int, n_items: int, n_classes: int, block_values: int, asked: str
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, n_classes, n_items)
    probabilities = None if asked == "neighbours" else rng.dirichlet(np.ones(n_classes), n_items)
    graph = None if asked == "model" else nearest(rng.normal(size=(n_items, 3)), k=5)
    once, again = (
        find_label_errors(
            labels, probabilities, n_classes=n_classes, neighbours=graph, block_values=size
        )
        for size in (10**7, block_values)
    )
    assert np.allclose(once.score, again.score, atol=1e-5)
    assert (once.suggested == again.suggested).all()
    assert ((once.score >= 0) & (once.score <= 1)).all()
    assert (once.suggested[once.is_error] != labels[once.is_error]).all()


def test_a_memory_map_gives_the_same_answer(tmp_path: Path) -> None:
    _, labels, _, probabilities = blobs(500, 4, distance=3.0, noise=0.1, seed=7)
    np.save(tmp_path / "probabilities.npy", probabilities.astype(np.float32))
    mapped = np.load(tmp_path / "probabilities.npy", mmap_mode="r")
    wanted = find_label_errors(labels, np.array(mapped), block_values=100).score
    assert (find_label_errors(labels, mapped, block_values=100).score == wanted).all()
    part = find_label_errors(labels[100:], mapped[100:], block_values=100).score
    assert (part == find_label_errors(labels[100:], np.array(mapped[100:])).score).all()
    for block_values in (4, 28, 10**6):
        again = find_label_errors(labels, mapped, block_values=block_values).score
        assert np.allclose(again, wanted, atol=1e-6)


def test_a_memory_map_is_judged_by_what_it_holds_not_by_its_files_name(tmp_path: Path) -> None:
    _, labels, _, probabilities = blobs(500, 4, distance=3.0, noise=0.1, seed=7)
    wanted = find_label_errors(labels, probabilities.astype(np.float32)).score
    path = tmp_path / "probabilities.npy"
    np.save(path, np.full((500, 4), 0.25, np.float32))
    changed = np.load(path, mmap_mode="c")
    changed[:] = probabilities
    assert (find_label_errors(labels, changed).score == wanted).all()
    assert (changed == probabilities.astype(np.float32)).all()
    np.save(path, probabilities.astype(np.float32))
    mapped = np.load(path, mmap_mode="r")
    np.save(tmp_path / "other.npy", np.full((500, 4), 0.25, np.float32))
    os.replace(tmp_path / "other.npy", path)
    assert (find_label_errors(labels, mapped).score == wanted).all()
    path.unlink()
    assert (find_label_errors(labels, mapped).score == wanted).all()
    with tempfile.TemporaryFile(dir=tmp_path) as nameless:
        shape = probabilities.shape
        written = np.memmap(nameless, np.float32, "w+", shape=shape)
        written[:] = probabilities
        assert (find_label_errors(labels, written).score == wanted).all()
        assert (written == probabilities.astype(np.float32)).all()


def test_a_memory_map_cut_short_since_is_refused(tmp_path: Path) -> None:
    _, labels, _, probabilities = blobs(500, 4, distance=3.0, noise=0.1, seed=7)
    path = tmp_path / "probabilities.npy"
    np.save(path, probabilities.astype(np.float32))
    mapped = np.load(path, mmap_mode="r")
    os.truncate(path, path.stat().st_size - 4)
    with pytest.raises(ValueError, match="shorter than when it was opened"):
        find_label_errors(labels, mapped)


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 999))
def test_the_first_of_equally_probable_classes_is_suggested(
    n_classes: int, n_items: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    told = rng.integers(1, 4, (n_items, n_classes)).astype(np.float32)
    told /= told.sum(axis=1, keepdims=True)
    found = find_label_errors(np.full(n_items, -1), told)  # labels would say how common each is
    assert np.array_equal(found.suggested, told.argmax(axis=1))


@pytest.mark.parametrize("distance", [2.0, 3.0])
def test_neighbours_make_the_ranking_better_than_the_models_confidence(distance: float) -> None:
    truth, labels, points, probabilities = blobs(2000, 6, distance=distance, noise=0.1, seed=8)
    rng = np.random.default_rng(0)
    shaken = probabilities ** rng.uniform(0.2, 3.0, (len(labels), 1))  # a poorly calibrated model
    shaken /= shaken.sum(axis=1, keepdims=True)
    wrong = labels != truth
    found = find_label_errors(labels, shaken, neighbours=nearest(points))
    alone = 1 - shaken[np.arange(len(labels)), labels]
    most = wrong.sum()
    assert wrong[np.argsort(-found.score)[:most]].sum() >= wrong[np.argsort(-alone)[:most]].sum()


@pytest.mark.parametrize(("said", "is_shy"), [(0.25, True), (1.0, False), (2.0, False)])
def test_a_model_that_says_less_than_it_knows_is_taken_to_be_surer(
    said: float, is_shy: bool
) -> None:
    truth, labels, _, told = blobs(2000, 30, distance=4.0, noise=0.1, seed=9)
    wrong, shy = labels != truth, told**said
    shy /= shy.sum(axis=1, keepdims=True)
    found = find_label_errors(labels, shy)
    assert (Given(labels, shy, 100).power > 1) == is_shy
    assert found.is_error[wrong].mean() > 0.6  # .22 where the shy one is read as it is
    assert wrong[found.is_error].mean() > 0.9


def test_a_model_that_does_not_know_how_common_classes_are_is_told() -> None:
    rng = np.random.default_rng(4)
    shares = np.array([50, 30, 20, 10, 5, 4, 3, 2, 1, 1]) / 126
    truth = rng.choice(10, 6000, p=shares)
    told = np.exp(3 * (rng.normal(size=(6000, 10)) + 2 * np.eye(10)[truth]))
    told /= told.sum(axis=1, keepdims=True)
    labels = np.where(rng.random(6000) < 0.12, rng.integers(0, 10, 6000), truth)
    wrong, found = labels != truth, find_label_errors(labels, told)
    own = rankdata(-told[np.arange(6000), labels])
    gain = rankdata(found.score)[wrong].mean() - own[wrong].mean()
    assert gain > 60  # mean ranks, .01 of the AUROC; negative where sizes are not thought of
    assert Given(labels, told, 100).sizes.argmin() >= 6


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        find_label_errors(np.zeros(0, int), np.zeros((0, 30_000)))
    with pytest.raises(ValueError, match="one axis"):
        find_label_errors(np.array(0), np.ones((1, 2)) / 2)
    with pytest.raises(ValueError, match="need probabilities"):
        find_label_errors(np.array([0]), None, n_classes=2)
    with pytest.raises(ValueError, match="shape"):
        find_label_errors(np.array([0]), np.ones((1, 3)), n_classes=2)
    with pytest.raises(ValueError, match="-1 to 1"):
        find_label_errors(np.array([2]), np.ones((1, 2)), n_classes=2)


def test_what_is_no_label_or_probability_is_refused() -> None:
    _, labels, _, told = blobs(300, 4, distance=2.0, noise=0.1, seed=3)
    for wrong in (np.nan, np.inf, -0.2, 7.0):
        broken = told.copy()
        broken[5, (labels[5] + 1) % 4] = wrong
        with pytest.raises(ValueError, match="probabilities"):
            find_label_errors(labels, broken)
    for none in (np.log(told), told * 5, told / 5):
        with pytest.raises(ValueError, match="row 0"):
            find_label_errors(labels, none)
    for no_number in (told.astype(str), told.astype(complex)):
        with pytest.raises(ValueError, match="must be numbers"):
            find_label_errors(labels, no_number)
    for words in (labels.astype(float), labels.astype(str)):
        with pytest.raises(ValueError, match="whole numbers"):
            find_label_errors(words, told)
    with pytest.raises(ValueError, match="need probabilities"):
        find_label_errors(np.zeros(0, int), np.zeros((0, 0)))


@pytest.mark.parametrize("kind", ["int8", "uint8", "uint64", "float16", "float32", "list"])
def test_the_type_of_numbers_changes_nothing(kind: str) -> None:
    _, labels, _, told = blobs(300, 4, distance=2.0, noise=0.1, seed=3)
    told = told.astype(np.float16).astype(np.float64)  # so that none of them rounds
    found = find_label_errors(labels, told)
    if kind == "list":
        same = find_label_errors(labels.tolist(), told.tolist())  # type: ignore[arg-type]
    elif kind.startswith("float"):
        same = find_label_errors(labels, told.astype(kind))
    else:
        same = find_label_errors(labels.astype(kind), told)
    assert np.array_equal(found.score, same.score)


def test_real_verified_errors_come_first_and_few_labels_are_marked() -> None:
    folder = SHARED / "data" / "cifar10"
    if not folder.exists():
        pytest.skip(f"real verified label errors are absent: set WINNOW_SHARED ({folder})")
    with np.load(folder / "test_pred_probs.npz", allow_pickle=False) as arrays:
        labels, probabilities = arrays["given"], arrays["pred_probs"]
        places = {int(number): row for row, number in enumerate(arrays["test_index"])}
    wrong = np.zeros(len(labels), bool)
    with (folder / "test_label_errors_mturk.csv").open() as file:
        for row in csv.DictReader(file):
            wrong[places[int(row["test_index"])]] = row["verdict"].startswith("error")
    found = find_label_errors(labels, probabilities, n_classes=10)
    order = np.argsort(-found.score, kind="stable")
    assert wrong[order[:50]].mean() >= 0.28
    assert wrong[order[:150]].sum() / wrong.sum() >= 0.78
    assert found.is_error.mean() <= 0.01
