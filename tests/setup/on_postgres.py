"""`python -m tests.setup.on_postgres ARGUMENTS`: pytest on a private PostgreSQL cluster."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.setup import postgres

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    with postgres.cluster() as url, tempfile.TemporaryDirectory() as data:
        environment = {**os.environ, "DATABASE_URL": url, "WINNOW_DATA": data}
        command = [sys.executable, "-m", "pytest", "--migrations", *sys.argv[1:]]
        return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


if __name__ == "__main__":  # pytest imports every module for its doctests, this one too
    sys.exit(main())
