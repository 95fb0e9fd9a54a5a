"""Two versions and two runs compared by the success that was chosen on the task card."""

import numpy as np
import pytest

from labeling.models import Role
from labeling.queries.success import choice_of
from labeling.services import labels
from quality import arrays
from quality.models import Comparison
from quality.queries import comparisons
from quality.queries.changes import work_between
from quality.queries.history import history
from quality.queries.run_difference import difference_to
from quality.queries.success import Change, change_of, in_words
from quality.services import figures
from quality.services.compare import headline
from tests.factories import make_item, make_member
from tests.quality.test_run_page import make_run, page_of
from tests.quality.test_run_page import pets as _pets
from tests.quality.test_success import choose, rescore

pytestmark = pytest.mark.django_db
pets = _pets


def compare(dataset, before, after):
    """A Before/After of two runs that each said one letter an item, as `prove` keeps it."""
    old = make_run(dataset, before)
    spare, dog = dataset.items.get(key="spare"), dataset.classes.get(name="dog")
    labels.set_labels(labels={spare.pk: dog}, source="review")  # so that it is another version
    new = make_run(dataset, after)
    given = np.array([0, 0, 1, 1, -1])
    sides = {side: np.full((5, 2), np.nan) for side in ("before", "after")}
    right = {}
    for side, run in (("before", old), ("after", new)):
        sides[side][:4] = arrays.run_array(run, "probabilities")[:4]
        right[side] = sides[side][:4].argmax(axis=1) == given[:4]
    counts = [[0, 0], [0, 0]]
    accuracy = figures.paired(right["before"], right["after"], np.arange(4))
    spent = work_between(old.version, new.version) | {"seconds": 1800.0}
    row = {"kind": "relabelled", "items": 3, **accuracy}
    result = {
        **accuracy, "classes": ["cat", "dog"], "order": [0, 1], "on": "test", "groups": 4,
        "matrix_before": counts, "matrix_after": counts, "newly_right": ["3"], "newly_wrong": [],
        "right_before": 2, "right_after": 3, "changes": spent, "later_labels": None,
        "held_back": 0, "protocol": {"seed": 0}, "backbone": {"title": "B"},
        "old": {"version": 1, "run": 1}, "new": {"version": 2, "run": 2}, "contributions": [row],
    }  # fmt: skip
    comparison = Comparison.objects.create(dataset=dataset, old=old, new=new, result=result)
    kept = {**sides, "without_relabelled": sides["before"], "before_given": given}
    arrays.save_comparison(comparison.pk, kept)
    return comparison


@pytest.fixture
def compared(pets):
    make_item(pets, "spare", "cat")
    compare(pets, "cddcd", "cdddd")
    return pets


PAGES = {
    "before_after": "/d/pets/before-after/", "report": "/d/pets/report/", "datasets": "/",
    "overview": "/d/pets/",
}  # fmt: skip


def pages(client, dataset):
    client.force_login(make_member(dataset, Role.LEAD))
    return {name: client.get(address).content.decode() for name, address in PAGES.items()}


def test_a_comparison_says_how_the_chosen_metric_changed(client, compared):
    choose(compared, metric="accuracy", share_cat=0.2, share_dog=0.8)
    rescore(compared)
    for name, page in pages(client, compared).items():
        assert "Accuracy, as in production" in page, name
        assert "+40.0" in page, name  # .500 to .900; of the items as they are +25.0
    part = Comparison.objects.get().result["success"]["parts"]["relabelled"]
    assert part["difference"] == pytest.approx(0.4)


def test_a_cost_that_falls_is_a_gain_on_every_page(client, compared):
    choose(compared, metric="cost", cost_cat_dog=1, cost_dog_cat=8)
    rescore(compared)
    change = change_of(Comparison.objects.get().result, choice_of(compared))
    assert (change.before, change.after, change.difference) == pytest.approx((2.25, 0.25, -2.0))
    assert change.gain == pytest.approx(2.0)
    for name, page in pages(client, compared).items():
        assert "Cost an item" in page, name
        assert "−2.000" in page, name
        assert name == "datasets" or "ower is better" in page, name
    chart = {panel.title: panel for panel in history(compared)["panels"]}
    gains = next(panel for title, panel in chart.items() if title.startswith("Before/After"))
    assert "−2.000" in gains.marks[0].words
    assert gains.marks[0].tone == change.tone


def test_a_fall_of_cost_that_is_clear_is_told_as_bought_and_a_rise_as_a_loss(compared):
    choose(compared, metric="cost", cost_cat_dog=1, cost_dog_cat=8)
    choice, spent = choice_of(compared), {"changes": {"seconds": 60}}
    fall = Change(-0.5, -0.9, -0.1, 2.0, 1.5, choice=choice)
    rise = Change(0.5, 0.1, 0.9, 1.5, 2.0, choice=choice)
    assert "better by 0.500; −0.900 to −0.100" in comparisons.in_words(spent, [], change=fall)
    assert comparisons.in_words(spent, [], change=rise).startswith("A loss. Cost an item: 1.500")
    assert (fall.tone, rise.tone) == ("better", "worse")


def test_pages_fall_back_to_accuracy_and_say_so_until_the_choice_is_measured(client, compared):
    choose(compared, metric="macro_f1")
    page = pages(client, compared)["before_after"]
    assert "Accuracy on test" in page
    assert "Macro-F1: not measured yet" in page


def test_an_earlier_run_differs_by_the_chosen_metric_judged_by_the_labels_of_now(client, pets):
    old = make_run(pets, "cddc")
    new = make_run(pets, "ccdc")
    choose(pets, metric="cost", cost_cat_dog=1, cost_dog_cat=8)
    rescore(pets)
    found = difference_to(new, old)
    assert (found.chosen.before, found.chosen.after) == pytest.approx((2.25, 2.0))
    assert (found.chosen.gain, found.change.value) == pytest.approx((0.25, 0.25))
    page = page_of(client, new, show="difference", against=1)
    told = "by the labels of this run: 2.250 → 2.000, −0.250, paired"
    assert page.index(told) < page.index('id="accuracy-title"')


def test_before_after_prints_the_change_of_the_chosen_metric(compared):
    comparison = Comparison.objects.get()
    assert "success" not in headline(comparison)
    choose(compared, metric="cost", cost_cat_dog=1, cost_dog_cat=8)
    rescore(compared)
    comparison.refresh_from_db()
    told = headline(comparison)["success"]
    assert in_words(told, choice_of(compared)).startswith("2.250 -> 0.250: −2.000 (")
