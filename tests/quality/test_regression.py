"""The regression set: pinned on three pages, tested again by every run, test items stay sealed."""

import numpy as np
import pytest
from django.urls import reverse

from labeling.models import Role, Split
from quality import arrays
from quality.models import Decision, TestOpening
from quality.queries.judged import judged_of
from quality.queries.regression import pinned_items, retested
from quality.services import selection
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_run_page import make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def pets():
    dataset = make_dataset("pets", classes=("cat", "dog"))
    for number, (label, split) in enumerate(
        [("cat", "train"), ("cat", "train"), ("dog", "train"), ("dog", "train"), ("dog", "test")]
    ):
        make_item(dataset, f"{number}", label, split=split)
    return dataset


def pin(dataset, keys="01234"):
    chosen = dataset.items.filter(key__in=list(keys)).values_list("pk", flat=True)
    return selection.pin(selection.Selection(dataset, list(chosen), by=None))


def sealed_run(dataset, predicted):
    """A run that predicted the train items; the last letter is for the test item."""
    run = make_run(dataset, predicted)
    told = np.array(arrays.run_array(run, "probabilities"))
    told[4] = np.nan
    arrays.save_run(run, {"probabilities": told})
    return run


def told(run):
    found = retested(run, judged_of(run))
    return found and (
        found.right.n,
        found.n,
        found.newly_wrong.n,
        found.newly_right.n,
        found.sealed,
    )


def test_each_run_says_what_of_the_pinned_items_is_newly_wrong(pets):
    first = sealed_run(pets, "cddcd")
    assert told(first) is None
    pin(pets)
    assert told(first) == (2, 4, 0, 0, 0)
    second = sealed_run(pets, "dcddd")
    assert told(second) == (3, 4, 1, 2, 0)
    found = retested(second, judged_of(second))
    assert found.newly_wrong.url.endswith("?keys=0")
    assert found.other.number == 1


def test_sealed_test_items_are_pinned_and_tested_only_once_they_were_opened(pets):
    run = sealed_run(pets, "cddcc")
    with pytest.raises(selection.NothingToChangeError, match="sealed"):
        pin(pets, "4")
    pin(pets)
    assert not pinned_items(pets).filter(split=Split.TEST).exists()
    TestOpening.objects.create(dataset=pets, run=run, reason="to see")
    pin(pets)
    assert pinned_items(pets).count() == 5
    assert told(run) == (2, 4, 0, 0, 1)
    arrays.save_run(run, {"test_probabilities": np.full((5, 2), [0.9, 0.1], dtype=np.float32)})
    assert told(run) == (2, 5, 0, 0, 0)


def test_pinning_and_unpinning_are_undone_like_any_decision(pets):
    decision = pin(pets, "01")
    chosen = selection.Selection(pets, [item.pk for item in pets.items.all()], by=None)
    away = selection.unpin(chosen)
    assert not pinned_items(pets).exists()
    pin(pets, "1")  # by a colleague, before the undo
    selection.undo(away, by=None)
    assert pinned_items(pets).count() == 2
    selection.undo(decision, by=None)
    assert not pinned_items(pets).exists()
    with pytest.raises(selection.NothingToChangeError):
        selection.unpin(chosen)


def test_items_are_pinned_from_the_gallery_of_failures_browse_and_their_own_page(client, pets):
    run = sealed_run(pets, "cddcd")
    client.force_login(make_member(pets, Role.REVIEWER))
    closer = reverse("quality:run_closer", args=["pets", run.number])
    failed = pets.items.get(key="1")
    assert f'name="items" value="{failed.pk}"' in client.get(closer).content.decode()
    address = reverse("quality:selection", args=["pets"])
    back = client.post(address, {"action": "pin", "items": failed.pk, "to_run": run.number})
    assert back.url == reverse("quality:run", args=["pets", run.number])
    assert "0</b> of 1 right" in client.get(closer).content.decode().replace("\n", "")
    own = client.get(reverse("quality:item", args=["pets", failed.pk])).content.decode()
    assert 'value="unpin"' in own
    grid = client.get(reverse("quality:browse", args=["pets"])).content.decode()
    assert 'value="pin"' in grid
    by_word = {"action": "tag", "tag": " regression  set", "items": pets.items.get(key="4").pk}
    client.post(address, by_word)
    assert pinned_items(pets).count() == 1  # the test item is sealed, by whichever way
    assert Decision.objects.count() == 1
