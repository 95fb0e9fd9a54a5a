"""Shares that a task card declares of metadata, one a line: `region=north: 40 %`."""

from collections import defaultdict
from typing import NamedTuple

from django.utils.translation import gettext as _

MOST_LINES = 100
ROUNDING = 1e-6  # three thirds written as 33.3333 % are a whole


class TargetShare(NamedTuple):
    """How much of production has this value in this column; above 0, at most 1."""

    column: str
    value: str
    share: float


def read_target_shares(text: str) -> list[TargetShare]:
    """Read the lines; ValueError says in words which one is not understood."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        raise ValueError(_("At most %s lines.") % MOST_LINES)
    found = [_read(line) for line in lines]
    sums: dict[str, float] = defaultdict(float)
    for target in found:
        sums[target.column] += target.share
    if len({target[:2] for target in found}) < len(found):
        raise ValueError(_("A value stands there twice."))
    for column, share in sums.items():
        if share > 1 + ROUNDING:
            words = _("The shares of “%(column)s” add up to %(share)s %%: at most 100 %%.")
            raise ValueError(words % {"column": column, "share": f"{100 * share:g}"})
    return found


def _read(line: str) -> TargetShare:
    named, _colon, told = line.rpartition(":")
    column, _sign, value = (part.strip() for part in named.partition("="))
    try:
        number = float(told.strip().removesuffix("%").replace(",", "."))
    except ValueError:
        number = 0.0
    share = number / 100 if told.strip().endswith("%") else number
    if not column or not value or not 0 < share <= 1:
        words = _("“%s” is not understood; write column=value: share, e.g. region=north: 40 %%.")
        raise ValueError(words % line[:80])
    return TargetShare(column, value, share)
