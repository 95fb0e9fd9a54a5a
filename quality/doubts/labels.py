"""Labels that model and neighbours doubt."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from django.utils.translation import gettext_lazy as _

from labeling.models import Media
from mlcore.label_errors import LabelErrors, find_label_errors
from quality.doubts import CannotRunError, Doubt
from quality.doubts.sounds import find_bad_sound
from quality.queries.survey import Survey

LEAST_CLASSES = 2
MOST_CANDIDATES = 400  # labels below the line of an expected error that the queue goes on with
CANDIDATE_SHARE = 0.02  # of the items: the same for large sets
NEIGHBOURS_SHOWN = 8
PROBABILITIES_SHOWN = 12


def find_wrong_labels(survey: Survey) -> Iterator[Doubt]:
    """Labels outside the test split that model and neighbours doubt, worst first.

    One after another: whoever asks takes as many candidates as `most_candidates` allows.
    """
    labels = np.where(_shows_nothing(survey), -1, survey.doubted_labels)
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
    return (
        _label_doubt(survey, row, int(found.suggested[row]), found)
        for row in worst_labels(found, labels).tolist()
    )


def say_who_was_not_asked(survey: Survey) -> str:
    """Say once why the model's probabilities doubted no label; else nothing."""
    return survey.missing.get("probabilities", "")


def _shows_nothing(survey: Survey) -> np.ndarray:
    """Tell the items whose import found them blank or silent: other queues ask about those."""
    blank = [any(code == "blank" for code, *_reason in odd) for odd in survey.odd]
    if survey.dataset.media == Media.AUDIO:
        for doubt in find_bad_sound(survey, kind="silent_audio"):
            blank[doubt.rows[0]] = True
    return np.array(blank, dtype=bool)


def worst_labels(found: LabelErrors, labels: np.ndarray) -> np.ndarray:
    """Return the rows whose label is doubted: expected errors, then candidates, worst first."""
    is_doubted = (labels >= 0) & (found.suggested != labels)
    order = np.argsort(-found.score, kind="stable")
    return np.asarray(order[is_doubted[order]])


def most_candidates(n_items: int) -> int:
    """Return how many labels below the line of an expected error a queue goes on with."""
    return max(MOST_CANDIDATES, round(CANDIDATE_SHARE * n_items))


def _filled(survey: Survey, labels: np.ndarray) -> np.ndarray | None:
    """Return probabilities, even ones where the run says nothing: there neighbours decide.

    Before calibrating, where they were kept: that takes some labels as wrong, which the search
    for label errors does itself, and counted twice it marks fewer and less surely.
    """
    told = survey.probabilities if survey.uncalibrated is None else survey.uncalibrated
    if told is None:
        return None
    filled = told.copy()
    known = np.nansum(filled, axis=0) > 0
    is_new_class = (labels >= 0) & ~known[np.maximum(labels, 0)]
    filled[np.isnan(filled).any(axis=1) | is_new_class] = 1.0 / len(survey.classes)
    return filled


def _label_doubt(survey: Survey, row: int, suggested: int, found: LabelErrors) -> Doubt:
    given = int(survey.labels[row])
    voters = _voters(survey, row)
    near = voters[:NEIGHBOURS_SHOWN]
    agree = sum(survey.labels[other] == given for other, _ in near)
    told = None if survey.probabilities is None else survey.probabilities[row]
    if told is not None and np.isnan(told).any():
        told = None
    apart = _apart(survey, suggested, told=told, voters=[other for other, _ in voters])
    return Doubt(
        rows=(row,),
        score=float(found.score[row]),
        reason=_label_reason(
            survey, given, suggested, told=told, agree=agree, near=len(near), apart=apart
        ),
        given=survey.classes[given],
        suggested=survey.classes[suggested],
        is_likely=bool(found.is_error[row]),
        evidence={
            "probabilities": [] if told is None else _largest(survey, told, keep=given),
            "neighbours": [[survey.ids[other], round(value, 3)] for other, value in near],
            **({"apart": apart} if apart else {}),
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
    apart: dict[str, str],
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
        f"“{names[at]}” {told[at]:.2f}".replace(" 0.", " .")
        for at in dict.fromkeys((given, int(told.argmax()) if apart else suggested))
    )
    end = ". They name different classes." if apart else "."
    return f"The model, which never saw this {noun}, gives {gives}, and {votes}{end}"


def _apart(
    survey: Survey, suggested: int, *, told: np.ndarray | None, voters: list[int]
) -> dict[str, str]:
    """Return what model and neighbours say where they name different classes.

    A tie among the neighbours is settled by what was suggested.
    """
    if told is None or not voters:
        return {}
    votes = np.bincount(survey.doubted_labels[voters], minlength=len(survey.classes))
    named = suggested if votes[suggested] == votes.max() else int(votes.argmax())
    if (by_model := int(told.argmax())) == named:
        return {}
    return {"model": survey.classes[by_model], "neighbours": survey.classes[named]}


def _largest(survey: Survey, told: np.ndarray, *, keep: int) -> list[list[Any]]:
    order = np.argsort(-told, kind="stable")[:PROBABILITIES_SHOWN].tolist()
    shown = order if keep in order else [*order[:-1], keep]
    return [[survey.classes[place], round(float(told[place]), 4)] for place in shown]


def _voters(survey: Survey, row: int) -> list[tuple[int, float]]:
    """Nearest labelled items outside the test split."""
    if survey.graph is None:
        return []
    near = zip(survey.graph.indices[row].tolist(), survey.graph.similarities[row].tolist())
    return [(other, value) for other, value in near if survey.doubted_labels[other] >= 0]
