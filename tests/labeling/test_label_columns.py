"""The column of the labels: known by name, asked for, chosen later, and kept for next time."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.models import Dataset, Item, LabelClass, LabelSource, Upload
from labeling.services import labels
from labeling.services.intake import differences
from labeling.services.intake.tables import read_table
from tests.labeling.test_dataset_pages import carry_out
from tests.labeling.test_import_columns import sent, zipped
from tests.labeling.test_intake import folder, png, run
from tests.quality.test_ways_back import carry_back

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = ("coat", "hat", "shoe")
FIRST = {f"Delivery {n % 2 + 1}/{n}.png": png(n) for n in range(12)}
TABLE = b"file;Ware;shelf\n" + b"".join(
    f"{name};{KINDS[n % 3]};s{n % 4}\n".encode() for n, name in enumerate(FIRST)
)
ASKS = "Labels were taken from the folders"


def page_of(lead: Client, upload: Upload) -> str:
    return lead.get(reverse("labeling:upload", args=["pets", upload.pk])).text


def act(lead: Client, upload: Upload, what: str) -> str:
    address = reverse("labeling:apply_upload", args=["pets", upload.pk])
    return lead.post(address, {"what": what}, follow=True).text


def read_with(lead: Client, upload: Upload, **chosen: str) -> Upload:
    lead.post(reverse("labeling:read_upload_again", args=["pets", upload.pk]), chosen)
    again = Upload.objects.latest("pk")
    carry_out(again)
    again.refresh_from_db()
    return again


def first_and_again(lead: Client) -> tuple[Upload, Upload]:
    """Import two deliveries whose folders become classes; choose the column of the labels."""
    first = sent(lead, "pets", {"a.zip": zipped(FIRST | {"goods.csv": TABLE})})
    return first, read_with(lead, first, what="label", column_label="Ware")


def label_names() -> dict[str, str]:
    return dict(Item.objects.values_list("key", "label__name"))


@pytest.mark.parametrize(
    "column", ["Kategorie", "Klasse", "label_name", "Étiquette", "E\u0301tiquette", "Categoría"]
)
def test_a_label_column_is_known_in_other_languages(column: str) -> None:
    table = read_table("t.csv", f"Datei;{column}\n1.png;cat\n".encode())
    assert table.roles == {"label": column}


def test_it_is_asked_whether_a_column_is_the_label_where_folders_became_classes(
    lead: Client, dataset: Dataset
) -> None:
    first = sent(lead, "pets", {"a.zip": zipped(FIRST | {"goods.csv": TABLE})})
    page = page_of(lead, first)
    assert ASKS in page
    assert "“Delivery 1”, “Delivery 2”" in page
    assert 'name="column_label" value="Ware"' in page
    assert page.index(ASKS) < page.index("new items")
    again = read_with(lead, first, what="label", column_label="Ware")
    assert ASKS not in page_of(lead, first)
    assert ASKS not in page_of(lead, again)


def test_folders_that_are_classes_already_are_not_doubted(lead: Client, dataset: Dataset) -> None:
    for name in ("Delivery 1", "Delivery 2"):
        LabelClass.objects.create(dataset=dataset, name=name)
    upload = sent(lead, "pets", {"a.zip": zipped(FIRST | {"goods.csv": TABLE})})
    page = page_of(lead, upload)
    assert ASKS not in page
    assert "No label column was recognised" not in page


def test_a_terminal_is_told_as_well_that_folders_became_classes(
    tmp_path: Path, capsys: Any
) -> None:
    result = run(folder(tmp_path / "a", FIRST | {"goods.csv": TABLE}), capsys)
    assert result["folder_labels"] == ["Delivery 1", "Delivery 2"]
    assert result["label_choices"] == ["Ware", "shelf"]


def test_applying_says_how_many_labels_changed_and_which_wait_for_their_class(
    lead: Client, dataset: Dataset
) -> None:
    _, again = first_and_again(lead)
    LabelClass.objects.create(dataset=dataset, name="hat")
    said = act(lead, again, "differences")
    assert "4 items changed; 4 of them have another label now." in said
    assert "8 labels were not changed" in said
    assert sorted(label_names().values()).count("hat") == 4
    assert "Add these 2 classes and label 8 items" in said


def test_unknown_classes_are_added_in_one_step_for_items_with_another_label(
    lead: Client, dataset: Dataset
) -> None:
    _, again = first_and_again(lead)
    by_person = Item.objects.get(key="Delivery 1/0.png")
    other = dataset.classes.get(name="Delivery 2")
    labels.set_labels(labels={by_person.pk: other}, source=LabelSource.REVIEW)
    assert "Add these 3 classes and label 11 items" in page_of(lead, again)
    assert "11 items labelled" in act(lead, again, "classes")
    found = label_names()
    assert found.pop("Delivery 1/0.png") == "Delivery 2"
    assert found == {name: KINDS[n % 3] for n, name in enumerate(FIRST) if n}
    assert "Add these" not in page_of(lead, again)
    carry_back(again)
    assert set(label_names().values()) == {"Delivery 1", "Delivery 2"}


def test_what_people_said_is_not_up_against_a_class_that_is_not_there(
    lead: Client, dataset: Dataset
) -> None:
    first = sent(lead, "pets", {"a.zip": zipped(FIRST | {"goods.csv": TABLE})})
    label = dataset.classes.get(name="Delivery 1")
    Item.objects.update(label=label, label_source=LabelSource.REVIEW, metadata={})
    again = read_with(lead, first, what="label", column_label="Ware")
    assert set(again.entries.values_list("code", flat=True)) == {"label_by_people"}


def test_a_column_that_became_the_label_leaves_the_metadata_and_comes_back_with_it(
    lead: Client, dataset: Dataset
) -> None:
    _, again = first_and_again(lead)
    assert Item.objects.get(key="Delivery 1/0.png").metadata == {"Ware": "coat", "shelf": "s0"}
    said = act(lead, again, "differences")
    assert "0 items changed; 0 of them" in said
    assert Item.objects.get(key="Delivery 1/0.png").metadata["Ware"] == "coat"
    act(lead, again, "classes")
    assert Item.objects.get(key="Delivery 1/0.png").metadata == {"shelf": "s0"}
    assert not again.entries.filter(outcome="different").exists()
    carry_back(again)
    assert Item.objects.get(key="Delivery 1/0.png").metadata == {"Ware": "coat", "shelf": "s0"}


def test_a_chosen_column_is_kept_for_the_next_import_until_another_is_chosen(
    lead: Client, dataset: Dataset
) -> None:
    _, again = first_and_again(lead)
    differences.add_classes(upload=again, names=list(KINDS))
    lines = "".join(f"Delivery 3/{n}.png;scarf\n" for n in range(20, 24))
    later = {f"Delivery 3/{n}.png": png(n) for n in range(20, 24)}
    table = f"file;Ware\n{lines}".encode()
    third = sent(lead, "pets", {"b.zip": zipped(later | {"goods.csv": table})})
    assert third.options["result"]["roles"]["label"] == "Ware"
    assert "4 items name the class “scarf”" in page_of(lead, third)
    cleared = read_with(lead, third, column_label="")
    assert "label" not in cleared.options["result"]["roles"]
    fourth = sent(lead, "pets", {"c.zip": zipped(later | {"goods.csv": table})})
    assert "label" not in fourth.options["result"]["roles"]


def test_a_choice_is_passed_over_where_a_table_has_no_such_column(
    lead: Client, dataset: Dataset
) -> None:
    first_and_again(lead)
    table = b"file;label\nDelivery 1/0.png;coat\n"
    third = sent(lead, "pets", {"b.zip": zipped({**FIRST, "other.csv": table})})
    assert third.options["result"]["roles"]["label"] == "label"
    fourth = sent(lead, "pets", {"b.zip": zipped(FIRST | {"goods.csv": TABLE})})
    assert fourth.options["result"]["roles"]["label"] == "Ware"
