"""`model NAME --out FILE`: take the model of a run along, as one zip."""

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from labeling.management.job_command import JobCommand
from quality.queries.runs import newest_done, run_numbered
from quality.services import models


class Command(JobCommand):
    help = "Write the model of a run: a Keras file, classes, preprocessing and a card, as one zip."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's short name, as in its address")
        parser.add_argument("--run", type=int, help="the number of the run; the newest by default")
        parser.add_argument("--out", type=Path, required=True, help="the zip to write")

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        number = options["run"]
        run = run_numbered(dataset, number) if number else newest_done(dataset)
        if run is None:
            raise CommandError("There is no such run. `train` makes one.")
        job = self.open_job(models.PACKAGE, dataset, options={"run": run.number}, queue="train")
        result = self.carry_out(job, models.package_model).result
        shutil.copyfile(models.package_path(run), options["out"])
        words = f"model of run {run.number}: {result['bytes']:,} bytes in {options['out']}"
        self.report(options, {**result, "out": str(options["out"])}, words)
