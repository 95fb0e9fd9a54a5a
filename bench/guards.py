"""How often guards find who does not look, and warn who does, in simulated crowds.

python bench/guards.py [--out docs/guards.md]   (about 3 CPU minutes)

Everybody is looked at after every tenth answer. Limits are 95 % (Clopper and Pearson 1934).
"""

import argparse
import sys
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mlcore.guards import CLOSELY, at_chance, is_vouched_for, warnings_of  # noqa: E402
from mlcore.shares import share_interval  # noqa: E402
from tests.mlcore.test_guards import KEYS, shift  # noqa: E402

CROWDS = 4
LOOKS_EVERY = 10
ANSWERS = (60, 100, 200)
PEOPLE, SPAMMERS, ANSWERS_AN_ITEM = 250, 25, 4
GOLD_ITEMS, GOLD_EVERY, EASIEST_OF = 100, 10, 4  # as labeling/services/gold.py gives them
EASE = 1.5  # standard deviation between items, in logits; 0.6 to 3.9 in eight real crowds

TEXT = """# Guards measured

Made on {day} by `python bench/guards.py --out docs/guards.md`: {crowds} simulated crowds a row,
everybody looked at after every tenth answer. Honest people are right in 65 to 97 of 100 answers.
"Warned" counts whoever is warned at any of the looks, with 95 % limits.

## Too fast, one key, a pattern, many skips
400 people, 60 of whom spam, a quarter in each way; 60 answers each.

{tricks}

## Any key at a normal speed
250 people, 25 of whom press keys at random, answer items in the round's order; they are told by
their agreement with the others, and with check items where the lead made some. One item in ten is
one; for somebody whom they do not vouch for yet, every second, the easiest of four that are drawn.
"Check items" counts those among the first 60 answers of an honest person.

Items are all alike, each person erring as often on any of them, or easy and hard, as real ones
are: in seven real crowds people who are right in 60 to 70 of 100 were right in 66 to 100 of 100 on
items that nine in ten of the others got right. How good honest people are on these items is
learned from everybody's answers at each look: where others are nearly always right on clear items,
somebody who is not is told from them sooner.

{keys}

Where a round wants one answer an item, only check items tell (items easy and hard):

{alone}

Between two classes chance is right half of the time. Where items are all alike, to find 90 in 100
of those who press any key and warn at most one in a hundred who are right in 65 of 100, a
sequential test needs {wald:.0f} answers on average even where every right answer is known
(Wald 1945); sixty, all known, would tell {best:.2f} with one honest person in a hundred warned.
Where four people answer an item, check items add little to what the others say; where one does,
they are all there is.

The time that people take tells next to nothing: in the one real crowd that has times, the
correlation with the time that others take for the same item is .20 with 20 of them and .10 with 3.

Guards look at people with an account alone. Who answered elsewhere is handed nothing, so that there
is nothing to pause; the Crowd page tells who of them is seldom right, and the consensus weighs it.

On line a person is judged beside the answers of others to the same items and the latest 4,000
others: of 250 people, easy and hard items, .76 of the spammers were warned within 60 answers so
(50 of them, none of 120 honest people), .80 beside 10,000; with fewer people these answers hold
more of each. Where a quarter of 250 people press any key, .59 (easy and hard) and .30 (all alike)
are warned within 60, .36 and .17 before: then the others are no good measure of each other.
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


def session(
    shares: np.ndarray,
    *,
    gold_every: int,
    ease: float,
    answers_each: int,
    an_item: int,
    closely: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, ...]:
    """Let people answer in turn as a round asks them; spammers last, gold items first.

    Returns items, annotators, answers, known, and the check items that honest people were given.
    """
    n_items = GOLD_ITEMS + PEOPLE * (answers_each // an_item + 1)
    truth, theta, beta = _crowd(shares, n_items=n_items, ease=ease, rng=rng)
    unseen = [set(range(GOLD_ITEMS)) for _ in range(PEOPLE)]
    right, checked = np.zeros(PEOPLE, int), np.zeros(PEOPLE, int)
    shown, passed = np.full(GOLD_ITEMS, 2.0), np.full(GOLD_ITEMS, 1.0)
    places: list[list[int]] = []  # an item and who has it, oldest first
    following, rows = GOLD_ITEMS, []
    for _turn in range(answers_each):
        for person in rng.permutation(PEOPLE):
            known_well = is_vouched_for(right[person], checked[person], options=len(shares))
            every = gold_every if known_well else min(gold_every, closely)
            is_check = every and rng.random() * every < 1 and checked[person] < GOLD_ITEMS
            if is_check:
                drawn = rng.permutation(list(unseen[person]))[: 1 if known_well else EASIEST_OF]
                item = int(max(drawn, key=lambda each: passed[each] / shown[each]))
                unseen[person].remove(item)
            else:
                place = next((each for each in places if person not in each[1:]), None)
                if place is None:
                    place = [following]
                    places.append(place)
                    following += 1
                place.append(person)
                item = place[0]
                if len(place) > an_item:
                    places.remove(place)
            answer = truth[item]
            if person >= PEOPLE - SPAMMERS:
                answer = rng.integers(len(shares))
            elif rng.random() > 1 / (1 + np.exp(-theta[person] - beta[item])):
                answer = (answer + rng.integers(1, len(shares))) % len(shares)
            if is_check:
                checked[person] += 1
                right[person] += answer == truth[item]
                shown[item] += 1
                passed[item] += answer == truth[item]
            rows.append((item, person, answer, is_check))
    items, people, answers, checks = np.array(rows).T
    known = np.where(np.arange(len(truth)) < GOLD_ITEMS, truth, -1) if gold_every else None
    early = checks[: 60 * PEOPLE] * (people[: 60 * PEOPLE] < PEOPLE - SPAMMERS)
    return items, people, answers, known, early.sum() / (PEOPLE - SPAMMERS)


def _crowd(
    shares: np.ndarray, *, n_items: int, ease: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truths, people's skills and items' ease in logits: right in 65 to 97 of 100."""
    truth = rng.choice(len(shares), n_items, p=shares)
    skills = np.linspace(-2, 9, 500)
    usual = 1 / (1 + np.exp(-skills[:, None] - ease * rng.normal(size=2_000)))
    theta = np.interp(rng.uniform(0.65, 0.97, PEOPLE), usual.mean(axis=1), skills)
    return truth, theta, ease * rng.normal(size=n_items)


def keys() -> str:
    """Return the table of spammers who press any key and take their time."""
    within = " | ".join(f"spammers warned within {most}" for most in ANSWERS)
    lines = [f"| classes | items | check items | {within} | honest people warned |"]
    lines += ["| --- " * (len(ANSWERS) + 4) + "|"]
    for kind, shares in KEYS.items():
        for ease, gold_every in ((0.0, 0), (0.0, GOLD_EVERY), (EASE, 0), (EASE, GOLD_EVERY)):
            totals, given = keys_found(shares, gold_every=gold_every, ease=ease)
            cells = [kind, "easy and hard" if ease else "all alike"]
            cells += [f"{given:.1f}" if gold_every else "none"]
            cells += [words(*totals[most][:2]) for most in ANSWERS]
            lines.append(f"| {' | '.join([*cells, words(*totals[max(ANSWERS)][2:])])} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def alone() -> str:
    """Return the table of spammers whom only check items can tell: nobody else answers."""
    lines = ["| classes | check items | spammers warned within 60 | honest people warned |"]
    lines += ["| --- | --- | --- | --- |"]
    for kind in ("two classes", "even"):
        for closely, rate in ((GOLD_EVERY, "one in ten"), (CLOSELY, "every second until then")):
            totals, given = keys_found(
                KEYS[kind],
                gold_every=GOLD_EVERY,
                ease=EASE,
                answers=(60,),
                an_item=1,
                closely=closely,
            )
            found = totals[60]
            cells = [kind, f"{rate}: {given:.1f}", words(*found[:2]), words(*found[2:])]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def keys_found(
    shares: np.ndarray,
    *,
    gold_every: int,
    ease: float,
    answers: tuple[int, ...] = ANSWERS,
    an_item: int = ANSWERS_AN_ITEM,
    closely: int = CLOSELY,
) -> tuple[dict[int, np.ndarray], float]:
    """Return who was warned within so many answers, and the check items of an honest person."""
    totals, given = {most: np.zeros(4, int) for most in answers}, []
    for seed in range(CROWDS):
        rng = np.random.default_rng(seed)
        *said, known, checks = session(
            shares,
            gold_every=gold_every,
            ease=ease,
            answers_each=max(answers),
            an_item=an_item,
            closely=closely,
            rng=rng,
        )
        given.append(checks)
        found: set[int] = set()
        for count in range(20, max(answers) + 1, LOOKS_EVERY):
            seen = [column[: count * PEOPLE] for column in said]
            options = np.full(count * PEOPLE, len(shares))
            found |= {w.annotator for w in at_chance(*seen, options=options, known=known)}
            if count in totals:
                totals[count] += warned_shares(found, PEOPLE - SPAMMERS, PEOPLE)
    return totals, float(np.mean(given))


def least_answers(*, weak: float = 0.65, found: float = 0.9, wrongly: float = 0.01) -> float:
    """Return the mean answers that no test between two keys can do without (Wald's bound)."""
    told = found * np.log(found / wrongly) + (1 - found) * np.log((1 - found) / (1 - wrongly))
    apart = 0.5 * np.log(0.5 / weak) + 0.5 * np.log(0.5 / (1 - weak))
    return float(told / apart)


def best_share(*, answers: int = 60, wrongly: float = 0.01) -> float:
    """Return the most spammers that one look at known answers to two alike classes can tell."""
    from scipy.stats import binom

    skills, counts = np.linspace(0.65, 0.97, 321)[:, None], np.arange(answers + 1)
    warned = binom.cdf(counts, answers, skills).mean(axis=0)
    return float(binom.cdf(counts[warned <= wrongly][-1], answers, 0.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    text = TEXT.format(
        day=date.today().isoformat(),
        crowds=CROWDS,
        tricks=tricks(),
        keys=keys(),
        alone=alone(),
        wald=least_answers(),
        best=best_share(),
    )
    if out:
        out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
