"""Which order of reviewing buys most? Prints the tables of docs/review_order.md.

    WINNOW_SHARED=... python bench/review_order.py [CLEANLAB_PYTHON]

Labels of 10,000 images of cifar10 are those of CIFAR-10N, the truth is the reviewer, the head is
that of `bench/active.py` (fixed; 256 principal components of MobileNetV2-0.35). Each seed draws
other folds for the probabilities that the orders rank by; after every step of reviewing the head
is trained anew and asked about 5,000 test images. With the Python of an environment that has
cleanlab, its own order is asked too: its list, worst first, then the rest by self-confidence.
"""

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from bench import active  # noqa: E402
from mlcore.label_errors import find_label_errors  # noqa: E402

NOISE = ("aggregated", "annotator1", "worst")
SEEDS = 5
FOLDS = 5
SHARES = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""How many items were reviewed, as a multiple of the wrong labels there are."""
DRAWS = 2000
CLEANLAB = """
import sys, numpy as np
from cleanlab.filter import find_label_issues
given, found = (np.load(sys.argv[1] + name) for name in ("/given.npy", "/found.npy"))
print(*find_label_issues(given, found, return_indices_ranked_by="self_confidence", n_jobs=1))
"""


class Curves(NamedTuple):
    """`correct` is bool (orders, seeds, steps, test items); `found` the wrong labels found."""

    names: list[str]
    wrong: int
    correct: np.ndarray
    found: np.ndarray
    clean: float


def out_of_sample(of: active.Pool, given: np.ndarray, *, seed: int) -> np.ndarray:
    """Return what heads say of items that they did not learn, (items, classes)."""
    found = np.zeros((len(given), of.n_classes))
    folds = np.random.default_rng(seed).permutation(len(given)) % FOLDS
    for fold in range(FOLDS):
        seen, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        found[unseen] = active.guess(active.fitted(of, seen, given), of.features[unseen])
    return found


def cleanlab_list(python: str, *, given: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the items that cleanlab calls wrong, worst first."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/given.npy", given)
        np.save(f"{folder}/found.npy", found)
        told = subprocess.run(
            [python, "-c", CLEANLAB, folder], capture_output=True, text=True, check=True
        )
    return np.array(told.stdout.split(), dtype=np.int64)


def orders_of(
    of: active.Pool, given: np.ndarray, *, seed: int, cleanlab: str | None
) -> dict[str, np.ndarray]:
    """Return the items, first to be reviewed first, by the name of the order."""
    found = out_of_sample(of, given, seed=seed)
    by_confidence = np.argsort(found[np.arange(len(given)), given], kind="stable")
    ours = find_label_errors(given, found, neighbours=of.graph)
    orders = {
        "random": np.random.default_rng(seed).permutation(len(given)),
        "self-confidence": by_confidence,
    }
    if cleanlab:
        listed = cleanlab_list(cleanlab, given=given, found=found)
        rest = by_confidence[~np.isin(by_confidence, listed)]
        orders["cleanlab"] = np.concatenate([listed, rest])
    return {**orders, "ours": np.argsort(-ours.score, kind="stable")}


def correct_after(of: active.Pool, labels: np.ndarray) -> np.ndarray:
    """Tell which test items a head gets right that learned these labels."""
    kernel = active.fitted(of, np.arange(len(labels)), labels)
    return active.guess(kernel, of.unseen).argmax(axis=1) == of.truth


def curves_of(
    of: active.Pool, given: np.ndarray, *, truth: np.ndarray, cleanlab: str | None
) -> Curves:
    """Review in each order, and judge the head after every step."""
    wrong = int((given != truth).sum())
    before = correct_after(of, given)
    correct, found, names = [], [], []
    for seed in range(SEEDS):
        orders = orders_of(of, given, seed=seed, cleanlab=cleanlab)
        names = list(orders)
        for order in orders.values():
            for share in SHARES:
                seen = order[: round(share * wrong)]
                labels = given.copy()
                labels[seen] = truth[seen]
                correct.append(correct_after(of, labels) if len(seen) else before)
                found.append((given[seen] != truth[seen]).sum())
    shape = (SEEDS, len(names), len(SHARES))
    return Curves(
        names,
        wrong,
        np.array(correct).reshape(*shape, -1).swapaxes(0, 1),
        np.array(found).reshape(shape).swapaxes(0, 1),
        float(correct_after(of, truth).mean()),
    )


def areas(correct: np.ndarray) -> np.ndarray:
    """Return the mean accuracy over the reviewing, of each test item: (seeds, test items)."""
    widths = np.diff(SHARES)
    between = (correct[:, 1:] + correct[:, :-1].astype(float)) / 2
    return np.tensordot(between, widths / widths.sum(), axes=(1, 0))


def paired(gain: np.ndarray) -> tuple[float, float, float]:
    """Return mean and 95 % limits of a gain (seeds, test items); both are drawn again."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(DRAWS):
        of_seeds = gain[rng.integers(0, len(gain), len(gain))].mean(axis=0)
        means.append(of_seeds[rng.integers(0, gain.shape[1], gain.shape[1])].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(gain.mean()), float(low), float(high)


def table_of(name: str, curves: Curves) -> str:
    """Return what one kind of noise gave, as Markdown."""
    heads = " | ".join(f"{share:g}" for share in SHARES)
    lines = [
        f"## {name}: {curves.wrong:,} of 10,000 labels wrong",
        "",
        f"| accuracy after reviewing, times {curves.wrong:,} | {heads} | wrong found at 1 | way |",
        "| --- " * (len(SHARES) + 3) + "|",
    ]
    noisy = curves.correct[0, 0, 0].mean()
    for order, correct, found in zip(curves.names, curves.correct, curves.found, strict=True):
        means = correct.mean(axis=(0, 2))
        cells = " | ".join(f"{value:.4f}" for value in means)
        share = found[:, SHARES.index(1.0)].mean() / curves.wrong
        way = (means[-1] - noisy) / (curves.clean - noisy)
        lines.append(f"| {order} | {cells} | {share:.1%} | {way:.2f} |")
    lines.append(f"\nEvery label right: {curves.clean:.4f}.\n")
    ours = areas(curves.correct[-1])
    for order, correct in zip(curves.names[:-1], curves.correct, strict=False):
        mean, low, high = (100 * value for value in paired(ours - areas(correct)))
        lines.append(
            f"- area under ours less {order}: {mean:+.2f} points ({low:+.2f}, {high:+.2f})"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print one table a kind of noise."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("cleanlab", nargs="?")
    options = asked.parse_args()
    rows = active.table(active.SHARED / "data/cifar10/cifar10n_train_labels.csv")
    names = sorted({row["truth"] for row in rows})
    of = active.cifar10()
    truth = np.array([names.index(row["truth"]) for row in rows])
    print(f"{datetime.date.today()}, five seeds\n")
    for name in NOISE:
        given = np.array([names.index(row[name]) for row in rows])
        print(
            table_of(name, curves_of(of, given, truth=truth, cleanlab=options.cleanlab)), flush=True
        )
    print(f"{active.cpu_seconds():.0f} CPU-s")


if __name__ == "__main__":
    main()
