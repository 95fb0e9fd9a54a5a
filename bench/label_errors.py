"""Label errors beside cleanlab: one JSON line a figure.

    python bench/label_errors.py MADE [CLEANLAB_PYTHON]

MADE is where `bench_quality_peers.py --data MADE gen labels` put its planted sets; SHAPES
chooses among them. With the Python of an environment that has cleanlab, each of its methods is
asked too: at the length of its list, precision and recall are those of as many of our worst.
CPU seconds of one thread; `added_mb` is what the call added to the process's peak of memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402  (after the number of threads)

SHAPES = tuple(os.environ.get("SHAPES", "50000x10 50000x100 1000000x10 100000x1000").split())
METHODS = ("prune_by_noise_rate", "both", "confident_learning", "low_self_confidence")
SCORES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
LONGEST_SECONDS = 400


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work):  # type: ignore[no-untyped-def]
    """Return what the work returns, its CPU seconds and the memory that it added."""
    before, start = peak_mb(), time.process_time()
    found = work()
    return found, round(time.process_time() - start, 3), round(peak_mb() - before, 1)


def auroc(score: np.ndarray, wrong: np.ndarray) -> float:
    """Return the chance that a wrong label scores above a right one; ties count half."""
    from scipy.stats import rankdata

    ranks, positives = rankdata(score), int(wrong.sum())
    above = ranks[wrong].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(wrong) - positives)))


def ours(folder: Path, mapped: bool) -> None:
    """Write our ranking and print what it cost."""
    from scipy.special import gammaln  # noqa: F401  (imports are no cost of the call)

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from mlcore.label_errors import find_label_errors

    given, truth = np.load(folder / "given.npy"), np.load(folder / "truth.npy")
    told = np.load(folder / "pred_probs.npy", mmap_mode="r" if mapped else None)
    found, cpu, added = timed(lambda: find_label_errors(given, told))
    wrong, marked = given != truth, found.is_error
    np.save(folder / "order.npy", np.argsort(-found.score, kind="stable").astype(np.int32))
    figure = {"who": "ours", "mapped": mapped, "cpu_s": cpu, "added_mb": added}
    figure |= {"auroc": round(auroc(found.score, wrong), 4), "marked": int(marked.sum())}
    figure |= {"precision": round(float(wrong[marked].mean()), 4)}
    print(json.dumps({**figure, "recall": round(float(marked[wrong].mean()), 4)}))


def theirs(folder: Path, method: str) -> None:
    """Print what one of cleanlab's methods finds, beside as many of our worst."""
    given, truth = np.load(folder / "given.npy"), np.load(folder / "truth.npy")
    told, wrong = np.load(folder / "pred_probs.npy"), given != truth
    if method in SCORES:
        from cleanlab.rank import get_label_quality_scores

        score, cpu, added = timed(lambda: get_label_quality_scores(given, told, method=method))
        figure = {"auroc": round(auroc(-score, wrong), 4)}
    else:
        from cleanlab.filter import find_label_issues

        issue, cpu, added = timed(
            lambda: find_label_issues(given, told, filter_by=method, n_jobs=1)
        )
        worst = np.load(folder / "order.npy")[: int(issue.sum())]
        hits, our_hits = int(wrong[issue].sum()), int(wrong[worst].sum())
        figure = {
            "length": len(worst),
            "precision": round(hits / len(worst), 4),
            "recall": round(hits / int(wrong.sum()), 4),
            "our_precision": round(our_hits / len(worst), 4),
            "our_recall": round(our_hits / int(wrong.sum()), 4),
        }
    print(json.dumps({"who": f"cleanlab {method}", "cpu_s": cpu, "added_mb": added, **figure}))


def ask(python: str, *arguments: str) -> None:
    """Run one figure in a process of its own, so that peaks of memory do not mix."""
    called = [python, __file__, "--one", *arguments]
    done = subprocess.run(called, capture_output=True, text=True, timeout=LONGEST_SECONDS)
    said = done.stdout.strip().splitlines()
    line = json.loads(said[-1]) if said else {"error": done.stderr.strip()[-300:]}
    print(
        json.dumps({"shape": Path(arguments[0]).name.removeprefix("labels_"), **line}), flush=True
    )


def main(made: Path, cleanlab: str | None) -> None:
    for shape in SHAPES:
        folder = str(made / f"labels_{shape}")
        ask(sys.executable, folder, "mapped")
        ask(sys.executable, folder, "memory")
        for method in (*METHODS, *SCORES) if cleanlab else ():
            ask(cleanlab or "", folder, method)


if __name__ == "__main__":
    if sys.argv[1] == "--one" and sys.argv[3] in {"mapped", "memory"}:
        ours(Path(sys.argv[2]), sys.argv[3] == "mapped")
    elif sys.argv[1] == "--one":
        theirs(Path(sys.argv[2]), sys.argv[3])
    else:
        main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
