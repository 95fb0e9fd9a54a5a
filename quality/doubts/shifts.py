"""Splits, and other parts of a dataset, that don't represent each other."""

from collections.abc import Iterable

import numpy as np
from django.utils.translation import gettext as _

from labeling.models import Split
from mlcore.copy_sets import copy_sets
from mlcore.duplicates import LEAST_SCORE, Pair
from mlcore.folds import join_groups
from mlcore.shifts import Shift, find_shifts
from quality.doubts import Doubt
from quality.queries.facts import FACTS
from quality.queries.survey import Survey

SEED = 22
LISTED = 12  # typical items shown of each side
MOST_NAMED = 2  # classes and properties named in the reason
LEAST_DIFFERENCE = 0.5  # standard deviations between the medians of a property that is named


def find_shifted_splits(survey: Survey) -> list[Doubt]:
    """Pairs of splits that differ in classes or contents by more than chance.

    Where a pair has too few sources to deal them as a whole nothing is said.
    """
    splits = np.where(survey.labels >= 0, survey.splits, "")
    sure = [pair for pair in survey.copies if pair.score >= LEAST_SCORE]
    found = find_shifts(
        survey.labels,
        np.where(splits == Split.NONE, "", splits),
        groups=survey.groups,
        copies=copy_numbers(survey, sure),
        vectors=survey.vectors,
        rng=np.random.default_rng(SEED),
    )
    return [shift_doubt(survey, shift) for shift in found if shift.is_sure and shift.by_group]


def copy_numbers(survey: Survey, pairs: Iterable[Pair]) -> list[int]:
    """Number the copy sets of a survey's rows, equal bytes included; others stand alone."""
    sets: list[int | None] = [None] * len(survey)
    for number, rows in enumerate(copy_sets(len(survey), list(pairs))):
        for row in rows:
            sets[row] = number
    numbers: list[int] = join_groups(sets, survey.hashes).tolist()
    return numbers


def shift_doubt(survey: Survey, shift: Shift) -> Doubt:
    """Ask about two parts that differ: how, by what, and the most typical items of each."""
    first, second = shift.parts
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
        reason=" ".join(filter(None, (words % told, names, source_words(shift)))),
        is_likely=shift.by_group,
        evidence={
            "p_value": shift.p_value,
            "parts": [
                {
                    "name": _("typical of %(part)s") % {"part": part},
                    "n": len(rows),
                    "items": [survey.ids[row] for row in side],
                }
                for part, rows, side in zip(shift.parts, shift.typical, sides, strict=True)
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
    words = _("“%(label)s” is %(one).0f %% of %(first)s and %(other).0f %% of %(second)s")
    first, second = shift.parts
    told = [
        words
        % {
            "label": survey.classes[at],
            "one": 100 * shares[0][at],
            "other": 100 * shares[1][at],
            "first": first,
            "second": second,
        }
        for at in most
    ]
    return _("Most: %(told)s.") % {"told": "; ".join(told)}


def _property_words(survey: Survey, shift: Shift) -> str:
    told = [f"{words} {low:.3g} / {high:.3g}" for words, low, high in differing(survey, shift)][
        :MOST_NAMED
    ]
    return _("Medians differ: %(told)s.") % {"told": ", ".join(told)} if told else ""


def source_words(shift: Shift) -> str:
    """Say what a difference may be where sources could not be dealt as a whole."""
    if shift.by_group:
        return ""
    return _("There are too few sources to tell this from how these sources differ.")


def differing(survey: Survey, shift: Shift) -> list[tuple[str, float, float]]:
    """Return measured properties with their medians on each side, furthest apart first."""
    names = sorted({name for rows in shift.typical for name in survey.facts(int(rows[0]))})
    sizes = survey.column("size")
    words = {fact.name: fact.words for fact in FACTS[survey.dataset.media]} | {"": _("Bytes")}
    apart = []
    for name in ["", *names]:
        sides = [
            [survey.facts(row).get(name) if name else sizes[row] for row in rows.tolist()]
            for rows in shift.typical
        ]
        if all(_is_number(value) for side in sides for value in side):
            low, high = (float(np.median(np.array(side, float))) for side in sides)
            spread = float(np.std(np.array([*sides[0], *sides[1]], float)))
            if spread > 0 and abs(high - low) >= LEAST_DIFFERENCE * spread:
                apart.append((abs(high - low) / spread, (words.get(name, name), low, high)))
    return [told for _difference, told in sorted(apart, reverse=True)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
