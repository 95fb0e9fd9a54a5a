"""`detect NAME`: look for wrong labels, copies, leaks, bad clips and odd files."""

from argparse import ArgumentParser
from typing import Any

from labeling.management.job_command import JobCommand
from quality.detectors import KINDS
from quality.services import flags


class Command(JobCommand):
    help = "Run the checks on a dataset and raise flags for people to review."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        known = [kind.name for kind in KINDS.values() if kind.find]
        parser.add_argument("name", help="slug of the dataset")
        parser.add_argument(
            "--kind", action="append", default=[], choices=known, help="only this check; repeatable"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        asked = {"kinds": options["kind"]}
        job = self.open_job("detect", dataset, options=asked, queue="train")
        result = self.carry_out(job, flags.raise_flags).result
        self.report(options, {**result, "job": job.pk}, _words(result))


def _words(result: dict[str, Any]) -> str:
    lines = []
    for name, found in result["kinds"].items():
        if "not_run" in found:
            lines.append(f"{name}: not checked. {found['not_run']}")
        else:
            lines.append(
                f"{name}: {found['open']} open, {found['likely']} of them likely, "
                f"{found['new']} new, {found['gone']} gone"
            )
    return "\n".join(lines)
