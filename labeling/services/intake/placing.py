"""What a path inside an import says: its key, its split and its class."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from labeling.models import Split

_SPLIT_WORDS = {
    Split.TRAIN: "train training trn",
    Split.VALIDATION: "validation valid val dev development",
    Split.TEST: "test testing tst eval evaluation holdout heldout",
}
SPLIT_OF_WORD = {
    word: str(split) for split, words in _SPLIT_WORDS.items() for word in words.split()
}
NO_SPLIT_WORDS = frozenset({"", "none", "no", "-", "n/a", "na", "null", "unassigned"})
UNLABELLED = frozenset({"unlabelled", "unlabeled", "unsorted", "unsup", "no_label"})
JUNK_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})


@dataclass(frozen=True)
class Place:
    """Where a member stands: `label` None when its path names no class."""

    key: str
    split: str
    label: str | None


def plain_name(name: str) -> str:
    """Return a path as keys are written: forward slashes, composed letters, no leading './'.

    >>> plain_name("./a//b.png")
    'a/b.png'
    """
    parts = unicodedata.normalize("NFC", name.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def is_outside(name: str) -> bool:
    """Tell whether a path would leave the folder that it is meant for.

    >>> [is_outside(name) for name in ("../a.png", "/etc/passwd", "C:\\\\a.png", "a/b.png")]
    [True, True, True, False]
    """
    slashed = name.replace("\\", "/")
    drive = len(slashed) > 1 and slashed[1] == ":" and slashed[0].isalpha()
    return drive or slashed.startswith("/") or ".." in slashed.split("/")


def is_junk(name: str) -> bool:
    """Tell whether an operating system put a file there for itself.

    >>> [is_junk(name) for name in ("__MACOSX/cat/._1.jpg", "cat/.DS_Store", "cat/1.jpg")]
    [True, True, False]
    """
    parts = name.casefold().split("/")
    hidden = [part for part in parts if part.startswith(".") and part not in (".", "..")]
    return bool(hidden) or not JUNK_NAMES.isdisjoint(parts)


def split_named(word: str) -> str:
    """Return the split that a word means; empty when it means none.

    >>> split_named("Val"), split_named("cats")
    ('validation', '')
    """
    return SPLIT_OF_WORD.get(word.strip().casefold(), "")


def natural(name: str) -> tuple[int, int, str, str]:
    """Return the key by which names are sorted: numbers first, as numbers."""
    number = int(name) if name.isascii() and name.isdigit() else None
    return (number is None, number or 0, name.casefold(), name)


def top_folder(names: Iterable[str], *, classes: Iterable[str] = ()) -> str:
    """Return the one folder that everything lies in, with its slash, if it says nothing itself.

    A folder that is a split, a known class or "unlabelled" does say something and stays.

    >>> top_folder(["pets/cat/1.png", "pets/dog/2.png"])
    'pets/'
    >>> top_folder(["train/cat/1.png", "train/dog/2.png"])
    ''
    """
    tops = {name.split("/", 1)[0] if "/" in name else "" for name in names}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    known = {name.casefold() for name in classes} | UNLABELLED
    says_something = not top or split_named(top) or top.casefold() in known
    return "" if says_something else f"{top}/"


def place(key: str) -> Place:
    """Read split and class from the folders of a key.

    >>> place("train/cat/close/1.png")
    Place(key='train/cat/close/1.png', split='train', label='cat')
    >>> place("unlabelled/1.png").label is None
    True
    """
    folders = key.split("/")[:-1]
    split = split_named(folders[0]) if folders else ""
    if split:
        folders.pop(0)
    label = folders[0].strip() if folders else None
    if not label or label.casefold() in UNLABELLED:
        return Place(key, split, None)
    return Place(key, split, label)
