"""What import noted as odd about a file."""

from labeling.models import Media
from quality.doubts import Doubt
from quality.queries.survey import Survey

LIKELY_FAULT = 0.5
UNKNOWN_ODDITY = 0.5  # between harmless and serious, until it has a score of its own

#: How bad an oddity of a file is, 0 to 1: from "other bytes than they seem" to "as cameras do".
ODDITY_SCORES = {
    "wrong_extension": 0.9,
    "blank": 0.95,
    "not_finite": 0.9,
    "truncated_tail": 0.8,
    "over_full_scale": 0.8,
    "channels_cancel": 0.8,
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

#: Of sound, not of the file that holds it: `odd_audio` asks about these.
SOUND_CODES = frozenset({"tiny", "mono_of_many", "channels_cancel", "many_channels"})
HEARD_BY_ANOTHER_CHECK = SOUND_CODES | {"blank"}  # silent_audio says it better


def find_odd_files(survey: Survey) -> list[Doubt]:
    """Items whose import noted something odd about the file."""
    heard = HEARD_BY_ANOTHER_CHECK if survey.dataset.media == Media.AUDIO else frozenset()
    found = []
    for row, odd in enumerate(survey.odd):
        told = [
            (ODDITY_SCORES.get(code, UNKNOWN_ODDITY), code, reason)
            for code, reason in odd
            if code not in heard
        ]
        if told:
            found.append(odd_file(row, told))
    return found


def odd_file(row: int, told: list[tuple[float, str, str]]) -> Doubt:
    """Join what is odd about one item (score, code, reason), the worst first."""
    score = max(told)[0]
    return Doubt(
        rows=(row,),
        score=score,
        reason=" ".join(reason for *_, reason in sorted(told, reverse=True)),
        is_likely=score >= LIKELY_FAULT,
        evidence={"codes": [code for _, code, _ in told]},
    )
