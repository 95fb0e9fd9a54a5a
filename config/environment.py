"""The environment variables that Winnow reads; a wrong value is refused by name."""

import os
import re
import secrets
from contextlib import suppress
from datetime import datetime, time
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlparse
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
# The last part has a letter: 999.1.1.1 is a mistyped address, not a name.
HOST_NAME = re.compile(r"([\w-]+\.)*[\w-]*[a-zA-Z][\w-]*")
FLAGS = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False, "": False}
# Bytes of SQLite's file that are read where the system holds them, not copied page by page: pages
# that look through all items cost a tenth to a quarter less (bench/pages.py).
MOST_MAPPED = 2**30


def data_folder() -> Path:
    """Return the folder that holds everything, made when missing."""
    folder = Path(os.environ.get("WINNOW_DATA") or ROOT / "var").expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"WINNOW_DATA: {folder} cannot be made: {error}") from error
    if not os.access(folder, os.W_OK):
        raise ImproperlyConfigured(f"WINNOW_DATA: {folder} cannot be written to")
    return folder


def secret_key(folder: Path) -> str:
    """Return the secret key of this installation, made once and readable by its owner only."""
    path = folder / "secret_key"
    if not path.exists():
        fresh = folder / f"secret_key.{os.getpid()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(50))
        with suppress(FileExistsError):  # another process was faster: its key holds
            os.link(fresh, path)  # whole or not there, also when this process is killed
        fresh.unlink()
    return path.read_text().strip()


def flag(name: str) -> bool:
    """Return a variable that is on or off."""
    value = os.environ.get(name, "").strip().lower()
    if value not in FLAGS:
        raise ImproperlyConfigured(f"{name}: expected on or off, got {value!r}")
    return FLAGS[value]


def bind() -> str:
    """Return the address to listen on: an IP address, or a name of this machine."""
    value = os.environ.get("WINNOW_BIND", "").strip() or "127.0.0.1"
    if not _is_host(value):
        raise ImproperlyConfigured(
            f"WINNOW_BIND: expected an address such as 127.0.0.1 or 0.0.0.0, got {value!r}"
        )
    return value


def _is_host(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return bool(HOST_NAME.fullmatch(value))
    return True


def hosts(bind: str) -> list[str]:
    """Return the host names that may be asked for."""
    named = [host.strip() for host in os.environ.get("WINNOW_HOSTS", "").split(",") if host.strip()]
    if not all(host == "*" or _is_host(host.strip("[]").removeprefix(".")) for host in named):
        raise ImproperlyConfigured(
            "WINNOW_HOSTS: expected host names separated by commas, without scheme or port"
        )
    return [
        *named,
        "localhost",
        "127.0.0.1",
        "[::1]",
        *([bind] if bind not in ("0.0.0.0", "::") else []),
    ]


def time_zone() -> str:
    """Return the time zone of dates on pages and of the night, by its name."""
    named = os.environ.get("WINNOW_TIME_ZONE", "").strip() or "UTC"
    try:
        return ZoneInfo(named).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder is no file
        raise ImproperlyConfigured(
            f"WINNOW_TIME_ZONE: expected a name such as Europe/Berlin, got {named!r}"
        ) from error


def night() -> time:
    """Return when the night begins, in which datasets train that chose so."""
    named = os.environ.get("WINNOW_NIGHT", "").strip() or "02:00"
    try:
        return datetime.strptime(named, "%H:%M").time()
    except ValueError:
        raise ImproperlyConfigured(
            f"WINNOW_NIGHT: expected a time of day such as 02:00, got {named!r}"
        ) from None


def weights_folder() -> Path | None:
    """Return the folder that is searched for pretrained weights, if one is named."""
    named = os.environ.get("WINNOW_WEIGHTS", "").strip()
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise ImproperlyConfigured(f"WINNOW_WEIGHTS: expected a folder, {named!r} is none")
    return folder.resolve()


def database(folder: Path) -> dict[str, object]:
    """Return Django's settings of the database: SQLite unless DATABASE_URL says PostgreSQL."""
    url = os.environ.get("DATABASE_URL", "").strip()
    if not url:
        return {
            "ENGINE": "config.sqlite",
            "NAME": folder / "winnow.sqlite3",
            "CONN_MAX_AGE": None,  # a file handle; opening it anew costs more than most queries
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                f"PRAGMA mmap_size={MOST_MAPPED};",
            },
            "TEST": {"NAME": folder / "test.sqlite3"},
        }
    parts = urlparse(url)
    has_name = parts.path.strip("/") and _has_port(url)
    if parts.scheme not in ("postgres", "postgresql") or not has_name:
        raise ImproperlyConfigured(
            "DATABASE_URL: expected postgresql://user:password@host:port/name"
        )
    options: dict[str, object] = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or str(options.pop("host", ""))),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {**options, "pool": {"min_size": 0, "max_size": 16, "timeout": 20}},
    }


def _has_port(url: str) -> bool:
    """Tell whether the port of an address, where it names one, is a number that ports can have."""
    try:
        return urlparse(url).port != 0
    except ValueError:
        return False


def mail() -> dict[str, Any]:
    """Return how mail is sent, from WINNOW_MAIL; without it nobody can ask for mail."""
    url = os.environ.get("WINNOW_MAIL", "").strip()
    parts = urlparse(url)
    options = dict(parse_qsl(parts.query))
    is_known = parts.scheme in ("smtp", "smtps") and parts.hostname and _has_port(url)
    if url and not (is_known and "@" in options.get("from", "")):
        raise ImproperlyConfigured(
            "WINNOW_MAIL: expected smtp://user:password@host:587?from=winnow@example.org "
            "(smtps:// for TLS from the start; &starttls=off for a server without TLS)"
        )
    is_tls = parts.scheme == "smtps"
    return {
        "host": parts.hostname or "",
        "port": parts.port or (465 if is_tls else 587),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "tls": is_tls,
        "starttls": not is_tls and options.get("starttls") != "off",
        "sender": options.get("from", ""),
    }


def redis_url(folder: Path) -> str:
    """Return REDIS_URL, else the address that `manage.py up` wrote, else the usual one."""
    url = os.environ.get("REDIS_URL", "").strip()
    if url:
        if urlparse(url).scheme not in ("redis", "rediss", "unix") or not _has_port(url):
            raise ImproperlyConfigured("REDIS_URL: expected redis://host:port/0")
        return url
    written = folder / "redis.url"
    return written.read_text().strip() if written.exists() else "redis://127.0.0.1:6379/0"
