"""The history of a dataset in one chart: what each version holds, scores and gained."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Q
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from labeling.models import Dataset, Version
from labeling.queries.versions import Comparing
from labeling.templatetags.figures import decimals, points, share
from quality.models import Comparison, Run

VERSIONS_SHOWN = 200  # on a phone a version is then 2 px wide
NUMBERS_SHOWN = 8  # of versions below the chart: all fit on a phone
TOP, HEIGHT = 10.0, 72.0  # px of a panel
BESIDE = 7  # px between gains that end at the same version


@dataclass(frozen=True)
class Mark:
    """A bar or a point; x in percent of the width, y in px from the top of its panel."""

    x: float
    y: float
    words: str
    url: str
    low: float = 0.0
    high: float = 0.0
    tone: str = ""
    second: float = 0.0  # y of a second bar in front
    since: float = 0.0  # x of the version that a gain is over
    beside: int = 0  # px to the right


@dataclass(frozen=True)
class Panel:
    """One row of the chart over the same versions."""

    title: str
    most: str
    least: str
    zero: float
    bars: list[Mark] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Scale:
    """Values to px, the largest at the top."""

    low: float
    high: float

    def y(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return round(TOP + (self.high - value) / span * (HEIGHT - TOP), 1)


@dataclass(frozen=True)
class Axis:
    """Where versions stand, oldest first."""

    versions: list[Version]

    @property
    def width(self) -> float:
        return 100 / len(self.versions)

    def x(self, number: int) -> float | None:
        """Return the middle of a version, in percent; None where it is not shown."""
        places = {version.number: place for place, version in enumerate(self.versions)}
        return (places[number] + 0.5) * self.width if number in places else None

    def numbers(self) -> list[dict[str, Any]]:
        """Return at most NUMBERS_SHOWN versions to write below, the newest among them."""
        every = -(-len(self.versions) // NUMBERS_SHOWN)
        return [
            {"x": self.x(version.number), "number": version.number}
            for version in self.versions[::-1][::every]
        ]


def history(dataset: Dataset) -> dict[str, Any]:
    """Return the panels of the chart; nothing with fewer than two versions."""
    newest = list(Version.objects.filter(dataset=dataset).order_by("-number")[: VERSIONS_SHOWN + 1])
    shown = newest[:VERSIONS_SHOWN][::-1]
    if len(shown) < 2:
        return {"panels": []}
    axis = Axis(shown)
    panels = [_items(dataset, axis), _changed(dataset, axis), _scores(dataset, axis)]
    gains = _gains(dataset, axis)
    return {
        "panels": [panel for panel in [*panels, gains] if panel.bars or panel.marks],
        "numbers": axis.numbers(),
        "bar_width": axis.width * 0.7,
        "bar_left": axis.width * -0.35,
        "is_cut": len(newest) > VERSIONS_SHOWN,
        "height": HEIGHT,
    }


def _items(dataset: Dataset, axis: Axis) -> Panel:
    most = max(version.items for version in axis.versions)
    scale, address = Scale(0, most), reverse("labeling:versions", args=[dataset.slug])
    bars = [
        Mark(
            x=(place + 0.5) * axis.width,
            y=scale.y(version.items),
            second=scale.y(version.labelled),
            url=f"{address}#v{version.number}",
            words=_("v%(v)s, %(day)s: %(items)s items, %(labelled)s labelled")
            % {
                "v": version.number,
                "day": date_format(version.created_at, "j M Y"),
                "items": version.items,
                "labelled": version.labelled,
            },
        )
        for place, version in enumerate(axis.versions)
    ]
    title = _("Items, labelled ones darker")
    return Panel(title=title, most=str(most), least="0", zero=scale.y(0), bars=bars)


def _changed(dataset: Dataset, axis: Axis) -> Panel:
    comparing, address = Comparing(), reverse("quality:version_difference", args=[dataset.slug])
    shares: dict[int, float] = {}
    missing = 0
    pairs = list(zip(axis.versions, axis.versions[1:], strict=False))
    for old, new in reversed(pairs):  # the newest first, so that they are never missing
        found = comparing.of(old, new)
        missing += found is None
        if found is not None:
            shares[new.number] = found.corrected / old.labelled if old.labelled else 0.0
    scale = Scale(0, max(shares.values(), default=0) or 0.01)
    bars = [
        Mark(
            x=axis.x(new.number) or 0.0,
            y=scale.y(shares[new.number]),
            url=f"{address}?old={old.number}&new={new.number}",
            words=_("v%(a)s to v%(b)s: %(share)s %% of the labels changed")
            % {"a": old.number, "b": new.number, "share": _percent(shares[new.number])},
        )
        for old, new in pairs
        if new.number in shares
    ]
    note = _("Some versions are not compared yet; reload to go on.") if missing else ""
    return Panel(
        title=_("Share of labels changed"),
        most=f"{_percent(scale.high)} %",
        least="0",
        zero=scale.y(0),
        bars=bars,
        note=note,
    )


def _percent(value: float) -> str:
    return decimals(value * 100, 1)


def _scores(dataset: Dataset, axis: Axis) -> Panel:
    runs = Run.objects.filter(dataset=dataset, finished_at__isnull=False, is_imported=False)
    rows = runs.order_by("number").values_list("version__number", "number", "metrics__accuracy")
    newest = {version: (run, score) for version, run, score in rows if axis.x(version) is not None}
    limits = [score for _run, score in newest.values()]
    scale = Scale(
        min((score["low"] for score in limits), default=0.0),
        max((score["high"] for score in limits), default=1.0),
    )
    marks = [
        Mark(
            x=axis.x(version) or 0.0,
            y=scale.y(score["value"]),
            low=scale.y(score["low"]),
            high=scale.y(score["high"]),
            url=reverse("quality:run", args=[dataset.slug, run]),
            words=_("v%(v)s, run %(run)s: accuracy %(value)s, %(low)s to %(high)s")
            % {"v": version, "run": run, **{key: share(score[key]) for key in LIMITS}},
        )
        for version, (run, score) in sorted(newest.items())
    ]
    return Panel(
        title=_("Accuracy, cross-validated, with 95 % limits"),
        most=share(scale.high),
        least=share(scale.low),
        zero=scale.y(scale.low),
        marks=marks,
    )


LIMITS = ("value", "low", "high")


def _gains(dataset: Dataset, axis: Axis) -> Panel:
    done = Comparison.objects.filter(dataset=dataset).exclude(
        Q(result={}) | Q(old__version=F("new__version"))
    )
    rows: list[dict[str, Any]] = [
        dict(row)
        for row in done.order_by("pk").values(
            "old__version__number",
            "new__version__number",
            "result__difference",
            "result__low",
            "result__high",
        )
        if axis.x(row["old__version__number"]) is not None
        and axis.x(row["new__version__number"]) is not None
    ]
    scale = Scale(
        min([0.0, *(row["result__low"] for row in rows)]),
        max([0.0, *(row["result__high"] for row in rows)]),
    )
    ending: Counter[int] = Counter()
    marks = []
    for row in rows:
        marks.append(_gain(dataset, axis, scale, row, beside=ending[row["new__version__number"]]))
        ending[row["new__version__number"]] += 1
    return Panel(
        title=_("Before/After: points gained, with 95 % limits; grey where nothing was shown"),
        most=points(scale.high),
        least=points(scale.low),
        zero=scale.y(0),
        marks=marks,
    )


def _gain(dataset: Dataset, axis: Axis, scale: Scale, row: dict[str, Any], *, beside: int) -> Mark:
    value, low, high = (row[f"result__{name}"] for name in ("difference", "low", "high"))
    old, new = row["old__version__number"], row["new__version__number"]
    address = reverse("quality:before_after", args=[dataset.slug])
    return Mark(
        x=axis.x(new) or 0.0,
        y=scale.y(value),
        low=scale.y(low),
        high=scale.y(high),
        since=axis.x(old) or 0.0,
        beside=beside * BESIDE,
        tone="better" if low > 0 else "worse" if high < 0 else "grey",
        url=f"{address}?old={old}&new={new}",
        words=_("v%(a)s to v%(b)s: %(value)s points, %(low)s to %(high)s")
        % {"a": old, "b": new, "value": points(value), "low": points(low), "high": points(high)},
    )
