"""manage.py import_annotations NAME CSV: what people answered elsewhere."""

from typing import Any

from labeling.management.job_command import TableCommand
from labeling.services.intake import answers


class Command(TableCommand):
    """Import answers (item, annotator, answer); importing them again changes nothing."""

    help = "Import answers that people gave elsewhere: a CSV of item, annotator, answer."
    kind = "import_annotations"

    def handle(self, *args: Any, **options: Any) -> None:
        result = self.read(options, answers.import_answers)
        words = (
            f"{options['name']}: {result['answers']} answers imported, {result['unchanged']} were "
            f"there, {result['rejected']} lines rejected; {result['settled']} items labelled, "
            f"{result['disputed']} tied or not sure enough: their answers stand under Disputes."
        )
        if result["by_name"]:
            words += f" {result['by_name']} lines named their item by its file name alone."
        self.report(options, result, words)
