"""manage.py export NAME --what ... --format ...: one file, or standard output."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError

from labeling.management.prepared import PreparedCommand
from labeling.models import Dataset, Version
from labeling.services.versions import NothingToFreezeError, freeze_version
from quality.queries import exports


class Command(PreparedCommand):
    """Write an export; items are those of a version, by default of one frozen now."""

    help = "Export items, labels, annotations, flags, decisions or versions of a dataset."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the dataset's slug")
        parser.add_argument("--what", choices=exports.NAMES, default="items")
        parser.add_argument("--format", choices=list(exports.FORMATS), default="csv")
        parser.add_argument(
            "--of-version", type=int, metavar="N", help="else items are frozen as they are now"
        )
        parser.add_argument("--out", type=Path, metavar="FILE", help="else standard output")
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        out: Path | None = options["out"]
        if out is None and options["json"]:
            raise CommandError("--json prints to standard output: name a file with --out.")
        if out is None and options["format"] == "folders" and sys.stdout.isatty():
            raise CommandError("A zip does not go to a terminal: name a file with --out.")
        dataset = self._dataset(options["name"])
        try:
            exports.check(options["what"], options["format"])
            version = self._version(dataset, options["what"], options["of_version"])
            content = exports.pieces(
                dataset, options["what"], form=options["format"], version=version
            )
        except (exports.CannotExportError, NothingToFreezeError) as refusal:
            raise CommandError(str(refusal)) from refusal
        size = _write(content, out)
        if options["json"]:
            number = version.number if version else None
            told = {"file": str(out), "bytes": size, "version": number, "what": options["what"]}
            self.stdout.write(json.dumps(told))

    def _dataset(self, slug: str) -> Dataset:
        found = Dataset.objects.filter(slug=slug).first()
        if found is None:
            raise CommandError(f"There is no dataset named {slug!r}.")
        return found

    def _version(self, dataset: Dataset, what: str, number: int | None) -> Version | None:
        if number is not None or what != "items":
            return exports.version_for(dataset, what, number=number)
        version, is_new = freeze_version(dataset=dataset, note="frozen for an export")
        if is_new:
            self.stderr.write(f"Frozen as version {version.number}.")
        return version


def _write(content: Iterator[bytes], out: Path | None) -> int:
    size = 0
    with _opened(out) as file:
        for piece in content:
            file.write(piece)
            size += len(piece)
        file.flush()
    return size


@contextmanager
def _opened(out: Path | None) -> Iterator[IO[bytes]]:
    """Open standard output, or a file that appears only when it is whole."""
    if out is None:
        yield sys.stdout.buffer
        return
    unfinished = out.with_name(f".{out.name}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
        os.replace(unfinished, out)
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)  # where it is not whole
