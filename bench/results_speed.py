"""Figures on texts and on cost: CPU of an import and of features, memory of the web process."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from http_probe import memory_of
from results_drive import ROOT, Winnow, read_zip, scores

PICTURES = 10_000
BAR_IMPORT_CPU_S = 20.0  # for 10,000 pictures, preview included (issue 2)
BAR_FEATURES_CPU_MS = 6.0  # a photo at 224 px, decode included (issue 2)
BAR_WEB_MB = 150.0  # resident (issue 2)
PEERS_DECODE_CPU_MS = 0.27  # a picture, plain decoding on the cores that the bar was set on
PHOTOS = 1_000
PORT = 8731
START_SECONDS = 180
HEAVY = ("tensorflow", "keras", "librosa", "numba", "sklearn")
DECODING = """
import itertools, select, sys, time
from pathlib import Path
from PIL import Image
paths = itertools.cycle(sorted(Path(sys.argv[1]).iterdir())[::7])
took = count = 0
while not count or not select.select([sys.stdin], [], [], 1.0)[0]:  # 100 a second: no rival
    start = time.process_time()
    for path in itertools.islice(paths, 100):
        with Image.open(path) as picture:
            picture.load()
    took += time.process_time() - start
    count += 100
print(took / count * 1000)
"""
FEATURES = """
import json, resource, sys, time, zipfile
from pathlib import Path
from mlcore.features import choose_backbones, extract
with zipfile.ZipFile(sys.argv[1]) as packed:
    photos = [packed.read(name) for name in packed.namelist() if not name.endswith("/")]
photos = (photos * 2)[: int(sys.argv[3])]
backbone = choose_backbones("image", weights_folder=Path(sys.argv[2]))[0]
extract(backbone, photos[:8])  # loading the network is no cost per photo
start = time.process_time()
extract(backbone, photos)
each = (time.process_time() - start) / len(photos) * 1000
print(json.dumps({"cpu_ms_each": round(each, 2), "backbone": backbone.name, "n": len(photos),
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""

Figures = Iterator[dict[str, Any]]


def banking77(shared: Path, work: Path) -> Figures:
    """Short texts: accuracy across folds, and on the test part through --open-test."""
    winnow = Winnow(work / "data")
    imported = winnow.command("import_dataset", "banking77", _two_tables(shared, work),
                              "--media=text", "--column=label=category")  # fmt: skip
    yield {"figure": "import", **{name: imported[name] for name in ("imported", "rejected", "odd")}}
    trained = winnow.command("train", "banking77", "--open-test", "--reason=results")
    yield {"figure": "accuracy across folds and on the test part", **scores(trained)}
    detected = winnow.command("detect", "banking77")
    yield {"figure": "flags", "cpu_s": detected["cpu_s"],
           **{kind: found.get("open", 0) for kind, found in detected["kinds"].items()}}  # fmt: skip


def _two_tables(shared: Path, work: Path) -> Path:
    folder = work / "tables"
    folder.mkdir(exist_ok=True)
    for part in ("train", "test"):
        packed = shared / "data/banking77" / f"{part}.csv.gz"
        (folder / packed.name).write_bytes(packed.read_bytes())
    return folder


def intake(shared: Path, work: Path) -> Figures:
    """CPU of import_dataset on the peers' pictures: the whole command, nothing left out."""
    count = int(os.environ.get("RESULTS_PICTURES", PICTURES))
    folder = _peers_pictures(shared, work, count)
    winnow = Winnow(work / "data")
    empty = work / "one"
    empty.mkdir(exist_ok=True)
    first = min(folder.iterdir())
    (empty / first.name).write_bytes(first.read_bytes())
    start = winnow.command("import_dataset", "one", empty, "--media=image", "--split-from=none")
    decoding = Decoding(folder)
    took = winnow.command("import_dataset", "peers", folder, "--media=image", "--split-from=none")
    decode_ms = decoding.ends()
    whole = (took["cpu_s"] - start["cpu_s"]) * PICTURES / count + start["cpu_s"]
    quiet = whole * PEERS_DECODE_CPU_MS / decode_ms
    yield {"figure": "import of the peers' 256-px JPEG", "pictures": took["imported"],
           "cpu_s": took["cpu_s"], "wall_s": took["wall_s"], "start_cpu_s": start["cpu_s"],
           "cpu_s_for_10000": round(whole, 1), "bar": BAR_IMPORT_CPU_S,
           "decode_only_cpu_ms_each": round(decode_ms, 3),
           "times_decoding": round(whole / decode_ms * 1000 / PICTURES, 2),
           "cpu_s_where_decoding_takes_270_us": round(quiet, 1),
           "load": round(os.getloadavg()[0], 1)}  # fmt: skip


class Decoding:
    """Plain decoding beside an import, over and over: tells how much others slow the cores.

    It runs while the import does, in a process of its own, so that both have the same cores.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", DECODING, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ends(self) -> float:
        """Stop it and return the CPU milliseconds of one picture."""
        told, _ = self._process.communicate("stop\n")
        return float(told)


def _peers_pictures(shared: Path, work: Path, count: int) -> Path:
    """Make the pictures by the peers' own script: all kinds of it, or its scenes when fewer."""
    path = shared / "peers/bench_quality_peers.py"
    spec = importlib.util.spec_from_file_location("peers", path)
    assert spec is not None
    assert spec.loader is not None
    peers: Any = importlib.util.module_from_spec(spec)
    sys.modules["peers"] = peers
    spec.loader.exec_module(peers)
    peers.DATA = work
    if count == PICTURES:
        peers.gen_images(n=count)
        return work / f"images_{count}/img"
    folder = work / "scenes"
    folder.mkdir(exist_ok=True)
    rng = peers.np.random.default_rng(2)
    for number in range(count):
        peers._scene(rng).save(folder / f"b{number:05d}.jpg", quality=90)
    return folder


def features(shared: Path, work: Path) -> Figures:
    """CPU of the vectors of 1,000 phone photos at 224 px with real weights, decode included."""
    photos = shared / "data/clothing/images.zip"
    command = [sys.executable, "-c", FEATURES, str(photos), str(shared / "weights"), str(PHOTOS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    distinct = len(read_zip(photos))
    yield {"figure": "features of clothing photos", **found, "distinct": distinct,
           "bar": BAR_FEATURES_CPU_MS, "load": round(os.getloadavg()[0], 1)}  # fmt: skip


def web(shared: Path, work: Path) -> Figures:
    """Resident memory of the web process of `manage.py up` after it has shown its pages."""
    winnow = Winnow(work / "data", shared / "weights")
    photos = shared / "data/imagededup_tests/images.zip"
    winnow.command("import_dataset", "photos", photos, "--media=image")
    cookie = winnow.inside("cookie", "operator")
    command = [sys.executable, "manage.py", "up", "--no-demo", "--port", str(PORT)]
    up = subprocess.Popen(
        command, env=winnow.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        address = address_of(up)
        shown = {path: get(address + path, cookie) for path in _pages(winnow)}
        for _ in range(5):
            for path in shown:
                get(address + path, cookie)
        pid = web_process(up.pid)
        mapped = Path(f"/proc/{pid}/maps").read_text()
        yield {"figure": "web process", **memory_of(pid), "bar": BAR_WEB_MB,
               "libraries": [name for name in HEAVY if f"/{name}" in mapped],
               "pages": shown}  # fmt: skip
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=60)


def _pages(winnow: Winnow) -> list[str]:
    base = "d/photos/"
    parts = ("", "browse/", "import/", "settings/", "members/", "rounds/", "runs/", "checks/",
             "review/", "review/near_duplicate/", "versions/", "before-after/")  # fmt: skip
    return ["", "datasets/new/", "work/", "system/", "healthz", *(base + part for part in parts)]


def address_of(up: subprocess.Popen[str]) -> str:
    ends = time.monotonic() + START_SECONDS
    assert up.stdout
    for line in up.stdout:
        if "ready:" in line:
            return line.split()[-1]
        if time.monotonic() > ends:
            break
    raise RuntimeError("manage.py up did not become ready")


def get(address: str, cookie: dict[str, Any]) -> int:
    request = urllib.request.Request(address)
    request.add_header("Cookie", f"{cookie['name']}={cookie['value']}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def web_process(parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in map(int, children):
        if b"uvicorn" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    raise RuntimeError("there is no web process")
