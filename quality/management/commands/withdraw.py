"""`withdraw NAME --source X | --key K`: erase what a person withdrew consent for."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from labeling.management.job_command import JobCommand
from labeling.models import Dataset
from labeling.services import jobs
from quality.queries.filters import one_of
from quality.queries.withdrawing import items_taken, outlook
from quality.services import withdrawing


class Command(JobCommand):
    help = "Delete the bytes of items whose person withdrew consent; a tombstone of each stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="slug of the dataset")
        parser.add_argument(
            "--source", action="append", default=[], help="all items of this source; repeatable"
        )
        parser.add_argument("--key", action="append", default=[], help="this item; repeatable")
        parser.add_argument("--yes", action="store_true", help="do not ask; there is no way back")

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        taken = _chosen(dataset, people=options["source"], keys=options["key"])
        typed = dataset.slug if options["yes"] else self._ask(dataset, taken)
        try:
            job = withdrawing.open_withdrawal(dataset=dataset, items=taken, typed=typed, by=None)
        except (jobs.Refused, jobs.JobOpenError) as refusal:
            raise CommandError(str(refusal)) from None
        result = self.carry_out(job, withdrawing.withdraw).result
        words = (
            f"{result['items']} items withdrawn: {result['erased']} contents and "
            f"{result['vectors']} vectors deleted; {result['stayed']} contents stay, because "
            "others have the same bytes."
        )
        self.report(options, {**result, "job": job.pk}, words)

    def _ask(self, dataset: Dataset, taken: list[int]) -> str:
        would = outlook(dataset, taken=taken)
        self.stderr.write(
            f"{would.items} items lose bytes, texts, previews, vectors and keys; labels, splits "
            f"and {would.answers} answers stay. {would.in_test} are test items. "
            f"{would.n_staying} items of others and {would.elsewhere} other datasets have some of "
            "the same bytes and keep them. There is no way back."
        )
        try:
            return input(f"To withdraw, type {dataset.slug}: ")
        except EOFError:
            words = "Nobody confirmed; say --yes where nobody can. Nothing was deleted."
            raise CommandError(words) from None


def _chosen(dataset: Dataset, *, people: list[str], keys: list[str]) -> list[int]:
    """Return the items taken; what is not there is named rather than passed over."""
    if not people and not keys:
        raise CommandError("Say whose: --source or --key.")
    found = dict(dataset.items.filter(one_of("key", keys)).values_list("key", "pk"))
    lacking = [key for key in keys if key not in found]
    there = dataset.items.filter(source_group__in=people).order_by()
    groups = set(there.values_list("source_group", flat=True))
    lacking += [name for name in people if not name or name not in groups]
    if lacking:
        raise CommandError(f"{dataset.slug} has none of: {', '.join(map(repr, lacking))}.")
    return items_taken(dataset, items=found.values(), people=people)
