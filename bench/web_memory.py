"""What the web process holds when several people walk all pages of a dataset at once.

    WINNOW_DATA=... python bench/web_memory.py SLUG [--people 4] [--port 8140]

Starts `manage.py up` on that folder. Resident is what a process list shows; anonymous is what the
process alone needs: the rest are libraries and mapped parts of the database, which the system
shares between processes and takes back when memory is short. `bench/large.py` plants a dataset.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.test import Client
from http_probe import memory_of
from pages import pages_of
from results_drive import ROOT
from results_speed import address_of, get, web_process

from labeling.models import Dataset, User


def cookie() -> dict[str, str]:
    """Return the session of somebody who may see all datasets."""
    client = Client()
    user = User.objects.get_or_create(username="bench", is_staff=True)[0]
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = next(iter(client.cookies.values()))
    return {"name": session.key, "value": session.value}


def walk(address: str, paths: list[str], session: dict[str, Any]) -> Counter[int]:
    """Visit pages in turn; return how many answered what."""
    return Counter(get(address + path, session) for path in paths)


def main(slug: str, people: int, port: int) -> None:
    command = [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port)]
    up = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        address = address_of(up)
        pid, session = web_process(up.pid), cookie()
        print(json.dumps({"when": "started", **memory_of(pid)}), flush=True)
        paths = [f"d/{slug}/{page}" for page in pages_of(Dataset.objects.get(slug=slug))]
        with ThreadPoolExecutor(people) as pool:
            shifted = [paths[n * len(paths) // people :] + paths for n in range(people)]
            told = list(pool.map(lambda own: walk(address, own[: len(paths)], session), shifted))
        answers = dict(sum(told, Counter()))
        row = {"when": "walked", **memory_of(pid), "people": people, "pages": len(paths)}
        print(json.dumps({**row, "answers": answers, "load": round(os.getloadavg()[0], 1)}))
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=60)


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("slug")
    reader.add_argument("--people", type=int, default=4)
    reader.add_argument("--port", type=int, default=8140)
    asked = reader.parse_args()
    main(asked.slug, asked.people, asked.port)
