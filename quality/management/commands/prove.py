"""`prove NAME OLD NEW`: what did the work between two versions buy?"""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from labeling.management.job_command import JobCommand
from labeling.queries.success import Choice, choice_of
from quality.models import Comparison
from quality.queries.success import in_words
from quality.services import compare, contributions


class Command(JobCommand):
    help = "Compare two versions by number under one protocol, on the earlier one's test items."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's short name, as in its address")
        for side in ("old", "new"):
            parser.add_argument(side, type=_version_number, help="a version: 3 or v3")
        parser.add_argument(
            "--parts", action="store_true", help="also what each kind of change contributed"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        asked = {"old": options["old"], "new": options["new"]}
        job = self.open_job("prove", dataset, options=asked, queue="train")
        result = self.carry_out(job, compare.prove).result
        choice = choice_of(dataset)
        words = [_in_words(result, choice)]
        if options["parts"]:
            asked = {"comparison": result["comparison"]}
            job = self.open_job("contributions", dataset, options=asked, queue="train")
            self.carry_out(job, contributions.contribute)
            kept = Comparison.objects.get(pk=result["comparison"])
            result = {**result, **compare.headline(kept), "parts": kept.result["contributions"]}
            chosen = result.get("success", {}).get("parts", {})
            words += [_part_in_words(row, chosen, choice) for row in result["parts"]]
        self.report(options, result, "\n".join(words))


def _version_number(text: str) -> int:
    try:
        return int(text.removeprefix("v"))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no version number such as 3 or v3") from None


def _in_words(result: dict[str, Any], choice: Choice | None) -> str:
    chosen = result.get("success")
    by = f"{chosen['title']} {in_words(chosen, choice)}; accuracy " if chosen and choice else ""
    items = "test items" if result["on"] == "test" else "shared items, out of fold"
    return (
        f"{by}v{result['old']['version']} {result['before']:.3f} -> v{result['new']['version']} "
        f"{result['after']:.3f}: {100 * result['difference']:+.1f} points "
        f"({100 * result['low']:+.1f} to {100 * result['high']:+.1f}) on {result['n']} {items}"
    )


def _part_in_words(part: dict[str, Any], chosen: dict[str, Any], choice: Choice | None) -> str:
    if choice and "difference" in chosen.get(part["kind"], {}):
        told = in_words(chosen[part["kind"]], choice)
        return f"  {part['kind']}, {part['items']} items: {told}"
    told = part.get("refused") or (
        f"{100 * part['difference']:+.1f} points "
        f"({100 * part['low']:+.1f} to {100 * part['high']:+.1f})"
    )
    return f"  {part['kind']}, {part['items']} items: {told}"
