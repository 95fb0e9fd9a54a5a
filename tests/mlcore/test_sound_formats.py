"""Clips of another rate or number of channels than nearly all others."""

from hypothesis import given
from hypothesis import strategies as st

from mlcore.sound_formats import (
    LEAST_CLIPS,
    USUAL_SHARE,
    SoundFormat,
    find_odd_formats,
    mixed_formats,
)

USUAL = SoundFormat(16_000, 1)
FORMATS = st.sampled_from(
    [SoundFormat(rate, channels) for rate in (8_000, 11_025, 16_000, 48_000) for channels in (1, 2)]
)


@given(st.lists(FORMATS, max_size=20), st.integers(0, 30))
def test_of_a_usual_format_exactly_the_others_are_odd(others: list[SoundFormat], more: int) -> None:
    others = [one for one in others if one != USUAL]
    formats = [*others, *[USUAL] * (9 * len(others) + LEAST_CLIPS + more)]
    assert [one.row for one in find_odd_formats(formats)] == list(range(len(others)))
    assert mixed_formats(formats) == []


@given(st.lists(FORMATS, max_size=60))
def test_each_set_has_a_usual_rate_or_is_mixed(formats: list[SoundFormat]) -> None:
    odd = {one.row for one in find_odd_formats(formats)}
    # Other rates and other channels, a tenth each at most.
    assert len(odd) <= 2 * (1 - USUAL_SHARE) * len(formats) + 1e-9
    counted = mixed_formats(formats)
    if counted:
        assert sum(count for _, count in counted) == len(formats)
    elif len(formats) >= LEAST_CLIPS:
        kept = {one.rate for row, one in enumerate(formats) if row not in odd}
        assert len(kept) == 1


def test_a_lower_rate_is_worse_than_a_higher_one_and_that_than_other_channels() -> None:
    planted = [SoundFormat(8_000, 1), SoundFormat(44_100, 2), SoundFormat(16_000, 2)]
    found = find_odd_formats([*planted, *[USUAL] * 97])
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert [one.reason for one in found] == [
        "8 kHz mono; 97 of 100 are 16 kHz mono. Nothing above 4 kHz is there.",
        "44.1 kHz stereo; 97 of 100 are 16 kHz mono.",
        "16 kHz stereo; 97 of 100 are 16 kHz mono.",
    ]


def test_mixed_channels_do_not_hide_another_rate() -> None:
    formats = [SoundFormat(16_000, 1 + row % 2) for row in range(40)] + [SoundFormat(8_000, 1)]
    (found,) = find_odd_formats(formats)
    assert found.reason.startswith("8 kHz mono; 40 of 41 are 16 kHz.")
    assert len(mixed_formats(formats)) == 3
