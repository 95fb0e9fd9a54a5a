"""A second reviewer: what changes test items or many waits until somebody else agrees."""

import threading

import pytest
from django.db import connection
from django.urls import reverse

from labeling.models import Dataset, Item, Notice, Role, User
from labeling.queries import notices
from labeling.services import members
from quality.models import Action, Decision, Flag, FlagState, Proposal, ProposalState
from quality.queries import second as queries
from quality.services import second
from quality.services.decisions import (
    DecisionRefusedError,
    SecondNeededError,
    TouchesTestError,
    decide_flag,
    undo_decision,
)
from quality.services.second import SecondRefusedError
from quality.services.selection import Selection, relabel
from tests.factories import make_dataset, make_flag, make_item, make_member
from tests.quality.test_review_pages import FETCH

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset("pets", has_second_reviewer=True)


@pytest.fixture
def flag(dataset: Dataset) -> Flag:
    return make_flag(make_item(dataset, "a", "cat", split="test"))


@pytest.fixture
def ann(dataset: Dataset) -> User:
    return make_member(dataset, Role.REVIEWER, "ann")


@pytest.fixture
def bob(dataset: Dataset) -> User:
    return make_member(dataset, Role.REVIEWER, "bob")


@pytest.fixture
def lea(dataset: Dataset) -> User:
    return make_member(dataset, Role.LEAD, "lea")


def propose(flag: Flag, by: User, action: str = Action.RELABEL, **choice: object) -> Proposal:
    asked = {"action": action, "seconds": 2.0, "test_confirmed": True} | choice
    made = second.decide(flag=flag, reviewer=by, leads=False, **asked)
    assert isinstance(made, Proposal)
    return made


def label_of(flag: Flag) -> str:
    return Item.objects.get(flags=flag).label.name


def state_of(flag: Flag) -> str:
    return Flag.objects.get(pk=flag.pk).state


def test_a_change_of_a_test_item_waits_and_takes_effect_under_both_names(flag, ann, bob):
    made = propose(flag, ann)
    assert (state_of(flag), label_of(flag), Decision.objects.count()) == ("waiting", "cat", 0)
    decision = second.agree(proposal=made, by=bob, seconds=3.0).decision
    assert (state_of(flag), label_of(flag)) == ("decided", "dog")
    assert (decision.by, decision.proposal.second, decision.seconds) == (ann, bob, 5.0)


def test_the_overview_tells_others_and_not_who_decided_that_it_waits(
    client, flag, dataset, ann, bob
):
    propose(flag, ann)
    told = []
    for person in (ann, bob):
        client.force_login(person)
        page = client.get(reverse("quality:overview", args=[dataset.slug]))
        told.append([(row["n"], row["words"]) for row in page.context["waiting"]])
    assert told == [[], [(1, "decision for a second reviewer")]]


def test_nobody_agrees_with_themselves(flag, ann):
    made = propose(flag, ann)
    with pytest.raises(SecondRefusedError, match="yourself"):
        second.agree(proposal=made, by=ann)
    assert state_of(flag) == FlagState.WAITING


def test_no_door_lets_one_person_alone_change_a_test_item(flag, dataset, ann):
    with pytest.raises(SecondNeededError):
        decide_flag(flag=flag, reviewer=ann, action=Action.RELABEL, test_confirmed=True)
    with pytest.raises(TouchesTestError, match="Confirm"):
        propose(flag, ann, test_confirmed=False)
    chosen = Selection(dataset, [Item.objects.get().pk], by=ann, test_confirmed=True)
    assert isinstance(relabel(chosen, label=dataset.classes.get(name="dog")), Proposal)
    assert (state_of(flag), label_of(flag)) == ("open", "cat")


def test_what_changes_no_test_item_is_decided_at_once(dataset, flag, ann):
    other = make_flag(make_item(dataset, "b", "cat", split="train"))
    assert isinstance(
        second.decide(flag=other, reviewer=ann, leads=False, action=Action.RELABEL), Decision
    )
    assert isinstance(
        second.decide(flag=flag, reviewer=ann, leads=False, action=Action.KEEP), Decision
    )


def test_a_disagreement_changes_nothing_and_a_lead_who_is_told_settles_it(flag, ann, bob, lea):
    made = propose(flag, ann)
    second.disagree(proposal=made, by=bob, words="it is a cat")
    assert (state_of(flag), label_of(flag)) == ("open", "cat")
    notice = Notice.objects.get(kind="disagreed")
    assert (notice.kind, "ann and bob" in notice.words) == ("disagreed", True)
    assert notice.path.endswith(f"?flag={flag.pk}")
    with pytest.raises(DecisionRefusedError, match="a lead settles it"):
        second.decide(flag=flag, reviewer=ann, leads=False, action=Action.KEEP)
    settled = second.decide(
        flag=flag, reviewer=lea, leads=True, action=Action.RELABEL, test_confirmed=True
    )
    assert (settled.by, settled.proposal.state) == (lea, "disagreed")
    assert Proposal.objects.get().state == ProposalState.SETTLED
    assert label_of(flag) == "dog"


def test_who_proposed_leaves_the_disagreement_to_another_lead_or_leaves_all_as_it_is(
    client, flag, dataset, bob, lea
):
    second.disagree(proposal=propose(flag, lea), by=bob)
    asked = {"flag": flag, "reviewer": lea, "leads": True}
    with pytest.raises(DecisionRefusedError, match="there is no other lead here"):
        second.decide(**asked, action=Action.RELABEL, test_confirmed=True)
    zoe = make_member(dataset, Role.OWNER, "zoe")
    with pytest.raises(DecisionRefusedError, match="another lead settles it"):
        second.decide(**asked, action=Action.RELABEL, test_confirmed=True)
    address = reverse("quality:queue", args=["pets", flag.kind]) + f"?flag={flag.pk}"
    for person, words in ((lea, "another lead settles it"), (zoe, "takes effect at once")):
        client.force_login(person)
        page = client.get(address).text
        assert words in page
        assert "lea wants: Relabel: dog." in page
    assert (state_of(flag), label_of(flag)) == ("open", "cat")
    assert isinstance(second.decide(**asked, action=Action.KEEP), Decision)
    assert (Proposal.objects.get().state, label_of(flag)) == (ProposalState.SETTLED, "cat")


def test_who_said_no_leaves_it_to_another_lead_or_lets_the_no_stand(
    client, flag, dataset, ann, lea
):
    zoe = make_member(dataset, Role.OWNER, "zoe")
    second.disagree(proposal=propose(flag, ann), by=lea)
    asked = {"flag": flag, "reviewer": lea, "leads": True, "test_confirmed": True}
    for action in (Action.KEEP, Action.EXCLUDE, Action.RELABEL):
        with pytest.raises(DecisionRefusedError, match="You said no yourself: another lead"):
            second.decide(**asked, action=action)
    zoe.memberships.all().delete()
    with pytest.raises(DecisionRefusedError, match="there is no other lead here"):
        second.decide(**asked, action=Action.EXCLUDE)
    client.force_login(lea)
    address = reverse("quality:queue", args=["pets", flag.kind]) + f"?flag={flag.pk}"
    assert "let your no stand" in client.get(address).text
    assert isinstance(second.decide(**asked, action=Action.KEEP), Decision)
    assert (Proposal.objects.get().state, label_of(flag)) == (ProposalState.SETTLED, "cat")


def test_what_was_agreed_is_undone_as_one_decision_and_asks_again(flag, ann, bob):
    decision = second.agree(proposal=propose(flag, ann), by=bob).decision
    with pytest.raises(SecondNeededError):
        undo_decision(decision=decision, reviewer=ann)
    back = second.undo(decision=decision, by=ann)
    assert (state_of(flag), label_of(flag)) == ("decided", "dog")
    undone = second.agree(proposal=back, by=bob).decision
    assert (state_of(flag), label_of(flag)) == ("open", "cat")
    assert (undone.by, undone.proposal.second, undone.undoes) == (ann, bob, decision)
    assert propose(flag, bob).state == ProposalState.WAITING


def test_the_first_takes_a_proposal_back_and_the_second_a_disagreement(flag, ann, bob):
    made = propose(flag, ann)
    second.disagree(proposal=made, by=bob)
    second.reconsider(proposal=made, by=bob)
    assert state_of(flag) == FlagState.WAITING
    second.withdraw(proposal=made, by=ann)
    assert state_of(flag) == FlagState.OPEN
    with pytest.raises(SecondRefusedError, match="taken back meanwhile"):
        second.agree(proposal=made, by=bob)


def test_what_was_overtaken_does_not_take_effect_and_is_said(flag, dataset, ann, bob):
    made = propose(flag, ann)
    Item.objects.update(label=dataset.classes.get(name="dog"))
    with pytest.raises(SecondRefusedError, match="is dog by now"):
        second.agree(proposal=made, by=bob)
    assert (state_of(flag), Decision.objects.count()) == ("open", 0)
    made.refresh_from_db()
    assert (made.state, made.second) == (ProposalState.WITHDRAWN, bob)


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_of_all_who_answer_at_once_exactly_one_counts(flag, ann, bob, lea):
    made = propose(flag, ann)
    start, outcomes = threading.Barrier(3), []

    def run(step, by: User) -> None:
        mine = queries.proposal_in(made.dataset, made.pk)
        start.wait()
        try:
            step(proposal=mine, by=by)
            outcomes.append(step)
        except SecondRefusedError:
            pass
        finally:
            connection.close()

    steps = [(second.agree, bob), (second.disagree, lea), (second.withdraw, ann)]
    threads = [threading.Thread(target=run, args=pair) for pair in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = outcomes
    is_agreed = winner is second.agree
    assert state_of(flag) == ("decided" if is_agreed else "open")
    assert Decision.objects.count() == is_agreed
    assert Notice.objects.count() == 1 + (winner is second.disagree)


def test_the_pages_lead_from_the_decision_to_its_second_reviewer_and_back(client, flag, ann, bob):
    address = reverse("quality:decide", args=["pets", "label_error", flag.pk])
    client.force_login(ann)
    sent = client.post(address, {"action": "relabel", "test_confirmed": "on"}, **FETCH)
    assert sent.json()["message"] == "It waits for a second reviewer."
    assert "1 waits for a second reviewer" in sent.json()["counts"]
    assert "1 of yours waits for somebody else" in client.get("/d/pets/review/").text
    client.force_login(bob)
    assert "1 decision waits for you" in client.get("/d/pets/review/").text
    shown = client.get("/d/pets/second/").text
    assert "ann wants: Relabel: dog." in shown
    assert "looks wrong" in shown
    made = Proposal.objects.get()
    client.post(reverse("quality:second_answer", args=["pets", made.pk]), {"answer": "agree"})
    assert "bob agreed" in client.get("/d/pets/decisions/").text
    lines = b"".join(client.get("/d/pets/decisions/?format=csv")).decode()
    assert ",ann,bob,label_error,relabel," in lines
    client.post("/d/pets/second/undo/")
    assert (state_of(flag), label_of(flag)) == ("open", "cat")


def test_z_after_z_takes_back_what_was_answered_before(client, dataset, flag, ann, bob):
    other = make_flag(make_item(dataset, "b", "cat", split="test"))
    for one in (flag, other):
        second.agree(proposal=propose(one, ann), by=bob)
    client.force_login(bob)
    for states in (("decided", "open"), ("open", "open")):
        client.post("/d/pets/second/undo/")
        assert (state_of(flag), state_of(other)) == states


def test_z_in_the_queue_takes_back_what_waits(client, flag, ann):
    propose(flag, ann)
    client.force_login(ann)
    undone = client.post(reverse("quality:undo", args=["pets", "label_error"]), {}, **FETCH)
    assert undone.json()["flag"] == flag.pk
    assert state_of(flag) == FlagState.OPEN


def test_where_nobody_else_may_review_the_page_says_whom_it_needs(client, flag, lea):
    propose(flag, lea)
    client.force_login(lea)
    page = client.get("/d/pets/review/").text
    assert "A second person is needed" in page
    assert reverse("labeling:members", args=["pets"]) in page


def test_the_api_says_that_a_decision_waits(client, flag, ann):
    _, token = members.make_token(user=ann, name="script")
    sent = client.post(
        f"/api/flags/{flag.pk}/decision",
        {"action": "relabel", "test_confirmed": True},
        content_type="application/json",
        headers={"authorization": f"Bearer {token}"},
    )
    assert (sent.status_code, sent.json()["flag"]) == (202, flag.pk)


def test_a_lead_switches_it_on_in_the_settings(client, lea):
    client.force_login(lea)
    client.post("/d/pets/settings/reviewing/", {"draws_unflagged": "on"})
    assert not Dataset.objects.get().has_second_reviewer
    assert "A second reviewer" in client.get("/d/pets/settings/").text


def test_who_may_agree_is_told_once_until_all_of_somebody_s_proposals_are_answered(
    dataset, flag, ann, bob, lea
):
    made = propose(flag, ann)
    other = make_flag(make_item(dataset, "b", "cat", split="test"))
    propose(other, ann)
    (notice,) = notices.inbox_of(bob)
    assert (notice.words, notice.kind) == ("ann asks for a second reviewer", "second")
    assert [notices.unseen(person) for person in (ann, bob, lea)] == [0, 1, 1]
    assert notices.unseen(make_member(dataset, Role.ANNOTATOR, "carl")) == 0
    second.disagree(proposal=made, by=bob)
    assert notices.unseen(lea) == 2
    assert notices.unseen(bob) == 1  # what leads settle is told to leads
    second.agree(proposal=Proposal.objects.get(flag=other), by=bob)
    propose(make_flag(make_item(dataset, "c", "cat", split="test")), ann)
    assert notices.unseen(bob) == 2
