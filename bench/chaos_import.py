"""Kill parts of a running Winnow during an import; the end must be that of an undisturbed one.

    python bench/chaos_import.py [--files 5000] [--kills 10] [--seed 7] [--port 8790]

Starts the real `manage.py up --no-demo` in a fresh data folder, opens an import and sends it as
the page does. At random points of the import it sends SIGKILL to the worker, to the child of the
worker that does the import, to the web process, to Redis, or to several at once; `up` starts
again what ended. All the while a lead looks at the page of the import. Prints one JSON line;
status 1 where items, report, contents, label history or stored bytes differ from those of the
undisturbed import, where the job failed, or where a page answered with an error.

Run on 26 November 2026 on commit d5a86c0 with 5,000 files and ten kills: nothing differed, one
job with nine attempts, no page with an error, 135 s (docs/results.md).
"""

import argparse
import hashlib
import http.cookiejar
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SIDE = 160
EMPTY_EVERY, TWICE_EVERY = 97, 50  # files that are rejected, and the same bytes once more
END_SECONDS, LOST_SECONDS = 60, 200
MARKS = {"worker": "-Q default", "web": "uvicorn", "redis": "redis-server"}
CHOICES = (
    ("worker",),
    ("child",),
    ("web",),
    ("redis",),
    ("worker", "web"),
    ("worker", "redis"),
    ("worker", "web", "redis"),
)
LOOK_SECONDS = 0.5
WITHIN_BATCH_SECONDS = 0.2  # rows come a hundred at a time; kills come at any moment
SETUP = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
"""
CALM = f"""{SETUP}
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("import_dataset", "chaos", sys.argv[1], "--media", "image")
"""
BEGIN = f"""{SETUP}
from pathlib import Path
from labeling import tasks
from labeling.models import User
from labeling.services import datasets
from labeling.services.intake import importing
lead = User.objects.create_superuser("lead", password="correct horse")
print("lead is there", flush=True)
sys.stdin.readline()
made = datasets.create_dataset(name="Chaos", slug="chaos", media="image", by=lead)
tasks.send(importing.open_import(dataset=made, path=Path(sys.argv[1]))[1])
print("import is sent", flush=True)
"""
STATE = {
    "items": "select i.key, content_id, l.name, split, label_source, odd from labeling_item i"
    " left join labeling_labelclass l on l.id = i.label_id order by i.key",
    "report": "select name, line, outcome, code, reason, is_odd, proposed"
    " from labeling_uploadentry order by name, line",
    "contents": "select sha256, phash, pixel_hash, facts from labeling_content order by sha256",
    "history": "select i.key, l.name, h.source from labeling_labelchange h"
    " join labeling_item i on i.id = h.item_id"
    " left join labeling_labelclass l on l.id = h.after_id order by i.key",
}


def make_files(folder: Path, count: int, rng: np.random.Generator) -> None:
    """Write small pictures in ten classes, some empty, some with the bytes of the one before."""
    content = b""
    for number in range(count):
        path = folder / f"class{number % 10}" / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not content or number % TWICE_EVERY:
            Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
            content = path.read_bytes()
        path.write_bytes(b"" if number % EMPTY_EVERY == 1 else content)


def environment(data: Path) -> dict[str, str]:
    """Return the variables of a Winnow in a folder of its own, with Redis of its own."""
    data.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    return {**kept, "WINNOW_DATA": str(data), "PYTHONPATH": str(ROOT)}


def run(data: Path, code: str, *arguments: str) -> None:
    """Run a piece of Python to its end."""
    command = [sys.executable, "-c", code, *arguments]
    subprocess.run(command, env=environment(data), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def begun(data: Path, files: Path) -> Iterator[Callable[[], None]]:
    """Make a lead before the block, and give it what sends their import."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN, str(files)],
        env=environment(data),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()

    def send() -> None:
        # The process takes seconds to end on a busy machine: the import must not run on unwatched.
        process.stdin.write("go\n")
        process.stdin.flush()
        if not process.stdout.readline():
            raise SystemExit("the import could not be sent")

    yield send
    process.communicate()


def rows(data: Path, query: str) -> list[tuple]:
    """Ask the database, past Winnow."""
    database = sqlite3.connect(data / "winnow.sqlite3", timeout=20)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def entries(data: Path) -> int:
    """Return how many files of the import are done."""
    return rows(data, "select count(*) from labeling_uploadentry")[0][0]


def start(data: Path, port: int) -> subprocess.Popen:
    """Start everything and return when the pages answer."""
    up = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port)],
        env=environment(data),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in up.stdout:
        if "is ready" in line:
            return up
    raise SystemExit(f"`up` ended with status {up.wait()} before it was ready")


def children_of(pid: int) -> dict[int, str]:
    """Return the children of a process with their commands."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(pid), "-ww"], capture_output=True, text=True
    )
    found = (line.strip().partition(" ") for line in listed.stdout.splitlines())
    return {int(pid): command for pid, _, command in found}


def parts_of(up: subprocess.Popen) -> dict[str, list[int]]:
    """Return the processes of each part that `up` runs now."""
    running = children_of(up.pid).items()
    parts = {name: [pid for pid, args in running if mark in args] for name, mark in MARKS.items()}
    parts["child"] = [child for pid in parts["worker"] for child in children_of(pid)]
    return parts


def kill(up: subprocess.Popen, names: tuple[str, ...]) -> None:
    """Send SIGKILL to parts, once `up` runs them (again)."""
    ends = time.monotonic() + END_SECONDS
    while not all((parts := parts_of(up))[name] for name in names):
        if time.monotonic() > ends:
            raise SystemExit(f"`up` does not start everything again: {parts}")
        time.sleep(0.05)
    for pid in (pid for name in names for pid in parts[name]):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_for(data: Path, count: int) -> str:
    """Wait until so many files are done or the job has ended; return its state."""
    ends = time.monotonic() + LOST_SECONDS
    while time.monotonic() < ends:
        state = rows(data, "select state from labeling_job where kind='import'")[-1][0]
        if state not in ("running", "queued") or entries(data) >= count > 0:
            return state
        time.sleep(0.02)
    raise SystemExit(f"nothing went on for {LOST_SECONDS} s; {entries(data)} files are done")


class Looker(threading.Thread):
    """A lead who looks at the page of the import all the time; counts what the web answers."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.address = f"http://127.0.0.1:{port}"
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.answers: Counter[str] = Counter()
        self.over = threading.Event()

    def log_in(self) -> None:
        """Log in as anybody does, with the token of the form."""
        self.opener.open(f"{self.address}/login/").read()
        token = next(cookie.value for cookie in self.cookies if cookie.name == "winnow_csrf")
        fields = {"username": "lead", "password": "correct horse", "csrfmiddlewaretoken": token}
        self.opener.open(f"{self.address}/login/", urllib.parse.urlencode(fields).encode()).read()

    def run(self) -> None:
        """Look until told that it is over."""
        while not self.over.wait(LOOK_SECONDS):
            try:
                with self.opener.open(f"{self.address}/d/chaos/uploads/1/", timeout=30) as answer:
                    self.answers[str(answer.status)] += b"Imported" in answer.read()
            except urllib.error.HTTPError as error:
                self.answers[str(error.code)] += 1
            except OSError:  # the web process was killed a moment ago
                self.answers["no answer"] += 1


def state_of(data: Path) -> dict[str, list[tuple]]:
    """Return what an import left: rows, and the names of stored bytes that are what they say."""
    found = {name: rows(data, query) for name, query in STATE.items()}
    stored = sorted(p for p in (data / "media" / "content").rglob("*") if len(p.name) == 64)
    whole = [p.name for p in stored if hashlib.sha256(p.read_bytes()).hexdigest() == p.name]
    return {**found, "bytes": [(name,) for name in whole]}


@dataclass(frozen=True)
class Kill:
    """What to kill once so many files are done, and how many seconds later."""

    after: int
    names: tuple[str, ...]
    seconds: float = 0.0


def at_random(files: int, kills: int, seed: int) -> list[Kill]:
    """Spread kills of every kind over an import."""
    chance = random.Random(seed)
    points = sorted(chance.sample(range(1, files * 9 // 10), kills))
    kinds = cycle(chance.sample(CHOICES, len(CHOICES)))
    return [Kill(at, next(kinds), chance.random() * WITHIN_BATCH_SECONDS) for at in points]


def disturb(data: Path, files: Path, plan: Sequence[Kill], *, port: int) -> dict[str, Any]:
    """Import with kills; return what was killed when, and what pages said."""
    done: list[dict[str, object]] = []
    up = start(data, port)
    looker = Looker(port)
    try:
        with begun(data, files) as send:
            looker.log_in()
            send()
            looker.start()
            for planned in plan:
                after = max(planned.after, entries(data) + 1)
                if wait_for(data, after) not in ("running", "queued"):
                    break
                time.sleep(planned.seconds)
                at = entries(data)
                kill(up, planned.names)
                done.append({"killed": "+".join(planned.names), "at": at})
        wait_for(data, 0)
        looker.over.set()
    finally:
        up.terminate()
        up.wait(END_SECONDS)
    return {"kills": done, "answers": dict(looker.answers)}


def main() -> None:
    """Print the figures of one run as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--port", type=int, default=8790)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="winnow-chaos-") as name:
        folder = Path(name)
        make_files(folder / "files", options.files, np.random.default_rng(options.seed))
        run(folder / "calm", CALM, str(folder / "files"))
        plan = at_random(options.files, options.kills, options.seed)
        disturbed = disturb(folder / "chaos", folder / "files", plan, port=options.port)
        calm, chaos = state_of(folder / "calm"), state_of(folder / "chaos")
        attempts = rows(folder / "chaos", "select state, attempt from labeling_job")
    differing = [name for name in calm if calm[name] != chaos[name]]
    figures = {
        "files": options.files,
        **disturbed,
        "jobs": attempts,
        "rows": {name: len(found) for name, found in calm.items()},
        "differing": differing,
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(figures))
    has_errors = any(status[0] in "45" for status in disturbed["answers"])
    is_done = attempts[0][0] == "done" and len(disturbed["kills"]) == options.kills
    sys.exit(bool(differing) or has_errors or not is_done)


if __name__ == "__main__":
    main()
