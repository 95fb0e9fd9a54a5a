"""SQLite whose writers wait in line, within a process and between processes.

SQLite lets whoever asks at the right moment write next, and a writer that waits asks again
less and less often: of eight people who answered at once, or beside an import, the unluckiest
waited for seconds (bench/annotate_load.py). Threads therefore queue for the one place. Between
processes two locked files make a turnstile: who waits for the place stands in the gate, so
that nobody who just wrote gets past. The threads that wait in one process go through together.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base

LONGEST_WAIT = 20.0  # s, as settings let SQLite wait for other processes
LOOK_AGAIN = 0.002  # s
MOST_IN_A_ROW = 16  # transactions of one process while another one may wait


class Line:
    """The line of this process before one database file."""

    def __init__(self, path: str) -> None:
        self._turn, self._counting = threading.Lock(), threading.Lock()
        self._waiting = self._in_a_row = 0
        self._gate, self._place = (_opened(f"{path}-{name}") for name in ("gate", "place"))
        self._is_in = False

    def wait(self) -> bool:
        """Wait for the place; False when it took too long, and SQLite itself has to say so."""
        ends = time.monotonic() + LONGEST_WAIT
        with self._counting:
            self._waiting += 1
        has_turn = self._turn.acquire(timeout=LONGEST_WAIT)
        with self._counting:  # whoever leaves counts on who waits
            self._waiting -= 1
            if not has_turn and not self._turn.acquire(blocking=False):
                return False
        self._is_in = self._is_in or self._enter(ends)
        return True

    def leave(self) -> None:
        """Let a thread in that waits here, or others when none does or many went through."""
        with self._counting:
            self._in_a_row += 1
            if not self._waiting or self._in_a_row >= MOST_IN_A_ROW:
                self._in_a_row, self._is_in = 0, False
                fcntl.flock(self._place, fcntl.LOCK_UN)
            self._turn.release()

    def _enter(self, ends: float) -> bool:
        if not _until(lambda: _locked(self._gate), ends):
            return False
        try:
            return _until(lambda: _locked(self._place), ends)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._gate)
        os.close(self._place)


def _opened(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _until(is_done: Callable[[], bool], ends: float) -> bool:
    while not is_done():
        if time.monotonic() > ends:
            return False
        time.sleep(LOOK_AGAIN)
    return True


_lines: dict[str, Line] = {}


def _line_before(path: str) -> Line:
    line = _lines.get(path)
    return line or _lines.setdefault(path, Line(path))


def _forget_lines() -> None:
    """Let a fork open files of its own: with its parent's it would hold its parent's locks."""
    for line in _lines.values():
        line.close()
    _lines.clear()


os.register_at_fork(after_in_child=_forget_lines)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with a place in the line for each transaction."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._line: Line | None = None

    def _start_transaction_under_autocommit(self) -> None:
        line = _line_before(str(Path(self.settings_dict["NAME"]).resolve()))
        self._line = line if line.wait() else None
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._pass_on()
            raise

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        finally:
            self._pass_on()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._pass_on()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        line, self._line = self._line, None
        if line:
            line.leave()
