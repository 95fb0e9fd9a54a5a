"""Columns that give a class away, and classes that are really two."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from re import match
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from labeling.models import Media
from mlcore.shortcuts import Shortcut, Value, find_shortcuts
from mlcore.split_classes import SplitClass, find_split_classes
from quality.doubts import CannotRunError, Doubt
from quality.queries.survey import Survey

SEED = 20
LISTED = 12  # examples shown of each side
LIKELY_SPLIT = 0.65  # above every single class of clothing and cifar10 (bench/group_checks.py)
MOST_SPLITS = 3  # classes a check lists, furthest apart first
LEAST_SPLIT = 0.1  # nearly as joined as the other classes: nothing to ask about
ALL_NUMBERS = 0.95  # of the values of a column of a table that is read as numbers
RING_DIGITS = 2

#: What the one decode measured of how a file was made, not of what it shows, and its name in words.
MADE_HOW = {
    Media.IMAGE: {
        "width": "width",
        "height": "height",
        "mode": "colour mode",
        "jpeg_quality": "JPEG quality",
        "frames": "frames",
        "orientation": "orientation",
        "camera": "camera",
    },
    Media.AUDIO: {
        "sample_rate": "sampling rate in Hz",
        "channels": "channels",
        "subtype": "sample format",
        "seconds": "duration in s",
        "peak": "peak",
        "dbfs": "level in dB",
        "loudest_db": "loudest moment in dB",
        "noise_floor_db": "noise floor in dB",
        "dc_offset": "offset from zero",
        "steps_used": "sample steps in use",
        "padding_start": "padding at the start",
        "padding_end": "padding at the end",
    },
    Media.TEXT: {},
}


def find_shortcut_columns(survey: Survey) -> list[Doubt]:
    """Columns from which a class outside the test split can be told though nothing is looked at."""
    columns = columns_of(survey)
    found = find_shortcuts(
        survey.doubted_labels,
        columns,
        n_classes=len(survey.classes),
        rng=np.random.default_rng(SEED),
    )
    return [
        _column_doubt(survey, shortcut, columns[shortcut.column])
        for shortcut in found
        if not _names_the_class(survey, shortcut, columns[shortcut.column])
    ]


def columns_of(survey: Survey) -> dict[str, list[Value]]:
    """Return what is known of every item but its content: tables, names, files, sources."""
    facts = [survey.facts(row) for row in range(len(survey))]
    columns: dict[str, list[Value]] = {
        f"file: {words}": [_value(fact.get(name)) for fact in facts]
        for name, words in MADE_HOW[Media(survey.dataset.media)].items()
    }
    if survey.dataset.media != Media.TEXT:  # how long a text is belongs to what it says
        columns["file: type"] = list(survey.column("type"))
        columns["file: size in bytes"] = [float(size) for size in survey.column("size")]
    if survey.dataset.media == Media.IMAGE:
        columns["file: width to height"] = [_ratio(fact) for fact in facts]
        if survey.thumbnails is not None:
            columns["file: spread of the border"] = _border(survey.thumbnails)
    columns["name: first letters"] = [_first_letters(key) for key in survey.keys]
    columns["source"] = [group or None for group in survey.groups]
    names = sorted({name for held in survey.metadata for name in held})
    for name in names:
        columns[f"column: {name}"] = _typed([held.get(name) for held in survey.metadata])
    return columns


def _value(value: Any) -> Value:
    return value if value is None or isinstance(value, int | float) else str(value)


def _typed(values: Sequence[Any]) -> list[Value]:
    """Read a column of a table as numbers where nearly all of it is; what is none is missing."""
    words = [None if value in (None, "") else str(value) for value in values]
    numbers = [_number(word) for word in words]
    n_there = sum(word is not None for word in words)
    n_read = sum(number is not None for number in numbers)
    return list(numbers) if n_there and n_read >= ALL_NUMBERS * n_there else list(words)


def _number(word: str | None) -> float | None:
    try:
        return float(word) if word is not None else None
    except ValueError:
        return None


def _ratio(fact: Mapping[str, Any]) -> float | None:
    return fact["width"] / fact["height"] if fact.get("height") else None


def _border(thumbnails: np.ndarray) -> list[Value]:
    """Return how unlike the pixels along the edge are: a frame around a picture is one colour."""
    side = int(np.sqrt(thumbnails.shape[1]))
    pictures = thumbnails.reshape(-1, side, side)
    edges = (pictures[:, 0], pictures[:, -1], pictures[:, 1:-1, 0], pictures[:, 1:-1, -1])
    spread = np.concatenate(edges, axis=1).std(axis=1)
    return [round(float(value), RING_DIGITS) for value in spread]


def _first_letters(key: str) -> str:
    found = match(r"[^\W\d_]*", PurePosixPath(key).name)
    return found.group().casefold() if found else ""


def _names_the_class(survey: Survey, shortcut: Shortcut, values: Sequence[Value]) -> bool:
    """Whether the column is the label under another name, as in files called after their class."""
    told = [str(values[row]).casefold() for row in shortcut.rows.tolist()]
    name = survey.classes[shortcut.label].casefold()
    return sum(word == name or name.startswith(word) for word in told if word) > len(told) / 2


def _column_doubt(survey: Survey, shortcut: Shortcut, values: Sequence[Value]) -> Doubt:
    label = survey.classes[shortcut.label]
    is_class = survey.doubted_labels[shortcut.rows] == shortcut.label
    inside = shortcut.rows[is_class][:LISTED].tolist()
    outside = shortcut.rows[~is_class][:LISTED].tolist()
    told = {
        "column": shortcut.column,
        "label": label,
        "hit": round(100 * shortcut.hit),
        "called": round(100 * shortcut.called),
        "words": shortcut.words,
    }
    reason = _(
        "“%(column)s” tells “%(label)s” without a look at the item: %(words)s holds for %(hit)d %% "
        "of that class and %(called)d %% of the others. Is it known when the model is used?"
    )
    return Doubt(
        rows=(*inside, *outside),
        roles=("example",) * (len(inside) + len(outside)),
        topic=f"column {shortcut.column}",
        score=shortcut.power,
        reason=reason % told,
        evidence={
            "column": shortcut.column,
            "p_value": shortcut.p_value,
            "parts": [
                _part(survey, inside, _("“%(label)s”, with that value") % told, is_class.sum()),
                _part(survey, outside, _("other classes with that value"), (~is_class).sum()),
            ],
            "by_value": _by_value(survey, values),
        },
    )


def _by_value(survey: Survey, values: Sequence[Value]) -> list[list[Any]]:
    """Return the commonest values with the class that is most frequent among their items."""
    known = [row for row in range(len(survey)) if survey.doubted_labels[row] >= 0]
    counts: dict[str, dict[int, int]] = {}
    for row in known:
        held = counts.setdefault(_shown(values[row]), {})
        held[int(survey.doubted_labels[row])] = held.get(int(survey.doubted_labels[row]), 0) + 1
    listed = sorted(counts.items(), key=lambda entry: -sum(entry[1].values()))[:LISTED]
    return [
        [value, sum(held.values()), survey.classes[most], held[most]]
        for value, held in listed
        for most in [max(held, key=lambda label: held[label])]
    ]


def _shown(value: Value) -> str:
    if value is None or value == "":
        return _("missing")
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _part(survey: Survey, rows: Sequence[int], name: str, count: Any) -> dict[str, Any]:
    return {"name": name, "n": int(count), "items": [survey.ids[row] for row in rows]}


def find_double_classes(survey: Survey) -> list[Doubt]:
    """Classes outside the test split whose items fall into two parts that few neighbours join."""
    if survey.vectors is None:
        raise CannotRunError(_("It needs vectors of the items."))
    found = find_split_classes(
        survey.vectors,
        survey.doubted_labels,
        n_classes=len(survey.classes),
        rng=np.random.default_rng(SEED),
        groups=survey.groups,
    )
    listed = [split for split in found if split.score >= LEAST_SPLIT][:MOST_SPLITS]
    return [_class_doubt(survey, split) for split in listed]


def _class_doubt(survey: Survey, split: SplitClass) -> Doubt:
    larger, smaller = (part.tolist() for part in split.parts)
    examples = [part[:LISTED].tolist() for part in split.typical]
    name = survey.classes[split.label]
    told = {
        "label": name,
        "larger": len(larger),
        "smaller": len(smaller),
        "share": round(100 * split.score),
    }
    reason = _(
        "“%(label)s” falls into two parts, %(larger)d and %(smaller)d items: %(share)d %% fewer "
        "links between nearest neighbours join them than the halves of your other classes. Does "
        "one name cover two things?"
    )
    return Doubt(
        rows=(*smaller, *examples[0]),
        roles=("part",) * len(smaller) + ("example",) * len(examples[0]),
        topic=f"class {name}",
        score=split.score,
        reason=reason % told,
        given=name,
        is_likely=split.score >= LIKELY_SPLIT,
        evidence={
            "parts": [
                _part(survey, examples[0], _("the larger part"), len(larger)),
                _part(survey, examples[1], _("the smaller part"), len(smaller)),
            ],
        },
    )
