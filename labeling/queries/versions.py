"""Reads about versions: the list, and what changed from one to the next."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labeling.models import Dataset, Version
from labeling.models.items import WITHDRAWN

VERSIONS_SHOWN = 50


@dataclass(frozen=True)
class Changes:
    """What changed from one version to the next, in items."""

    added: int = 0
    gone: int = 0
    relabelled: int = 0
    moved: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.gone or self.relabelled or self.moved)


def versions_of(dataset: Dataset) -> list[Version]:
    """The newest versions, newest first, with who froze them."""
    rows = dataset.versions.select_related("created_by").order_by("-number")
    return list(rows[: VERSIONS_SHOWN + 1])


def changes_between(before: Iterator[dict[str, Any]], after: Iterator[dict[str, Any]]) -> Changes:
    """Compare two manifests, both sorted by key, holding one line of each at a time."""
    added = gone = relabelled = moved = 0
    withdrawn: Counter[str] = Counter()  # lines without their keys: out of order, counted apart
    before, after = _without(before, withdrawn, "before"), _without(after, withdrawn, "after")
    old, new = next(before, None), next(after, None)
    while old or new:
        if old is None or (new is not None and new["key"] < old["key"]):
            added, new = added + 1, next(after, None)
        elif new is None or old["key"] < new["key"]:
            gone, old = gone + 1, next(before, None)
        else:
            relabelled += old["label"] != new["label"]
            moved += old["split"] != new["split"]
            old, new = next(before, None), next(after, None)
    gone += max(0, withdrawn["before"] - withdrawn["after"])
    added += max(0, withdrawn["after"] - withdrawn["before"])
    return Changes(added, gone, relabelled, moved)


def _without(
    lines: Iterator[dict[str, Any]], withdrawn: "Counter[str]", side: str
) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line["sha256"] == WITHDRAWN:
            withdrawn[side] += 1
        else:
            yield line
