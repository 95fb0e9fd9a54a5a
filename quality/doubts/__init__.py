"""What the checks find in a survey, before it is a flag."""

from dataclasses import dataclass, field
from typing import Any


class CannotRunError(Exception):
    """A detector lacks what it needs; the words say what."""


@dataclass(frozen=True)
class Doubt:
    """What a detector found, before it is a flag. `rows` are rows of the survey."""

    rows: tuple[int, ...]
    score: float
    reason: str
    roles: tuple[str, ...] = ()
    topic: str = ""
    given: str = ""
    suggested: str = ""
    is_likely: bool = True
    evidence: dict[str, Any] = field(default_factory=dict)
