"""A command on a data folder that no Winnow has used yet, or an earlier one has."""

import io
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from django.core.management import call_command

from config.environment import ROOT


def manage(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**ours, "WINNOW_DATA": str(folder), **variables},
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


def test_a_folder_from_before_the_one_migration_is_told_how_to_come_here(tmp_path: Path):
    manage(tmp_path, "migrate")
    with sqlite3.connect(tmp_path / "winnow.sqlite3") as database:
        database.execute(
            "UPDATE django_migrations SET name = '0001_initial' WHERE app = 'labeling'"
        )
    for refused in (manage(tmp_path, "migrate"), manage(tmp_path, "up", "--no-demo")):
        assert "made by an older Winnow; start commit 2a43939 once" in refused.stderr
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr


def test_the_first_command_on_a_folder_can_be_to_make_an_account(tmp_path: Path):
    asked = ("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.org")
    made = manage(tmp_path, *asked, DJANGO_SUPERUSER_PASSWORD="correct horse")
    assert made.returncode == 0, made.stderr
    with sqlite3.connect(tmp_path / "winnow.sqlite3") as database:
        assert database.execute("SELECT username FROM labeling_user").fetchall() == [("ann",)]


def test_what_an_operator_can_mend_is_said_in_words(tmp_path: Path):
    unprepared = manage(tmp_path, "axes_reset")
    assert "has no tables yet. First: manage.py migrate" in unprepared.stderr
    elsewhere = manage(Path("/proc/winnow"), "up")  # nobody can write there, root neither
    assert "WINNOW_DATA: /proc/winnow cannot be made" in elsewhere.stderr
    for said in (unprepared, elsewhere):
        assert said.returncode == 1
        assert "Traceback" not in said.stderr


def test_every_change_of_a_table_has_its_migration(db: None):
    said = io.StringIO()
    call_command("makemigrations", check_changes=True, dry_run=True, stdout=said)
    assert said.getvalue() == "No changes detected\n"
