"""Which item a line of a table means: the one of its key, of its file name, or of its text."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from labeling.models import Dataset, Item
from labeling.services.intake.manifest import ByName
from labeling.services.intake.placing import plain_name
from labeling.services.intake.tables import Table

BY_KEY, BY_NAME, BY_TEXT = "key", "name", "text"


@dataclass(frozen=True)
class Found:
    """An item, and what told it."""

    pk: int
    how: str


class ItemsNamed:
    """The items of a dataset by what the columns `item` and `text` of a table call them."""

    def __init__(self, dataset: Dataset, table: Table, columns: Mapping[str, str]) -> None:
        self.names = _by_name(dataset, table, columns["item"]) if "item" in columns else None
        self.texts = _by_text(dataset) if "text" in columns else {}

    def find(self, cells: Mapping[str, str]) -> Found | tuple[str, str]:
        """Return the item that a line means, or why none; a key goes before a text."""
        name, text = plain_name(cells.get("item", "")), cells.get("text", "")
        called = self.names.find(name) if self.names and name else None
        alike = self.texts.get(_plain(text), []) if text else []
        if self.names and called is not None:
            if text and called not in alike:
                return ("other_text", _other_text(name, text))
            return Found(called, BY_KEY if name in self.names.by_path else BY_NAME)
        if len(alike) == 1:
            return Found(alike[0], BY_TEXT)
        if alike:
            return ("several_items", _several(text, len(alike)))
        if text:
            return ("unknown_text", f"No item has the text {_short(text)!r}: import it first.")
        return (
            "unknown_item",
            f"There is no item {name[:200]!r}: import it first, or write its key as Browse"
            " shows it.",
        )


def _by_name(dataset: Dataset, table: Table, column: str) -> ByName[int]:
    """Return items by what the table calls them: by key, else by a file name without its folder.

    A file name that the table has in two folders, or that two items share, names none.
    """
    found = ByName(Item.objects.filter(dataset=dataset).values_list("key", "pk"))
    called = {plain_name(row.cells.get(column, "")) for row in table.rows}
    folders = Counter(PurePosixPath(name).name for name in called if "/" in name)
    for name, n in folders.items():
        if n > 1:
            found.by_name.pop(name, None)
    return found


def _by_text(dataset: Dataset) -> dict[str, list[int]]:
    there = Item.objects.filter(dataset=dataset, withdrawn_at=None)
    found: dict[str, list[int]] = {}
    for pk, text in there.values_list("pk", "content__text").iterator(chunk_size=1_000):
        found.setdefault(_plain(text), []).append(pk)
    return found


def _plain(text: str) -> str:
    """Return a text but for its spaces and line ends, which tables change."""
    return " ".join(text.split())


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def _several(text: str, n: int) -> str:
    return (
        f"{n} items have the text {_short(text)!r}: say which is meant by its key, in a column"
        " `item`."
    )


def _other_text(name: str, text: str) -> str:
    return (
        f"Item {name[:200]!r} has another text than {_short(text)!r}. Where keys of another tool"
        " stand in that column, leave it out; where the texts do, leave those out."
    )
