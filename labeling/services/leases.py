"""Which attempts at jobs live on this machine: each holds a file lock that dies with its process.

The lease in a job's row works across machines, but it has to run out before a killed worker's
job is free again. A lock tells at once, and cannot be wrong about a process that is only slow:
the kernel lets go of it when the process ends, in whatever way. Each machine has a folder of
its own, because locks on network file systems need not be seen from elsewhere.
"""

import fcntl
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings


def _path(job_id: int, attempt: int) -> Path:
    return Path(settings.DATA_DIR) / "leases" / socket.gethostname() / f"{job_id}.{attempt}"


@contextmanager
def held(job_id: int, attempt: int) -> Iterator[None]:
    """Hold the lock of one attempt while the block lasts."""
    path = _path(job_id, attempt)
    path.parent.mkdir(parents=True, exist_ok=True)
    unlocked = path.with_name(f".{path.name}")
    with unlocked.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a file system without locks: the lease in the row serves alone
            unlocked.unlink()
            yield
            return
        unlocked.replace(path)  # a lock file that can be seen is locked, or its process is gone
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_dead(job_id: int, attempt: int) -> bool:
    """Tell whether an attempt ran on this machine and its process is gone; False if unknown."""
    try:
        file = _path(job_id, attempt).open("r+")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def forget(job_id: int, attempt: int) -> None:
    """Remove the lock file that a dead attempt left."""
    _path(job_id, attempt).unlink(missing_ok=True)
