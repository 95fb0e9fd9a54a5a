"""Flags: raised by detectors or by people; a doubt that was settled stays settled."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from django.db import transaction

from labeling.models import Dataset, Item, Media, User
from labeling.services.jobs import Refused, Work
from labeling.services.rows import insert_rows
from mlcore.expected_share import in_steps
from quality import copy_pairs
from quality.detectors import KINDS, Kind
from quality.doubts import CannotRunError, Doubt
from quality.models import Decision, Flag, FlagItem, FlagState, Run
from quality.queries.expected import LIKELY_SHARE, learned_shares
from quality.queries.runs import newest_done
from quality.queries.survey import Survey, survey_of
from quality.services import graph

MANUAL = "manual"
LEAKAGE = "leakage"
ROWS_A_STATEMENT = 200
ROWS_A_TRANSACTION = 200
LEAST_DECIDED = 20  # decisions about a kind below which its check's own mark stands
RAISED_FIELDS = [
    *("state", "given", "suggested", "score", "is_likely", "expected"),
    *("reason", "evidence", "run"),
]
MOST_REASON = 500  # characters of the column


def raise_flags(work: Work) -> dict[str, Any]:
    """Run the detectors that the job names (all by default): the body of a `detect` job."""
    dataset = work.job.dataset
    if dataset is None:
        raise Refused("This job names no dataset.")
    kinds = kinds_for(dataset, work.options.get("kinds") or [])
    work.progress(message="Reading the items", now=True)
    run = newest_done(dataset)
    survey = survey_of(dataset)
    if any(kind.compares for kind in kinds):
        survey = graph.complete(work, survey, run=run)
    checked: dict[str, dict[str, Any]] = {}
    for done, kind in enumerate(kinds):
        work.progress(done, len(kinds), message=str(kind.title), now=True)
        work.check()
        checked[kind.name] = _check(work, survey, kind)
    if LEAKAGE in checked:
        copy_pairs.save_pairs(dataset.pk, survey.copies, ids=survey.ids)
    return {
        "items": len(survey),
        "run": run.number if run else None,
        "version": run.version.number if run else None,
        "backbone": survey.backbone,
        "kinds": checked,
    }


def kinds_for(dataset: Dataset, names: Sequence[str]) -> list[Kind]:
    """Return the detectors named, or all that suit the dataset's items."""
    unknown = sorted(set(names) - KINDS.keys())
    if unknown:
        known = ", ".join(kind.name for kind in KINDS.values() if kind.find)
        raise Refused(f"There is no check named {', '.join(unknown)}. Known: {known}.")
    unfit = [name for name in names if dataset.media not in KINDS[name].media]
    if unfit:
        kind = Media(dataset.media).label.lower()
        raise Refused(f"{dataset.slug} holds {kind}; {', '.join(unfit)} looks at something else.")
    chosen = [kind for kind in KINDS.values() if not names or kind.name in names]
    return [kind for kind in chosen if kind.find and dataset.media in kind.media]


def _check(work: Work, survey: Survey, kind: Kind) -> dict[str, Any]:
    assert kind.find
    try:
        doubts = kind.find(survey)
    except CannotRunError as reason:
        return {"not_run": str(reason)}
    notice = kind.notice(survey) if kind.notice else ""
    told = {"notice": notice} if notice else {}
    return {**store(work, survey, kind=kind, doubts=doubts), **told}


@dataclass
class _Standing:
    """What is known of a kind's subjects before new doubts come in."""

    open: dict[str, Flag] = field(default_factory=dict)
    gone: dict[str, Flag] = field(default_factory=dict)
    settled: set[tuple[str, str, str]] = field(default_factory=set)


def _standing(survey: Survey, kind: Kind) -> _Standing:
    standing = _Standing()
    undone = _without_effect(survey, kind)
    for flag in Flag.objects.filter(dataset=survey.dataset, kind=kind.name).order_by("pk"):
        if flag.state == FlagState.OPEN:
            standing.open[flag.subject] = flag
        elif flag.state == FlagState.GONE:
            standing.gone[flag.subject] = flag
        elif flag.pk not in undone:
            standing.settled.add((flag.subject, flag.given, flag.suggested))
    return standing


def _without_effect(survey: Survey, kind: Kind) -> set[int]:
    """Return the decided flags (ids) whose items are again what they were before.

    A version brought back or another import may have done that: the doubt is as good as new.
    """
    decisions = Decision.objects.filter(
        flag__dataset=survey.dataset,
        flag__kind=kind.name,
        flag__state=FlagState.DECIDED,
        undoes__isnull=True,
    )
    last = {flag: states for flag, *states in decisions.values_list("flag", "before", "after")}
    if not last:
        return set()
    names = [survey.classes[label] if label >= 0 else None for label in survey.labels]
    there = dict(zip(survey.ids, zip(names, survey.splits.tolist(), strict=True), strict=True))
    return {flag for flag, (before, after) in last.items() if _is_back(before, after, there)}


def _is_back(
    before: Sequence[dict[str, Any]],
    after: Sequence[dict[str, Any]],
    there: Mapping[int, tuple[str | None, str]],
) -> bool:
    decided = {state["item"]: state for state in after}
    changed = [
        was
        for was in before
        if was["item"] in decided
        and any(was[name] != decided[was["item"]][name] for name in ("label", "split", "excluded"))
    ]
    return bool(changed) and all(
        there.get(was["item"]) == (was["label"], was["split"]) for was in changed
    )


def store(work: Work, survey: Survey, *, kind: Kind, doubts: Iterable[Doubt]) -> dict[str, Any]:
    """Open, update and close the flags of one kind, a few hundred rows a transaction.

    Candidates are counted after those that somebody settled, so that a queue which was
    reviewed to its end goes on at the next check.
    """
    standing = _standing(survey, kind)
    is_likely = _judge(survey.dataset, kind)
    fresh: list[tuple[Flag, Doubt]] = []
    again: list[tuple[Flag, Doubt]] = []
    seen: set[str] = set()
    candidates = kind.most_candidates(len(survey)) if kind.most_candidates else None
    for doubt in doubts:
        subject = subject_of([survey.keys[row] for row in doubt.rows], topic=doubt.topic)
        if subject in seen or (subject, doubt.given, doubt.suggested) in standing.settled:
            continue
        expected = own_share(kind, doubt)
        doubt = replace(doubt, is_likely=is_likely(doubt, expected))
        if candidates is not None and not doubt.is_likely:
            if not candidates:
                break
            candidates -= 1
        seen.add(subject)
        known = standing.open.get(subject) or standing.gone.get(subject)
        flag = known or Flag(dataset=survey.dataset, kind=kind.name, subject=subject)
        _describe(flag, doubt, run=survey.run, expected=expected)
        if known:
            again.append((flag, doubt))
        else:
            fresh.append((flag, doubt))
    gone = [flag.pk for subject, flag in standing.open.items() if subject not in seen]
    back = seen & standing.gone.keys() - standing.open.keys()
    changed = _noted(work, kind, new=len(fresh) + len(back), gone=len(gone))
    _create(work, survey, fresh)
    _update(work, survey, again)
    _close(work, gone)
    opened = [flag for flag, _ in fresh + again]
    return {
        "open": len(opened),
        "likely": sum(flag.is_likely for flag in opened),
        **changed,
    }


def _noted(work: Work, kind: Kind, **changes: int) -> dict[str, int]:
    """Note what a check changes before it stores anything; a later attempt is told that.

    By itself it finds stored what one that was killed had found new.
    """
    noted = work.job.detail.get("changes", {})
    if kind.name not in noted:
        work.progress(detail={"changes": {**noted, kind.name: changes}}, now=True)
    told: dict[str, int] = work.job.detail["changes"][kind.name]
    return told


def subject_of(keys: Iterable[str], *, topic: str = "") -> str:
    """Return the stable name of what a flag is about: a digest of the sorted keys."""
    told = topic or "\n".join(sorted(keys))
    return hashlib.sha256(told.encode()).hexdigest()


def own_share(kind: Kind, doubt: Doubt) -> float:
    """Return how often its check expects to be right about such a doubt."""
    if kind.score_is_share:
        return in_steps(doubt.score)
    return in_steps((doubt.score + doubt.is_likely) / 2)  # its mark says which half


def _judge(dataset: Dataset, kind: Kind) -> Callable[[Doubt, float], bool]:
    """Return what says which doubts are likely: the check itself, then people's decisions."""
    learned = learned_shares(dataset, kind.name)
    if learned.decided < LEAST_DECIDED:
        return lambda doubt, believed: doubt.is_likely

    @cache
    def expected(believed: float, given: str) -> float:
        return float(learned.shares.expected(np.array([believed]), [given])[0])

    return lambda doubt, believed: expected(believed, doubt.given) >= LIKELY_SHARE


def _describe(flag: Flag, doubt: Doubt, *, run: Run | None, expected: float) -> None:
    flag.state = FlagState.OPEN
    flag.given, flag.suggested = doubt.given, doubt.suggested
    flag.score = min(1.0, max(0.0, float(doubt.score)))
    flag.is_likely, flag.expected = doubt.is_likely, expected
    flag.reason = doubt.reason[:MOST_REASON]
    flag.evidence = doubt.evidence
    flag.run = run


def _create(work: Work, survey: Survey, fresh: Sequence[tuple[Flag, Doubt]]) -> None:
    for start in range(0, len(fresh), ROWS_A_TRANSACTION):
        part = fresh[start : start + ROWS_A_TRANSACTION]
        with transaction.atomic():
            work.hold()
            Flag.objects.bulk_create([flag for flag, _ in part])
            _create_items(survey, part)


def _create_items(survey: Survey, told: Sequence[tuple[Flag, Doubt]]) -> None:
    FlagItem.objects.bulk_create(
        [
            FlagItem(flag=flag, item_id=survey.ids[row], role=role)
            for flag, doubt in told
            for row, role in _roles(doubt)
        ],
        batch_size=ROWS_A_STATEMENT,
    )


def _roles(doubt: Doubt) -> Iterable[tuple[int, str]]:
    roles = doubt.roles or ("item",) * len(doubt.rows)
    return zip(doubt.rows, roles, strict=True)


def _update(work: Work, survey: Survey, again: Sequence[tuple[Flag, Doubt]]) -> None:
    """Refresh flags that stand; one that a reviewer decided meanwhile keeps its decision."""
    for start in range(0, len(again), ROWS_A_TRANSACTION):
        part = again[start : start + ROWS_A_TRANSACTION]
        with transaction.atomic():
            work.hold()
            rows = Flag.objects.select_for_update().filter(
                pk__in=[flag.pk for flag, _ in part], state__in=(FlagState.OPEN, FlagState.GONE)
            )
            there = set(rows.values_list("pk", flat=True))
            # An upsert by id: bulk_update's CASE per row took ten times as long.
            Flag.objects.bulk_create(
                [flag for flag, _ in part if flag.pk in there],
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=RAISED_FIELDS,
            )
            _update_items(survey, [told for told in part if told[0].pk in there])


def _update_items(survey: Survey, told: Sequence[tuple[Flag, Doubt]]) -> None:
    """Let flags be about the items that their doubts name now, and in these roles."""
    held: dict[int, set[tuple[int, str]]] = {}
    rows = FlagItem.objects.filter(flag__in=[flag.pk for flag, _ in told])
    for flag_id, item, role in rows.values_list("flag", "item", "role"):
        held.setdefault(flag_id, set()).add((item, role))
    changed = [
        (flag, doubt)
        for flag, doubt in told
        if held.get(flag.pk) != {(survey.ids[row], role) for row, role in _roles(doubt)}
    ]
    FlagItem.objects.filter(flag__in=[flag.pk for flag, _ in changed]).delete()
    _create_items(survey, changed)


def _close(work: Work, gone: Sequence[int]) -> None:
    for start in range(0, len(gone), ROWS_A_TRANSACTION):
        part = gone[start : start + ROWS_A_TRANSACTION]
        with transaction.atomic():
            work.hold()
            Flag.objects.filter(pk__in=part, state=FlagState.OPEN).update(state=FlagState.GONE)


@transaction.atomic
def flag_items(*, dataset: Dataset, items: Iterable[int], note: str, by: User) -> dict[int, int]:
    """Let a person doubt items (by id); an open flag of theirs gets the new note.

    Returns the ids of the flags opened, by item; where one was open none is.
    """
    chosen = list(Item.objects.filter(dataset=dataset, pk__in=list(items)).values_list("pk", "key"))
    subjects = {subject_of([key]): pk for pk, key in chosen}
    open_flags = Flag.objects.filter(dataset=dataset, kind=MANUAL, state=FlagState.OPEN)
    there = {flag.subject: flag for flag in open_flags if flag.subject in subjects}
    reason = (note.strip() or "Flagged without a note.")[:MOST_REASON]
    Flag.objects.filter(pk__in=[flag.pk for flag in there.values()]).update(
        reason=reason, raised_by=by
    )
    fresh = [
        Flag(dataset=dataset, kind=MANUAL, subject=subject, score=1.0, reason=reason, raised_by=by)
        for subject in subjects
        if subject not in there
    ]
    insert_rows(fresh)
    insert_rows([FlagItem(flag_id=flag.pk, item_id=subjects[flag.subject]) for flag in fresh])
    return {subjects[flag.subject]: flag.pk for flag in fresh}
