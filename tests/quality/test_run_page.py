"""The pages of runs: the list, one run, beside an earlier one, before the first fold."""

import re
from html import unescape

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling import version_columns
from labeling.models import Dataset, Item, Job, JobState, Role
from labeling.services import datasets, jobs, labels
from labeling.services.versions import columns_of, freeze_version
from quality import arrays, frozen
from quality.models import Run
from quality.queries.run_difference import difference_to, earlier_runs
from quality.services import figures
from tests.factories import make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db
INTERVAL = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 4}
METRICS = {
    "accuracy": INTERVAL, "macro_f1": INTERVAL,
    "baselines": [{"title": figures.MAJORITY, **INTERVAL}], "order": [1, 0], "groups": 4,
    "folds": [{"accuracy": 0.5, "n": 2, "epochs": 1}, {"accuracy": 0.5, "n": 2, "epochs": 2}],
    "curves": [
        {"loss": [float(n)], "accuracy": [0.5], "val_loss": [None], "val_accuracy": [None]}
        for n in (1, 2)
    ],
    "n": 4, "sealed": 0, "backbone": {"name": "b", "title": "B", "note": "", "is_fallback": False},
}  # fmt: skip


def make_run(dataset: Dataset, predicted: str) -> Run:
    """A finished run that said one class, named by its first letter, about each item."""
    version, _ = freeze_version(dataset=dataset)
    classes = ["cat", "dog"]
    counts = [[0, 0], [0, 0]]
    probabilities = np.full((len(predicted), 2), 0.1, dtype=np.float32)
    items = dataset.items.order_by("key").select_related("label")
    for row, (item, letter) in enumerate(zip(items, predicted, strict=True)):
        probabilities[row, "cd".index(letter)] = 0.9
        counts[classes.index(item.label.name)]["cd".index(letter)] += 1
    run = Run.objects.create(
        dataset=dataset, number=dataset.runs.count() + 1, version=version, backbone="b",
        protocol={"n_folds": 5, "seed": 0}, classes=classes,
        metrics={**METRICS, "confusion": counts}, finished_at=timezone.now(),
    )  # fmt: skip
    arrays.save_run(run, {"probabilities": probabilities})
    return run


@pytest.fixture
def pets() -> Dataset:
    dataset = make_dataset("pets", classes=("cat", "dog"))
    for number, label in enumerate(("cat", "cat", "dog", "dog")):
        make_item(dataset, f"{number}", label)
    return dataset


def page_of(client, run: Run, **asked: object) -> str:
    client.force_login(make_member(run.dataset, Role.LEAD))
    address = reverse("quality:run", args=[run.dataset.slug, run.number])
    return client.get(address, asked).content.decode()


def test_two_runs_differ_by_what_both_predicted(pets):
    old, new = make_run(pets, "cddc"), make_run(pets, "ccdc")
    found = difference_to(new, old)
    assert (found.n, found.before, found.after) == (4, 0.5, 0.75)
    assert found.change.value == pytest.approx(0.25)
    assert found.change.low <= 0.25 <= found.change.high
    cells = {
        (cell["given"], cell["predicted"]): (cell["change"], cell["gain"])
        for row in found.matrix["rows"]
        for cell in row["cells"]
    }
    assert cells["cat", "cat"] == (1, 1)
    assert cells["cat", "dog"] == (-1, 1)
    assert cells["dog", "dog"] == cells["dog", "cat"] == (0, 0)


def test_each_run_is_judged_by_the_labels_of_its_version(pets):
    old = make_run(pets, "ccdc")
    wrong = pets.items.get(key="3")
    labels.set_labels(labels={wrong.pk: pets.classes.get(name="cat")}, source="review")
    found = difference_to(make_run(pets, "ccdc"), old)
    assert (found.before, found.after, found.relabelled) == (0.75, 1.0, 1)


def test_runs_without_a_shared_item_are_not_compared(pets):
    old = make_run(pets, "ccdc")
    pets.items.all().delete()
    make_item(pets, "new", "cat")
    assert difference_to(make_run(pets, "c"), old) is None


def test_earlier_runs_are_finished_ones_newest_first(pets):
    first, second, third = (make_run(pets, "ccdd") for _ in range(3))
    Run.objects.filter(pk=second.pk).update(finished_at=None)
    assert earlier_runs(third) == [first]


def test_the_page_shows_the_difference_and_leads_to_its_items(client, pets):
    make_run(pets, "cddc")
    page = page_of(client, make_run(pets, "ccdc"), show="difference", against=1)
    assert "Minus run 1" in page
    assert "Run 2 minus run 1 (v1) on the 4 items that both predicted" in page
    assert ".500 → .750, +25.0 points" in page
    assert "given=cat&amp;predicted=cat" in page


def test_the_first_run_says_its_version_and_figures_and_offers_no_difference(client, pets):
    page = page_of(client, make_run(pets, "cddc"), show="difference")
    assert "Minus run" not in page
    assert "version v1, 4 items to learn from" in page
    assert "2 of 4 right, out of sample" in page
    assert "style=" not in page.replace("table-style", "")


def test_what_is_confused_most_stands_below_until_a_cell_is_chosen(client, pets):
    run = make_run(pets, "cddd")
    assert "cat read as dog: 1 item" in page_of(client, run)
    assert "Labelled dog: 2 items" in page_of(client, run, given="dog")
    assert "Read as cat: 1 item" in page_of(client, run, predicted="cat")


def test_a_lead_sends_a_cell_to_a_round(client, pets):
    run = make_run(pets, "cddd")
    assert "Make a round" in page_of(client, run)
    asked = {"action": "round", "round_kind": "verify", "round_name": "Run 1: cat read as dog"}
    item = pets.items.get(key="1")
    address = reverse("quality:selection", args=["pets"])
    [back] = re.findall(r'name="back" value="([^"]+)"', page_of(client, run))
    asked |= {"items": [item.pk], "back": unescape(back)}
    shown = client.get(client.post(address, asked).url)
    assert [tile.key for tile in shown.context["tiles"]] == ["1"]
    assert pets.rounds.get().kind == "verify"


def test_each_fold_shows_its_own_curves(client, pets):
    run = make_run(pets, "cddd")
    assert "Fold 2 as it learned" in page_of(client, run)
    page = page_of(client, run, fold=1)
    assert "Fold 1 as it learned" in page
    assert "1.000 learned from" in page
    assert "Fold 2 as it learned" in page_of(client, run, fold=99)


def test_a_test_score_clearly_below_what_was_shown_is_called_out(client, pets):
    run = make_run(pets, "cddd")
    for low, high, said in ((0.1, 0.3, True), (0.2, 0.48, False)):
        run.metrics["test"] = {"value": 0.25, "low": low, "high": high, "n": 40}
        run.save()
        assert (
            "On the opened test items it is right on .250, not on .500" in page_of(client, run)
        ) == said


def test_a_run_counts_how_often_its_kind_of_figure_served_to_choose(client, pets):
    first, second = make_run(pets, "cddd"), make_run(pets, "ccdd")
    second.metrics["backbone"] = {**METRICS["backbone"], "chosen_from": {"B": 0.5, "C": 0.4}}
    second.save()
    assert "served to choose so far: 1 (runs: 1, trials of vectors: 0)" in page_of(client, first)
    assert "served to choose so far: 4 (runs: 2, trials of vectors: 2)" in page_of(client, second)


def test_a_run_says_how_far_sure_and_right_lie_apart(client, pets):
    run = make_run(pets, "cddd")
    assert "As right as it is sure" not in page_of(client, run)
    limits = {"value": 0.0625, "low": 0.031, "high": 0.094}
    run.metrics["calibration"] = {
        "after": limits, "before": {**limits, "value": 0.125},
        "confidence": [0.45, 0.95], "right": [0.5, 0.9], "n": [2, 2],
    }  # fmt: skip
    run.save()
    page = page_of(client, run)
    assert "how often it is right by .062 on average (.031 to .094)" in page
    assert "inner held-out items: .125" in page


def test_the_curves_say_where_over_fitting_starts(client, pets):
    run = make_run(pets, "cddd")
    losses = {"loss": [3.0, 2.0, 1.0], "accuracy": [0.1, 0.2, 0.3], "val_accuracy": [0.1, 0.1, 0.1]}
    run.metrics["curves"] = [
        {**losses, "val_loss": [3.0, 2.0, 2.5]}, {**losses, "val_loss": [3.0, 2.5, 2.0]}
    ]  # fmt: skip
    run.save()
    assert "Over-fitting starts after epoch 2" in page_of(client, run, fold=1)
    assert "No over-fitting yet" in page_of(client, run, fold=2)


def test_an_empty_matrix_stands_there_before_the_first_fold(client, pets):
    make_run(pets, "ccdd")
    run = make_run(pets, "ccdd")
    job = jobs.open_job(kind="train", dataset=pets, queue="train")
    type(job).objects.filter(pk=job.pk).update(state=JobState.RUNNING, detail={"run": 2, "n": 4})
    Run.objects.filter(pk=run.pk).update(job=job, metrics={}, finished_at=None)
    page = page_of(client, run)
    assert "It fills as the model learns; when all folds are done" in page
    assert "So far, out of sample" in page, "its rows stand there before there are figures"
    assert page.index(">dog<") < page.index(">cat<"), "the order of the run before"
    assert "Fold 5" in page


def test_before_the_first_run_the_page_offers_to_train_and_sends_a_job(client, pets):
    client.force_login(make_member(pets, Role.LEAD))
    page = client.get(reverse("quality:runs", args=["pets"])).content.decode()
    assert "No run yet" in page
    client.post(reverse("quality:train", args=["pets"]))
    client.post(reverse("quality:train", args=["pets"]))
    job = Job.objects.get(kind="train")
    assert (job.state, job.queue, job.dataset) == (JobState.QUEUED, "train", pets)


def test_a_run_that_trains_shows_what_its_job_says(client, pets):
    run = make_run(pets, "cddd")
    job = jobs.open_job(kind="train", dataset=pets, queue="train")
    detail = {
        "run": 1, "fold": 2, "folds": 5, "at_hand": [3], "epochs": 60, "n": 6, "sealed": 0,
        "fold_scores": [{"accuracy": 0.75, "n": 4, "epochs": 9}],
        "confusion": [[3, 1], [0, 0]], "right": 3, "predicted": 4,
        "curves": {"loss": [1.0], "accuracy": [0.5], "val_loss": [1.1], "val_accuracy": [0.4]},
    }  # fmt: skip
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
    Run.objects.filter(pk=run.pk).update(job=job, metrics={}, finished_at=None)
    client.force_login(make_member(pets, Role.LEAD))

    def shown(**more):
        Job.objects.filter(pk=job.pk).update(detail=detail | more)
        return client.get(reverse("quality:run_live", args=["pets", 1])).content.decode()

    page = shown()
    assert "Training fold 2 of 5" in page
    assert 'hx-trigger="every 1s"' in page
    assert "4 of 6 predicted so far" in page
    assert ".750" in page
    assert "Accuracy of each fold" in page
    page = shown(early=7, fold_scores=[])
    assert "while learning: 4 of 6 items judged, epoch 7" in page
    assert "no fold at hand learns from" in page
    detail |= {"last": 4, "at_hand": [3, 7, 5]}
    page = shown()
    assert "Training folds 2 to 4 of 5" in page
    assert [f"{epoch} of 60" in page for epoch in (3, 7, 5)] == [True] * 3
    datasets.choose_success(dataset=pets, chosen={"metric": "macro_f1"})
    detail["fold_scores"][0]["success"] = 0.625
    page = shown(curves_by={"metric": "macro_f1"}, success=0.625)
    assert "Macro-F1 of each fold" in page
    assert page.count(".625") == 2  # of the fold, and so far


def test_a_cell_lists_exactly_the_items_that_it_counts(client, pets):
    run = make_run(pets, "dddd")
    probabilities = np.array([[np.nan, np.nan], *[[0.1, 0.9]] * 3], dtype=np.float32)
    arrays.save_run(run, {"probabilities": probabilities})  # the first was not predicted
    assert frozen.rows_where(run, given="cat", predicted="dog").tolist() == [1]
    assert frozen.rows_where(run, predicted="dog").tolist() == [1, 2, 3]
    assert frozen.rows_where(run, given="cat", predicted="cat").tolist() == []
    client.force_login(make_member(pets, Role.REVIEWER))
    address = reverse("quality:run_cell", args=["pets", 1])
    page = client.get(address, {"given": "cat", "predicted": "dog"}).content.decode()
    assert "cat read as dog: 1 item" in page


@pytest.mark.parametrize("is_kept", [True, False])
def test_columns_of_a_version_are_what_its_lines_say_kept_or_made_anew(is_kept):
    dataset = make_dataset()
    told = [("c", "cat", "test", ""), ("b", None, "none", "ann"), ("a", "dog", "train", "ann")]
    made = [
        make_item(dataset, key, label, split=split, source_group=source)
        for key, label, split, source in told
    ]
    version, _ = freeze_version(dataset=dataset)
    Item.objects.filter(pk=made[0].pk).update(split="train")  # after it was frozen
    if not is_kept:
        version_columns.remove(version)
    found = columns_of(version)
    assert found.items.tolist() == [item.pk for item in reversed(made)]
    assert found.labels_in(["cat", "dog"]).tolist() == [1, -1, 0]
    assert found.is_labelled("dog").tolist() == [True, False, False]
    assert not found.is_labelled("cow").any()
    assert found.is_in("train", "test").tolist() == [True, False, True]
    assert found.sources.tolist() == [0, 0, -1]
    assert version_columns.kept(version)


def test_cells_say_their_share_of_the_column_and_the_foot_the_precision(pets):
    run = make_run(pets, "cccd")
    page = page_of(client=Client(), run=run, show="column")
    cells = re.findall(r'title="(\w+) → (\w+): \d">([^<]+)<', page)
    assert cells == [("dog", "dog", "1.000"), ("dog", "cat", ".333"), ("cat", "cat", ".667")]
    foot = page[page.index("<tfoot>") : page.index("</tfoot>")]
    assert re.findall(r'<td class="edge">([^<]+)<', foot) == ["1.000", ".667"]


def test_the_first_run_is_offered_the_same_choices_as_later_ones(client, pets):
    client.force_login(make_member(pets, Role.LEAD))
    first = client.get(reverse("quality:runs", args=[pets.slug])).content.decode()
    make_run(pets, "cddc")
    later = client.get(reverse("quality:runs", args=[pets.slug])).content.decode()
    choices = re.findall(r'<select name="(\w+)"', first)
    assert {"scheme", "search"} <= set(choices)
    assert choices == re.findall(r'<select name="(\w+)"', later)
