"""One import from its opening to its report; every step can be repeated after a kill.

What is done is what has an entry: a batch's bytes are durable before its rows, and its rows
and entries are one transaction. So an attempt that follows a killed one skips what has an
entry, and ends in the same items and the same report.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from labeling import storage
from labeling.models import Dataset, Job, JobState, LabelClass, Split, Upload, User
from labeling.queries import uploads
from labeling.services import datasets, jobs, tombstones
from labeling.services.intake import splitting
from labeling.services.intake.manifest import MOST_COLUMNS, ColumnsNeededError
from labeling.services.intake.measuring import Opened, open_all
from labeling.services.intake.reading import Asked, Candidate, Reading, read_upload
from labeling.services.intake.recording import Ledger, classes_by_name, record

FOLDERS_NAMED = 3  # where the page asks whether folders are classes
TABLES_KEPT = timedelta(days=1)  # time to see that a column was meant otherwise
WITHDRAWN_WORDS = (
    "consent_withdrawn",
    "Consent for the item of this key was withdrawn: it does not come back. What is another "
    "item needs another name.",
)
BATCH_MEMBERS = 100  # rows of a transaction stay below 200 with their label history
BATCH_BYTES = 64 * 2**20  # of files held in memory at once


@transaction.atomic
def open_import(
    *,
    dataset: Dataset,
    path: Path,
    labels: Path | None = None,
    columns: Mapping[str, str] | None = None,
    split_from: str = "",
    replace: bool = False,
    grow_test: bool = False,
    add_copies: bool = False,
    without_table: bool = False,
    by: User | None = None,
) -> tuple[Upload, Job]:
    """Note an import of a folder, zip or table and its waiting job; the caller sends the job.

    With `grow_test`, new items of sources that are tested on join the test split at once; with
    `add_copies`, bytes that are here under another key become items once more.
    """
    upload = Upload.objects.create(
        dataset=dataset,
        name=path.name[:200],
        path=str(path),
        options={
            "labels": str(labels or ""),
            "columns": dict(columns or {}),
            "earlier": uploads.columns_chosen(dataset),
            "split_from": split_from,
            "replace": replace,
            "grow_test": grow_test,
            "add_copies": add_copies,
            "without_table": without_table,
        },
        by=by,
    )
    return upload, open_job_of(upload=upload, by=by)


@transaction.atomic
def open_job_of(*, upload: Upload, by: User | None = None) -> Job:
    """Open the job that carries out an upload whose files are all there."""
    job = jobs.open_job(kind="import", dataset=upload.dataset, options={"upload": upload.pk}, by=by)
    upload.job = job
    upload.save(update_fields=["job"])
    return job


def uploads_folder() -> Path:
    """Return where files that came through the browser wait for their import."""
    return Path(settings.DATA_DIR) / "uploads"


def import_upload(work: jobs.Work) -> dict[str, Any]:
    """Carry out the import that a job names and return its figures."""
    upload = Upload.objects.select_related("dataset", "by").get(pk=work.options["upload"])
    if "result" in upload.options:  # everything was done before the last attempt was lost
        return dict(upload.options["result"])
    work.progress(message="Reading the list of files", now=True)
    try:
        reading = read_upload(_asked(upload))
    except ColumnsNeededError as needed:
        _ask(upload, needed.question, work)
        raise
    _refuse_full_disk(reading)
    plan = _plan(upload, reading, work)
    _import_candidates(upload, reading, work)
    split = (
        splitting.propose(upload=upload, work=work)
        if plan["wants_split"] and counts(upload)["imported"]
        else {}
    )
    result = {**counts(upload), "ignored": reading.ignored, "manifest": reading.manifest}
    result["elsewhere"] = uploads.elsewhere(upload)
    result |= {"upload": upload.pk, "split": split, "columns": reading.columns[:MOST_COLUMNS]}
    result |= reading.notes
    if reading.notes.get("label_choices") and reading.classes:
        result |= _folders_asked_about(upload, reading, plan)
    with transaction.atomic():
        work.hold()
        upload.options["result"] = result
        upload.save(update_fields=["options"])
    # The contents lie in storage now; files are kept where they may be read in another way.
    had_table = reading.columns or reading.notes.get("unused")
    if not had_table and upload.dataset.items.exists():
        remove_files(upload)
    return result


def _folders_asked_about(
    upload: Upload, reading: Reading, plan: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Ask for a label column where folders are no classes but by this import, else not at all."""
    known = classes_by_name(upload, reading.classes)
    new = [n for n in reading.classes if n in plan["new_classes"] or n not in known]
    return {"folder_labels": new[:FOLDERS_NAMED]} if new else {"label_choices": []}


@transaction.atomic
def _ask(upload: Upload, question: Mapping[str, Any], work: jobs.Work) -> None:
    """Keep what a person has to say before anything is imported."""
    work.hold()
    upload.options["question"] = dict(question)
    upload.save(update_fields=["options"])


def remove_files(upload: Upload) -> None:
    """Remove what the browser sent; files that were read where they lay stay there."""
    path = Path(upload.path)
    if path.is_relative_to(uploads_folder()):
        shutil.rmtree(path.parent, ignore_errors=True)


def can_read_again(upload: Upload) -> bool:
    """Tell whether an ended import failed, brought nothing or had a table, and has its files."""
    job = upload.job
    ended = job is not None and not job.is_open and not job.result.get("hopeless")
    result = upload.options.get("result")
    had_table = result is None or bool(result.get("columns") or result.get("unused"))
    may_differ = had_table or not upload.dataset.items.exists()
    return ended and may_differ and bool(upload.path) and Path(upload.path).exists()


@transaction.atomic
def read_again(*, upload: Upload, options: Mapping[str, Any], by: User) -> tuple[Upload, Job]:
    """Open another import of the same files, with other options; the caller sends its job.

    Where items came of the earlier one their keys stay: by those they are known.
    """
    if upload.job is None or upload.job.is_open:
        raise jobs.Refused("This import has not ended yet.")
    if not upload.path or not Path(upload.path).exists():
        raise jobs.Refused("The files of this import are no longer kept; send them again.")
    asked = {**upload.options, **options}
    for name in ("plan", "result", "question", "taken_back", "merged", "earlier"):
        asked.pop(name, None)
    if "question" in upload.options:  # nothing came of it yet: it goes on
        upload.options = asked
        upload.save(update_fields=["options"])
        return upload, open_job_of(upload=upload, by=by)
    if uploads.keys_come_of_files(upload):
        asked["keeps_keys"] = True
        asked["top"] = upload.options["plan"]["top"]
    elif uploads.has_items(upload):
        chosen = {role: name for role, name in asked["columns"].items() if role != "key"}
        was = {role: name for role, name in upload.options["columns"].items() if role == "key"}
        asked["columns"] = chosen | was
    again = Upload.objects.create(
        dataset=upload.dataset, name=upload.name, path=upload.path, options=asked, by=by
    )
    return again, open_job_of(upload=again, by=by)


def remove_old_files(*, now: datetime) -> int:
    """Remove the files of imports that were done a while ago; returns of how many."""
    old = []
    for folder in uploads_folder().glob("*/files"):
        newest = Upload.objects.filter(path=str(folder)).select_related("job").last()
        job = newest.job if newest else None
        ended = job.finished_at if job and job.state == JobState.DONE else None
        if newest and ended and ended < now - TABLES_KEPT:
            old.append(newest)
    for upload in old:
        remove_files(upload)
    return len(old)


def _asked(upload: Upload) -> Asked:
    options = upload.options
    path = Path(upload.path)
    columns = options.get("columns") or {}
    free = {r: c for r, c in options.get("earlier", {}).items() if c not in columns.values()}
    return Asked(
        path=path,
        media=upload.dataset.media,
        labels=Path(options["labels"]) if options.get("labels") else None,
        columns=columns,
        earlier={role: column for role, column in free.items() if role not in columns},
        split_from=options.get("split_from") or "",
        open_archives=path.is_relative_to(uploads_folder()),
        known_classes=tuple(upload.dataset.classes.values_list("name", flat=True)),
        known_keys=lambda: upload.dataset.items.values_list("key", flat=True),
        without_table=bool(options.get("without_table")),
        top=options.get("plan", options).get("top"),
        keeps_keys=bool(options.get("keeps_keys")),
    )


def _refuse_full_disk(reading: Reading) -> None:
    need, free = reading.bytes + settings.LEAST_FREE_BYTES, storage.free_bytes()
    if need > free:
        raise jobs.Refused(
            f"The disk is too full: the import needs {need / 2**20:,.0f} MiB "
            f"({settings.LEAST_FREE_BYTES / 2**20:,.0f} stay free), {free / 2**20:,.0f} are left. "
            "Free some space, then retry."
        )


@transaction.atomic
def _plan(upload: Upload, reading: Reading, work: jobs.Work) -> dict[str, Any]:
    """Decide once what depends on the dataset before the import, and make its first classes."""
    work.hold()
    if "plan" not in upload.options:
        makes_classes = not upload.dataset.classes.exists()
        items = upload.dataset.items.all()
        # Where all items were left without a split on purpose, new ones are as well.
        without = items.exists() and not items.exclude(split=Split.NONE).exists()
        says_splits = reading.says_splits or without
        upload.options["plan"] = {
            "top": reading.top,
            "wants_split": not says_splits and not upload.options.get("split_from"),
            "new_classes": reading.classes if makes_classes else [],
        }
        if makes_classes:
            datasets.add_classes(dataset=upload.dataset, names=reading.classes)
        upload.save(update_fields=["options"])
    return dict(upload.options["plan"])


def _import_candidates(upload: Upload, reading: Reading, work: jobs.Work) -> None:
    done = set(upload.entries.values_list("name", "line"))
    waiting = [c for c in reading.candidates if (c.name, c.line) not in done]
    classes = classes_by_name(upload, [c.label for c in reading.candidates if c.label])
    keys = frozenset(c.key for c in reading.candidates)
    total, finished = len(reading.candidates), len(reading.candidates) - len(waiting)
    withdrawn = tombstones.which_of(upload.dataset_id, keys)  # never opened, so never stored
    tally = counts(upload)
    with ThreadPoolExecutor(storage.THREADS, thread_name_prefix="intake") as pool:
        for batch in batches(waiting):
            work.progress(finished, total, message="Importing", detail=tally)
            work.check()
            wanted = [candidate for candidate in batch if candidate.key not in withdrawn]
            opened = open_all(wanted, media=upload.dataset.media, pool=pool)
            opened += [Opened(c, problem=WITHDRAWN_WORDS) for c in batch if c.key in withdrawn]
            _save(opened, _ledger(upload, classes, keys), work, tally)
            finished += len(batch)
    work.progress(finished, total, message="Importing", detail=tally, now=True)


def _ledger(upload: Upload, classes: Mapping[str, LabelClass], keys: frozenset[str]) -> Ledger:
    return Ledger(
        upload,
        classes,
        replace=bool(upload.options.get("replace")),
        keys=keys,
        add_copies=bool(upload.options.get("add_copies")),
    )


def _save(opened: Sequence[Opened], ledger: Ledger, work: jobs.Work, tally: dict[str, int]) -> None:
    with transaction.atomic():
        work.keep()
        record(opened, ledger)
    for entry in ledger.entries:
        tally[entry.outcome] += 1
        tally["odd"] += entry.is_odd


def batches(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """Cut candidates so that neither a transaction nor memory grows large."""
    batch: list[Candidate] = []
    size = 0
    for candidate in candidates:
        if batch and (len(batch) == BATCH_MEMBERS or size + candidate.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(candidate)
        size += candidate.size
    if batch:
        yield batch


def counts(upload: Upload) -> dict[str, int]:
    """Count the entries of a report by outcome; odd ones count among the imported as well."""
    return uploads.counts(uploads.totals(upload))
