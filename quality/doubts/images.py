"""Pictures that are dark, washed out, blurry, empty, framed, drawn or of an odd shape."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
from django.utils.functional import Promise
from django.utils.translation import gettext as now
from django.utils.translation import gettext_lazy as _

from mlcore.odd_images import READS, OddPicture, find_odd_images, usual_properties
from quality.doubts import Doubt
from quality.queries.survey import Survey

TOLD_BY_FILE = "blank"  # file_fault asks about it already
MOST_REASONS = 3


def find_odd_pictures(survey: Survey) -> Iterator[Doubt]:
    """Pictures with a property that is odd in itself and unlike the rest of the dataset."""
    found = find_odd_images(
        _facts(survey),
        pixels=survey.column("pixel_hash"),
        labels=survey.doubted_labels,
    )
    of_row: dict[int, list[OddPicture]] = defaultdict(list)
    for odd in found:
        if all(code != TOLD_BY_FILE for code, _reason in survey.odd[odd.row]):
            of_row[odd.row].append(odd)
    rows = sorted(of_row, key=lambda row: not any(odd.is_likely for odd in of_row[row]))
    return (_doubt(row, of_row[row]) for row in rows)


def _facts(survey: Survey) -> dict[str, np.ndarray]:
    facts = [survey.facts(row) for row in range(len(survey))]
    return {name: np.array([fact.get(name, np.nan) for fact in facts], float) for name in READS}


def say_what_is_usual(survey: Survey) -> str:
    """Say once what most pictures of a set have in common, though elsewhere it is odd."""
    shares = usual_properties(_facts(survey))
    if not shares:
        return ""
    told = ", ".join(f"{USUAL[code]} ({100 * share:.0f} %)" for code, share in shares.items())
    return now(
        "Usual in this dataset, so not asked about picture by picture: %(told)s. Is it meant?"
    ) % {"told": told}


USUAL: dict[str, str | Promise] = {
    "dark": _("dark"),
    "over_light": _("over-light"),
    "black": _("lost in the dark"),
    "blown": _("blown out"),
    "cut_off": _("over-exposed"),
    "blurry": _("blurry"),
    "drawn": _("drawn"),
    "two_colours": _("of two colours"),
    "channel_lost": _("without one of red, green and blue"),
    "coarse": _("coarsely compressed"),
    "low_information": _("showing little"),
}


def _doubt(row: int, odd: list[OddPicture]) -> Doubt:
    return Doubt(
        rows=(row,),
        score=odd[0].score,
        reason=" ".join(_reason(one) for one in odd[:MOST_REASONS]),
        is_likely=any(one.is_likely for one in odd),
        evidence={"codes": [one.code for one in odd]},
    )


def _reason(odd: OddPicture) -> str:
    """Say a property with its value, what is usual in the dataset, and the limit."""
    words, shown = WORDS[odd.code]
    return str(words) % {
        "value": shown(odd.value),
        "usual": shown(odd.usual),
        "limit": shown(odd.limit),
    }


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _small(value: float) -> str:
    """Write two digits at least, and no power of ten.

    >>> [_small(value) for value in (0.678, 2.71, 99.7, 1000.4)]
    ['0.68', '2.7', '100', '1000']
    """
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f}"


WORDS: dict[str, tuple[str | Promise, Callable[[float], str]]] = {
    "dark": (
        _(
            "Dark: 95 %% of its pixels stay at %(value)s of 255 or below (usual here: "
            "%(usual)s; odd from %(limit)s down)."
        ),
        _whole,
    ),
    "over_light": (
        _(
            "Over-light: 95 %% of its pixels are at %(value)s of 255 or above (usual here: "
            "%(usual)s; odd from %(limit)s up)."
        ),
        _whole,
    ),
    "black": (
        _(
            "Lost in the dark: %(value)s %% of its pixels, in its middle too, are black (usual "
            "here: %(usual)s %%; odd from %(limit)s %% up)."
        ),
        _percent,
    ),
    "blown": (
        _(
            "Blown out: %(value)s %% of its pixels, in its middle too, are cut off at the light "
            "end (usual here: %(usual)s %%; odd from %(limit)s %% up)."
        ),
        _percent,
    ),
    "cut_off": (
        _(
            "Over-exposed: in %(value)s %% of its pixels a colour is cut off at the light end "
            "(usual here: %(usual)s %%; odd from %(limit)s %% up)."
        ),
        _percent,
    ),
    "blurry": (
        _(
            "Blurry: its edges are spread over %(value)s of 256 pixels, along one direction at "
            "least (usual here: %(usual)s; odd from %(limit)s up)."
        ),
        _small,
    ),
    "noise": (
        _(
            "Noise: what it shows changes from pixel to pixel; edges of %(value)s pixels (usual "
            "here: %(usual)s; odd from %(limit)s down)."
        ),
        _small,
    ),
    "drawn": (
        _(
            "Drawn, or a placeholder: %(value)s %% of its pixels are like those beside them "
            "(usual here: %(usual)s %%; odd from %(limit)s %% up)."
        ),
        _percent,
    ),
    "two_colours": (
        _(
            "Drawn, or a sign: two colours take %(value)s %% of its pixels (usual here: "
            "%(usual)s %%; odd from %(limit)s %% up)."
        ),
        _percent,
    ),
    "channel_lost": (
        _(
            "A colour is lost: of red, green and blue the weakest has %(value)s %% of the "
            "strongest (usual here: %(usual)s %%; odd from %(limit)s %% down)."
        ),
        _percent,
    ),
    "coarse": (
        _(
            "Compressed coarsely: quality %(value)s of 100 (usual here: %(usual)s; odd from "
            "%(limit)s down)."
        ),
        _whole,
    ),
    "low_information": (
        _(
            "Shows little: %(value)s bits of grey a pixel (usual here: %(usual)s; odd from "
            "%(limit)s down)."
        ),
        _small,
    ),
    "odd_shape": (
        _(
            "Odd shape: %(value)s times as wide as high (usual here: %(usual)s; odd from "
            "%(limit)s times that, or its third part)."
        ),
        _small,
    ),
    "framed": (
        _(
            "Framed: even bars at its sides take %(value)s %% of it (odd from %(limit)s %% up, "
            "where few pictures have any)."
        ),
        _percent,
    ),
    "grey": (
        _(
            "Without colours among coloured pictures: colourfulness %(value)s (usual here: "
            "%(usual)s; odd below %(limit)s)."
        ),
        _small,
    ),
    "placeholder": (
        _(
            "A placeholder? Exactly this picture stands for %(value)s items of several "
            "classes (odd from %(limit)s up)."
        ),
        _whole,
    ),
}
