"""SQLite whose writers in one process wait in line.

SQLite lets whoever asks at the right moment write next, and a writer that waits asks again
less and less often: of eight people who answered at once, the unluckiest waited for seconds
(bench/annotate_load.py). In the web process threads therefore queue for the one place; other
processes are waited for as before.
"""

import threading
from typing import Any

from django.db.backends.sqlite3 import base

LONGEST_WAIT = 20.0  # s, as settings let SQLite wait for other processes

_turn = threading.Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with a lock around each transaction."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._has_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        self._has_turn = _turn.acquire(timeout=LONGEST_WAIT)
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
        if self._has_turn:
            self._has_turn = False
            _turn.release()
