"""The demo: planted data sets imported like anybody's, and what was found of what was planted."""

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from labeling import shards
from labeling.models import (
    Annotator,
    Dataset,
    Job,
    Membership,
    Outcome,
    Role,
    RoundKind,
    UploadEntry,
    User,
)
from labeling.services import datasets, guidelines, rounds
from labeling.services.intake import importing
from quality.demo import digits, tones, truth
from quality.demo.planting import Plan
from quality.models import Flag, FlagItem, FlagState

PLANTERS: dict[str, Callable[..., Plan]] = {
    "digits": digits.plant_digits,
    "tones": tones.plant_tones,
}
ROUND_ITEMS = 30  # enough to feel the rhythm of the keys, few enough to finish
DISPUTED_FIRST = "Digits that people read differently"


def folder_of(slug: str) -> Path:
    """Return where the planted files and the truth about them lie."""
    return Path(settings.DATA_DIR) / "demo" / slug


def _begun() -> Path:
    return Path(settings.DATA_DIR) / "demo" / "unfinished"


def note_begun(*, seed: int) -> None:
    """Note that the demo is being loaded, so that one that is killed goes on at the next start."""
    shards.save_text(_begun(), str(seed))


def note_finished() -> None:
    """Note that the demo is there."""
    _begun().unlink(missing_ok=True)


def begun_seed() -> int | None:
    """Return the seed of a demo that was begun and not finished."""
    return int(_begun().read_text()) if _begun().exists() else None


def opened(slug: str) -> tuple[Dataset, Job] | None:
    """Return a dataset of a demo that was begun, with the job of its import."""
    dataset = Dataset.objects.filter(slug=slug, is_demo=True).first()
    job = dataset.jobs.filter(kind="import").last() if dataset else None
    return (dataset, job) if dataset and job else None


def plant(slug: str, *, seed: int) -> Plan:
    """Write one planted data set to disk."""
    return PLANTERS[slug](folder_of(slug), seed=seed)


@transaction.atomic
def open_demo(*, plan: Plan, people: dict[str, User]) -> tuple[Dataset, Job]:
    """Make the dataset of a plan with its members and the waiting job of its import."""
    dataset = datasets.create_dataset(
        name=plan.title,
        slug=plan.slug,
        media=plan.media,
        by=people[Role.OWNER],
        question=plan.question,
        classes=[planned.name for planned in plan.classes],
        task_card=plan.task_card,
    )
    Dataset.objects.filter(pk=dataset.pk).update(is_demo=True)
    by_name = {planned.name: planned for planned in plan.classes}
    changes = {
        label_class.pk: {
            "key": _code(by_name[label_class.name].key),
            "role": by_name[label_class.name].role,
        }
        for label_class in dataset.classes.all()
    }
    datasets.change_classes(dataset=dataset, changes=changes)
    for role, user in people.items():
        Membership.objects.get_or_create(dataset=dataset, user=user, defaults={"role": role})
    guidelines.publish_guideline(dataset=dataset, text=plan.guideline, by=people[Role.OWNER])
    _, job = importing.open_import(
        dataset=dataset,
        path=plan.folder,
        labels=plan.labels_csv,
        columns={"key": "file"} if plan.labels_csv else {},
        by=people[Role.OWNER],
    )
    return dataset, job


def _code(key: str) -> str:
    """Return the KeyboardEvent.code of a digit or letter."""
    return f"Digit{key}" if key.isdigit() else f"Key{key.upper()}"


def open_first_round(*, dataset: Dataset, people: dict[str, User]) -> None:
    """Ask the annotators about the items that the simulated ones read differently, if any."""
    disputed = [
        pk for pk, answers in _answers_by_item(dataset).items() if len(answers) > 1
    ] or list(dataset.items.filter(split="train").order_by("key").values_list("pk", flat=True))
    rounds.make_round(
        dataset=dataset,
        name=DISPUTED_FIRST if dataset.annotators.exists() else "A first round",
        kind=RoundKind.CLASSIFY,
        items=disputed[:ROUND_ITEMS],
        answers_wanted=1,
        purpose="Try the keys",
        by=people[Role.OWNER],
    )


def _answers_by_item(dataset: Dataset) -> dict[int, set[int | None]]:
    answers: dict[int, set[int | None]] = {}
    outside = Annotator.objects.filter(dataset=dataset, user__isnull=True)
    rows = outside.values_list("annotations__item", "annotations__label").order_by("annotations")
    for item, label in rows:
        answers.setdefault(item, set()).add(label)
    return answers


def planted_and_found(dataset: Dataset) -> list[truth.Row]:
    """Compare what was planted with the flags that the checks raised, decided ones included.

    A planted fault is found when it stands in a queue; a false alarm is a flag that its check
    expects to be right, not one of the candidates that wait at the end of a queue.
    """
    left_out = FlagItem.objects.filter(flag=OuterRef("pk")).exclude(item__excluded="")
    flags = Flag.objects.filter(dataset=dataset).filter(
        ~Q(state=FlagState.GONE) | Exists(left_out)  # gone, because a person acted on it elsewhere
    )
    # Read once: the checks may be writing.
    read = [
        (
            flag.is_likely,
            (
                flag.kind,
                frozenset(entry.item.key for entry in flag.flag_items.all()),
                flag.score,
            ),
        )
        for flag in flags.prefetch_related("flag_items__item")
    ]
    refused = UploadEntry.objects.filter(
        upload__dataset=dataset, outcome=Outcome.REJECTED
    ).values_list("name", flat=True)
    known = truth.read_truth(folder_of(dataset.slug) / "truth.json")
    every = truth.compare(known, [raised for _, raised in read], rejected=refused)
    firm = truth.compare(
        known, [raised for is_likely, raised in read if is_likely], rejected=refused
    )
    rows = [row for row in every if row.planted] + [row for row in firm if not row.planted]
    return sorted(rows, key=lambda row: row.kind)
