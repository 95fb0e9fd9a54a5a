"""Does a queue know, after 50 decisions, how many of the next 50 are right? One line a set.

    WINNOW_SHARED=... python bench/expected_share.py [--more] [SET ...]

The truth is the reviewer, worst first as in the queue: after every 50 decisions of the first 300
the expected share of the next 50 is set beside the real one. Labels of cifar10 are those of
CIFAR-10N; of the others one in ten is replaced by any other class, five draws.
Probabilities are of five folds of the head in `bench/active.py`, on vectors that it keeps. With
--more every set is put into other folds, all people of CIFAR-10N are asked, and labels are also
swapped by pairs of classes (one in twenty and one in five). The last lines sum up: how many are
far off, beside what chance alone would do where the share right rises smoothly with the score as
it does in each queue (to what learns, and to one who knows that curve); then, before any decision,
how many flags of each set are right where the check says .5-.6, .6-.7, ...
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.isotonic import IsotonicRegression  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from bench import active  # noqa: E402
from mlcore.expected_share import in_steps, learn_shares  # noqa: E402
from mlcore.label_errors import find_label_errors  # noqa: E402

DECIDED = 50
STEPS = 6
FOLDS = 5
DRAWS = 5
PLANTED = 0.1
SWAPPED = (0.05, 0.2)
NEAR = 0.1  # what the expected share may be off
active.WRONG = 0.0  # its people answer rightly here: labels are planted below
NOISE = ("annotator1", "worst", "aggregated")
LABELLED = ("fsdd", "clothing", "banking77", "arabic_speech_commands", "digits")
REDRAWN = 20  # draws of chance
TENTHS = np.linspace(0.5, 1.0, 6)


class Queue(NamedTuple):
    """What the check expects of each flag, worst first, its label and whether it is right."""

    believed: np.ndarray
    given: list[str]
    right: np.ndarray


def queue_of(of: active.Pool, given: np.ndarray, truth: np.ndarray, *, seed: int = 3) -> Queue:
    """Doubt the given labels as the app does, and put them in its order."""
    found = np.zeros((len(given), of.n_classes))
    folds = np.random.default_rng(seed).permutation(len(given)) % FOLDS
    for fold in range(FOLDS):
        seen, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        kernel = active.fitted(of, seen, given)
        found[unseen] = active.guess(kernel, of.features[unseen])
    return ordered(find_label_errors(given, found, neighbours=of.graph), given, given != truth)


def ordered(found, given: np.ndarray, wrong: np.ndarray) -> Queue:  # type: ignore[no-untyped-def]
    order = np.argsort(-found.score, kind="stable")
    order = order[found.suggested[order] != given[order]]
    believed = np.array([in_steps(score) for score in found.score[order]])
    return Queue(believed, [str(label) for label in given[order]], wrong[order])


def queues(wanted: list[str], *, more: bool = False) -> Iterator[tuple[str, Queue]]:
    def is_wanted(name: str) -> bool:
        return not wanted or name in wanted

    noise = (*NOISE, "annotator2", "annotator3") if more else NOISE
    if any(is_wanted(name) for name in noise):
        rows = active.table(active.SHARED / "data/cifar10/cifar10n_train_labels.csv")
        names = sorted({row["truth"] for row in rows})
        pool = active.cifar10()
        truth = np.array([names.index(row["truth"]) for row in rows])
        for name in filter(is_wanted, noise):
            given = np.array([names.index(row[name]) for row in rows])
            for seed in (11, 12) if more else (3,):
                yield name, queue_of(pool, given, truth, seed=seed)
    for name in filter(is_wanted, LABELLED):
        pool = digits() if name == "digits" else active.labelled(name)
        truth = pool.said[:, 0]
        for draw in range(DRAWS):
            seed = 100 + draw if more else draw
            given = planted(truth, pool.n_classes, seed=seed)
            yield name, queue_of(pool, given, truth, seed=seed if more else 3)
            for share in SWAPPED if more else ():
                given = swapped(truth, pool.n_classes, share=share, seed=draw)
                yield f"{name}, pairs", queue_of(pool, given, truth, seed=seed)
    if is_wanted("cifar10_test") and not more:
        yield "cifar10_test", given_probabilities()


def digits() -> active.Pool:
    """Written digits that come with scikit-learn, by their 64 pixels."""
    pixels, truth = load_digits(return_X_y=True)
    return active.pool(pixels.astype(np.float32), truth[:, None], pixels[:1], truth[:1])


def planted(truth: np.ndarray, n_classes: int, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    other = (truth + rng.integers(1, n_classes, len(truth))) % n_classes
    return np.where(rng.random(len(truth)) < PLANTED, other, truth)


def swapped(truth: np.ndarray, n_classes: int, *, share: float, seed: int) -> np.ndarray:
    is_wrong = np.random.default_rng(seed).random(len(truth)) < share
    return np.where(is_wrong, (truth + 1) % n_classes, truth)


def given_probabilities() -> Queue:
    """CIFAR-10's own test labels, and what five people said of those in doubt."""
    data = active.SHARED / "data/cifar10"
    with np.load(data / "test_pred_probs.npz") as told:
        given, found, index = told["given"], told["pred_probs"], told["test_index"]
    rows = active.table(data / "test_label_errors_mturk.csv")
    wrong = {int(row["test_index"]) for row in rows if row["verdict"].startswith("error")}
    is_wrong = np.array([int(place) in wrong for place in index])
    return ordered(find_label_errors(given, found.astype(float)), given, is_wrong)


def reviewed(queue: Queue) -> Iterator[tuple[float, float, bool]]:
    """Yield the expected and the real share of the next flags, and whether the limits hold it."""
    for step in range(1, STEPS + 1):
        done, ahead = slice(0, step * DECIDED), slice(step * DECIDED, (step + 1) * DECIDED)
        real = queue.right[ahead]
        if len(real) < DECIDED:
            return
        learned = learn_shares(
            queue.believed[done], queue.given[done], queue.right[done], ~queue.right[done]
        )
        expected = learned.total(queue.believed[ahead], queue.given[ahead], np.ones(DECIDED))
        is_held = expected.low <= real.sum() <= expected.high
        yield expected.value / DECIDED, float(real.mean()), is_held


def far_by_chance(queue: Queue, rng: np.random.Generator) -> np.ndarray:
    """Return how often what learns, and who knows the curve, is far off; one row a step."""
    curve = IsotonicRegression(y_min=0.01, y_max=0.99)
    shares = curve.fit_transform(queue.believed, queue.right)
    far = np.zeros((STEPS, 2))
    for _ in range(REDRAWN):
        drawn = queue._replace(right=rng.random(len(shares)) < shares)
        for place, (value, real, _) in enumerate(reviewed(drawn), start=1):
            known = shares[place * DECIDED : (place + 1) * DECIDED].mean()
            far[place - 1] += (abs(np.array([value, known]) - real) > NEAR) / REDRAWN
    return far


def by_tenths(found: list[Queue]) -> str:
    """Return how many flags there are where the check says .5-.6 and on, and how many are right."""
    tenth = np.digitize(np.concatenate([queue.believed for queue in found]), TENTHS)
    right = np.concatenate([queue.right for queue in found])
    each = [right[tenth == place] for place in range(1, len(TENTHS))]
    return "  ".join(f"{one.mean():.2f} of {len(one):4}" if len(one) else "-" for one in each)


def main(wanted: list[str], *, more: bool) -> None:
    print("set           queue  check says  expected/real share of the next 50, by decisions made")
    off: list[list[float]] = [[] for _ in range(STEPS)]
    by_chance, rng = np.zeros((STEPS, 2)), np.random.default_rng(5)
    by_name: dict[str, list[Queue]] = {}
    for name, queue in queues(wanted, more=more):
        by_name.setdefault(name, []).append(queue)
        found = list(reviewed(queue))
        told = "  ".join(
            f"{value:.2f}/{real:.2f}{'' if held else '!'}" for value, real, held in found
        )
        for place, (value, real, _) in enumerate(found):
            off[place].append(abs(value - real))
        by_chance += far_by_chance(queue, rng)
        own = queue.believed[DECIDED : 2 * DECIDED].mean() if found else np.nan
        print(f"{name:22}  {len(queue.right):5}  {own:10.2f}  {told}", flush=True)
    for place, each in enumerate(off):
        far = sum(one > NEAR for one in each)
        learned, known = by_chance[place]
        print(
            f"after {DECIDED * (place + 1)}: off by {np.mean(each):.3f}, {far} of {len(each)} far; "
            f"by chance alone {learned:.1f}, {known:.1f} if the curve were known"
        )
    print("right where the check says .5-.6, .6-.7, .7-.8, .8-.9, .9-1")
    for name, each_queue in by_name.items():
        print(f"{name:22}  {by_tenths(each_queue)}")


if __name__ == "__main__":
    main([name for name in sys.argv[1:] if name != "--more"], more="--more" in sys.argv)
