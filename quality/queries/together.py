"""What hangs together through copies and sources, as every run keeps it together."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from labeling.models import Dataset, Item
from mlcore.copy_sets import copy_sets
from mlcore.duplicates import Pair
from mlcore.folds import join_groups
from quality.queries.filters import one_of

Group = Counter[str]


def groups_of(
    dataset: Dataset, sure: Sequence[Pair], *, sources: Mapping[str, Mapping[str, int]]
) -> list[Group]:
    """Count the items of each group by split; `sources` holds how many each source has.

    Two items are of one group through a third one, too: so do folds and proposed splits go by it.
    """
    ids = sorted({pk for pair in sure for pk in (pair.first, pair.second)})
    found = Item.objects.filter(one_of("pk", ids), dataset=dataset, excluded="").order_by("pk")
    copied = list(found.values_list("pk", "split", "source_group")) if ids else []
    place = {pk: row for row, (pk, *_rest) in enumerate(copied)}
    pairs = [
        Pair(place[pair.first], place[pair.second], pair.score, pair.evidence, "")
        for pair in sure
        if pair.first in place and pair.second in place
    ]
    set_of: list[int | None] = [None] * (len(copied) + len(sources))
    for number, rows in enumerate(copy_sets(len(copied), pairs) if pairs else ()):
        for row in rows:
            set_of[row] = number
    names = [group or None for _pk, _split, group in copied] + list(sources)
    counts = [Group() if group in sources else Group([split]) for _pk, split, group in copied]
    counts += [Group(dict(held)) for held in sources.values()]
    groups = [Group() for _row in counts]
    for number, counted in zip(join_groups(names, set_of).tolist(), counts, strict=True):
        groups[number] += counted
    return groups


def leaked(groups: Iterable[Group], split: str, *, learned: Iterable[str]) -> int:
    """Count the items of a split that share a copy or a source with what is learned from."""
    from_these = list(learned)
    return sum(group[split] for group in groups if any(group[one] for one in from_these))
