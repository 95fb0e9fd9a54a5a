"""Fixtures of the browser tests of the annotation screen."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from labeling.models import Round, User
from tests.browser.asking import log_in
from tests.conftest import ROOT
from tests.factories import make_member

STARTS_WITHIN_SECONDS = 180


@pytest.fixture
def annotating(live_server: Any, page: Any) -> Callable[[Round], tuple[Any, User]]:
    """Open a round's screen as a fresh annotator, with its first item shown."""

    def open_round(asking: Round) -> tuple[Any, User]:
        user = make_member(asking.dataset, "annotator")
        log_in(page.context, live_server.url, user)
        page.goto(f"{live_server.url}/annotate/{asking.pk}/")
        page.wait_for_selector("#annotate[data-item]")
        return page, user

    return open_round


@dataclass
class Serving:
    """The web process that operators run, over this test's database; it can be killed."""

    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--lifespan", "off"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), "--log-level", "error"],
            cwd=ROOT,
            env={**os.environ, "WINNOW_DATA": str(self.data)},
        )
        until = time.monotonic() + STARTS_WITHIN_SECONDS
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        pytest.fail("the web process did not start")

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self.process
        self.process.kill()
        self.process.wait()


@pytest.fixture
def serving(settings: Any, transactional_db: None) -> Iterator[Serving]:
    if connection.vendor != "sqlite":
        pytest.skip("the web process of this test is given an SQLite file")
    (settings.DATA_DIR / "secret_key").write_text(settings.SECRET_KEY)
    (settings.DATA_DIR / "winnow.sqlite3").symlink_to(connection.settings_dict["NAME"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = Serving(settings.DATA_DIR, port)
    served.start()
    yield served
    served.kill()
