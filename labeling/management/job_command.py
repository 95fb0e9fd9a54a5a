"""What the commands that do a job have in common: progress, --json, exit status."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable
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
