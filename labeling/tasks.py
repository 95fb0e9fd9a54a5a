"""What the workers of the labeling app do; messages carry ids only."""

import logging
from contextlib import suppress
from smtplib import SMTPException

from celery import Task, current_app, shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from labeling.models import Job
from labeling.queries.crowd import KIND, crowds_to_measure
from labeling.queries.notices import due, people_to_mail
from labeling.services import crowd, guards, jobs, notices, restoring, rounds, statistics, writes
from labeling.services.intake import answers, importing, renewing

logger = logging.getLogger(__name__)


def send(job: Job) -> None:
    """Put a job on its queue once the transaction is committed."""
    transaction.on_commit(lambda: _send_now(job))


def _send_now(job: Job) -> None:
    try:
        current_app.send_task(f"winnow.{job.kind}", args=[job.pk], queue=job.queue, retry=False)
    except OperationalError as error:  # the row stays; beat sends it when Redis is back
        logger.warning("job %s not sent, Redis is away: %s", job.pk, error)


def stop(job: Job) -> None:
    """Cancel a job and end the process that works on it."""
    if jobs.cancel_job(job=job) and job.task_id:
        try:
            current_app.control.revoke(job.task_id, terminate=True, signal="SIGKILL")
        except OperationalError as error:  # the worker notices at its next report
            logger.warning("job %s not terminated, Redis is away: %s", job.pk, error)


@shared_task(name="winnow.resend_jobs")
def resend_jobs() -> None:
    """Send again what a lost worker or a lost message left behind."""
    for job in jobs.take_jobs_to_resend():
        _send_now(job)


@shared_task(name="winnow.free_expired_claims")
def free_expired_claims() -> None:
    """Give back the items whose reservation ran out."""
    rounds.free_expired_claims(now=timezone.now())


@shared_task(name="winnow.watch_annotators")
def watch_annotators() -> None:
    """Warn or pause those whose latest answers look odd."""
    guards.watch(now=timezone.now())


@shared_task(name="winnow.remove_old_files")
def remove_old_files() -> None:
    """Remove the files of imports that were done a while ago."""
    importing.remove_old_files(now=timezone.now())


@shared_task(name="winnow.renew_statistics")
def renew_statistics() -> None:
    """Tell SQLite of the rows that people made; jobs tell of theirs."""
    writes.add_up_writes()
    statistics.renew_statistics()


@shared_task(name="winnow.tell_webhooks")
def tell_webhooks() -> None:
    """Tell webhooks what they have not taken yet."""
    now = timezone.now()
    for notice in due(now=now):
        notices.deliver(notice=notice, now=now)


@shared_task(name="winnow.mail_notices")
def mail_notices() -> None:
    """Write to who wants mail."""
    for user in people_to_mail():
        try:
            notices.mail(user=user, now=timezone.now())
        except (OSError, SMTPException) as error:  # the next beat tries again
            logger.warning("mail to %s not sent: %s", user, error)


@shared_task(name="winnow.import", bind=True)
def import_upload(self: Task, job_id: int) -> None:
    """Open every member of an upload once and make items of them."""
    jobs.carry_out(job_id, importing.import_upload, task_id=self.request.id or "")


@shared_task(name="winnow.import_annotations", bind=True)
def import_annotations(self: Task, job_id: int) -> None:
    """Import what people answered elsewhere."""
    jobs.carry_out(job_id, answers.import_answers, task_id=self.request.id or "")


@shared_task(name="winnow.restore", bind=True)
def restore_version(self: Task, job_id: int) -> None:
    """Make a dataset what a version holds."""
    jobs.carry_out(job_id, restoring.restore, task_id=self.request.id or "")


@shared_task(name=f"winnow.{KIND}", bind=True)
def measure_crowd(self: Task, job_id: int) -> None:
    """Find consensus, accuracies and agreement for the crowd's pages."""
    jobs.carry_out(job_id, crowd.measure_crowd, task_id=self.request.id or "")


@shared_task(name="winnow.measure_crowds")
def measure_crowds() -> None:
    """Measure the crowds that answered since they were measured last."""
    for dataset in crowds_to_measure(now=timezone.now()):
        with suppress(jobs.JobOpenError):  # it may have begun before the last answers came
            send(jobs.open_job(kind=KIND, dataset=dataset))


@shared_task(name="winnow.measure_again", bind=True)
def measure_again(self: Task, job_id: int) -> None:
    """Measure files that an earlier version measured."""
    jobs.carry_out(job_id, renewing.measure_again, task_id=self.request.id or "")
