"""Changed copies are learned beside their items, shown before, and never made of test items."""

import io

import numpy as np
import pytest
from django.core.management import CommandError
from django.urls import reverse
from PIL import Image
from sklearn.datasets import load_digits

from labeling import storage
from labeling.models import Content, Job, LabelClass, Role
from labeling.models.items import Item
from labeling.services.versions import freeze_version
from mlcore.riff import pcm16_wav
from quality import arrays
from quality.models import Run
from tests.factories import make_dataset, make_member
from tests.quality.words import make_words, train

pytestmark = pytest.mark.django_db

DIGITS = (2, 3, 7)  # a mirror makes something else of them


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.WEIGHTS_DIR = tmp_path / "no weights"


def make_digits(a_class=12, test_items=3):
    """Real handwritten digits of 8 pixels, enlarged."""
    dataset = make_dataset(media="image", classes=tuple(map(str, DIGITS)))
    drawn = load_digits()
    for digit in DIGITS:
        label = LabelClass.objects.get(dataset=dataset, name=str(digit))
        for number, row in enumerate(np.flatnonzero(drawn.target == digit)[:a_class]):
            file = io.BytesIO()
            pixels = (drawn.images[row] * 15.9).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32)).save(file, "PNG")
            sha256 = storage.write_bytes(file.getvalue())
            facts = {"width": 32, "height": 32}
            content = Content.objects.create(
                sha256=sha256, type="png", mime="image/png", size=file.tell(), facts=facts
            )
            Item.objects.create(
                dataset=dataset, key=f"{digit}-{number:02}.png", content=content, label=label,
                label_source="import", split="test" if number < test_items else "train",
            )  # fmt: skip
    return dataset


def make_sound():
    dataset = make_dataset(media="audio", classes=("beep",))
    content = pcm16_wav(0.3 * np.sin(np.arange(8000) / 5)[:, None], 16_000)
    row = Content.objects.create(
        sha256=storage.write_bytes(content), type="wav", mime="audio/wav", size=len(content)
    )
    label = dataset.classes.get()
    Item.objects.create(
        dataset=dataset, key="a.wav", content=row, label=label, label_source="import", split="train"
    )
    return dataset


@pytest.mark.slow
def test_copies_are_learned_and_the_mirror_is_measured(client):
    dataset = make_digits()
    plain = train(dataset)
    changed = train(dataset, augment="shift+crop")
    assert changed["unchanged"] is False
    first, second = Run.objects.order_by("number")
    assert (first.protocol["augmentation"], second.protocol["augmentation"]) == ("", "crop+shift")
    assert "mirror" not in first.metrics
    described = arrays.known_contents(f"{second.backbone}+crop+shift-v1")
    learned = dataset.items.filter(split="train").values_list("content_id", flat=True)
    assert described.keys() == set(learned)  # nothing was made of test items
    assert not np.array_equal(*(arrays.run_array(run, "probabilities") for run in (first, second)))
    assert changed["n"] == plain["n"] == 27
    assert train(dataset)["unchanged"] is True  # copies stay chosen
    mirror = second.metrics["mirror"]
    assert mirror["mirrored"] < mirror["as_they_are"] <= mirror["n"] == 6
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse("quality:run", args=[dataset.slug, second.number])).content.decode()
    assert "a changed copy is learned: crop, shift." in page
    assert "Of 6 held-out pictures" in page
    back = train(dataset, augment="off")
    assert (back["run"], back["unchanged"]) == (3, False)  # like the first, and now the newest
    third = Run.objects.get(number=3)
    assert third.protocol == first.protocol
    assert np.array_equal(*(arrays.run_array(run, "folds") for run in (first, third)))


def test_the_page_shows_each_change_and_what_it_costs(client, django_assert_max_num_queries):
    dataset = make_digits()
    client.force_login(make_member(dataset, Role.LEAD))
    with django_assert_max_num_queries(24):
        page = client.get(reverse("quality:augmentation", args=[dataset.slug])).content.decode()
    assert "27 items × 1 copy × about 17 ms" in page
    assert "now: off" in page
    assert 'value="flip" id="change-flip">' in page  # not ticked until it is known to be harmless
    assert 'value="crop" id="change-crop" checked>' in page
    item = dataset.items.filter(split="train").first()
    seen = {}
    for changes in ("flip", "crop", "shift", "brightness", "crop+shift+brightness"):
        address = reverse("quality:augmented", args=[dataset.slug, item.pk, changes])
        assert address in page
        reply = client.get(address)
        assert reply["Content-Type"] == "image/png"
        seen[changes] = np.asarray(Image.open(io.BytesIO(reply.content)).convert("L"))
    original = np.asarray(Image.open(io.BytesIO(storage.read_bytes(item.content_id))).convert("L"))
    assert np.array_equal(seen["flip"], original[:, ::-1])
    assert seen["shift"].shape == original.shape
    wrong = reverse("quality:augmented", args=[dataset.slug, item.pk, "pitch"])
    assert client.get(wrong).status_code == 422
    shown = client.post(
        reverse("quality:augmentation", args=[dataset.slug]), {"changes": ["flip", "crop"]}
    ).content.decode()
    assert reverse("quality:augmented", args=[dataset.slug, item.pk, "flip+crop"]) in shown


def test_what_was_chosen_for_the_training_comes_along_through_the_page(client):
    dataset = make_digits()
    Run.objects.create(dataset=dataset, number=1, version=freeze_version(dataset=dataset)[0],
                       protocol={}, backbone="net")  # fmt: skip
    client.force_login(make_member(dataset, Role.LEAD))
    address = reverse("quality:augmentation", args=[dataset.slug])
    runs = client.get(reverse("quality:runs", args=[dataset.slug])).content.decode()
    assert f'formaction="{address}"' in runs  # the button sends the form around it
    page = client.post(address, {"scheme": "folds", "search": "60", "tuning": "0"})
    hidden = {name: page.context["form"][name].as_hidden() for name in ("scheme", "search")}
    assert all(field in page.content.decode() for field in hidden.values())
    assert 'value="folds"' in hidden["scheme"]
    assert 'value="60"' in hidden["search"]


def test_sounds_play_and_texts_say_that_there_is_nothing(client):
    dataset = make_sound()
    person = make_member(dataset, Role.LEAD)
    client.force_login(person)
    page = client.get(reverse("quality:augmentation", args=[dataset.slug])).content.decode()
    item = dataset.items.get()
    address = reverse("quality:augmented", args=[dataset.slug, item.pk, "noise"])
    assert f'<audio class="augmented" controls preload="none" src="{address}"' in page
    reply = client.get(address)
    assert reply["Content-Type"] == "audio/wav"
    assert len(reply.content) > 16_000 // 2 * 2 - 100
    words = make_words(items=6)
    client.force_login(make_member(words, Role.LEAD))
    page = client.get(reverse("quality:augmentation", args=[words.slug])).content.decode()
    assert "No changed copies of texts" in page


def test_what_is_ticked_goes_into_the_job_and_unknown_changes_are_refused(client):
    dataset = make_digits()
    client.force_login(make_member(dataset, Role.LEAD))
    address = reverse("quality:train", args=[dataset.slug])
    reply = client.post(address, {"augment": "on", "changes": ["noise"]}, follow=True)
    assert "There is no such change" in reply.content.decode()
    assert not Job.objects.exists()
    with pytest.raises(CommandError, match=r"Known: flip\+crop\+shift\+brightness"):
        train(dataset, augment="noise")
    client.post(address, {"augment": "on", "changes": ["brightness", "crop"]})
    assert Job.objects.get().options == {"augmentation": "crop+brightness"}
