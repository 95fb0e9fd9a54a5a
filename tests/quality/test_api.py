"""The API of what machines doubt: runs, flags, decisions, export."""

import pytest
from django.utils import timezone

from labeling.models import Dataset, Job
from labeling.services.versions import freeze_version
from quality.models import Flag, Run
from tests.factories import make_dataset, make_flag, make_item
from tests.labeling.test_api import make_program

pytestmark = pytest.mark.django_db


def test_a_training_is_opened_once_and_not_where_nothing_is_labelled():
    dataset = make_dataset()
    program = make_program(dataset, "lead")
    make_item(dataset, label="cat", split="test")
    empty = program.post(f"datasets/{dataset.slug}/runs")
    assert (empty.status_code, "Annotate some" in empty.json()["detail"]) == (409, True)
    assert not Job.objects.exists()
    make_item(dataset, label="cat")
    first = program.post(f"datasets/{dataset.slug}/runs")
    assert (first.status_code, first.json()["kind"]) == (202, "train")
    again = program.post(f"datasets/{dataset.slug}/runs")
    assert (again.status_code, str(first.json()["id"]) in again.json()["detail"]) == (409, True)


def test_runs_are_listed_newest_first():
    dataset = make_dataset()
    for number in (1, 2, 3):
        make_item(dataset, f"i{number}", label="cat")
        version, _ = freeze_version(dataset=dataset)
        Run.objects.create(
            dataset=dataset, number=number, version=version, backbone="b",
            protocol={"scheme": "time"}, classes=["cat"], finished_at=timezone.now(),
            metrics={"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}, "n": 9, "asked": 8},
        )  # fmt: skip
    path = f"datasets/{dataset.slug}/runs"
    program = make_program(dataset, "reviewer")
    first = program.get(path, limit=2).json()
    assert [row["run"] for row in first["runs"]] == [3, 2]
    told = {"judged_by": "time", "accuracy": 0.5, "n": 8, "test_openings": 0, "version": 3}
    assert first["runs"][0] | told == first["runs"][0]
    rest = program.get(path, before=first["next"]).json()
    assert ([row["run"] for row in rest["runs"]], rest["next"]) == ([1], None)


def test_a_training_takes_the_options_that_the_command_takes():
    dataset = make_dataset()
    make_item(dataset, label="cat")
    program = make_program(dataset, "lead")
    sent = {"judged_by": "hold-out", "augment": "shift+crop", "search": 60, "tune": 120}
    job = program.post(f"datasets/{dataset.slug}/runs", sent).json()
    asked = Job.objects.get(pk=job["id"]).options
    chosen = {"scheme": "hold-out", "augmentation": "crop+shift", "search": 60, "tuning": 120}
    assert asked | chosen == asked


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"judged_by": "time"}, "too few to go by time"),
        ({"judged_by": "luck"}, "judged_by"),
        ({"augment": "pitch"}, "There is no pitch here. Known: flip+crop+shift+brightness."),
        ({"search": 7}, "A search takes 60, 120, 300 seconds, or is off."),
        ({"tune": 7}, "Trying to fine-tune takes 120, 300, 600 seconds, or is off."),
    ],
)
def test_a_training_that_is_not_offered_is_refused_in_words(sent, words):
    dataset = make_dataset()
    refused = make_program(dataset, "lead").post(f"datasets/{dataset.slug}/runs", sent)
    assert (refused.status_code, words in refused.json()["detail"]) == (422, True)
    assert not Job.objects.exists()


@pytest.mark.parametrize("media", ["audio", "text"])
def test_fine_tuning_is_refused_where_no_network_can_be_tuned(media):
    dataset = make_dataset(media=media)
    make_item(dataset, label="cat")
    program = make_program(dataset, "lead")
    refused = program.post(f"datasets/{dataset.slug}/runs", {"tune": 120})
    assert refused.status_code == 422
    assert refused.json()["detail"].endswith("is not offered for this kind of item.")
    assert not Job.objects.exists()
    assert program.post(f"datasets/{dataset.slug}/runs", {"tune": "off"}).status_code == 202


def doubted(dataset: Dataset, split: str = "train") -> Flag:
    return make_flag(make_item(dataset, label="cat", split=split))


def test_a_flag_is_decided_once():
    dataset = make_dataset()
    program = make_program(dataset, "reviewer")
    flag = doubted(dataset)
    (listed,) = program.get(f"datasets/{dataset.slug}/flags", state="open").json()["flags"]
    assert (listed["id"], listed["items"][0]["label"]) == (flag.pk, "cat")
    response = program.post(f"flags/{flag.pk}/decision", {"action": "relabel", "seconds": 2})
    assert response.status_code == 201, response.content
    assert response.json()["after"][0]["label"] == "dog"
    again = program.post(f"flags/{flag.pk}/decision", {"action": "keep"})
    assert (again.status_code, list(again.json())) == (409, ["detail"])


def test_a_decision_about_a_test_item_needs_to_be_confirmed():
    dataset = make_dataset()
    program = make_program(dataset, "reviewer")
    flag = doubted(dataset, "test")
    path = f"flags/{flag.pk}/decision"
    assert program.post(path, {"action": "relabel"}).status_code == 409
    confirmed = program.post(path, {"action": "relabel", "test_confirmed": True})
    assert (confirmed.status_code, confirmed.json()["touches_test"]) == (201, True)


def test_an_annotator_is_told_which_role_flags_need():
    dataset = make_dataset()
    refused = make_program(dataset, "annotator").get(f"datasets/{dataset.slug}/flags")
    assert "needs the role Reviewer" in refused.json()["detail"]


def test_an_export_is_a_file():
    dataset = make_dataset()
    program = make_program(dataset, "reviewer")
    make_item(dataset, "a", "cat")
    path = f"datasets/{dataset.slug}/export"
    assert "freeze a version first" in program.get(path).json()["detail"]
    freeze_version(dataset=dataset)
    response = program.get(path, what="items", format="csv")
    assert b"".join(response).startswith(b"key,label,split")
