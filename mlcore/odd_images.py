"""Tell pictures whose light, sharpness, shape or colours are unlike the rest of their set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlcore.outliers import deviations_above

LEAST_ITEMS = 30
"""With fewer pictures nobody knows what is usual."""

LIKELY, LEAST = 3.0, 2.5
"""Robust standard deviations from the middle picture, beside the limit: asked about, candidate."""

DARK = 84.0
"""Luma that 95 % of the pixels stay below: 9 % of full light, one stop below middle grey."""

OVER_LIGHT = 150.0
"""Luma that 95 % of the pixels are above; the lightest of 864 photos of clothing reaches 134."""

LOST = 1 / 3
"""Share of the pixels, in the picture and in its middle, that are black or blown out. Of 3,000
pictures of CIFAR-10 3 in 1,000 have so many black ones, 1 in 1,000 so many blown ones."""

CUT_OFF = 0.1
"""Share of the pixels, more than just below the end, that are cut off in one channel and not in
another, so no white ground; 3 in 1,000 pictures of CIFAR-10 have so many, 0 of 800 of clothing."""

BLURRY = 3.0
"""Pixels, of 256 at most, that edges are spread over along the smoothest direction."""

NOISE = 0.68
"""The same of a picture of noise, without edges: two thirds."""

LOST_CHANNEL = 0.1
"""Mean of the darkest channel over that of the lightest. Of 1,500 pictures of CIFAR-10 the least is
.135, of 400 of clothing .215; with a channel of zeros, saved as JPEG, .07 at most."""

COARSE = 15
"""Quality of JPEG, of 100, as import tells it: libjpeg's 10, whose tables end at 255, below which
networks lose accuracy (Dodge and Karam 2016, doi:10.1109/QoMEX.2016.7498955)."""

LOW_INFORMATION = 3.0
"""Bits of luma a pixel, of 8: as if of 8 greys. Of 1,500 photos of CIFAR-10 one has 2.99."""

ODD_SHAPE = 3.0
"""Times as wide, or as high, as the middle picture; photos come as 1:2 to 2:1."""

FRAME = 0.02
"""Share of the picture that an even frame, or a bar at one side, takes."""

DRAWN = 0.8
"""Share of pixels without any change beside them; photos of clothing reach .42, CIFAR-10's .46."""

DRAWN_SET = 2 / 3
"""The same in the middle picture of a set of drawings: half the odds. Of letters, icons, screens
and charts .74 to .94, of photos cut out on white .59."""

STOP = 2 ** (1 / 2.2)
"""Factor of luma from a light to twice as much (gamma 2.2)."""

TWO_COLOURS = 0.9
"""Share of pixels that have one of two colours."""

GREY, COLOURED = 1.0, 10.0
"""Colourfulness (Hasler and Suesstrunk 2003) of a grey picture, and of the middle one of a set
among which it is odd ("slightly colourful" is 15)."""

RARE = 0.05
"""Share of the pictures up to which a frame or the lack of colours is odd."""

FLAT, FAR_APART = 0.5, 32.0
"""Share of pixels without any change beside them, or grey levels (standard deviation; the colours
are twice as far apart at least, so JPEG unsettles what is beside their edges), from which two
colours are fields. Of 33 things before a sky among 15,000 photos of CIFAR-10 one is like that."""

STANDS_FOR = 3
"""Items with exactly the same pixels, of two classes or more, that a picture stands in for."""

LEAST_CONTRAST = 8.0
"""Grey levels (standard deviation) below which noise is a camera's, on a plain ground."""

ROUNDING = 1.0
"""The same of a picture of one colour (JPEG)."""

Facts = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class OddPicture:
    """One property by which a picture is odd.

    Attributes
    ----------
    row : int
    code : str
        A name of `RULES`, "odd_shape", "framed", "noise", "grey" or "placeholder".
    value, usual, limit : float
        Of this picture and of the middle one, and the limit that it passes, in one unit.
    score : float
        0 to 1, higher is odder; .5 stands for LIKELY deviations.
    is_likely : bool
    """

    row: int
    code: str
    value: float
    usual: float
    limit: float
    score: float
    is_likely: bool


def _log_odds(share: np.ndarray) -> np.ndarray:
    known = np.clip(share, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(known / (1 - known)))


def _arcsine(share: np.ndarray) -> np.ndarray:
    """Return an angle that spreads alike whatever the share (Anscombe 1948)."""
    return np.asarray(np.arcsin(np.sqrt(np.clip(share, 0.0, 1.0))))


def _thrice_odds(share: float) -> float:
    return 3 * share / (1 + 2 * share)


@dataclass(frozen=True)
class Rule:
    """A property that must pass a limit *and* be unlike the set.

    Attributes
    ----------
    beyond : callable
        The value that is clearly beyond the usual one: a stop of light, an edge over twice the
        area, three times the odds of a share, half the greys.
    scale : callable
        Where the spread is near to normal.
    where : callable
        Given the facts, in which pictures the property means what its name says.
    """

    fact: str
    limit: float
    above: bool = True
    beyond: Callable[[float], float] = _thrice_odds
    scale: Callable[[np.ndarray], np.ndarray] = _arcsine
    where: Callable[[Facts], np.ndarray | bool] = lambda facts: True

    def passed(self, values: np.ndarray, limit: float) -> np.ndarray:
        """Tell of values whether they reach a limit."""
        return values >= limit if self.above else values <= limit

    def limit_of(self, usual: float) -> float:
        """Return what has to be reached where the middle picture has the usual value."""
        return (max if self.above else min)(self.limit, self.beyond(usual))


def _has_fields(facts: Facts) -> np.ndarray:
    return (facts["even_share"] >= FLAT) | (facts["contrast"] >= FAR_APART)


def _is_light_all_over(facts: Facts) -> np.ndarray:
    """Leave out a bird before the sky: pixels between both ends deviate by half of that at most."""
    reach = (facts["luma_high"] - facts["luma_low"]) / 2
    return facts["contrast"] <= reach + ROUNDING


def _are_photos(facts: Facts) -> bool:
    """Leave out sets of drawings: pure colours and straight strokes were chosen there."""
    even = facts["even_share"]
    return not (np.isfinite(even).any() and np.nanmedian(even) >= DRAWN_SET)


AS_IT_IS = np.asarray
RULES: dict[str, Rule] = {
    "dark": Rule("luma_high", DARK, above=False, beyond=lambda luma: luma / STOP, scale=AS_IT_IS),
    "over_light": Rule(
        "luma_low", OVER_LIGHT, beyond=lambda luma: luma * STOP, scale=AS_IT_IS,
        where=_is_light_all_over,
    ),
    "black": Rule("black_share", LOST),
    "blown": Rule("white_share", LOST),
    "cut_off": Rule("clipped_share", CUT_OFF, where=_are_photos),
    "blurry": Rule(
        "edge_width", BLURRY, beyond=lambda width: 2**0.5 * width,
        scale=lambda width: np.log(np.maximum(width, NOISE)),
    ),
    "drawn": Rule("even_share", DRAWN, scale=AS_IT_IS),
    "two_colours": Rule("two_colour_share", TWO_COLOURS, scale=_log_odds, where=_has_fields),
    "channel_lost": Rule(
        "weakest_channel", LOST_CHANNEL, above=False, beyond=lambda ratio: ratio / 2,
        scale=lambda ratio: np.log(np.maximum(ratio, 1e-3)), where=_are_photos,
    ),
    "coarse": Rule(
        "jpeg_quality", COARSE, above=False, beyond=lambda quality: quality / 2, scale=AS_IT_IS,
    ),
    "low_information": Rule(
        "entropy", LOW_INFORMATION, above=False, beyond=lambda bits: bits - 1, scale=AS_IT_IS,
    ),
}  # fmt: skip
#: What explains another: a dark, washed out or drawn picture has few greys.
EXPLAINS = {
    "low_information": ("dark", "over_light", "black", "blown", "drawn", "two_colours"),
    "two_colours": ("dark", "black", "drawn"),
    "blown": ("over_light",),
    "cut_off": ("over_light", "blown", "drawn", "two_colours"),
    "blurry": ("drawn", "two_colours"),
    "dark": ("channel_lost",),
    "black": ("dark", "channel_lost"),
}
READS = (
    "width", "height", "luma_low", "luma_high", "black_share", "white_share", "clipped_share",
    "contrast", "entropy", "edge_width", "even_share", "two_colour_share", "frame_share",
    "colourfulness", "weakest_channel", "jpeg_quality",
)  # fmt: skip
"""What `find_odd_images` reads of the facts of `mlcore.images`."""


def find_odd_images(facts: Facts, *, pixels: Sequence[str], labels: np.ndarray) -> list[OddPicture]:
    """Return what is odd about each picture by what is usual in its set, oddest first.

    Parameters
    ----------
    facts : mapping of str to float ndarray of shape (n_items,)
        READS, what the one decode measured (`mlcore.image_measures`); NaN where it is not known.
    pixels : sequence of str of length n_items
        Hash of the pixels, "" where unknown.
    labels : int ndarray of shape (n_items,)
        -1 where there is none.

    Returns
    -------
    list of OddPicture
        A picture has to pass the limit, to be clearly beyond the middle one and to lie LEAST robust
        deviations beyond it. A night set is not dark and a set of drawings not drawn
        (`usual_properties`). Empty for few items.
    """
    if len(pixels) < LEAST_ITEMS:
        return []
    found = [odd for code, rule in RULES.items() for odd in _unlike(code, rule, facts)]
    told = {(odd.row, odd.code, odd.is_likely) for odd in found}
    found = [
        odd
        for odd in found
        if not any(
            (odd.row, other, likely) in told
            for other in EXPLAINS.get(odd.code, ())
            for likely in {True, odd.is_likely}
        )
    ]
    found += [*_odd_shapes(facts), *_rare(facts), *_placeholders(pixels, labels)]
    return sorted(found, key=lambda odd: (-odd.score, odd.row))


def _unlike(code: str, rule: Rule, facts: Facts) -> list[OddPicture]:
    values = facts[rule.fact]
    if not np.isfinite(values).any():
        return []
    usual = np.nanmedian(values)
    if rule.passed(usual, rule.limit):  # it says nothing about a set of the night
        return []
    limit = rule.limit_of(float(usual))
    passes = rule.passed(values, limit) & rule.where(facts)
    out = _deviations(rule.scale(values) if rule.above else -rule.scale(values))
    return _passing(code, values, passes, out, usual=float(usual), limit=limit)


def usual_properties(facts: Facts) -> dict[str, float]:
    """Return by code the share of the pictures that pass a limit where the middle one does, too.

    What so many share is a property of the set; `find_odd_images` asks about none of them.

    Examples
    --------
    >>> night = dict.fromkeys(READS, np.full(40, np.nan)) | {"luma_high": np.arange(40.0) * 2.5}
    >>> usual_properties(night)
    {'dark': 0.85}
    """
    shares = {}
    for code, rule in RULES.items():
        values = facts[rule.fact]
        known = values[np.isfinite(values) & rule.where(facts)]
        if len(known) >= LEAST_ITEMS and rule.passed(np.median(known), rule.limit):
            shares[code] = float(rule.passed(known, rule.limit).mean())
    return shares


def _odd_shapes(facts: Facts) -> list[OddPicture]:
    ratio = facts["width"] / facts["height"]
    usual = float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else np.nan
    apart = np.abs(np.log(ratio / usual))
    passes = apart >= np.log(ODD_SHAPE)
    return _passing("odd_shape", ratio, passes, _deviations(apart), usual=usual, limit=ODD_SHAPE)


def _deviations(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    if known.sum() < LEAST_ITEMS:
        return np.zeros(len(values))
    return np.where(known, deviations_above(np.where(known, values, 0.0), known), 0.0)


def _passing(
    code: str,
    values: np.ndarray,
    passes: np.ndarray,
    out: np.ndarray,
    *,
    usual: float,
    limit: float,
) -> list[OddPicture]:
    return [
        OddPicture(
            row,
            code,
            value=float(values[row]),
            usual=usual,
            limit=limit,
            score=float(out[row] / (out[row] + LIKELY)),
            is_likely=bool(out[row] >= LIKELY),
        )
        for row in np.flatnonzero(passes & (out >= LEAST)).tolist()
    ]


def _rare(facts: Facts) -> list[OddPicture]:
    """Return pictures of noise, with a frame, or without colours, where few are like that."""
    framed, colours = facts["frame_share"], facts["colourfulness"]
    is_coloured = np.isfinite(colours).any() and np.nanmedian(colours) >= COLOURED
    width, is_varied = facts["edge_width"], facts["contrast"] >= LEAST_CONTRAST
    cases = [
        ("framed", framed, (framed >= FRAME) & _are_photos(facts), FRAME, 0.6),
        ("noise", width, (width <= NOISE) & is_varied, NOISE, 0.6),
    ]
    if is_coloured:  # often meant, and no harm to many models: never more than a candidate
        cases.append(("grey", colours, colours < GREY, GREY, 0.3))
    return [
        OddPicture(
            row,
            code,
            value=float(values[row]),
            usual=float(np.nanmedian(values)),
            limit=limit,
            score=score,
            is_likely=score >= 0.5,
        )
        for code, values, is_odd, limit, score in cases
        if is_odd.sum() <= RARE * len(is_odd)
        for row in np.flatnonzero(is_odd).tolist()
    ]


def _placeholders(pixels: Sequence[str], labels: np.ndarray) -> list[OddPicture]:
    """Return items that show exactly the same, although they are of several classes."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(pixels):
        if name and labels[row] >= 0:
            rows[name].append(row)
    return [
        OddPicture(row, "placeholder", float(len(same)), 1.0, STANDS_FOR, 0.8, is_likely=True)
        for same in rows.values()
        if len(same) >= STANDS_FOR and len(set(labels[same].tolist())) > 1
        for row in same
    ]
