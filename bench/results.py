"""Repeat the figures of docs/results.md: the whole loop on real data, through the commands.

    python bench/results.py [SUBJECT ...] [--shared DIR] [--work DIR]

Prints one JSON line a figure and keeps them in bench/results/SUBJECT.json. Every subject has a
fresh WINNOW_DATA. Without names all are run, which takes about an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import results_images
import results_sounds
import results_speed
from results_drive import ROOT

KEPT = ROOT / "bench/results"

SUBJECTS: dict[str, Callable[[Path, Path], Iterator[dict[str, Any]]]] = {
    "clothing": results_images.clothing,
    "cifar10": results_images.cifar10,
    "fsdd": results_sounds.fsdd,
    "arabic_speech_commands": results_sounds.arabic_speech_commands,
    "speech_commands_sample": results_sounds.speech_commands_sample,
    "imagededup_tests": results_images.imagededup_tests,
    "wav_formats": results_sounds.wav_formats,
    "banking77": results_speed.banking77,
    "intake": results_speed.intake,
    "features": results_speed.features,
    "web": results_speed.web,
}


def measure(subject: str, shared: Path, folder: Path) -> dict[str, Any]:
    """Run one subject; print each figure as it comes."""
    work = folder / subject
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    figures = []
    for figure in SUBJECTS[subject](shared, work):
        figures.append(figure)
        print(json.dumps({"subject": subject, **figure}), flush=True)
    return {
        "subject": subject,
        "date": datetime.now(UTC).date().isoformat(),
        "version": _version(),
        "command": f"python bench/results.py {subject}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "figures": figures,
    }


def _version() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return told.stdout.strip() or "unknown"


def main() -> None:
    """Run what was asked for and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    default = os.environ.get("WINNOW_SHARED", ROOT.parent / "shared")
    parser.add_argument("--shared", type=Path, default=Path(default))
    parser.add_argument("--work", type=Path, help="kept afterwards; else a temporary folder")
    options = parser.parse_args()
    if unknown := set(options.subjects) - set(SUBJECTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if not options.shared.is_dir():
        sys.exit(f"NOT MEASURED: there is no folder {options.shared}; set WINNOW_SHARED.")
    KEPT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="winnow-results-") as temporary:
        for subject in options.subjects or SUBJECTS:
            found = measure(subject, options.shared.resolve(), options.work or Path(temporary))
            (KEPT / f"{subject}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
