"""Cancelling ends the process at work within seconds, also while TensorFlow is imported."""

import csv
import http.cookiejar
import random
import signal
import sqlite3
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.chaos_import import make_files, parts_of
from tests.conftest import Winnow, running_winnow
from tests.quality.words import SPOKEN, sentence

PORT = 8120
CANCEL_SECONDS = 10.0  # two are promised; the rest is for a busy machine
START_SECONDS = 240.0
TRAIN_SECONDS = 240.0
ITEMS = 240
IMPORTING = "Starting TensorFlow"  # where nothing looks whether the job was cancelled
PICTURES = 600  # whose checks take many seconds, so that they are at work when cancelled
SET_UP = """
from django.core.management import call_command
from labeling.models import User

User.objects.create_superuser("canceller", password="correct horse")
call_command("import_dataset", "words", {words!r}, "--media", "text")
call_command("import_dataset", "pictures", {pictures!r})
"""


class Person:
    """Somebody at a browser without scripts: cookies, forms, redirects."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def post(self, path: str, **fields: str) -> str:
        token = next((c.value for c in self.cookies if c.name == "winnow_csrf"), "")
        sent = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        with self.opener.open(self.address + path, sent, timeout=30) as answer:
            return str(answer.read().decode())

    def get(self, path: str) -> str:
        with self.opener.open(self.address + path, timeout=30) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def winnow(
    tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]
) -> Iterator[Winnow]:
    """One of its own: a worker that has TensorFlow loaded trains faster than one can cancel."""
    with running_winnow(prepared(tmp_path_factory.mktemp("winnow")), port=PORT) as started:
        yield started


@pytest.fixture(scope="module")
def lead(winnow: Any, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A lead, logged in, with sets of texts and of pictures that were imported for them."""
    folder = tmp_path_factory.mktemp("sets")
    rng, table = random.Random(1), folder / "words.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label", "split"])
        for number in range(ITEMS):
            name = list(SPOKEN)[number % len(SPOKEN)]
            rows.writerow([f"{sentence(name, rng)} {number}", name, "train"])
    make_files(folder / "pictures", PICTURES, np.random.default_rng(5))
    sets = {"words": str(table), "pictures": str(folder / "pictures")}
    winnow.manage("shell", "-c", SET_UP.format(**sets))
    person = Person(winnow.url)
    person.get("/login/")
    person.post("/login/", username="canceller", password="correct horse")
    return person


def test_cancelled_checks_give_way_to_what_comes_next(winnow: Any, lead: Person) -> None:
    """Twice: the process that takes a killed one's place is as quickly seen to have ended."""
    for checked in range(1, 3):
        lead.post("/d/pictures/checks/detect/")
        job = until(lambda: running(winnow.data, "detect"), seconds=START_SECONDS)
        lead.post(f"/jobs/{job}/cancel/")
        assert state(winnow.data, job) == ("cancelled", "")
        lead.post("/d/words/checks/detect/")
        ended = "select 1 from labeling_job where kind='detect' and state='done'"
        until(lambda: len(rows(winnow.data, ended)) == checked, seconds=START_SECONDS)  # noqa: B023


def test_cancelling_ends_the_process_and_the_next_training_works(winnow: Any, lead: Person) -> None:
    """The last that does work: nothing else may have loaded TensorFlow before."""
    lead.post("/d/words/runs/train/")
    job = until(lambda: running(winnow.data, "train", IMPORTING), seconds=START_SECONDS)
    trainer = until(lambda: trainer_child(winnow.data), seconds=START_SECONDS)
    began = time.monotonic()
    lead.post(f"/jobs/{job}/cancel/")
    until(lambda: not Path(f"/proc/{trainer}").exists(), seconds=CANCEL_SECONDS)
    assert time.monotonic() - began < CANCEL_SECONDS
    assert state(winnow.data, job) == ("cancelled", "")
    lead.post("/d/words/runs/train/")
    again = until(lambda: running(winnow.data, "train", IMPORTING), seconds=START_SECONDS)
    assert again != job
    until(lambda: state(winnow.data, again)[0] == "done", seconds=TRAIN_SECONDS)


def test_up_ends_all_parts_in_order_when_nobody_reads_what_it_says(winnow: Winnow) -> None:
    """The last of this file: its Winnow is over then."""
    up = winnow.process
    assert up
    assert up.stdout
    parts = [pid for pids in parts_of(up).values() for pid in pids]
    assert parts
    up.stdout.close()
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0
    assert not any(map(is_running, parts))


def until(asked: Callable[[], Any], *, seconds: float) -> Any:
    """Return the first answer that is one; fail when there is none in time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := asked():
            return found
        time.sleep(0.05)
    pytest.fail(f"nothing after {seconds} s: {asked.__code__.co_names}")


def rows(data: Path, query: str, *values: object) -> list[Any]:
    database = sqlite3.connect(f"file:{data / 'winnow.sqlite3'}?mode=ro", uri=True, timeout=20)
    try:
        return database.execute(query, values).fetchall()
    finally:
        database.close()


def running(data: Path, kind: str, message: str = "%") -> int | None:
    """The job of a kind that is at work, and at a stage if one is named."""
    asked = "select id from labeling_job where kind=? and state='running' and message like ?"
    found = rows(data, asked, kind, message)
    return found[0][0] if found else None


def state(data: Path, job: int) -> tuple[str, str]:
    return tuple(rows(data, "select state, error from labeling_job where id=?", job)[0])


def trainer_child(data: Path) -> int | None:
    """The one process in which this Winnow trains: the child of its worker for `train`."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True)
    lines = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    workers = {int(pid) for pid, _, args in lines if "-Q train" in args and of_data(pid, data)}
    children = [int(pid) for pid, parent, _ in lines if int(parent) in workers]
    return children[0] if children else None


def of_data(pid: str, data: Path) -> bool:
    try:
        return f"WINNOW_DATA={data}\0" in Path(f"/proc/{pid}/environ").read_text()
    except OSError:
        return False


def is_running(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
