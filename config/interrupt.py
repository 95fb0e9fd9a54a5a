"""Ctrl-C, TERM and a lost terminal, noted for the loops of `manage.py up` to look at.

A signal handler that raises can be in vain: from a destructor or a callback Python prints the
exception and goes on, and between a fork and the row that remembers the child it loses the child.
"""

import signal
import time
from types import FrameType

_noted = False


def listen() -> None:
    """From now on note interrupts instead of ending at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _note)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it
        signal.signal(signal.SIGHUP, _note)


def check() -> None:
    """Raise KeyboardInterrupt when an interrupt has come."""
    if _noted:
        raise KeyboardInterrupt


def pause(seconds: float) -> None:
    """Wait for a moment; every loop that waits for something waits here."""
    check()
    time.sleep(seconds)
    check()


def _note(number: int, frame: FrameType | None) -> None:
    global _noted
    _noted = True
