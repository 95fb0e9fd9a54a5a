"""The pairs of copies that the last check of a dataset found: one file, whole or absent.

It names items by id and holds nothing of what is in them; in which splits they stand is asked
of the database, so that a matrix of splits is right after items have moved.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from labeling import shards
from mlcore.duplicates import Pair

DIGITS = 4  # of a score
FILES_KEPT = 2  # as read: 1 MB each with 5,000 pairs


def save_pairs(dataset: int, pairs: Sequence[Pair], *, ids: Sequence[int]) -> None:
    """Replace what was found before; rows of the pairs are places in `ids`."""
    told = [
        [ids[pair.first], ids[pair.second], round(pair.score, DIGITS), pair.evidence]
        for pair in pairs
    ]
    shards.save_text(_path(dataset), json.dumps(told))


def load_pairs(dataset: int) -> tuple[Pair, ...] | None:
    """Return the pairs by ids of items, without words; None where nothing was compared yet."""
    told = read_pairs(dataset)
    return None if told is None else _pairs_in(told)


@lru_cache(maxsize=FILES_KEPT)
def _pairs_in(told: bytes) -> tuple[Pair, ...]:
    return tuple(
        Pair(*((one, other) if one < other else (other, one)), score, evidence, "")
        for one, other, score, evidence in json.loads(told)
    )


def read_pairs(dataset: int) -> bytes | None:
    """Return the file as it is."""
    try:
        return _path(dataset).read_bytes()
    except FileNotFoundError:
        return None


def remove_pairs(dataset: int) -> None:
    """Remove what was found about a dataset."""
    _path(dataset).unlink(missing_ok=True)


def _path(dataset: int) -> Path:
    return Path(settings.DATA_DIR) / "copies" / f"{dataset}.json"
