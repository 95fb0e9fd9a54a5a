"""Reads of the labeling app."""

import time
from typing import Any

import redis
from django.conf import settings
from django.utils import timezone

from labeling.models import Job, JobState

WORKER_KEY = "winnow:worker:"  # + name of the worker; written at each of its heartbeats
WORKER_SILENT_SECONDS = 20
_ALIVE_FOR_SECONDS = 3  # one look in Redis serves the pages of this long

_alive: tuple[float, int | None] = (-1000.0, None)


def workers_alive() -> int | None:
    """Count the workers with a recent heartbeat; None when Redis does not answer."""
    global _alive
    if time.monotonic() - _alive[0] > _ALIVE_FOR_SECONDS:
        client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1
        )
        try:
            count = sum(1 for _ in client.scan_iter(match=WORKER_KEY + "*", count=100))
        except redis.RedisError:
            count = None
        finally:
            client.close()
        _alive = (time.monotonic(), count)
    return _alive[1]


def place_in_line(job: Job) -> int:
    """Return how many waiting jobs of the same queue come before this one."""
    return Job.objects.filter(state=JobState.QUEUED, queue=job.queue, pk__lt=job.pk).count()


def job_outlook(job: Job) -> dict[str, Any]:
    """Return what a page says beside a job: place in line, time left, whether anyone works."""
    seconds_left = None
    if job.state == JobState.RUNNING and job.started_at and job.done and job.total:
        spent = (timezone.now() - job.started_at).total_seconds()
        seconds_left = round(spent / job.done * (job.total - job.done))
    return {
        "place": place_in_line(job) + 1 if job.state == JobState.QUEUED else None,
        "seconds_left": seconds_left,
        "nobody_works": job.state == JobState.QUEUED and not workers_alive(),
    }
