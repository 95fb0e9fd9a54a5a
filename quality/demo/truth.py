"""What was planted, kept as JSON, and how it compares with what the checks found."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REJECTED = "rejected"
"""Not a flag: a file that the import must refuse."""
GOOD = "good"
"""Not a flag: an item that looks or sounds odd and must be left alone."""
TEMPTING_KINDS = frozenset({"silent_audio", "clipped_audio", "cut_audio", "file_fault"})
"""Kinds that a planted good item must not get."""
ON_ANOTHER_FAULT = "on an item planted with another fault"
NOT_PLANTED = "not planted"
EXAMPLES_SHOWN = 5
"""Examples kept per row: as many as fit on a line of the demo page."""

RaisedFlag = tuple[str, AbstractSet[str], float]
"""Kind, keys of the items, score 0 to 1."""


@dataclass(frozen=True)
class Planted:
    """One fault that was put in: a kind of flag, the items it is about and what was done.

    `right_label` is the class that a wrong label should have been; else empty.
    """

    kind: str
    keys: tuple[str, ...]
    what: str
    right_label: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"keys": list(self.keys)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Planted":
        return cls(**fields | {"keys": tuple(fields["keys"])})


@dataclass(frozen=True)
class Row:
    """One line of planted against found.

    `found_first` counts those found among the first flags of the kind, as many flags as were
    planted. `also_raised` counts flags that no planted fault explains; they have rows of their
    own. `missed` and `examples` are keys, joined with a space where a fault is about several.
    """

    kind: str
    what: str
    planted: int
    found: int
    found_first: int
    also_raised: int
    missed: tuple[str, ...]
    examples: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"missed": list(self.missed), "examples": list(self.examples)}


def write_truth(truth: Iterable[Planted], path: Path) -> None:
    """Store what was planted as JSON."""
    text = json.dumps([planted.to_json() for planted in truth], indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def read_truth(path: Path) -> list[Planted]:
    """Read what `write_truth` stored."""
    return [Planted.from_json(fields) for fields in json.loads(path.read_text(encoding="utf-8"))]


def explains(planted: Planted, flag: RaisedFlag) -> bool:
    """Whether the flag is about the planted fault.

    A copy set may hold more than the planted pair. A planted fault about many items (a source
    group in two splits) is found by a flag about any of them alone: a detector may show a few.
    """
    kind, keys, _ = flag
    wanted = frozenset(planted.keys)
    if kind != planted.kind or not keys:
        return False
    return wanted <= keys or (len(wanted) > 2 and keys <= wanted)


def compare(
    truth: Sequence[Planted], flags: Iterable[RaisedFlag], *, rejected: Iterable[str]
) -> list[Row]:
    """Say per kind and what was done how many were planted, found, and raised besides."""
    raised = sorted(flags, key=lambda flag: (flag[0], -flag[2], sorted(flag[1])))
    refused = frozenset(rejected)
    rows = _planted_rows(truth, raised, refused)
    return sorted(rows + _other_rows(truth, raised, refused), key=_order)


def _order(row: Row) -> tuple[str, bool, str]:
    return (row.kind, row.planted == 0, row.what)


def _planted_rows(
    truth: Sequence[Planted], raised: Sequence[RaisedFlag], refused: AbstractSet[str]
) -> list[Row]:
    of_kind = Counter(planted.kind for planted in truth)
    flags = {kind: [flag for flag in raised if flag[0] == kind] for kind in of_kind}
    rows = []
    for kind, what in dict.fromkeys((planted.kind, planted.what) for planted in truth):
        group = [planted for planted in truth if (planted.kind, planted.what) == (kind, what)]
        if kind in (REJECTED, GOOD):
            found = first = [p for p in group if _as_expected(p, raised, refused)]
        else:
            found = [p for p in group if _is_found(p, flags[kind])]
            first = [p for p in group if _is_found(p, flags[kind][: of_kind[kind]])]
        missed = [p for p in group if p not in found]
        row = Row(
            kind=kind,
            what=what,
            planted=len(group),
            found=len(found),
            found_first=len(first),
            also_raised=0,
            missed=_examples(p.keys for p in missed),
            examples=_examples(p.keys for p in found),
        )
        rows.append(row)
    return rows


def _is_found(planted: Planted, flags: Sequence[RaisedFlag]) -> bool:
    return any(explains(planted, flag) for flag in flags)


def _as_expected(planted: Planted, raised: Sequence[RaisedFlag], refused: AbstractSet[str]) -> bool:
    keys = frozenset(planted.keys)
    if planted.kind == REJECTED:
        return keys <= refused
    return not any(kind in TEMPTING_KINDS and keys & about for kind, about, _ in raised)


def _other_rows(
    truth: Sequence[Planted], raised: Sequence[RaisedFlag], refused: AbstractSet[str]
) -> list[Row]:
    """Flags and refusals that no planted fault explains, faulty items apart from the others."""
    faulty = {key for planted in truth if planted.kind != GOOD for key in planted.keys}
    expected = {key for planted in truth if planted.kind == REJECTED for key in planted.keys}
    others: dict[tuple[str, str], list[AbstractSet[str]]] = {}
    for flag in raised:
        if not any(explains(planted, flag) for planted in truth):
            what = ON_ANOTHER_FAULT if flag[1] & faulty else NOT_PLANTED
            others.setdefault((flag[0], what), []).append(flag[1])
    for key in sorted(refused - expected):
        others.setdefault((REJECTED, NOT_PLANTED), []).append({key})
    return [
        Row(
            kind=kind,
            what=what,
            planted=0,
            found=0,
            found_first=0,
            also_raised=len(about),
            missed=(),
            examples=_examples(about),
        )
        for (kind, what), about in others.items()
    ]


def _examples(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    shown = list(groups)[:EXAMPLES_SHOWN]
    return tuple(" ".join(sorted(keys)[:EXAMPLES_SHOWN]) for keys in shown)
