"""A command on a data folder that no Winnow has used yet, or an earlier one has."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from config.environment import ROOT


def manage(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**ours, "WINNOW_DATA": str(folder)},
        capture_output=True,
        text=True,
    )


def test_a_new_folder_is_prepared_and_an_old_one_is_asked_to_be(tmp_path: Path):
    first = manage(tmp_path, "export", "pets")
    assert "Preparing the database" in first.stderr
    assert "There is no dataset named 'pets'" in first.stderr
    with sqlite3.connect(tmp_path / "winnow.sqlite3") as database:
        database.execute("DELETE FROM django_migrations WHERE app = 'quality'")
    later = manage(tmp_path, "train", "pets")
    assert later.returncode == 1
    assert "manage.py migrate" in later.stderr
    assert "Traceback" not in later.stderr
