"""What is left of an item whose person withdrew consent: counts stay true, nothing tells of them.

The key may hold a name, so a digest takes its place. Frozen manifests keep their lines, else
their digests could not be recomputed; whoever reads them through a version reads tombstones.
"""

import hashlib
import re
from collections.abc import Callable, Collection
from typing import Any

from labeling.models import Content, Item
from labeling.models.items import WITHDRAWN

REASON = "consent withdrawn"
KEY_START = "withdrawn-"
DIGEST_CHARACTERS = 32  # 128 bits: no two keys of a dataset meet


def tombstone_key(dataset_id: int, key: str) -> str:
    """Return what stands in the place of a key; a tombstone's own key stays as it is."""
    if key.startswith(KEY_START):
        return key
    told = hashlib.sha256(f"{dataset_id}/{key}".encode()).hexdigest()
    return KEY_START + told[:DIGEST_CHARACTERS]


def keys_of(dataset_id: int) -> set[str]:
    """Return the keys of a dataset's tombstones."""
    rows = Item.objects.filter(dataset_id=dataset_id, withdrawn_at__isnull=False)
    rows = rows.order_by("key")  # else SQLite reads every item instead of the index of tombstones
    return {tombstone_key(dataset_id, key) for key in rows.values_list("key", flat=True)}


def which_of(dataset_id: int, keys: Collection[str]) -> set[str]:
    """Return those of the keys whose items were withdrawn."""
    gone = keys_of(dataset_id)
    return {key for key in keys if tombstone_key(dataset_id, key) in gone} if gone else set()


def masked(line: dict[str, Any], *, dataset: int, gone: Collection[str]) -> dict[str, Any]:
    """Return a manifest's line as it may still be read."""
    key = tombstone_key(dataset, line["key"])
    if key not in gone:
        return line
    told = {"key": key, "sha256": WITHDRAWN, "group": "", "captured_at": None}
    return {**line, **told, "metadata": {"consent": "withdrawn"}}


def redacted(value: Any, *, dataset: int, gone: Collection[str]) -> Any:
    """Return what history kept as JSON with the keys of tombstones in place of the items'."""

    def told(text: str) -> str:
        key = tombstone_key(dataset, text)
        return key if key in gone else text

    return _retold(value, told)


def unnamed(value: Any, *, dataset: int, names: Collection[str]) -> Any:
    """Return what history kept as JSON with digests in place of names, also within sentences."""
    longest_first = sorted(names, key=len, reverse=True)  # one may be the beginning of another

    def told(text: str) -> str:
        for name in longest_first:
            if name in text:
                whole = rf"(?<!\w){re.escape(name)}(?!\w)"
                text = re.sub(whole, tombstone_key(dataset, name), text)
        return text

    return _retold(value, told)


def _retold(value: Any, told: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return told(value)
    if isinstance(value, list):
        return [_retold(one, told) for one in value]
    if isinstance(value, dict):
        return {name: _retold(one, told) for name, one in value.items()}
    return value


def content() -> Content:
    """Return the one content that all tombstones share."""
    made = {"type": "withdrawn", "mime": "text/plain", "size": 0}
    row, _ = Content.objects.get_or_create(sha256=WITHDRAWN, defaults=made)
    return row
