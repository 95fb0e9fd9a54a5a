"""Guards warn whoever does not look, then pause them for a lead; honest people are left alone."""

import json
import random
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.models import Annotator, Claim, GuardEvent, RoundItem
from labeling.queries import guards as queries
from labeling.queries.waiting import waiting_in
from labeling.services import guards
from labeling.services.rounds import LEASE, claim_items, free_expired_claims, renew_claims
from tests.factories import make_dataset, make_member
from tests.labeling.test_gold import give_gold, make_mixed
from tests.labeling.test_rounds import NOW, answer, claim, make_annotator, make_asking

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def work(asking, annotator: Annotator, *, n: int, said=None, seconds=None, seed: int = 0) -> None:
    """Answer `n` items: honestly, all classes alike and in 2 to 6 s, unless told otherwise."""
    rng = random.Random(seed)
    names = list(asking.dataset.classes.values_list("name", flat=True))
    while n:
        items = claim(asking, annotator, min(n, 20))
        assert items
        for item in items:
            truth = random.Random(item.pk).choice(names)
            honest = truth if rng.random() < 0.9 else "cat"
            took = seconds or rng.uniform(2, 6)
            answer(asking, item, annotator, said or honest, seconds=took)
        n -= len(items)


def acts(annotator: Annotator) -> list[tuple[str, list[str]]]:
    return list(annotator.guard_events.values_list("act", "kinds"))


def stopped(asking) -> Annotator:
    """Somebody whom the guard has warned and paused for pressing keys at once."""
    for seed in range(2):
        work(asking, make_annotator(asking), n=60, seed=seed)
    hasty = make_annotator(asking)
    for _ in range(2):
        work(asking, hasty, n=40, seconds=0.2)
        guards.watch(now=timezone.now())
    return hasty


def test_whoever_is_too_fast_is_warned_then_paused_and_gives_back_what_they_hold():
    asking = make_asking(200, wanted=3)
    hasty = stopped(asking)
    assert acts(hasty) == [("warn", ["too fast"]), ("pause", ["too fast"])]
    assert not GuardEvent.objects.exclude(annotator=hasty).exists()
    assert claim(asking, hasty, 5) == []
    waiting = waiting_in(asking, hasty, now=NOW)
    assert waiting.state == "paused"
    assert "came much faster than others" in waiting.words
    assert "Your lead has been told" in waiting.words


def paused(asking, annotator: Annotator) -> None:
    lead = make_member(asking.dataset, "lead")
    guards.pause(annotator=annotator, text="please call me", by=lead, now=NOW)


def test_a_pause_leaves_the_item_on_the_screen_and_gives_the_others_back():
    asking = make_asking(3)
    one, two = make_annotator(asking), make_annotator(asking)
    front, *ahead = claim(asking, one, 3)
    paused(asking, one)
    assert list(Claim.objects.values_list("round_item__item", flat=True)) == [front.pk]
    assert claim(asking, two, 3) == ahead
    assert claim(asking, one, 1) == []
    assert answer(asking, front, one).outcome == "counted"
    assert answer(asking, ahead[0], one).outcome == "surplus"
    assert [answer(asking, item, two).outcome for item in ahead] == ["counted", "counted"]


def test_who_is_paused_cannot_hold_the_last_item_beyond_its_lease():
    asking = make_asking(1)
    one, two = make_annotator(asking), make_annotator(asking)
    (front,) = claim(asking, one, 1)
    paused(asking, one)
    later = NOW + LEASE / 2
    assert renew_claims(round=asking, annotator=one, items=[front.pk], now=later) == [front.pk]
    assert free_expired_claims(now=NOW + LEASE + timedelta(seconds=1)) == 1
    assert claim(asking, two, 1) == [front]
    assert answer(asking, front, one).outcome == "surplus"


def test_ending_somebodys_work_gives_back_the_last_item_too():
    asking = make_asking(2)
    one = make_annotator(asking)
    claim(asking, one, 2)
    paused(asking, one)
    guards.decide(annotator=one, act="end", by=make_member(asking.dataset, "lead"), now=NOW)
    assert not Claim.objects.exists()
    assert set(RoundItem.objects.values_list("taken", flat=True)) == {0}


def test_one_key_is_noticed_also_where_nobody_else_answered_the_same_items():
    dataset = make_dataset(classes=("cat", "dog", "cow", "hen"))
    asking = make_asking(200, dataset=dataset)
    work(asking, make_annotator(asking), n=80)
    lazy = make_annotator(asking)
    work(asking, lazy, n=40, said="cat")
    guards.watch(now=timezone.now())
    assert acts(lazy) == [("warn", ["one key"])]


def test_honest_people_are_left_alone_however_often_one_looks():
    asking = make_asking(120, wanted=3)
    people = [make_annotator(asking) for _ in range(3)]
    for look in range(3):
        for number, person in enumerate(people):
            work(asking, person, n=30, seed=10 * look + number)
        assert guards.watch(now=timezone.now()) == 0


def test_a_warning_is_not_repeated_for_the_same_answers_and_better_work_ends_it():
    asking = make_asking(200, wanted=3)
    work(asking, make_annotator(asking), n=60)
    hasty = make_annotator(asking)
    work(asking, hasty, n=40, seconds=0.2)
    assert guards.watch(now=timezone.now()) == 1
    assert guards.watch(now=timezone.now()) == 0
    assert queries.warning_for(hasty, now=timezone.now())
    work(asking, hasty, n=60)
    assert guards.watch(now=timezone.now()) == 0
    assert queries.warning_for(hasty, now=timezone.now() + timedelta(minutes=11)) == ""


def test_failing_check_items_that_others_pass_is_warned_about():
    asking = make_mixed(1, golds=12)
    for _ in range(2):
        give_gold(asking, make_annotator(asking), "dog", n=12)
    bad = make_annotator(asking)
    give_gold(asking, bad, "cat", n=12)
    assert guards.watch(now=timezone.now()) == 1
    assert acts(bad) == [("warn", ["check items"])]


def test_gold_that_everybody_fails_is_nobodys_fault():
    asking = make_mixed(1, golds=12)
    for _ in range(4):
        give_gold(asking, make_annotator(asking), "cat", n=12)
    assert guards.watch(now=timezone.now()) == 0


def test_the_page_of_pauses_says_what_is_missed_without_check_items(client: Client):
    for asking, says in ((make_asking(1), True), (make_mixed(1, golds=1), False)):
        owner = make_member(asking.dataset)
        client.force_login(owner)
        page = client.get(reverse("labeling:pauses", args=[asking.dataset.slug])).content.decode()
        assert ("Without check items" in page) is says
        assert "Answers given elsewhere" not in page
    Annotator.objects.create(dataset=asking.dataset, name="somebody elsewhere")
    page = client.get(reverse("labeling:pauses", args=[asking.dataset.slug])).content.decode()
    assert "Answers given elsewhere are not looked at" in page


def test_the_screen_tells_the_warning_and_the_pause(client: Client):
    asking = make_asking(3)
    one = make_annotator(asking)
    client.force_login(one.user)
    url = reverse("labeling:annotate_claims", args=[asking.pk])
    guards.warn_or_pause(annotator=one, kinds=["one key"], now=timezone.now())
    reply = client.post(url, json.dumps({"count": 1}), content_type="application/json").json()
    assert len(reply["items"]) == 1
    assert "nearly all of the last answers were the same" in reply["notice"]
    guards.warn_or_pause(annotator=one, kinds=["one key"], now=timezone.now())
    reply = client.post(url, json.dumps({"count": 1}), content_type="application/json").json()
    assert reply["items"] == []
    assert reply["waiting"]["state"] == "paused"


def test_a_pause_can_be_answered_and_the_lead_lets_go_on_or_ends_it(client: Client):
    asking = make_asking(3)
    one = make_annotator(asking)
    lead = make_member(asking.dataset, "lead")
    guards.pause(annotator=one, text="all answers are cat", by=lead, now=timezone.now())
    client.force_login(one.user)
    assert "all answers are cat" in client.get(reverse("labeling:my_work")).content.decode()
    client.post(reverse("labeling:reply_to_pause", args=[one.pk]), {"text": "They are all cats!"})
    client.force_login(lead)
    crowd = reverse("labeling:crowd", args=[asking.dataset.slug])
    assert 'Pauses <span class="pill warn">1</span>' in client.get(crowd).text
    pauses = reverse("labeling:pauses", args=[asking.dataset.slug])
    assert "They are all cats!" in client.get(pauses).content.decode()
    decide = reverse("labeling:decide_pause", args=[asking.dataset.slug, one.pk])
    client.post(decide, {"act": "end"})
    assert waiting_in(asking, one, now=NOW).state == "ended"
    client.post(decide, {"act": "resume"})
    assert 'Pauses <span class="pill warn">' not in client.get(crowd).text
    client.post(decide, {"act": "resume"})
    assert [act for act, _ in acts(one)] == ["pause", "reply", "end", "resume"]
    assert len(claim_items(round=asking, annotator=one, count=5, now=NOW)) == 3


def test_a_lead_pauses_somebody_on_their_page_and_says_why(client: Client):
    asking = make_asking(3)
    one = make_annotator(asking)
    client.force_login(make_member(asking.dataset, "lead"))
    page = reverse("labeling:crowd_person", args=[asking.dataset.slug, one.pk])
    assert 'value="pause"' in client.get(page).text
    decide = reverse("labeling:decide_pause", args=[asking.dataset.slug, one.pk])
    refused = client.post(decide, {"act": "pause", "text": ""}, follow=True)
    assert "Say why" in refused.text
    assert queries.stop_of(one) is None
    told = client.post(decide, {"act": "pause", "text": "all are cat"}, follow=True)
    assert "all are cat" in told.text
    assert claim(asking, one, 3) == []
    paused_page = client.get(page).text
    assert paused_page.count("all are cat") == 1
    assert "Nothing is handed out to them just now" in paused_page
    assert 'value="pause"' not in paused_page


def test_nobody_answers_to_the_pause_of_another(client: Client):
    asking = make_asking(1)
    one = make_annotator(asking)
    guards.pause(
        annotator=one, text="x", by=make_member(asking.dataset, "lead"), now=timezone.now()
    )
    client.force_login(make_member(asking.dataset, "annotator"))
    told = client.post(reverse("labeling:reply_to_pause", args=[one.pk]), {"text": "not me"})
    assert told.status_code == 404
    assert [act for act, _ in acts(one)] == ["pause"]


def test_any_key_at_a_normal_speed_is_warned_then_paused_for_agreeing_with_nobody():
    dataset = make_dataset(classes=("cat", "dog", "cow", "hen"))
    asking = make_asking(130, wanted=4, dataset=dataset)
    honest = [make_annotator(asking) for _ in range(3)]
    for seed, person in enumerate(honest):
        work(asking, person, n=130, seed=seed)
    presser, rng = make_annotator(asking), random.Random(4)
    while queries.stop_of(presser) is None:
        items = claim(asking, presser, 20)
        assert items
        for item in items:
            said = rng.choice(("cat", "dog", "cow", "hen"))
            answer(asking, item, presser, said, seconds=rng.uniform(2, 6))
        guards.watch(now=timezone.now())
    assert acts(presser) == [("warn", ["by chance"]), ("pause", ["by chance"])]
    assert "no more than any key would" in queries.stopped_in(dataset)[0].reason
    assert not GuardEvent.objects.exclude(annotator=presser).exists()
