"""Plant a large dataset of rows without files, for `bench/pages.py`; prints its slug.

    WINNOW_DATA=/tmp/large python bench/large.py [--items 100000] [--flags 20000]

Every item has a content with measurements, a source, a day, a split and a label; a tenth are
copies in pairs. Beside them: flags of five kinds, decisions about others and in Browse, three
versions, a run with its arrays, a neighbour graph, a round with answers of three people, an
import, notices.
The database is that of WINNOW_DATA, which is migrated first.
"""

import argparse
import hashlib
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

import numpy as np  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from labeling.models import (  # noqa: E402
    Annotation,
    Content,
    Dataset,
    Item,
    ItemTag,
    Job,
    LabelChange,
    LabelClass,
    Membership,
    Notice,
    Upload,
    UploadEntry,
    User,
    Version,
)
from labeling.services.annotations import annotator_for  # noqa: E402
from labeling.services.rounds import make_round  # noqa: E402
from labeling.services.rows import insert_rows  # noqa: E402
from labeling.services.statistics import renew_statistics  # noqa: E402
from labeling.services.versions import freeze_version  # noqa: E402
from labeling.services.writes import add_up_writes  # noqa: E402
from mlcore.duplicates import Pair  # noqa: E402
from mlcore.neighbours import NeighbourGraph  # noqa: E402
from quality import arrays, copy_pairs, graphs  # noqa: E402
from quality.models import Decision, Flag, FlagItem, Run  # noqa: E402
from quality.services import figures  # noqa: E402
from quality.services.flags import subject_of  # noqa: E402

CLASSES = [f"class {number}" for number in range(10)]
SPLITS = ["train"] * 8 + ["validation", "test"]
KINDS = {"label_error": 0.4, "near_duplicate": 0.25, "leakage": 0.1, "odd_image": 0.2}
# Shares of the items, so that a small dataset has everything in proportion.
SOURCES = PAIRS = 0.05
CHANGED = 0.03  # differ from one version to the next
CHOSEN = 0.01  # decided about at once in Browse
FLAGS = 0.2
LEAST_ITEMS = 200  # below it a class or a change would be missing
NEIGHBOURS = 10
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)


def plant(*, items: int, flags: int) -> Dataset:
    """Make everything that the pages read."""
    rng = np.random.default_rng(7)
    slug = f"large{Dataset.objects.count()}"
    dataset = Dataset.objects.create(slug=slug, name=slug, media="image")
    user = User.objects.get_or_create(username="bench", is_staff=True)[0]
    Membership.objects.create(dataset=dataset, user=user, role="owner")
    classes = [
        LabelClass.objects.create(dataset=dataset, name=name, position=place)
        for place, name in enumerate(CLASSES)
    ]
    rows = plant_items(dataset, classes, rng=rng, count=items, by=user)
    freeze_version(dataset=dataset, by=user)
    plant_flags(dataset, rows, rng=rng, count=flags, by=user)
    plant_decisions(dataset, rows, rng=rng, by=user)
    changed = int(CHANGED * items)
    change(dataset, rows[:changed], classes, by=user)
    version, _ = freeze_version(dataset=dataset, by=user)
    change(dataset, rows[changed : 2 * changed], classes, by=user)
    freeze_version(dataset=dataset, by=user)
    plant_run(dataset, version, rng=rng)
    plant_round(dataset, rows[: items // 10], classes, rng=rng)
    plant_notices(dataset)
    return dataset


def plant_items(
    dataset: Dataset, classes: list[LabelClass], *, rng: np.random.Generator, count: int, by: User
) -> list[Item]:
    """Make items with their contents, label history, tags and the import that brought them."""
    measured = rng.normal(size=(count, 8))
    contents = [
        Content(
            sha256=hashlib.sha256(f"{dataset.slug}/{number}".encode()).hexdigest(),
            type="jpeg",
            mime="image/jpeg",
            size=20_000 + number,
            facts=_facts(measured[number]),
        )
        for number in range(count)
    ]
    for content in contents:
        content.created_at = timezone.now()
    Content.objects.bulk_create(contents, batch_size=1_000)
    picked, sources = rng.integers(0, len(classes), count).tolist(), int(SOURCES * count)
    rows = [
        Item(
            dataset=dataset,
            key=f"folder{number % 20}/{number:07}.jpg",
            content=content,
            split=SPLITS[number % 10],
            source_group=f"source {number % sources}",
            captured_at=FIRST_DAY + timedelta(minutes=number),
            metadata={"camera": f"model {number % 7}", "site": number % 50},
            odd=[["dark", "It is dark."]] if number % 25 == 0 else [],
            excluded="blurred" if number % 50 == 1 else "",
            label=classes[picked[number]] if number % 20 else None,
            label_source="import" if number % 20 else "",
        )
        for number, content in enumerate(contents)
    ]
    Item.objects.bulk_create(rows, batch_size=1_000)
    rows = list(Item.objects.filter(dataset=dataset).order_by("pk").select_related("label"))
    upload = Upload.objects.create(dataset=dataset, name="large.zip", path="", by=by)
    now = timezone.now()
    insert_rows(
        [
            UploadEntry(upload=upload, name=item.key, outcome="imported", item_id=item.pk)
            for item in rows
        ]
    )
    insert_rows(
        [
            LabelChange(item_id=item.pk, after_id=item.label_id, source="import", at=now)
            for item in rows
            if item.label_id
        ]
    )
    insert_rows([ItemTag(item_id=item.pk, name=f"tag {item.pk % 5}") for item in rows[::20]])
    return rows


def _facts(measured: np.ndarray) -> dict[str, Any]:
    names = ("contrast", "sharpness", "luma_low", "luma_high", "entropy", "even_share")
    return {
        "width": 224,
        "height": 224,
        "brightness": round(float(120 + 40 * measured[0]), 3),
        "colourfulness": round(float(30 + 9 * measured[7]), 3),
        "frame_share": 0.0,
        **{name: round(float(value), 4) for name, value in zip(names, measured[1:7], strict=True)},
    }


def plant_flags(
    dataset: Dataset, rows: list[Item], *, rng: np.random.Generator, count: int, by: User
) -> None:
    """Open flags of all kinds, and decide a tenth as many more."""
    pairs = [
        Pair(2 * n, 2 * n + 1, 0.9 + (n % 10) / 100, "hash", "")
        for n in range(int(PAIRS * len(rows)))
    ]
    copy_pairs.save_pairs(dataset.pk, pairs, ids=[item.pk for item in rows])
    kinds = [kind for kind, share in KINDS.items() for _ in range(int(share * count))]
    kinds += ["outlier"] * (count - len(kinds)) + ["label_error"] * (count // 10)
    found, about = [], []
    now = timezone.now()
    for number, kind in enumerate(kinds):
        is_pair = kind in ("near_duplicate", "leakage")
        items = rows[2 * number : 2 * number + 2] if is_pair else [rows[-1 - number]]
        label = items[0].label
        is_label = kind == "label_error" and label is not None
        found.append(
            Flag(
                dataset=dataset,
                kind=kind,
                subject=subject_of([item.key for item in items]),
                given=label.name if is_label and label else "",
                suggested=CLASSES[number % 10] if is_label else "",
                state="open" if number < count else "decided",
                score=float(rng.random()),
                is_likely=number % 3 == 0,
                reason="A model that never saw it reads it otherwise.",
                evidence={"margin": float(rng.random()), "near": [1, 2, 3]},
                created_at=now,
            )
        )
        about.append(items)
    insert_rows(found)
    insert_rows(
        [
            FlagItem(flag_id=flag.pk, item_id=item.pk, role="item")
            for flag, items in zip(found, about, strict=True)
            for item in items
        ]
    )
    insert_rows(
        [
            Decision(
                dataset=dataset,
                flag_id=flag.pk,
                by=by,
                action="relabel" if number % 3 else "keep",
                seconds=3.0,
                before=[_state(items[0])],
                after=[{**_state(items[0]), "label": "class 1"}],
                at=now,
            )
            for number, (flag, items) in enumerate(zip(found, about, strict=True))
            if flag.state == "decided"
        ]
    )


def _state(item: Item) -> dict[str, Any]:
    return {
        "item": item.pk,
        "key": item.key,
        "label": item.label.name if item.label else None,
        "label_source": item.label_source,
        "split": item.split,
        "excluded": item.excluded,
    }


def plant_decisions(
    dataset: Dataset, rows: list[Item], *, rng: np.random.Generator, by: User
) -> None:
    """Twenty decisions in Browse about many items each."""
    for number in range(20):
        chosen = [
            rows[place] for place in rng.choice(len(rows), int(CHOSEN * len(rows)), replace=False)
        ]
        before = [_state(item) for item in chosen]
        after = [{**state, "tag": f"tag {number}"} for state in before]
        Decision.objects.create(
            dataset=dataset, by=by, action="tag", before=before, after=after, seconds=20.0
        )


@transaction.atomic
def change(dataset: Dataset, rows: list[Item], classes: list[LabelClass], *, by: User) -> None:
    """Relabel, move and exclude a third each, with the history that the pages tell of it."""
    third = len(rows) // 3
    now = timezone.now()
    pks = [item.pk for item in rows]
    for places, fields in (
        (pks[:third], {"label": classes[0], "label_source": "review"}),
        (pks[third : 2 * third], {"split": "train"}),
        (pks[2 * third :], {"excluded": "copy"}),
    ):
        for start in range(0, len(places), 500):
            Item.objects.filter(pk__in=places[start : start + 500]).update(**fields)
    insert_rows(
        [
            LabelChange(
                item_id=item.pk,
                before_id=item.label_id,
                after_id=classes[0].pk,
                source="review",
                by=by,
                at=now,
            )
            for item in rows[:third]
        ]
    )


def plant_run(dataset: Dataset, version: Version, *, rng: np.random.Generator) -> None:
    """A finished run with arrays and a graph, and the check that opened the flags."""
    from labeling.services.versions import read_manifest

    lines = list(read_manifest(version))
    labels = np.array([CLASSES.index(line["label"]) if line["label"] else -1 for line in lines])
    probabilities = rng.dirichlet([0.3] * len(CLASSES), len(lines)).astype(np.float32)
    known = labels >= 0
    probabilities[known, labels[known]] += 1.0
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    learned = known & np.array([line["split"] != "test" for line in lines])
    probabilities[~learned] = np.nan
    groups = np.array([int(line["group"].removeprefix("source ")) for line in lines])
    metrics = figures.metrics_of_predictions(
        probabilities[learned].argmax(axis=1),
        labels=labels[learned],
        groups=groups[learned],
        n_classes=len(CLASSES),
    )
    centroid = {**metrics["accuracy"], "title": figures.CENTROID, "value": 0.5}
    metrics["baselines"].append(centroid)
    curve = {"loss": [1.0, 0.5], "accuracy": [0.5, 0.7]}
    curve |= {"val_loss": [1.1, 0.6], "val_accuracy": [0.4, 0.6]}
    metrics |= {
        "n": int(learned.sum()),
        "sealed": int((~learned).sum()),
        "seconds": 60.0,
        "seed": 0,
        "folds": [{"accuracy": 0.7, "n": 100, "epochs": 2}],
        "curves": [curve],
        "backbone": {"name": "large", "title": "Large", "note": "", "is_fallback": False},
    }
    job = Job.objects.create(
        dataset=dataset, kind="train", state="done", finished_at=timezone.now(), result={}
    )
    run = Run.objects.create(
        dataset=dataset,
        number=1,
        version=version,
        job=job,
        protocol={"n_folds": 5, "seed": 0},
        backbone="large",
        classes=CLASSES,
        metrics=metrics,
        finished_at=timezone.now(),
    )
    arrays.save_run(run, {"probabilities": probabilities, "groups": groups})
    result = {"kinds": {kind: {"found": 1} for kind in [*KINDS, "outlier"]}}
    Job.objects.create(
        dataset=dataset, kind="detect", state="done", finished_at=timezone.now(), result=result
    )
    near = rng.integers(0, len(lines), (len(lines), NEIGHBOURS)).astype(np.int32)
    alike = np.sort(rng.random((len(lines), NEIGHBOURS), dtype=np.float32), axis=1)[:, ::-1]
    graph = NeighbourGraph(near, np.ascontiguousarray(alike))
    hashes = [line["sha256"] for line in lines]
    graphs.save_graph(dataset.pk, graph, backbone="large", hashes=hashes)


def plant_round(
    dataset: Dataset, rows: list[Item], classes: list[LabelClass], *, rng: np.random.Generator
) -> None:
    """A round over a tenth of the items, answered by three people."""
    included = [item for item in rows if not item.excluded]
    asking = make_round(
        dataset=dataset,
        name="large",
        kind="classify",
        items=[item.pk for item in included],
        answers_wanted=3,
    )
    answers, now = [], timezone.now()
    for number in range(3):
        user = User.objects.get_or_create(username=f"bench{number}")[0]
        Membership.objects.create(dataset=dataset, user=user, role="annotator")
        annotator = annotator_for(dataset=dataset, user=user)
        answers += [
            Annotation(
                round=asking,
                item_id=item.pk,
                annotator=annotator,
                answer="class",
                label=classes[int(rng.integers(0, len(classes)))],
                seconds=2.0,
                created_at=now,
            )
            for item in included
        ]
    Annotation.objects.bulk_create(answers, batch_size=1_000)


def plant_notices(dataset: Dataset) -> None:
    insert_rows(
        [
            Notice(
                dataset=dataset,
                kind="done",
                about=f"job {number}",
                words="A training is done.",
                path=f"/d/{dataset.slug}/runs/",
                at=timezone.now(),
            )
            for number in range(2_000)
        ]
    )


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--items", type=int, default=100_000)
    reader.add_argument("--flags", type=int, help="default: a fifth of the items")
    wanted = reader.parse_args()
    flags = int(FLAGS * wanted.items) if wanted.flags is None else wanted.flags
    if wanted.items < LEAST_ITEMS or 2 * flags > wanted.items:
        reader.error(f"at least {LEAST_ITEMS} items, and at most half as many flags")
    call_command("migrate", verbosity=0)
    print(plant(items=wanted.items, flags=flags).slug)
    add_up_writes()  # as after every job
    renew_statistics()
