"""Doubts about one sound clip, from its measurements: silent, clipped, cut off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DIGITAL_SILENCE_DB = -95.0
"""dBFS; one step of 16 bits is -90, so nothing below can be heard."""

QUIET_DB = -60.0
"""dBFS below which a clip is too quiet, if it also has no dynamic range."""

INAUDIBLE_DB = -62.0
"""dBFS of the loud frames below which nobody hears a word, whatever its range. Played so that
normal speech (-26 dBov active level, ITU-T P.56) has 65 dB SPL, this is 29 dB, as loud as a quiet
room. The softest speech of the sets at hand has -50."""

QUIET_RANGE_DB = 14.6
"""dB between loud and quiet 20 ms frames below which a quiet clip has no word.

Of the 16 quietest of 5,188 Speech Commands clips, 11 have 14.7 to 63 dB: soft speech."""

NOISE_RANGE_DB = 10.0
NOISE_CHANGE_DB = 3.0
NOISE_SLOPE = 0.25
NOISE_SECONDS = 0.4
NOISE_FLATNESS = 0.2
"""Noise holds its level (range below 10 dB) and its colour: octave bands move less than 3 dB,
and a quarter dB more for each dB that the range is smaller. 56 of 5,188 Speech Commands clips
have less than 6 dB; words of the Lithuanian set move at least 4.1 dB over 22 dB or more, and
half of its background clips less than 2.9 dB; rumbling noise reaches 6.7 and 3.2 dB. In
less than 0.4 s a vowel holds both as well (nine spoken digits); then only a flat spectrum
(0 tone, 1 white noise) tells noise."""

NOISE_SWAY = (0.6, 1.4)
NOISE_EVENNESS = 0.85
NOISE_ROUGHNESS = (0.65, 1.35)
NOISE_LOUD_SECONDS = 0.1
"""Gaussian noise of any colour obeys three laws at once, each 1 but for chance: how far octave
bands deviate over time, how flat the mean spectrum is within an octave (five frames: .92 by
chance, times .92 where it falls by 6 dB an octave), how far bins jump from frame to frame. A
steady vowel may keep one of them, rarely all; a hummed one of a tenth of a second does, and is
known by its period. What deviates less than such noise a machine makes (hum, a test tone),
however short and however flat its tops: of 4,364 spoken words none deviates less than 1.2."""

DROWNED_DB = 4.77
DROWNED_SURE_DB = 3.01
DROWNED_HARMONICITY = 1 - 10 ** (-DROWNED_DB / 10)
DROWNED_ROUGHNESS = 0.76
DROWNED_SWAY = 6.0
DROWNED_SECONDS = 0.4
"""dB of word and noise together over the noise: 3 where the word is as strong as the noise, 4.77
where it is twice as strong (3 dB more, for what the estimate is off by): between them a candidate,
as what is stronger than the noise beside it, and shorter than it, can be heard. A steady tone 3 dB
above the noise of its bin makes the bin jump .76 times as much as noise does (Rician; by
simulation), so what jumps less is a voice or a tone that fills its bins without a pause. Words move
bands 5 to 16 times as much as noise, and still up to 6 times where noise is as strong; what moves
more is heard above it. Where more than two thirds of the loud power repeat with a voice's period,
that alone is twice as strong as all else: a vowel that fills the clip is no noise. In less than 0.4
s a vowel may fill some bins; then half of them must be drowned as well."""

CLIPPED_SHARE = 0.001
CLIPPED_RUN = 3
"""Share of samples at full scale, and samples in a row: one sample may touch by chance."""

FLAT_TOP_SHARE = 0.002
FLAT_TOP_RUN = 8
FLAT_TOPS = 3
"""The same at the clip's own greatest sample: clipped first, turned down later, if at least one
top is longer than the crest of any voice in the clip's steps, which are coarse where it is soft.
Or three such tops, however little they hold; none of 460 untouched clips has two."""

FULL_PEAK = 0.9985
"""Where the peak is full scale, a few samples piled up there (`flat_tops`) make a
candidate: 7 of 150 Speech Commands clips have 7 to 40 of them, nobody hears it. Below full scale
nothing but clipping that was turned down later brings samples to one height so abruptly."""

CLIPPED_SURE = 0.03
"""Share of samples at which clipping is certain and audible."""

EDGE_DB = -8.0
"""dB below the loudest frame that the first or last 20, 10 and 5 ms may not all reach."""

TIGHT_DB = -12.0
TIGHT_SHARE = 0.15
TIGHT_LEAST = 20
TIGHT_EDGE_DB = -6.0
"""Where at least 15 % of (at least 20) clips begin or end within 12 dB of their loudest frame,
the makers cut tight: a property of the set. Then a clip stands out above -6 dB only; a tenth of
clips cut off by accident must not make a habit, so these are not counted. Spoken digits 20 %,
Speech Commands 6 %, Arabic words 1 %, Lithuanian words none."""

EDGE_RANGE_DB = 3.0
EDGE_RANGE_SHARE = 1 / 3
"""dB between loud and quiet frames below which an edge as loud as the rest says nothing, and
share of that range, from the loudest down, that an edge must reach into: noise that is nearly as
loud as the sound begins and ends every clip, and cuts nothing off."""

TAIL_SECONDS = 0.1
TAIL_SHARE = 0.1
TAIL_RANGE_SHARE = 0.5
"""Where a tenth of a second more, as loud as an edge, would hold a tenth of the clip's energy,
much of a word may be missing, however loud its loudest vowel is. A tenth of a second is a phone or
half a syllable. Such an edge must be sound as `levels` times it: above the middle between noise
and loudest frame."""

HOLE_EDGE_DB = -20.0
HOLE_SECONDS = 0.01
"""dB below the loudest frame that both sides of exactly constant samples inside a clip must reach,
and the shortest packet that codecs send. Nothing fades from a tenth of its height to exactly
nothing within 5 ms and comes back so: of 2,606 untouched clips of nine sets none has both sides
within 30 dB. Where one side lies in a pause, as of a long hole, it may be a gate's."""

SHORT_SHARE = 0.6
"""A clip below this share of the typical length lacks a part of what the others hold."""


@dataclass(frozen=True)
class SoundDoubt:
    """One doubt: `kind` is silent_audio, clipped_audio or cut_audio; `score` is 0.5 to 1.

    Not `is_likely` where it is a candidate: too slight to matter to most, or nothing unusual in
    a set that is cut tight.
    """

    kind: str
    score: float
    reason: str
    is_likely: bool = True


def check_sound(
    facts: Mapping[str, Any],
    *,
    typical_seconds: float | None = None,
    cut_tight: bool = False,
) -> list[SoundDoubt]:
    """Say what is doubtful about a clip.

    Parameters
    ----------
    facts : mapping of str to number
        What `mlcore.sounds.measure_sound` measured: dbfs, loud_db, noise_floor_db,
        frame_range_db, spectral_change_db, spectral_flatness, sway, loud_sway, loud_evenness,
        loud_roughness, loud_seconds, above_noise_db, median_above_noise_db, harmonicity,
        peak, clipped_share, flat_tops, piled_samples, longest_clipped_run, flat_top_share,
        longest_flat_top,
        edge_start_db, edge_end_db, inner_start_db, inner_end_db,
        onset_start_db, onset_end_db, hole_db, hole_seconds, seconds.
    typical_seconds : float or None
        Median length in the data set, given only where lengths are alike by design.
    cut_tight : bool
        The clips of this data set are cut tight (`tight_share`); then only what stands out
        from them counts as cut off.

    Returns
    -------
    list of SoundDoubt
        At most one of each kind; a silent clip has no other doubts. Clips of a background
        class are meant to be silent; the caller leaves them out.

    Examples
    --------
    >>> [doubt.kind for doubt in check_sound({"dbfs": -100.0, "frame_range_db": 0.0})]
    ['silent_audio']
    """
    silent = _silent(facts)
    if silent is not None:
        return [silent]
    doubts = (_clipped(facts), _cut(facts, typical_seconds, cut_tight=cut_tight))
    return [doubt for doubt in doubts if doubt is not None]


def tight_share(clips: Iterable[Mapping[str, Any]]) -> float:
    """Return the share of clips that begin or end nearly as loud as they are at their loudest.

    Parameters
    ----------
    clips : iterable of mapping of str to number
        Measurements as for `check_sound`.

    Returns
    -------
    float
        0 to 1; from `TIGHT_SHARE` the set is cut tight. Clips that stand out of a tight set are no
        sign of its makers' habit and left out, unless most do. 0 for fewer than `TIGHT_LEAST`.
    """
    edges = [max(_edge(facts, "start"), _edge(facts, "end")) for facts in clips]
    if len(edges) < TIGHT_LEAST:
        return 0.0
    usual = [edge for edge in edges if edge <= TIGHT_EDGE_DB]
    judged = usual if 2 * len(usual) >= len(edges) else edges
    return sum(edge > TIGHT_DB for edge in judged) / len(judged)


def _edge(value: Mapping[str, Any], side: str) -> float:
    """Return the level of the first or last 20 ms, also inside padding, in dB."""
    return max(value.get(f"edge_{side}_db", -100.0), value.get(f"inner_{side}_db", -100.0))


def _onset(value: Mapping[str, Any], side: str) -> float:
    """Return the same of how it swells; a set imported before this was measured has its edge."""
    level = value.get(f"onset_{side}_db")
    return _edge(value, side) if level is None else level


def _silent(value: Mapping[str, Any]) -> SoundDoubt | None:
    level, spread = value.get("dbfs", 0.0), value.get("frame_range_db", 100.0)
    change = value.get("spectral_change_db", 100.0)
    if level <= DIGITAL_SILENCE_DB:
        return SoundDoubt("silent_audio", 1.0, "Nothing is recorded: digital silence.")
    loud = value.get("loud_db", 0.0)
    if loud < INAUDIBLE_DB:
        score = min(0.99, 0.7 + (INAUDIBLE_DB - loud) / 100)
        words = f"Too soft to be heard: {loud:.0f} dBFS where it is loud."
        return SoundDoubt("silent_audio", score, words)
    if level < QUIET_DB and spread < QUIET_RANGE_DB:
        score = min(0.99, 0.7 + (QUIET_DB - level) / 100)
        words = (
            f"Very quiet ({level:.0f} dBFS) and even (loud and quiet parts {spread:.0f} dB apart)."
        )
        return SoundDoubt("silent_audio", score, words)
    steady = change < NOISE_CHANGE_DB + NOISE_SLOPE * (NOISE_RANGE_DB - spread)
    hums = value.get("sway", 1.0) <= NOISE_SWAY[0]
    # Heavy clipping flattens a good word's level too; then that is what to say.
    flat = value.get("flat_top_share", 0.0) if value.get("flat_tops", 1) else 0.0
    cut = max(value.get("clipped_share", 0.0), flat)
    if cut >= CLIPPED_SURE and not hums:
        return None
    tells = hums or value.get("seconds", NOISE_SECONDS) >= NOISE_SECONDS
    tells |= value.get("spectral_flatness", 1.0) >= NOISE_FLATNESS
    if spread < NOISE_RANGE_DB and steady and tells:
        score = 0.6 + 0.35 * (1.0 - spread / NOISE_RANGE_DB)
        words = (
            f"Only steady noise: level and colour hardly move ({spread:.0f} and {change:.0f} dB)."
        )
        return SoundDoubt("silent_audio", score, words)
    return _noise(value)


def _noise(value: Mapping[str, Any]) -> SoundDoubt | None:
    """Say whether the loud part is noise, or drowned in it; sets measured before say nothing."""
    sway, rough = value.get("loud_sway", 0.0), value.get("loud_roughness", 0.0)
    lawful = _within(sway, NOISE_SWAY) and _within(rough, NOISE_ROUGHNESS)
    lawful = lawful and value.get("loud_evenness", 0.0) >= NOISE_EVENNESS
    repeats = value.get("harmonicity", 0.0) > DROWNED_HARMONICITY
    if lawful and not repeats and value.get("loud_seconds", 0.0) >= NOISE_LOUD_SECONDS:
        words = "The loud part is noise: no band of it moves more than chance lets it."
        return SoundDoubt("silent_audio", 0.8, words)
    names = ["above_noise_db"]
    if value.get("seconds", 0.0) < DROWNED_SECONDS:
        names.append("median_above_noise_db")
    above = max(value.get(name, 100.0) for name in names)
    moves = repeats or value.get("sway", 0.0) >= DROWNED_SWAY
    if above < DROWNED_DB and rough > DROWNED_ROUGHNESS and not moves:
        score = 0.5 + 0.3 * (1.0 - max(0.0, above) / DROWNED_DB)
        words = f"If there is a word, it is drowned: the clip is {above:.0f} dB above its noise."
        return SoundDoubt("silent_audio", score, words, is_likely=above < DROWNED_SURE_DB)
    return None


def _within(number: float, limits: tuple[float, float]) -> bool:
    return limits[0] < number < limits[1]


def _clipped(value: Mapping[str, Any]) -> SoundDoubt | None:
    full, flat = value.get("clipped_share", 0.0), value.get("flat_top_share", 0.0)
    at_full = full >= CLIPPED_SHARE and value.get("longest_clipped_run", 0) >= CLIPPED_RUN
    at_own = flat >= FLAT_TOP_SHARE and value.get("longest_flat_top", 0) >= FLAT_TOP_RUN
    at_own = at_own and value.get("flat_tops", 1) > 0
    if not at_full and not at_own:
        return _cut_tops(value)
    share = max(full if at_full else 0.0, flat if at_own else 0.0)
    score = min(0.99, 0.5 + 0.45 * share / CLIPPED_SURE)
    where = "at full scale" if at_full else "at the clip's own top (turned down after clipping)"
    return SoundDoubt(
        "clipped_audio", score, f"{100 * share:.1f} % of the samples are cut {where}."
    )


def _cut_tops(value: Mapping[str, Any]) -> SoundDoubt | None:
    """Say whether a few tops are cut; a few at full scale are proven as well, but hardly heard."""
    tops, piled = int(value.get("flat_tops", 0)), int(value.get("piled_samples", 0))
    if tops >= FLAT_TOPS:
        return SoundDoubt("clipped_audio", 0.5, f"{tops} peaks are flat at the clip's own top.")
    if not piled:
        return None
    words = f"{piled} samples end at the very same top, with steep sides."
    return SoundDoubt("clipped_audio", 0.5, words, is_likely=value.get("peak", 0.0) < FULL_PEAK)


def _cut(
    value: Mapping[str, Any], typical_seconds: float | None, *, cut_tight: bool
) -> SoundDoubt | None:
    start, end = _onset(value, "start"), _onset(value, "end")
    edge, verb = (start, "starts") if start >= end else (end, "ends")
    inside = _cut_inside(value, edge, verb, cut_tight=cut_tight)
    if inside is not None:
        return inside
    hole, lasts = value.get("hole_db", -100.0), value.get("hole_seconds", 0.0)
    if hole > HOLE_EDGE_DB and lasts >= HOLE_SECONDS:
        score = min(0.95, 0.5 + 0.45 * (1.0 - hole / HOLE_EDGE_DB))
        words = f"{1000 * lasts:.0f} ms of nothing inside the sound: a part was dropped."
        return SoundDoubt("cut_audio", score, words)
    seconds = value.get("seconds", 0.0)
    whole = edge <= TIGHT_DB  # it begins and ends softly: somebody spoke briefly
    if typical_seconds and 0 < seconds < SHORT_SHARE * typical_seconds and not whole:
        score = 0.5 + 0.4 * (1.0 - seconds / (SHORT_SHARE * typical_seconds))
        words = f"Only {seconds:.2f} s long; the others last about {typical_seconds:.2f} s."
        return SoundDoubt("cut_audio", score, words)
    return None


def _cut_inside(
    value: Mapping[str, Any], edge: float, verb: str, *, cut_tight: bool
) -> SoundDoubt | None:
    """Say whether the louder edge, in dB below the loudest frame, lies inside a sound."""
    spread = value.get("frame_range_db", 0.0)
    if spread < EDGE_RANGE_DB:
        return None
    limit = max(TIGHT_EDGE_DB if cut_tight else EDGE_DB, -EDGE_RANGE_SHARE * spread)
    if edge > limit:
        score = min(0.95, 0.5 + 0.45 * (edge - limit) / -limit)
        below = max(0.0, -edge)
        words = f"It {verb} at full level, {below:.0f} dB below its loudest part: cut off inside."
        return SoundDoubt("cut_audio", score, words, is_likely=not cut_tight)
    share = _tail_share(value, edge)
    if cut_tight or share < TAIL_SHARE or edge <= -TAIL_RANGE_SHARE * spread:
        return None
    held = 100 * share
    words = f"It {verb} inside a sound: 0.1 s more of it would hold {held:.0f} % of the clip."
    return SoundDoubt("cut_audio", min(0.7, 0.4 + share), words)


def _tail_share(value: Mapping[str, Any], edge: float) -> float:
    """Return what a tenth of a second as loud as an edge would add to the clip's energy."""
    if not value.get("seconds") or "loudest_db" not in value or "dbfs" not in value:
        return 0.0
    above_mean = value["loudest_db"] + edge - value["dbfs"]
    return float(10 ** (above_mean / 10) * TAIL_SECONDS / value["seconds"])
