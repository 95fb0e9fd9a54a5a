"""Killing parts of a running Winnow loses nothing and doubles nothing.

`bench/chaos_import.py` does the same with 5,000 files and ten kills.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import chaos_import as chaos
from tests.test_cancel import is_running, rows, until

FILES = 500
SENT_FILES = 450  # in three requests
PORT = 8140


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> Path:
    return prepared(tmp_path_factory.mktemp("chaos"))


@pytest.fixture(scope="module")
def up(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A Winnow of its own, in a process that the last test kills."""
    started = chaos.start(data, PORT)
    yield started
    started.kill()
    started.wait()


def test_an_import_ends_as_if_nobody_had_killed_worker_web_and_redis(
    tmp_path: Path, prepared: Callable[[Path], Path]
) -> None:
    chaos.make_files(tmp_path / "files", FILES, np.random.default_rng(3))
    chaos.run(prepared(tmp_path / "calm"), chaos.CALM, str(tmp_path / "files"))
    kinds = [("child",), ("worker",), ("web", "redis")]
    plan = [chaos.Kill(after, names) for after, names in zip((1, 150, 250), kinds, strict=True)]
    disturbed = chaos.disturb(prepared(tmp_path / "chaos"), tmp_path / "files", plan, port=PORT)
    assert [kill["killed"] for kill in disturbed["kills"]] == ["child", "worker", "web+redis"]
    assert not {status for status in disturbed["answers"] if status[0] in "45"}
    assert rows(tmp_path / "chaos", "select state from labeling_job") == [("done",)]
    calm, killed = chaos.state_of(tmp_path / "calm"), chaos.state_of(tmp_path / "chaos")
    assert {name: killed[name] == calm[name] for name in calm} == dict.fromkeys(calm, True)


def test_killing_the_web_process_while_files_are_sent_costs_only_time(
    tmp_path: Path, data: Path, up: "subprocess.Popen[str]", page: Any
) -> None:
    chaos.make_files(tmp_path / "files", 1, np.random.default_rng(3))
    with chaos.begun(data, tmp_path / "files") as send:
        send()
    page.goto(f"http://127.0.0.1:{PORT}/d/chaos/import/")
    page.fill("#id_username", "lead")
    page.fill("#id_password", "correct horse")
    page.press("#id_password", "Enter")
    page.wait_for_selector("#import-form")
    files = tmp_path / "sent"
    chaos.make_files(files, SENT_FILES, np.random.default_rng(4))
    page.set_input_files("#files", sorted(files.rglob("*.png")))
    page.on("requestfinished", lambda request: kill_web_once(up, request))
    page.click("#send")
    page.wait_for_url("**/uploads/2/", timeout=90_000)
    until(lambda: rows(data, "select 1 from labeling_job where id=2 and state='done'"), seconds=90)
    named = rows(data, "select count(*), count(distinct name) from labeling_uploadentry")
    assert named == [(SENT_FILES + 1, SENT_FILES + 1)]


killed: set[int] = set()


def kill_web_once(up: "subprocess.Popen[str]", request: Any) -> None:
    """Kill the web process when the first part of an upload has arrived."""
    if request.url.endswith("/files/") and up.pid not in killed:
        killed.add(up.pid)
        for pid in chaos.parts_of(up)["web"]:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="what the kernel does on Linux only")
def test_killing_up_leaves_no_part_behind(up: "subprocess.Popen[str]") -> None:
    until(lambda: all(chaos.parts_of(up).values()), seconds=90)
    parts = [pid for pids in chaos.parts_of(up).values() for pid in pids]
    os.kill(up.pid, signal.SIGKILL)
    assert until(lambda: not any(map(is_running, parts)), seconds=30)
