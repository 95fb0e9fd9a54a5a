"""manage.py import_annotations NAME CSV: what people answered elsewhere."""

from typing import Any

from labeling.management.job_command import TableCommand
from labeling.services.intake import answers
from labeling.services.intake.tables import READ_AS_WINDOWS


class Command(TableCommand):
    """Import answers (item, annotator, answer, seconds); importing them again changes nothing."""

    help = (
        "Import answers that people gave elsewhere: a CSV of item (or, of texts, text), annotator,"
        " answer and, where it is known, the seconds that each took."
    )
    kind = "import_annotations"

    def handle(self, *args: Any, **options: Any) -> None:
        result = self.read(options, answers.import_answers)
        words = (
            f"{options['name']}: {result['answers']} answers imported, {result['unchanged']} were "
            f"there, {result['rejected']} lines rejected; {result['settled']} items labelled, "
            f"{result['disputed']} tied or not sure enough: their answers stand under Disputes."
        )
        words += "".join(f" {name} {READ_AS_WINDOWS}" for name in result["guessed"])
        if result["by_name"]:
            words += f" {result['by_name']} lines named their item by its file name alone."
        if result["by_text"]:
            words += f" {result['by_text']} lines named their item by its text alone."
        if result["timed"]:
            words += f" {result['timed']} answers tell how many seconds they took."
        if result["timed_now"]:
            words += f" {result['timed_now']} of them were there without and have it now."
        if result["untimed"]:
            words += (
                f" The time of {result['untimed']} is no number of seconds and was left out:"
                " pace and cost are told from the others."
            )
        self.report(options, result, words)
