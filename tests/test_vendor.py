"""The vendored browser files are exactly those that the manifest names."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

VENDOR = Path(__file__).resolve().parent.parent / "static" / "vendor"
FILES: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text())["files"]
OWN_FILES = {"manifest.json", "refresh.py"}


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: entry["file"])
def test_a_vendored_file_has_the_hash_of_the_manifest(entry: dict[str, Any]) -> None:
    content = (VENDOR / entry["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert entry["licence"]
    assert entry["version"]


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: entry["file"])
def test_a_vendored_file_names_no_source_map_that_is_not_there(entry: dict[str, Any]) -> None:
    assert b"sourceMappingURL" not in (VENDOR / entry["file"]).read_bytes()


def test_nothing_is_vendored_that_the_manifest_does_not_name() -> None:
    present = {path.name for path in VENDOR.iterdir() if path.is_file()}
    assert present - OWN_FILES == {entry["file"] for entry in FILES}
