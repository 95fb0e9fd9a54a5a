"""Drive Winnow as its users do: the management commands, on a data folder of their own."""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]


class CommandFailedError(Exception):
    """A command ended with another status than 0; the words are what it printed."""


@dataclass
class Winnow:
    """One installation: a data folder, with pretrained weights or without."""

    data: Path
    weights: Path | None = None
    cpu: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self._run("migrate", [str(ROOT / "manage.py"), "migrate", "--verbosity", "0"])

    @property
    def environment(self) -> dict[str, str]:
        names = {
            "WINNOW_DATA": str(self.data),
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # An installation keeps its bytecode; compiling it anew costs each command 1.5 CPU-s.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self.data.parent / "bytecode"),
        }
        if self.weights:
            return {**os.environ, **names, "WINNOW_WEIGHTS": str(self.weights)}
        # Without weights there must be none in the home folder's Keras cache either.
        names |= {"HOME": str(self.data), "WINNOW_WEIGHTS": ""}
        return {**os.environ, **names}

    def command(self, name: str, *arguments: str | Path) -> Row:
        """Run a management command with --json; `seconds` and `cpu` say what it took."""
        return self._run(name, [str(ROOT / "manage.py"), name, *map(str, arguments), "--json"])

    def inside(self, verb: str, *arguments: str | Path) -> Row:
        """Run what no command offers, in a process of its own."""
        return self._run(verb, [str(ROOT / "bench/results_inside.py"), verb, *map(str, arguments)])

    def _run(self, name: str, command: list[str]) -> Row:
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, *command],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise CommandFailedError(
                f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
            )
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        took = {"cpu_s": round(cpu, 1), "wall_s": round(time.monotonic() - started, 1)}
        print(json.dumps({"step": name, **took}), file=sys.stderr, flush=True)
        last = (done.stdout.strip().splitlines() or ["{}"])[-1]
        return {**json.loads(last), **took}


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: Iterable[Row]) -> Path:
    """Write rows, which all have the same columns, as CSV."""
    rows = list(rows)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def read_zip(path: Path) -> dict[str, bytes]:
    """Return the files of a zip by name."""
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist() if not name.endswith("/")}


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """Write files into a zip."""
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def scores(trained: Row) -> Row:
    """Return of `train --json` what a table of results holds."""
    names = ("accuracy", "low", "high", "macro_f1", "baseline", "n", "backbone", "cpu_s",
             "test_accuracy", "test_n")  # fmt: skip
    return _rounded({name: trained[name] for name in names if name in trained})


def gain(proved: Row) -> Row:
    """Return of `prove --json` what a table of results holds."""
    names = ("before", "after", "difference", "low", "high", "n", "on")
    return _rounded({name: proved[name] for name in names})


def part_gain(part: Row) -> Row:
    """Return of a row of `prove --parts --json` what a table of results holds."""
    names = ("items", "difference", "low", "high", "refused")
    return _rounded({name: part[name] for name in names if name in part})


def _rounded(row: Row) -> Row:
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()}
