"""How often a 95 % interval holds the truth when groups differ much in size and sameness.

    python bench/intervals.py [REPEATS]
    python bench/intervals.py --metrics [REPEATS]

Each repeat draws groups, and for each group its own rate around the true accuracy (rho is the
correlation of two items of a group: 0 none, 1 all of a group right or all wrong). Printed for
accuracy and macro-F1 beside a percentile bootstrap over groups, and for a paired difference.

With --metrics other metrics of success and their paired differences: two classes, one item in four
positive, and groups that are harder or easier (shifted), of which three in twenty tell nothing
(dull), or have the classes taken for each other (wrong).
"""

import sys

import numpy as np

from mlcore.intervals import _macro_f1, accuracy_interval, macro_f1_interval, paired_difference
from mlcore.success import (
    ACCURACY,
    COST,
    MACRO_F1,
    RECALL,
    ROC_AUC,
    Success,
    difference,
    measure,
    value_of,
)

RESAMPLES = 400
CLASSES = 5
SHAPES = ("groups of 5", "one holds a third", "one holds 29 %, others single", "heavy tail")
WAYS = ("shifted", "dull", "wrong")
EVEN = np.array([0.5, 0.5])
METRICS = {
    "accuracy, re-weighted": Success(ACCURACY, shares=EVEN),
    "macro-F1, re-weighted": Success(MACRO_F1, shares=EVEN),
    "ROC AUC": Success(ROC_AUC, positive=1),
    "cost": Success(COST, costs=np.array([[0, 1.0], [5.0, 0]]), shares=EVEN),
    **{f"recall at {of}": Success(RECALL, positive=1, precision=of) for of in (0.4, 0.6, 0.8)},
}


def sizes_of(shape: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return how many items each of `n` groups holds."""
    if shape == "groups of 5":
        return np.full(n, 5)
    if shape == "one holds a third":
        others = rng.geometric(0.3, size=n - 1)
        return np.r_[max(1, others.sum() // 2), others]
    if shape == "heavy tail":
        return np.clip((rng.pareto(1.2, size=n) * 2).astype(int), 1, 500)
    return np.r_[max(2, int((n - 1) * 0.4)), np.ones(n - 1, dtype=int)]


def drawn(rate: float, rho: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return one rate for each group."""
    if rho in (0, 1):
        return np.full(n, rate) if rho == 0 else (rng.random(n) < rate).astype(float)
    weight = (1 - rho) / rho
    return rng.beta(rate * weight, (1 - rate) * weight, size=n)


def predictions(sizes: np.ndarray, rates: np.ndarray, rng: np.random.Generator):
    """Return given and predicted classes, unevenly frequent, and the group of each item."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    frequent = np.arange(1, CLASSES + 1) / np.arange(1, CLASSES + 1).sum()
    labels = rng.choice(CLASSES, p=frequent, size=len(groups))
    other = (labels + rng.integers(1, CLASSES, size=len(groups))) % CLASSES
    return labels, np.where(rng.random(len(groups)) < rates[groups], labels, other), groups


def bootstrap(labels, predicted, groups, rng):
    """Return percentile limits of accuracy and macro-F1 from resampling groups."""
    counts = np.zeros((groups.max() + 1, 3 * CLASSES))
    for column, weight in (
        (labels, labels == predicted),
        (CLASSES + labels, 1),
        (2 * CLASSES + predicted, 1),
    ):
        np.add.at(counts, (groups, column), weight)
    n = len(counts)
    found = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) @ counts
    right, given = found[:, :CLASSES].sum(axis=1), found[:, CLASSES : 2 * CLASSES].sum(axis=1)
    scores = right / given, _macro_f1(found, CLASSES)
    return [np.quantile(score, [0.025, 0.975]) for score in scores]


def coverage(shape: str, n: int, rate: float, rho: float, *, repeats: int) -> np.ndarray:
    """Return shares held: accuracy and macro-F1 (bootstrap, ours), the difference (ours)."""
    rng = np.random.default_rng(0)
    many = predictions(np.ones(200_000, dtype=int), np.full(200_000, rate), rng)
    true_f1 = macro_f1_interval(*many, n_classes=CLASSES).value
    held = np.zeros(5)
    for _ in range(repeats):
        sizes = sizes_of(shape, n, rng)
        labels, predicted, groups = predictions(sizes, drawn(rate, rho, n, rng), rng)
        right = labels == predicted
        by_draws = bootstrap(labels, predicted, groups, rng)
        ours = accuracy_interval(right, groups)
        f1 = macro_f1_interval(labels, predicted, groups, n_classes=CLASSES)
        if not (ours.low <= ours.value <= ours.high and f1.low <= f1.value <= f1.high):
            raise SystemExit(f"outside its limits: {ours} {f1}")
        mended = drawn(0.3, max(rho, 0.01), n, rng)[groups]  # of what was wrong
        after = np.where(right, rng.random(len(right)) >= 0.05, rng.random(len(right)) < mended)
        change = paired_difference(right, after, groups)
        truth = 0.3 * (1 - rate) - 0.05 * rate
        held += [
            by_draws[0][0] <= rate <= by_draws[0][1],
            ours.low <= rate <= ours.high,
            by_draws[1][0] <= true_f1 <= by_draws[1][1],
            f1.low <= true_f1 <= f1.high,
            change.low <= truth <= change.high,
        ]
    return held / repeats


def two_models(way: str, sizes: np.ndarray, rng: np.random.Generator):
    """Return labels, groups, and the probabilities of a worse and a better model."""
    groups, n = np.repeat(np.arange(len(sizes)), sizes), int(sizes.sum())
    labels, is_odd = (rng.random(n) < 0.25).astype(int), rng.random(len(sizes)) < 0.15
    found = []
    for strength in (2.0, 2.5):
        told = np.where(is_odd, {"shifted": 1, "dull": 0, "wrong": -1}[way] * strength, strength)
        shift = rng.normal(0, 0.5, len(sizes)) * (way == "shifted")
        score = told[groups] * (labels - 0.25) + shift[groups] + rng.normal(size=n)
        chance = 1 / (1 + np.exp(1 - score))
        found.append(np.stack([1 - chance, chance], 1))
    return labels, groups, found


def of_metrics(way: str, shape: str, n: int, *, repeats: int) -> np.ndarray:
    """Return shares held: each metric, and its difference between the two models."""
    rng = np.random.default_rng(0)
    labels, _, models = two_models(way, np.ones(200_000, dtype=int), rng)
    true = {name: [value_of(of, labels, one) for one in models] for name, of in METRICS.items()}
    held, drawn_at = np.zeros((len(METRICS), 2)), 0
    while drawn_at < repeats:
        labels, groups, (before, after) = two_models(way, sizes_of(shape, n, rng), rng)
        if not 0 < labels.sum() < len(labels):
            continue
        drawn_at += 1
        for place, (name, wanted) in enumerate(METRICS.items()):
            one = measure(wanted, labels, probabilities=before, groups=groups)
            both = difference(wanted, labels, before=before, after=after, groups=groups)
            worse, better = true[name]
            held[place] += one.low <= worse <= one.high, both.low <= better - worse <= both.high
    return held / repeats


def print_metrics(repeats: int) -> None:
    """Print a line a metric: least and most held over ways, by shape and number of groups."""
    kinds = [(shape, n) for shape in ("groups of 5", "heavy tail") for n in (12, 40, 200)]
    found = np.array(
        [[of_metrics(way, *kind, repeats=repeats) for way in WAYS] for kind in kinds]
    )  # kinds, ways, metrics, alone or difference
    print("metric |", " | ".join(f"{shape}, {n}" for shape, n in kinds))
    for column, title in enumerate(("", ", difference")):
        for place, name in enumerate(METRICS):
            told = found[:, :, place, column]
            cells = [f"{low:.2f}-{high:.2f}" for low, high in zip(told.min(1), told.max(1))]
            print(f"| {name}{title} |", " | ".join(cells), "|")


def print_shares(repeats: int) -> None:
    """Print a line a shape and number of groups: least and most held over rates and likeness."""
    print("shape | groups | accuracy: bootstrap, ours | macro-F1: bootstrap, ours | difference")
    for shape in SHAPES:
        for n in (10, 40, 200):
            found = np.array(
                [
                    coverage(shape, n, rate, rho, repeats=repeats)
                    for rate in (0.6, 0.85, 0.95)
                    for rho in (0, 0.3, 1)
                ]
            )
            told = [f"{low:.2f}-{high:.2f}" for low, high in zip(found.min(0), found.max(0))]
            print(f"| {shape} | {n} |", " | ".join(told), "|", flush=True)


def main() -> None:
    asked = sys.argv[1:]
    repeats = int(asked.pop()) if asked and asked[-1].isdigit() else 100
    (print_metrics if asked == ["--metrics"] else print_shares)(repeats)


if __name__ == "__main__":
    main()
