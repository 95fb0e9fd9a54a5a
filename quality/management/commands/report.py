"""`report NAME [--out FILE] [--json]`: where a version stands, read, kept or sent around."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from labeling import shards
from labeling.management.job_command import JobCommand
from labeling.models import Dataset, Version
from quality.detectors import titles
from quality.queries.report import Report, as_plain, report_of
from quality.queries.report.evidence import address_of, bytes_of
from quality.services.report import file_of


class Command(JobCommand):
    """Print a report, or write it as a file that holds everything itself and fetches nothing."""

    help = "Say where a version stands; with --out as one HTML file, or as FILE.json."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's slug")
        parser.add_argument("--out", type=Path, metavar="FILE.html or FILE.json")
        parser.add_argument("--of-version", type=int, metavar="N", help="else the newest one")
        parser.add_argument(
            "--address", metavar="URL", help="of this Winnow: numbers in the file lead there"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        made = report_of(
            dataset,
            self._version(dataset, options["of_version"]),
            kinds=titles(),
            now=timezone.now(),
            with_people=True,
            picture=bytes_of if options["out"] else address_of,
        )
        told = {}
        if options["out"]:
            told = self._write(made, options["out"], address=options["address"])
        words = "\n".join(str(sentence) for sentence in made.sentences)
        self.stdout.write(_as_json({**told, **as_plain(made)}) if options["json"] else words)

    def _version(self, dataset: Dataset, number: int | None) -> Version | None:
        if number is None:
            return dataset.versions.first()
        version = dataset.versions.filter(number=number).first()
        if version is None:
            raise CommandError(f"{dataset.slug} has no version v{number}.")
        return version

    def _write(self, made: Report, path: Path, *, address: str | None) -> dict[str, Any]:
        out = path.expanduser().resolve()
        if not out.parent.is_dir():
            raise CommandError(f"{out} cannot be written: there is no folder {out.parent}.")
        if out.suffix.lower() == ".json":
            page = _as_json(as_plain(made))
        else:
            page = file_of(made, address=address.rstrip("/") if address else None)
        try:
            shards.save_text(out, page)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
        return {"file": str(out), "bytes": len(page.encode())}


def _as_json(plain: dict[str, Any]) -> str:
    return json.dumps(plain, cls=DjangoJSONEncoder)
