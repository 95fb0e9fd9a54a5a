"""How often a run is said to have a signal: of labels dealt at random, and of weak real ones.

    python bench/no_signal.py [DRAWS [APART ...]]

Each draw cross-validates a ridge head with equal class weights on ten random features, which
items of a group share in half. Printed in percent of the draws: a signal by accuracy, by mean
recall, by the order of the last class (asked where success is about one class), by any of the
three; then, in the first draws, how often each metric was "clearly better than always saying the
commonest class", which is why that makes no signal.
"""

import sys
from itertools import product

import numpy as np

from mlcore.baselines import majority_baseline
from mlcore.intervals import paired_difference, recall_difference
from mlcore.protocols import Division, Protocol, divide
from mlcore.signal import CHANCE, always_commonest, order_of_class
from mlcore.success import ACCURACY, COST, MACRO_F1, RECALL, ROC_AUC, Success, difference

FEATURES = 10
PENALTY = 0.1
SHARES = {
    "even": [0.5, 0.5],
    "7 to 3": [0.7, 0.3],
    "9 to 1": [0.9, 0.1],
    "five even": [0.2] * 5,
    "six uneven": [0.4, 0.25, 0.15, 0.1, 0.05, 0.05],
}
GROUPS = ("single", "fours", "fours of one class", "ten", "ten of one class")
SIZES = (60, 200, 600)
ALONE = 40  # draws of each shape in which single metrics are measured, which takes longest
APART = (0.0, 0.5, 1.0)  # by how many standard deviations the last class stands apart


def drawn(n: int, shares: np.ndarray, groups_are: str, rng: np.random.Generator):
    """Return features without anything to learn, labels (each class occurs), and groups."""
    groups = np.arange(n)
    if "fours" in groups_are:
        groups = groups // 4
    elif "ten" in groups_are:
        groups = groups * 10 // n
    while True:
        size = groups.max() + 1 if "of one class" in groups_are else n
        labels = rng.choice(len(shares), p=shares, size=size)
        labels = labels[groups] if size < n else labels
        if len(np.unique(labels)) == len(shares):
            break
    shared = 0 if groups_are == "single" else rng.normal(size=(n, FEATURES))[groups]
    return rng.normal(size=(n, FEATURES)) + shared, labels, groups


def predicted(features: np.ndarray, labels: np.ndarray, divisions: list[Division]) -> np.ndarray:
    """Return probabilities out of sample by ridge regression on the classes."""
    n_classes = labels.max() + 1
    found = np.zeros((len(labels), n_classes))
    with_one = np.c_[features, np.ones(len(features))]
    for division in divisions:
        x, y = with_one[division.seen], labels[division.seen]
        weights = len(y) / (n_classes * np.maximum(np.bincount(y, minlength=n_classes), 1)[y, None])
        gram = x.T @ (weights * x) + PENALTY * len(x) * np.eye(x.shape[1])
        wanted = np.eye(n_classes)[y] - 1 / n_classes
        solved = np.linalg.solve(gram, x.T @ (weights * wanted))
        scores = np.exp(4 * with_one[division.unseen] @ solved)
        found[division.unseen] = scores / scores.sum(axis=1, keepdims=True)
    return found


def claims(labels, probabilities, groups) -> list[bool]:
    """Return whether there is a signal by accuracy, recall, order, any."""
    last = probabilities.shape[1] - 1
    right, constant = probabilities.argmax(axis=1) == labels, always_commonest(labels)
    ways = [
        paired_difference(constant, right, groups).low > 0,
        recall_difference(constant, right, labels, groups).low > 0,
        order_of_class(labels, probabilities, groups, positive=last).low > CHANCE,
    ]
    return [*ways, any(ways)]


def ahead(labels, probabilities, groups, majority) -> list[bool]:
    """Return by which metrics it is clearly better than always saying the commonest class."""
    n_classes, last = probabilities.shape[1], probabilities.shape[1] - 1
    costs = np.where(np.arange(n_classes)[:, None] == last, 5.0, 1.0) * (1 - np.eye(n_classes))
    share = min(0.95, 1.3 * float(np.mean(labels == last)))
    metrics = [
        Success(ACCURACY, shares=np.full(n_classes, 1 / n_classes)),
        Success(MACRO_F1),
        Success(RECALL, positive=last, precision=share),
        Success(ROC_AUC, positive=last),
        Success(COST, costs=costs),
    ]
    found = []
    for one in metrics:
        sides = {"before": np.eye(n_classes)[majority], "after": probabilities}
        change = difference(one, labels, groups=groups, **sides)
        found.append(change.high < 0 if one.metric == COST else change.low > 0)
    return found


def shape(n: int, name: str, groups_are: str, *, apart: float, draws: int) -> np.ndarray:
    """Return the percent of draws in which each claim is made."""
    rng, claimed, alone = np.random.default_rng(0), [], []
    for seed in range(draws):
        features, labels, groups = drawn(n, np.array(SHARES[name]), groups_are, rng)
        features[:, 0] += apart * (labels == len(SHARES[name]) - 1)
        divisions = divide(labels, groups, protocol=Protocol(seed=seed))[0]
        told = predicted(features, labels, divisions)
        claimed.append(claims(labels, told, groups))
        if seed < ALONE:
            alone.append(ahead(labels, told, groups, majority_baseline(labels, divisions)))
    return np.r_[np.mean(claimed, axis=0), np.mean(alone, axis=0)] * 100


def main() -> None:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print("apart | items | classes | groups | accuracy, recall, order, any |", end=" ")
    print("accuracy at even shares, macro-F1, recall at a precision, ROC AUC, cost")
    for apart in [float(told) for told in sys.argv[2:]] or APART:
        every = []
        for n, name, groups_are in product(SIZES, SHARES, GROUPS):
            every.append(shape(n, name, groups_are, apart=apart, draws=draws))
            row = " ".join(f"{value:.1f}" for value in every[-1])
            print(f"{apart} | {n} | {name} | {groups_are} | {row}", flush=True)
        for name, value in (("mean", np.mean(every, axis=0)), ("most", np.max(every, axis=0))):
            print(f"{apart} | {name} |", " ".join(f"{one:.1f}" for one in value), flush=True)


if __name__ == "__main__":
    main()
