"""Reads of the labeling app."""

import time

import redis
from django.conf import settings

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
