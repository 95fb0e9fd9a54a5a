"""Fixtures shared by all tests; the real services are started once a session."""

import fcntl
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# `make test` says the same of the same commit; `make verify` looks for new examples each time.
# How long an example takes says how busy the machine is, nothing about the code.
hypothesis.settings.register_profile(
    "searching", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "repeatable", hypothesis.settings.get_profile("searching"), derandomize=True
)
hypothesis.settings.load_profile("searching")

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright keeps an event loop
ROOT = Path(__file__).resolve().parent.parent
PATIENCE_MS = 60_000  # for what a page will show; says only how busy a machine may be
# Files that wait for servers begin first, the longest foremost, then those that train longest: one
# process would else be at work alone at the end. They leave no trace in the tests' database.
LONGEST = (
    *("test_loop.py", "test_chaos.py", "test_cancel.py", "test_up.py", "test_intake_kill.py"),
    *("test_training.py", "test_features.py"),
)


def pytest_collection() -> None:
    """Let each process read a share of the tests of its own first, and find the rest compiled.

    They read at the same time: in a new copy each would else compile everything.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes > 1:
        first = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        for path in sorted(ROOT.glob("tests/**/test_*.py"))[first::processes]:
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; all else stays in the order that pytest-django gives it."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what was imported: it stays to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private Redis for this session; settings and Celery are pointed at it."""
    from django.conf import settings

    from config import celery_app, redis_server

    process, url = redis_server.start(tmp_path_factory.mktemp("redis"))
    settings.REDIS_URL = celery_app.conf.broker_url = url
    # The real hasher costs a third of a second a log-in, by design; here it only costs time.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield url
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """No test outlives a power failure, so none waits for the disk.

    Nobody asks for permissions or content types: without this each emptied database gets new ones,
    which takes ten times as long as emptying it.
    """
    from django.contrib.contenttypes.management import create_contenttypes
    from django.db import connection
    from django.db.models.signals import post_migrate

    if connection.vendor == "sqlite":
        connection.settings_dict["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Make the triggers of migrations, which tables made from the models come without."""
    from django.db import connection

    from labeling import triggers as labeling
    from quality import triggers as quality

    counted = (*labeling.COUNTED, *quality.COUNTED)
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for sql in labeling.made(counted, connection.vendor):
            cursor.execute(sql)


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path_factory: pytest.TempPathFactory, settings: Any) -> None:
    """Files of a test lie in a folder of its own: row ids begin again in each test."""
    settings.DATA_DIR = tmp_path_factory.mktemp("data")
    settings.MEDIA_ROOT = settings.DATA_DIR / "media"


@pytest.fixture(autouse=True)
def no_heartbeat_beside_a_transaction(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that is one transaction holds the database to its end, and its rows are its own.

    The heartbeat of a job of over ten seconds would wait in vain for 20 s on SQLite, and find no
    job to keep on PostgreSQL.
    """
    from labeling.services import jobs

    marker = request.node.get_closest_marker("django_db")
    if marker and not marker.kwargs.get("transaction"):
        monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 3600)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; use `page` in tests.

    Of a module, not of the session: while Playwright runs, its event loop keeps Django's
    synchronous test client from calling asynchronous views.
    """
    from playwright.sync_api import expect, sync_playwright

    from tests.setup import chromium

    expect.set_options(timeout=PATIENCE_MS)
    path = chromium.find()
    with sync_playwright() as playwright:
        yield (it := playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS))
        it.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh page of 1440 x 900; a script error on it fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, errors


def own_environment(data: Path) -> dict[str, str]:
    """The variables of a Winnow with a data folder, a database and a Redis of its own."""
    kept = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "DATABASE_URL")}
    return {**kept, "WINNOW_DATA": str(data)}


@dataclass
class Winnow:
    """A whole running Winnow: web, workers, beat and Redis of its own."""

    url: str
    data: Path
    process: "subprocess.Popen[str] | None" = None

    def manage(self, *arguments: str, timeout: float = 300) -> str:
        """Run a command against it and return what it printed."""
        environment = own_environment(self.data)
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
        return done.stdout


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Put a migrated database into a data folder and return the folder.

    Migrated once for all processes and copied: it takes most of the time of a first start, which
    `test_up.py` looks at.
    """
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared"
    made.mkdir(exist_ok=True)
    with (made / "migrated").open("a") as migrated:
        fcntl.flock(migrated, fcntl.LOCK_EX)
        if not migrated.tell():
            Winnow(url="", data=made).manage("migrate", "--verbosity", "0")
            migrated.write("yes")

    def prepare(data: Path) -> Path:
        data.mkdir(exist_ok=True)
        shutil.copy(made / "winnow.sqlite3", data)
        return data

    return prepare


@pytest.fixture(scope="session")
def winnow(
    tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]
) -> Iterator[Winnow]:
    """One running Winnow for all tests that do not mind what the others left in it."""
    with running_winnow(prepared(tmp_path_factory.mktemp("winnow"))) as started:
        yield started


@contextmanager
def running_winnow(data: Path, *, port: int = 8100) -> Iterator[Winnow]:
    """`manage.py up` without the demo, as an operator starts it."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port)],
        cwd=ROOT,
        env=own_environment(data),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "ready: " in line:
            break
    else:
        pytest.fail("Winnow did not start:\n" + "".join(lines))
    yield Winnow(url=line.split("ready: ")[1].strip(), data=data, process=process)
    process.terminate()
    process.wait(timeout=60)
