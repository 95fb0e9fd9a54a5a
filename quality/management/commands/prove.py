"""`prove NAME OLD NEW`: what did the work between two versions buy?"""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from labeling.management.job_command import JobCommand
from quality.services import compare


class Command(JobCommand):
    help = "Compare two versions by number under one protocol, on the earlier one's test items."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's short name, as in its address")
        for side in ("old", "new"):
            parser.add_argument(side, type=_version_number, help="a version: 3 or v3")

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        asked = {"old": options["old"], "new": options["new"]}
        job = self.open_job("prove", dataset, options=asked, queue="train")
        result = self.carry_out(job, compare.prove).result
        self.report(options, result, _in_words(result))


def _version_number(text: str) -> int:
    try:
        return int(text.removeprefix("v"))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no version number such as 3 or v3") from None


def _in_words(result: dict[str, Any]) -> str:
    items = "test items" if result["on"] == "test" else "shared items, out of fold"
    return (
        f"v{result['old']['version']} {result['before']:.3f} -> v{result['new']['version']} "
        f"{result['after']:.3f}: {100 * result['difference']:+.1f} points "
        f"({100 * result['low']:+.1f} to {100 * result['high']:+.1f}) on {result['n']} {items}"
    )
