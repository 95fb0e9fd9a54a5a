"""`report NAME --out FILE.html`: where a dataset stands, as one file to send around."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.template.loader import render_to_string

from labeling.management.job_command import JobCommand
from quality import arrays
from quality.detectors import KINDS
from quality.queries.report import report_of


class Command(JobCommand):
    """Write a report; it holds everything itself and fetches nothing."""

    help = "Write where a dataset stands as one HTML file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's slug")
        parser.add_argument("--out", type=Path, required=True, metavar="FILE.html")

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        found = report_of(dataset, kinds={name: str(kind.title) for name, kind in KINDS.items()})
        out: Path = options["out"].expanduser().resolve()
        page = render_to_string("quality/report.html", found)
        if not out.parent.is_dir():
            raise CommandError(f"{out} cannot be written: there is no folder {out.parent}.")
        try:
            arrays.save_text(out, page)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
        told = {"file": str(out), "bytes": len(page.encode()), "sentences": found["sentences"]}
        self.stdout.write(json.dumps(told) if options["json"] else "\n".join(found["sentences"]))
