"""Which labels are doubted, by whom, and what the reason says."""

from dataclasses import replace

import numpy as np
import pytest

from labeling.models import Item
from labeling.services import labels
from mlcore.label_errors import LabelErrors
from mlcore.neighbours import nearest
from quality.detectors import KINDS
from quality.doubts.labels import find_wrong_labels, worst_labels
from quality.queries.survey import survey_of
from tests.factories import make_dataset, make_item

pytestmark = pytest.mark.django_db


def test_planted_wrong_labels_are_found_by_neighbours_alone_before_any_run():
    dataset = make_dataset()
    rng = np.random.default_rng(5)
    points = []
    for number in range(60):
        side = number % 2
        make_item(dataset, f"{number:02}.png", "dog" if side else "cat")
        points.append(np.array([1.0, 0.0] if side else [0.0, 1.0]) + rng.normal(0, 0.1, 2))
    wrong = Item.objects.get(key="07.png")
    labels.set_labels(labels={wrong.pk: dataset.classes.get(name="cat")}, source="import")
    survey = survey_of(dataset)
    survey = replace(survey, graph=nearest(np.array(points)))
    found = KINDS["label_error"].find(survey)
    best = max(found, key=lambda one: one.score)
    assert survey.keys[best.rows[0]] == "07.png"
    assert (best.given, best.suggested, best.is_likely) == ("cat", "dog", True)


def test_labels_are_doubted_before_calibrating_and_the_reason_tells_what_pages_show():
    dataset = make_dataset()
    for number in range(60):
        make_item(dataset, f"{number:02}.png", "dog" if number % 2 else "cat")
    survey = survey_of(dataset)
    sure = np.eye(2)[survey.labels] * 0.98 + 0.01
    survey.labels[7] = survey.classes.index("cat")
    survey = replace(survey, uncalibrated=sure, probabilities=0.1 * sure + 0.45)
    (found,) = KINDS["label_error"].find(survey)
    assert (survey.keys[found.rows[0]], found.is_likely) == ("07.png", True)
    assert "gives “cat” .45 and “dog” .55" in found.reason


def test_a_doubt_says_where_model_and_neighbours_name_different_classes():
    """Two photos given "cup": all near them are forks; the model says plate of the first."""
    dataset = make_dataset(classes=("cup", "fork", "plate"))
    names = ["cup"] * 2 + ["fork"] * 14 + ["plate"] * 12 + ["cup"] * 12
    for number, label in enumerate(names):
        make_item(dataset, f"{number:02}.png", label)
    survey = survey_of(dataset)
    place = {name: survey.classes.index(name) for name in ("cup", "fork", "plate")}
    at = np.array([0, 0, *[["cup", "fork", "plate"].index(name) for name in names[2:]]])
    points = np.eye(3)[np.where(np.arange(len(names)) < 2, 1, at)]
    points = points + np.random.default_rng(4).normal(0, 0.05, points.shape)
    probabilities = np.full((len(names), 3), 0.1)
    probabilities[np.arange(len(names)), [place[name] for name in names]] = 0.8
    probabilities[0, [place["cup"], place["fork"], place["plate"]]] = 0.16, 0.24, 0.60
    probabilities[1, [place["cup"], place["fork"], place["plate"]]] = 0.02, 0.90, 0.08
    survey = replace(survey, graph=nearest(points), probabilities=probabilities)
    found = {survey.keys[one.rows[0]]: one for one in KINDS["label_error"].find(survey)}
    apart, joined = found["00.png"], found["01.png"]
    assert apart.evidence["apart"] == {"model": "plate", "neighbours": "fork"}
    assert "gives “cup” .16 and “plate” .60" in apart.reason
    assert "name different classes" in apart.reason
    assert joined.suggested == "fork"
    assert "apart" not in joined.evidence


def test_doubted_labels_come_worst_first_and_leave_out_what_nobody_doubts():
    score = np.random.default_rng(9).random(1000) / 2
    score[:20] = 0.9
    labels, suggested = np.zeros(1000, int), np.ones(1000, int)
    labels[20:30] = -1  # nobody labelled these
    suggested[40:50] = 0  # and here the model agrees
    found = LabelErrors(score, score >= 0.5, suggested, np.eye(2))
    rows = worst_labels(found, labels)
    assert set(rows[:20].tolist()) == set(range(20))
    assert (np.diff(score[rows]) <= 0).all()
    assert set(rows.tolist()) == {*range(1000)} - {*range(20, 30), *range(40, 50)}


def test_labels_of_test_items_are_neither_doubted_nor_heard():
    dataset = make_dataset()
    make_item(dataset, "a.png", "cat", split="test")
    make_item(dataset, "b.png", "cat", split="train")
    assert survey_of(dataset).doubted_labels.tolist() == [-1, 0]


def test_items_that_show_nothing_are_not_doubted_for_their_label():
    dataset = make_dataset()
    make_item(dataset, "a.png", "cat", odd=[["blank", "Nothing is to be seen."]])
    for number in range(60):
        make_item(dataset, f"b{number:02d}.png", ("cat", "dog")[number % 2])
    survey = survey_of(dataset)
    vectors = np.array([[0.0, 1.0]] + [[1.0, 0.0], [0.0, 1.0]] * 30)  # the blank one is like dogs
    vectors += np.random.default_rng(0).normal(0, 0.01, vectors.shape)
    seen = replace(survey, graph=nearest(vectors))
    shown = replace(seen, odd=[[] for _ in survey.odd])
    blank = survey.keys.index("a.png")
    assert blank in {doubt.rows[0] for doubt in find_wrong_labels(shown)}
    assert blank not in {doubt.rows[0] for doubt in find_wrong_labels(seen)}
