"""What the workers of the quality app do; messages carry ids only."""

from celery import Task, shared_task
from django.utils import timezone

from labeling import tasks
from labeling.models import JobState
from labeling.services import jobs
from quality.queries.runs import datasets_with_news
from quality.services import compare, flags, runs


@shared_task(name="winnow.train", bind=True)
def train(self: Task, job_id: int) -> None:
    """Train, then look for doubts with what came out."""
    job = jobs.carry_out(job_id, runs.train, task_id=self.request.id or "")
    if job is None or job.state != JobState.DONE or job.result["unchanged"]:
        return
    try:
        detection = jobs.open_job(kind="detect", dataset=job.dataset, by=job.by, queue="train")
    except jobs.JobOpenError:  # it will read this run, it has not begun or is asked for again
        return
    tasks.send(detection)


@shared_task(name="winnow.detect", bind=True)
def detect(self: Task, job_id: int) -> None:
    """Run the checks and raise flags."""
    jobs.carry_out(job_id, flags.raise_flags, task_id=self.request.id or "")


@shared_task(name="winnow.prove", bind=True)
def prove(self: Task, job_id: int) -> None:
    """Compare two versions."""
    jobs.carry_out(job_id, compare.prove, task_id=self.request.id or "")


@shared_task(name="winnow.look_for_news")
def look_for_news() -> None:
    """Train the datasets in which people settled enough labels since the last training."""
    for dataset in datasets_with_news(now=timezone.now()):
        try:
            job = jobs.open_job(kind="train", dataset=dataset, queue="train")
        except jobs.JobOpenError:
            continue
        tasks.send(job)
