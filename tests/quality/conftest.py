"""Fixtures of the tests about what machines doubt and people decide."""

import pytest

from labeling.models import Dataset
from mlcore import protocols
from quality.queries import facts
from tests import factories


@pytest.fixture(autouse=True)
def folds_are_dealt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train five heads a run instead of fifteen: tests' sets are small, and dealt anew thrice."""
    monkeypatch.setattr(protocols, "SHUFFLES", 1)


@pytest.fixture(autouse=True)
def no_facts_of_tests_before() -> None:
    """Forget the facts of the test before: ids come again, with others."""
    facts.forget()


@pytest.fixture
def pets() -> Dataset:
    """Twelve cats in train, six dogs in test, two items without a label."""
    dataset = factories.make_dataset("pets")
    for n in range(12):
        factories.make_item(dataset, f"train/cat-{n:02}.png", "cat", split="train")
    for n in range(6):
        factories.make_item(dataset, f"test/dog-{n:02}.png", "dog", split="test")
    for n in range(2):
        factories.make_item(dataset, f"new-{n}.png", metadata={"camera": "Größe 7"})
    return dataset
