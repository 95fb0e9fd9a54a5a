"""Decisions: once, carried out, on record, and undone to exactly what was."""

import threading

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeling.models import Item, LabelChange, Round, Split, User
from labeling.services import labels
from quality.models import Action, Decision, Flag, FlagState
from quality.queries.flags import decision_rows, open_flags
from quality.services.decisions import (
    DecisionRefusedError,
    FlagClosedError,
    TouchesTestError,
    UndoRefusedError,
    decide_flag,
    undo_decision,
)
from tests.factories import make_dataset, make_flag, make_item, make_member, make_user

pytestmark = pytest.mark.django_db


def decide(flag: Flag, action: str, **choice: object) -> Decision:
    reviewer = choice.pop("reviewer", None) or make_user()
    return decide_flag(flag=flag, reviewer=reviewer, action=action, seconds=2.0, **choice)


def state(*items: Item) -> list[tuple[object, ...]]:
    keys = [item.pk for item in items]
    fields = ("label_id", "label_source", "split", "excluded")
    return list(Item.objects.filter(pk__in=keys).order_by("pk").values_list(*fields))


def test_relabelling_takes_the_suggestion_and_is_on_record():
    item = make_item(make_dataset(), "a", "cat")
    decision = decide(make_flag(item), Action.RELABEL)
    item.refresh_from_db()
    assert (item.label.name, item.label_source) == ("dog", "review")
    assert (decision.before[0]["label"], decision.after[0]["label"]) == ("cat", "dog")


def test_keeping_dismisses_the_flag_and_changes_nothing():
    item = make_item(make_dataset(), "a", "cat")
    flag, before = make_flag(item), state(item)
    decide(flag, Action.KEEP)
    flag.refresh_from_db()
    assert (flag.state, state(item)) == (FlagState.DISMISSED, before)


def test_a_flag_is_decided_only_once():
    flag = make_flag(make_item(make_dataset(), "a", "cat"))
    decide(flag, Action.KEEP)
    with pytest.raises(FlagClosedError):
        decide(flag, Action.RELABEL)
    assert Decision.objects.count() == 1


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_of_two_reviewers_at_once_exactly_one_decides():
    dataset = make_dataset()
    flag = make_flag(make_item(dataset, "a", "cat"))
    reviewers = [make_user(), make_user()]
    start, outcomes = threading.Barrier(2), []

    def run(reviewer: User, action: str) -> None:
        start.wait()
        try:
            decide_flag(flag=flag, reviewer=reviewer, action=action, seconds=1.0)
            outcomes.append("decided")
        except FlagClosedError:
            outcomes.append("too late")
        finally:
            connection.close()

    pairs = zip(reviewers, (Action.RELABEL, Action.EXCLUDE), strict=True)
    threads = [threading.Thread(target=run, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["decided", "too late"]
    assert Decision.objects.count() == 1


def test_merging_keeps_one_and_says_of_what_the_others_are_copies():
    dataset = make_dataset()
    items = [make_item(dataset, key, "cat") for key in ("a", "b", "c")]
    flag = make_flag(*items, kind="near_duplicate")
    decide(flag, Action.MERGE, keep=items[1].pk)
    assert [row[-1] for row in state(*items)] == ["copy of b", "", "copy of b"]


@pytest.mark.parametrize(
    ("splits", "roles", "taken_out"),
    [
        (("train", "train"), ("copy", "keep"), ["copy of b", ""]),
        (("test", "test"), ("copy", "keep"), ["copy of b", ""]),
        (("train", "test"), ("keep", "copy"), ["copy of b", ""]),  # moved since the check
        (("train", "train"), ("item", "item"), ["", "copy of a"]),
    ],
)
def test_the_copy_that_the_check_proposes_is_kept_unless_another_one_is_in_test(
    splits, roles, taken_out
):
    dataset = make_dataset()
    items = [make_item(dataset, key, "cat", split=s) for key, s in zip("ab", splits, strict=True)]
    decide(make_flag(*items, kind="leakage", roles=roles), Action.MERGE, test_confirmed=True)
    assert [row[-1] for row in state(*items)] == taken_out


def test_a_test_copy_is_never_taken_out_for_a_train_copy():
    dataset = make_dataset()
    train = make_item(dataset, "a", "cat", split="train")
    test = make_item(dataset, "b", "cat", split="test")
    flag = make_flag(train, test, kind="leakage")
    with pytest.raises(DecisionRefusedError, match="test copy stays"):
        decide(flag, Action.MERGE, keep=train.pk)
    decision = decide(flag, Action.MERGE)
    assert [row[-1] for row in state(train, test)] == ["copy of b", ""]
    assert not decision.touches_test


def test_touching_a_test_item_needs_a_confirmation_and_is_recorded():
    item = make_item(make_dataset(), "a", "cat", split="test")
    flag = make_flag(item, kind="manual")
    with pytest.raises(TouchesTestError):
        decide(flag, Action.EXCLUDE)
    flag.refresh_from_db()
    assert flag.state == FlagState.OPEN
    assert decide(flag, Action.EXCLUDE, test_confirmed=True).touches_test


def test_the_train_items_of_a_source_in_two_splits_are_taken_out():
    dataset = make_dataset()
    train = make_item(dataset, "a", "cat", split="train", source_group="ann")
    test = make_item(dataset, "b", "cat", split="test", source_group="ann")
    flag = make_flag(train, test, kind="leakage", evidence={"group": "ann"})
    decision = decide(flag, Action.EXCLUDE)
    assert [row[-1] for row in state(train, test)] == ["source ann is in test too", ""]
    assert not decision.touches_test


def test_a_doubt_sent_to_people_joins_the_open_round_of_its_kind():
    dataset = make_dataset()
    make_member(dataset)
    items = [make_item(dataset, key, "cat") for key in ("a", "b")]
    for item in items:
        decide(make_flag(item), Action.ROUND)
    asking = Round.objects.get()
    assert (asking.kind, asking.answers_wanted) == ("verify", 1)  # there is one member
    assert asking.purpose == "asked from the queue “label errors”"  # annotators read it
    assert set(asking.round_items.values_list("item", flat=True)) == {i.pk for i in items}


def test_undo_takes_an_unanswered_question_back_but_not_an_answered_one():
    dataset = make_dataset()
    items = [make_item(dataset, key, "cat") for key in ("a", "b")]
    decisions = [decide(make_flag(item), Action.ROUND) for item in items]
    asking = Round.objects.get()
    asking.round_items.filter(item=items[0]).update(taken=1)
    with pytest.raises(UndoRefusedError, match="answering"):
        undo_decision(decision=decisions[0], reviewer=None)
    undo_decision(decision=decisions[1], reviewer=None)
    assert list(asking.round_items.values_list("item", flat=True)) == [items[0].pk]


def test_a_round_whose_last_question_is_taken_back_is_gone_and_asking_anew_makes_another():
    item = make_item(make_dataset(), "a", "cat")
    flag = make_flag(item)
    undo_decision(decision=decide(flag, Action.ROUND), reviewer=None)
    assert not Round.objects.exists()
    flag.refresh_from_db()
    decide(flag, Action.ROUND)
    assert Round.objects.get().round_items.get().item == item


def test_undo_is_a_row_of_its_own_and_opens_the_flag_again():
    item = make_item(make_dataset(), "a", "cat")
    flag = make_flag(item)
    decision = decide(flag, Action.RELABEL)
    undo = undo_decision(decision=decision, reviewer=None)
    flag.refresh_from_db()
    assert (undo.undoes, undo.action, flag.state) == (decision, Action.UNDO, FlagState.OPEN)
    assert (undo.before, undo.after) == (decision.after, decision.before)
    with pytest.raises(UndoRefusedError, match="undone already"):
        undo_decision(decision=decision, reviewer=None)


def test_undo_is_refused_when_something_newer_changed_the_item():
    dataset = make_dataset()
    item = make_item(dataset, "a", "cat")
    decision = decide(make_flag(item), Action.RELABEL)
    labels.set_labels(labels={item.pk: dataset.classes.get(name="cat")}, source="review")
    with pytest.raises(UndoRefusedError, match="its label is “cat” now"):
        undo_decision(decision=decision, reviewer=None)


def test_undo_wins_over_a_flag_raised_meanwhile_about_the_same_subject():
    dataset = make_dataset()
    item = make_item(dataset, "a", "cat")
    flag = make_flag(item)
    decision = decide(flag, Action.RELABEL)
    newer = make_flag(item, given="dog", suggested="cat")
    undo_decision(decision=decision, reviewer=None)
    assert list(open_flags(dataset)) == [flag]
    newer.refresh_from_db()
    assert newer.state == FlagState.GONE


def test_a_flag_whose_item_moved_on_leaves_the_queue_and_is_not_decided():
    dataset = make_dataset()
    item = make_item(dataset, "a", "cat")
    flag = make_flag(item)
    labels.set_labels(labels={item.pk: dataset.classes.get(name="dog")}, source="review")
    assert not open_flags(dataset).exists()
    with pytest.raises(FlagClosedError, match="is dog by now"):
        decide(flag, Action.RELABEL)


ACTIONS = st.sampled_from([Action.RELABEL, Action.EXCLUDE, Action.MOVE, Action.ROUND, Action.KEEP])
STEPS = st.lists(st.tuples(ACTIONS, st.sampled_from(["cat", "dog", "cow"])), max_size=4)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, split=st.sampled_from(["train", "validation", "test"]))
def test_undo_restores_the_exact_earlier_state(steps, split):
    dataset = make_dataset(classes=("cat", "dog", "cow"))
    item = make_item(dataset, "a", "cat", split=split)
    classes = {one.name: one for one in dataset.classes.all()}
    flag = make_flag(item, given="", suggested="")
    for action, name in steps:
        before = state(item)
        decision = decide(flag, action, label=classes[name], test_confirmed=True)
        undo_decision(decision=decision, reviewer=None)
        assert state(item) == before
        flag.refresh_from_db()
        assert flag.state == FlagState.OPEN
    assert LabelChange.objects.filter(item=item).count() % 2 == 0


def test_decisions_are_exported_with_before_and_after():
    item = make_item(make_dataset(), "a", "cat", split=Split.TRAIN)
    decide(make_flag(item), Action.EXCLUDE, reason="blurred")
    (row,) = decision_rows(item.dataset.decisions.all())
    assert (row["action"], row["excluded_before"], row["excluded_after"]) == (
        "exclude",
        "",
        "blurred",
    )


def test_a_class_that_was_renamed_meanwhile_does_not_stop_an_undo():
    dataset = make_dataset()
    item = make_item(dataset, "a", "cat")
    decision = decide(make_flag(item), Action.RELABEL)
    dataset.classes.filter(name="dog").update(name="hound")
    undo_decision(decision=decision, reviewer=None)
    item.refresh_from_db()
    assert item.label is not None
    assert item.label.name == "cat"
