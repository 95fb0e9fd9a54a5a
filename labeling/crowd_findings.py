"""What the last measuring of a dataset's crowd found: one file, whole or absent.

Arrays count people, items and classes in the order of the ids that lie beside them.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from labeling.shards import save_arrays


@dataclass(frozen=True)
class Findings:
    """Everything that is too heavy to work out while a page waits.

    `facts` holds `at` (ISO moment of the answers read), `method`, `why`, `answers`, `compared`
    (items with two answers or more), `known` (items whose class is known), `alpha`, `alpha_low`,
    `alpha_high`, `meaning`, `pairs` (the classes that most annotators confuse), `settled` (what
    became of items), `cohorts` (sizes of groups who read the question differently), `attribute`
    and `pull`.
    """

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.facts["at"])

    @cached_property
    def people(self) -> dict[int, int]:
        """Row of each annotator (by id)."""
        return {int(pk): row for row, pk in enumerate(self.arrays["people"])}

    @property
    def tells_who(self) -> bool:
        """Whether answers tell who is right: people agree beyond chance, or some of it is known.

        Else a consensus follows whoever always says the same as readily as who is right.
        """
        return self.facts.get("meaning") != "none" or bool(self.facts.get("known"))

    def labels_of(self, items: np.ndarray) -> np.ndarray:
        """Return the class (by id) that the crowd settles on for items (by id); 0 for none.

        None also where one person alone answered: that answer would be compared with itself.
        """
        known = self.arrays["items"]
        if not len(known):
            return np.zeros(len(items), np.int64)
        place = np.minimum(np.searchsorted(known, items), len(known) - 1)
        found: np.ndarray = np.where(known[place] == items, self.arrays["labels"][place], 0)
        return found


def _path(dataset: int) -> Path:
    return Path(settings.DATA_DIR) / "crowd" / f"{dataset}.npz"


def keep(dataset: int, found: Findings) -> None:
    """Replace what was found about a dataset (by id) before."""
    facts = np.array(json.dumps(found.facts))
    save_arrays(_path(dataset), {"facts": facts, **found.arrays})


def remove(dataset: int) -> None:
    """Remove what was found about a dataset (by id)."""
    _path(dataset).unlink(missing_ok=True)


def last(dataset: int) -> Findings | None:
    """Return what was found about a dataset (by id) last; None before the first time."""
    try:
        with np.load(_path(dataset), allow_pickle=False) as file:
            arrays = dict(file)
    except FileNotFoundError:
        return None
    return Findings(json.loads(str(arrays.pop("facts"))), arrays)
