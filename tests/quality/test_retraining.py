"""A dataset is trained again when its policy says so, and not when nothing changed."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from labeling.models import Annotation, Dataset, Job, LabelChange, LabelSource, Outcome, Role, Round
from labeling.queries.night import next_night, night_of
from labeling.services import jobs, labels
from labeling.services.annotations import annotator_for
from labeling.services.datasets import set_retraining
from labeling.services.intake import differences
from labeling.services.restoring import open_restoring, restore
from quality import tasks
from quality.models import Decision, Run
from quality.queries.retraining import datasets_with_news
from quality.services import runs
from quality.services.selection import Selection, move
from tests.factories import make_asking, make_member
from tests.labeling.test_rounds import answer as say
from tests.quality.words import make_words

pytestmark = pytest.mark.django_db
LATER = timedelta(hours=1)


def trained(policy, *, after=3):
    dataset = make_words(items=30)
    call_command("train", dataset.slug)
    return set_retraining(dataset=dataset, retrain=policy, retrain_after=after)


def answer(dataset, count, **options):
    """Let one person answer about so many items, each with another class than it has."""
    items = list(dataset.items.order_by("key")[:count])
    asking = make_asking(dataset, items, **options)
    annotator = annotator_for(dataset=dataset, user=make_member(dataset, Role.ANNOTATOR))
    for item in items:
        other = dataset.classes.exclude(pk=item.label_id).first()
        say(asking, item, annotator, other.name, now=timezone.now())


def an_hour_ago():
    """Let all that happened have happened an hour ago; what came later stays later."""
    for model, name in ((Annotation, "created_at"), (LabelChange, "at"), (Decision, "at"),
                        (Job, "created_at"), (Run, "created_at")):  # fmt: skip
        for row in model.objects.all():
            moved = getattr(row, name) - LATER
            model.objects.filter(pk=row.pk).update(**{name: moved})


def test_enough_answers_are_trained_once_people_rest_and_only_once():
    dataset = trained("after", after=3)
    answer(dataset, 3)
    assert datasets_with_news(now=timezone.now()) == []
    an_hour_ago()
    tasks.look_for_news()
    job = Job.objects.get(kind="train", state="queued")
    assert jobs.carry_out(job.pk, runs.train).result["run"] == 2
    tasks.look_for_news()
    assert datasets_with_news(now=timezone.now() + LATER) == []
    assert Job.objects.filter(kind="train").count() == 2


def test_too_few_answers_and_a_policy_of_never_train_nothing():
    dataset = trained("after", after=4)
    answer(dataset, 3)
    assert datasets_with_news(now=timezone.now() + LATER) == []
    answer(dataset, 2)
    blind = Round.objects.order_by("pk").last()
    blind.counts = False
    blind.save()
    assert datasets_with_news(now=timezone.now() + LATER) == []  # three still: two do not count
    blind.counts = True
    blind.save()
    assert datasets_with_news(now=timezone.now() + LATER) == [dataset]
    move(Selection(dataset=dataset, items=[dataset.items.last().pk], by=None), split="none")
    assert datasets_with_news(now=timezone.now() + LATER) == [dataset]
    set_retraining(dataset=dataset, retrain="never", retrain_after=1)
    assert datasets_with_news(now=timezone.now() + LATER) == []


def test_never_is_what_a_new_dataset_does_but_a_round_that_learns_is_followed():
    dataset = trained(Dataset().retrain, after=3)
    assert dataset.retrain == "never"
    answer(dataset, 3, order="learning")
    assert datasets_with_news(now=timezone.now() + LATER) == [dataset]


def test_a_nightly_training_runs_at_night_and_only_when_something_changed():
    dataset = trained("nightly")
    tonight = (timezone.now() + timedelta(days=1)).replace(hour=3, minute=0)
    assert datasets_with_news(now=tonight) == []
    item = dataset.items.first()
    other = dataset.classes.exclude(pk=item.label_id).first()
    labels.set_labels(labels={item.pk: other}, source=LabelSource.REVIEW)
    assert datasets_with_news(now=tonight) == [dataset]
    assert datasets_with_news(now=tonight + timedelta(hours=9)) == [], "not by day"
    Job.objects.filter(kind="train").update(created_at=tonight - timedelta(minutes=30))
    assert datasets_with_news(now=tonight) == [], "it was trained this night"


def test_the_hour_that_a_clock_shows_twice_begins_one_night(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    first, again = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert f"{timezone.localtime(first):%H:%M}" == f"{timezone.localtime(again):%H:%M}" == "02:30"
    assert night_of(first).astimezone(UTC) == night_of(again).astimezone(UTC)


def test_night_is_where_the_server_is_and_the_settings_say_when_the_next_one_begins(
    client, settings
):
    settings.TIME_ZONE = "Asia/Tokyo"  # nine hours ahead: from 17 to 21 o'clock UTC
    dataset = trained("nightly")
    item = dataset.items.first()
    other = dataset.classes.exclude(pk=item.label_id).first()
    labels.set_labels(labels={item.pk: other}, source=LabelSource.REVIEW)
    tomorrow = timezone.now().astimezone(UTC) + timedelta(days=1)
    due = [hour for hour in range(24) if datasets_with_news(now=tomorrow.replace(hour=hour))]
    assert due == [17, 18, 19, 20]
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse("labeling:settings", args=[dataset.slug])).text
    begins = next_night(timezone.now())
    assert timezone.now() < begins <= timezone.now() + timedelta(days=1)
    night = "02:00 to 06:00, Asia/Tokyo (WINNOW_NIGHT, WINNOW_TIME_ZONE); the next one begins on"
    assert f"{night} {begins:%Y-%m-%d}" in page


def test_the_night_begins_when_the_operator_says(settings):
    settings.NIGHT_BEGINS = time(23, 30)
    now = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
    assert night_of(now) == datetime(2026, 3, 3, 23, 30, tzinfo=UTC)
    assert next_night(now) == datetime(2026, 3, 4, 23, 30, tzinfo=UTC)


def test_a_version_brought_back_is_trained_at_night_also_where_no_label_changed():
    dataset = trained("nightly")
    tonight = (timezone.now() + timedelta(days=1)).replace(hour=3, minute=0)
    dataset.items.filter(pk=dataset.items.first().pk).update(excluded="left out")
    before = LabelChange.objects.count()
    job = open_restoring(version=dataset.versions.get(number=1), by=None)
    assert datasets_with_news(now=tonight) == []
    assert jobs.carry_out(job.pk, restore).result["changed"] == 1
    assert LabelChange.objects.count() == before
    assert datasets_with_news(now=tonight) == [dataset]


def test_a_split_that_a_person_took_over_from_an_import_is_trained_at_night(client):
    dataset = trained("nightly")
    tonight = (timezone.now() + timedelta(days=1)).replace(hour=3, minute=0)
    item = dataset.items.filter(split="train").first() or dataset.items.first()
    upload = dataset.uploads.create(name="splits.csv", path="/none")
    upload.entries.create(
        name=item.key, outcome=Outcome.DIFFERENT, item=item, proposed={"split": "validation"}
    )
    assert datasets_with_news(now=tonight) == []
    client.force_login(make_member(dataset, Role.LEAD))
    address = reverse("labeling:apply_upload", args=[dataset.slug, upload.pk])
    client.post(address, {"what": "differences"})
    item.refresh_from_db()
    assert item.split == "validation"
    assert datasets_with_news(now=tonight) == [dataset]


def test_rows_taken_over_before_one_failed_are_trained_at_night(client):
    """A defect, or a kill, between two batches: what the first one changed stays changed."""
    dataset = make_words(items=differences.ROWS_A_TRANSACTION + 20)
    call_command("train", dataset.slug)
    set_retraining(dataset=dataset, retrain="nightly", retrain_after=1)
    tonight = (timezone.now() + timedelta(days=1)).replace(hour=3, minute=0)
    items = list(dataset.items.filter(split="train").order_by("pk"))
    upload = dataset.uploads.create(name="splits.csv", path="/none")
    for place, item in enumerate(items):
        proposed = {"split": "validation"}
        if place == differences.ROWS_A_TRANSACTION:
            proposed["captured_at"] = "2026-13-01T00:00:00"
        upload.entries.create(
            name=item.key, outcome=Outcome.DIFFERENT, item=item, proposed=proposed
        )
    client.force_login(make_member(dataset, Role.LEAD))
    client.raise_request_exception = False
    address = reverse("labeling:apply_upload", args=[dataset.slug, upload.pk])
    assert client.post(address, {"what": "differences"}).status_code == 500
    moved = dataset.items.filter(split="validation")
    assert moved.count() == differences.ROWS_A_TRANSACTION
    assert datasets_with_news(now=tonight) == [dataset]


def test_a_lead_chooses_the_policy_and_a_wrong_number_is_refused(client):
    dataset = make_words(items=3)
    client.force_login(make_member(dataset, Role.LEAD))
    address = reverse("labeling:retraining", args=[dataset.slug])
    client.post(address, {"retrain": "after", "retrain_after": "20"})
    dataset.refresh_from_db()
    assert (dataset.retrain, dataset.retrain_after) == ("after", 20)
    assert client.post(address, {"retrain": "after", "retrain_after": "0"}).status_code == 422
    page = client.get(reverse("labeling:settings", args=[dataset.slug])).content.decode()
    assert "Training by itself" in page
    assert 'value="20"' in page
