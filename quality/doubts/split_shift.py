"""Splits that don't represent each other."""

import numpy as np
from django.utils.translation import gettext as _

from labeling.models import Split
from mlcore.chance import SURE
from mlcore.split_shift import Shift, find_split_shifts
from quality.doubts import Doubt
from quality.queries.survey import Survey

SEED = 22
LISTED = 12  # typical items shown of each side
MOST_NAMED = 2  # classes and properties named in the reason
LEAST_DIFFERENCE = 0.5  # standard deviations between the medians of a property that is named


def find_shifted_splits(survey: Survey) -> list[Doubt]:
    """Pairs of splits that differ in classes or contents by more than chance."""
    found = find_split_shifts(
        survey.labels,
        np.where(survey.splits == Split.NONE, "", survey.splits),
        groups=survey.groups,
        vectors=survey.vectors,
        rng=np.random.default_rng(SEED),
    )
    return [_shift_doubt(survey, shift) for shift in found if shift.p_value <= SURE]


def _shift_doubt(survey: Survey, shift: Shift) -> Doubt:
    first, second = shift.splits
    sides = [rows[:LISTED].tolist() for rows in shift.typical]
    told = {"first": first, "second": second, "size": round(100 * shift.size)}
    if shift.cause == "classes":
        words = _(
            "Classes are not shared out alike: %(size)d in 100 items of %(first)s would need "
            "another class to be like %(second)s."
        )
        names = _class_words(survey, shift)
        score = shift.size
    else:
        words = _(
            "A classifier tells %(first)s from %(second)s: of two items of one class it sorts "
            "%(size)d pairs in 100 rightly, 50 would be chance."
        )
        names = _property_words(survey, shift)
        score = 2.0 * shift.size - 1.0
    return Doubt(
        rows=(*sides[0], *sides[1]),
        roles=("example",) * (len(sides[0]) + len(sides[1])),
        topic=f"{shift.cause} of {first} and {second}",
        score=score,
        reason=(words % told + " " + names).strip(),
        evidence={
            "p_value": shift.p_value,
            "parts": [
                {
                    "name": _("typical of %(split)s") % {"split": split},
                    "n": len(rows),
                    "items": [survey.ids[row] for row in side],
                }
                for split, rows, side in zip(shift.splits, shift.typical, sides, strict=True)
            ],
        },
    )


def _class_words(survey: Survey, shift: Shift) -> str:
    """Name the classes whose shares differ most."""
    shares = [
        np.bincount(survey.labels[rows], minlength=len(survey.classes)) / len(rows)
        for rows in shift.typical
    ]
    most = np.argsort(-np.abs(shares[0] - shares[1]), kind="stable")[:MOST_NAMED].tolist()
    told = [
        f"“{survey.classes[at]}” {100 * shares[0][at]:.0f} % / {100 * shares[1][at]:.0f} %"
        for at in most
    ]
    return _("Most: %(told)s.") % {"told": ", ".join(told)}


def _property_words(survey: Survey, shift: Shift) -> str:
    """Name the measured properties whose medians are furthest apart."""
    names = sorted({name for rows in shift.typical for name in survey.facts(int(rows[0]))})
    apart = []
    for name in names:
        sides = [[survey.facts(int(row)).get(name) for row in rows] for rows in shift.typical]
        if all(isinstance(value, int | float) for side in sides for value in side):
            low, high = (float(np.median(np.array(side, float))) for side in sides)
            spread = float(np.std(np.array([*sides[0], *sides[1]], float)))
            if spread > 0 and abs(high - low) >= LEAST_DIFFERENCE * spread:
                apart.append((abs(high - low) / spread, f"{name} {low:.3g} / {high:.3g}"))
    told = [words for _difference, words in sorted(apart, reverse=True)[:MOST_NAMED]]
    return _("Medians differ: %(told)s.") % {"told": ", ".join(told)} if told else ""
