"""Writers of several threads and processes wait in line for one SQLite file."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from config.sqlite.base import MOST_IN_A_ROW, Line

ELSEWHERE = """
import sys, time
from config.sqlite.base import Line
line, ends, turns = Line(sys.argv[1]), time.monotonic() + float(sys.argv[2]), 0
print("ready", flush=True)
while time.monotonic() < ends:
    assert line.wait()
    time.sleep(float(sys.argv[3]))
    line.leave()
    turns += 1
print(turns, flush=True)
"""
PATIENCE = 30  # s, on a busy machine


def elsewhere(path: Path, *, seconds: float, hold: float) -> "subprocess.Popen[str]":
    """Another process that takes its turn again and again without a pause."""
    command = [sys.executable, "-c", ELSEWHERE, str(path), str(seconds), str(hold)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_nobody_gets_past_who_waits_at_the_gate(tmp_path: Path) -> None:
    process = elsewhere(tmp_path / "db", seconds=1.5, hold=0.05)
    line, turns = Line(str(tmp_path / "db")), 0
    while process.poll() is None:
        assert line.wait()
        line.leave()
        turns += 1
        time.sleep(0.001)
        if turns >= 5:
            break
    told, _ = process.communicate(timeout=PATIENCE)
    line.close()
    assert turns >= 5
    assert int(told) >= turns - 1


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
    process = elsewhere(tmp_path / "db", seconds=60, hold=60)
    line = Line(str(tmp_path / "db"))
    time.sleep(0.1)
    process.kill()
    process.wait(timeout=PATIENCE)
    start = time.monotonic()
    assert line.wait()
    line.leave()
    assert time.monotonic() - start < 15
