"""How often guards find who does not look, and warn who does, in simulated crowds.

python bench/guards.py [--out docs/guards.md]   (about 3 CPU minutes)

Everybody is looked at after every tenth answer. Limits are 95 % (Clopper and Pearson 1934).
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mlcore.guards import at_chance, warnings_of  # noqa: E402
from mlcore.intervals import share_interval  # noqa: E402
from tests.mlcore.test_guards import KEYS, pressed, shift  # noqa: E402

CROWDS = 4
LOOKS_EVERY = 10
ANSWERS = (60, 100, 200, 300)

TEXT = """# Guards measured

Made by `bench/guards.py`: {crowds} simulated crowds a row, everybody looked at after every tenth
answer. Honest people are right in 65 to 97 of 100 answers. "Warned" counts whoever is warned at
any of the looks, with 95 % limits.

## Too fast, one key, a pattern, many skips
400 people, 60 of whom spam, a quarter in each way; 60 answers each.

{tricks}

## Any key at a normal speed
250 people, 25 of whom press keys at random, answer items in the round's order; they are told by
their agreement with the others, or with known answers. Between two keys chance is right half of
the time, so that it takes more answers: to find 90 in 100 of those who press any key and warn at
most one in a hundred who are right in 65 of 100, a sequential test needs {wald:.0f} answers on
average even where every right answer is known (Wald 1945).

{keys}
"""


def warned_shares(found: set[int], honest: int, people: int) -> tuple[int, int, int, int]:
    """Return spammers warned, spammers, honest people warned, honest people."""
    spam = len([person for person in found if person >= honest])
    return spam, people - honest, len(found) - spam, honest


def words(right: int, of: int) -> str:
    limits = share_interval(right, of)
    return f"{right / of:.3f} ({limits.low:.3f} to {limits.high:.3f})"


def looks(people: np.ndarray, most: int) -> list[np.ndarray]:
    """Return which answers were there at each look, everybody having given so many."""
    order = np.argsort(people, kind="stable")
    starts = np.searchsorted(people[order], people[order])
    place = np.empty(len(people), int)
    place[order] = np.arange(len(people)) - starts
    return [place < count for count in range(20, most + 1, LOOKS_EVERY)]


def tricks() -> str:
    """Return the table of spammers who hurry, press one key, take turns or skip."""
    lines = ["| classes | spammers warned | honest people warned |", "| --- | --- | --- |"]
    for kind in KEYS:
        total = np.zeros(4, int)
        for seed in range(CROWDS):
            rng = np.random.default_rng(seed)
            said = shift(KEYS[kind], n_people=400, spammers=60, rng=rng)
            found: set[int] = set()
            for there in looks(said[1], 60):
                seen = [column[there] for column in said]
                found |= {w.annotator for w in warnings_of(*seen, n_classes=len(KEYS[kind]))}
            total += warned_shares(found, 340, 400)
        lines.append(f"| {kind} | {words(*total[:2])} | {words(*total[2:])} |")
    return "\n".join(lines)


def keys() -> str:
    """Return the table of spammers who press any key and take their time."""
    lines = [
        "| classes | answers each | spammers warned | honest people warned |",
        "| --- | --- | --- | --- |",
    ]
    for kind in KEYS:
        totals = {most: np.zeros(4, int) for most in ANSWERS}
        for seed in range(CROWDS):
            rng = np.random.default_rng(seed)
            said = pressed(KEYS[kind], answers=max(ANSWERS), spammers=25, rng=rng)
            found: set[int] = set()
            for count, there in enumerate(looks(said[1], max(ANSWERS))):
                seen = [column[there] for column in said]
                options = np.full(int(there.sum()), len(KEYS[kind]))
                found |= {w.annotator for w in at_chance(*seen, options=options)}
                most = 20 + count * LOOKS_EVERY
                if most in totals:
                    totals[most] += warned_shares(found, 225, 250)
        lines += [
            f"| {kind} | {most} | {words(*total[:2])} | {words(*total[2:])} |"
            for most, total in totals.items()
        ]
    return "\n".join(lines)


def least_answers(*, weak: float = 0.65, found: float = 0.9, wrongly: float = 0.01) -> float:
    """Return the mean answers that no test between two keys can do without (Wald's bound)."""
    told = found * np.log(found / wrongly) + (1 - found) * np.log((1 - found) / (1 - wrongly))
    apart = 0.5 * np.log(0.5 / weak) + 0.5 * np.log(0.5 / (1 - weak))
    return float(told / apart)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    text = TEXT.format(crowds=CROWDS, tricks=tricks(), keys=keys(), wald=least_answers())
    if out:
        out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
