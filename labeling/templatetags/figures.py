"""Filters that write numbers the way every page does: real minus, fixed figures, no locale."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import floor

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe

register = template.Library()

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
SECONDS_A_MINUTE = 60
MINUTES_AN_HOUR = 60
LEAST_CHANCE = 0.001  # three figures say no less
WHOLE_SECONDS_FROM = 10.0  # s; below it one decimal still says something
# Upper bounds of the share of a row for the steps m1 to m6, chosen so that the pictures'
# matrices keep their steps; above the last one is m7.
MATRIX_BOUNDS = (0.05, 0.12, 0.25, 0.35, 0.50, 0.75)
# Upper bounds of |change| / largest |change| for the steps b1 or w1 to b3 or w3.
DIFFERENCE_BOUNDS = (0.25, 0.50, 0.80)
MINUTE, HOUR, DAY = 60, 3600, 86400  # s
UNITS = (("day", DAY), ("hour", HOUR), ("minute", MINUTE))
MOST_DAYS = 14  # that a moment is told by how long ago it was
MOMENTS = {"minute": "%Y-%m-%d %H:%M", "second": "%Y-%m-%d %H:%M:%S"}

Number = float | int | None


def _step(amount: float, bounds: tuple[float, ...]) -> int:
    return 1 + sum(amount > bound for bound in bounds)


@register.filter
def decimals(number: Number, places: int = 1) -> str:
    """`-3.14` becomes `−3.1`; a rounded zero has no sign."""
    if number is None:
        return NOTHING
    written = f"{abs(number):.{int(places)}f}"
    is_zero = not float(written)
    return written if number >= 0 or is_zero else MINUS + written


@register.filter
def signed(number: Number, places: int = 1) -> str:
    """`2` becomes `+2.0`, zero stays without a sign."""
    written = decimals(number, places)
    if number is None or number <= 0 or not float(written):
        return written
    return f"+{written}"


@register.filter
def share(number: Number) -> str:
    """A share of one with three figures: `.657`."""
    written = decimals(number, 3)
    return written.replace("0.", ".", 1) if written.lstrip(MINUS).startswith("0.") else written


@register.filter
def chance(p_value: Number) -> str:
    """What follows the p of a test: `= .012`, `< .001`."""
    if p_value is not None and p_value < LEAST_CHANCE:
        return f"< {share(LEAST_CHANCE)}"
    return f"= {share(p_value)}"


@register.filter
def points(number: Number) -> str:
    """A difference of shares in percentage points: `0.0402` becomes `+4.0`."""
    return signed(None if number is None else number * 100, 1)


@register.filter
def breakable(name: str) -> str:
    """A class name that may break after `_`, `-`, `/` and `.`, so that no letter stands alone."""
    parts = re.split(r"(?<=[_\-/.])(?=\w)", str(name))
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in parts))


@register.filter
def svg(number: Number) -> str:
    """A number as an attribute of an SVG mark, with a point in every language."""
    return f"{number or 0:.6g}"


@register.filter
def minus(number: Number, other: Number) -> float:
    return float(number or 0) - float(other or 0)


@register.filter
def plus(number: Number, other: Number) -> float:
    return float(number or 0) + float(other or 0)


@register.filter
def times(number: Number, factor: Number) -> float:
    return float(number or 0) * float(factor or 0)


@register.filter
def at_least(number: Number, bound: Number) -> float:
    """A mark kept inside of a scale that begins at `bound`."""
    return max(float(number or 0), float(bound or 0))


@register.filter
def matrix_step(share_of_row: Number) -> str:
    """Class of a confusion matrix cell, `m1` to `m7`, or `zero`."""
    return f"m{_step(share_of_row, MATRIX_BOUNDS)}" if share_of_row else "zero"


@register.filter
def difference_step(change: Number, largest: Number) -> str:
    """Class of a cell of the difference matrix: `b1` to `b4` better, `w1` to `w4` worse."""
    if not change or not largest:
        return "zero"
    return f"{'b' if change > 0 else 'w'}{_step(abs(change) / abs(largest), DIFFERENCE_BOUNDS)}"


@register.filter
def minutes(seconds: Number) -> str:
    """A length of time as people say it: `5.8 s`, `34 min`, `2 h 5 min`."""
    if seconds is None:
        return NOTHING
    if seconds < SECONDS_A_MINUTE:
        return f"{seconds:.{0 if seconds >= WHOLE_SECONDS_FROM or not seconds else 1}f} s"
    whole = round(seconds / SECONDS_A_MINUTE)
    hours, rest = divmod(whole, MINUTES_AN_HOUR)
    return f"{hours} h {rest} min" if hours else f"{whole} min"


@register.filter(expects_localtime=True)
def moment(at: datetime, detail: str = "minute") -> str:
    """A moment to the minute or second, or in full as machines read it.

    Django's own `date` is not used because lists show three of these in each row: it takes ten
    times as long, a tenth of such a page.
    """
    return at.isoformat() if detail == "full" else f"{at:{MOMENTS[detail]}}"


@register.filter
def ago(at: datetime, now: datetime | None = None) -> str:
    """How long ago, in the words that the page's script writes anew as time passes (app.js).

    Written here too, because words that come after the page was painted move what is beside them.

    >>> ago(datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 13, 40, tzinfo=UTC))
    '2 hours ago'
    """
    seconds = (at - (now or datetime.now(UTC))).total_seconds()
    if abs(seconds) < MINUTE:
        return "now"
    if abs(seconds) >= MOST_DAYS * DAY:
        return f"{at.astimezone(UTC):%Y-%m-%d}"
    name, size = next(unit for unit in UNITS if abs(seconds) >= unit[1])
    n = floor(seconds / size + 0.5)  # as Math.round
    if name == "day" and abs(n) == 1:
        return "tomorrow" if n > 0 else "yesterday"
    words = f"{abs(n)} {name}{'' if abs(n) == 1 else 's'}"
    return f"in {words}" if n > 0 else f"{words} ago"


@register.filter
def of(named: Mapping[str, str], name: str) -> str:
    """What stands under a name in a mapping, or nothing."""
    return named.get(name, "")


@register.filter
def initials(name: object) -> str:
    """At most two letters for the round mark of a person."""
    words = str(name).replace(".", " ").replace("_", " ").replace("-", " ").split()
    letters = [word[0] for word in words[:2]] if len(words) > 1 else list(str(name)[:2])
    return "".join(letters).upper()


@register.filter
def spaced(code: str) -> str:
    """Return a code as words: wrong_extension -> wrong extension."""
    return code.replace("_", " ")
