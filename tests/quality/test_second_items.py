"""What is done to selected items, and every undo, waits for the second reviewer too."""

import pytest
from django.test import Client

from labeling.models import Dataset, Item, JobState, Notice, Role, User
from labeling.services import jobs, labels
from labeling.services.versions import freeze_version
from quality.models import Action, Decision, Proposal, ProposalState
from quality.queries import second as queries
from quality.services import bulk, second, selection
from quality.services.decisions import UndoRefusedError
from quality.services.merging import merge_classes
from quality.services.plans import NothingToChangeError
from quality.services.second import SecondRefusedError
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_second_many import decide_many, judged_sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def pets() -> Dataset:
    """Two test items and one of train, all cats."""
    dataset = make_dataset("pets", has_second_reviewer=True)
    for key, split in (("a", "test"), ("b", "test"), ("c", "train")):
        make_item(dataset, key, "cat", split=split)
    return dataset


@pytest.fixture
def ann(pets: Dataset) -> User:
    return make_member(pets, Role.LEAD, "ann")


@pytest.fixture
def bob(pets: Dataset) -> User:
    return make_member(pets, Role.REVIEWER, "bob")


def chosen(dataset: Dataset, by: User, *, keys: str = "abc") -> selection.Selection:
    items = list(dataset.items.filter(key__in=keys).values_list("pk", flat=True))
    return selection.Selection(dataset, items, by=by, seconds=2.0, test_confirmed=True)


def to_dog(dataset: Dataset, by: User, *, keys: str = "abc") -> Decision | Proposal:
    dog = dataset.classes.get(name="dog")
    return selection.relabel(chosen(dataset, by, keys=keys), label=dog)


def labels_of(dataset: Dataset) -> list[str]:
    return list(dataset.items.order_by("key").values_list("label__name", flat=True))


def proposed(made: object) -> Proposal:
    assert isinstance(made, Proposal)
    return made


def test_one_proposal_stands_for_all_selected_items_and_takes_effect_under_both_names(
    pets, ann, bob
):
    made = proposed(to_dog(pets, ann))
    assert (labels_of(pets), Decision.objects.count()) == (["cat"] * 3, 0)
    decision = second.agree(proposal=made, by=bob, seconds=3.0).decision
    assert labels_of(pets) == ["dog"] * 3
    assert (decision.by, decision.proposal.second, decision.seconds) == (ann, bob, 5.0)
    assert (decision.touches_test, len(decision.before)) == (True, 3)


def test_a_selection_without_test_items_is_decided_at_once(pets, ann):
    assert isinstance(to_dog(pets, ann, keys="c"), Decision)


def test_the_same_waits_once(pets, ann, bob):
    to_dog(pets, ann)
    with pytest.raises(NothingToChangeError, match="already"):
        to_dog(pets, bob)


def test_of_two_who_undo_at_once_the_later_one_is_told_that_it_waits(pets, ann, bob):
    decision = second.agree(proposal=proposed(to_dog(pets, ann)), by=bob).decision
    made = proposed(second.undo(decision=decision, by=ann))
    Proposal.objects.filter(pk=made.pk).update(choice={"n": 1})  # not seen to be the same
    with pytest.raises(UndoRefusedError, match="already"):
        second.undo(decision=decision, by=ann)
    assert queries.waiting(pets).get() == made


def test_what_has_changed_since_stays_and_what_all_changed_does_not_take_effect(pets, ann, bob):
    made, late = proposed(to_dog(pets, ann)), selection.exclude(chosen(pets, ann), reason="blurred")
    labels.exclude_items(items=[pets.items.get(key="a").pk], reason="broken")
    second.agree(proposal=made, by=bob)
    assert labels_of(pets) == ["cat", "dog", "dog"]
    with pytest.raises(SecondRefusedError, match="did not take effect"):
        second.agree(proposal=proposed(late), by=bob)
    late.refresh_from_db()
    assert late.state == ProposalState.WITHDRAWN
    assert set(pets.items.values_list("excluded", flat=True)) == {"broken", ""}


def test_a_label_given_meanwhile_does_not_stop_a_move(pets, ann, bob):
    moved = proposed(selection.move(chosen(pets, ann), split="train"))
    second.agree(proposal=proposed(to_dog(pets, ann)), by=bob)
    second.agree(proposal=moved, by=bob)
    assert labels_of(pets) == ["dog"] * 3
    assert set(pets.items.values_list("split", flat=True)) == {"train"}


@pytest.mark.parametrize(("is_done", "becomes"), [(True, "dog"), (False, "cat")])
def test_a_lead_who_is_told_settles_a_disagreement(client, pets, ann, bob, is_done, becomes):
    made = proposed(to_dog(pets, ann))
    second.disagree(proposal=made, by=bob, words="they are cats")
    notice = Notice.objects.get(kind="disagreed")
    assert "Relabel: dog (3 items)" in notice.words
    client.force_login(ann)
    assert "they are cats" in client.get(notice.path).text
    client.force_login(bob)
    answer = "do" if is_done else "leave"
    path = f"/d/pets/second/{made.pk}/"
    assert client.post(path, {"answer": answer}).status_code == 403
    client.force_login(ann)
    if is_done:  # not by who proposed it, who can only leave all as it is
        assert "there is no other lead" in client.get(notice.path).text
        assert "there is no other lead" in client.post(path, {"answer": "do"}, follow=True).text
        assert labels_of(pets) == ["cat"] * 3
        client.force_login(make_member(pets, Role.LEAD, "lea"))
    client.post(path, {"answer": answer})
    assert labels_of(pets) == [becomes] * 3
    made.refresh_from_db()
    assert made.state == ProposalState.SETTLED


def test_undo_waits_and_its_second_reviewer_brings_all_back(pets, ann, bob):
    decision = second.agree(proposal=proposed(to_dog(pets, ann)), by=bob).decision
    back = proposed(second.undo(decision=decision, by=ann))
    assert labels_of(pets) == ["dog"] * 3
    undone = second.agree(proposal=back, by=bob).decision
    assert labels_of(pets) == ["cat"] * 3
    assert (undone.undoes, undone.by, undone.proposal.second) == (decision, ann, bob)


def test_who_agreed_takes_that_back_at_once_until_a_version_holds_it(pets, ann, bob):
    made = proposed(to_dog(pets, ann))
    second.agree(proposal=made, by=bob)
    assert isinstance(second.undo_agreed(proposal=made, by=bob), Decision)
    assert labels_of(pets) == ["cat"] * 3
    made = proposed(to_dog(pets, ann))
    second.agree(proposal=made, by=bob)
    freeze_version(dataset=pets)
    assert isinstance(second.undo_agreed(proposal=made, by=bob), Proposal)
    assert labels_of(pets) == ["dog"] * 3


def test_undoing_a_decision_about_many_waits(client, pets, ann, bob):
    job = second.agree(proposal=decide_many(judged_sample(pets, ann), ann), by=bob).job
    jobs.carry_out(job.pk, bulk.carry_out)
    many = bulk.Bulk.objects.get()
    back = second.undo_many(bulk=many, by=ann)
    with pytest.raises(bulk.BulkRefusedError, match="already"):
        second.undo_many(bulk=many, by=bob)
    client.force_login(bob)
    shown = client.get("/d/pets/second/").text
    assert "undo “Relabel” of 4" in shown
    assert (shown.count("→ cat"), shown.count("→ dog")) == (4, 0), "what they get back"
    assert "waits for a second reviewer" in client.get("/d/pets/review/label_error/many/").text
    job = second.agree(proposal=proposed(back), by=bob).job
    done = jobs.carry_out(job.pk, bulk.carry_out)
    assert (done.state, done.result["undone"]) == (JobState.DONE, 4)


def test_merging_classes_waits_with_its_guideline_and_so_does_its_undo(pets, ann, bob):
    named = {"old": pets.classes.get(name="cat"), "new": pets.classes.get(name="dog")}
    made = merge_classes(dataset=pets, text="All pets.", by=ann, test_confirmed=True, **named)
    assert not pets.guidelines.exists()
    decision = second.agree(proposal=proposed(made), by=bob).decision
    assert (labels_of(pets), pets.guidelines.first().text) == (["dog"] * 3, "All pets.")
    second.agree(proposal=proposed(second.undo(decision=decision, by=ann)), by=bob)
    assert labels_of(pets) == ["cat"] * 3


def test_an_exclusion_is_told_once(client: Client, pets, ann, bob):
    selection.exclude(chosen(pets, ann), reason="broken")
    client.force_login(bob)
    shown = client.get("/d/pets/second/").text
    assert shown.count("broken") == 1
    assert "included →" not in shown


def test_browse_proposes_shows_what_it_would_do_and_z_takes_it_back(client: Client, pets, ann, bob):
    client.force_login(ann)
    items = list(pets.items.values_list("pk", flat=True))
    sent = {"action": "move:train", "items": items, "test_confirmed": "on"}
    client.post("/d/pets/browse/selection/", sent)
    made = Proposal.objects.get()
    assert (made.action, len(made.before)) == (Action.MOVE, 2)
    client.force_login(bob)
    shown = client.get("/d/pets/second/").text
    assert shown.count("Change the split: train (2 items)") == 1
    assert "ann proposed this. It takes effect when you agree." in shown
    assert "test → train" in shown
    client.force_login(ann)
    client.post("/d/pets/browse/undo/")
    made.refresh_from_db()
    assert made.state == ProposalState.WITHDRAWN
    assert queries.standing(pets, bob).total == 0


def test_no_key_of_an_item_is_kept_in_what_waits(pets, ann):
    Item.objects.filter(key="a").update(key="speaker-17")
    made = proposed(selection.exclude(chosen(pets, ann, keys="b"), reason="x"))
    assert "key" not in made.before[0] | made.after[0]


def test_all_items_of_a_proposal_are_seen_a_page_at_a_time_test_items_first(
    client: Client, pets, ann, bob, monkeypatch
):
    monkeypatch.setattr(queries, "ITEMS_SHOWN", 2)
    made = proposed(to_dog(pets, ann))
    client.force_login(bob)
    seen = []
    for page in ("", "2", "nonsense"):
        shown = client.get("/d/pets/second/", {"proposal": made.pk, "page": page})
        seen.append([item.key for item in shown.context["outlook"].shown])
    assert seen == [["a", "b"], ["c"], ["a", "b"]]
    assert "1 to 2 of 3" in shown.text
    assert f"?proposal={made.pk}&amp;later=&amp;page=2" in shown.text
