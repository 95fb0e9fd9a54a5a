"""A part of `manage.py up` is started again when it ends, within limits."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from config.parts import MOST_SHORT_LIVES, Part
from tests.test_cancel import until
from tests.test_chaos import is_running


def make_part(folder: Path, *command: str) -> Part:
    return Part("part", command, environment=os.environ, log=folder / "part.log")


def test_a_part_that_keeps_ending_is_given_up_with_its_last_lines(tmp_path: Path) -> None:
    part = make_part(tmp_path, sys.executable, "-c", "raise SystemExit('no such thing')")
    for _ in range(MOST_SHORT_LIVES):
        part.process.wait()
        assert not part.is_hopeless
        part.start_again()
    part.process.wait()
    assert part.is_hopeless
    assert part.last_lines().splitlines()[-1] == "no such thing"


def test_starting_again_ends_the_children_of_what_was_killed(tmp_path: Path) -> None:
    part = make_part(tmp_path, "sh", "-c", "sleep 600 & echo $!; wait")
    child = int(until(part.last_lines, seconds=10))
    os.kill(part.process.pid, signal.SIGKILL)
    part.process.wait()
    part.start_again()
    until(lambda: not is_running(child), seconds=10)
    os.killpg(part.process.pid, signal.SIGKILL)
    part.process.wait()


def test_an_interrupt_ends_what_a_shell_started_in_the_background(tmp_path: Path) -> None:
    up = subprocess.Popen(
        ["sh", "-c", f"trap '' INT; exec {sys.executable} manage.py up --no-demo --port 8793"],
        env={**os.environ, "WINNOW_DATA": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert up.stdout
    try:
        while "Winnow is ready" not in (line := up.stdout.readline()):
            assert line, "it ended by itself"
        up.send_signal(signal.SIGINT)
        said, _ = up.communicate(timeout=60)
        assert "Ended." in said
    finally:
        up.kill()
