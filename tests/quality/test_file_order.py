"""A file in an order is a finding of its own, and splits dealt anew are its repair."""

import numpy as np
import pytest
from django.urls import reverse

from labeling.models import Item, Role
from mlcore.neighbours import nearest
from quality.doubts.order import find_ordered_files
from quality.models import Decision, Flag
from quality.queries.survey import Survey, survey_of
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_flags import raise_doubts

pytestmark = pytest.mark.django_db


def make_file(labels: list[str], *, folder: bool = False, splits: str = "") -> Survey:
    """Items imported in this order, under names in another order; `splits` is cut or mixed."""
    dataset = make_dataset()
    names = np.random.default_rng(1).permutation(len(labels))
    for place, (number, label) in enumerate(zip(names.tolist(), labels, strict=True)):
        is_test = place >= 0.8 * len(labels) if splits == "cut" else place % 5 == 0
        split = ("train", "test")[is_test] if splits else "none"
        key = f"{label}/{number:03}.png" if folder else f"{number:03}.png"
        make_item(dataset, key, label, split=split)
    return survey_of(dataset)


SORTED = ["cat"] * 35 + ["dog"] * 35


def test_a_sorted_file_is_told_and_class_folders_or_a_shuffled_one_are_not():
    (doubt,) = find_ordered_files(make_file(SORTED))
    assert doubt.reason.startswith("Items of one class stand together in the file (100 in 100")
    assert doubt.is_likely
    assert doubt.evidence["p_value"] <= 0.01
    assert not list(find_ordered_files(make_file(SORTED, folder=True)))
    shuffled = np.random.default_rng(0).permutation(SORTED).tolist()
    assert not list(find_ordered_files(make_file(shuffled)))


def test_an_order_that_the_splits_do_not_follow_is_only_a_candidate():
    (cut,) = find_ordered_files(make_file(SORTED, splits="cut"))
    (mixed,) = find_ordered_files(make_file(SORTED, splits="mixed"))
    assert cut.is_likely
    assert "divide anew" in cut.reason
    assert not mixed.is_likely


def test_takes_are_told_by_the_order_of_the_import_not_of_the_names(client):
    survey = make_file(["cat", "dog"] * 40, splits="cut")
    rng = np.random.default_rng(2)
    vectors = np.repeat(rng.normal(size=(8, 6)), 10, axis=0) + 0.3 * rng.normal(size=(80, 6))
    row_of = np.argsort(np.argsort(survey.ids))
    survey.__dict__["graph"] = nearest(vectors[row_of])
    (doubt,) = find_ordered_files(survey)
    assert "takes of one session" in doubt.reason
    places = sorted(np.argsort(np.argsort(survey.ids))[list(doubt.rows)].tolist())
    assert places[-1] - places[0] < 20
    raise_doubts(survey.dataset, doubt, kind="file_order")
    client.force_login(make_member(survey.dataset, Role.LEAD))
    proposal = client.get(reverse("quality:divide", args=[survey.dataset.slug]))
    assert "Give the sources first" in proposal.text


def test_the_finding_leads_to_splits_dealt_anew_that_are_accepted_and_undone(client):
    survey = make_file(SORTED, splits="cut")
    dataset = survey.dataset
    raise_doubts(dataset, *find_ordered_files(survey), kind="file_order")
    client.force_login(make_member(dataset, Role.LEAD))
    anew = reverse("quality:divide", args=[dataset.slug])
    splits = reverse("quality:splits", args=[dataset.slug])
    assert splits in client.get(reverse("quality:queue", args=[dataset.slug, "file_order"])).text
    page = client.get(splits).text
    assert anew in page
    assert Flag.objects.get().reason.split(".")[0] in page
    page = client.get(anew)
    assert "dealt by chance" in page.text
    assert "Give the sources first" not in page.text
    sent = {"digest": page.context["mending"].digest, "test_confirmed": "on"}
    client.post(anew, sent)
    in_test = Item.objects.filter(dataset=dataset, split="test").values_list("label__name")
    assert sorted(name for (name,) in in_test) == ["cat"] * 7 + ["dog"] * 7
    client.post(reverse("quality:mend_undo", args=[dataset.slug]))
    assert set(Item.objects.filter(split="test").values_list("label__name", flat=True)) == {"dog"}
    assert Decision.objects.count() == 2
