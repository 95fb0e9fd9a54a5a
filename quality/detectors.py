"""All kinds of flags: the only list of them. One row is one question that people decide.

A detector reads a Survey and returns Doubts. A new kind: a row, a function in mlcore, a test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from django.utils.translation import gettext_lazy as _

from labeling.models import Media
from mlcore.duplicates import LEAST_SCORE, Pair, copy_sets, keep_one
from mlcore.label_errors import LabelErrors, find_label_errors
from mlcore.leakage import NO_SPLIT, find_leaks
from mlcore.sound_checks import check_sound
from quality.models import Action
from quality.queries.survey import Survey

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    Words = str | _StrPromise

PAIRS_SHOWN = 30  # of a copy set, in the evidence: more than a page can draw
LEAST_CLASSES = 2
ALIKE_LENGTHS = 0.05  # quartile distance over median: clips cut to one length by a recorder
LIKELY_FAULT = 0.5
MOST_CANDIDATES = 400  # labels below the line of an expected error that the queue goes on with
CANDIDATE_SHARE = 0.02  # of the items: the same for large sets
NEIGHBOURS_SHOWN = 8
PROBABILITIES_SHOWN = 12
UNKNOWN_ODDITY = 0.5  # between harmless and serious, until it has a score of its own


class CannotRunError(Exception):
    """A detector lacks what it needs; the words say what."""


@dataclass(frozen=True)
class Doubt:
    """What a detector found, before it is a flag. `rows` are rows of the survey."""

    rows: tuple[int, ...]
    score: float
    reason: str
    roles: tuple[str, ...] = ()
    topic: str = ""
    given: str = ""
    suggested: str = ""
    is_likely: bool = True
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """One kind of flag: its words, what a reviewer may do, and what raises it."""

    name: str
    title: "Words"
    checks: "Words"
    question: "Words"
    actions: tuple[Action, ...]
    find: Callable[[Survey], Sequence[Doubt]] | None = None
    media: tuple[str, ...] = (Media.IMAGE, Media.AUDIO, Media.TEXT)
    about: str = "item"
    compares: bool = False  # items with each other: needs vectors, neighbours, small pictures


#: How bad an oddity of a file is, 0 to 1: from "other bytes than they seem" to "as cameras do".
ODDITY_SCORES = {
    "wrong_extension": 0.9,
    "blank": 0.95,
    "not_finite": 0.9,
    "truncated_tail": 0.8,
    "over_full_scale": 0.8,
    "tiny": 0.6,
    "mono_of_many": 0.45,
    "open_ended_header": 0.4,
    "many_pages": 0.3,
    "animated": 0.3,
    "many_channels": 0.2,
    "cmyk": 0.2,
    "sixteen_bit": 0.1,
    "exif_rotated": 0.1,
}
HEARD_BY_ANOTHER_CHECK = {(Media.AUDIO, "blank")}  # silent_audio says it better


def find_wrong_labels(survey: Survey) -> list[Doubt]:
    """Labels outside the test split that model and neighbours doubt, worst first."""
    labels = survey.doubted_labels
    if survey.graph is None and survey.probabilities is None:
        raise CannotRunError(_("It needs a finished run, or vectors of the items."))
    if len(set(labels[labels >= 0].tolist())) < LEAST_CLASSES:
        raise CannotRunError(_("It needs labels of at least two classes outside the test split."))
    if survey.graph is not None and survey.graph.indices.shape[1] == 0:
        raise CannotRunError(_("It needs more than one item."))
    found = find_label_errors(
        labels,
        _filled(survey, labels),
        n_classes=len(survey.classes),
        neighbours=survey.graph,
    )
    return [
        _label_doubt(survey, row, int(found.suggested[row]), found)
        for row in worst_labels(found, labels).tolist()
    ]


def worst_labels(found: LabelErrors, labels: np.ndarray) -> np.ndarray:
    """Return the rows of expected errors and below them of some candidates, worst first."""
    is_doubted = (labels >= 0) & (found.suggested != labels)
    order = np.argsort(-found.score, kind="stable")
    ranked = order[is_doubted[order]]
    most = max(MOST_CANDIDATES, round(CANDIDATE_SHARE * len(labels)))
    return ranked[: int(found.is_error.sum()) + most]


def _filled(survey: Survey, labels: np.ndarray) -> np.ndarray | None:
    """Return probabilities, even ones where the run says nothing: there neighbours decide."""
    if survey.probabilities is None:
        return None
    filled = survey.probabilities.copy()
    known = np.nansum(filled, axis=0) > 0
    is_new_class = (labels >= 0) & ~known[np.maximum(labels, 0)]
    filled[np.isnan(filled).any(axis=1) | is_new_class] = 1.0 / len(survey.classes)
    return filled


def _label_doubt(survey: Survey, row: int, suggested: int, found: LabelErrors) -> Doubt:
    given = int(survey.labels[row])
    near = _nearest_voters(survey, row)
    agree = sum(survey.labels[other] == given for other, _ in near)
    told = None if survey.probabilities is None else survey.probabilities[row]
    if told is not None and np.isnan(told).any():
        told = None
    return Doubt(
        rows=(row,),
        score=float(found.score[row]),
        reason=_label_reason(survey, given, suggested, told=told, agree=agree, near=len(near)),
        given=survey.classes[given],
        suggested=survey.classes[suggested],
        is_likely=bool(found.is_error[row]),
        evidence={
            "probabilities": [] if told is None else _largest(survey, told, keep=given),
            "neighbours": [[survey.ids[other], round(value, 3)] for other, value in near],
        },
    )


def _label_reason(
    survey: Survey,
    given: int,
    suggested: int,
    *,
    told: np.ndarray | None,
    agree: int,
    near: int,
) -> str:
    names = survey.classes
    noun = {Media.IMAGE: "image", Media.AUDIO: "clip"}.get(Media(survey.dataset.media), "text")
    count = "none" if agree == 0 else str(agree)
    votes = (
        f"{count} of its {near} nearest neighbours {'are' if agree > 1 else 'is'} “{names[given]}”"
    )
    if told is None:
        return f"{votes[0].upper()}{votes[1:]}; most say “{names[suggested]}”."
    gives = " and ".join(
        f"“{names[at]}” {told[at]:.2f}".replace(" 0.", " .") for at in (given, suggested)
    )
    return f"The model, which never saw this {noun}, gives {gives}, and {votes}."


def _largest(survey: Survey, told: np.ndarray, *, keep: int) -> list[list[Any]]:
    order = np.argsort(-told, kind="stable")[:PROBABILITIES_SHOWN].tolist()
    shown = order if keep in order else [*order[:-1], keep]
    return [[survey.classes[place], round(float(told[place]), 4)] for place in shown]


def _nearest_voters(survey: Survey, row: int) -> list[tuple[int, float]]:
    """Nearest labelled items outside the test split."""
    if survey.graph is None:
        return []
    near = zip(survey.graph.indices[row].tolist(), survey.graph.similarities[row].tolist())
    voters = [(other, value) for other, value in near if survey.doubted_labels[other] >= 0]
    return voters[:NEIGHBOURS_SHOWN]


def find_odd_files(survey: Survey) -> list[Doubt]:
    """Items whose import noted something odd about the file."""
    found = []
    for row, odd in enumerate(survey.odd):
        told = [
            (ODDITY_SCORES.get(code, UNKNOWN_ODDITY), code, reason)
            for code, reason in odd
            if (survey.dataset.media, code) not in HEARD_BY_ANOTHER_CHECK
        ]
        if told:
            score = max(told)[0]
            found.append(
                Doubt(
                    rows=(row,),
                    score=score,
                    reason=" ".join(reason for *_, reason in sorted(told, reverse=True)),
                    is_likely=score >= LIKELY_FAULT,
                    evidence={"codes": [code for _, code, _ in told]},
                )
            )
    return found


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


def find_bad_sound(survey: Survey, *, kind: str) -> list[Doubt]:
    """Clips that are silent, clipped or cut off, by what the import measured."""
    typical = _typical_seconds(survey)
    return [
        Doubt(rows=(row,), score=found.score, reason=found.reason)
        for row in range(len(survey))
        if survey.labels[row] not in survey.backgrounds  # these are meant to hold no sound
        for found in check_sound(survey.facts(row), typical_seconds=typical)
        if found.kind == kind
    ]


def _typical_seconds(survey: Survey) -> float | None:
    """Return the median length where lengths are alike by design, else None."""
    seconds = [survey.facts(row).get("seconds", 0.0) for row in range(len(survey))]
    if not seconds:
        return None
    low, middle, high = np.percentile(seconds, [25, 50, 75])
    return float(middle) if high - low <= ALIKE_LENGTHS * middle else None


LABEL_ACTIONS = (Action.RELABEL, Action.KEEP, Action.ROUND, Action.EXCLUDE, Action.MOVE)
COPY_ACTIONS = (Action.MERGE, Action.KEEP, Action.ROUND, Action.MOVE)
FILE_ACTIONS = (Action.EXCLUDE, Action.KEEP, Action.RELABEL, Action.ROUND, Action.MOVE)
SOUND = (Media.AUDIO,)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "label_error",
            _("Label errors"),
            _("Labels that a model which never saw the item and its nearest neighbours doubt."),
            _("Is the label right?"),
            LABEL_ACTIONS,
            find_wrong_labels,
            compares=True,
        ),
        Kind(
            "near_duplicate",
            _("Copies"),
            _("Items that are the same thing: same bytes, same pixels, alike or mirrored."),
            _("Are these the same?"),
            COPY_ACTIONS,
            find_copy_sets,
            about="set",
            compares=True,
        ),
        Kind(
            "leakage",
            _("Leaks across splits"),
            _("Copies that stand in two splits, and sources that are in train and in test."),
            _("Does the model know a test answer by heart?"),
            (*COPY_ACTIONS, Action.EXCLUDE),
            find_leakage,
            about="set",
            compares=True,
        ),
        Kind(
            "silent_audio",
            _("Silent clips"),
            _("Clips that are silent, too quiet or hold nothing but noise."),
            _("Is there something to hear?"),
            FILE_ACTIONS,
            partial(find_bad_sound, kind="silent_audio"),
            media=SOUND,
        ),
        Kind(
            "clipped_audio",
            _("Clipped clips"),
            _("Clips recorded so loud that their peaks are cut."),
            _("Is it still good enough?"),
            FILE_ACTIONS,
            partial(find_bad_sound, kind="clipped_audio"),
            media=SOUND,
        ),
        Kind(
            "cut_audio",
            _("Cut-off clips"),
            _("Clips that start or stop in the middle of the sound, or are far too short."),
            _("Is everything there?"),
            FILE_ACTIONS,
            partial(find_bad_sound, kind="cut_audio"),
            media=SOUND,
        ),
        Kind(
            "file_fault",
            _("Odd files"),
            _("Files with a wrong ending, a missing end, one even colour or a broken scale."),
            _("Is this file good enough?"),
            FILE_ACTIONS,
            find_odd_files,
        ),
        Kind(
            "manual",
            _("Flagged by people"),
            _("Items that somebody flagged while browsing."),
            _("What should happen with this item?"),
            FILE_ACTIONS,
        ),
    )
}
