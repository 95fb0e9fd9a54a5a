"""An import that is killed at random points ends like one that nobody disturbed."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.labeling.test_intake import folder, png

ROOT = Path(__file__).resolve().parent.parent.parent
KILLS = 5  # more than may be lost without getting further
CARRY_ON = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
from labeling.models import Job
from labeling.services import jobs
from labeling.services.intake import importing
importing.BATCH_MEMBERS = 5
jobs.carry_out(Job.objects.get().pk, importing.import_upload)
"""
BEGIN = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
from pathlib import Path
from labeling.services import datasets
from labeling.services.intake import importing
made = datasets.create_dataset(name="pets", media="image")
importing.open_import(dataset=made, path=Path(sys.argv[1]))
"""
STATE = {
    "items": "select i.key, content_id, split, source_group, label_source, odd, l.name"
    " from labeling_item i left join labeling_labelclass l on l.id = i.label_id order by i.key",
    "report": "select name, line, outcome, code, reason, is_odd"
    " from labeling_uploadentry order by name, line",
    "contents": "select sha256, phash, pixel_hash, facts from labeling_content order by sha256",
    "history": "select count(*) from labeling_labelchange",
    "job": "select state, json_remove(result, '$.upload') from labeling_job",
}


def python(data: Path, code: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "WINNOW_DATA": str(data),
        "DATABASE_URL": "",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, cwd=ROOT)


def state(data: Path) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(data / "winnow.sqlite3") as database:
        return {name: database.execute(query).fetchall() for name, query in STATE.items()}


def entries(data: Path) -> int:
    with sqlite3.connect(data / "winnow.sqlite3", timeout=20) as database:
        return int(database.execute("select count(*) from labeling_uploadentry").fetchone()[0])


def test_a_killed_import_ends_like_an_undisturbed_one(
    tmp_path: Path, prepared: Callable[[Path], Path]
):
    files = {f"{'cat' if n % 3 else 'dog'}/{n:03}.png": png(n, size=96) for n in range(150)}
    files |= {"cat/empty.png": b"", "cat/wrong.jpg": png(3), "readme.md": b"hello"}
    root = folder(tmp_path / "files", files)
    calm, killed = prepared(tmp_path / "calm"), tmp_path / "killed"
    assert python(calm, BEGIN, str(root)).wait() == 0
    shutil.copytree(calm, killed)
    assert python(calm, CARRY_ON).wait() == 0

    points = sorted(random.Random(5).sample(range(1, 100), KILLS))
    for point in points:
        process = python(killed, CARRY_ON)
        while process.poll() is None and entries(killed) < point:
            time.sleep(0.005)
        assert process.poll() is None, "the import ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert python(killed, CARRY_ON).wait() == 0

    assert state(killed) == state(calm)
