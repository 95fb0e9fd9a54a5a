"""Bytes under their sha256: written once, durable before anything points at them."""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages

THREADS = 8  # Pillow and libsndfile release the lock; fsyncs wait side by side

Given = TypeVar("Given")
Made = TypeVar("Made")


class DurableStorage(FileSystemStorage):
    """Local files that are whole or absent: temporary file, fsync, rename."""

    def _save(self, name: str, content: IO[bytes]) -> str:
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write_whole(path, iter(lambda: content.read(2**20), b""))
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name  # same name, same bytes: writing again is harmless


def _write_whole(path: str, chunks: Iterable[bytes]) -> None:
    """Make a file in a folder that is there; plain system calls, as an import makes thousands."""
    temporary = f"{os.path.dirname(path)}/.part-{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            for chunk in chunks:
                _write_all(file, chunk)
            os.fsync(descriptor)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)  # where it is not whole


def _write_all(file: IO[bytes], chunk: bytes) -> None:
    """Write a chunk; the system may take less of a very large one at once."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def name_of(sha256: str) -> str:
    """Return where the bytes with this hash lie in storage."""
    return f"content/{sha256[:2]}/{sha256}"


def write_bytes(content: bytes) -> str:
    """Store bytes and return their sha256; bytes that are there already are left alone."""
    sha256 = hashlib.sha256(content).hexdigest()
    storage = storages["default"]
    if not storage.exists(name_of(sha256)):
        storage.save(name_of(sha256), ContentFile(content))
    return sha256


def side_by_side(
    work: Callable[[Given], Made],
    values: Sequence[Given],
    *,
    pool: ThreadPoolExecutor,
    threads: int = THREADS,
) -> list[Made]:
    """Return what `work` makes of each value, in their order; one task a thread, not a value.

    A task of a pool costs as much as hashing a small file; one thread alone needs no pool.
    """
    if threads <= 1:
        return [work(value) for value in values]
    made: dict[int, Made] = {}
    waiting = iter(enumerate(values))  # shared: whoever is free takes the next one

    def take_turns(_: int) -> None:
        for number, value in waiting:
            made[number] = work(value)

    list(pool.map(take_turns, range(min(threads, len(values)))))
    return [made[number] for number in range(len(values))]


def write_many(contents: Mapping[str, bytes], *, pool: ThreadPoolExecutor) -> None:
    """Store bytes under their sha256, side by side: one journal commit serves several fsyncs.

    The folders are synced as well, so that a power cut cannot take back the new names.
    """
    root = storages["default"].path("")
    paths = {sha256: f"{root}/{name_of(sha256)}" for sha256 in contents}
    absent = [sha256 for sha256, path in paths.items() if not os.path.exists(path)]
    folders = {os.path.dirname(paths[sha256]) for sha256 in absent}
    new = [folder for folder in folders if not os.path.isdir(folder)]
    for folder in new:
        os.makedirs(folder, exist_ok=True)
    side_by_side(lambda sha256: _write_whole(paths[sha256], [contents[sha256]]), absent, pool=pool)
    parents = {os.path.dirname(folder) for folder in new}
    side_by_side(sync_folder, [*folders | parents], pool=pool)


def sync_folder(folder: Path | str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(sha256: str) -> bytes:
    """Return the bytes stored under a hash."""
    with storages["default"].open(name_of(sha256), "rb") as file:
        return file.read()


def path_of(sha256: str) -> Path:
    """Return the local path of stored bytes, for streaming and memory-maps."""
    return Path(storages["default"].path(name_of(sha256)))


def free_bytes() -> int:
    """Return the space left on the disk that holds the data folder."""
    status = os.statvfs(settings.DATA_DIR)
    return status.f_bavail * status.f_frsize


class DiskFullError(Exception):
    """Too little space is left to write anything safely; the words go to the person."""


def refuse_when_full() -> None:
    """Raise before a full disk breaks something halfway."""
    free = free_bytes()
    if free < settings.LEAST_FREE_BYTES:
        raise DiskFullError(
            f"The disk is too full: {free / 2**20:,.0f} MiB are left of the "
            f"{settings.LEAST_FREE_BYTES / 2**20:,.0f} that must stay free. "
            "The System page says what to free."
        )
