"""Success chosen on the task card: kept, measured on every run, said first on every page."""

import numpy as np
import pytest
from django.urls import reverse

from labeling.forms.success import SuccessForm
from labeling.models import Job, LabelClass, Role
from labeling.queries.success import choice_of
from labeling.services import datasets, jobs
from quality import arrays
from quality.models import Run
from quality.queries import judge
from quality.queries.success import in_words
from quality.queries.verdict import Verdict, verdict_of
from quality.services import figures, present_system, runs, scoring
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_run_page import INTERVAL, make_run, page_of
from tests.quality.test_run_page import pets as _pets

pytestmark = pytest.mark.django_db
pets = _pets


def choose(dataset, **sent):
    """Fill the form in; `share_cat` and `cost_cat_dog` name fields by class."""
    names = {row.name: str(row.pk) for row in dataset.classes.all()}
    named = {"_".join(names.get(part, part) for part in name.split("_")): value
             if name != "positive" else names[value] for name, value in sent.items()}  # fmt: skip
    named = {"macro_f1" if name == "" else name: value for name, value in named.items()}
    form = SuccessForm(named, dataset=dataset)
    if form.is_valid():
        datasets.choose_success(dataset=dataset, chosen=form.chosen())
    return form


def rescore(dataset):
    job = jobs.open_job(kind="score", dataset=dataset)
    jobs.carry_out(job.pk, scoring.score)
    return Job.objects.get(pk=job.pk)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"metric": "recall", "precision": 0.9}, "Choose the class"),
        ({"metric": "recall", "positive": "cat"}, "least precision"),
        ({"metric": "accuracy", "share_cat": 0.5, "share_dog": 0.6}, "must add to 1"),
        ({"metric": "accuracy", "share_cat": 0.5}, "must add to 1"),
        ({"metric": "roc_auc", "positive": "cat", "share_dog": 1}, "Production must have “cat”"),
        ({"metric": "cost", "cost_cat_dog": 0, "cost_dog_cat": 0}, "a cost above 0"),
        ({"metric": "accuracy", "share_cat": "nan"}, "Enter a number"),
        ({"metric": "accuracy", "share_cat": -1, "share_dog": 2}, "greater than or equal to 0"),
        ({"metric": "best"}, "not one of the available choices"),
    ],
)
def test_a_choice_that_cannot_be_measured_is_refused_and_nothing_kept(pets, sent, words):
    form = choose(pets, **sent)
    assert words in str(form.errors)
    pets.refresh_from_db()
    assert pets.success == {}


def test_what_was_chosen_is_shown_again_and_can_be_taken_back(pets):
    choose(pets, metric="cost", cost_cat_dog=5, share_cat=0.1, share_dog=0.9, reason="dogs bite")
    pets.refresh_from_db()
    shown = SuccessForm(dataset=pets)
    cat, dog = pets.classes.all()
    assert shown.initial[f"cost_{cat.pk}_{dog.pk}"] == 5
    assert shown.initial[f"cost_{dog.pk}_{cat.pk}"] == 1
    assert shown.initial[f"share_{cat.pk}"] == pytest.approx(0.1)
    choose(pets, metric="")
    assert choice_of(pets) is None


def test_thirds_in_hundredths_add_to_one():
    dataset = make_dataset(classes=("a", "b", "c"))
    assert not choose(dataset, metric="accuracy", share_a=0.33, share_b=0.33, share_c=0.34).errors
    dataset.refresh_from_db()
    assert sum(dataset.success["shares"].values()) == pytest.approx(1)


def test_many_classes_have_one_cost_each_instead_of_a_matrix():
    dataset = make_dataset(classes=tuple("abcdefghi"))
    form = choose(dataset, metric="cost", cost_a=7)
    assert not form.errors
    assert [len(row["cells"]) for row in form.cost_rows()] == [1] * 9
    costs = judge._cost_matrix(choice_of(dataset), list("abcdefghi"))
    assert costs[0].tolist() == [0] + [7] * 8
    assert costs[1].tolist() == [1, 0] + [1] * 7


def test_of_many_classes_single_kinds_of_mistakes_cost_something_else():
    dataset = make_dataset(classes=tuple("abcdefghi"))
    form = choose(dataset, metric="cost", cost_a=7, exceptions="a → c = 20\n\nb->a=0.5\n")
    assert not form.errors
    costs = judge._cost_matrix(choice_of(dataset), list("abcdefghi"))
    assert costs[0].tolist() == [0, 7, 20] + [7] * 6
    assert costs[1].tolist() == [0.5, 0] + [1] * 7
    assert SuccessForm(dataset=dataset)["exceptions"].value() == "a → c = 20\nb → a = 0.5"
    for wrong in ("a → z = 3", "a → c", "a → a = 2", "a → c = -1", "a → c = nan"):
        assert wrong in str(choose(dataset, metric="cost", exceptions=wrong).errors["exceptions"])
    assert choice_of(dataset).costs["a"]["c"] == 20, "what cannot be read changes nothing"


def test_costs_of_classes_whose_names_hold_arrows_are_told_apart():
    dataset = make_dataset(classes=("a", "a → b", "b → c", "c", *"defgh"))
    form = choose(dataset, metric="cost", exceptions="a → b → c = 5")
    assert "several pairs" in str(form.errors["exceptions"])
    lines = '"a → b" → c = 5\na → "b → c" = 6\na → c = 7'
    assert not choose(dataset, metric="cost", exceptions=lines).errors
    dataset.refresh_from_db()
    costs = choice_of(dataset).costs
    assert (costs["a → b"]["c"], costs["a"]["b → c"], costs["a"]["c"]) == (5, 6, 7)
    shown = SuccessForm(dataset=dataset)["exceptions"].value()
    assert set(shown.splitlines()) == set(lines.splitlines())


def test_costs_of_a_matrix_are_kept_when_it_gets_too_large_to_show():
    dataset = make_dataset(classes=tuple("abcdefgh"))
    choose(dataset, metric="cost", cost_a_b=9)
    datasets.add_classes(dataset=dataset, names=["i"])
    form = SuccessForm(dataset=dataset)
    assert form["exceptions"].value() == "a → b = 9"


def test_costs_of_many_classes_are_shown_and_kept_to_the_last_digit():
    dataset = make_dataset(classes=tuple("abcdefghi"))
    choose(dataset, metric="cost", exceptions="a → b = 1234567.5\na → c = 0.12345678")
    shown = SuccessForm(dataset=dataset)["exceptions"].value()
    assert shown == "a → b = 1234567.5\na → c = 0.12345678"


def test_runs_are_measured_again_by_what_is_chosen_with_production_shares(pets):
    run = make_run(pets, "cddd")  # of two cats one is found, of two dogs both
    choose(pets, metric="accuracy", share_cat=0.1, share_dog=0.9)
    assert rescore(pets).result == {"runs": 1, "comparisons": 0}
    run.refresh_from_db()
    kept = run.metrics["success"]
    assert kept["value"] == pytest.approx(0.1 * 0.5 + 0.9 * 1)
    assert kept["low"] < kept["value"] < kept["high"]


def test_a_renamed_class_keeps_its_figures(pets):
    run = make_run(pets, "cddd")
    choose(pets, metric="roc_auc", positive="cat")
    rescore(pets)
    LabelClass.objects.filter(dataset=pets, name="cat").update(name="kitten")
    run.refresh_from_db()
    assert run.metrics["success"]["by"] == choice_of(pets).by
    assert "ROC AUC of “kitten”" in choice_of(pets).title


def test_a_class_that_a_run_never_saw_is_said_instead_of_a_figure(pets, client):
    run = make_run(pets, "cddd")
    datasets.add_classes(dataset=pets, names=["fish"])
    choose(pets, metric="accuracy", share_cat=0.5, share_dog=0.3, share_fish=0.2)
    rescore(pets)
    run.refresh_from_db()
    assert "There are no predictions of the class “fish”" in page_of(client, run)


def test_every_page_speaks_of_the_choice_first_and_keeps_the_accuracy_beside_it(client, pets):
    run = make_run(pets, "cddd")
    before = page_of(client, run)
    assert "Choose another measure of success" in before
    page = reverse("quality:success", args=["pets"])
    cat = pets.classes.get(name="cat").pk
    sent = {"metric": "recall", "positive": cat, "precision": "0.9", "reason": "cats hide"}
    refused = client.post(page, {**sent, "precision": "1.7"})
    assert refused.status_code == 422
    assert len(refused.context["form"].errors["precision"]) == 1
    assert client.post(page, sent).status_code == 302
    assert "not measured yet" in client.get(f"/d/pets/runs/{run.number}/").content.decode()
    jobs.carry_out(Job.objects.get(kind="score").pk, scoring.score)
    title = "Recall of “cat” at a precision of .900 or more"
    shown = client.get(f"/d/pets/runs/{run.number}/").content.decode()
    assert shown.index(title) < shown.index('id="accuracy-title"')
    assert "cats hide" in shown
    for address in ("/d/pets/runs/", "/d/pets/", "/d/pets/settings/"):
        shown = client.get(address).content.decode()
        assert title in shown
        assert "ccuracy" in shown or "settings" in address


def test_without_a_choice_pages_stay_as_they_were(client, pets):
    run = make_run(pets, "cddd")
    assert 'id="success-title"' not in page_of(client, run)
    assert "Accuracy, out of sample" in client.get("/d/pets/").content.decode()


def test_what_needs_no_training_stands_beside_in_the_chosen_metric(client, pets):
    run = make_run(pets, "cddd")
    near = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]], dtype=np.float32)
    arrays.save_run(run, {"majority": np.array([1, 1, 0, 0]), "centroid": near})
    choose(pets, metric="cost", cost_cat_dog=1, cost_dog_cat=8)
    rescore(pets)
    run.refresh_from_db()
    told = {row["title"]: row["value"] for row in run.metrics["success"]["baselines"]}
    assert told == {figures.MAJORITY: pytest.approx(4.5), figures.CENTROID: pytest.approx(2.0)}
    assert run.metrics["success"]["lead"]["difference"] == pytest.approx(-1.75)
    page = page_of(client, run)
    assert page.index("4.500") < page.index('id="accuracy-title"')
    assert "Against “Nearest centroid”: −1.750" in page


def test_an_imported_run_has_the_commonest_class_beside_it_in_the_chosen_metric(pets):
    run = make_run(pets, "cddd")
    Run.objects.update(is_imported=True)
    choose(pets, metric="macro_f1")
    rescore(pets)
    run.refresh_from_db()
    [row] = run.metrics["success"]["baselines"]
    assert (row["title"], row["value"]) == (figures.MAJORITY, pytest.approx(1 / 3))
    told = present_system.summary(run)["success"]
    assert (told["title"], told["value"]) == ("Macro-F1", run.metrics["success"]["value"])


def test_a_list_of_runs_asks_as_often_for_many_as_for_few(
    client, pets, django_assert_max_num_queries
):
    choose(pets, metric="macro_f1")
    client.force_login(make_member(pets, Role.LEAD))
    make_item(pets, "more", "cat")
    make_run(pets, "ccddc")
    with django_assert_max_num_queries(40) as few:
        client.get("/d/pets/runs/")
    version = Run.objects.first().version
    for number in range(2, 12):
        Run.objects.create(
            dataset=pets, number=number, version=version, protocol={}, backbone="b",
            metrics=Run.objects.first().metrics, finished_at=version.created_at,
        )  # fmt: skip
    with django_assert_max_num_queries(len(few)):
        client.get("/d/pets/runs/")


def test_verdicts_are_given_by_the_chosen_metric_and_a_cost_must_fall(client, pets):
    run = make_run(pets, "cddd")
    near = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]], dtype=np.float32)
    arrays.save_run(run, {"majority": np.array([1, 1, 0, 0]), "centroid": near})
    choose(pets, metric="cost", cost_cat_dog=1, cost_dog_cat=8)
    rescore(pets)
    run.refresh_from_db()
    kept = run.metrics["success"]
    said = verdict_of(run)
    assert (kept["signal"]["found"], kept["lead"]["found"]) == (False, False)  # four items
    assert "Cost an item: 0.250, by always saying the commonest class 4.500" in said.no_signal
    assert "still doubt labels" in said.no_signal  # by accuracy it has a signal
    kept["signal"] |= {"low": -7.0, "high": -2.0}
    assert "Cost an item: training is not clearly better" in verdict_of(run).not_better
    kept["lead"] |= {"difference": -0.5, "low": -0.9, "high": -0.1}
    assert verdict_of(run) == Verdict()
    kept["lead"] |= {"difference": 0.5, "low": 0.1, "high": 0.9}
    assert verdict_of(run).not_better


def test_opened_test_items_are_called_below_by_the_chosen_metric(pets):
    run = make_run(pets, "cddd")
    choose(pets, metric="cost", cost_cat_dog=1, cost_dog_cat=8)
    by = choice_of(pets).by
    shown, worse = {"value": 0.2, "low": 0.1, "high": 0.3}, {"value": 2.0, "low": 1.5, "high": 2.5}
    run.metrics |= {"test": INTERVAL, "success": {"by": by, **shown, "test": worse}}
    assert "Cost an item is 2.000 on the opened test items, not 0.200" in verdict_of(run).test_below
    run.metrics["success"] |= {**worse, "test": shown}
    assert not verdict_of(run).test_below


def test_what_guessing_is_ahead_by_is_no_signal_and_the_order_of_the_class_is(pets):
    run = make_run(pets, "cddd")
    arrays.save_run(run, {"majority": np.array([1, 1, 0, 0])})
    labels = np.arange(4) % 2
    run.metrics["signal"] = figures.signal_of(labels < 0, labels=labels, groups=np.arange(4))
    run.save()
    choose(pets, metric="macro_f1")
    rescore(pets)
    run.refresh_from_db()
    run.metrics["success"]["signal"] |= {"low": 0.1, "high": 0.4, "found": True}
    assert not run.has_signal
    assert "who guesses without looking may be as far ahead" in verdict_of(run).no_signal
    choose(pets, metric="roc_auc", positive="dog")
    rescore(pets)
    run.refresh_from_db()
    order = run.metrics["success"]["order"]
    assert not order["found"]  # four items
    assert "50 % is chance" in verdict_of(run).no_signal
    order["found"] = True
    assert run.has_signal


def test_curves_show_the_metric_that_they_were_learned_under(client, pets):
    run = make_run(pets, "cddd")
    choose(pets, metric="cost", cost_cat_dog=1, cost_dog_cat=8)
    curve = {"loss": [1.0, 0.5], "accuracy": [0.5, 0.6], "val_loss": [1.1, 0.9]}
    curve |= {"val_accuracy": [0.4, 0.5], "val_success": [3.0, 2.5]}
    run.metrics |= {"curves": [curve], "curves_by": choice_of(pets).by}
    run.save()
    shown = page_of(client, run)
    assert "Cost an item after 2 epochs: 2.500 held out. Lower is better." in shown
    assert 'id="successes"' in shown
    choose(pets, metric="macro_f1")
    assert 'id="accuracies"' in page_of(client, run)


def test_commands_print_the_chosen_metric_beside_the_accuracy(pets):
    run = make_run(pets, "cddd")
    run.metrics |= {"seconds": 1.0}
    choose(pets, metric="cost", cost_cat_dog=1, cost_dog_cat=8)
    assert runs.summary(run)["success"]["reason"] == "not measured yet"
    rescore(pets)
    run.refresh_from_db()
    run.metrics |= {"seconds": 1.0}
    told = runs.summary(run)["success"]
    assert (told["metric"], told["lower_is_better"], told["value"]) == ("cost", True, 0.25)
    assert in_words(told, choice_of(pets)).startswith("0.250 (0.0")
