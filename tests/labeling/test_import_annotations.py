"""Answers that people gave elsewhere."""

import csv
import json
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from labeling.models import Annotation, Annotator, Content, Item, LabelSource, Round, RoundItem
from labeling.queries.progress import crowd, progress
from labeling.services.labels import set_labels
from labeling.services.settling import settle_dispute
from tests.factories import make_dataset, make_item
from tests.shared import shared_path

pytestmark = pytest.mark.django_db


def run(path: Path, capsys: Any, name: str = "birds") -> dict[str, Any]:
    call_command("import_annotations", name, str(path), "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def table(path: Path, *rows: str) -> Path:
    path.write_text("item,annotator,answer\n" + "\n".join(rows) + "\n")
    return path


def test_answers_become_annotations_and_what_they_agree_on_the_label(tmp_path: Path, capsys: Any):
    dataset = make_dataset("birds")
    for key in ("1", "2"):
        make_item(dataset, key)
    labelled = make_item(dataset, "3", label="dog")
    path = table(
        tmp_path / "a.csv", "1,ann,cat", "1,bob,cat", "1,eve,dog", "2,ann,unsure", "3,ann,cat"
    )
    result = run(path, capsys)
    assert (result["answers"], result["rejected"], result["settled"]) == (5, 0, 1)
    assert result["disputed"] == 1  # nobody named a class of it
    assert dataset.items.get(key="1").label.name == "cat"
    assert dataset.items.get(key="1").label_source == "consensus"
    assert dataset.items.get(key="2").label is None
    assert Item.objects.get(pk=labelled.pk).label.name == "dog"
    assert set(Annotator.objects.values_list("name", flat=True)) == {"ann", "bob", "eve"}


def test_an_item_is_found_by_its_file_name_where_only_one_can_be_meant(tmp_path: Path, capsys: Any):
    dataset = make_dataset("birds")
    for key in ("img_1.png", "img_2.png", "a/img_3.png", "b/img_3.png"):
        make_item(dataset, key)
    lines = ("pics/img_1.png", "one/img_2.png", "two/img_2.png", "pics/img_3.png", "a/img_3.png")
    result = run(table(tmp_path / "a.csv", *(f"{line},ann,cat" for line in lines)), capsys)
    assert (result["answers"], result["by_name"]) == (2, 1)
    assert [problem["line"] for problem in result["problems"]] == [3, 4, 5]
    found = Annotation.objects.order_by("item__key").values_list("item__key", flat=True)
    assert list(found) == ["a/img_3.png", "img_1.png"]


def test_a_text_tells_its_item_where_exactly_one_has_it(tmp_path: Path, capsys: Any):
    dataset = make_dataset("said", media="text")
    texts = {"a": "the sea\nis calm", "b": "cafe\u0301", "c": "twice", "d": "twice"}
    for key, text in texts.items():
        item = make_item(dataset, key)
        Content.objects.filter(pk=item.content_id).update(text=unicodedata.normalize("NFC", text))
    path = tmp_path / "a.csv"
    lines = ("the sea  is calm", "cafe\u0301", "twice", "never said", "")
    path.write_text("text,worker,label\n" + "".join(f"{line},ann,cat\n" for line in lines))
    result = run(path, capsys, "said")
    assert (result["answers"], result["by_text"], result["by_name"]) == (2, 2, 0)
    assert [(p["line"], p["code"]) for p in result["problems"]] == [
        (4, "several_items"),
        (5, "unknown_text"),
        (6, "bad_row"),
    ]
    assert "2 items have the text 'twice'" in result["problems"][0]["reason"]
    told = Annotation.objects.order_by("item__key").values_list("item__key", flat=True)
    assert list(told) == ["a", "b"]


def test_a_key_goes_before_a_text_that_must_be_its_own(tmp_path: Path, capsys: Any):
    dataset = make_dataset("said", media="text")
    for key, text in {"1": "twice", "2": "twice", "3": "once"}.items():
        Content.objects.filter(pk=make_item(dataset, key).content_id).update(text=text)
    path = tmp_path / "a.csv"
    rows = ("1,twice", "2,once", "task-9,once", "3,")
    path.write_text("id,text,worker,label\n" + "".join(f"{row},ann,cat\n" for row in rows))
    result = run(path, capsys, "said")
    assert (result["answers"], result["by_text"]) == (2, 1)
    assert [(p["line"], p["code"]) for p in result["problems"]] == [(3, "other_text")]
    make_item(make_dataset("birds"), "1")
    with pytest.raises(CommandError, match="no dataset of texts"):
        call_command("import_annotations", "birds", str(path), "--column", "text=text")
    assert run(table(path, "1,ann,cat"), capsys)["answers"] == 1


def test_the_seconds_of_answers_are_kept_where_they_are_numbers(tmp_path: Path, capsys: Any):
    dataset = make_dataset("birds")
    for key in "1234":
        make_item(dataset, key)
    path = tmp_path / "a.csv"
    told = ("2.5", "", "soon", "-1", "nan", "90000")
    lines = [f"{1 + n % 4},{'ab'[n // 4]},cat,{cell}" for n, cell in enumerate(told)]
    path.write_text("\n".join(["item,annotator,answer,lead_time", *lines]) + "\n")
    result = run(path, capsys)
    assert (result["answers"], result["timed"], result["untimed"]) == (6, 2, 3)
    kept = Annotation.objects.order_by("pk").values_list("seconds", flat=True)
    assert list(kept) == [2.5, None, None, None, None, 3600.0]
    assert progress(Round.objects.get(), now=timezone.now()).seconds_an_answer == pytest.approx(
        3602.5 / 2
    )
    with pytest.raises(CommandError, match="--column seconds=COLUMN"):
        call_command("import_annotations", "birds", str(path), "--column", "seconds=took")


def test_importing_answers_again_doubles_nothing(tmp_path: Path, capsys: Any):
    make_item(make_dataset("birds"), "1")
    path = table(tmp_path / "a.csv", "1,ann,cat", "1,bob,cat")
    run(path, capsys)
    again = run(path, capsys)
    assert (again["answers"], again["unchanged"]) == (0, 2)
    assert Annotation.objects.count() == 2
    assert Round.objects.count() == 1


def test_the_same_table_with_seconds_adds_them_to_the_answers_that_are_there(
    tmp_path: Path, capsys: Any
):
    dataset = make_dataset("birds")
    make_item(dataset, "1")
    make_item(dataset, "2")
    run(table(tmp_path / "a.csv", "1,ann,cat", "1,bob,cat", "2,ann,cat"), capsys)
    path = tmp_path / "timed.csv"
    path.write_text("item,annotator,answer,seconds\n1,ann,cat,2.5\n1,bob,dog,4\n2,ann,cat,\n")
    result = run(path, capsys)
    assert (result["answers"], result["timed_now"], result["unchanged"]) == (0, 1, 2)
    assert list(Annotation.objects.order_by("pk").values_list("seconds", flat=True)) == [
        2.5,
        None,
        None,
    ]
    path.write_text("item,annotator,answer,seconds\n1,ann,cat,9\n")
    assert run(path, capsys)["timed_now"] == 0
    assert Annotation.objects.order_by("pk")[0].seconds == 2.5


def test_a_table_without_a_known_column_is_refused_with_the_option_to_name_it(tmp_path: Path):
    make_item(make_dataset("birds"), "1")
    path = tmp_path / "a.csv"
    path.write_text("image,worker,said\n1,ann,cat\n")
    with pytest.raises(CommandError, match="--column answer=COLUMN"):
        call_command("import_annotations", "birds", str(path))
    call_command("import_annotations", "birds", str(path), "--column", "answer=said")
    assert Annotation.objects.get().annotator.name == "ann"


def test_imported_answers_are_all_that_were_wanted_and_make_no_pace(tmp_path: Path, capsys: Any):
    make_item(make_dataset("birds"), "1")
    run(table(tmp_path / "a.csv", "1,ann,cat", "1,bob,cat"), capsys)
    asking = Round.objects.get()
    asking.price = Decimal("0.05")
    seen = progress(asking, now=timezone.now())
    assert (seen.answers, seen.answers_wanted, seen.answers_last_hour) == (2, 2, 0)
    assert seen.missing == 0
    assert seen.cost == seen.cost_in_all == Decimal("0.10")
    assert [person.today for person in crowd(asking, now=timezone.now())] == [0, 0]


def test_lines_that_fit_nothing_are_reported_with_their_numbers(tmp_path: Path, capsys: Any):
    make_item(make_dataset("birds"), "1")
    path = table(tmp_path / "a.csv", "9,ann,cat", "1,ann,owl", "1,ann,", "1,bob,cat", "1,bob,dog")
    result = run(path, capsys)
    assert [(p["line"], p["code"]) for p in result["problems"]] == [
        (2, "unknown_item"),
        (3, "unknown_class"),
        (4, "bad_row"),
        (6, "answered_twice"),
    ]
    item, owl, bare, twice = (problem["reason"] for problem in result["problems"])
    assert "no item '9': import it first" in item
    assert "no class 'owl': add it in Settings, or name one that is there (cat, dog)" in owl
    assert "no answer here: fill the cell" in bare
    assert "bob gave another answer to this item in line 5" in twice


def test_a_table_of_which_nothing_fits_is_refused_and_leaves_no_round(tmp_path: Path):
    make_item(make_dataset("birds"), "1")
    path = table(tmp_path / "a.csv", "8,ann,cat", "9,ann,cat")
    with pytest.raises(CommandError, match=r"none of its 2 answers .* Line 2: There is no item"):
        call_command("import_annotations", "birds", str(path))
    assert not Round.objects.exists()


def test_consensus_on_real_birds_beats_the_majority(capsys: Any):
    folder = shared_path("data/crowd/bluebird")
    with (folder / "truth.csv").open() as file:
        truth = {row["item"]: row["label"] for row in csv.DictReader(file)}
    dataset = make_dataset("birds", classes=("0", "1"))
    for key in truth:
        make_item(dataset, key)
    result = run(folder / "answers.csv", capsys)
    labels = dict(Item.objects.values_list("key", "label__name"))
    right = sum(labels[key] == label for key, label in truth.items()) / len(truth)
    assert result["settled"] == len(truth)
    assert right > 0.85  # majority: .76


def test_a_decided_dispute_stays_decided_when_further_answers_come(tmp_path: Path, capsys: Any):
    dataset = make_dataset("birds")
    for key in ("1", "2"):
        make_item(dataset, key)
    first = ("1,ann,cat", "1,bob,dog", "2,ann,cat", "2,bob,dog", "2,eve,skip")
    run(table(tmp_path / "a.csv", *first), capsys)
    disputed = RoundItem.objects.filter(state="disputed").order_by("item__key")
    assert [place.item.key for place in disputed] == ["1", "2"]
    place = disputed[0]
    cat = {place.item_id: dataset.classes.get(name="cat")}
    set_labels(labels=cat, source=LabelSource.REVIEW, reason="decided")
    settle_dispute(place=place.pk)
    run(table(tmp_path / "b.csv", *first, "2,joe,unsure"), capsys)
    states = RoundItem.objects.order_by("item__key").values_list("state", flat=True)
    assert list(states) == ["settled", "disputed"]
    found = progress(Round.objects.get(), now=timezone.now())
    assert (found.answers, found.answers_wanted) == (5, 5)
