"""`measure_again NAME`: measure files that an earlier version measured."""

from argparse import ArgumentParser
from typing import Any

from labeling.management.job_command import JobCommand
from labeling.services.intake import renewing


class Command(JobCommand):
    help = "Measure what an earlier version measured of a dataset's files; then run detect."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="slug of the dataset")

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        job = self.open_job(renewing.KIND, dataset, options={}, queue="train")
        result = self.carry_out(job, renewing.measure_again).result
        words = f"{result['measured']} files measured again; {result['left']} stay as they were."
        self.report(options, {**result, "job": job.pk}, words)
