"""Sets of items that are the same thing, and those that stand in two splits."""

from mlcore.duplicates import LEAST_SCORE, Pair, copy_sets, keep_one
from mlcore.leakage import NO_SPLIT, find_leaks
from quality.doubts import Doubt
from quality.queries.survey import Survey

PAIRS_SHOWN = 30  # of a copy set, in the evidence: more than a page can draw


def find_copy_sets(survey: Survey) -> list[Doubt]:
    """Sets of items that are the same thing; below them, pairs that are only suspected."""
    return [_copy_doubt(survey, items, pairs) for items, pairs in _sets(survey)]


def find_leakage(survey: Survey) -> list[Doubt]:
    """Copy sets that stand in two splits, and sources that do."""
    across = [
        _copy_doubt(survey, items, pairs, across=True)
        for items, pairs in _sets(survey)
        if len({str(survey.splits[row]) for row in items} - NO_SPLIT) > 1
    ]
    torn = [
        leak
        for leak in find_leaks([], survey.splits.tolist(), survey.groups)
        if leak.kind == "group"
    ]
    return across + [
        Doubt(
            rows=leak.items,
            roles=tuple(str(survey.splits[row]) for row in leak.items),
            topic=f"group {leak.group}",
            score=leak.score,
            reason=leak.reason,
            evidence={"group": leak.group, "splits": list(leak.splits)},
        )
        for leak in torn
    ]


def _sets(survey: Survey) -> list[tuple[list[int], list[Pair]]]:
    sure = [pair for pair in survey.copies if pair.score >= LEAST_SCORE]
    sets = copy_sets(len(survey), sure)
    of_row = {row: place for place, items in enumerate(sets) for row in items}
    pairs: list[list[Pair]] = [[] for _ in sets]
    for pair in sure:
        pairs[of_row[pair.first]].append(pair)
    suspected = [
        ([pair.first, pair.second], [pair])
        for pair in survey.copies
        if pair.score < LEAST_SCORE and of_row.get(pair.first, -1) != of_row.get(pair.second, -2)
    ]
    return list(zip(sets, pairs, strict=True)) + suspected


def _copy_doubt(
    survey: Survey, items: list[int], pairs: list[Pair], *, across: bool = False
) -> Doubt:
    best = max(pairs, key=lambda pair: pair.score)
    labels = sorted(
        {survey.classes[survey.labels[row]] for row in items if survey.labels[row] >= 0}
    )
    reason = best.reason
    splits = sorted({str(survey.splits[row]) for row in items} - {"none"})
    if across:
        reason = f"The same thing is in {' and in '.join(splits)}. {reason}"
    if len(labels) > 1:
        reason += f" The copies disagree about the label: {', '.join(labels)}."
    kept = _kept(survey, items)
    return Doubt(
        rows=tuple(items),
        roles=tuple("keep" if row in kept else "copy" for row in items),
        score=float(min(1.0, best.score)),
        reason=reason,
        is_likely=best.score >= LEAST_SCORE,
        evidence={
            "labels": labels,
            "splits": splits,
            "pairs": [
                [survey.ids[p.first], survey.ids[p.second], round(p.score, 4), p.evidence, p.reason]
                for p in sorted(pairs, key=lambda p: -p.score)[:PAIRS_SHOWN]
            ],
        },
    )


def _kept(survey: Survey, items: list[int]) -> set[int]:
    """Propose what stays: every test copy, so that scores stay comparable; else the best one."""
    in_test = {row for row in items if survey.is_test[row]}
    if in_test and len(in_test) < len(items):
        return in_test
    best = keep_one(
        range(len(items)),
        is_test=[False] * len(items),
        is_labelled=[bool(survey.labels[row] >= 0) for row in items],
        sizes=[survey.extents[row] for row in items],
    )
    return {items[best]}
