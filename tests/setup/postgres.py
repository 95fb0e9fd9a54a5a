"""A private PostgreSQL cluster for the tests, thrown away afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.redis_server import free_port

ACCOUNT = "postgres"  # initdb refuses root


def find() -> Path | None:
    """Return the folder of PostgreSQL's programs (Debian keeps them off PATH)."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if installed:
        return installed[0].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster on a free port of the loopback; yield its DATABASE_URL."""
    programs = find()
    if programs is None:
        raise FileNotFoundError("no PostgreSQL; install the package postgresql")
    with tempfile.TemporaryDirectory(prefix="winnow-pg-") as folder:
        if os.geteuid() == 0:
            owner = pwd.getpwnam(ACCOUNT)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        data, port = f"{folder}/data", free_port()
        _run(programs / "initdb", "-D", data, "-U", "winnow", "-A", "trust", "--no-sync")
        settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        _run(programs / "pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", settings, "start")
        try:
            yield f"postgresql://winnow@127.0.0.1:{port}/postgres"
        finally:
            _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def _run(program: Path, *arguments: str) -> None:
    as_account = ["runuser", "-u", ACCOUNT, "--"] if os.geteuid() == 0 else []
    subprocess.run(
        [*as_account, str(program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/"
    )
