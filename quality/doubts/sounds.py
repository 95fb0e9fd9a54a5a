"""Clips that are silent, clipped or cut off, and what is true of all clips of a set."""

import numpy as np
from django.utils.translation import gettext as _

from mlcore.sound_checks import TIGHT_DB, TIGHT_SHARE, check_sound, tight_share
from quality.doubts import Doubt
from quality.queries.survey import Survey

ALIKE_LENGTHS = 0.05  # quartile distance over median: clips cut to one length by a recorder


def find_bad_sound(survey: Survey, *, kind: str) -> list[Doubt]:
    """Clips that are silent, clipped or cut off, by what the import measured."""
    typical, is_tight = _typical_seconds(survey), _tight_share(survey) >= TIGHT_SHARE
    return [
        Doubt(rows=(row,), score=found.score, reason=found.reason)
        for row in _sounding_rows(survey)
        for found in check_sound(survey.facts(row), typical_seconds=typical, cut_tight=is_tight)
        if found.kind == kind
    ]


def _sounding_rows(survey: Survey) -> list[int]:
    """Return all rows but those of background classes, which are meant to hold no sound."""
    return [row for row in range(len(survey)) if survey.labels[row] not in survey.backgrounds]


def _tight_share(survey: Survey) -> float:
    return tight_share(survey.facts(row) for row in _sounding_rows(survey))


def say_how_tight(survey: Survey) -> str:
    """Say once of a set that its clips begin or end close to the sound; else nothing."""
    share = _tight_share(survey)
    if share < TIGHT_SHARE:
        return ""
    return _(
        "The clips of this dataset are cut tight: %(share)d %% begin or end within %(decibels)d dB "
        "of their loudest part. Only those that stand out from that are flagged."
    ) % {"share": round(100 * share), "decibels": -TIGHT_DB}


def _typical_seconds(survey: Survey) -> float | None:
    """Return the median length where lengths are alike by design, else None."""
    seconds = [survey.facts(row).get("seconds", 0.0) for row in range(len(survey))]
    if not seconds:
        return None
    low, middle, high = np.percentile(seconds, [25, 50, 75])
    return float(middle) if high - low <= ALIKE_LENGTHS * middle else None
