"""Fetch the browser libraries named in manifest.json again and check or record their hashes.

    python static/vendor/refresh.py            # fetch what the manifest names, fail on a difference
    python static/vendor/refresh.py --update   # take new versions written into the manifest

Needs npm on PATH (only here; running or testing Winnow needs no node). References to source maps
are cut off, because Django's manifest storage would look for the map files.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "manifest.json"
SOURCE_MAP = re.compile(rb"\n?/[/*][#@] sourceMappingURL=[^\n*]*(\*/)?\s*$")


def packed(name: str, version: str, *, into: Path) -> Path:
    """Download one npm package and return the path of its tarball."""
    command = ["npm", "pack", "--silent", "--pack-destination", str(into), f"{name}@{version}"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return into / answer.stdout.strip().splitlines()[-1]


def built_file(tarball: Path, source: str) -> bytes:
    """Return one built file of a package without its source map reference."""
    with tarfile.open(tarball) as archive:
        member = archive.extractfile(f"package/{source}")
        if member is None:
            raise FileNotFoundError(f"{source} is no file in {tarball.name}")
        return SOURCE_MAP.sub(b"\n", member.read())


def refresh(entry: dict[str, Any], *, update: bool, scratch: Path) -> str:
    """Write one vendored file and return what happened to it, in words."""
    content = built_file(packed(entry["name"], entry["version"], into=scratch), entry["source"])
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry["sha256"] and not update:
        raise SystemExit(f"{entry['file']}: fetched {digest}, manifest says {entry['sha256']}")
    same = digest == entry["sha256"]
    entry["sha256"] = digest
    (HERE / entry["file"]).write_bytes(content)
    return f"{entry['file']} {entry['version']} {'unchanged' if same else 'updated'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--update", action="store_true", help="record new hashes")
    update: bool = parser.parse_args().update
    manifest = json.loads(MANIFEST.read_text())
    with tempfile.TemporaryDirectory() as scratch:
        for entry in manifest["files"]:
            sys.stdout.write(refresh(entry, update=update, scratch=Path(scratch)) + "\n")
    if update:
        MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
