"""Clips that are silent, clipped, cut off or odd, and what is true of all clips of a set."""

import numpy as np
from django.utils.translation import gettext as _

from labeling.queries.uploads import unread_files
from mlcore.sound_checks import (
    TIGHT_DB,
    TIGHT_EDGE_DB,
    TIGHT_SHARE,
    check_sound,
    tight_share,
)
from mlcore.sound_formats import SoundFormat, find_odd_formats, mixed_formats
from quality.doubts import Doubt
from quality.doubts.odd_files import ODDITY_SCORES, SOUND_CODES, odd_file
from quality.queries.survey import Survey

MOST_FORMATS = 5  # named in one sentence
ALIKE_LENGTHS = 0.05  # quartile distance over median: clips cut to one length by a recorder


def find_bad_sound(survey: Survey, *, kind: str) -> list[Doubt]:
    """Clips that are silent, clipped or cut off, by what the import measured."""
    typical, is_tight = _typical_seconds(survey), _tight_share(survey) >= TIGHT_SHARE
    return [
        Doubt(rows=(row,), score=found.score, reason=found.reason, is_likely=found.is_likely)
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
        "of their loudest part, not counting those within %(least)d dB. Only those that stand out "
        "from that are listed, as less certain."
    ) % {"share": round(100 * share), "decibels": -TIGHT_DB, "least": -TIGHT_EDGE_DB}


def _typical_seconds(survey: Survey) -> float | None:
    """Return the median length where lengths are alike by design, else None."""
    seconds = [survey.facts(row).get("seconds", 0.0) for row in range(len(survey))]
    if not seconds:
        return None
    low, middle, high = np.percentile(seconds, [25, 50, 75])
    return float(middle) if high - low <= ALIKE_LENGTHS * middle else None


def find_odd_sound(survey: Survey) -> list[Doubt]:
    """Clips unlike nearly all in rate or channels, without length, or with a dead channel."""
    rows, formats = _formats(survey)
    told: dict[int, list[tuple[float, str, str]]] = {}
    for one in find_odd_formats(formats):
        told[rows[one.row]] = [(one.score, "format", one.reason)]
    for row, odd in enumerate(survey.odd):
        for code, reason in odd:
            if code in SOUND_CODES:
                told.setdefault(row, []).append((ODDITY_SCORES[code], code, reason))
    return [odd_file(row, told[row]) for row in sorted(told)]


def _formats(survey: Survey) -> tuple[list[int], list[SoundFormat]]:
    """Return rows and formats of the clips whose format was measured."""
    found = {}
    for row in range(len(survey)):
        rate, channels = (survey.facts(row).get(name) for name in ("sample_rate", "channels"))
        if rate and channels:
            found[row] = SoundFormat(rate, channels)
    return list(found), list(found.values())


def say_how_mixed(survey: Survey) -> str:
    """Say once that a set has no usual format, and what its uploads could not read."""
    told = []
    mixed = mixed_formats(_formats(survey)[1])
    if mixed:
        counts = ", ".join(f"{count:,} x {name}" for name, count in mixed[:MOST_FORMATS])
        told.append(
            _("Rates or channels are mixed: %(counts)s. Make all alike.") % {"counts": counts}
        )
    unread = unread_files(survey.dataset)
    if unread:
        counts = ", ".join(f"{count:,} {code}" for code, count in sorted(unread.items()))
        told.append(
            _("Files that the uploads refused are no clips: %(counts)s. Their reports say why.")
            % {"counts": counts.replace("_", " ")}
        )
    return " ".join(told)
