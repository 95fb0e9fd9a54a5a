"""A part of `manage.py up` is started again when it ends, within limits."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from config.parts import MOST_SHORT_LIVES, Part
from tests.test_cancel import is_running, of_data, until

# A file that is there or what `up` said when it is interrupted; one start after another.
MOMENTS = [
    ("", signal.SIGTERM),
    ("secret_key", signal.SIGINT),
    ("up.lock", signal.SIGINT),
    ("Preparing the database", signal.SIGTERM),
    ("Starting Redis", signal.SIGINT),
    ("Waiting for the first page", signal.SIGTERM),
    ("Planting digits", signal.SIGTERM),
]
START_SECONDS = 120.0
END_SECONDS = 30.0  # a few are promised; the rest is for a busy machine
BACKGROUND = f'trap "" INT; exec {sys.executable} manage.py up --port 8793'
ELSEWHERE = ("DATABASE_URL", "REDIS_URL")


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
    assert until(lambda: not is_running(child), seconds=10)
    os.killpg(part.process.pid, signal.SIGKILL)
    part.process.wait()


def test_an_interrupt_ends_everything_at_every_moment_of_a_start(tmp_path: Path) -> None:
    """When it is ready: `test_up_ends_all_parts_in_order_when_nobody_reads_what_it_says`."""
    for moment, number in MOMENTS:
        said = interrupted(tmp_path, moment, number)
        assert "Traceback" not in said
    assert "Ended." in said


def interrupted(data: Path, moment: str, number: signal.Signals) -> str:
    """Start, interrupt at a moment and return what was said; no process may be left."""
    with started(data) as (up, said):
        until(lambda: moment in said() + str(os.listdir(data)), seconds=START_SECONDS)
        up.send_signal(number)
        up.wait(timeout=END_SECONDS)
        left = [path.name for path in Path("/proc").glob("[0-9]*") if of_data(path.name, data)]
        assert not left, moment
        return said()


@contextmanager
def started(data: Path) -> Iterator[tuple["subprocess.Popen[str]", Callable[[], str]]]:
    """`manage.py up` as a shell starts it in the background, where Ctrl-C is ignored."""
    ours = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    output = data.with_suffix(".output")
    with output.open("w") as file:
        up = subprocess.Popen(
            ["sh", "-c", BACKGROUND],
            env={**ours, "WINNOW_DATA": str(data)},
            stdout=file,
            stderr=file,
            text=True,
        )
    try:
        yield up, output.read_text
    finally:
        up.kill()
        up.wait()
