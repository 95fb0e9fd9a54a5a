"""manage.py import_annotations NAME CSV: what people answered elsewhere."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from labeling.management.job_command import JobCommand
from labeling.services import jobs
from labeling.services.intake import answers

PROBLEMS_SHOWN = 20


class Command(JobCommand):
    """Import answers (item, annotator, answer); importing them again changes nothing."""

    help = "Import answers that people gave elsewhere: a CSV of item, annotator, answer."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's slug")
        parser.add_argument("path", type=Path, help="a CSV or JSONL of item, annotator, answer")
        parser.add_argument("--column", action="append", default=[], metavar="ROLE=NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        path = options["path"].expanduser().resolve()
        columns = dict(pair.partition("=")[::2] for pair in options["column"])
        wanted = {"path": str(path), "columns": columns}
        try:
            job = jobs.open_job(kind="import_annotations", dataset=dataset, options=wanted)
        except jobs.JobOpenError as there:
            raise CommandError(str(there)) from there
        result = {**self.carry_out(job, answers.import_answers).result, "job": job.pk}
        for problem in result["problems"][:PROBLEMS_SHOWN]:
            self.stderr.write(f"line {problem['line']}: {problem['reason']}")
        words = (
            f"{dataset.slug}: {result['answers']} answers imported, {result['unchanged']} were "
            f"there, {result['rejected']} lines rejected; {result['settled']} items labelled."
        )
        self.report(options, result, words)
