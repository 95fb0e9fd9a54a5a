"""Merging classes: one decision that moves labels and the guideline, and goes back whole."""

import uuid

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.models import (
    Annotation,
    Annotator,
    Dataset,
    Example,
    GoldItem,
    Job,
    LabelClass,
    Role,
    Upload,
    User,
)
from labeling.queries.crowd import said_in
from labeling.services import crowd, guidelines, jobs
from labeling.services.annotations import annotator_for
from labeling.services.datasets import choose_success
from labeling.services.guards import odd_about
from labeling.services.intake.recording import classes_by_name
from labeling.services.versions import freeze_version, read_manifest
from quality.models import Action, Decision, Flag, FlagState, Proposal
from quality.queries.survey import run_probabilities, survey_of
from quality.services import selection
from quality.services.merging import merge_classes
from quality.services.selection import NothingToChangeError, TestItemsError
from tests.factories import make_asking, make_dataset, make_flag, make_item, make_member
from tests.labeling.test_rounds import answer, make_annotator
from tests.quality.test_review_pages import FETCH
from tests.quality.test_run_page import make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset() -> Dataset:
    """Cats, kittens and dogs, with a guideline and an open round."""
    made = make_dataset("pets", classes=("kitten", "cat", "dog"))
    for number in range(3):
        make_item(made, f"kitten{number}", "kitten", split="train")
    make_item(made, "cat", "cat", split="train")
    guidelines.publish_guideline(dataset=made, text="Kittens are young cats.")
    return made


@pytest.fixture
def lea(dataset: Dataset) -> User:
    return make_member(dataset, Role.LEAD, "lea")


def merge(dataset: Dataset, by: User, **more: object) -> Decision:
    old, new = (dataset.classes.get(name=name) for name in ("kitten", "cat"))
    told = {"text": "A cat of any age.", **more}
    return merge_classes(dataset=dataset, old=old, new=new, by=by, **told)


def labels_of(dataset: Dataset) -> list[tuple[str, str, str]]:
    return list(dataset.items.order_by("key").values_list("key", "label__name", "label_source"))


def state_of(dataset: Dataset) -> list[object]:
    """Everything that a merge may touch, as values."""
    dataset.refresh_from_db()
    return [
        labels_of(dataset),
        list(dataset.classes.values_list("name", "key", "retired_at", "merged_into")),
        list(GoldItem.objects.values_list("label__name", "retired_at")),
        list(Example.objects.values_list("label__name", "item__key")),
        dataset.success,
        dataset.guidelines.first().text,
    ]


def furnish(dataset: Dataset) -> None:
    """Let everything that may name a class name the one that goes."""
    kitten, dog = (dataset.classes.get(name=name) for name in ("kitten", "dog"))
    item = dataset.items.get(key="kitten0")
    GoldItem.objects.create(item=item, label=kitten)
    guidelines.use_as_example(item=item, label=kitten, is_right=True)
    guidelines.publish_guideline(dataset=dataset, text="Kittens are young cats.")
    chosen = {"metric": "accuracy", "shares": {str(kitten.pk): 0.25, str(dog.pk): 0.75}}
    choose_success(dataset=dataset, chosen=chosen)


def test_labels_move_from_where_they_came_and_the_guideline_is_published(dataset, lea):
    made = merge(dataset, lea)
    assert {row[1:] for row in labels_of(dataset)} == {("cat", "import")}
    assert (made.action, len(made.before), made.by) == (Action.CLASSES, 3, lea)
    newest = dataset.guidelines.first()
    assert (newest.text, newest.change) == (
        "A cat of any age.",
        "“kitten” is part of “cat” now",
    )
    assert dataset.classes.get(name="kitten").retired_at


def test_whatever_named_the_class_follows_and_one_undo_brings_all_of_it_back(dataset, lea):
    furnish(dataset)
    before = state_of(dataset)
    made = merge(dataset, lea)
    cat = dataset.classes.get(name="cat")
    dataset.refresh_from_db()
    assert dataset.success["shares"][str(cat.pk)] == 0.25
    assert not GoldItem.objects.filter(retired_at=None).exists()
    assert Example.objects.get().label == cat
    selection.undo(made, by=lea)
    assert state_of(dataset) == before


def test_what_was_changed_since_stays_when_a_merge_is_undone(dataset, lea):
    made = merge(dataset, lea)
    dog = dataset.classes.get(name="dog")
    dataset.items.filter(key="kitten1").update(label=dog)
    guidelines.publish_guideline(dataset=dataset, text="Newer words.")
    undone = selection.undo(made, by=lea)
    assert (undone.restored, undone.left) == (2, 1)
    assert dataset.items.get(key="kitten1").label == dog
    assert dataset.guidelines.first().text == "Newer words."


def test_answers_stay_as_said_and_count_for_the_other_class(dataset, lea):
    item = make_item(dataset, "new")
    asking = make_asking(dataset, [item], answers_wanted=3)
    answer(asking, item, make_annotator(asking), "kitten")
    merge(dataset, lea)
    answer(asking, item, make_annotator(asking), "kitten")  # from a page opened before
    answer(asking, item, make_annotator(asking), "dog")
    item.refresh_from_db()
    assert item.label.name == "cat"
    assert list(Annotation.objects.order_by("pk").values_list("label__name", flat=True)) == [
        "kitten",
        "kitten",
        "dog",
    ]
    names = dict(LabelClass.objects.values_list("pk", "name"))
    assert [names[label] for _item, _person, label in said_in(dataset)] == ["cat", "cat", "dog"]
    asking.refresh_from_db()
    assert asking.guideline.text == "A cat of any age."
    job = jobs.open_job(kind="measure_crowd", dataset=dataset)
    assert jobs.carry_out(job.pk, crowd.measure_crowd).state == "done"
    item.refresh_from_db()
    assert item.label.name == "cat"


def test_versions_before_keep_both_classes_and_those_after_have_one(dataset, lea):
    old, _ = freeze_version(dataset=dataset)
    merge(dataset, lea)
    new, _ = freeze_version(dataset=dataset)
    told = [{line["label"] for line in read_manifest(version)} for version in (old, new)]
    assert told == [{"kitten", "cat"}, {"cat"}]


def test_doubts_that_name_the_class_are_over(dataset, lea):
    flag = make_flag(dataset.items.get(key="cat"), given="cat", suggested="kitten")
    other = make_flag(dataset.items.get(key="kitten0"), given="dog", suggested="cat")
    merge(dataset, lea)
    assert Flag.objects.get(pk=flag.pk).state == FlagState.GONE
    assert Flag.objects.get(pk=other.pk).state == FlagState.OPEN


def test_a_class_merged_twice_counts_for_the_last_one_until_that_is_undone(dataset, lea):
    merge(dataset, lea)
    cat, dog = (dataset.classes.get(name=name) for name in ("cat", "dog"))
    again = merge_classes(dataset=dataset, old=cat, new=dog, text="Pets.", by=lea)
    assert dataset.classes.get(name="kitten").meant == dog
    selection.undo(again, by=lea)
    assert dataset.classes.get(name="kitten").meant == cat


def test_an_import_that_names_the_merged_class_means_the_other(dataset, lea):
    upload = Upload.objects.create(dataset=dataset, name="more", path="")
    made = merge(dataset, lea)
    cat = dataset.classes.get(name="cat")
    assert classes_by_name(upload, ["kitten", "Kitten"]) == {"kitten": cat, "Kitten": cat}
    selection.undo(made, by=lea)
    assert classes_by_name(upload, ["kitten"])["kitten"].name == "kitten"


def test_runs_are_measured_again_where_success_named_the_class(client):
    pets = make_dataset("pets", classes=("cat", "dog", "bird"))
    for number, label in enumerate(("cat", "dog")):
        make_item(pets, f"{number}", label)
    make_run(pets, "cd")
    client.force_login(make_member(pets, Role.LEAD))
    ids = {row.name: row.pk for row in pets.classes.all()}
    choose_success(dataset=pets, chosen={"metric": "accuracy", "shares": {ids["dog"]: 1.0}})
    for old, new, is_measured in (("cat", "bird", False), ("dog", "bird", True)):
        sent = {"old": ids[old], "new": ids[new], "text": ""}
        assert client.post("/d/pets/settings/merge/", sent).status_code == 302
        assert Job.objects.filter(kind="score").exists() == is_measured


def test_checks_read_what_an_earlier_run_said_of_the_class_as_the_other():
    pets = make_dataset("pets", classes=("cat", "dog", "bird"))
    for number, label in enumerate(("cat", "dog")):
        make_item(pets, f"{number}", label)
    run = make_run(pets, "cd")
    dog, bird = pets.classes.get(name="dog"), pets.classes.get(name="bird")
    merge_classes(dataset=pets, old=dog, new=bird, text="", by=make_member(pets, Role.LEAD))
    found = run_probabilities(survey_of(pets), run)["probabilities"]
    assert found == pytest.approx(np.array([[0.9, 0, 0.1], [0.1, 0, 0.9]]))


def test_who_answers_by_the_merged_classes_is_not_warned_for_what_others_said_before(dataset, lea):
    items = [make_item(dataset, f"new{number:03}") for number in range(120)]
    asking = make_asking(dataset, items, name="x", answers_wanted=3, by=lea)
    users = [make_member(dataset, Role.ANNOTATOR, name) for name in ("ann", "bob", "eve")]
    people = [annotator_for(dataset=dataset, user=user) for user in users]
    labels = {row.name: row for row in dataset.classes.all()}

    def say(annotator: Annotator, name: str) -> None:
        Annotation.objects.bulk_create(
            Annotation(
                client_id=uuid.uuid4(), round=asking, item=item, annotator=annotator,
                answer="class", label=labels[name if number % 3 else "dog"], seconds=3,
            )
            for number, item in enumerate(items)
        )  # fmt: skip

    say(people[0], "kitten")
    say(people[1], "kitten")
    merge(dataset, lea)
    say(people[2], "cat")
    assert odd_about(people[2]) == []


def test_test_items_change_only_when_that_was_confirmed_and_no_reviewer_is_passed_over(
    dataset, lea
):
    dataset.items.filter(key="kitten0").update(split="test")
    with pytest.raises(TestItemsError, match="1 test item"):
        merge(dataset, lea)
    dataset.has_second_reviewer = True
    assert isinstance(merge(dataset, lea, test_confirmed=True), Proposal)
    dataset.has_second_reviewer = False
    assert merge(dataset, lea, test_confirmed=True).touches_test


def test_a_class_is_not_merged_into_itself_nor_into_a_retired_one(dataset, lea):
    dog = dataset.classes.get(name="dog")
    with pytest.raises(NothingToChangeError, match="two different"):
        merge_classes(dataset=dataset, old=dog, new=dog, text="", by=lea)
    merge(dataset, lea)
    with pytest.raises(NothingToChangeError, match="two different"):
        merge(dataset, lea)


def test_the_page_merges_in_one_step_and_takes_it_back(client, dataset, lea):
    client.force_login(lea)
    page = client.get("/d/pets/settings/merge/?old=kitten&new=cat").text
    assert "Kittens are young cats." in page
    ids = {row.name: row.pk for row in dataset.classes.all()}
    sent = {"old": ids["kitten"], "new": ids["cat"], "text": "A cat of any age."}
    dataset.items.filter(key="kitten0").update(split="test")
    refused = client.post("/d/pets/settings/merge/", sent)
    assert refused.status_code == 422
    assert "Nothing is merged yet: tick the box" in refused.text
    sent |= {"test_confirmed": "on"}
    page = client.post("/d/pets/settings/merge/", sent, follow=True).text
    assert "“kitten” is part of “cat” now: 3 items." in page
    assert "kitten → cat" in page
    nothing = client.post(reverse("quality:selection_undo", args=["pets"]), {}, **FETCH)
    assert "nothing of yours" in nothing.json()["text"]
    assert "Merge classes" in client.get("/d/pets/decisions/").text
    page = client.post(
        f"/d/pets/settings/merge/{Decision.objects.get().pk}/undo/", follow=True
    ).text
    assert "3 items have their class again." in page
    assert "kitten → cat" not in page


def test_without_two_classes_the_page_says_so_and_asks_nothing(client, dataset, lea):
    dataset.classes.exclude(name="cat").update(retired_at=timezone.now())
    client.force_login(lea)
    page = client.get("/d/pets/settings/merge/").text
    assert "Fewer than two classes" in page
    assert "<textarea" not in page
