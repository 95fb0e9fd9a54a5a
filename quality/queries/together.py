"""Which items share a copy or a source with what is learned from."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labeling.models import Dataset, Item
from labeling.queries.by_hand import rows_of
from mlcore.copy_sets import joined
from mlcore.duplicates import Pair
from mlcore.leakage import have_counterparts
from quality.queries.filters import one_of


@dataclass(frozen=True)
class Paired:
    """The items of pairs that are there now, rising by id, and the pairs among them.

    `first` and `second` are places among the items. As objects of Python's, 10,000 items took a
    third of the first look at a report (bench/pages.py).
    """

    ids: np.ndarray
    splits: np.ndarray
    sources: np.ndarray
    first: np.ndarray
    second: np.ndarray
    scores: np.ndarray
    evidence: np.ndarray

    @property
    def pairs(self) -> list[Pair]:
        columns = (self.first, self.second, self.scores, self.evidence)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [Pair._make((*row, "")) for row in rows]

    def counts(self, splits: Sequence[str]) -> Counter[tuple[str, str, str]]:
        """Count items by evidence, their split and that of a counterpart."""
        found = Counter[tuple[str, str, str]]()
        stand = self.splits[:, None] == np.array(splits)
        for kind in np.unique(self.evidence).tolist():
            among = self.evidence == kind
            have = have_counterparts(self.first[among], self.second[among], stand, evidence=kind)
            for split, row in zip(splits, (stand.T.astype(int) @ have).tolist(), strict=True):
                found.update({(kind, split, splits[n]): count for n, count in enumerate(row)})
        return found

    def leaked(
        self,
        sources: Mapping[str, Mapping[str, int]],
        *,
        split: str,
        learned: Collection[str],
    ) -> int:
        """Count the items of a split that share a copy or a source with what is learned from.

        `sources` holds how many items of each split a source has. A source that is not learned
        from leaks none of its other items because one of them is a copy.
        """
        torn = {
            name
            for name, counts in sources.items()
            if split in counts and any(one in counts for one in learned)
        }
        root = joined(len(self.ids), self.first, self.second)
        of_learned = np.unique(root[np.isin(self.splits, list(learned))])
        copies = self.sources[(self.splits == split) & np.isin(root, of_learned)]
        among_copies = sum(source not in torn for source in copies.tolist())
        return among_copies + sum(sources[name][split] for name in torn)


def paired_in(dataset: Dataset, sure: Sequence[Pair]) -> Paired:
    """Return the items of pairs as they are now; one that was taken out is in no pair."""
    pairs = np.array([pair[:2] for pair in sure], np.int64).reshape(-1, 2)
    items = Item.objects.filter(one_of("pk", np.unique(pairs).tolist()), dataset=dataset)
    rows = items.filter(excluded="").order_by("pk").values_list("pk", "split", "source_group")
    columns = np.array(rows_of(rows) if sure else [], object).reshape(-1, 3).T
    ids = columns[0].astype(np.int64)
    there = np.isin(pairs, ids).all(axis=1)
    first, second = np.searchsorted(ids, pairs[there]).T
    return Paired(
        ids=ids,
        splits=columns[1].astype(np.str_),
        sources=columns[2],
        first=first,
        second=second,
        scores=np.array([pair.score for pair in sure])[there],
        evidence=np.array([pair.evidence for pair in sure], np.str_)[there],
    )
