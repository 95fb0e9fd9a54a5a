"""Training runs: what they predict, keep, refuse and never look at."""

import csv
import io
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from labeling import shards
from labeling.models import Job, JobState, LabelSource, Role
from labeling.queries.success import choice_of
from labeling.services import jobs, labels
from labeling.services.datasets import choose_success
from labeling.services.versions import freeze_version
from labeling.templatetags.figures import share
from mlcore import protocols
from mlcore.duplicates import LEAST_SCORE
from quality import arrays, tasks
from quality.models import Run, TestOpening
from quality.queries.protocols import can_go_by_time, scheme_of
from quality.queries.report.model import learned_of
from quality.queries.run_page import run_page
from quality.queries.runs import datasets_to_check
from quality.services import runs, scoring
from quality.services.material import stopped_in_words
from tests.factories import make_dataset, make_member
from tests.quality.words import add_text, make_words, train

pytestmark = pytest.mark.django_db


def test_training_predicts_every_label_outside_test_and_seals_the_rest(monkeypatch):
    monkeypatch.setattr(protocols, "SHUFFLES", 3)  # as everywhere but in tests
    dataset = make_words(items=48, test_items=12, unlabelled=4)
    result = train(dataset)
    run = Run.objects.get()
    keys, predicted, probabilities = arrays.run_predictions(run)
    known = dict(zip(keys, predicted, strict=True))
    is_labelled = {
        item.key: bool(item.label_id) and item.split != "test" for item in dataset.items.all()
    }
    assert {key for key, guess in known.items() if guess >= 0} == {
        key for key, labelled in is_labelled.items() if labelled
    }
    assert np.allclose(probabilities[predicted >= 0].sum(axis=1), 1, atol=1e-5)
    assert result["accuracy"] > result["baseline"] + 0.2
    assert 0 <= result["low"] <= result["accuracy"] <= result["high"] <= 1
    assert not TestOpening.objects.exists()
    assert sum(map(sum, run.metrics["confusion"])) == result["n"] == 48
    assert len(run.metrics["folds"]) == len(run.metrics["curves"]) == 15  # three shuffles
    assert_folds_follow_a_later_choice(run)


def assert_folds_follow_a_later_choice(run):
    trained = [fold["accuracy"] for fold in run.metrics["folds"]]
    for metric, title in (("accuracy", "Accuracy"), ("macro_f1", "Macro-F1")):
        choose_success(dataset=run.dataset, chosen={"metric": metric})
        scoring.score_run(run, choice_of(run.dataset))
        shown = run_page(run)["folds"]
        assert [fold["by"] for fold in shown] == [title] * 15
        told = run.metrics["success"]["folds"]
        assert [fold["words"] for fold in shown] == [share(value) for value in told]
        if metric == "accuracy":
            assert told == pytest.approx(trained)


def test_copies_and_sources_never_straddle_folds():
    dataset = make_words(items=48)
    for number in range(6):
        twin = dataset.items.get(key=f"{number:04d}")
        add_text(
            dataset, f"copy{number}", text=twin.content.text, label=twin.label.name, split="train"
        )
    train(dataset)
    run = Run.objects.get()
    folds = arrays.run_array(run, "folds")
    place = dict(zip(arrays.run_predictions(run)[0], folds, strict=True))
    groups = {}
    for item in dataset.items.select_related("content"):
        groups.setdefault(item.content_id, set()).add(place[item.key])
        if item.source_group:
            groups.setdefault(item.source_group, set()).add(place[item.key])
    assert all(len(found) == 1 for found in groups.values())


def test_copies_that_only_the_neighbours_tell_never_straddle_folds():
    dataset = make_words(items=48)
    pairs = []
    for number in range(8):
        twin = dataset.items.get(key=f"{number * 5:04d}")
        key = f"near{number}"
        text = twin.content.text.replace("the ", "the, ") + "."
        add_text(dataset, key, text=text, label=twin.label.name, split="train")
        pairs.append((twin.key, key))
    train(dataset)
    run = Run.objects.get()
    folds = dict(zip(arrays.run_predictions(run)[0], arrays.run_array(run, "folds"), strict=True))
    call_command("detect", dataset.slug, "--kind", "near_duplicate", stdout=io.StringIO())
    sets = [
        {folds[item.key] for item in flag.items.all()}
        for flag in dataset.flags.filter(kind="near_duplicate", score__gte=LEAST_SCORE)
    ]
    assert len(sets) >= len(pairs)
    assert all(len(found) == 1 for found in sets)


def test_an_item_taken_out_of_train_is_no_longer_learned():
    dataset = make_words(items=48)
    labels.move_items(items=[dataset.items.get(key="0007").pk], split="none")
    train(dataset)
    run = Run.objects.get()
    known = dict(zip(*arrays.run_predictions(run)[:2], strict=True))
    assert known["0007"] == -1
    assert (run.metrics["n"], run.metrics["left_out"]) == (47, 1)
    assert "1 labelled items in no split" in run_page(run)["facts"]["protocol"]


def test_a_dataset_that_was_never_divided_is_learned_whole():
    dataset = make_words(items=48)
    dataset.items.update(split="none")
    train(dataset)
    run = Run.objects.get()
    assert (run.metrics["n"], run.metrics["left_out"]) == (48, 0)


def test_a_run_by_time_learns_nothing_later_and_the_next_one_is_by_time_too():
    dataset = make_words(items=48)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for number, item in enumerate(dataset.items.order_by("key")):
        item.captured_at = begin + timedelta(days=number)
        item.save(update_fields=["captured_at"])
    train(dataset, judged_by="time")
    run = Run.objects.get()
    folds = arrays.run_array(run, "folds")
    assert (run.protocol["scheme"], run.metrics["asked"], run.metrics["n"]) == ("time", 40, 48)
    learned = [fold["learned"] for fold in run.metrics["folds"]]
    assert learned == [8, 16, 24, 32, 40]
    assert np.array_equal(folds, np.arange(48) // 8 - 1)
    for name in ("probabilities", "uncalibrated"):
        told = arrays.run_array(run, name)
        assert np.array_equal(np.isnan(told[:, 0]), folds < 0)
        assert told[folds >= 0].sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert sum(map(sum, run.metrics["confusion"])) == 40
    assert (runs.summary(run)["asked"], learned_of(run, None).n) == (40, 40)
    words = run_page(run)["facts"]["protocol"]
    assert "By time, in 5 steps" in words
    assert "8 items, the oldest" in words
    assert train(dataset)["unchanged"]
    assert scheme_of(dataset, {}) == "time"
    again = [train(dataset, judged_by=by) for by in ("hold-out", "time")]
    assert [(one["run"], one["unchanged"]) for one in again] == [(2, False), (3, False)]
    assert again[1]["accuracy"] == run.metrics["accuracy"]["value"]
    assert scheme_of(dataset, {"scheme": ""}) == ""


def test_time_is_offered_only_where_dates_differ(client):
    dataset = make_dataset("dated", classes=("cat", "dog"))
    client.force_login(make_member(dataset, Role.LEAD))
    assert not can_go_by_time(dataset)
    client.post(reverse("quality:train", args=[dataset.slug]), {"scheme": "time"})
    assert not Job.objects.exists()


def test_nothing_new_is_not_trained_again():
    dataset = make_words(items=30)
    first, second = train(dataset), train(dataset)
    assert (first["unchanged"], second["unchanged"]) == (False, True)
    assert second["accuracy"] == first["accuracy"]
    assert Run.objects.count() == 1


def test_a_changed_label_is_trained_and_only_new_contents_get_vectors():
    dataset = make_words(items=30)
    train(dataset)
    backbone = Run.objects.get().backbone
    before = set(shards.features_folder(backbone).glob("*.npy"))
    item = dataset.items.first()
    other = dataset.classes.exclude(pk=item.label_id).first()
    labels.set_labels(labels={item.pk: other}, source=LabelSource.REVIEW)
    assert train(dataset)["run"] == 2
    assert set(shards.features_folder(backbone).glob("*.npy")) == before
    add_text(dataset, "new", text="a wave near the old harbour", label="sea", split="train")
    assert train(dataset)["run"] == 3
    assert len(set(shards.features_folder(backbone).glob("*.npy"))) == len(before) + 1


def test_opening_the_test_items_is_counted_each_time():
    dataset = make_words(items=36, test_items=12)
    result = train(dataset, open_test=True, reason="release")
    assert result["test_n"] == 12
    assert result["test_openings"] == 1
    assert train(dataset, open_test=True, reason="again")["test_openings"] == 2
    assert list(TestOpening.objects.values_list("reason", flat=True).order_by("pk")) == [
        "release",
        "again",
    ]


@pytest.mark.parametrize(
    ("labels_of", "words"),
    [
        ((), "no items yet"),
        ((None, None), "has a label yet"),
        (("cat", "cat", "cat"), "at least 2 classes"),
        (("cat", "cat", "dog"), "at least 2 classes"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_words(labels_of, words):
    dataset = make_dataset(media="text")
    for number, label in enumerate(labels_of):
        add_text(dataset, str(number), text=f"text {number}", label=label)
    with pytest.raises(CommandError, match=words):
        train(dataset)
    assert not Run.objects.exists()


def test_one_source_for_everything_is_refused_in_words():
    dataset = make_words(items=30)
    dataset.items.update(source_group="only")
    with pytest.raises(CommandError, match="belong to one group"):
        train(dataset)


def test_a_defect_while_learning_is_told_as_one_and_not_as_a_refusal():
    job = jobs.open_job(kind="train", dataset=make_dataset())

    def learn(work):
        with stopped_in_words(work):
            np.zeros(2) + np.zeros(3)

    with pytest.raises(ValueError, match="broadcast"):
        jobs.carry_out(job.pk, learn)
    job.refresh_from_db()
    assert "Traceback" in job.error


def test_a_cancelled_training_stops_and_leaves_no_finished_run():
    dataset = make_words(items=30)
    job = jobs.open_job(kind="train", dataset=dataset)

    def cancel_in_training(running):
        if running.detail.get("fold"):
            jobs.cancel_job(job=Job.objects.get(pk=running.pk))

    ended = jobs.carry_out(job.pk, runs.train, watch=cancel_in_training)
    assert ended.state == JobState.CANCELLED
    assert Run.objects.get().finished_at is None


def test_every_head_of_several_shuffles_is_told_by_the_chosen_metric(monkeypatch):
    monkeypatch.setattr(protocols, "SHUFFLES", 3)  # as everywhere but in tests
    dataset = make_words(items=30)
    choose_success(dataset=dataset, chosen={"metric": "macro_f1"})
    train(dataset)
    run = Run.objects.get()
    folds = run_page(run)["folds"]
    assert len(folds) == 15
    assert {fold["by"] for fold in folds} == {"Macro-F1"}
    assert [fold["words"] for fold in folds] == [
        share(fold["success"]) for fold in run.metrics["folds"]
    ]


def test_a_training_tells_its_page_how_far_it_is():
    dataset = make_words(items=30)
    choose_success(dataset=dataset, chosen={"metric": "macro_f1"})
    job = jobs.open_job(kind="train", dataset=dataset)
    seen = []
    jobs.carry_out(job.pk, runs.train, watch=lambda running: seen.append(dict(running.detail)))
    folds = [detail["fold"] for detail in seen if detail.get("fold")]
    assert folds == sorted(folds)
    last = [detail for detail in seen if detail.get("confusion")][-1]
    assert sum(map(sum, last["confusion"])) == last["predicted"] == 30
    scores = [fold["success"] for fold in last["fold_scores"]]
    assert scores == pytest.approx(Run.objects.get().metrics["success"]["folds"], abs=1e-4)
    assert len(scores) == 5
    assert 0 < last["success"] <= 1
    assert any(detail.get("curves") and detail["curves"]["loss"] for detail in seen)


def test_predictions_leave_test_items_empty(client):
    dataset = make_words(items=30, test_items=6)
    train(dataset)
    client.force_login(make_member(dataset, Role.REVIEWER))
    response = client.get(reverse("quality:predictions", args=[dataset.slug, 1]))
    rows = list(csv.DictReader(io.StringIO(b"".join(response).decode())))
    assert len(rows) == 36
    assert {row["predicted"] for row in rows if row["split"] == "test"} == {""}
    assert all(
        row["predicted"] == max(("money", "sea", "sky"), key=lambda name: float(row[name]))
        for row in rows
        if row["split"] != "test"
    )


# ---- checks follow a training ----


def trained_by_worker(dataset):
    job = jobs.open_job(kind="train", dataset=dataset, queue="train")
    version, _ = freeze_version(dataset=dataset)
    Job.objects.filter(pk=job.pk).update(task_id="message", state=JobState.DONE)
    number = dataset.runs.count() + 1
    Run.objects.create(
        dataset=dataset, number=number, version=version, job=job, protocol={}, backbone="b",
        finished_at=timezone.now(),
    )  # fmt: skip


def test_a_run_that_no_checks_read_is_checked_even_when_its_worker_died_at_its_end():
    dataset = make_words(items=4)
    trained_by_worker(dataset)
    assert datasets_to_check() == [dataset]
    tasks.look_for_news()
    tasks.look_for_news()
    checks = Job.objects.get(kind="detect")
    assert datasets_to_check() == []
    jobs.cancel_job(job=checks)
    assert datasets_to_check() == []  # asked for, and a person said no


def test_checks_that_read_the_run_before_are_asked_for_again():
    dataset = make_words(items=4)
    earlier = jobs.open_job(kind="detect", dataset=dataset, queue="train")
    assert jobs.claim(earlier.pk)
    trained_by_worker(dataset)
    tasks.start_checks()
    assert Job.objects.filter(kind="detect").count() == 1
    Job.objects.update(state=JobState.DONE)
    tasks.start_checks()
    assert Job.objects.filter(kind="detect").count() == 2


def test_who_trains_by_command_runs_the_checks_by_command():
    dataset = make_words(items=4)
    trained_by_worker(dataset)
    Job.objects.update(task_id="")
    assert datasets_to_check() == []


def test_an_attempt_after_a_lost_one_opens_the_test_items_only_once():
    dataset = make_words(items=48, test_items=12)
    train(dataset)
    job = jobs.open_job(kind="train", dataset=dataset, options={"open_test": True, "reason": "a"})
    assert jobs.carry_out(job.pk, runs.train).result["test_openings"] == 1
    Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED)
    assert jobs.carry_out(job.pk, runs.train).result["test_openings"] == 1
