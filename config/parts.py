"""One process of Winnow: started, started again when it ends by itself, ended."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

MOST_SHORT_LIVES = 10  # in a row: then starting it again does not help
SHORT_LIFE_SECONDS = 30.0
STOP_SECONDS = 5.0  # then killed: work goes on at the next start where it was
MOST_LOG_BYTES = 20 * 2**20
LOG_LINES_SHOWN = 15
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Part:
    """A process in a session of its own, so that Ctrl-C reaches only who ends all in order."""

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path
    ) -> None:
        self.name, self.command, self.environment, self.log = name, command, environment, log
        self._short_lives = 0
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._began = time.monotonic()
        if self.log.exists() and self.log.stat().st_size > MOST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        with self.log.open("ab") as log:
            return start_process(self.command, self.environment, log=log)

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def is_hopeless(self) -> bool:
        """Tell whether it ended soon after each of so many starts that another one is no use."""
        return self._short_lives >= MOST_SHORT_LIVES

    def start_again(self) -> None:
        """Start it once more, after the last of its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        lived = time.monotonic() - self._began
        self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE_SECONDS else 0
        self.process = self._start()

    def last_lines(self) -> str:
        """Return the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:])


def start_process(
    command: Sequence[str], environment: Mapping[str, str], *, log: IO[bytes] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a process that Ctrl-C does not reach, and that ends when this one is killed."""
    return subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        stdout=log,
        stderr=log,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )


def end_together(parts: Sequence[Part]) -> None:
    """Ask all to end, wait once for all, and kill who did not."""
    for part in parts:
        if not part.has_ended:
            part.process.terminate()
    ends = time.monotonic() + STOP_SECONDS
    for part in parts:
        try:
            part.process.wait(timeout=max(0.1, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(part.process.pid, signal.SIGKILL)
            part.process.wait()


_libc = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """Let the kernel end this child when the process that tends it is killed."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
