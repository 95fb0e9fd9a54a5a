"""A decision about many waits for a second reviewer as one, with a sample of its own."""

import random

import pytest
from django.urls import reverse

from labeling.models import Dataset, Item, JobState, Notice, Role, User
from labeling.services import jobs, members
from quality.models import Action, Decision, Flag, FlagState, Proposal, ProposalState
from quality.queries import second as queries
from quality.services import bulk, second
from quality.services.bulk import BulkRefusedError
from quality.services.decisions import decide_flag
from tests.factories import make_member
from tests.quality import test_second as of_one
from tests.quality.test_review_pages import make_flags
from tests.quality.test_second import propose

pytestmark = pytest.mark.django_db
dataset, ann, bob, lea = of_one.dataset, of_one.ann, of_one.bob, of_one.lea


def judged_sample(dataset: Dataset, by: User) -> bulk.Bulk:
    make_flags(dataset, 24)
    sample = bulk.draw_sample(
        dataset=dataset, kind="label_error", least_score=0.0, by=by, rng=random.Random(1)
    )
    for flag in Flag.objects.filter(pk__in=sample.sample):
        decide_flag(flag=flag, reviewer=by, action=Action.RELABEL)
    return sample


def decide_many(sample: bulk.Bulk, by: User, *, leads: bool = False, test_confirmed: bool = False):
    return second.decide_many(
        sample=sample,
        action=Action.RELABEL,
        test_confirmed=test_confirmed,
        by=by,
        leads=leads,
        rng=random.Random(2),
    )


def test_many_are_not_decided_by_who_proposed_it_after_a_no(client, dataset, bob, lea):
    sample = judged_sample(dataset, lea)
    second.disagree(proposal=decide_many(sample, lea), by=bob)
    with pytest.raises(BulkRefusedError, match="there is no other lead here"):
        decide_many(sample, lea, leads=True)
    address = reverse("quality:bulk", args=["pets", "label_error"])
    client.force_login(lea)
    page = client.get(address).text
    assert "there is no other lead here" in page
    assert "Relabel the other" not in page
    Dataset.objects.update(has_second_reviewer=False)  # then one person is enough
    assert "Relabel the other" in client.get(address).text


def test_a_decision_about_many_waits_with_a_sample_and_is_carried_out_once_agreed(
    dataset, ann, bob
):
    sample = judged_sample(dataset, ann)
    made = decide_many(sample, ann)
    assert len(set(made.sample)) == 4
    assert not set(made.sample) & set(sample.sample)
    with pytest.raises(BulkRefusedError, match="already"):
        decide_many(sample, bob)
    with pytest.raises(BulkRefusedError, match="waits"):
        bulk.drop_sample(sample=sample, by=ann, leads=True)
    assert Flag.objects.filter(state=FlagState.OPEN).count() == 4
    job = second.agree(proposal=made, by=bob).job
    done = jobs.carry_out(job.pk, bulk.carry_out)
    assert done.state == JobState.DONE, done.error
    last = Decision.objects.last()
    assert (last.by, last.proposal.second) == (ann, bob)
    assert not Flag.objects.filter(state=FlagState.OPEN).exists()


def test_many_that_two_disagree_about_stay_open_until_a_lead_decides(dataset, ann, bob, lea):
    sample = judged_sample(dataset, ann)
    second.disagree(proposal=decide_many(sample, ann), by=bob)
    assert Notice.objects.get(kind="disagreed").path == reverse(
        "quality:bulk", args=["pets", "label_error"]
    )
    with pytest.raises(BulkRefusedError, match="a lead settles it"):
        decide_many(sample, bob)
    assert isinstance(decide_many(sample, lea, leads=True), jobs.Job)
    assert Proposal.objects.get().state == ProposalState.SETTLED


def test_a_lead_drops_a_sample_that_two_disagree_about_where_nothing_else_is_open(
    client, dataset, ann, bob, lea
):
    sample = judged_sample(dataset, ann)
    second.disagree(proposal=decide_many(sample, ann), by=bob)
    Flag.objects.filter(state=FlagState.OPEN).update(state=FlagState.GONE)
    with pytest.raises(BulkRefusedError, match="a lead settles it"):
        bulk.drop_sample(sample=sample, by=ann, leads=False)
    client.force_login(lea)
    address = reverse("quality:bulk", args=["pets", "label_error"])
    assert "Drop the sample" in client.get(address).text
    client.post(address, {"step": "drop"})
    assert not bulk.Bulk.objects.exists()
    assert queries.last_answer(dataset, bob) is None


def test_a_lead_who_said_no_to_many_leaves_the_sample_to_another_one(client, dataset, ann, lea):
    sample = judged_sample(dataset, ann)
    second.disagree(proposal=decide_many(sample, ann), by=lea)
    other = make_member(dataset, Role.LEAD, "kim")
    client.force_login(lea)
    address = reverse("quality:bulk", args=["pets", "label_error"])
    assert "Drop the sample" not in client.get(address).text
    assert client.post(address, {"step": "drop"}).status_code == 422
    assert bulk.Bulk.objects.exists()
    members.remove_member(membership=other.memberships.get(), viewer_role=Role.OWNER)
    client.post(address, {"step": "drop"})
    assert not bulk.Bulk.objects.exists()


def test_the_second_of_many_is_told_of_those_that_have_one_proposal(client, dataset, ann, bob):
    sample = judged_sample(dataset, ann)
    unclear = Flag.objects.filter(state=FlagState.OPEN).exclude(pk__in=sample.sample).first()
    unclear.evidence["apart"] = {"model": "fox", "neighbours": "dog"}
    unclear.save()
    n = len(bulk.queries.above(dataset, "label_error", sample.least_score)) - 1
    made = decide_many(sample, ann)
    assert unclear.pk not in made.sample
    client.force_login(bob)
    page = client.get(reverse("quality:second", args=["pets"])).text
    assert f": {n} others that score" in page
    assert "1 more stays open" in page


def test_a_decision_about_many_leaves_to_a_lead_what_two_disagree_about(dataset, ann, bob):
    sample = judged_sample(dataset, ann)
    disputed = Flag.objects.filter(state=FlagState.OPEN).first()
    Item.objects.filter(flags=disputed).update(split="test")
    second.disagree(proposal=propose(disputed, ann), by=bob)
    job = second.agree(proposal=decide_many(sample, ann, test_confirmed=True), by=bob).job
    assert jobs.carry_out(job.pk, bulk.carry_out).state == JobState.DONE
    assert Flag.objects.get(state=FlagState.OPEN) == disputed


def test_the_second_reviewer_of_many_sees_the_figures_and_a_sample(client, dataset, ann, bob):
    made = decide_many(judged_sample(dataset, ann), ann)
    client.force_login(bob)
    shown = client.get("/d/pets/second/").text
    assert "20 were judged one by one before: 20 as proposed" in shown
    assert "ann wants: Relabel as suggested." in shown
    assert "4 of them, drawn at random for you" in shown
    no = {"answer": "disagree", "words": "these are cats"}
    client.post(reverse("quality:second_answer", args=["pets", made.pk]), no)
    page = client.get("/d/pets/review/label_error/many/").text
    assert "ann and bob disagree" in page
    assert "bob says: <q>these are cats</q>" in page
    client.post("/d/pets/second/undo/")
    assert Proposal.objects.get().state == ProposalState.WAITING


def test_undoing_an_agreement_about_many_leads_to_where_all_of_it_is_undone(
    client, dataset, ann, bob
):
    made = decide_many(judged_sample(dataset, ann), ann)
    assert (
        jobs.carry_out(second.agree(proposal=made, by=bob).job.pk, bulk.carry_out).state
        == JobState.DONE
    )
    client.force_login(bob)
    page = client.post("/d/pets/second/undo/", follow=True).text
    assert "You agreed to a decision about many: undo all of it here." in page
    assert "Undo all of it</button>" in page
