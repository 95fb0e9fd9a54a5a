"""Reads of the labeling app."""

import time
from datetime import datetime
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
    return {
        "place": place_in_line(job) + 1 if job.state == JobState.QUEUED else None,
        "seconds_left": _seconds_left(job),
        "nobody_works": job.state == JobState.QUEUED and not workers_alive(),
    }


def _seconds_left(job: Job) -> int | None:
    """Tell how long the stage at hand still takes at its own pace; None while that is unknown."""
    if job.state != JobState.RUNNING or not job.total:
        return None
    stage = job.detail.get("stage", {})
    began = datetime.fromisoformat(stage["at"]) if stage else job.started_at
    made = job.done - stage.get("done", 0)
    if began is None or made <= 0:
        return None
    spent = (timezone.now() - began).total_seconds()
    return round(spent / made * (job.total - job.done))
