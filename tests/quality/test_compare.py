"""Before/After: nothing is exactly nothing, a loss is a loss, and the figures can be redone."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.template.loader import render_to_string
from django.urls import reverse

from labeling.models import Annotation, Annotator, LabelSource, Role, Round, Split
from labeling.services import labels
from labeling.services.versions import freeze_version
from quality import arrays
from quality.models import Action, Comparison, Decision, Run, TestOpening
from quality.queries import changes, comparisons
from quality.queries.runs import newest_done
from quality.services import selection
from quality.services.merging import merge_classes
from quality.services.selection import Selection
from tests.factories import make_member
from tests.quality.words import add_text, make_words

pytestmark = pytest.mark.django_db
SAID = ["unsure", "unusable", "unsure"]
SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "check_comparison.py"


def prove(dataset, old, new):
    out = io.StringIO()
    call_command("prove", dataset.slug, str(old), str(new), "--json", stdout=out)
    return json.loads(out.getvalue().splitlines()[-1])


def spoil(dataset, *, every, split=Split.TRAIN):
    """Give every so many-th item of a split the next class."""
    classes = list(dataset.classes.all())
    wrong = {
        item.pk: classes[(classes.index(item.label) + 1) % len(classes)]
        for item in list(dataset.items.filter(split=split).select_related("label"))[::every]
    }
    labels.set_labels(labels=wrong, source=LabelSource.REVIEW)


def test_no_decision_gives_exactly_zero():
    dataset = make_words(items=48, test_items=24)
    freeze_version(dataset=dataset)
    found = prove(dataset, 1, 1)
    assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)
    assert found["n"] == 24


def test_an_added_item_without_a_label_gives_exactly_zero():
    dataset = make_words(items=48, test_items=24)
    freeze_version(dataset=dataset)
    add_text(dataset, "zz", text="nothing said about it", label=None, split="train")
    freeze_version(dataset=dataset)
    found = prove(dataset, 1, 2)
    assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)


def test_a_copy_of_a_test_item_is_held_back_from_the_later_training():
    dataset = make_words(items=48, test_items=24)
    freeze_version(dataset=dataset)
    sealed = dataset.items.filter(split=Split.TEST).select_related("content", "label")
    for item in sealed:
        other = "sea" if item.label.name != "sea" else "sky"
        add_text(dataset, f"again {item.key}", text=item.content.text, label=other, split="train")
    freeze_version(dataset=dataset)
    found = prove(dataset, 1, 2)
    assert found["difference"] == 0
    assert Comparison.objects.get().result["held_back"] == 24


def test_spoiled_labels_give_a_loss_and_mending_them_a_gain():
    dataset = make_words(items=90, test_items=60)
    freeze_version(dataset=dataset)
    good = {item.pk: item.label for item in dataset.items.filter(split=Split.TRAIN)}
    spoil(dataset, every=3)
    freeze_version(dataset=dataset)
    labels.set_labels(labels=good, source=LabelSource.REVIEW)
    dataset.items.filter(key="0000").update(excluded="so that it is another version")
    freeze_version(dataset=dataset)
    loss, gain = prove(dataset, 1, 2), prove(dataset, 2, 3)
    assert loss["difference"] < 0
    assert loss["high"] < 0
    assert gain["difference"] > 0
    assert loss["on"] == gain["on"] == "test"
    assert loss["later_labels"] is None


def test_each_comparison_on_test_counts_as_a_look_for_both_runs_and_is_made_once():
    dataset = make_words(items=48, test_items=24)
    freeze_version(dataset=dataset)
    spoil(dataset, every=8)
    call_command("train", dataset.slug)  # freezes version 2
    first, again = prove(dataset, 1, 2), prove(dataset, 1, 2)
    assert (first["unchanged"], again["unchanged"]) == (False, True)
    assert TestOpening.objects.count() == 2
    assert Run.objects.count() == 2
    assert {run.protocol["seed"] for run in Run.objects.all()} == {0}
    older = Run.objects.get(version__number=1)
    assert older.number == 2
    assert newest_done(dataset).number == 1, "queues and report go back to no older version"


def test_changed_test_labels_are_judged_both_ways():
    dataset = make_words(items=48, test_items=24)
    freeze_version(dataset=dataset)
    spoil(dataset, every=6, split=Split.TEST)
    freeze_version(dataset=dataset)
    found = prove(dataset, 1, 2)
    assert found["difference"] == 0
    assert found["later_labels"]["changed"] == 4
    assert found["later_labels"]["before"] < found["before"]
    assert Comparison.objects.get().result["changes"]["test_labels"] == 4


def test_classes_that_were_merged_in_between_are_one_on_both_sides():
    dataset = make_words(items=48, test_items=24)
    freeze_version(dataset=dataset)
    old, new = (dataset.classes.get(name=name) for name in ("sky", "sea"))
    lead = make_member(dataset, Role.LEAD)
    merge_classes(dataset=dataset, old=old, new=new, text="", by=lead, test_confirmed=True)
    freeze_version(dataset=dataset)
    found = prove(dataset, 1, 2)
    result = Comparison.objects.get().result
    assert "sky" not in result["classes"]
    assert found["later_labels"] is None
    guesses, given = (
        arrays.comparison_array(Comparison.objects.get().pk, name)[-24:]
        for name in ("before", "before_given")
    )
    assert guesses.sum(axis=1) == pytest.approx(1, abs=1e-5)
    right = arrays.predicted_classes(guesses) == given
    assert found["before"] == pytest.approx(right.mean())


def test_test_items_that_moved_into_train_are_held_back():
    dataset = make_words(items=48, test_items=24)
    freeze_version(dataset=dataset)
    moved = dataset.items.filter(split=Split.TEST)[:10]
    labels.move_items(items=[item.pk for item in moved], split=Split.TRAIN)
    freeze_version(dataset=dataset)
    found = prove(dataset, 1, 2)
    assert Comparison.objects.get().result["held_back"] == 10
    assert found["difference"] == 0


def test_without_test_items_shared_items_are_compared_out_of_fold_and_it_says_so():
    dataset = make_words(items=60)
    freeze_version(dataset=dataset)
    labels.exclude_items(items=[dataset.items.get(key="0003").pk], reason="odd")
    spoil(dataset, every=4)
    freeze_version(dataset=dataset)
    found = prove(dataset, 1, 2)
    assert (found["on"], found["n"]) == ("shared", 59)
    assert found["difference"] < 0
    assert not TestOpening.objects.exists()


def test_what_lay_between_is_counted_by_kind_and_person():
    dataset = make_words(items=48, test_items=24)
    person = make_member(dataset, Role.LEAD, "mia")
    freeze_version(dataset=dataset)
    item = dataset.items.get(key="0001")
    labels.set_labels(
        labels={item.pk: dataset.classes.get(name="sky")}, source=LabelSource.REVIEW, by=person
    )
    for action, seconds in ((Action.RELABEL, 6.0), (Action.KEEP, 4.0)):
        Decision.objects.create(dataset=dataset, by=person, action=action, seconds=seconds)
    freeze_version(dataset=dataset)
    prove(dataset, 1, 2)
    changes = Comparison.objects.get().result["changes"]
    assert (changes["relabelled"], changes["added"], changes["decisions"]) == (1, 0, 2)
    assert changes["people"] == [{"name": "mia", "n": 2, "seconds": 10.0}]
    assert changes["changed_by"] == [{"name": "mia", "n": 1}]
    assert changes["seconds"] == 10.0


def test_what_was_undone_in_between_counts_as_no_change():
    dataset = make_words(items=6)
    person, other = (make_member(dataset, Role.LEAD, name) for name in ("mia", "tom"))
    sky = dataset.classes.get(name="sky")
    old, _ = freeze_version(dataset=dataset)
    one, two, three = dataset.items.exclude(label=sky).order_by("key")[:3]
    made = [
        selection.relabel(Selection(dataset, [item.pk], by=person), label=sky)
        for item in (one, two)
    ]
    selection.undo(made[0], by=other)
    selection.relabel(Selection(dataset, [three.pk], by=person), label=sky)
    again = selection.relabel(
        Selection(dataset, [three.pk], by=other),
        label=dataset.classes.exclude(pk__in=[sky.pk, three.label_id]).first(),
    )
    selection.undo(again, by=other)
    new, _ = freeze_version(dataset=dataset)
    selection.undo(made[1], by=person)  # after the later version: there it counted
    found = changes.work_between(old, new)
    assert (found["relabelled"], found["label_changes"], found["decisions"]) == (2, 2, 2)
    assert found["changed_by"] == [{"name": "mia", "n": 2}]
    told = changes.explained(old, new, kind="", start=0, most=50)
    assert {(row.item.key, row.by) for row in told} == {(two.key, "mia"), (three.key, "mia")}


def test_the_time_of_people_and_of_what_they_did_adds_up_with_what_was_undone():
    dataset = make_words(items=6)
    mia, tom = (make_member(dataset, Role.LEAD, name) for name in ("mia", "tom"))
    old, _ = freeze_version(dataset=dataset)
    spent = {"dataset": dataset, "action": Action.KEEP}
    Decision.objects.create(**spent, by=mia, seconds=30.0)
    undone = Decision.objects.create(**spent, by=tom, seconds=1.5)
    Decision.objects.create(dataset=dataset, action=Action.UNDO, by=mia, seconds=0.5, undoes=undone)
    dataset.items.filter(key="0005").update(excluded="so that it is another version")
    new, _ = freeze_version(dataset=dataset)
    found = changes.work_between(old, new)
    assert (found["seconds"], found["decisions"]) == (32.0, 1)
    assert found["people"] == [
        {"name": "mia", "n": 1, "seconds": 30.5},
        {"name": "tom", "n": 0, "seconds": 1.5},
    ]
    assert sum(row["seconds"] for row in found["by_action"]) + found["undone_seconds"] == 32.0


def test_answers_of_rounds_with_a_price_are_paid_for():
    dataset = make_words(items=6)
    old, _ = freeze_version(dataset=dataset)
    someone = Annotator.objects.create(dataset=dataset, name="ada")
    items = list(dataset.items.order_by("key"))
    for price, answers in (("0.25", [*SAID, "skip"]), (None, SAID[:1])):
        asking = Round.objects.create(dataset=dataset, name=f"at {price}", price=price)
        for item, answer in zip(items, answers, strict=False):
            Annotation.objects.create(
                round=asking, item=item, annotator=someone, answer=answer, seconds=2.0
            )
    dataset.items.filter(key="0005").update(excluded="so that it is another version")
    new, _ = freeze_version(dataset=dataset)
    found = changes.work_between(old, new)
    assert (found["answers"], found["paid_answers"], found["cost"]) == (5, 3, 0.75)


def test_a_version_that_is_not_there_is_refused_by_name():
    dataset = make_words(items=30)
    freeze_version(dataset=dataset)
    with pytest.raises(CommandError, match=r"no version v7.*Known: v1"):
        prove(dataset, 1, 7)


def test_nothing_is_compared_with_other_vectors_than_the_newest_run_learned_from():
    dataset = make_words(items=48, test_items=24)
    call_command("train", dataset.slug)
    run = Run.objects.get()
    made_here = run.backbone
    Run.objects.update(
        backbone="mobilenetv2-0.35-224-0123abcd-v1"
    )  # as a server with weights made it
    with pytest.raises(CommandError, match=r"mobilenetv2-0\.35.*WINNOW_WEIGHTS.*train again"):
        prove(dataset, 1, 1)
    assert not Comparison.objects.exists()
    assert list(Run.objects.all()) == [run]
    told = io.StringIO()
    call_command("train", dataset.slug, stderr=told)
    assert "Run 1 learned from mobilenetv2-0.35" in told.getvalue()
    prove(dataset, 1, 1)
    assert Comparison.objects.get().old.backbone == made_here


def test_a_separate_script_finds_the_same_from_the_exported_predictions(client, tmp_path):
    dataset = make_words(items=60, test_items=30)
    client.force_login(make_member(dataset, Role.LEAD))
    freeze_version(dataset=dataset)
    spoil(dataset, every=4)
    freeze_version(dataset=dataset)
    (tmp_path / "prove.json").write_text(json.dumps(prove(dataset, 1, 2)))
    pk = Comparison.objects.get().pk
    for side in ("before", "after"):
        response = client.get(reverse("quality:compared", args=[dataset.slug, pk, side]))
        (tmp_path / f"{side}.csv").write_bytes(b"".join(response))
    names = ("before.csv", "after.csv", "prove.json")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "equal to 1e-09" in done.stdout


def test_each_cell_of_a_comparison_leads_to_the_items_that_it_counts(client):
    dataset = make_words(items=60, test_items=30)
    dataset.items.filter(split=Split.TEST).update(source_group="one speaker")
    freeze_version(dataset=dataset)
    spoil(dataset, every=3)
    spoil(dataset, every=4, split=Split.TEST)
    freeze_version(dataset=dataset)
    prove(dataset, 1, 2)
    comparison = Comparison.objects.get()
    for side in comparisons.SIDES:
        counts = comparison.result[f"matrix_{side}"]
        for given, name in enumerate(comparison.result["classes"]):
            row = comparisons.keys_in_cell(comparison, side, given=name)
            assert len(row) == sum(counts[given])
            for predicted, other in enumerate(comparison.result["classes"]):
                keys = comparisons.keys_in_cell(comparison, side, given=name, predicted=other)
                assert len(keys) == counts[given][predicted]
    client.force_login(make_member(dataset, Role.REVIEWER))
    page = client.get(reverse("quality:before_after", args=[dataset.slug])).content.decode()
    first = comparison.result["classes"][0]
    address = reverse("quality:changed_items", args=[dataset.slug, comparison.pk, "after"])
    assert f"{address}?given={first}" in page
    shown = client.get(address, {"given": first}).content.decode()
    assert f"After: labelled {first}" in " ".join(shown.split())
    assert "No difference could be shown" in page
    for row in comparison.result["recalls"]:
        place = comparison.result["classes"].index(row["name"])
        counts = [comparison.result[f"matrix_{side}"][place] for side in comparisons.SIDES]
        assert [sum(row) for row in counts] == [row["n"], row["n"]]
        assert row["after"] == pytest.approx(counts[1][place] / row["n"])
        assert row["gained"] - row["lost"] == counts[1][place] - counts[0][place]
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["after_limits"]["low"] <= row["after"] <= row["after_limits"]["high"]
    assert comparison.result["groups"] == 1
    assert "All judged items come from 1 source: the interval says next to nothing" in page


def test_a_comparison_from_before_there_were_limits_by_class_still_tells_the_change():
    result = {"classes": ["sea", "sky"], "matrix_before": [[1, 3], [0, 0]]}
    rows = comparisons.recall_changes(result | {"matrix_after": [[2, 2], [0, 0]]})
    assert rows == [{"name": "sea", "n": 4, "before": 0.25, "after": 0.5, "difference": 0.25}]


def test_where_no_prediction_changed_the_page_says_so_first(client):
    dataset = make_words(items=60, test_items=30)
    freeze_version(dataset=dataset)
    dataset.items.filter(split=Split.TRAIN).first().delete()
    freeze_version(dataset=dataset)
    prove(dataset, 1, 2)
    comparison = Comparison.objects.get()
    result = comparison.result | {"newly_right": [], "newly_wrong": []}
    Comparison.objects.update(result=result | {"matrix_after": result["matrix_before"]})
    client.force_login(make_member(dataset, Role.REVIEWER))
    page = client.get(reverse("quality:before_after", args=[dataset.slug])).content.decode()
    assert f"Not one of {result['n']} predictions changed" in page
    assert f"same {result['n']} test items by the labels of v1" in page
    assert "McNemar" not in page
    assert f"Of {len(result['classes'])} classes" not in page
    assert "Recall by class" not in page


def test_the_cells_that_changed_most_are_told_where_a_matrix_has_no_room():
    names = [f"class{number}" for number in range(11)]
    before = [[5 if row == column else 0 for column in range(11)] for row in range(11)]
    after = [list(row) for row in before]
    after[3][3], after[3][4], after[7][7] = 1, 4, 6
    found = comparisons.difference_rows(names, before, after, order=list(range(11)))
    assert [cell["change"] for cell in found["most"]] == [-4, 4, 1]
    for cell, given, predicted in zip(found["most"], (3, 3, 7), (3, 4, 7), strict=True):
        cell |= {"given": names[given], "predicted": names[predicted]}
    page = render_to_string("quality/_matrix_difference.html", {"difference": found})
    told = page[page.index("matrix-list") :]
    assert told.index("class3") < told.index("class4") < told.index("class7")
