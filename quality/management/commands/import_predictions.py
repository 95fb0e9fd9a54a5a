"""`import_predictions NAME CSV`: how well does the team's present system do on these labels?"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from labeling.management.job_command import JobCommand
from labeling.services import jobs
from quality.services import present_system

PROBLEMS_SHOWN = 20


class Command(JobCommand):
    """Keep another system's probabilities as a run; importing them again changes nothing."""

    help = "Import another system's probabilities: a CSV of key and one column a class."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's slug")
        parser.add_argument("path", type=Path, help="a CSV or JSONL: key, one column a class")
        parser.add_argument("--column", action="append", default=[], metavar="key=NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        path = options["path"].expanduser().resolve()
        columns = dict(pair.partition("=")[::2] for pair in options["column"])
        wanted = {"path": str(path), "columns": columns}
        try:
            job = jobs.open_job(kind="import_predictions", dataset=dataset, options=wanted)
        except jobs.JobOpenError as there:
            raise CommandError(str(there)) from there
        ended = self.carry_out(job, present_system.import_predictions)
        result = {**ended.result, "job": job.pk}
        for problem in result["problems"][:PROBLEMS_SHOWN]:
            self.stderr.write(f"line {problem['line']}: {problem['reason']}")
        self.report(options, result, _in_words(result))


def _in_words(result: dict[str, Any]) -> str:
    words = (
        f"{result['imported']} predictions kept as run {result['run']} of version "
        f"v{result['version']}, {result['rejected']} lines rejected: accuracy "
        f"{result['accuracy']:.3f} ({result['low']:.3f} to {result['high']:.3f}) on {result['n']} "
        f"labelled items, majority class {result['baseline']:.3f}"
    )
    if model := result["model"]:
        words += (
            f"; run {model['run']} {model['accuracy']:.3f} on {model['n']} of them, difference "
            f"{100 * model['difference']:+.1f} points "
            f"({100 * model['low']:+.1f} to {100 * model['high']:+.1f})"
        )
    return words
