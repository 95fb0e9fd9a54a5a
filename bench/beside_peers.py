"""One table of ours and theirs, in the same run: label errors, consensus, sounds, copies.

    WINNOW_SHARED=... python bench/beside_peers.py MADE PEERS_PYTHON [SUBJECT ...]

MADE is where the peers' script keeps its planted sets (made on the first run); PEERS_PYTHON has
the peers installed. Each figure has a process of its own, one thread; MB is what the call added.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("WINNOW_SHARED", ROOT.parent / "shared"))
SCRIPT = SHARED / "peers" / "bench_quality_peers.py"
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
SHAPES = ("50000x10", "50000x100", "1000000x10", "100000x1000")
HIDDEN = {"cpu_s", "base_mb", "peak_mb", "peak_child_mb", "seconds", "versions", "figure", "name"}
HIDDEN |= {"n", "k", "section", "host", "params", "labels", "n_jobs", "filter_by", "pairs"}

Figure = dict[str, Any]


def labels(made: Path, shape: str) -> Figure:
    import numpy as np
    from label_errors import auroc
    from scipy.special import gammaln  # noqa: F401  (imports are no cost of the call)

    from mlcore.label_errors import find_label_errors

    folder = made / f"labels_{shape}"
    given, truth, told = (np.load(folder / f"{n}.npy") for n in ("given", "truth", "pred_probs"))
    found, cost = timed(lambda: find_label_errors(given, told))
    wrong = given != truth
    precision = float(wrong[found.is_error].mean())
    return {**cost, "auroc": auroc(found.score, wrong), "precision": precision,
            "recall": float(found.is_error[wrong].mean())}  # fmt: skip


def consensus(made: Path, size: str) -> Figure:
    import numpy as np

    from mlcore.consensus import aggregate

    held = np.load(made / f"crowd_{size}" / "crowd.npz")
    said, n_items = held["labels"].astype(np.int64), len(held["labels"])
    items = np.repeat(np.arange(n_items), said.shape[1])
    people = held["workers"].ravel().astype(np.int64)
    asked = (items, people, said.ravel())
    found, cost = timed(lambda: aggregate(*asked, n_classes=10, n_items=n_items))
    return {**cost, "consensus_acc": float((found.label == held["truth"]).mean())}


def sounds(made: Path, size: str) -> Figure:
    from mlcore.sound_checks import check_sound
    from mlcore.sounds import measure_sounds

    folder = made / f"audio_{size}"
    truth = json.loads((folder / "truth.json").read_text())
    files = ((folder / name).read_bytes() for name in truth)
    named = zip(files, truth, strict=True)
    told, cost = timed(lambda: [check_sound(f.facts) for f in measure_sounds(named)])  # type: ignore[union-attr]
    silent = [any(doubt.kind == "silent_audio" for doubt in doubts) for doubts in told]
    true = [what in {"silent", "noise_only"} for what in truth.values()]
    hits = sum(a and b for a, b in zip(silent, true, strict=True))
    return {**cost, "recall": hits / sum(true), "precision": hits / max(1, sum(silent))}


def copies(made: Path, size: str) -> Figure:
    from copies import picture_copies

    found, cost = timed(lambda: picture_copies(made))
    return {**cost, **found}  # `found` knows the seconds without reading and the yardstick


OURS = {"copies": copies, "labels": labels, "consensus": consensus, "sounds": sounds}
SECTIONS = {"copies": "images", "labels": "labels", "consensus": "crowd", "sounds": "audio"}
ROWS = [
    *(("labels", shape, f"cleanlab.find_label_issues.prune_by_noise_rate.j1.{shape}")
      for shape in SHAPES),
    *(("labels", shape, f"cleanlab.quality_scores.self_confidence.{shape}") for shape in SHAPES),
    *(("consensus", size, f"crowdkit.{way}.{size}")
      for size in ("50000", "500000") for way in ("DawidSkene", "OneCoinDawidSkene")),
    ("sounds", "2000", "audio.soundfile_all_checks.2000"),
    ("sounds", "2000", "audio.librosa.2000"),
    ("copies", "10000", "pillow.decode_full.10000"),
    ("copies", "10000", "imagededup.PHash.t10.10000"),
    ("copies", "10000", "cleanvision.find_issues.j1.10000"),
    ("copies", "10000", "fastdup.run.k2.10000"),
]  # fmt: skip


def timed(work: Callable[[], Any]) -> tuple[Any, Figure]:
    """Return what the work returns and what it cost."""
    before, start = _peak_mb(), time.process_time()
    found = work()
    return found, {"cpu_s": time.process_time() - start, "added_mb": _peak_mb() - before}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def asked(*command: str) -> Figure:
    done = subprocess.run(command, capture_output=True, text=True)
    said = [line for line in done.stdout.splitlines() if line.startswith("{")]
    figure: Figure = json.loads(said[-1]) if said else {"error": done.stderr.strip()[-120:]}
    if "peak_mb" in figure and "base_mb" in figure:
        figure["added_mb"] = figure["peak_mb"] - figure["base_mb"]
    return figure


def quality(figure: Figure) -> str:
    told = {name: value for name, value in figure.items() if name not in {*HIDDEN, "added_mb"}}
    shown = (f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in told.items())
    return ", ".join(shown).replace("|", "/")


def main(made: Path, peers: str, subjects: list[str]) -> None:
    print("| subject | peer | CPU-s ours / theirs | ratio | MB ours / theirs | ours | theirs |")
    print("|---|---|---|---|---|---|---|", flush=True)
    own: dict[tuple[str, str], Figure] = {}
    rows = [row for row in ROWS if not subjects or row[0] in subjects]
    for section in dict.fromkeys(SECTIONS[subject] for subject, *_ in rows):
        asked(peers, str(SCRIPT), "--data", str(made), "gen", section)
    for subject, size, peer in rows:
        if (subject, size) not in own:
            own[subject, size] = asked(sys.executable, __file__, "--one", subject, str(made), size)
        ours = own[subject, size]
        theirs = asked(peers, str(SCRIPT), "--data", str(made), "--child", peer, "all")
        cost = [figure.get("cpu_s", float("nan")) for figure in (ours, theirs)]
        memory = [figure.get("added_mb", float("nan")) for figure in (ours, theirs)]
        print(f"| {subject} {size} | {peer.rsplit('.', 1)[0]} | {cost[0]:.3f} / {cost[1]:.3f} | "
              f"{cost[0] / cost[1]:.2f} | {memory[0]:.0f} / {memory[1]:.0f} | {quality(ours)} | "
              f"{quality(theirs)} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps(OURS[sys.argv[2]](Path(sys.argv[3]), sys.argv[4])))
    else:
        main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
