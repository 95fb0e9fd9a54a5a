"""Reads about versions: the list, and what changed from one to another."""

import gzip
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from labeling import storage, version_columns
from labeling.models import Dataset, Split, Version
from labeling.version_columns import NONE, Differing

VERSIONS_SHOWN = 50
LINES_A_PAGE = 100_000  # about a second of reading; the next look at the page goes on
BYTES_A_READ = 2**16  # with 8 KB, as usual, an eighth of the time goes into asking for more
Line = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One item that two versions hold differently, or that only one of them holds.

    `lines` are the numbers of its lines where it was read from manifests, NONE where it has none.
    """

    key: str
    was: Line | None
    now: Line | None
    lines: tuple[int, int] = (NONE, NONE)

    @property
    def kinds(self) -> list[str]:
        """What changed: added, left_out, relabelled, labelled, unlabelled, moved, file, details."""
        if self.was is None or self.now is None:
            return ["added" if self.was is None else "left_out"]
        was, now, found = self.was, self.now, []
        if was["label"] != now["label"]:
            found.append(_label_kind(was["label"], now["label"]))
        if was["split"] != now["split"]:
            found.append("moved")
        if was["sha256"] != now["sha256"]:
            found.append("file")
        return found or ["details"]

    @property
    def details(self) -> list[str]:
        """What of the details differs."""
        was, now = self.was or {}, self.now or {}
        return [name for name in DETAILS if was.get(name) != now.get(name)]


KINDS = (
    "relabelled", "labelled", "unlabelled", "added", "left_out", "moved", "file", "details",
)  # fmt: skip
DETAILS = ("source", "group", "captured_at", "metadata")  # source of the label, that of the item
MARKS = (*KINDS, *DETAILS)  # the place of each is its bit in files: add at the end alone


def _label_kind(was: str | None, now: str | None) -> str:
    if was is None:
        return "labelled"
    return "unlabelled" if now is None else "relabelled"


@dataclass(frozen=True)
class Changes:
    """What changed from one version to the next, in items."""

    added: int = 0
    gone: int = 0
    relabelled: int = 0
    moved: int = 0
    corrected: int = 0  # of those relabelled: had another label before

    def __bool__(self) -> bool:
        return bool(self.added or self.gone or self.relabelled or self.moved)


def versions_of(dataset: Dataset) -> list[Version]:
    """The newest versions, newest first, with who froze them."""
    rows = dataset.versions.select_related("created_by").order_by("-number")
    return list(rows[: VERSIONS_SHOWN + 1])


def changes_of(before: Version, after: Version) -> Iterator[Change]:
    """Yield what differs, by key, as it was frozen; what is the same in both is not even parsed."""
    return merged(_lines(before), _lines(after))


def merged(olds: Iterator[bytes], news: Iterator[bytes]) -> Iterator[Change]:
    """Walk the lines of two manifests, both sorted by key, holding one of each at a time."""
    numbered_old, numbered_new, end = enumerate(olds), enumerate(news), (NONE, b"")
    (row, old), (place, new) = next(numbered_old, end), next(numbered_new, end)
    while old or new:
        if old == new:
            (row, old), (place, new) = next(numbered_old, end), next(numbered_new, end)
            continue
        was = json.loads(old) if old else None
        now = json.loads(new) if new else None
        if was and (now is None or was["key"] < now["key"]):
            now = None
        elif now and (was is None or now["key"] < was["key"]):
            was = None
        lines = (row if was else NONE, place if now else NONE)
        yield Change((was or now or {})["key"], was, now, lines)
        row, old = next(numbered_old, end) if was else (row, old)
        place, new = next(numbered_new, end) if now else (place, new)


def _lines(version: Version) -> Iterator[bytes]:
    with gzip.open(storage.path_of(version.digest)) as lines:
        yield from io.BufferedReader(lines, BYTES_A_READ)


@dataclass(frozen=True)
class Counts:
    """How many items two versions hold differently, by kind, and what each class gained by it."""

    total: int
    kinds: dict[str, int]
    test_items: int
    classes: list[dict[str, Any]]  # name, won, lost


def counts_between(before: Version, after: Version) -> Counts:
    """Count what differs; read from the manifests once, since digests stay what they are."""
    told = version_columns.kept_changes(before, after)
    return keep_changes(before, after) if told is None else Counts(**told)


def keep_changes(before: Version, after: Version) -> Counts:
    """Note and count what differs, and keep it: two digests never give another answer."""
    rows: list[tuple[int, int, int]] = []
    found = _counted(changes_of(before, after), rows)
    lines = version_columns.differing_from(rows)
    version_columns.keep_changes(before, after, asdict(found), lines=lines)
    return found


def lines_between(before: Version, after: Version) -> Differing:
    """Return in which lines versions differ: no manifest is read where it was kept."""
    found = version_columns.kept_lines(before, after)
    if found is None:
        keep_changes(before, after)
        found = version_columns.kept_lines(before, after)
    assert found
    return found


def are_of(kinds: Iterable[str], lines: Differing) -> np.ndarray:
    """Tell of each change whether it is of one of these kinds."""
    return np.asarray(lines.what & sum(_bit(kind) for kind in kinds) != 0)


def marks_of(what: int) -> list[str]:
    """Return the names of the bits of one change."""
    return [mark for mark in MARKS if what & _bit(mark)]


def _bit(mark: str) -> int:
    return 1 << MARKS.index(mark)


def _counted(changes: Iterator[Change], rows: list[tuple[int, int, int]]) -> Counts:
    kinds, won, lost = Counter[str](), Counter[str](), Counter[str]()
    total = test_items = 0
    for change in changes:
        total += 1
        rows.append((*change.lines, sum(map(_bit, (*change.kinds, *change.details)))))
        kinds.update(change.kinds)
        lines = (change.was or {}, change.now or {})
        test_items += Split.TEST in {line.get("split") for line in lines}
        was, now = (line.get("label") for line in lines)
        if was != now:
            lost[was or ""] += 1
            won[now or ""] += 1
    names = sorted((won.keys() | lost.keys()) - {""})
    classes = [{"name": name, "won": won[name], "lost": lost[name]} for name in names]
    return Counts(total, dict(kinds), test_items, classes)


def _in_short(counts: Counts) -> Changes:
    kinds = Counter(counts.kinds)
    return Changes(
        added=kinds["added"],
        gone=kinds["left_out"],
        relabelled=kinds["relabelled"] + kinds["labelled"] + kinds["unlabelled"],
        moved=kinds["moved"],
        corrected=kinds["relabelled"],
    )


class Comparing:
    """Compares neighbours, at most LINES_A_PAGE lines that no earlier page has compared."""

    def __init__(self) -> None:
        self.left = LINES_A_PAGE

    def of(self, previous: Version | None, version: Version) -> Changes | None:
        """What changed; None for the first version, and where no lines are left to read."""
        if previous is None:
            return None
        told = version_columns.kept_changes(previous, version)
        if told is None and self.left > 0:
            self.left -= previous.items + version.items
            return _in_short(keep_changes(previous, version))
        return None if told is None else _in_short(Counts(**told))
