"""What the commands that do a job have in common: progress, --json, exit status."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from labeling.management.prepared import PreparedCommand
from labeling.models import Dataset, Job, JobState
from labeling.services import jobs


class JobCommand(PreparedCommand):
    """A command that does its work in its own process, under the same Job row as the pages."""

    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def dataset(self, slug: str) -> Dataset:
        """Return the dataset with this name."""
        found = Dataset.objects.filter(slug=slug).first()
        if found is None:
            known = ", ".join(Dataset.objects.values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"There is no dataset named {slug!r}. Known: {known}.")
        return found

    def open_job(
        self, kind: str, dataset: Dataset, *, options: dict[str, Any], queue: str = "default"
    ) -> Job:
        """Open the job of this command; ends the command when one of its kind is open already."""
        try:
            return jobs.open_job(kind=kind, dataset=dataset, options=options, queue=queue)
        except (jobs.JobOpenError, jobs.Refused) as refusal:
            raise CommandError(str(refusal)) from None

    def carry_out(self, job: Job, work: Callable[[jobs.Work], dict[str, Any]]) -> Job:
        """Do a job here and now; ends the command with status 1 when it does not succeed."""
        try:
            ended = jobs.carry_out(job.pk, work, watch=self.show)
        except KeyboardInterrupt:
            jobs.cancel_job(job=job)
            raise CommandError("cancelled") from None
        if sys.stderr.isatty():
            self.stderr.write("")
        if ended is None:
            raise CommandError(f"Job {job.pk} was taken by a worker; watch it on its page.")
        if ended.state != JobState.DONE:
            raise CommandError(ended.error or f"{ended.kind}: {ended.get_state_display()}")
        return ended

    def show(self, job: Job) -> None:
        """Show progress on a terminal, and nothing in a log file."""
        if sys.stderr.isatty():
            counted = f"{job.done:,} of {job.total:,}" if job.total else ""
            sys.stderr.write(f"\r\033[K{job.kind}: {counted} {job.message}")
            sys.stderr.flush()

    def report(self, options: dict[str, Any], result: dict[str, Any], words: str) -> None:
        """Print the outcome, as JSON when asked for."""
        self.stdout.write(json.dumps(result) if options["json"] else words)


class TableCommand(JobCommand):
    """A command that reads a table about the items of a dataset: `NAME CSV`."""

    kind = ""
    problems_shown = 20

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's slug")
        parser.add_argument("path", type=Path, help="a CSV or JSONL")
        parser.add_argument("--column", action="append", default=[], metavar="ROLE=NAME")

    def read(
        self, options: dict[str, Any], work: Callable[[jobs.Work], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do the job with the table, name the lines that did not go; returns the result."""
        columns = dict(pair.partition("=")[::2] for pair in options["column"])
        asked = {"path": str(options["path"].expanduser().resolve()), "columns": columns}
        job = self.open_job(self.kind, self.dataset(options["name"]), options=asked)
        result = {**self.carry_out(job, work).result, "job": job.pk}
        for problem in result["problems"][: self.problems_shown]:
            self.stderr.write(f"line {problem['line']}: {problem['reason']}")
        more = len(result["problems"]) - self.problems_shown
        if more > 0:
            self.stderr.write(f"… and {more} more: --json lists them.")
        return result
