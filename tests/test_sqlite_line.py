"""Writers of several threads and processes wait in line for one SQLite file."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.sqlite.base import MOST_IN_A_ROW, Line

ELSEWHERE = """
import sys, time
from config.sqlite.base import Line
line, turns = Line(sys.argv[1]), 0
while line.wait():
    turns += 1
    print(turns, flush=True)
    time.sleep(float(sys.argv[2]))
    line.leave()
"""
PATIENCE = 30  # s, on a busy machine
TURNS = 5
PASSED = 100  # turns of somebody else meanwhile; without a gate they hardly ever end


@contextmanager
def elsewhere(path: Path, *, hold: float) -> Iterator["subprocess.Popen[str]"]:
    """Another process that takes its turn again and again without a pause, and has it now."""
    command = [sys.executable, "-c", ELSEWHERE, str(path), str(hold)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        yield process
        process.kill()


def test_nobody_gets_past_who_waits_at_the_gate(tmp_path: Path) -> None:
    line = Line(str(tmp_path / "db"))
    with elsewhere(tmp_path / "db", hold=0.05) as process:
        for _ in range(TURNS):
            assert line.wait()
            line.leave()
            time.sleep(0.001)  # who leaves comes behind who waits
        process.kill()
        told, _ = process.communicate(timeout=PATIENCE)
    line.close()
    assert len(told.split()) <= PASSED


def test_threads_that_wait_go_through_together_and_let_others_in_after_some(
    tmp_path: Path,
) -> None:
    line, other = Line(str(tmp_path / "db")), Line(str(tmp_path / "db"))
    order: list[str] = []

    def take(who: Line, name: str) -> None:
        assert who.wait()
        order.append(name)
        who.leave()

    assert line.wait()
    threads = [threading.Thread(target=take, args=(line, "here")) for _ in range(MOST_IN_A_ROW + 4)]
    there = threading.Thread(target=take, args=(other, "there"))
    for thread in [*threads, there]:
        thread.start()
    while line._waiting < len(threads):
        time.sleep(0.001)
    line.leave()
    for thread in [*threads, there]:
        thread.join(timeout=PATIENCE)
    assert order.count("here") == len(threads)
    assert order.index("there") >= MOST_IN_A_ROW - 1
    assert line.wait()
    line.leave()
    assert other.wait()
    other.leave()


def test_a_process_that_is_killed_in_its_turn_holds_up_nobody(tmp_path: Path) -> None:
    line = Line(str(tmp_path / "db"))
    with elsewhere(tmp_path / "db", hold=60) as process:
        process.kill()
        process.wait(timeout=PATIENCE)
        start = time.monotonic()
        assert line.wait()
        line.leave()
    assert time.monotonic() - start < 15
