"""What the page about augmentation says: which changes there are, what they cost, what they do."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.models import Dataset, Item, Split
from labeling.templatetags.figures import share
from mlcore.protocols import BRIGHTNESS, CHANGES, CROP, FLIP, NOISE, PITCH, SHIFT, STRETCH
from quality.queries.protocols import augmentation_of
from quality.queries.runs import newest_done

SHOWN_ITEMS = 4
UNLEARNED = Q(split=Split.TEST) | Q(content__isnull=True)
CPU_MS = {"image": 17, "audio": 15}
"""CPU-milliseconds a copy with all changes and its vector: a photo of 400 pixels by MobileNetV2,
a spoken digit by MFCC (docs/training.md, Augmentation)."""
TITLES = {
    FLIP: gettext_lazy("mirror"),
    CROP: gettext_lazy("crop"),
    SHIFT: gettext_lazy("shift"),
    BRIGHTNESS: gettext_lazy("brightness"),
    PITCH: gettext_lazy("pitch"),
    STRETCH: gettext_lazy("speed"),
    NOISE: gettext_lazy("noise"),
}


@dataclass(frozen=True)
class Change:
    """One change that can be ticked."""

    name: str
    title: str
    is_chosen: bool


def augmentation_words(augmentation: str) -> str:
    """Return the titles of the changes of a protocol; empty where there are none."""
    return ", ".join(str(TITLES[one]) for one in augmentation.split("+") if one)


def augmentation_page(dataset: Dataset, asked: list[str]) -> dict[str, Any]:
    """Return what may be ticked, some items to show it on, and what it costs.

    `asked` are the changes that somebody wants to see; without any those that are in use, else
    what is proposed: all but the mirror, unless a training measured that it changes no class.
    """
    run = newest_done(dataset)
    mirror = run.metrics.get("mirror") if run else None
    now = augmentation_of(dataset, {})
    chosen = [one for one in CHANGES[dataset.media] if one in asked]
    chosen = chosen or _proposed(dataset.media, now, mirror)
    learned = _learned(dataset).count()
    return {
        "changes": [Change(one, str(TITLES[one]), one in chosen) for one in CHANGES[dataset.media]],
        "together": "+".join(chosen),
        "now": augmentation_words(now),
        "mirror": mirror_words(mirror),
        "is_mirror_bad": bool(mirror and mirror["changes"]),
        "has_mirror": FLIP in CHANGES[dataset.media],
        "items": list(_shown(dataset)),
        "learned": learned,
        "cpu_ms": CPU_MS.get(dataset.media, 0),
        "cost": 1 + round(learned * CPU_MS.get(dataset.media, 0) / 1000),
    }


def mirror_words(mirror: dict[str, Any] | None) -> str:
    """Say what a mirror did to held-out pictures in the last training that tried it."""
    if not mirror or not mirror.get("n"):
        return ""
    found = {
        "n": mirror["n"],
        "before": share(mirror["as_they_are"] / mirror["n"]),
        "after": share(mirror["mirrored"] / mirror["n"]),
        "worst": ", ".join(name for name, _count in mirror["worst"]),
    }
    words = _(
        "Of %(n)s held-out pictures, a model that saw no mirrored one gets %(before)s right as "
        "they are and %(after)s mirrored: no sign that mirroring changes the class."
    )
    if mirror["changes"]:
        words = _(
            "Of %(n)s held-out pictures, a model that saw no mirrored one gets %(before)s right "
            "as they are and %(after)s mirrored (most lost: %(worst)s): mirroring may change the "
            "class."
        )
    return words % found


def _proposed(media: str, now: str, mirror: dict[str, Any] | None) -> list[str]:
    known = CHANGES[media]
    is_bad = bool(mirror and mirror["changes"])
    if now:
        return [one for one in known if one in now.split("+") and not (one == FLIP and is_bad)]
    return [one for one in known if one != FLIP or (mirror and not is_bad)]


def _learned(dataset: Dataset) -> Any:
    """Labelled items outside the test split; a run leaves out a few more."""
    return Item.objects.filter(dataset=dataset, label__isnull=False, excluded="").exclude(UNLEARNED)


def _shown(dataset: Dataset) -> Any:
    """Return some items, of different classes where there are such."""
    # "<=" is "=" here, and keeps SQLite to the index in whose order the first one stands first.
    learned = Item.objects.filter(dataset=dataset, excluded__lte="").exclude(UNLEARNED)
    found = {}
    for label_id in dataset.classes.values_list("pk", flat=True)[:SHOWN_ITEMS]:
        of_class = learned.filter(label_id=label_id).select_related("label", "content")
        if item := of_class.order_by("pk").first():
            found[item.pk] = item
    return found.values()
