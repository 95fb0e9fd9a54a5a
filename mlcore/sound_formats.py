"""Clips whose rate or number of channels differs from nearly all others of their dataset."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

#: Share of clips that must be alike before the others are odd; below it the dataset is mixed,
#: which is said once. Nine in ten is what "nearly all" means here, not a fitted limit.
USUAL_SHARE = 0.9

#: Fewer clips have no usual format.
LEAST_CLIPS = 10

#: Scores, 0 to 1. What a lower rate left out no tool brings back; a higher one is resampled
#: without loss, and channels are mixed into one.
LOWER_RATE, HIGHER_RATE, OTHER_CHANNELS = 0.9, 0.7, 0.6


class SoundFormat(NamedTuple):
    """Rate in Hz, and number of channels.

    Examples
    --------
    >>> str(SoundFormat(44_100, 2)), str(SoundFormat(8_000, 4))
    ('44.1 kHz stereo', '8 kHz with 4 channels')
    """

    rate: int
    channels: int

    def __str__(self) -> str:
        """Name it as people do."""
        return f"{_rate_words(self.rate)} {_channel_words(self.channels)}"


@dataclass(frozen=True)
class OddFormat:
    """A clip that differs: its row, a score from 0.6 to 0.9, and why in words."""

    row: int
    score: float
    reason: str


def find_odd_formats(formats: Sequence[SoundFormat]) -> list[OddFormat]:
    """Find clips of another rate or number of channels than nearly all.

    Parameters
    ----------
    formats : sequence of SoundFormat
        One a clip.

    Returns
    -------
    list of OddFormat
        Empty where fewer than `LEAST_CLIPS` or less than `USUAL_SHARE` of them are alike.

    Examples
    --------
    >>> formats = [SoundFormat(8_000, 1)] * 99 + [SoundFormat(44_100, 2)]
    >>> find_odd_formats(formats)[0].reason
    '44.1 kHz stereo; 99 of 100 are 8 kHz mono.'
    """
    if len(formats) < LEAST_CLIPS:
        return []
    rate = _usual([one.rate for one in formats])
    channels = _usual([one.channels for one in formats])
    usual = _usual_words(formats, rate, channels)
    found = []
    for row, one in enumerate(formats):
        score = _score(one, rate, channels)
        if score:
            lost = f" Nothing above {_rate_words(one.rate / 2)} is there."
            words = f"{one}; {usual}{lost if score == LOWER_RATE else ''}"
            found.append(OddFormat(row, score, words))
    return found


def mixed_formats(formats: Sequence[SoundFormat]) -> list[tuple[SoundFormat, int]]:
    """Return formats and their counts, commonest first, where none is usual; else nothing."""
    is_mixed = len(formats) >= LEAST_CLIPS and (
        _usual([one.rate for one in formats]) is None
        or _usual([one.channels for one in formats]) is None
    )
    return Counter(formats).most_common() if is_mixed else []


def _usual(values: Sequence[int]) -> int | None:
    ((value, count),) = Counter(values).most_common(1)
    return value if count >= USUAL_SHARE * len(values) else None


def _score(one: SoundFormat, rate: int | None, channels: int | None) -> float:
    if rate is not None and one.rate != rate:
        return LOWER_RATE if one.rate < rate else HIGHER_RATE
    return OTHER_CHANNELS if channels is not None and one.channels != channels else 0.0


def _usual_words(formats: Sequence[SoundFormat], rate: int | None, channels: int | None) -> str:
    """Say how many clips are as nearly all are."""
    alike = sum(rate in {None, one.rate} and channels in {None, one.channels} for one in formats)
    shared = [
        _rate_words(rate) if rate is not None else "",
        _channel_words(channels) if channels is not None else "",
    ]
    return f"{alike:,} of {len(formats):,} are {' '.join(part for part in shared if part)}."


def _rate_words(rate: float) -> str:
    return f"{rate / 1000:g} kHz"


def _channel_words(channels: int) -> str:
    return {1: "mono", 2: "stereo"}.get(channels, f"with {channels} channels")
