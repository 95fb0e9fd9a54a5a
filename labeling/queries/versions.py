"""Reads about versions: the list, and what changed from one to another."""

import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from labeling import storage, version_columns
from labeling.models import Dataset, Version

VERSIONS_SHOWN = 50
LINES_A_PAGE = 100_000  # about a second of reading; the next look at the page goes on
Line = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One item that two versions hold differently, or that only one of them holds."""

    key: str
    was: Line | None
    now: Line | None

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
        return found or ["details"]  # source of the label, group, date, metadata


KINDS = (
    "relabelled", "labelled", "unlabelled", "added", "left_out", "moved", "file", "details",
)  # fmt: skip


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
    """Yield what differs, by key, as it was frozen; what is the same in both is not even parsed.

    Of people who withdrew consent since, this still tells: pages show `tombstones.masked` lines.
    """
    return merged(_lines(before), _lines(after))


def merged(olds: Iterator[bytes], news: Iterator[bytes]) -> Iterator[Change]:
    """Walk the lines of two manifests, both sorted by key, holding one of each at a time."""
    old, new = next(olds, None), next(news, None)
    while old or new:
        if old == new:
            old, new = next(olds, None), next(news, None)
            continue
        was = json.loads(old) if old else None
        now = json.loads(new) if new else None
        if was and (now is None or was["key"] < now["key"]):
            now = None
        elif now and (was is None or now["key"] < was["key"]):
            was = None
        yield Change(key=(was or now or {})["key"], was=was, now=now)
        old = next(olds, None) if was else old
        new = next(news, None) if now else new


def _lines(version: Version) -> Iterator[bytes]:
    with gzip.open(storage.path_of(version.digest)) as lines:
        yield from io.BufferedReader(lines)


def changes_between(before: Version, after: Version) -> Changes:
    """Count what differs."""
    kinds: Counter[str] = Counter()
    for change in changes_of(before, after):
        kinds.update(change.kinds)
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
            told = keep_changes(previous, version)
        return None if told is None else Changes(**told)


def keep_changes(before: Version, after: Version) -> dict[str, int]:
    """Count what differs, and keep it: two digests never give another answer."""
    told = asdict(changes_between(before, after))
    version_columns.keep_changes(before, after, told)
    return told
