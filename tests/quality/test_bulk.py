"""Many at once: a sample is judged, one decision is made for the others, and taken back."""

import random

import pytest
from django.urls import reverse

from labeling.models import Dataset, Item, JobState
from labeling.services import jobs
from quality.models import Action, Bulk, Decision, Flag, FlagState
from quality.queries import bulk as queries
from quality.queries.flags import confirmed_so_far, last_decision
from quality.services import bulk
from quality.services.decisions import decide_flag
from tests.factories import make_dataset, make_flag, make_member
from tests.quality.test_review_pages import make_flags

pytestmark = pytest.mark.django_db
RNG = random.Random(3)
FLAGS = 30


@pytest.fixture
def dataset() -> Dataset:
    """Thirty flags; those that follow are below the line, in test, or without one proposal."""
    made = make_dataset()
    make_flags(made, FLAGS)
    return made


def draw(dataset: Dataset, least_score: float = 0.0) -> Bulk:
    return bulk.draw_sample(
        dataset=dataset,
        kind="label_error",
        least_score=least_score,
        by=make_member(dataset),
        rng=RNG,
    )


def judge(sample: Bulk, *, kept: int = 0) -> None:
    for number, flag in enumerate(Flag.objects.filter(pk__in=sample.sample)):
        action = Action.KEEP if number < kept else Action.RELABEL
        decide_flag(flag=flag, reviewer=sample.by, action=action, seconds=2.0)


def decide(sample: Bulk, action: Action = Action.RELABEL, *, confirmed: bool = False) -> Bulk:
    job = bulk.open_decision(sample=sample, action=action, test_confirmed=confirmed, by=sample.by)
    return carried_out(sample, job.pk)


def carried_out(sample: Bulk, job: int) -> Bulk:
    done = jobs.carry_out(job, bulk.carry_out)
    assert done
    done.refresh_from_db()
    assert done.state == JobState.DONE, done.error
    sample.refresh_from_db()
    return sample


def labels(*states: str) -> list[str]:
    rows = Item.objects.filter(flags__state__in=states or FlagState.values)
    return sorted(set(rows.values_list("label__name", flat=True)))


def test_after_the_sample_one_decision_settles_the_others_and_one_undo_brings_them_back(dataset):
    sample = draw(dataset)
    assert len(set(sample.sample)) == queries.SAMPLE
    judge(sample, kept=3)
    done = decide(sample)
    assert done.result == {"decided": 10, "left": {"test": 0, "refused": 0, "closed": 0}}
    assert not Flag.objects.filter(state=FlagState.OPEN).exists()
    assert labels(FlagState.DECIDED) == ["dog"]
    job = bulk.open_undo(bulk=done, by=sample.by)
    assert carried_out(done, job.pk).result["undone"] == 10
    again = Flag.objects.filter(state=FlagState.OPEN)
    assert again.count() == 10
    assert not again.filter(pk__in=sample.sample).exists()
    assert labels(FlagState.OPEN) == ["cat"]
    with pytest.raises(bulk.BulkRefusedError, match="undone already"):
        bulk.open_undo(bulk=done, by=sample.by)


def test_taking_back_that_was_cancelled_is_asked_for_again(client, dataset):
    sample = draw(dataset)
    judge(sample)
    done = decide(sample)
    jobs.cancel_job(job=bulk.open_undo(bulk=done, by=sample.by))
    client.force_login(sample.by)
    address = reverse("quality:bulk", args=[dataset.slug, "label_error"])
    assert "Undo all of it" in client.get(address).text
    job = bulk.open_undo(bulk=done, by=sample.by)
    assert carried_out(done, job.pk).result["undone"] == 10
    assert "Undo all of it" not in client.get(address).text


def test_the_sample_says_what_share_was_decided_as_proposed(dataset):
    sample = draw(dataset)
    judge(sample, kept=5)
    said = queries.judged(sample, proposed=Action.RELABEL)
    assert (said.judged, said.right, said.kept, said.waiting) == (20, 15, 5, 0)
    assert said.share.low < 0.75 < said.share.high


def test_the_page_advises_what_the_sample_was_mostly_decided_as(client, dataset):
    judge(draw(dataset), kept=15)
    client.force_login(make_member(dataset))
    page = client.get(reverse("quality:bulk", args=[dataset.slug, "label_error"])).text
    assert 'btn-main" name="step" value="keep"' in page
    assert 'btn-main" name="step" value="decide"' not in page


def test_test_items_and_what_has_no_single_proposal_stay_open_unless_confirmed(dataset):
    sample = draw(dataset)
    judge(sample)
    first, second, third = Flag.objects.filter(state=FlagState.OPEN)[:3]
    Item.objects.filter(flags__in=[first, second]).update(split="test")
    third.evidence["apart"] = {"model": "fox", "neighbours": "dog"}
    third.save()
    assert decide(sample).result["left"] == {"test": 2, "refused": 1, "closed": 0}
    assert set(Flag.objects.filter(state=FlagState.OPEN)) == {first, second, third}


def test_confirmed_test_items_are_decided_too_and_the_log_says_so(dataset):
    sample = draw(dataset)
    judge(sample)
    flag = Flag.objects.filter(state=FlagState.OPEN).first()
    Item.objects.filter(flags=flag).update(split="test")
    assert decide(sample, confirmed=True).result["decided"] == 10
    assert Decision.objects.get(flag=flag).touches_test


def test_below_the_line_nothing_is_decided(dataset):
    sample = draw(dataset, least_score=0.9 - 24.5 / 1000)
    judge(sample)
    assert decide(sample, Action.KEEP).result["decided"] == 5
    assert Flag.objects.filter(state=FlagState.OPEN).count() == 5


def test_nothing_is_decided_before_the_whole_sample_was_judged(dataset):
    sample = draw(dataset)
    with pytest.raises(bulk.BulkRefusedError, match="Judge the sample"):
        bulk.open_decision(sample=sample, action=Action.RELABEL, test_confirmed=False, by=sample.by)
    flag = Flag.objects.get(pk=sample.sample[0])
    decide_flag(flag=flag, reviewer=sample.by, action=Action.ROUND)
    Flag.objects.filter(pk=sample.sample[1]).update(state=FlagState.GONE)
    assert bulk.draw_more(sample=sample, rng=RNG) == 2
    sample.refresh_from_db()
    assert queries.judged(sample, proposed=Action.RELABEL).waiting == queries.SAMPLE


def test_one_sample_a_queue_and_none_where_few_are_left(dataset):
    sample = draw(dataset)
    with pytest.raises(bulk.BulkRefusedError, match="being judged already"):
        draw(dataset)
    bulk.drop_sample(sample=sample, by=sample.by, leads=False)
    with pytest.raises(bulk.BulkRefusedError, match="one by one"):
        draw(dataset, least_score=0.89)


def page_of(client, dataset, **query) -> str:
    client.force_login(make_member(dataset))
    return client.get(reverse("quality:bulk", args=[dataset.slug, "label_error"]), query).text


def test_the_page_opens_at_a_score_from_which_a_sample_can_be_drawn(client):
    dataset = make_dataset()
    make_flags(dataset, 50)
    Flag.objects.exclude(pk__in=Flag.objects.order_by("-score")[:5]).update(is_likely=False)
    page = page_of(client, dataset)
    assert "40 flags are open" in page
    assert "Draw 20 to judge" in page
    few = page_of(client, dataset, **{"from": "0.9"})
    assert "49 more are open at a lower score" in few
    assert "Count from 0.861 on" in few


def test_where_no_score_leaves_enough_the_page_says_so_and_leads_to_the_queue(client):
    dataset = make_dataset()
    make_flags(dataset, 15)
    page = page_of(client, dataset)
    assert "Too few for a sample of 20" in page
    assert "Judge them one by one" in page
    assert "Draw 20" not in page
    assert "Count from" not in page


def test_the_last_of_the_sample_leads_to_what_it_came_to(client, dataset):
    sample = draw(dataset)
    *first, last = Flag.objects.filter(pk__in=sample.sample)
    for number, flag in enumerate(first):
        action = Action.KEEP if number < 5 else Action.RELABEL
        decide_flag(flag=flag, reviewer=sample.by, action=action)
    client.force_login(sample.by)
    url = reverse("quality:decide", args=[dataset.slug, "label_error", last.pk])
    reply = client.post(url, {"action": "relabel"}, follow=True)
    assert reply.redirect_chain[-1][0] == reverse(
        "quality:bulk", args=[dataset.slug, "label_error"]
    )
    assert "15 as proposed" in reply.text
    assert "Of the other 10 that is about 8 (5 to 9) as proposed" in reply.text
    assert '<b class="num">10</b> cat → dog' in reply.text
    assert "Go on with single cards" in reply.text
    # A key that was on its way already decides nothing: they work once this can have been read.
    assert 'value="decide" data-key-looked="Enter NumpadEnter"' in reply.text
    other = Flag.objects.exclude(pk__in=sample.sample).first()
    url = reverse("quality:decide", args=[dataset.slug, "label_error", other.pk])
    assert client.post(url, {"action": "keep"}).url.endswith("/label_error/")


def test_an_item_changed_since_stays_as_it_is_when_all_is_taken_back(dataset):
    sample = draw(dataset)
    judge(sample)
    done = decide(sample)
    changed = Item.objects.filter(flags__decisions__bulk=done).first()
    Item.objects.filter(pk=changed.pk).update(excluded="blurred")
    job = bulk.open_undo(bulk=done, by=sample.by)
    assert carried_out(done, job.pk).result == {**done.result, "undone": 9, "stay": 1}
    changed.refresh_from_db()
    assert (changed.excluded, changed.label.name) == ("blurred", "dog")


def test_decisions_for_many_teach_nothing_and_are_not_what_z_takes_back(dataset):
    sample = draw(dataset)
    judge(sample, kept=10)
    before = confirmed_so_far(dataset)["label_error"]
    newest = last_decision(dataset, sample.by, "label_error")
    decide(sample)
    assert confirmed_so_far(dataset)["label_error"] == before
    assert last_decision(dataset, sample.by, "label_error") == newest


def test_copies_are_merged_by_the_proposal_of_each_set():
    dataset = make_dataset()
    items = [flag.items.get() for flag in make_flags(dataset, 42)]
    Flag.objects.all().delete()
    for number, (kept, copy) in enumerate(zip(items[:21], items[21:], strict=True)):
        flag = make_flag(
            kept,
            copy,
            kind="near_duplicate",
            roles=("copy", "keep"),
            subject=str(number),
            reason="same",
        )
    sample = bulk.draw_sample(
        dataset=dataset, kind="near_duplicate", least_score=0.5, by=make_member(dataset), rng=RNG
    )
    for flag in Flag.objects.filter(pk__in=sample.sample):
        decide_flag(flag=flag, reviewer=sample.by, action=Action.MERGE)
    assert decide(sample, Action.MERGE).result["decided"] == 1
    out = set(Item.objects.exclude(excluded="").values_list("pk", flat=True))
    assert out == {item.pk for item in items[:21]}


def test_the_page_leads_from_the_line_to_the_undo(client, dataset):
    url = reverse("quality:bulk", args=[dataset.slug, "label_error"])
    queue = reverse("quality:queue", args=[dataset.slug, "label_error"])
    client.force_login(make_member(dataset))
    assert "30 flags are open" in client.get(url).content.decode()
    few = client.get(url, {"from": "0.892"}).text
    assert "9 flags are open" in few
    assert "21 more are open at a lower score" in few
    assert client.post(url, {"step": "draw", "least_score": "7"}).status_code == 422
    wrong = client.get(url, {"from": "-5"})
    assert (wrong.status_code, "Give a score from 0 to 1." in wrong.text) == (422, True)
    page = client.post(url, {"step": "draw", "least_score": "0.1"}, follow=True).content.decode()
    assert "Sample: 0 of 20 judged" in page
    sample = Bulk.objects.get()
    unclear = Flag.objects.exclude(pk__in=sample.sample).first()
    unclear.evidence["apart"] = {"model": "fox", "neighbours": "dog"}
    unclear.save()
    shown = client.get(queue).context["flag"]
    assert shown.pk in sample.sample
    assert "Drawn at random, so not the worst first" in client.get(queue).text
    assert "Drawn at random" not in client.get(queue, {"flag": unclear.pk}).text
    judge(sample, kept=1)
    page = client.get(url).content.decode()
    assert "19 as proposed" in page
    assert "Relabel the other 9 as suggested" in page
    assert "If you relabel, 1 more stays open" in page
    assert 'btn-main" name="step" value="decide"' in page
    others = Flag.objects.exclude(pk__in=sample.sample)
    assert others.update(evidence=unclear.evidence) == FLAGS - 20
    page = client.get(url).content.decode()
    assert "Relabel the other" not in page
    assert "Keep the other 10" in page
    others.exclude(pk=unclear.pk).update(evidence={})
    assert client.post(url, {"step": "undo"}).status_code == 422
    client.post(url, {"step": "decide"})
    job = dataset.jobs.get()
    carried_out(sample, job.pk)
    page = client.get(url).content.decode()
    assert "9 decided" in page
    assert "at a lower score" not in page
    assert f'datetime="{sample.decisions.first().at.isoformat()}"' in page, "not when it was drawn"
    assert "Undo all of it" in page


def test_what_would_change_beyond_the_commonest_pairs_is_counted():
    dataset = make_dataset()
    make_flags(dataset, 12)
    flags = Flag.objects.filter(dataset=dataset)
    for number, flag in enumerate(flags[:8]):
        Flag.objects.filter(pk=flag.pk).update(suggested=f"class {number}")
    pairs, others = queries.relabelled(flags)
    assert pairs[0] == ("cat", "dog", 4)
    assert sum(n for _, _, n in pairs) + others == 12
    assert others == 3
