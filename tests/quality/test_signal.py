"""A run that learned nothing says so, and doubts no label by what it did not learn."""

import io
import random

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse

from labeling.models import Job, Role, Suggestion
from labeling.services import jobs
from quality.models import Flag, Run
from quality.queries.runs import newest_done
from quality.queries.survey import survey_of
from quality.queries.verdict import verdict_of
from quality.services import figures, runs
from quality.services.graph import complete
from tests.factories import make_asking, make_member
from tests.quality.words import make_words

pytestmark = pytest.mark.django_db


def by_chance(items=90):
    """Texts whose labels were dealt at random: there is nothing to learn."""
    dataset = make_words("chance", items=items)
    rng = random.Random(4)
    classes = list(dataset.classes.all())
    for item in dataset.items.all():
        item.label = rng.choice(classes)
        item.save()
    return dataset


def command(name, dataset):
    out = io.StringIO()
    call_command(name, dataset.slug, stdout=out)
    return out.getvalue()


def page(client, name, dataset, *args):
    return client.get(reverse(name, args=[dataset.slug, *args])).content.decode()


def test_labels_dealt_at_random_give_no_signal_and_no_doubts_by_the_model(client):
    dataset = by_chance()
    dataset.task_card = {"purpose": "sorts letters"}
    dataset.save()
    assert "no signal found" in command("train", dataset)
    command("detect", dataset)
    doubts = Flag.objects.filter(kind="label_error")
    assert not [flag for flag in doubts if flag.evidence["probabilities"]]
    told = Job.objects.get(kind="detect").result["kinds"]["label_error"]
    assert "neighbours alone" in told["notice"]
    client.force_login(make_member(dataset, Role.LEAD))
    shown = page(client, "quality:run", dataset, 1)
    assert "No signal found" in shown
    assert "“sorts letters”" in shown
    assert "No signal found" in page(client, "quality:overview", dataset)
    assert "neighbours alone were asked" in page(client, "quality:checks", dataset)


def test_a_run_without_a_signal_suggests_nothing_and_takes_earlier_suggestions_back():
    dataset = by_chance()
    items = list(dataset.items.values_list("pk", flat=True))
    make_asking(dataset, items, suggesting="after")
    Suggestion.objects.create(
        item=dataset.items.first(), label=dataset.classes.first(), probability=0.9
    )
    command("train", dataset)
    assert not Suggestion.objects.exists()


def test_a_run_that_learned_is_asked_about_labels_and_says_nothing_of_signals(client):
    dataset = make_words(items=90)
    assert "no signal" not in command("train", dataset)
    client.force_login(make_member(dataset, Role.LEAD))
    assert "No signal found" not in page(client, "quality:run", dataset, 1)
    assert "No signal found" not in page(client, "quality:overview", dataset)
    work = jobs.Work(jobs.claim(jobs.open_job(kind="detect", dataset=dataset).pk))
    survey = complete(work, survey_of(dataset), run=newest_done(dataset))
    assert survey.probabilities is not None
    assert survey.uncalibrated is not None


def test_a_model_that_tells_rare_classes_apart_has_a_signal_though_less_is_right():
    labels = np.array([0] * 190 + [1] * 10)
    right = np.ones(200, dtype=bool)
    right[:15] = False  # of the common class; every rare item is found
    found = figures.signal_of(right, labels=labels, groups=np.arange(200))
    assert found["accuracy"]["difference"] < 0
    assert found["recall"]["low"] > 0
    assert found["found"]


def test_a_model_no_better_than_the_nearest_centroid_says_so(client):
    dataset = make_words(items=60)
    command("train", dataset)
    run = Run.objects.get()
    run.metrics["lead"] |= {"difference": 0.004, "low": -0.02, "high": 0.028}
    run.save()
    assert "class whose average is nearest" in verdict_of(run).not_better
    client.force_login(make_member(dataset, Role.LEAD))
    shown = page(client, "quality:run", dataset, 1)
    assert "Accuracy: training is not clearly better than the simplest rule" in shown
    run.metrics["lead"] |= {"difference": 0.04, "low": 0.02, "high": 0.06}
    assert not verdict_of(run).not_better
    assert runs.summary(run)["signal"]
