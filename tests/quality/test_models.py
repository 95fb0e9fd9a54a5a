"""The model of a run leaves as one zip that predicts what the run predicts, and reads one file."""

import csv
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse
from PIL import Image

from labeling import storage
from labeling.models import Content, Item, Job, JobState, Role
from labeling.queries.success import choice_of
from labeling.services import jobs
from labeling.services.datasets import choose_success
from labeling.templatetags.figures import share
from mlcore.features import choose_backbones, extract, known_backbones
from quality.models import Run
from quality.services import models, scoring
from tests.factories import make_dataset, make_item, make_member
from tests.quality.words import make_words
from tests.shared import shared_path

pytestmark = pytest.mark.django_db


def trained(**options):
    dataset = make_words(items=48, test_items=6)
    call_command("train", dataset.slug, stdout=io.StringIO(), **options)
    return dataset


def predicted(client, dataset):
    """What the page of the run exports, by key."""
    address = reverse("quality:predictions", args=[dataset.slug, 1])
    body = b"".join(client.get(address)).decode()
    return {row["key"]: row for row in csv.DictReader(io.StringIO(body.lstrip("\ufeff")))}


def address(name, dataset):
    return reverse(f"quality:{name}", args=[dataset.slug, 1])


def work_off(kind, body):
    return jobs.carry_out(Job.objects.filter(kind=kind).latest("pk").pk, body)


def test_the_zip_follows_its_own_card_to_what_the_run_predicts(client, tmp_path, monkeypatch):
    dataset = trained(open_test=True, reason="release")
    choose_success(dataset=dataset, chosen={"metric": "macro_f1"})
    scoring.score_run(Run.objects.get(), choice_of(dataset))
    client.force_login(make_member(dataset, Role.REVIEWER))
    out = tmp_path / "model.zip"
    call_command("model", dataset.slug, out=out, stdout=io.StringIO())
    zipfile.ZipFile(out).extractall(tmp_path / "model")
    monkeypatch.chdir(tmp_path / "model")
    card = (tmp_path / "model/README.md").read_text()
    run = Run.objects.get()
    assert f"{run.metrics['accuracy']['value']:.3f}".lstrip("0") in card
    assert f"Macro-F1: {share(run.metrics['macro_f1']['value'])} (95 %:" in card
    assert run.version.digest in card
    item = dataset.items.filter(split="test").first()
    (tmp_path / "model/item").write_text(item.content.text)
    told: dict = {}
    exec(card.split("```python\n")[1].split("```")[0], told)
    there = predicted(client, dataset)[item.key]
    classes = json.loads((tmp_path / "model/classes.json").read_text())
    assert classes == run.classes
    expected = np.array([float(there[name]) for name in classes])
    assert np.abs(told["probabilities"] - expected).max() < 1e-5


LOAD = """
import json, sys
import keras, numpy
assert not any(name.startswith(("mlcore", "quality")) for name in sys.modules)
print(keras.models.load_model(sys.argv[1]).predict(numpy.load(sys.argv[2]), verbose=0)[0].tolist())
"""


@pytest.mark.slow
def test_a_head_with_a_hidden_layer_leaves_whole_for_a_python_with_keras_alone(client, tmp_path):
    dataset = trained()
    run = Run.objects.get()
    run.protocol |= {"hidden": 8, "dropout": 0.3, "search": 60}  # as if a search had found it
    run.save()
    out = tmp_path / "model.zip"
    call_command("model", dataset.slug, out=out, stdout=io.StringIO())
    zipfile.ZipFile(out).extractall(tmp_path)
    assert "8 hidden units, dropout 0.3" in (tmp_path / "README.md").read_text()
    text = dataset.items.filter(split="test").first().content.text
    np.save(tmp_path / "vector.npy", extract(choose_backbones("text", weights_folder=None)[0],
                                             [text.encode()]))  # fmt: skip
    command = [sys.executable, "-I", "-c", LOAD, "model.keras", "vector.npy"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    client.force_login(make_member(dataset, Role.REVIEWER))
    client.post(address("try_model", dataset), {"text": text})
    told = dict(work_off("try_model", models.try_model).result["probabilities"])
    classes = json.loads((tmp_path / "classes.json").read_text())
    there = [told[name] for name in classes]
    assert json.loads(said.splitlines()[-1]) == pytest.approx(there, abs=1e-5)


def test_a_member_tries_a_text_and_reads_what_the_run_would_say(client):
    dataset = trained(open_test=True, reason="release")
    client.force_login(make_member(dataset, Role.REVIEWER))
    item = dataset.items.filter(split="test").first()
    client.post(address("try_model", dataset), {"text": item.content.text})
    assert "Waiting" in client.get(address("use_model", dataset)).content.decode()
    ended = work_off("try_model", models.try_model)
    there = predicted(client, dataset)[item.key]
    for name, value in ended.result["probabilities"]:
        assert value == pytest.approx(float(there[name]), abs=1e-5)
    best = ended.result["probabilities"][0][0]
    shown = client.get(address("use_model", dataset)).content.decode()
    assert best == there["predicted"]
    assert f'title="{best}"' in shown.split('id="told"')[1].split("</li>")[0]
    assert not list(models._tried_folder().iterdir()), "the file is not kept"
    client.force_login(make_member(dataset, Role.LEAD))
    assert 'id="told"' not in client.get(address("use_model", dataset)).content.decode()


def test_the_page_makes_the_zip_in_a_job_and_then_offers_it(client):
    dataset = trained()
    client.force_login(make_member(dataset, Role.REVIEWER))
    assert client.get(address("model_zip", dataset)).status_code == 302
    client.post(address("make_package", dataset))
    client.post(address("make_package", dataset))
    assert Job.objects.get(kind="package_model").queue == "train"
    work_off("package_model", models.package_model)
    assert "Download the zip" in client.get(address("use_model", dataset)).content.decode()
    body = b"".join(client.get(address("model_zip", dataset)))
    names = zipfile.ZipFile(io.BytesIO(body)).namelist()
    assert names == ["README.md", "classes.json", "model.keras", "preprocessing.json"]


def picture(number):
    """A striped PNG, bright in one class and dark in the other."""
    stripes = np.random.default_rng(number).integers(0, 60, (40, 1, 3)) + 150 * (number % 2)
    buffer = io.BytesIO()
    Image.fromarray(np.tile(stripes, (1, 40, 1)).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def make_pictures():
    dataset = make_dataset(media="image")
    for number in range(24):
        content = picture(number)
        sha256 = storage.write_bytes(content)
        Content.objects.create(sha256=sha256, type="png", mime="image/png", size=len(content))
        item = make_item(dataset, f"{number:02}.png", ("cat", "dog")[number % 2], split="train")
        Item.objects.filter(pk=item.pk).update(content_id=sha256)
    return dataset


def test_a_picture_is_read_and_what_is_none_is_refused_in_words_and_not_kept(client):
    dataset = make_pictures()
    call_command("train", dataset.slug, stdout=io.StringIO())
    client.force_login(make_member(dataset, Role.REVIEWER))
    client.post(address("try_model", dataset), {"file": SimpleUploadedFile("a.png", picture(101))})
    ended = work_off("try_model", models.try_model)
    assert ended.result["probabilities"][0][0] == "dog"
    assert ended.result["name"] == "a.png"
    client.post(address("try_model", dataset), {"file": SimpleUploadedFile("b.png", b"no picture")})
    refused = work_off("try_model", models.try_model)
    assert refused.state == JobState.FAILED
    assert refused.error.startswith("b.png cannot be read: The file is really")
    assert "b.png cannot be read" in client.get(address("use_model", dataset)).content.decode()
    assert not list(models._tried_folder().iterdir())
    again = jobs.retry_job(job=refused)
    assert "Send it again" in jobs.carry_out(again.pk, models.try_model).error


@pytest.mark.slow
def test_fine_tuned_layers_are_what_the_zip_and_the_page_answer_with(client, settings, tmp_path):
    settings.WEIGHTS_DIR = shared_path("weights")
    dataset = make_pictures()
    Content.objects.update(facts={"width": 24, "height": 24})
    call_command("train", dataset.slug, tune="120", search="off", stdout=io.StringIO())
    run = Run.objects.get()
    heads = run.metrics["search"]["heads"]
    assert [head["changes"] for head in heads] == [{}, {"tuned": True}]
    assert len(run.metrics["fold_heads"]) == 5
    run.protocol |= {"tuned": True}  # as if that had been kept
    run.save()
    out = tmp_path / "model.zip"
    call_command("model", dataset.slug, out=out, stdout=io.StringIO())
    zipfile.ZipFile(out).extractall(tmp_path)
    assert "fine-tuned on these items" in (tmp_path / "README.md").read_text()
    how = json.loads((tmp_path / "preprocessing.json").read_text())
    below = {one.name: one for one in known_backbones("image", weights_folder=settings.WEIGHTS_DIR)}
    np.save(tmp_path / "vector.npy", extract(below[how["backbone"]], [picture(101)]))
    command = [sys.executable, "-I", "-c", LOAD, "model.keras", "vector.npy"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    client.force_login(make_member(dataset, Role.REVIEWER))
    client.post(address("try_model", dataset), {"file": SimpleUploadedFile("a.png", picture(101))})
    told = dict(work_off("try_model", models.try_model).result["probabilities"])
    there = [told[name] for name in json.loads((tmp_path / "classes.json").read_text())]
    assert json.loads(said.splitlines()[-1]) == pytest.approx(there, abs=1e-4)
    assert told["dog"] > 0.5
    page = client.get(reverse("quality:run", args=[dataset.slug, 1])).content.decode()
    assert "frozen but for its last block" in page
    assert "last block fine-tuned" in page


def test_nothing_sent_and_nothing_trained_are_told(client):
    dataset = make_words(items=6)
    with pytest.raises(CommandError, match="no such run"):
        call_command("model", dataset.slug, out="x.zip")
    trained_set = trained()
    client.force_login(make_member(trained_set, Role.REVIEWER))
    answer = client.post(address("try_model", trained_set), {})
    assert answer.status_code == 422
    assert not Job.objects.filter(kind="try_model").exists()
    Run.objects.update(is_imported=True)
    assert "No model here" in client.get(address("use_model", trained_set)).content.decode()
