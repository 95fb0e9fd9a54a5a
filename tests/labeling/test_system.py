"""What operators see: who works, what waits, what failed, how full the disk is."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.test import TestCase
from django.urls import reverse
from django.utils import timezone
from kombu import pools

from config import celery_app, redis_server
from labeling import queries as shared
from labeling import storage, tasks
from labeling.models import Job, JobState
from labeling.queries import system as queries
from labeling.services import jobs
from labeling.services.versions import freeze_version
from tests.factories import make_dataset, make_item, make_member, make_user

pytestmark = pytest.mark.django_db
HANG_SECONDS = 40.0


@pytest.fixture
def broker():
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    yield client
    client.flushdb()


def make_failed(kind: str = "train") -> Job:
    job = jobs.open_job(kind=kind, dataset=make_dataset(), queue="train")
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED, error="no labels yet\nlong trace")
    return job


def test_healthz_answers_200_when_all_answer(client, broker):
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"ok": True, "database": True, "redis": True}


def test_healthz_answers_503_and_names_the_part_that_is_broken(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json() == {"ok": False, "database": True, "redis": False}


def test_the_page_names_workers_waiting_jobs_and_what_failed(client, broker):
    broker.set(shared.WORKER_KEY + "train@host", "train", ex=20)
    broker.lpush("train", "message")
    failed = make_failed()
    jobs.open_job(kind="train", dataset=make_dataset(), queue="train")
    client.force_login(make_user(is_staff=True))
    page = client.get(reverse("labeling:system")).content.decode()
    assert "train@host" in page
    assert "no labels yet" in page
    assert reverse("labeling:retry_job", args=[failed.pk]) in page
    (train,) = [q for q in queries.queue_states(queries.broker()) if q.name == "train"]
    assert (train.workers, train.messages, train.jobs) == (1, 1, 1)
    assert train.oldest is not None


def test_a_failed_job_leaves_the_list_when_it_was_tried_again():
    failed = make_failed()
    assert list(queries.failed_jobs()) == [failed]
    failed.refresh_from_db()
    jobs.retry_job(job=failed)
    assert list(queries.failed_jobs()) == []


def test_without_redis_the_page_still_opens_and_says_so(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    client.force_login(make_user(is_staff=True))
    began = time.monotonic()
    response = client.get(reverse("labeling:system"))
    assert "Redis does not answer" in response.content.decode()
    assert time.monotonic() - began < 5


def test_twenty_failed_jobs_cost_as_many_queries_as_ten(client, broker, django_assert_num_queries):
    client.force_login(make_user(is_staff=True))
    for _ in range(10):
        make_failed()
    client.get(reverse("labeling:system"))
    with django_assert_num_queries(6):
        client.get(reverse("labeling:system"))
    for _ in range(10):
        make_failed()
    with django_assert_num_queries(6):
        client.get(reverse("labeling:system"))


# ---- what a waiting job waits for ----


@pytest.fixture
def page_of_waiting(client, monkeypatch):
    """The page of a job that waits on the queue `train`."""
    monkeypatch.setattr(shared, "_ALIVE_FOR_SECONDS", -1)
    client.force_login(make_user(is_staff=True))
    for _ in range(2):
        job = jobs.open_job(kind="train", dataset=make_dataset(), queue="train")
    return lambda: client.get(job.get_absolute_url()).content.decode()


def test_a_job_says_its_place_in_line(page_of_waiting, broker):
    broker.set(shared.WORKER_KEY + "train@host", "train", ex=20)
    page = page_of_waiting()
    assert "number 2 in line" in page
    assert "Before it: Training." in page


def test_a_job_says_that_nobody_works_on_its_queue(page_of_waiting, broker):
    broker.set(shared.WORKER_KEY + "default@host", "default", ex=20)
    assert "No worker for “train” is running" in page_of_waiting()


def test_a_job_says_that_redis_is_away(page_of_waiting, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "Redis does not answer" in page_of_waiting()


def test_a_job_whose_worker_was_lost_says_that_another_one_goes_on(page_of_waiting, broker):
    broker.set(shared.WORKER_KEY + "train@host", "train", ex=20)
    past = timezone.now() - timedelta(seconds=1)
    Job.objects.update(state=JobState.RUNNING, lease_until=past)
    assert "Its worker was lost" in page_of_waiting()


def test_work_asked_for_while_redis_is_away_is_kept_and_sent_by_beat(broker, settings):
    """The page answers at once; what was not sent is found by its row."""
    dataset = make_dataset()
    with broker_at(redis_server.free_port()):
        began = time.monotonic()
        job = jobs.open_job(kind="nothing", dataset=dataset)
        tasks._send_now(job)
        assert time.monotonic() - began < 3
    assert broker.llen("default") == 0
    Job.objects.update(sent_at=timezone.now() - timedelta(minutes=1))
    tasks.resend_jobs()
    assert broker.llen("default") == 1


def test_a_redis_that_hangs_keeps_no_page_waiting_and_the_work_is_sent_later(
    page_of_waiting, broker, client
):
    """A stopped process keeps its connections and never answers, which is no refusal."""
    dataset = make_dataset()
    failed = jobs.open_job(kind="nothing", dataset=dataset)
    Job.objects.filter(pk=failed.pk).update(state=JobState.FAILED)
    celery_app.send_task("winnow.nothing", queue="elsewhere")  # the connection is there already
    with stopped(broker.info("server")["process_id"]):
        with TestCase.captureOnCommitCallbacks(execute=True):
            page = client.post(reverse("labeling:retry_job", args=[failed.pk]), follow=True)
        assert "goes on by itself when Redis is back" in page.content.decode()
        assert client.get("/healthz").status_code == 503
    Job.objects.update(sent_at=timezone.now() - timedelta(minutes=1))
    tasks.resend_jobs()
    assert broker.llen("default") >= 1  # what hung may get both; the job is claimed once


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for a while; whatever waits for it longer than `HANG_SECONDS` fails."""
    go_on = threading.Timer(HANG_SECONDS, os.kill, (pid, signal.SIGCONT))
    os.kill(pid, signal.SIGSTOP)
    go_on.start()
    try:
        yield
        assert go_on.is_alive(), "something waited for what hung"
    finally:
        go_on.cancel()
        os.kill(pid, signal.SIGCONT)


@contextmanager
def broker_at(port: int) -> Iterator[None]:
    """Let Celery look for Redis at another address for a while."""
    there = celery_app.conf.broker_url
    for url in (f"redis://127.0.0.1:{port}/0", there):
        celery_app.conf.broker_url = url
        celery_app._pool = celery_app.amqp._producer_pool = None
        pools.reset()
        if url != there:
            yield


# ---- disk ----


def test_the_size_of_a_folder_counts_what_lies_below_it(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one").write_bytes(b"x" * 1000)
    (tmp_path / "two").write_bytes(b"x" * 24)
    assert queries.size_of(tmp_path) == (1024, True)


def test_a_walk_that_takes_too_long_says_at_least(tmp_path, monkeypatch):
    monkeypatch.setattr(queries, "MOST_FILES_WALKED", 1)
    for folder in "abc":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_bytes(b"x")
    assert queries.size_of(tmp_path)[1] is False


def test_a_full_disk_is_said_with_what_to_free(client, broker, settings):
    cache.clear()
    settings.LEAST_FREE_BYTES = storage.free_bytes() * 2
    client.force_login(make_user(is_staff=True))
    page = client.get(reverse("labeling:system")).content.decode()
    assert "The disk is full" in page


def test_a_full_disk_refuses_a_version_before_anything_is_written(settings):
    dataset = make_dataset()
    make_item(dataset)
    settings.LEAST_FREE_BYTES = storage.free_bytes() * 2
    with pytest.raises(storage.DiskFullError, match="too full"):
        freeze_version(dataset=dataset)
    assert not dataset.versions.exists()


def test_a_job_that_meets_a_full_disk_fails_in_words(settings):
    dataset = make_dataset()
    make_item(dataset)
    job = jobs.open_job(kind="train", dataset=dataset)
    settings.LEAST_FREE_BYTES = storage.free_bytes() * 2
    ended = jobs.carry_out(job.pk, lambda work: {"v": freeze_version(dataset=dataset)[0].pk})
    assert ended is not None
    assert ended.state == JobState.FAILED
    assert ended.error.startswith("The disk is too full")


# ---- versions ----


def test_the_versions_page_says_what_changed_and_offers_downloads(client):
    dataset = make_dataset()
    lead = make_member(dataset, "lead")
    make_item(dataset, "a", "cat", split="train")
    freeze_version(dataset=dataset)
    make_item(dataset, "b")
    client.force_login(lead)
    url = reverse("labeling:freeze_version", args=[dataset.slug])
    page = client.post(url, {"note": "more"}, follow=True).content.decode()
    assert "Frozen as v2" in page
    assert "<b>+1</b> added" in page
    assert f"{reverse('quality:export', args=[dataset.slug, 'items', 'folders'])}?version=2" in page
    assert "Nothing changed since v2" in client.post(url, follow=True).content.decode()
    told = client.post(url, {"note": "release"}, follow=True).content.decode()
    assert "Nothing changed since v2, which has a note: yours was not kept." in told
    dataset.versions.filter(number=2).update(note="")  # training froze it without one
    client.post(url, {"note": "release"})
    make_item(dataset, "c")
    refused = client.post(url, {"note": "why now " * 30})
    assert (refused.status_code, "at most 200 characters" in refused.text) == (422, True)
    assert "why now why now" in refused.text
    assert list(dataset.versions.values_list("number", "note")) == [(2, "release"), (1, "")]


def test_twenty_versions_cost_as_many_queries_as_ten(client, django_assert_num_queries):
    dataset = make_dataset()
    client.force_login(make_member(dataset))
    page = reverse("labeling:versions", args=[dataset.slug])
    for _ in range(2):
        for _ in range(10):
            make_item(dataset)
            freeze_version(dataset=dataset)
        with django_assert_num_queries(6):
            client.get(page)


@pytest.mark.parametrize("wanted", ["train", "é", "https://evil.example/", "//evil.example/", ""])
def test_cancelling_goes_back_to_paths_of_ours_only(client, wanted):
    dataset = make_dataset()
    client.force_login(make_member(dataset, "owner"))
    job = jobs.open_job(kind="other", dataset=dataset)
    address = reverse("labeling:cancel_job", args=[job.pk])
    assert client.post(address, {"next": wanted}).headers["Location"] == job.get_absolute_url()
