"""Several people act at the same moment, each with a connection of their own."""

import threading
from collections.abc import Callable

from django.db import connections

START_SECONDS, END_SECONDS = 60, 120


def at_once(*acts: Callable[[], object]) -> None:
    """Do these at the same moment, each in a thread; returns when all have ended, none failed."""
    start, errors = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        try:
            start.wait(timeout=START_SECONDS)
            act()
        except Exception as error:
            errors.append(error)
            raise
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=END_SECONDS)
    assert errors == []
    assert not any(thread.is_alive() for thread in threads)
