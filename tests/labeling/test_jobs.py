"""Jobs: claimed once, conditional on the attempt, given back when a worker is lost."""

from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.models import Job, JobState, Upload
from labeling.services import jobs
from tests.factories import make_dataset

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_a_dataset_has_one_open_job_of_a_kind() -> None:
    dataset = make_dataset()
    first = jobs.open_job(kind="train", dataset=dataset)
    with pytest.raises(jobs.JobOpenError) as refused:
        jobs.open_job(kind="train", dataset=dataset)
    assert refused.value.job == first
    jobs.cancel_job(job=first)
    assert jobs.open_job(kind="train", dataset=dataset) != first


def test_a_job_is_done_once_however_often_its_message_comes() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    done = []
    for _ in range(3):
        jobs.carry_out(job.pk, lambda work: {"n": done.append(1) or len(done)})
    job.refresh_from_db()
    assert (len(done), job.state, job.result) == (1, JobState.DONE, {"n": 1})


def test_a_validly_leased_job_is_left_alone_and_a_lost_one_is_taken_again() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    assert jobs.claim(job.pk)
    assert jobs.claim(job.pk) is None
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert [lost.pk for lost in jobs.take_jobs_to_resend()] == [job.pk]
    again = jobs.claim(job.pk)
    assert again
    assert again.attempt == 2


def test_an_attempt_that_lost_its_lease_changes_nothing() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())

    def overtaken(work: jobs.Work) -> dict[str, object]:
        Job.objects.filter(pk=job.pk).update(attempt=2)
        work.progress(5, 10, now=True)
        return {"never": True}

    jobs.carry_out(job.pk, overtaken)
    job.refresh_from_db()
    assert (job.state, job.done, job.result) == (JobState.RUNNING, 0, {})


def test_a_cancelled_job_stops_at_its_next_report() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())

    def cancelled(work: jobs.Work) -> dict[str, object]:
        jobs.cancel_job(job=Job.objects.get(pk=job.pk))
        work.progress(1, 2, now=True)
        return {}

    ended = jobs.carry_out(job.pk, cancelled)
    assert ended
    assert ended.state == JobState.CANCELLED


def test_a_job_whose_worker_is_lost_three_times_fails_visibly() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    for _ in range(jobs.MOST_ATTEMPTS):
        assert jobs.claim(job.pk)
        Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert jobs.claim(job.pk) is None
    assert jobs.give_up_lost_jobs() == 1
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert "lost 3 times" in job.error


def test_an_error_is_kept_on_the_row_and_a_refusal_in_words() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    with pytest.raises(ZeroDivisionError):
        jobs.carry_out(job.pk, lambda work: {"x": 1 / 0})
    job.refresh_from_db()
    assert job.error.startswith("ZeroDivisionError: division by zero")

    def refuse(work: jobs.Work) -> dict[str, object]:
        raise jobs.Refused("Label something first.")

    refused = jobs.carry_out(jobs.retry_job(job=job).pk, refuse)
    assert refused
    assert (refused.state, refused.error) == (JobState.FAILED, "Label something first.")


def test_the_page_of_an_import_watches_the_retry_of_its_job() -> None:
    dataset = make_dataset()
    job = jobs.open_job(kind="import", dataset=dataset)
    upload = Upload.objects.create(dataset=dataset, name="pets.zip", path="pets.zip", job=job)
    jobs.cancel_job(job=job)
    again = jobs.retry_job(job=job)
    upload.refresh_from_db()
    assert upload.job == again
