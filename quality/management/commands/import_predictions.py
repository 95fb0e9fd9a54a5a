"""`import_predictions NAME CSV`: how well does the team's present system do on these labels?"""

from typing import Any

from labeling.management.job_command import TableCommand
from labeling.queries.success import Choice, choice_of
from quality.queries.success import in_words
from quality.services import present_system


class Command(TableCommand):
    """Keep another system's probabilities as a run; importing them again changes nothing."""

    help = "Import another system's probabilities: a CSV of key and one column a class."
    kind = "import_predictions"

    def handle(self, *args: Any, **options: Any) -> None:
        result = self.read(options, present_system.import_predictions)
        choice = choice_of(self.dataset(options["name"]))
        self.report(options, result, _in_words(result, choice))


def _in_words(result: dict[str, Any], choice: Choice | None) -> str:
    chosen = result.get("success")
    by = f"{chosen['title']} {in_words(chosen, choice)}, " if chosen and choice else ""
    words = (
        f"{result['imported']} predictions kept as run {result['run']} of version "
        f"v{result['version']}, {result['rejected']} lines rejected: {by}accuracy "
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
