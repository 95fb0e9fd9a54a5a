"""Where the real data for development lies; tests that need it skip, loudly, without it."""

import os
import warnings
from pathlib import Path

import pytest

SHARED = Path(
    os.environ.get("WINNOW_SHARED") or Path(__file__).resolve().parent.parent.parent / "shared"
)


def shared_path(name: str) -> Path:
    """Return a path below the shared folder, or skip the test with a warning."""
    path = SHARED / name
    if not path.exists():
        warnings.warn(f"NOT TESTED on real data: {path} is missing", stacklevel=2)
        pytest.skip(f"real data missing: {path}")
    return path
