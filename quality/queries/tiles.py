"""Items as the grid of Browse draws them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from labeling.models import Dataset, Item, Media
from quality.queries.doubts import doubts_about
from quality.queries.filters import Shown

SMALL_ORIGINAL = 100  # px; smaller pictures are shown with their pixels, not smeared


@dataclass(frozen=True)
class Tile:
    """One item as the grid draws it; `look` is its medium, or empty without consent."""

    pk: int
    key: str
    short_key: str
    label: str
    split: str
    look: str
    words: str
    select_words: str
    url: str
    preview_url: str
    media_url: str
    text: str
    duration: float
    doubt: str
    flags: int
    excluded: str
    pixelated: bool


def tiles_of(shown: Shown, items: list[Item], *, query: str = "") -> list[Tile]:
    """Dress items for the grid, with the open doubts about them."""
    suggested: dict[int, str] = {}
    doubts: Counter[int] = Counter()
    about = doubts_about([item.pk for item in items])
    for doubt in sorted(about, key=lambda doubt: doubt.score):
        doubts[doubt.item] += 1
        suggested[doubt.item] = doubt.suggested or suggested.get(doubt.item, "")
    # One look-up of each address serves the page: five hundred would cost a tenth of its time.
    slug = shown.dataset.slug
    page = reverse("quality:item", args=[slug, 0]).removesuffix("0/")
    media = reverse("labeling:media", args=[slug, 0, "preview"]).removesuffix("0/preview")
    tail = f"?{query}" if query else ""
    select_words = _("Select %(key)s")
    return [
        Tile(
            url=f"{page}{item.pk}/{tail}",
            preview_url=f"{media}{item.pk}/preview?v={item.content_mark}",
            media_url=f"{media}{item.pk}/display?v={item.content_mark}",
            doubt=suggested.get(item.pk, ""),
            flags=doubts[item.pk],
            select_words=select_words % {"key": item.key},
            **_shown_of(item, shown.dataset.media),
        )
        for item in items
    ]


def _shown_of(item: Item, media: str) -> dict[str, Any]:
    facts = item.content.facts
    side = max(facts.get("width", 0), facts.get("height", 0))
    label = item.label.name if item.label else ""
    return {
        "pk": item.pk,
        "key": item.key,
        "short_key": item.key.rsplit("/", 1)[-1].rsplit(".", 1)[0] or item.key,
        "label": label,
        "words": f"{item.key}, {label}" if label else item.key,
        "split": item.split,
        "excluded": item.excluded,
        "look": media if item.withdrawn_at is None else "",
        "text": item.content.text if media == Media.TEXT else "",
        "duration": float(facts.get("seconds") or 0),
        "pixelated": 0 < side <= SMALL_ORIGINAL,
    }


def media_url(dataset: Dataset, item: Item, what: str) -> str:
    """Address of an item's original, preview or showable copy."""
    return reverse("labeling:media", args=[dataset.slug, item.pk, what])
