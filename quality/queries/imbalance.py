"""Which class is short of items, and what to do about it, in a sentence or two."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from django.utils.translation import ngettext

from labeling.models import Split
from mlcore.shares import items_for_width

UNEVEN = 3.0  # times as many items in the largest class: below, accuracy and macro-F1 agree
RECALL, WIDTH = 0.9, 0.2  # a good class, known to 10 points either way


def imbalance_of(spread: Sequence[tuple[int | None, str, int]], names: Mapping[int, str]) -> str:
    """Say which class is shortest and how many items it wants; nothing where all are alike."""
    all_items: Counter[int] = Counter(dict.fromkeys(names, 0))
    test_items: Counter[int] = Counter(dict.fromkeys(names, 0))
    for label, split, n in spread:
        if label is not None and label in names:
            all_items[label] += n
            test_items[label] += n if split == Split.TEST else 0
    if len(names) < 2 or not all_items.total():
        return ""
    empty = [name for label, name in names.items() if not all_items[label]]
    names = {label: name for label, name in names.items() if all_items[label]}
    told = [_empty_words(empty)] if empty else []
    least = min(names, key=lambda label: (all_items[label], label))
    most = max(names, key=lambda label: (all_items[label], -label))
    if all_items[most] >= UNEVEN * all_items[least]:
        words = ngettext(
            "“%(least)s” is short: %(n)s item, “%(most)s” has %(more)s. Training already gives "
            "every class the same weight; only more items of it teach more.",
            "“%(least)s” is short: %(n)s items, “%(most)s” has %(more)s. Training already gives "
            "every class the same weight; only more items of it teach more.",
            all_items[least],
        )
        told.append(
            words
            % {
                "least": names[least],
                "n": all_items[least],
                "most": names[most],
                "more": all_items[most],
            }
        )
    if test_items.total():
        told.append(_test_words(test_items, names))
    return " ".join(told).strip()


def _empty_words(empty: Sequence[str]) -> str:
    words = ngettext(
        "“%(first)s” has no item: label some, or take the class out of use in the settings.",
        "%(n)s classes have no item, such as “%(first)s”: label some, or take them out of use in "
        "the settings.",
        len(empty),
    )
    return words % {"first": empty[0], "n": len(empty)}


def _test_words(test_items: Mapping[int, int], names: Mapping[int, str]) -> str:
    wanted = _wanted()
    short = [label for label in names if test_items[label] < wanted]
    if not short:
        return ""
    least = min(short, key=lambda label: (test_items[label], label))
    words = ngettext(
        "%(short)s class has fewer than the %(wanted)s test items by which a recall of 90 %% is "
        "known to 10 points either way; collect %(missing)s more of “%(least)s” for test.",
        "%(short)s classes have fewer than the %(wanted)s test items by which a recall of 90 %% is "
        "known to 10 points either way; collect %(missing)s more of “%(least)s” for test first.",
        len(short),
    )
    return words % {
        "short": len(short),
        "wanted": wanted,
        "missing": wanted - test_items[least],
        "least": names[least],
    }


@cache
def _wanted() -> int:
    return items_for_width(RECALL, WIDTH)
