"""Kill parts of a running Winnow during an import; the end must be that of an undisturbed one.

    python bench/chaos_import.py [--files 5000] [--kills 10] [--seed 7] [--port 8790]

Starts the real `manage.py up --no-demo` in a fresh data folder, opens an import and sends it as
the page does. At random points of the import it sends SIGKILL to the worker and its children,
alone or together with the web process, Redis or both, and starts `up` again. (The worker always
goes: left alone it would finish the import in the 15 s that `up` gives it to end.) A job that
lost three workers fails, and is retried as a lead would. A kill costs up to 100 s: the lease of
60 s has to run out and beat looks every 30 s. Prints one JSON line; status 1 where items,
report, contents, label history or stored bytes differ from those of the undisturbed import.

Run once with 5,000 files and 4 kills (worker, worker, worker and Redis, worker; at 400, 1,300,
2,700 and 3,300 files): nothing differed, one retry, 407 s. Ten kills have not been run.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SIDE = 24
EMPTY_EVERY, TWICE_EVERY = 97, 50  # files that are rejected, and the same bytes once more
END_SECONDS, LOST_SECONDS = 60, 400
MARKS = {"worker": "-Q default", "web": "uvicorn", "redis": "redis-server"}
CHOICES = (("worker",), ("worker", "web"), ("worker", "redis"), ("worker", "web", "redis"))
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
from labeling.services import datasets
from labeling.services.intake import importing
made = datasets.create_dataset(name="Chaos", slug="chaos", media="image")
tasks.send(importing.open_import(dataset=made, path=Path(sys.argv[1]))[1])
"""
RETRY = f"""{SETUP}
from labeling import tasks
from labeling.models import Job
from labeling.services import jobs
tasks.send(jobs.retry_job(job=Job.objects.filter(kind="import").latest("pk")))
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


def parts_of(up: subprocess.Popen) -> dict[str, int]:
    """Return the process id of each part that `up` started."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(up.pid), "-ww"], capture_output=True, text=True
    )
    found = {}
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        found |= {name: int(pid) for name, mark in MARKS.items() if mark in command}
    return found


def kill(up: subprocess.Popen, names: tuple[str, ...]) -> None:
    """Send SIGKILL to parts with their children; `up` then ends by itself."""
    parts = parts_of(up)
    for name in names:
        os.killpg(parts[name], signal.SIGKILL)
    up.wait(END_SECONDS)


def wait_for(data: Path, count: int) -> str:
    """Wait until so many files are done or the job has ended; retry it when its workers died."""
    ends = time.monotonic() + LOST_SECONDS
    while time.monotonic() < ends:
        state = rows(data, "select state from labeling_job where kind='import' order by id")[-1][0]
        if state == "failed":
            run(data, RETRY)
        elif (state != "running" and state != "queued") or (entries(data) >= count > 0):
            return state
        time.sleep(0.02)
    raise SystemExit(f"nothing went on for {LOST_SECONDS} s; {entries(data)} files are done")


def state_of(data: Path) -> dict[str, list[tuple]]:
    """Return what an import left: rows, and the names of stored bytes that are what they say."""
    found = {name: rows(data, query) for name, query in STATE.items()}
    stored = sorted(p for p in (data / "media" / "content").rglob("*") if len(p.name) == 64)
    whole = [p.name for p in stored if hashlib.sha256(p.read_bytes()).hexdigest() == p.name]
    return {**found, "bytes": [(name,) for name in whole]}


def disturb(data: Path, files: Path, options: argparse.Namespace) -> list[dict[str, object]]:
    """Import with kills at random points; return what was killed when."""
    chance = random.Random(options.seed)
    points = sorted(chance.sample(range(1, options.files * 9 // 10), options.kills))
    kinds = cycle(chance.sample(CHOICES, len(CHOICES)))
    done = []
    up = start(data, options.port)
    try:
        run(data, BEGIN, str(files))
        for point in points:
            state = wait_for(data, max(point, entries(data) + 1))
            if state == "done":
                break
            names, at = next(kinds), entries(data)
            kill(up, names)
            done.append({"killed": "+".join(names), "at": at})
            up = start(data, options.port)
        wait_for(data, 0)
    finally:
        up.terminate()
        up.wait(END_SECONDS)
    return done


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
        kills = disturb(folder / "chaos", folder / "files", options)
        calm, chaos = state_of(folder / "calm"), state_of(folder / "chaos")
        attempts = rows(folder / "chaos", "select state, attempt from labeling_job")
    differing = [name for name in calm if calm[name] != chaos[name]]
    figures = {
        "files": options.files,
        "kills": kills,
        "jobs": attempts,
        "rows": {name: len(found) for name, found in calm.items()},
        "differing": differing,
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(figures))
    sys.exit(bool(differing) or len(kills) < options.kills)


if __name__ == "__main__":
    main()
