"""Files that come through the browser: stored durably before their import starts."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import transaction

from labeling import storage
from labeling.models import Dataset, Job, Upload, User
from labeling.queries import uploads
from labeling.services import jobs
from labeling.services.intake.importing import open_job_of, uploads_folder
from labeling.services.intake.placing import is_outside, plain_name

# The request is spooled, then stored, then its contents: what is sent exists up to three times.
COPIES_WHILE_IMPORTING = 3
MOST_COMPONENT_BYTES = 255  # of one name in a path, on the usual file systems


def refuse_too_much(size: int) -> None:
    """Refuse an upload of this many bytes early when there is no room for it."""
    if size > settings.MOST_UPLOAD_BYTES:
        most = settings.MOST_UPLOAD_BYTES / 2**30
        raise jobs.Refused(f"An upload may have {most:.0f} GiB; use import_dataset for more.")
    need = size * COPIES_WHILE_IMPORTING + settings.LEAST_FREE_BYTES
    free = storage.free_bytes()
    if need > free:
        raise jobs.Refused(
            f"The disk is too full: this upload needs {need / 2**20:,.0f} MiB for a while, "
            f"{free / 2**20:,.0f} are free. Free some space, or ask who runs this machine."
        )


@transaction.atomic
def open_upload(
    *, dataset: Dataset, name: str, options: Mapping[str, Any], size: int, by: User
) -> Upload:
    """Note an upload whose files are still to come."""
    refuse_too_much(size)
    upload = Upload.objects.create(
        dataset=dataset,
        name=name[:200] or "files",
        options={**options, "earlier": uploads.columns_chosen(dataset)},
        by=by,
    )
    upload.path = str(folder_of(upload))
    upload.save(update_fields=["path"])
    return upload


def folder_of(upload: Upload) -> Path:
    """Return where the files of an upload lie until its import is done."""
    return uploads_folder() / str(upload.pk) / "files"


def receive_files(*, upload: Upload, files: Sequence[tuple[str, IO[bytes]]]) -> None:
    """Store files by their paths; each is whole or absent, and on the disk when this returns."""
    if upload.job_id:
        raise jobs.Refused("The import of this upload has begun; start another one.")
    root = folder_of(upload)
    root.mkdir(parents=True, exist_ok=True)
    folders = {root.parent.parent, root.parent, root}
    for name, content in files:
        path = root / _safe_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, content)
        folders |= {path.parent, *(p for p in path.parents if p.is_relative_to(root))}
    for folder in folders:
        storage.sync_folder(folder)


def _safe_name(name: str) -> str:
    plain = plain_name(name.replace("\x00", ""))
    parts = plain.split("/")
    if not plain or is_outside(name):
        raise jobs.Refused(f"{name[:100]!r} is no path that a file can have here.")
    if any(len(part.encode()) > MOST_COMPONENT_BYTES for part in parts):
        raise jobs.Refused(f"The name {parts[-1][:60]}… is too long.")
    return plain


def _write(path: Path, content: IO[bytes]) -> None:
    temporary = path.with_name(".part-" + path.name[:100])
    with temporary.open("wb") as file:
        shutil.copyfileobj(content, file, 2**20)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@transaction.atomic
def start_import(*, upload: Upload, by: User) -> Job:
    """Open the job of an upload that has all its files; the caller sends it.

    Asked again, because the answer was lost with the web process, it returns the same job.
    """
    if upload.job:
        return upload.job
    folder = folder_of(upload)
    names = [name for _, _, names in os.walk(folder) for name in names]
    if not names:
        raise jobs.Refused("Choose a zip or some files first.")
    if len(names) == 1 and not upload.name.strip():
        upload.name = names[0]
    return open_job_of(upload=upload, by=by)
