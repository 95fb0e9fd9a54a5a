"""Compare consensus methods on real and simulated crowds, beside crowd-kit; write docs/crowd.md.

WINNOW_SHARED=... python bench/crowd.py --peers PYTHON [--out docs/crowd.md]

PYTHON is the interpreter of an environment that has crowd-kit; without it its columns are
empty. CPU seconds (user and system) of one process, one thread.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from bench.crowd_shapes import (  # noqa: E402
    SEEDS,
    SHAPES,
    SHARED,
    Crowd,
    parts,
    real_crowd,
    real_names,
    simulated,
)

OURS = ("majority", "one_coin", "dawid_skene", "auto")
KIT = {"MajorityVote": {}, "OneCoinDawidSkene": {"n_iter": 100}, "DawidSkene": {"n_iter": 100}}
GLAD_ANSWERS = 8_500  # beyond, GLAD takes minutes
FIXED = (1.0, 4.0, 16.0, 64.0)


def cpu(do: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return do(), time.process_time() - start


def accuracy(crowd: Crowd, label: np.ndarray) -> float:
    known = crowd.truth >= 0
    return float((label[known] == crowd.truth[known]).mean())


def votes_accuracy(crowd: Crowd) -> float:
    """Return the accuracy to expect of a majority vote whose ties are drawn by lot."""
    votes = np.zeros((len(crowd.truth), crowd.n_classes))
    np.add.at(votes, (crowd.items, crowd.answers), 1)
    top = votes == votes.max(axis=1, keepdims=True)
    share = top / top.sum(axis=1, keepdims=True)
    known = np.flatnonzero(crowd.truth >= 0)
    return float(share[known, crowd.truth[known]].mean())


def ours(crowd: Crowd, **options: Any) -> Any:
    from mlcore.consensus import aggregate

    said = crowd.items, crowd.annotators, crowd.answers
    return aggregate(*said, n_classes=crowd.n_classes, n_items=len(crowd.truth), **options)


def kit_figures(path: str) -> None:
    """Run crowd-kit, in its own environment, on a crowd saved to a file; prints JSON."""
    import crowdkit.aggregation as kit
    import pandas

    saved = np.load(path)
    frame = pandas.DataFrame(
        {"task": saved["items"], "worker": saved["annotators"], "label": saved["answers"]}
    )
    methods = dict(KIT)
    if len(frame) <= GLAD_ANSWERS:
        methods["GLAD"] = {"n_iter": 100, "silent": True}
    found = {}
    for name, options in methods.items():
        label, seconds = cpu(lambda: getattr(kit, name)(**options).fit_predict(frame))  # noqa: B023
        label = label.reindex(np.arange(len(saved["truth"]))).fillna(-1).to_numpy()
        known = saved["truth"] >= 0
        found[name] = (float((label[known] == saved["truth"][known]).mean()), seconds)
    print(json.dumps(found))


def kit(crowd: Crowd, python: str | None) -> dict[str, tuple[float, float]]:
    if python is None:
        return {}
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, **crowd._asdict())
        file.flush()
        told = subprocess.run(
            [python, __file__, "--kit", file.name], capture_output=True, text=True, check=True
        )
    found: dict[str, tuple[float, float]] = json.loads(told.stdout.splitlines()[-1])
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def real_table(python: str | None) -> str:
    ours(real_crowd("rte"))  # imports are not what is measured
    names = [*KIT, "GLAD"]
    rows, figures = [], []
    for name in real_names():
        crowd = real_crowd(name)
        found = {method: cpu(lambda m=method: ours(crowd, method=m)) for method in OURS}  # noqa: B023
        peers = kit(crowd, python)
        right = [votes_accuracy(crowd)]
        right += [accuracy(crowd, result.label) for result, _ in found.values()]
        right += [peers.get(peer, (np.nan, 0))[0] for peer in names]
        figures.append(right)
        auto, seconds = found["auto"]
        size = f"{len(crowd.truth)} / {crowd.annotators.max() + 1} / {len(crowd.items)}"
        size += f" / {crowd.n_classes}"
        shown = ["" if np.isnan(each) else f"{each:.4f}" for each in right]
        shown[4] = f"**{shown[4]}**"
        kit_seconds = f"{peers['DawidSkene'][1]:.2f}" if peers else ""
        chosen = f"{auto.method} {auto.strength:g}" if auto.strength else auto.method
        rows.append([name, size, *shown, chosen, f"{seconds:.2f}", kit_seconds])
    mean = [f"{each:.4f}" for each in np.mean(figures, axis=0)[:-1]]
    mean = ["" if each == "nan" else each for each in mean]
    rows.append(["**mean**", "", *mean, "", "", "", ""])
    head = ["crowd", "items / people / answers / classes", "votes, ties by lot", *OURS]
    head += [f"crowd-kit {peer}" for peer in names]
    return table([*head, "auto chose", "auto CPU s", "crowd-kit DawidSkene CPU s"], rows)


def peers_crowd(n_items: int) -> tuple[Crowd, np.ndarray, Any]:
    """Return the synthetic crowd of the peers' benchmark, with its model's probabilities."""
    path = SHARED / "peers" / "bench_quality_peers.py"
    spec = importlib.util.spec_from_file_location("peers", path)
    assert spec is not None
    assert spec.loader is not None
    peers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peers)
    with tempfile.TemporaryDirectory() as folder:
        peers.DATA = Path(folder)
        peers.gen_crowd(n_items)
        workers, labels, truth, _, probabilities = peers.load_crowd(n_items)
    items = np.repeat(np.arange(n_items), workers.shape[1])
    said = workers.ravel().astype(np.int64), labels.ravel().astype(np.int64)
    return Crowd(truth, items, *said, 10), probabilities, peers.rank_auc


def speed_table(python: str | None) -> str:
    rows = []
    for n_items in (50_000, 500_000):
        crowd, probabilities, auroc = peers_crowd(n_items)
        for what, options in (("", {}), (" and a model", {"probabilities": probabilities})):
            found, seconds = cpu(lambda: ours(crowd, **options))  # noqa: B023
            right = f"{accuracy(crowd, found.label):.4f}"
            area = auroc(found.confidence, found.label != crowd.truth)
            rows.append([f"{n_items:,} x 3{what}", "auto", right, area, f"{seconds:.2f}"])
        for peer, (right_share, seconds) in kit(crowd, python).items():
            name = f"crowd-kit {peer}"
            rows.append([f"{n_items:,} x 3", name, f"{right_share:.4f}", "", f"{seconds:.2f}"])
    rng = np.random.default_rng(0)
    truth, items = rng.integers(0, 10, 20_000), np.repeat(np.arange(20_000), 3)
    people, skill = rng.integers(0, 1000, 60_000), rng.beta(8, 3, 1000)
    wrong = (truth[items] + rng.integers(1, 10, 60_000)) % 10
    answers = np.where(rng.random(60_000) < skill[people], truth[items], wrong)
    crowd = Crowd(truth, items, people, answers, 10)
    found, seconds = cpu(lambda: ours(crowd))
    right = f"{accuracy(crowd, found.label):.4f}"
    rows.append(["20,000 x 3, 1,000 people", "auto", right, "", f"{seconds:.2f}"])
    return table(["answers", "method", "accuracy", "AUROC of the confidence", "CPU s"], rows)


def judged(crowds: Sequence[Crowd]) -> dict[str, float]:
    """Return the mean accuracy of each method and fixed shrinkage over crowds of a kind."""
    from mlcore.consensus.answers import checked
    from mlcore.consensus.fitting import fit_matrices
    from mlcore.consensus.item_prior import ItemPrior

    found: dict[str, list[float]] = {}
    for crowd in crowds:
        said = crowd.items, crowd.annotators, crowd.answers
        answers = checked(
            *said,
            n_classes=crowd.n_classes,
            n_items=len(crowd.truth),
            probabilities=None,
            gold=None,
        )
        found.setdefault("votes", []).append(votes_accuracy(crowd))
        for method in ("one_coin", "auto"):
            label = ours(crowd, method=method).posterior.argmax(axis=1)
            found.setdefault(method, []).append(accuracy(crowd, label))
        for strength in FIXED:
            fitted = fit_matrices(answers, ItemPrior(answers), strength=strength)
            label = fitted.belief.argmax(axis=1)
            found.setdefault(f"shrunk by {strength:g}", []).append(accuracy(crowd, label))
    return {method: float(np.mean(each)) for method, each in found.items()}


def regret_table(kinds: dict[str, list[Crowd]]) -> str:
    rows, regrets = [], []
    for name, crowds in kinds.items():
        found = judged(crowds)
        best = max(found, key=lambda method: (found[method], method == "auto"))
        regrets.append([found[best] - each for each in found.values()])
        shown = [f"{each:.3f}" for each in found.values()]
        rows.append([name, *shown, best, f"{found[best] - found['auto']:.3f}"])
    methods = list(found)
    for what, value in (("mean regret", np.mean), ("largest regret", np.max)):
        rows.append([f"**{what}**", *(f"{each:.3f}" for each in value(regrets, axis=0)), "", ""])
    return table(["crowd", *methods, "best", "regret of auto"], rows)


def rounds_table() -> str:
    """Return what more rounds and an unbounded pooled matrix do on the real crowds."""
    from mlcore.consensus import dawid_skene, fitting

    crowds = [real_crowd(name) for name in real_names()]
    usual = fitting.ROUNDS, dawid_skene.LIKELIEST_MISTAKE
    rows = []
    for rounds, mistake in ((5, 0.5), (10, 0.5), (15, 0.5), (20, 0.5), (100, 0.5), (15, 99.0)):
        fitting.ROUNDS, dawid_skene.LIKELIEST_MISTAKE = rounds, mistake
        right = [accuracy(crowd, ours(crowd, method="dawid_skene").label) for crowd in crowds]
        bound = "half of the right answer" if mistake < 1 else "none"
        rows.append([rounds, bound, f"{np.mean(right):.4f}", *(f"{each:.3f}" for each in right)])
    fitting.ROUNDS, dawid_skene.LIKELIEST_MISTAKE = usual
    return table(["rounds", "bound on a mistake", "mean", *real_names()], rows)


def stopping_table() -> str:
    from tests.mlcore.crowds import mixed_crowd
    from tests.mlcore.test_stopping import spend

    rows = []
    for n_classes in (2, 5, 10):
        crowd = mixed_crowd(
            n_items=1000, answers_an_item=8, n_classes=n_classes, rng=np.random.default_rng(1)
        )
        place = np.arange(len(crowd.items)) % 8
        asked = {f"{count} of everybody": place < count for count in (3, 4, 5, 6)}
        for confident in (0.9, 0.95, 0.98):
            asked[f"2 to 8, until {confident:g}"] = spend(
                crowd, learned=100, least=2, most=8, confident=confident
            )
        for how, kept in asked.items():
            said = (crowd.items[kept], crowd.annotators[kept], crowd.answers[kept])
            part = Crowd(crowd.truth, *said, n_classes)
            right = accuracy(part, ours(part).label)
            rows.append([n_classes, how, f"{kept.sum() / 1000:.2f}", f"{right:.3f}"])
    return table(["classes", "answers an item", "spent", "accuracy"], rows)


LIMITS = (0.5, 0.6, 0.7, 0.8)
DISPUTED_BELOW = 0.6  # LEAST_SURE of labeling/services/settling.py


def sure_table() -> str:
    """Return how many items are less sure than a limit, and how often these are right."""
    head = ["crowd", "all", *(f"below {limit:g}: share, right" for limit in LIMITS), "right at .6"]
    rows = []
    for name in real_names():
        whole = real_crowd(name)
        few = parts(whole, np.random.default_rng(5))["three answers an item"]
        for kind, crowd in ((name, whole), (f"{name}, three answers an item", few)):
            found, known = ours(crowd), crowd.truth >= 0
            right = found.label == crowd.truth
            row = [kind, f"{right[known].mean():.3f}"]
            for limit in LIMITS:
                unsure = known & ((found.label < 0) | (found.confidence < limit))
                was = f"{right[unsure].mean():.3f}" if unsure.any() else "none"
                row.append(f"{unsure.sum() / known.sum():.3f}, {was}")
            sure = known & (found.label >= 0) & (found.confidence >= DISPUTED_BELOW)
            rows.append([*row, f"{right[sure].mean():.3f}"])
    return table(head, rows)


TEXT = """# Whom to believe: consensus measured

Made on {day} by `OMP_NUM_THREADS=1 python bench/crowd.py --peers PYTHON`, all in one run.
"Accuracy" counts items whose truth is known; a tie that is no answer counts as wrong, except in
"votes, ties by lot". CPU seconds are user and system, the choice among the methods included.

## Nine real crowds
{real}

`auto` looks at answers only: each is foretold from the others to its item, by annotator models
from which the item is taken out, and the shrinkage that foretells best wins.

## Speed, and the synthetic crowd of the peers' benchmark
{speed}

## Rounds, and the bound on the likeliest mistake
Expectation maximisation makes the answers ever more probable, in the end by giving classes
another meaning than their name; and a class that is seldom right becomes that of all doubtful
items. Both are held back.

{rounds}

## Is the choice robust?
Regret is the accuracy lost against the best method of the row, known only afterwards.

### Parts of the real crowds
<details><summary>Row by row; the two last rows sum up</summary>

{parts}

</details>

### Simulated crowds, {seeds} of each shape
<details><summary>Row by row; the two last rows sum up</summary>

{simulated}

</details>

## Stopping when sure
People are good (six of ten), biased, lazy, spamming, and two alternate; the first 100 items are
asked about five times, to get to know them.

{stopping}

{sure}"""
SURE_TEXT = """## Sure enough to settle
Below .6, the limit of a dispute, the likeliest class is right about as often as a coin; what
is left to people there lifts the rest ("right at .6").

{sure}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="python of an environment with crowd-kit")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "crowd.md")
    parser.add_argument("--sure", action="store_true", help="only print the table of limits")
    parser.add_argument("--kit", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.kit:
        kit_figures(told.kit)
        return
    if told.sure:
        print(SURE_TEXT.format(sure=sure_table()))
        return
    halves: dict[str, list[Crowd]] = {}
    for name in real_names():
        for kind, crowd in parts(real_crowd(name), np.random.default_rng(5)).items():
            if (crowd.truth >= 0).sum() > 20:
                halves[f"{name}, {kind}"] = [crowd]
    shapes = {
        name: [simulated(np.random.default_rng(seed), **shape) for seed in range(SEEDS)]
        for name, shape in SHAPES.items()
    }
    text = TEXT.format(
        day=date.today().isoformat(),
        real=real_table(told.peers),
        speed=speed_table(told.peers),
        rounds=rounds_table(),
        parts=regret_table(halves),
        simulated=regret_table(shapes),
        stopping=stopping_table(),
        sure=SURE_TEXT.format(sure=sure_table()),
        seeds=SEEDS,
    )
    told.out.write_text(text)


if __name__ == "__main__":
    main()
