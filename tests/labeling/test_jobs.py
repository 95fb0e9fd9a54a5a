"""Jobs: claimed once, conditional on the attempt, given back when a worker is lost."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone

from labeling.models import Job, JobState, Upload
from labeling.queries import job_outlook
from labeling.services import jobs, leases
from tests.factories import make_dataset, make_member

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
PATIENCE_SECONDS = 60  # says only how busy a machine may be


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


@pytest.mark.parametrize("report", [lambda work: work.progress(1, now=True), jobs.Work.check])
def test_a_cancelled_job_stops_at_its_next_report_or_look(
    report: Callable[[jobs.Work], None],
) -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    reached: list[jobs.Work] = []

    def cancelled(work: jobs.Work) -> dict[str, object]:
        jobs.cancel_job(job=Job.objects.get(pk=job.pk))
        report(work)
        reached.append(work)
        return {}

    ended = jobs.carry_out(job.pk, cancelled)
    assert ended
    assert ended.state == JobState.CANCELLED
    assert reached == []


def test_a_report_changes_what_it_names_and_is_written_now_and_then_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 60)  # on a busy machine, too
    job = jobs.open_job(kind="train", dataset=make_dataset())
    claimed = jobs.claim(job.pk)
    assert claimed
    told = []
    work = jobs.Work(claimed)
    for report in ({"done": 3, "total": 9, "message": "Reading"}, {"done": 4}, {"now": True}):
        work.progress(**report)  # type: ignore[arg-type]
        job.refresh_from_db()
        told.append((job.done, job.total, job.message))
    assert told == [(3, 9, "Reading"), (3, 9, "Reading"), (4, 9, "Reading")]


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_keeps_the_lease_and_tells_work_that_it_was_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.05)
    job = jobs.open_job(kind="train", dataset=make_dataset())
    told: list[bool] = []

    def silent(work: jobs.Work) -> dict[str, object]:
        lose_worker(job)
        until(lambda: not Job.objects.filter(pk=job.pk, lease_until__lt=timezone.now()).exists())
        told.append(work.should_stop())
        jobs.cancel_job(job=job)
        until(work.should_stop)
        work.check()
        return {}

    jobs.carry_out(job.pk, silent)
    job.refresh_from_db()
    assert (told, job.state) == ([False], JobState.CANCELLED)


def until(asked: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not asked():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_who_watches_a_job_is_told_each_report_and_its_end() -> None:
    dataset = make_dataset()
    job = jobs.open_job(kind="train", dataset=dataset)
    claimed = jobs.claim(job.pk)
    assert claimed
    steps = iter(
        [lambda: jobs.Work(claimed).progress(3, 9, now=True), lambda: jobs.cancel_job(job=job)]
    )

    async def watched() -> list[dict[str, object]]:
        client = AsyncClient()
        await client.aforce_login(await sync_to_async(make_member)(dataset))
        response = await client.get(reverse("labeling:job_events", args=[job.pk]))
        told = []
        async for event in response.streaming_content:
            told.append(json.loads(event.decode().split("data: ")[1]))
            await sync_to_async(next(steps, lambda: None))()
        return told

    told = [
        (event["state"], event["done"])
        for event in asyncio.run(asyncio.wait_for(watched(), PATIENCE_SECONDS))
    ]
    assert told == [("running", 0), ("running", 3), ("cancelled", 3)]


def lose_worker(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_job_whose_worker_is_lost_three_times_without_getting_further_fails_visibly() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    for _ in range(jobs.MOST_FRUITLESS):
        assert jobs.claim(job.pk)
        lose_worker(job)
    assert jobs.claim(job.pk) is None
    assert jobs.take_jobs_to_resend() == []
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert "lost 3 times in a row" in job.error


def test_workers_may_be_lost_as_often_as_attempts_get_further() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    for _ in range(3 * jobs.MOST_FRUITLESS):
        claimed = jobs.claim(job.pk)
        assert claimed
        jobs.Work(claimed).keep()
        lose_worker(job)
    assert [lost.pk for lost in jobs.take_jobs_to_resend()] == [job.pk]


def test_an_attempt_that_lost_its_lease_can_neither_hold_the_job_nor_keep_anything() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    claimed = jobs.claim(job.pk)
    assert claimed
    lose_worker(job)
    again = jobs.claim(job.pk)
    assert again
    for said in (jobs.Work(claimed).hold, jobs.Work(claimed).keep):
        with transaction.atomic(), pytest.raises(jobs.JobStoppedError):
            said()
    job.refresh_from_db()
    assert job.fruitless == 2


HOLD = """
import sys
from django.conf import settings
settings.configure(DATA_DIR=sys.argv[1])
from labeling.services import leases
with leases.held(int(sys.argv[2]), 1):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held_elsewhere(settings: Any) -> Iterator[tuple[Job, subprocess.Popen[bytes]]]:
    """A job that another process of this machine works on."""
    job = jobs.open_job(kind="train", dataset=make_dataset())
    assert jobs.claim(job.pk)
    command = [sys.executable, "-c", HOLD, str(settings.DATA_DIR), str(job.pk)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield job, process
        process.kill()


def test_a_killed_process_frees_its_job_at_once_and_a_live_one_keeps_it(
    held_elsewhere: tuple[Job, subprocess.Popen[bytes]],
) -> None:
    job, process = held_elsewhere
    assert jobs.claim(job.pk) is None
    process.kill()
    process.wait()
    again = jobs.claim(job.pk)
    assert again
    assert (again.attempt, again.fruitless) == (2, 2)


def test_an_attempt_that_was_ended_on_purpose_is_not_fruitless(
    held_elsewhere: tuple[Job, subprocess.Popen[bytes]],
) -> None:
    job, process = held_elsewhere
    process.kill()
    process.wait()
    assert jobs.release_dead_leases(is_blamed=False) == 1
    assert [lost.pk for lost in jobs.take_jobs_to_resend()] == [job.pk]
    again = jobs.claim(job.pk)
    assert again
    assert again.fruitless == 1


def test_the_lock_of_another_machine_says_nothing_here(
    held_elsewhere: tuple[Job, subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, process = held_elsewhere
    process.kill()
    process.wait()
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    assert jobs.release_dead_leases() == 0
    assert jobs.claim(job.pk) is None


def test_an_ended_attempt_leaves_no_lock_behind(settings: Any) -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    jobs.carry_out(job.pk, lambda work: {"alive": not leases.is_dead(job.pk, 1)})
    job.refresh_from_db()
    assert job.result == {"alive": True}
    assert not [path for path in settings.DATA_DIR.glob("leases/*/*") if path.is_file()]


def test_an_error_is_kept_on_the_row_and_a_refusal_in_words() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    with pytest.raises(ZeroDivisionError):
        jobs.carry_out(job.pk, lambda work: {"x": 1 / 0})
    job.refresh_from_db()
    assert job.error.startswith("ZeroDivisionError: division by zero")

    def refuse(work: jobs.Work) -> dict[str, object]:
        raise refusals.pop()("Label something first.")

    refusals = [jobs.Hopeless, jobs.Refused]
    for result in ({}, {"hopeless": True}):
        refused = jobs.carry_out(jobs.retry_job(job=job).pk, refuse)
        assert refused
        told = (refused.state, refused.error, refused.result)
        assert told == (JobState.FAILED, "Label something first.", result)


def test_the_page_of_an_import_watches_the_retry_of_its_job() -> None:
    dataset = make_dataset()
    job = jobs.open_job(kind="import", dataset=dataset)
    upload = Upload.objects.create(dataset=dataset, name="pets.zip", path="pets.zip", job=job)
    jobs.cancel_job(job=job)
    again = jobs.retry_job(job=job)
    upload.refresh_from_db()
    assert upload.job == again


def test_the_time_left_is_told_from_the_pace_of_the_stage_at_hand() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    claimed = jobs.claim(job.pk)
    assert claimed
    long_ago = timezone.now() - timedelta(minutes=10)
    Job.objects.filter(pk=job.pk).update(started_at=long_ago)
    work = jobs.Work(claimed)
    work.progress(0, 400, message="Computing features", now=True)
    job.refresh_from_db()
    assert job_outlook(job)["seconds_left"] is None
    detail = job.detail
    detail["stage"]["at"] = (timezone.now() - timedelta(seconds=20)).isoformat()
    Job.objects.filter(pk=job.pk).update(done=100, detail=detail)
    job.refresh_from_db()
    assert job_outlook(job)["seconds_left"] == pytest.approx(60, abs=5)


def test_a_job_that_was_taken_while_its_page_is_made_is_not_named_as_before_itself() -> None:
    job = jobs.open_job(kind="train", dataset=make_dataset())
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
    assert job_outlook(job)["ahead"] == ""
