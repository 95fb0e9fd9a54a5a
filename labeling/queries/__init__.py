"""Reads of the labeling app."""

import time
from datetime import datetime
from typing import Any

import redis
from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from labeling.models import Job, JobState

WORKER_KEY = "winnow:worker:"  # + name of the worker; written at each of its heartbeats
WORKER_SILENT_SECONDS = 20
_ALIVE_FOR_SECONDS = 3  # one look in Redis serves the pages of this long
AHEAD_SHOWN = 3  # jobs that a waiting one names as before it

_seen: tuple[float, list[str] | None] = (-1000.0, None)


def _queues_served() -> list[str] | None:
    """Return the queues of each worker with a recent heartbeat; None when Redis is away."""
    global _seen
    if time.monotonic() - _seen[0] > _ALIVE_FOR_SECONDS:
        client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, decode_responses=True
        )
        try:
            keys = list(client.scan_iter(match=WORKER_KEY + "*", count=100))
            found = [str(queues) for queues in client.mget(keys) if queues] if keys else []
        except redis.RedisError:
            found = None
        finally:
            client.close()
        _seen = (time.monotonic(), found)
    return _seen[1]


def workers_alive() -> int | None:
    """Count the workers with a recent heartbeat; None when Redis does not answer."""
    served = _queues_served()
    return None if served is None else len(served)


def place_in_line(job: Job) -> int:
    """Return how many waiting jobs of the same queue come before this one."""
    return Job.objects.filter(state=JobState.QUEUED, queue=job.queue, pk__lt=job.pk).count()


def ahead_of(job: Job) -> str:
    """Say what its queue runs or will run before a waiting job; of whose dataset is not told."""
    before = Q(state=JobState.RUNNING) | Q(state=JobState.QUEUED, pk__lt=job.pk)
    others = Job.objects.exclude(pk=job.pk)  # by now a worker may have taken this one
    rows = list(others.filter(before, queue=job.queue).order_by("pk")[: AHEAD_SHOWN + 1])
    told = [
        gettext("%s (running)") % row.title if row.state == JobState.RUNNING else str(row.title)
        for row in rows[:AHEAD_SHOWN]
    ]
    return ", ".join([*told, "…"] if len(rows) > AHEAD_SHOWN else told)


def job_outlook(job: Job) -> dict[str, Any]:
    """Return what a page says beside a job: place in line, time left, what it waits for."""
    return {
        "ahead": ahead_of(job) if job.state == JobState.QUEUED else "",
        "place": place_in_line(job) + 1 if job.state == JobState.QUEUED else None,
        "seconds_left": _seconds_left(job),
        "waits_for": _waits_for(job),
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


def _waits_for(job: Job) -> str:
    """Return what has to come before a job goes on: redis, worker, turn, rescue or nothing."""
    lapsed = job.lease_until is not None and job.lease_until < timezone.now()
    if job.state != JobState.QUEUED and not (job.state == JobState.RUNNING and lapsed):
        return ""
    served = _queues_served()
    if served is None:
        return "redis"
    if not any(job.queue in queues.split(",") for queues in served):
        return "worker"
    return "rescue" if lapsed else "turn"
