"""Sets of items that are the same thing, and those that stand in two splits."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from mlcore.copy_sets import Proposal, copy_sets, propose
from mlcore.duplicates import LEAST_SCORE, Pair
from mlcore.leakage import NO_SPLIT, find_torn_sources
from quality.doubts import Doubt
from quality.queries.survey import Survey

FAINT_LEAK_SHARE = 0.02  # of the items, as for labels below the line
PAIRS_SHOWN = 30  # of a copy set, in the evidence: more than a page can draw


def find_copy_sets(survey: Survey) -> list[Doubt]:
    """Sets of items that are the same thing; below them, pairs that are only suspected."""
    suspected = _alone(survey, survey.copies)
    return [_copy_doubt(survey, found) for found in (*_sets(survey), *suspected)]


def find_leakage(survey: Survey) -> Iterator[Doubt]:
    """Copy sets that stand in two splits, sources that do, then pairs less and less alike.

    One after another: whoever asks takes as many of the latter as `most_faint_leaks` allows. A
    copy that is missed within a split costs little; one between train and test a false score.
    """
    for found in _sets(survey, splits=survey.splits.tolist()):
        if len({str(survey.splits[row]) for row in found.items} - NO_SPLIT) > 1:
            yield _copy_doubt(survey, found, across=True)
    yield from _torn_sources(survey)
    across = [pair for pair in survey.likenesses if _is_across(survey, pair)]
    for found in _alone(survey, across):
        yield _copy_doubt(survey, found, across=True)


def most_faint_leaks(n_items: int) -> int:
    """Return how many pairs that are no sure copies the queue of leaks goes on with."""
    return round(FAINT_LEAK_SHARE * n_items)


def _is_across(survey: Survey, pair: Pair) -> bool:
    splits = {str(survey.splits[pair.first]), str(survey.splits[pair.second])}
    return len(splits - NO_SPLIT) > 1


def _torn_sources(survey: Survey) -> Iterator[Doubt]:
    for source in find_torn_sources(survey.splits.tolist(), survey.groups):
        yield Doubt(
            rows=source.items,
            roles=tuple(str(survey.splits[row]) for row in source.items),
            topic=f"group {source.name}",
            score=source.score,
            reason=source.reason,
            evidence={"group": source.name, "splits": list(source.splits)},
        )


def _sets(survey: Survey, *, splits: list[str] | None = None) -> list[Proposal]:
    sure = [pair for pair in survey.copies if pair.score >= LEAST_SCORE]
    return _by_worth(survey, splits=splits)(sure)


def _alone(survey: Survey, pairs: list[Pair]) -> Iterator[Proposal]:
    """Propose each pair that is no sure copy for itself, unless sure ones join it already."""
    sure = [pair for pair in survey.copies if pair.score >= LEAST_SCORE]
    joined = copy_sets(len(survey), sure)
    of_row = {row: place for place, items in enumerate(joined) for row in items}
    by_worth = _by_worth(survey, splits=None)
    for pair in pairs:
        together = of_row.get(pair.first, -1) == of_row.get(pair.second, -2)
        if pair.score < LEAST_SCORE and not together:
            yield from by_worth([pair])


def _by_worth(
    survey: Survey, *, splits: list[str] | None
) -> Callable[[Sequence[Pair]], list[Proposal]]:
    return partial(
        propose,
        is_test=survey.is_test.tolist(),
        is_labelled=(survey.labels >= 0).tolist(),
        sizes=survey.extents,
        sharpness=[survey.facts(row).get("sharpness", 0.0) for row in range(len(survey))],
        splits=splits,
    )


def _copy_doubt(survey: Survey, found: Proposal, *, across: bool = False) -> Doubt:
    items, pairs = found.items, found.pairs
    best = max(pairs, key=lambda pair: pair.score)
    reason = best.reason
    splits = sorted({str(survey.splits[row]) for row in items} - {"none"})
    if across:
        start = "The same thing" if best.score >= LEAST_SCORE else "Perhaps the same thing"
        reason = f"{start} is in {' and in '.join(splits)}. {reason}"
    return Doubt(
        rows=items,
        roles=tuple("keep" if row in found.kept else "copy" for row in items),
        score=float(min(1.0, best.score)),
        reason=reason,
        is_likely=best.score >= LEAST_SCORE,
        evidence={
            "splits": splits,
            "pairs": [
                [survey.ids[p.first], survey.ids[p.second], round(p.score, 4), p.evidence, p.reason]
                for p in sorted(pairs, key=lambda p: -p.score)[:PAIRS_SHOWN]
            ],
        },
    )
