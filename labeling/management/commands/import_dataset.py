"""manage.py import_dataset NAME PATH: a folder, a zip, or a table of texts."""

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.utils.text import slugify

from labeling.management.job_command import JobCommand
from labeling.models import Dataset, Media, Outcome, User
from labeling.services import datasets, jobs
from labeling.services.intake import importing
from labeling.services.intake.members import is_table, list_members
from labeling.services.intake.tables import READ_AS_WINDOWS
from mlcore.files import IMAGE_TYPES, SOUND_TYPES, expected_types


class Command(JobCommand):
    """Import into a dataset, which is made when it is not there."""

    help = "Import a folder, a zip or a table of texts into a dataset."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's slug; made when missing")
        parser.add_argument("path", type=Path, help="a folder, a zip, or a CSV/JSONL of texts")
        parser.add_argument("--media", choices=Media.values, help="of a new dataset; else guessed")
        parser.add_argument("--labels", type=Path, help="CSV or JSONL that names the files")
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="ROLE=NAME",
            help="which column is key, file, label, split, group, captured_at or text",
        )
        parser.add_argument("--split-from", choices=["folder", "column", "none"], default="")
        parser.add_argument("--replace", action="store_true", help="same key: take the new bytes")
        parser.add_argument(
            "--grow-test",
            action="store_true",
            help="put new items of sources that are tested on into the test split, too",
        )
        parser.add_argument(
            "--add-copies",
            action="store_true",
            help="add files whose bytes are here under another key all the same",
        )
        parser.add_argument(
            "--without-table",
            action="store_true",
            help="import the files though a table lies beside them that cannot be used",
        )
        parser.add_argument("--owner", metavar="USER", help="who owns a dataset made here")

    def handle(self, *args: Any, **options: Any) -> None:
        columns = self._columns(options["column"])
        path, labels = options["path"].expanduser().resolve(), options["labels"]
        for wanted in filter(None, (path, labels)):
            if not wanted.exists():
                raise CommandError(f"There is no file or folder {wanted}.")
        owner = self._user(options["owner"])
        try:
            with transaction.atomic():
                dataset = self._dataset(options, path, owner)
                _, job = importing.open_import(
                    dataset=dataset,
                    path=path,
                    labels=labels.resolve() if labels else None,
                    columns=columns,
                    split_from=options["split_from"],
                    replace=options["replace"],
                    grow_test=options["grow_test"],
                    add_copies=options["add_copies"],
                    without_table=options["without_table"],
                    by=owner,
                )
        except (jobs.Refused, jobs.JobOpenError, datasets.NameTakenError) as refusal:
            raise CommandError(str(refusal)) from refusal
        ended = self.carry_out(job, importing.import_upload)
        result = {**ended.result, "job": job.pk, "dataset": dataset.slug}
        self.report(options, result, _words(dataset, result))
        if result["rejected"] and not any(result[n] for n in Outcome.values if n != "rejected"):
            raise CommandError(f"Nothing could be used: {result['rejected']} rejected.")

    def _columns(self, pairs: list[str]) -> dict[str, str]:
        split = [pair.partition("=") for pair in pairs]
        wrong = [pair for pair, (_, sign, _) in zip(pairs, split) if not sign]
        if wrong:
            raise CommandError(f"--column {wrong[0]}: expected ROLE=NAME, e.g. label=category")
        return {role.strip(): name.strip() for role, _, name in split}

    def _user(self, name: str | None) -> User | None:
        if not name:
            return None
        found = User.objects.filter(username=name).first()
        if found is None:
            raise CommandError(f"There is no user {name!r}.")
        return found

    def _dataset(self, options: dict[str, Any], path: Path, owner: User | None) -> Dataset:
        slug = options["name"]
        found = Dataset.objects.filter(slug=slug).first()
        if found is not None:
            if options["media"] and options["media"] != found.media:
                raise CommandError(f"{slug} holds {found.media}, not {options['media']}.")
            return found
        if slug != slugify(slug):
            raise CommandError(f"{slug!r}: a name has small letters, digits and hyphens only.")
        media = options["media"] or _guessed_media(path)
        name = slug.replace("-", " ").replace("_", " ").capitalize()
        return datasets.create_dataset(name=name, slug=slug, media=media, by=owner)


def _guessed_media(path: Path) -> str:
    """Return what most members are by their names; the files themselves are opened later."""
    seen: Counter[str] = Counter()
    for member in list_members(path).members:
        types = expected_types(member.name)
        seen[Media.IMAGE] += bool(types & IMAGE_TYPES)
        seen[Media.AUDIO] += bool(types & SOUND_TYPES)
        seen[Media.TEXT] += member.name.endswith(".txt")
    media, count = seen.most_common(1)[0] if seen else ("", 0)
    if count:
        return media
    if any(is_table(member.name) for member in list_members(path).members):
        return Media.TEXT
    raise jobs.Refused(f"Nothing in {path.name} tells what it holds. Say --media.")


def _words(dataset: Dataset, result: dict[str, Any]) -> str:
    named = [f"{result[name]} {name}" for name in Outcome.values if result[name]]
    lines = [f"{dataset.slug}: {', '.join(named) or 'nothing new'}; {result['odd']} odd."]
    if result["elsewhere"]:
        lines.append(
            f"{result['elsewhere']} are here already under another key and were not added. "
            "Add them on the report's page, or import with --add-copies."
        )
    if result["split"].get("reason"):
        lines.append(f"Split: {result['split']['reason']}")
    if result["split"].get("for_test"):
        lines.append(
            f"{result['split']['for_test']} are in no split: their sources or copies are tested "
            "on. Put them there on the report's page, or import with --grow-test."
        )
    lines.extend(f"{name} {READ_AS_WINDOWS}" for name in result.get("guessed", []))
    if result.get("by_content"):
        lines.append(f"Column {result['by_content']!r} names the files; its content tells.")
    if result.get("one_folder"):
        lines.append(
            f"All files lie in one folder, {result['one_folder']!r}: it is taken for no class."
        )
    choices = " or ".join(repr(name) for name in result.get("label_choices", []))
    if choices:
        folders = " and ".join(repr(name) for name in result.get("folder_labels", []))
        found = (
            f"Labels were taken from the folders ({folders}). Are they in column"
            if folders
            else "No label column was recognised: is it"
        )
        lines.append(
            f"{found} {choices}? Then import again with "
            "--column label=NAME, then apply the changes on the report's page."
        )
    lines.append(f"Report: /d/{dataset.slug}/uploads/{result['upload']}/")
    return "\n".join(lines)
