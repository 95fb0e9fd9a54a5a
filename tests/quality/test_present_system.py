"""Another system's probabilities: kept as a run, judged on the same labels, never learned from."""

import csv
import io
import json
from inspect import ismethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from hypothesis import HealthCheck, example, given
from hypothesis import settings as trials
from hypothesis import strategies as st

from config.celery import app
from labeling.models import Dataset, Role
from labeling.models.jobs import WORDS
from quality import arrays
from quality.models import Run, TestOpening
from quality.queries.runs import newest_done
from tests.factories import make_member
from tests.quality.words import make_words

pytestmark = pytest.mark.django_db


def told(dataset: Dataset, path: Path) -> dict[str, Any]:
    out = io.StringIO()
    call_command("import_predictions", dataset.slug, str(path), "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def table(dataset: Dataset, path: Path, *, wrong: int = 0) -> Path:
    """Probabilities that are right but for the first `wrong` items in the order of keys."""
    names = [c.name for c in dataset.classes.all()]
    rows = []
    for number, item in enumerate(dataset.items.order_by("key").select_related("label")):
        right = names.index(item.label.name) if item.label else 0
        guess = (right + 1) % len(names) if number < wrong else right
        rows.append([item.key, *(0.8 if n == guess else 0.1 for n in range(len(names)))])
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["key", *names], *rows])
    return path


@trials(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([0, 0, 0], "nan", 10_000)
@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=8),
    st.sampled_from(["nan", "inf", "-1", "1e999", "\x00", '"', "é", ",", "\n", "9" * 5_000]),
    st.integers(0, 10_000),
)
def test_a_damaged_table_of_predictions_is_imported_or_refused(
    tmp_path: Path, places: list[int], put: str, end: int
) -> None:
    dataset = Dataset.objects.first() or make_words(items=12)
    text = table(dataset, tmp_path / "ours.csv").read_text()
    for place in places:
        at = place % len(text)
        text = text[:at] + put + text[at + 1 :]
    (tmp_path / "ours.csv").write_text(text[:end])
    try:
        told(dataset, tmp_path / "ours.csv")
    except CommandError as refused:
        assert str(refused)  # noqa: PT017


def test_predictions_are_judged_on_labels_and_never_on_sealed_items(tmp_path: Path):
    dataset = make_words(items=40, test_items=8, unlabelled=4)
    result = told(dataset, table(dataset, tmp_path / "ours.csv", wrong=10))
    assert (result["imported"], result["rejected"], result["n"]) == (52, 0, 40)
    assert result["accuracy"] == pytest.approx(0.75)
    assert result["low"] < 0.75 < result["high"]
    run = Run.objects.get()
    assert sum(map(sum, run.metrics["confusion"])) == 40
    is_test = [item.split == "test" for item in dataset.items.order_by("key")]
    kept = arrays.run_array(run, "probabilities")
    assert kept is not None
    assert np.isnan(kept[is_test]).all()
    assert not TestOpening.objects.exists()


def test_importing_again_changes_nothing(tmp_path: Path):
    dataset = make_words(items=24)
    path = table(dataset, tmp_path / "ours.csv")
    first, again = told(dataset, path), told(dataset, path)
    assert (first["unchanged"], again["unchanged"]) == (False, True)
    assert first["run"] == again["run"]
    assert Run.objects.count() == 1


def test_they_stand_beside_the_model_and_do_not_take_its_place(tmp_path: Path, client: Any):
    dataset = make_words(items=48)
    call_command("train", dataset.slug)
    result = told(dataset, table(dataset, tmp_path / "ours.csv"))
    model = Run.objects.get(is_imported=False)
    assert result["model"]["run"] == model.number
    assert result["model"]["accuracy"] == pytest.approx(model.metrics["accuracy"]["value"])
    assert result["model"]["difference"] == pytest.approx(1 - result["model"]["accuracy"])
    assert newest_done(dataset) == model
    out = io.StringIO()
    call_command("train", dataset.slug, "--json", stdout=out)
    assert json.loads(out.getvalue())["unchanged"]
    client.force_login(make_member(dataset, Role.OWNER))
    for run, words in ((model, "Present system"), (Run.objects.get(is_imported=True), "ours.csv")):
        page = client.get(reverse("quality:run", args=[dataset.slug, run.number]))
        assert words in page.content.decode()
        # Whether another system had seen these items is not known here.
        assert ("right, out of sample" in page.content.decode()) is not run.is_imported


def test_lines_that_cannot_be_used_are_told_with_their_number(tmp_path: Path, capsys: Any):
    dataset = make_words(items=8)
    path = tmp_path / "ours.csv"
    path.write_text(
        "key;money;sea;sky;extra\n"
        "0000;0,5;0,25;0,25;x\n"
        "0001;0.9;0.9;0;\n"
        "0002;nan;0;1;\n"
        "0003;-1;1;1;\n"
        "nobody;1;0;0;\n"
        "0000;0;1;0;\n"
        "0004;;;;\n"
        "0005;1;0;0\n"
    )
    result = told(dataset, path)
    assert (result["imported"], result["ignored_columns"]) == (2, ["extra"])
    assert [(p["line"], p["code"]) for p in result["problems"]] == [
        (3, "no_probability"), (4, "no_probability"), (5, "no_probability"),
        (6, "unknown_item"), (7, "predicted_twice"),
    ]  # fmt: skip
    assert "sum to 1.80" in result["problems"][0]["reason"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("key,cat,dog\n0000,1,0\n", "a column for each class"),
        ("money,sea,sky\n1,0,0\n", "no column names the items"),
        ("key,money,sea,sky\nnobody,1,0,0\n", "There is no item 'nobody'"),
        ("", "empty"),
    ],
)
def test_a_table_that_says_nothing_is_refused_in_words(tmp_path: Path, content: str, words: str):
    dataset = make_words(items=8)
    (tmp_path / "ours.csv").write_text(content)
    with pytest.raises(CommandError, match=words):
        told(dataset, tmp_path / "ours.csv")
    assert not Run.objects.exists()


def test_every_kind_of_work_has_a_name_that_the_inbox_and_pages_can_say():
    app.loader.import_default_modules()
    by_job = {
        name.removeprefix("winnow.")
        for name, task in app.tasks.items()
        if name.startswith("winnow.") and ismethod(task.run)  # they are told the job's id
    }
    assert "import_predictions" in by_job
    assert by_job <= set(WORDS)
