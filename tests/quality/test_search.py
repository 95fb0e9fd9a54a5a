"""A search over heads is off until asked for, and remembered by its run."""

from dataclasses import replace

import pytest
from django.core.management import call_command
from django.urls import reverse

from labeling.models import Job, Role
from labeling.services.versions import freeze_version
from mlcore.features.weights import MOBILENET_FILE
from mlcore.search import SEARCHED
from quality.models import Run
from quality.queries.heads import search_card
from quality.services.search import asked_of
from tests.factories import make_member
from tests.quality.test_run_page import make_run, page_of, pets  # noqa: F401
from tests.quality.words import make_words, train

pytestmark = pytest.mark.django_db


@pytest.mark.slow
def test_a_run_remembers_its_search_and_another_takes_its_head_without_one():
    dataset = make_words(items=40)
    assert train(dataset, search="60")["unchanged"] is False
    assert train(dataset)["unchanged"] is True  # it stays chosen
    searched = Run.objects.get()
    assert searched.protocol["search"] == 60
    tried = searched.metrics["search"]
    assert (len(tried["heads"]), tried["n"]) == (3, 40)
    kept = tried["heads"][tried["kept"]]["changes"]
    assert kept.items() <= searched.protocol.items()
    assert [set(head) for head in searched.metrics["fold_heads"]] == [set(SEARCHED)] * 5
    assert asked_of(searched, True) is not None
    dataset.success = {"metric": "macro_f1"}
    dataset.save()
    assert asked_of(Run.objects.get(), True) is None  # it judged by something else
    dataset.success = {}
    dataset.save()
    searched.protocol |= {"hidden": 8}  # as if the search had found it
    searched.save()
    dataset.items.order_by("key").last().delete()
    later, _ = freeze_version(dataset=dataset)
    call_command("prove", dataset.slug, str(searched.version.number), str(later.number))
    run = Run.objects.get(version=later)
    assert run.protocol == searched.protocol
    assert "search" not in run.metrics
    assert len(run.metrics["fold_heads"]) == 5
    assert asked_of(run, True) is None  # a training would search for the new version first
    assert asked_of(searched, True) == replace(asked_of(searched, False), hidden=0)


def test_the_search_is_chosen_beside_the_other_settings(client, pets):  # noqa: F811
    make_run(pets, "cddd")
    client.force_login(make_member(pets, Role.LEAD))
    page = client.get(reverse("quality:runs", args=[pets.slug])).content.decode()
    assert '<option value="0" selected>off</option>' in page
    assert "about 60 s" in page
    address = reverse("quality:train", args=[pets.slug])
    reply = client.post(address, {"search": "31"}, follow=True)
    assert "takes no such time" in reply.content.decode()
    assert not Job.objects.exists()
    client.post(address, {"search": "60", "tuning": "120"})
    assert Job.objects.get().options == {"search": 60, "tuning": 120}


def test_fine_tuning_is_offered_where_a_network_was_found(
    client,
    pets,  # noqa: F811
    settings,
    tmp_path,
    monkeypatch,
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # Keras keeps networks below it
    make_run(pets, "cddd")
    client.force_login(make_member(pets, Role.LEAD))
    shown = []
    for weights in (tmp_path / "none", tmp_path):
        (tmp_path / MOBILENET_FILE).write_bytes(b"weights")
        settings.WEIGHTS_DIR = weights
        page = client.get(reverse("quality:runs", args=[pets.slug])).content.decode()
        shown.append(("Try fine-tuning" in page, "Fine-tuning trains the last block" in page))
    assert shown == [(False, False), (True, True)]


def test_a_run_shows_what_was_tried_in_the_metric_that_judged(client, pets):  # noqa: F811
    run = make_run(pets, "cddd")
    assert "Heads that were tried" not in page_of(client, run)
    heads = [
        {"changes": {}, "value": 0.5, "lead": None},
        {"changes": {"hidden": 64, "dropout": 0.3, "l2": 0.008}, "value": 0.75,
         "lead": {"value": 0.25, "low": 0.125, "high": 0.375}},
    ]  # fmt: skip
    run.metrics["fold_heads"] = [{"l2": 0.08, "hidden": 0, "dropout": 0.0}] * 2
    for kept, words in ((0, "which stays"), (1, "+25.0 above the usual linear head")):
        run.protocol |= {"search": 60, **heads[kept]["changes"]}
        run.metrics["search"] = {"heads": heads, "n": 4, "kept": kept, "title": "Macro-F1"}
        run.save()
        page = page_of(client, run)
        assert words in page
        assert "Macro-F1" in page.split("Heads that were tried")[1].split("</table>")[0]
        assert "(+12.5 to +37.5)" in page.replace('"ink-2">', "")
        assert "linear x 2" in page
    assert "64 hidden units, dropout 0.3, penalty x 0.1), seed 0" in page
    surprise = {"value": -0.25, "low": -0.5, "high": 0.125}
    heads[1] |= {"changes": {"tuned": True}, "surprise": surprise}
    run.save()
    words = "not clearly worse than the best frozen head, log loss −0.25 nats an item"
    assert words in page_of(client, run)
    run.metrics["search"] |= {"kept": 0}
    run.save()
    assert "which stays; fine-tuning is clearly worse, log loss −0.25" in page_of(client, run)
    run.metrics["search"] |= {"is_cost": True}
    run.save()
    assert "+0.250" in page_of(client, run)
    run.metrics["search"] = {"heads": [], "n": 0, "kept": 0, "reason": "It needs a cat."}
    run.save()
    assert "It needs a cat. The usual linear head is used." in page_of(client, run)


def test_a_search_of_before_success_was_asked_is_still_shown():
    lead = {"value": 0.02, "low": 0.01, "high": 0.03}
    heads = [
        {"changes": {}, "accuracy": 0.8, "lead": None},
        {"changes": {"hidden": 8}, "accuracy": 0.82, "lead": lead},
    ]
    card = search_card({"search": {"heads": heads, "n": 40, "kept": 1}}, {"search": 60})
    assert card
    assert [row["value"] for row in card["rows"]] == [".800", ".820"]
    assert "No item that judges" not in card["words"]  # its items chose the head
