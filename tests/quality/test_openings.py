"""The page on which a lead opens sealed test items, and where every look stands."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from labeling.models import Job, JobState, Role
from labeling.services import jobs
from quality.models import Run, TestOpening
from quality.services import runs
from tests.factories import make_dataset, make_member
from tests.labeling.test_api import make_program
from tests.quality.words import make_words

pytestmark = pytest.mark.django_db


def page_of(dataset):
    return reverse("quality:openings", args=[dataset.slug])


def test_a_lead_opens_the_test_items_of_a_run_and_the_reason_stands_there(client):
    dataset = make_words(items=36, test_items=12)
    call_command("train", dataset.slug, "--json")
    lead = make_member(dataset, Role.LEAD)
    client.force_login(lead)
    run_page = client.get(reverse("quality:run", args=[dataset.slug, 1])).text
    assert f"{page_of(dataset)}?run=1" in run_page
    assert client.post(page_of(dataset), {"run": 1, "reason": " "}).status_code == 422
    assert not Job.objects.filter(kind=runs.OPENING).exists()
    client.post(page_of(dataset), {"run": 1, "reason": "release <2>"})
    job = Job.objects.get(kind=runs.OPENING)
    assert "Opening the test items" in client.get(page_of(dataset)).text
    assert jobs.carry_out(job.pk, runs.open_test_of).state == JobState.DONE
    looked = TestOpening.objects.get()
    assert (looked.by, looked.reason, looked.run) == (lead, "release <2>", Run.objects.get())
    assert Run.objects.get().metrics["test"]["n"] == 12
    shown = client.get(page_of(dataset)).text
    assert "opened 1 time" in shown
    assert "release &lt;2&gt;" in shown
    assert lead.username in shown


def test_a_reviewer_reads_who_looked_and_may_not_look(client):
    dataset = make_words(items=36, test_items=12)
    call_command("train", dataset.slug, "--json", open_test=True, reason="first report")
    client.force_login(make_member(dataset, Role.REVIEWER))
    shown = client.get(page_of(dataset)).text
    assert "first report" in shown
    assert "Open the test items" not in shown
    assert client.post(page_of(dataset), {"run": 1, "reason": "me too"}).status_code == 403


def test_a_look_without_a_reason_from_the_command_line_says_so(client, capsys):
    dataset = make_words(items=36, test_items=12)
    call_command("train", dataset.slug, "--json", open_test=True)
    assert "--reason" in capsys.readouterr().err
    client.force_login(make_member(dataset, Role.REVIEWER))
    assert "none was given (train --open-test)" in client.get(page_of(dataset)).text


def test_a_set_without_test_items_or_runs_says_what_is_missing(client):
    dataset = make_dataset()
    client.force_login(make_member(dataset, Role.LEAD))
    assert "no labelled test items" in client.get(page_of(dataset)).text
    words = make_words(items=6, test_items=2)
    client.force_login(make_member(words, Role.LEAD))
    assert "Train first" in client.get(page_of(words)).text
    assert client.post(page_of(words), {"run": 7, "reason": "x"}).status_code == 422


def test_the_api_opens_test_items_for_a_reason_alone():
    dataset = make_words(items=36, test_items=12)
    program = make_program(dataset, Role.LEAD)
    path = f"datasets/{dataset.slug}/runs"
    assert program.post(path, {"open_test": True}).status_code == 422
    assert program.post(path, {"open_test": True, "reason": "a report"}).status_code == 202
    assert Job.objects.get(kind="train").options["reason"] == "a report"
