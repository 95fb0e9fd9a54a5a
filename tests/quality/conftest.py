"""Fixtures of the tests about what machines doubt and people decide."""

import pytest

from mlcore import protocols
from quality.queries import facts


@pytest.fixture(autouse=True)
def folds_are_dealt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train five heads a run instead of fifteen: tests' sets are small, and dealt anew thrice."""
    monkeypatch.setattr(protocols, "SHUFFLES", 1)


@pytest.fixture(autouse=True)
def no_facts_of_tests_before() -> None:
    """Forget the facts of the test before: ids come again, with others."""
    facts.forget()
