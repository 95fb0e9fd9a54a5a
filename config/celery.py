"""The Celery application; queues and guarantees stand in settings."""

import os
from typing import Any

import redis
from celery import Celery, bootsteps
from celery.signals import heartbeat_sent, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("winnow")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

_client: "redis.Redis | None" = None
LOOK_SECONDS = 0.5


@heartbeat_sent.connect
def say_alive(sender: Any, **_: Any) -> None:
    """Leave a mark that runs out, so that pages know in a millisecond whether workers live."""
    global _client
    from labeling.queries import WORKER_KEY, WORKER_SILENT_SECONDS

    _client = _client or redis.Redis.from_url(
        app.conf.broker_url, socket_timeout=1, socket_connect_timeout=1
    )
    name = sender.eventer.hostname
    queues = ",".join(sorted(app.amqp.queues.consume_from))
    try:
        _client.set(WORKER_KEY + name, queues, ex=WORKER_SILENT_SECONDS)
    except redis.RedisError:
        _client = None


class LookForEndedChildren(bootsteps.StartStopStep):
    """Replace soon the child that a cancelled job took along.

    Celery looks when a child's files close, which is a moment before the child has ended, and
    then again only after up to 5 s, in which the next job waits.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Begin anew with each connection to Redis; the timers of the last one are gone."""
        parent.hub.call_repeatedly(LOOK_SECONDS, parent.pool.maintain_pool)


app.steps["consumer"].add(LookForEndedChildren)


@worker_ready.connect
def go_on(**_: Any) -> None:
    """Send again what a worker of this machine left behind when it was killed."""
    from django.db import connections

    from labeling.tasks import resend_jobs

    try:
        resend_jobs()
    finally:
        connections.close_all()  # children are forked from this process later on
