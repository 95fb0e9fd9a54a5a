"""Background work: opened, claimed, reported on, finished, cancelled.

The row is the truth, a message only carries its id. Each claim raises `attempt`, and
every write is conditional on it: work that lost its lease can no longer change anything.
A job may lose as many workers as it likes while its attempts get further; three in a row that
kept nothing end it.
"""

import json
import logging
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling import storage
from labeling.models import Dataset, Job, JobState, NoticeKind, Outcome, Upload, User
from labeling.services import leases, notices, statistics, writes

LEASE = timedelta(seconds=60)
HEARTBEAT_SECONDS = 10
MOST_FRUITLESS = 3  # attempts in a row that kept nothing
AWAITED = ("import", "import_annotations", "train", "prove", "restore")  # others are told by pages
RESEND_AFTER = timedelta(seconds=30)
LOST = (
    "The worker was lost %d times in a row while it did this, and got no further. Look at memory "
    "and disk on the System page, then retry."
)
PROGRESS_EVERY_SECONDS = 0.5  # a row per item would cost more than the work itself
STOP_POLL_SECONDS = 0.5

logger = logging.getLogger(__name__)


class JobOpenError(Exception):
    """A job of this kind is waiting or running for this dataset already."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.kind} is {job.get_state_display().lower()} already (job {job.pk})")
        self.job = job


class JobStoppedError(Exception):
    """The job was cancelled, or its lease went to another worker."""


class Refused(Exception):  # noqa: N818 - a refusal is an answer to a person, not a defect
    """The work cannot be done; the words go to the person who asked."""


class Hopeless(Refused):
    """What was sent cannot be used, however often it is tried."""


@transaction.atomic
def open_job(
    *,
    kind: str,
    dataset: Dataset | None = None,
    options: dict[str, Any] | None = None,
    by: User | None = None,
    queue: str = "default",
) -> Job:
    """Make a waiting job; whoever calls this also sends it.

    An archived dataset rests: of it, only what was imported can be taken back.
    """
    if dataset and kind != "take_back":
        refuse_archived(dataset)
    try:
        with transaction.atomic():
            return Job.objects.create(
                kind=kind, dataset=dataset, options=options or {}, by=by, queue=queue
            )
    except IntegrityError:
        there = Job.objects.filter(dataset=dataset, kind=kind, state__in=OPEN_STATES).first()
        if there is None:
            raise
        raise JobOpenError(there) from None


OPEN_STATES = (JobState.QUEUED, JobState.RUNNING)


def refuse_archived(dataset: Dataset) -> None:
    """Refuse work on a dataset that its owner archived, and say how it goes on."""
    if Dataset.objects.filter(pk=dataset.pk, archived_at__isnull=False).exists():
        words = _("“%s” is archived. An owner can bring it back in its settings; then ask again.")
        raise Refused(words % dataset.name)


def refuse_while_busy(dataset: Dataset) -> None:
    """Refuse what must not go on beside other work on a dataset, and say which work."""
    busy = Job.objects.filter(dataset=dataset, state__in=OPEN_STATES).order_by("pk")
    named = ", ".join(f"{job.title} (job {job.pk})" for job in busy)
    if named:
        raise Refused(f"Let this end or cancel it, then ask again: {named}.")


class Work:
    """One attempt at a job, as the code that does the work sees it."""

    def __init__(self, job: Job, *, watch: Callable[[Job], None] | None = None) -> None:
        self.job = job
        self.options: dict[str, Any] = job.options
        self._watch = watch
        self._reported = 0.0
        self._polled = 0.0
        self._stopped = threading.Event()

    @property
    def rows(self) -> QuerySet[Job]:
        """This job's row while this attempt owns it, else nothing."""
        return Job.objects.filter(pk=self.job.pk, attempt=self.job.attempt, state=JobState.RUNNING)

    def progress(
        self,
        done: int | None = None,
        total: int | None = None,
        *,
        message: str | None = None,
        detail: dict[str, Any] | None = None,
        now: bool = False,
    ) -> None:
        """Report; written at most twice a second unless `now`. Raises JobStoppedError."""
        job = self.job
        stage = (job.message, job.total)
        job.done = job.done if done is None else done
        job.total = job.total if total is None else total
        job.message = job.message if message is None else message
        job.detail = {**job.detail, **(detail or {})}
        if (job.message, job.total) != stage:  # time left is told from the pace of this stage
            job.detail["stage"] = {"at": timezone.now().isoformat(), "done": job.done}
        if not now and time.monotonic() - self._reported < PROGRESS_EVERY_SECONDS:
            return
        self._reported = time.monotonic()
        fields = {"done": job.done, "total": job.total, "message": job.message}
        if not self.rows.update(**fields, detail=job.detail, lease_until=timezone.now() + LEASE):
            self._lose()
        publish(job)
        if self._watch:
            self._watch(job)

    def hold(self) -> None:
        """Make sure that this attempt owns the job while the caller's transaction lasts."""
        if not self.rows.select_for_update().exists():
            self._lose()

    def keep(self) -> None:
        """Hold the job, and note that this attempt stores what no later one has to do again."""
        if not self.rows.update(fruitless=0):
            self._lose()

    def _lose(self) -> None:
        self._stopped.set()
        raise JobStoppedError(f"job {self.job.pk}, attempt {self.job.attempt}")

    def should_stop(self) -> bool:
        """Tell whether the job was cancelled or lost; asks the database twice a second at most."""
        if not self._stopped.is_set() and time.monotonic() - self._polled > STOP_POLL_SECONDS:
            self._polled = time.monotonic()
            if not self.rows.exists():
                self._stopped.set()
        return self._stopped.is_set()

    def check(self) -> None:
        """Raise JobStoppedError when the job was cancelled or lost."""
        if self.should_stop():
            self._lose()

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Keep the lease alive from a thread while the work goes on."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT_SECONDS):
                try:
                    if not self.rows.update(lease_until=timezone.now() + LEASE):
                        self._stopped.set()
                except OperationalError as error:  # a busy database: the next beat tries again
                    logger.warning("heartbeat of job %s: %s", self.job.pk, error)
            connection.close()

        thread = threading.Thread(target=beat, name=f"heartbeat-{self.job.pk}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def claim(job_id: int, *, task_id: str = "") -> Job | None:
    """Take a waiting or lost job; None when it is finished or validly leased."""
    release_dead_leases(job_id=job_id)
    now = timezone.now()
    free = Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, lease_until__lt=now)
    taken = Job.objects.filter(free, pk=job_id, fruitless__lt=MOST_FRUITLESS).update(
        state=JobState.RUNNING,
        attempt=F("attempt") + 1,
        fruitless=F("fruitless") + 1,
        lease_until=now + LEASE,
        started_at=now,
        task_id=task_id,
    )
    return Job.objects.select_related("dataset", "by").get(pk=job_id) if taken else None


def carry_out(
    job_id: int,
    work: Callable[[Work], dict[str, Any]],
    *,
    task_id: str = "",
    watch: Callable[[Job], None] | None = None,
) -> Job | None:
    """Claim a job, do it and write how it ended; None when it was not ours to do."""
    job = claim(job_id, task_id=task_id)
    if job is None:
        return None
    attempt = Work(job, watch=watch)
    try:
        with leases.held(job.pk, job.attempt), attempt.heartbeat():
            result = work(attempt)
    except JobStoppedError:
        job.refresh_from_db()
        return job
    except (Refused, storage.DiskFullError) as refusal:
        told = {"hopeless": True} if isinstance(refusal, Hopeless) else {}
        _finish(attempt, state=JobState.FAILED, error=str(refusal), result=told)
        return job
    except Exception as error:
        lines = traceback.format_exception(error)
        _finish(attempt, state=JobState.FAILED, error="".join([lines[-1], "\n", *lines]))
        raise
    _finish(attempt, state=JobState.DONE, result=result)
    with suppress(OperationalError):  # the database is busy: beat asks again in ten minutes
        writes.add_up_writes()
        statistics.renew_statistics()  # the job may have written much
    return job


def _finish(work: Work, *, state: JobState, **fields: Any) -> None:
    now = timezone.now()
    with transaction.atomic():
        if work.rows.update(state=state, finished_at=now, lease_until=None, **fields):
            _tell(work.job, state, now=now, **fields)
    work.job.refresh_from_db()
    publish(work.job)


def _tell(job: Job, state: JobState, *, now: datetime, error: str = "", result: Any = None) -> None:
    """Write a notice for the leads, where the work is one that they wait for."""
    has_failed = state == JobState.FAILED
    if job.dataset is None or not (has_failed or job.kind in AWAITED):
        return
    notices.tell(
        dataset=job.dataset,
        kind=NoticeKind.FAILED if has_failed else NoticeKind.DONE,
        about=notices.about(job),
        words=_ended_in_words(job, state, error=error, result=result or {}),
        path=job.get_absolute_url(),
        now=now,
    )


def _ended_in_words(job: Job, state: JobState, *, error: str, result: Mapping[str, Any]) -> str:
    """Say what ended how: an import by its name, a failure with its reason's first sentence.

    Those that follow may hold lines of a table, which go into no mail.
    """
    upload = Upload.objects.filter(job=job).first()
    named = _("Import of %(name)s") % {"name": upload.name} if upload else job.title
    if upload and result.get("rejected") and not any(result[n] for n in Outcome if n != "rejected"):
        words = _("%(import)s: nothing could be used, %(n)s files rejected")
        return words % {"import": named, "n": result["rejected"]}
    why = re.split(r"(?<=[.?!])\s|\n", error, maxsplit=1)[0]
    return f"{named}: {state.label.lower()}" + (f". {why}" if why else "")


def cancel_job(*, job: Job) -> bool:
    """End a waiting or running job; its worker finds out when it next reports."""
    ended = Job.objects.filter(pk=job.pk, state__in=OPEN_STATES).update(
        state=JobState.CANCELLED, finished_at=timezone.now(), lease_until=None
    )
    job.refresh_from_db()
    publish(job)
    return bool(ended)


@transaction.atomic
def retry_job(*, job: Job) -> Job:
    """Open a failed or cancelled job once more, with the same options."""
    again = open_job(
        kind=job.kind, dataset=job.dataset, options=job.options, by=job.by, queue=job.queue
    )
    Upload.objects.filter(job=job).update(job=again)  # its page watches the work that goes on
    return again


def release_dead_leases(*, job_id: int | None = None, is_blamed: bool = True) -> int:
    """End the leases of attempts whose process on this machine is gone; returns how many.

    Not blamed are attempts that were ended on purpose: they do not count as fruitless.
    """
    running = Job.objects.filter(state=JobState.RUNNING, lease_until__gte=timezone.now())
    chosen = running.filter(pk=job_id) if job_id else running
    freed = 0
    for pk, attempt in chosen.values_list("pk", "attempt"):
        if leases.is_dead(pk, attempt):
            held = Job.objects.filter(pk=pk, attempt=attempt, state=JobState.RUNNING)
            freed += held.update(lease_until=timezone.now() - timedelta(seconds=1))
            if not is_blamed:
                held.filter(fruitless__gt=0).update(fruitless=F("fruitless") - 1)
            leases.forget(pk, attempt)
    return freed


def give_up_lost_jobs() -> int:
    """Fail the jobs that lost their workers too often without getting further."""
    lost = Job.objects.filter(
        state=JobState.RUNNING, lease_until__lt=timezone.now(), fruitless__gte=MOST_FRUITLESS
    )
    given_up = 0
    for job in lost.select_related("dataset"):
        with transaction.atomic():
            ended = lost.filter(pk=job.pk).update(
                state=JobState.FAILED,
                finished_at=timezone.now(),
                error=LOST % MOST_FRUITLESS,
            )
            if ended:
                _tell(job, JobState.FAILED, now=timezone.now())
        given_up += ended
    return given_up


def take_jobs_to_resend() -> list[Job]:
    """Return the jobs whose message must have been lost, marked as sent now."""
    release_dead_leases()
    give_up_lost_jobs()
    now = timezone.now()
    lost = Q(state=JobState.RUNNING, lease_until__lt=now) | Q(
        state=JobState.QUEUED, sent_at__lt=now - RESEND_AFTER
    )
    jobs = list(Job.objects.filter(lost))
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(sent_at=now)
    return jobs


def channel(job_id: int) -> str:
    """Return the Redis channel on which a job's progress is published."""
    return f"winnow:job:{job_id}"


def publish(job: Job) -> None:
    """Tell the pages that watch a job; without Redis they poll."""
    message = json.dumps({"state": job.state, "done": job.done, "total": job.total})
    try:
        _redis().publish(channel(job.pk), message)
    except redis.RedisError as error:
        logger.debug("progress of job %s not published: %s", job.pk, error)


def _redis() -> "redis.Redis":
    global _client
    if _client is None:
        _client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1
        )
    return _client


_client: "redis.Redis | None" = None
