"""Sets of items that are the same thing, and those that stand in two splits."""

from functools import partial

from mlcore.copy_sets import Proposal, copy_sets, propose
from mlcore.duplicates import LEAST_SCORE
from mlcore.leakage import NO_SPLIT, find_leaks
from quality.doubts import Doubt
from quality.queries.survey import Survey

PAIRS_SHOWN = 30  # of a copy set, in the evidence: more than a page can draw


def find_copy_sets(survey: Survey) -> list[Doubt]:
    """Sets of items that are the same thing; below them, pairs that are only suspected."""
    return [_copy_doubt(survey, found) for found in _proposals(survey)]


def find_leakage(survey: Survey) -> list[Doubt]:
    """Copy sets that stand in two splits, and sources that do."""
    across = [
        _copy_doubt(survey, found, across=True)
        for found in _proposals(survey, splits=survey.splits.tolist())
        if len({str(survey.splits[row]) for row in found.items} - NO_SPLIT) > 1
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


def _proposals(survey: Survey, *, splits: list[str] | None = None) -> list[Proposal]:
    sure = [pair for pair in survey.copies if pair.score >= LEAST_SCORE]
    joined = copy_sets(len(survey), sure)
    of_row = {row: place for place, items in enumerate(joined) for row in items}
    suspected = [
        pair
        for pair in survey.copies
        if pair.score < LEAST_SCORE and of_row.get(pair.first, -1) != of_row.get(pair.second, -2)
    ]
    by_worth = partial(
        propose,
        is_test=survey.is_test.tolist(),
        is_labelled=(survey.labels >= 0).tolist(),
        sizes=survey.extents,
        splits=splits,
    )
    alone = [found for pair in suspected for found in by_worth([pair])]
    return by_worth(sure) + alone


def _copy_doubt(survey: Survey, found: Proposal, *, across: bool = False) -> Doubt:
    items, pairs = found.items, found.pairs
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
    return Doubt(
        rows=items,
        roles=tuple("keep" if row in found.kept else "copy" for row in items),
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
