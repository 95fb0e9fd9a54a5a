"""Numbers of rows as people and programs send them; those that no row can have are none."""

from collections.abc import Iterable

from labeling.queries.by_hand import MOST_ID

MOST_DIGITS = len(str(MOST_ID))


def id_of(text: str) -> int | None:
    """Return the number of a row that a text says, if a row can have it."""
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        return None
    return int(text) if int(text) <= MOST_ID else None


def ids_of(texts: Iterable[str]) -> list[int]:
    """Return the numbers among texts, in their order."""
    return [number for number in map(id_of, texts) if number is not None]
