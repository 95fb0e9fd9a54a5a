"""Set up what the tests need beside Python packages: Chromium, PostgreSQL, Redis.

What cannot be had is said in one loud line, and the exit status is 1.
"""

import os
import shutil
import subprocess
import sys

from config import redis_server
from tests.setup import chromium, postgres


def main() -> int:
    missing = [line for line in (_chromium(), _postgres(), _redis()) if line]
    for line in missing:
        sys.stderr.write(f"!!! CANNOT TEST: {line}\n")
    return 1 if missing else 0


def _chromium() -> str:
    if chromium.find():
        return ""
    _apt("chromium") or subprocess.run(
        [sys.executable, "-m", "playwright", "install", "chromium"], check=False
    )
    return "" if chromium.find() else "no Chromium; install the package chromium"


def _postgres() -> str:
    if not postgres.find():
        _apt("postgresql")
    return "" if postgres.find() else "no PostgreSQL; install the package postgresql"


def _redis() -> str:
    if not redis_server.find_binary():
        _apt("redis-server")
    return "" if redis_server.find_binary() else redis_server.INSTALL_LINE


def _apt(package: str) -> bool:
    """Install a Debian package when this is Debian and we may; True when it worked."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    sys.stderr.write(f"Installing {package} ...\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "check": False}
    install = ["apt-get", "install", "-y", "--no-install-recommends", package]
    if subprocess.run(install, **quiet).returncode == 0:
        return True
    subprocess.run(["apt-get", "update"], **quiet)
    return subprocess.run(install, **quiet).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
