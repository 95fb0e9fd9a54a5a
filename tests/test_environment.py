"""A wrong value of an environment variable is refused at start, by the variable's name."""

import re
from datetime import time
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import environment

WRONG = {
    "WINNOW_BIND": ["999.1.1.1", "http://x", "127.0.0.1:80", "a b"],
    "WINNOW_HOSTS": ["https://a.org", "a.org:80", "a b;c", "a.org,1.2.3.999"],
    "DATABASE_URL": ["foo", "mysql://a/b", "postgresql://a", "postgresql://a:port/b"],
    "REDIS_URL": ["http://a", "redis://a:port/0", "redis://a:99999/0"],
    "WINNOW_DEBUG": ["maybe"],
    "WINNOW_TIME_ZONE": ["Berlin", "UTC+2", "../etc/passwd", "Europe", "/etc/localtime"],
    "WINNOW_NIGHT": ["2", "24:00", "2 am", "02:00:00"],
    "WINNOW_WEIGHTS": ["/no/such/folder"],
    "WINNOW_MAIL": ["mail.org", "http://a?from=a@b", "smtp://a", "smtp://a:port?from=a@b"],
}
OWN_HOSTS = ["localhost", "127.0.0.1", "[::1]", "127.0.0.1"]
POSTGRES = "django.db.backends.postgresql"
DATABASE_PARTS = ("USER", "PASSWORD", "HOST", "PORT")
RIGHT: dict[str, dict[str, object]] = {
    "WINNOW_BIND": {
        "": "127.0.0.1",
        **{name: name for name in ("127.0.0.1", "0.0.0.0", "::1", "localhost", "box-1.lan")},
    },
    "WINNOW_HOSTS": {
        "": OWN_HOSTS,
        "a.org, b.org": ["a.org", "b.org", *OWN_HOSTS],
        **{name: [name, *OWN_HOSTS] for name in (".a.org", "10.0.0.7", "*", "[::1]")},
    },
    "DATABASE_URL": {
        "": ("config.sqlite", "winnow.sqlite3", None, None, None, None),
        "postgresql://u:p@h:5432/n": (POSTGRES, "n", "u", "p", "h", "5432"),
        "postgres:///n?host=/tmp": (POSTGRES, "n", "", "", "/tmp", ""),
    },
    "REDIS_URL": {name: name for name in ("redis://h", "redis://:pw@h:6379/0", "unix:///tmp/r")},
    "WINNOW_TIME_ZONE": {"": "UTC", "Europe/Berlin": "Europe/Berlin"},
    "WINNOW_NIGHT": {"": time(2), "23:30": time(23, 30), "4:05": time(4, 5)},
    "WINNOW_DEBUG": {"on": True, "OFF": False, "": False},
    "WINNOW_MAIL": {
        "": ("", 587, "", "", False, True, ""),
        "smtp://u:p@h:587?from=a@b.org": ("h", 587, "u", "p", False, True, "a@b.org"),
        "smtps://h?from=a@b.org": ("h", 465, "", "", True, False, "a@b.org"),
    },
}


def read(name: str, folder: Path) -> object:
    return {
        "WINNOW_BIND": environment.bind,
        "WINNOW_HOSTS": lambda: environment.hosts("127.0.0.1"),
        "DATABASE_URL": lambda: database(folder),
        "REDIS_URL": lambda: environment.redis_url(folder),
        "WINNOW_DEBUG": lambda: environment.flag("WINNOW_DEBUG"),
        "WINNOW_TIME_ZONE": environment.time_zone,
        "WINNOW_NIGHT": environment.night,
        "WINNOW_WEIGHTS": environment.weights_folder,
        "WINNOW_MAIL": lambda: tuple(environment.mail().values()),
    }[name]()


def database(folder: Path) -> tuple[object, ...]:
    found = environment.database(folder)
    path_or_name = Path(str(found["NAME"])).name
    return (found["ENGINE"], path_or_name, *(found.get(part) for part in DATABASE_PARTS))


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_a_wrong_value_is_refused_by_name(name: str, value: str, monkeypatch, tmp_path: Path):
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=f"{re.escape(name)}: expected"):
        read(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [(n, v, taken) for n, vs in RIGHT.items() for v, taken in vs.items()],
)
def test_a_right_value_is_taken(name: str, value: str, taken: object, monkeypatch, tmp_path: Path):
    monkeypatch.setenv(name, value)
    assert read(name, tmp_path) == taken
