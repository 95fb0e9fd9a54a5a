"""What the workers of the quality app do; messages carry ids only."""

from contextlib import suppress

from celery import Task, shared_task
from django.utils import timezone

from labeling import tasks
from labeling.services import jobs
from quality.queries.facts import datasets_at_rest, keep_measured
from quality.queries.retraining import datasets_with_news
from quality.queries.runs import datasets_to_check
from quality.services import (
    bulk,
    compare,
    contributions,
    cutting,
    deleting,
    flags,
    models,
    parts,
    present_system,
    runs,
    scoring,
    taking_back,
    withdrawing,
)


@shared_task(name="winnow.train", bind=True)
def train(self: Task, job_id: int) -> None:
    """Train, then look for doubts with what came out."""
    jobs.carry_out(job_id, runs.train, task_id=self.request.id or "")
    start_checks()


def start_checks() -> None:
    """Check the datasets whose newest run no checks have read yet.

    What is missing is asked of the database: a worker killed after its training, or checks that
    ran meanwhile, lose nothing, because beat asks again.
    """
    for dataset in datasets_to_check():
        with suppress(jobs.JobOpenError):  # it has not begun, or beat asks again when it is over
            tasks.send(jobs.open_job(kind="detect", dataset=dataset, queue="train"))


@shared_task(name="winnow.detect", bind=True)
def detect(self: Task, job_id: int) -> None:
    """Run the checks and raise flags."""
    jobs.carry_out(job_id, flags.raise_flags, task_id=self.request.id or "")


@shared_task(name="winnow.compare_parts", bind=True)
def compare_parts(self: Task, job_id: int) -> None:
    """Say how parts of a dataset differ."""
    jobs.carry_out(job_id, parts.compare_parts, task_id=self.request.id or "")


@shared_task(name="winnow.open_test", bind=True)
def open_test(self: Task, job_id: int) -> None:
    """Predict the sealed test items of a run."""
    jobs.carry_out(job_id, runs.open_test_of, task_id=self.request.id or "")


@shared_task(name="winnow.prove", bind=True)
def prove(self: Task, job_id: int) -> None:
    """Compare two versions."""
    jobs.carry_out(job_id, compare.prove, task_id=self.request.id or "")


@shared_task(name="winnow.bulk", bind=True)
def bulk_decision(self: Task, job_id: int) -> None:
    """Decide all flags above a score, or take that back."""
    jobs.carry_out(job_id, bulk.carry_out, task_id=self.request.id or "")


@shared_task(name="winnow.score", bind=True)
def score(self: Task, job_id: int) -> None:
    """Measure runs and comparisons by what success means now."""
    jobs.carry_out(job_id, scoring.score, task_id=self.request.id or "")


@shared_task(name="winnow.contributions", bind=True)
def contribute(self: Task, job_id: int) -> None:
    """Measure what each kind of change between two versions contributed."""
    jobs.carry_out(job_id, contributions.contribute, task_id=self.request.id or "")


@shared_task(name="winnow.package_model", bind=True)
def package_model(self: Task, job_id: int) -> None:
    """Make the zip of a run's model."""
    jobs.carry_out(job_id, models.package_model, task_id=self.request.id or "")


@shared_task(name="winnow.try_model", bind=True)
def try_model(self: Task, job_id: int) -> None:
    """Say what a run's model makes of one file."""
    jobs.carry_out(job_id, models.try_model, task_id=self.request.id or "")


@shared_task(name="winnow.take_back", bind=True)
def take_back(self: Task, job_id: int) -> None:
    """Take an import back."""
    jobs.carry_out(job_id, taking_back.take_back, task_id=self.request.id or "")


@shared_task(name="winnow.cut", bind=True)
def cut(self: Task, job_id: int) -> None:
    """Cut clips to their loudest second."""
    jobs.carry_out(job_id, cutting.cut, task_id=self.request.id or "")


@shared_task(name="winnow.delete_dataset", bind=True)
def delete_dataset(self: Task, job_id: int) -> None:
    """Delete a dataset and what belongs to it alone."""
    jobs.carry_out(job_id, deleting.delete_dataset, task_id=self.request.id or "")


@shared_task(name="winnow.withdraw", bind=True)
def withdraw(self: Task, job_id: int) -> None:
    """Erase what a person withdrew consent for."""
    jobs.carry_out(job_id, withdrawing.withdraw, task_id=self.request.id or "")


@shared_task(name="winnow.import_predictions", bind=True)
def import_predictions(self: Task, job_id: int) -> None:
    """Keep what the team's present system predicts."""
    jobs.carry_out(job_id, present_system.import_predictions, task_id=self.request.id or "")


@shared_task(name="winnow.look_for_news")
def look_for_news() -> None:
    """Train the datasets that are due by their policy; check what was trained."""
    for dataset in datasets_with_news(now=timezone.now()):
        with suppress(jobs.JobOpenError):
            tasks.send(jobs.open_job(kind="train", dataset=dataset, queue="train"))
    start_checks()


@shared_task(name="winnow.keep_facts")
def keep_facts() -> None:
    """Keep what was measured of items where files changed since, and nothing of what is gone."""
    for dataset in datasets_at_rest():
        keep_measured(dataset)
    deleting.remove_leftovers()
