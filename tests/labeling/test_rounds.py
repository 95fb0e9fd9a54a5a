"""Rounds: items are handed out, answered, counted and settled, each exactly as wanted."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.models import (
    Annotation,
    Annotator,
    Claim,
    Dataset,
    Item,
    LabelClass,
    LabelSource,
    Round,
    RoundItem,
    RoundItemState,
)
from labeling.queries import rounds as queries
from labeling.services import labels
from labeling.services.annotations import (
    ClientIdUsedError,
    NotInRoundError,
    Recorded,
    annotator_for,
    record_annotation,
    return_skipped,
    withdraw_annotation,
)
from labeling.services.rounds import (
    LEASE,
    NothingToAskError,
    claim_items,
    free_expired_claims,
    make_round,
)
from tests import factories
from tests.factories import make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def make_asking(
    items: int = 3, *, wanted: int = 1, kind: str = "classify", dataset: Dataset | None = None
) -> Round:
    dataset = dataset or make_dataset()
    label = "cat" if kind == "verify" else None
    asked = [make_item(dataset, label=label).pk for _ in range(items)]
    return make_round(dataset=dataset, name="first", kind=kind, items=asked, answers_wanted=wanted)


def make_annotator(asking: Round) -> Annotator:
    return annotator_for(dataset=asking.dataset, user=make_member(asking.dataset, "annotator"))


def answer(
    asking: Round, item: Item, annotator: Annotator, said: str = "cat", **fields: object
) -> Recorded:
    label = LabelClass.objects.filter(dataset=asking.dataset, name=said).first()
    given: dict[str, object] = {"answer": "class" if label else said, "label": label}
    given |= {"client_id": uuid.uuid4(), "now": NOW, **fields}
    return record_annotation(round=asking, item=item.pk, annotator=annotator, **given)  # type: ignore[arg-type]


def claim(asking: Round, annotator: Annotator, count: int = 1) -> list[Item]:
    rows = claim_items(round=asking, annotator=annotator, count=count, now=NOW)
    return [row.item for row in rows]


def row_of(item: Item) -> RoundItem:
    return RoundItem.objects.get(item=item)


# ---- making ----


def test_a_round_asks_in_the_order_given_and_each_item_once():
    dataset = make_dataset()
    first, second = make_item(dataset), make_item(dataset)
    asking = factories.make_asking(dataset, [second, first, second], answers_wanted=2)
    rows = list(asking.round_items.order_by("position").values_list("item_id", "wanted"))
    assert rows == [(second.pk, 2), (first.pk, 2)]


def test_excluded_and_foreign_items_are_not_asked_about():
    dataset, other = make_dataset(), make_dataset()
    kept, foreign = make_item(dataset), make_item(other)
    excluded = make_item(dataset, excluded="blank")
    asking = factories.make_asking(dataset, [kept, excluded, foreign])
    assert list(asking.round_items.values_list("item_id", flat=True)) == [kept.pk]


def test_a_verify_round_needs_labels_to_verify():
    dataset = make_dataset()
    item = make_item(dataset)
    with pytest.raises(NothingToAskError):
        make_round(dataset=dataset, name="r", kind="verify", items=[item.pk], answers_wanted=1)


def test_unlabelled_items_are_asked_in_a_shuffled_order_that_repeats():
    dataset = make_dataset()
    ids = [make_item(dataset).pk for _ in range(30)]
    make_item(dataset, label="cat")
    asked = queries.items_to_ask(dataset, which="unlabelled")
    assert asked != ids
    assert sorted(asked) == ids
    assert asked == queries.items_to_ask(dataset, which="unlabelled")


def test_items_named_by_key_keep_their_order():
    dataset = make_dataset()
    a, b = make_item(dataset, "a"), make_item(dataset, "b")
    assert queries.items_to_ask(dataset, which="keys", keys=["b", "no", "a"]) == [b.pk, a.pk]


# ---- answers ----


def test_the_same_client_id_is_one_answer():
    asking = make_asking(1, wanted=2)
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    same = uuid.uuid4()
    outcomes = [answer(asking, item, one, client_id=same).outcome for _ in range(2)]
    assert outcomes == ["counted", "counted"]
    assert Annotation.objects.count() == 1
    assert row_of(item).taken == 1


def test_a_client_id_of_another_answer_is_refused():
    asking = make_asking(2)
    one = make_annotator(asking)
    first, second = claim(asking, one, 2)
    same = uuid.uuid4()
    answer(asking, first, one, client_id=same)
    with pytest.raises(ClientIdUsedError):
        answer(asking, second, one, client_id=same)
    assert Claim.objects.count() == 1


def test_an_item_of_no_round_is_refused():
    asking = make_asking(1)
    with pytest.raises(NotInRoundError):
        answer(asking, make_item(asking.dataset), make_annotator(asking))


def test_a_late_answer_counts_while_its_place_is_free():
    asking = make_asking(1)
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    free_expired_claims(now=NOW + LEASE * 2)
    assert answer(asking, item, one).outcome == "counted"
    assert row_of(item).taken == 1


def test_a_late_answer_is_kept_as_surplus_when_the_place_was_taken():
    asking = make_asking(1)
    one, two = make_annotator(asking), make_annotator(asking)
    (item,) = claim(asking, one)
    free_expired_claims(now=NOW + LEASE * 2)
    claim(asking, two)
    assert answer(asking, item, one, "dog").outcome == "surplus"
    assert answer(asking, item, two, "cat").outcome == "counted"
    item.refresh_from_db()
    assert item.label is not None
    assert item.label.name == "cat"
    assert Annotation.objects.count() == 2


def test_a_second_answer_of_a_person_is_kept_but_the_first_counts():
    asking = make_asking(1, wanted=3)
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    answer(asking, item, one, "cat")
    assert answer(asking, item, one, "dog").outcome == "repeated"
    assert row_of(item).taken == 1
    assert Annotation.objects.filter(withdrawn_at=None).get().label.name == "cat"


def test_a_skip_gives_the_place_to_somebody_else():
    asking = make_asking(1)
    one, two = make_annotator(asking), make_annotator(asking)
    (item,) = claim(asking, one)
    assert answer(asking, item, one, "skip").outcome == "skipped"
    assert claim(asking, one) == []
    assert claim(asking, two) == [item]


def test_what_was_skipped_can_be_asked_for_again():
    asking = make_asking(1)
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    answer(asking, item, one, "skip")
    assert return_skipped(round=asking, annotator=one, now=NOW) == 1
    assert claim(asking, one) == [item]


# ---- settling ----


@pytest.mark.parametrize(
    ("said", "state", "label", "confidence"),
    [
        (["cat"], "settled", "cat", 1.0),
        (["unsure"], "disputed", None, None),
        (["unusable"], "disputed", None, None),
        (["cat", "cat", "dog"], "settled", "cat", 2 / 3),
        (["cat", "dog"], "disputed", None, None),
        (["cat", "cat", "unsure", "unusable"], "disputed", None, None),
        (["unsure", "dog", "dog"], "settled", "dog", 2 / 3),
        (["unusable", "unusable", "dog"], "disputed", None, None),
    ],
)
def test_a_strict_majority_of_all_answers_gives_the_label(said, state, label, confidence):
    asking = make_asking(1, wanted=len(said))
    for words in said:
        one = make_annotator(asking)
        (item,) = claim(asking, one)
        assert row_of(item).state == RoundItemState.OPEN
        answer(asking, item, one, words)
    item.refresh_from_db()
    assert row_of(item).state == state
    assert (item.label.name if item.label else None) == label
    if label:
        change = item.label_changes.get()
        assert (change.source, change.confidence) == (LabelSource.CONSENSUS, confidence)


def test_a_label_given_by_review_stands():
    asking = make_asking(1)
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    dog = LabelClass.objects.get(dataset=asking.dataset, name="dog")
    labels.set_labels(labels={item.pk: dog}, source=LabelSource.REVIEW)
    answer(asking, item, one, "cat")
    item.refresh_from_db()
    assert item.label == dog
    assert row_of(item).state == RoundItemState.SETTLED


def test_a_qualify_round_gives_no_labels():
    asking = make_asking(1, kind="qualify")
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    answer(asking, item, one)
    item.refresh_from_db()
    assert item.label is None


# ---- undo ----


def test_undo_reopens_the_item_takes_its_label_back_and_holds_it_for_the_same_person():
    asking = make_asking(1)
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    given = answer(asking, item, one).annotation
    undo = {"round": asking, "annotator": one, "client_id": given.client_id, "now": NOW}
    assert withdraw_annotation(**undo) is True
    item.refresh_from_db()
    row = row_of(item)
    assert (row.state, row.taken, item.label) == (RoundItemState.OPEN, 1, None)
    assert withdraw_annotation(**undo) is False
    assert row_of(item).taken == 1
    assert answer(asking, item, one, "dog").outcome == "counted"
    item.refresh_from_db()
    assert item.label is not None
    assert item.label.name == "dog"


def test_undo_gives_an_imported_label_back():
    asking = make_asking(1, kind="verify")
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    given = answer(asking, item, one, "dog").annotation
    withdraw_annotation(round=asking, annotator=one, client_id=given.client_id, now=NOW)
    item.refresh_from_db()
    assert item.label is not None
    assert (item.label.name, item.label_source) == ("cat", LabelSource.IMPORT)


def test_nobody_withdraws_the_answer_of_another():
    asking = make_asking(1)
    one, two = make_annotator(asking), make_annotator(asking)
    (item,) = claim(asking, one)
    given = answer(asking, item, one).annotation
    assert not withdraw_annotation(round=asking, annotator=two, client_id=given.client_id, now=NOW)


def test_undo_in_a_second_round_leaves_what_the_first_one_agreed_on():
    asking = make_asking(1)
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    answer(asking, item, one)
    second = factories.make_asking(asking.dataset, [item])
    claim(second, one)
    given = answer(second, item, one).annotation
    assert withdraw_annotation(round=second, annotator=one, client_id=given.client_id, now=NOW)
    item.refresh_from_db()
    assert item.label is not None
    assert (item.label.name, item.label_source) == ("cat", LabelSource.CONSENSUS)


def test_items_of_a_tab_that_is_gone_are_handed_out_again_to_the_same_person():
    asking = make_asking(items=2)
    annotator = make_annotator(asking)
    first = claim_items(round=asking, annotator=annotator, count=2, now=NOW)
    soon, later = NOW + timedelta(seconds=30), NOW + timedelta(seconds=120)
    assert claim_items(round=asking, annotator=annotator, count=2, now=soon) == []
    again = claim_items(round=asking, annotator=annotator, count=2, now=later)
    assert again == first
    assert Claim.objects.count() == 2
    assert set(RoundItem.objects.values_list("taken", flat=True)) == {1}
