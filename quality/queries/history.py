"""The history of a dataset in one chart: what each version holds, scores and gained."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Q
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from labeling.models import Dataset, Version
from labeling.queries.success import Choice, choice_of
from labeling.queries.versions import Comparing
from labeling.templatetags.figures import decimals
from mlcore.protocols import FOLDS, HOLD_OUT, TIME
from quality.models import Comparison, Run
from quality.queries.success import (
    Change,
    change_of,
    costs,
    differing,
    headline,
    named,
    written,
)

VERSIONS_SHOWN = 200  # on a phone a version is then 2 px wide
NUMBERS_SHOWN = 8  # of versions below the chart: all fit on a phone
WIDEST_BAR = 8.0  # percent of the chart: two versions are no two walls
TOP, HEIGHT = 10.0, 72.0  # px of a panel
BESIDE = 7  # px between gains that end at the same version
JUDGED = {
    FOLDS: gettext_lazy("cross-validated"),
    HOLD_OUT: gettext_lazy("on items held out"),
    TIME: gettext_lazy("judged by time"),
}


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
    choice = choice_of(dataset)
    panels = [_items(dataset, axis), _changed(dataset, axis), _scores(dataset, axis, choice)]
    gains = _gains(dataset, axis, choice)
    bar = min(axis.width * 0.7, WIDEST_BAR)
    return {
        "panels": [panel for panel in [*panels, gains] if panel.bars or panel.marks],
        "numbers": axis.numbers(),
        "bar_width": bar,
        "bar_left": -bar / 2,
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


def _scores(dataset: Dataset, axis: Axis, choice: Choice | None) -> Panel:
    runs = Run.objects.filter(dataset=dataset, finished_at__isnull=False, is_imported=False)
    fields = ("version__number", "number", "metrics__accuracy", "metrics__success")
    rows = list(runs.order_by("number").values_list(*fields, "protocol__scheme"))
    scheme = rows[-1][-1] if rows else None  # what another scheme measured is no history
    newest = {
        version: (run, headline({"accuracy": accuracy, "success": success}, choice))
        for version, run, accuracy, success, divided in rows
        if divided == scheme and axis.x(version) is not None
    }
    others = sum(axis.x(version) is not None for version in {row[0] for row in rows} - set(newest))
    known = {v: (run, figure) for v, (run, figure) in newest.items() if not figure.missing}
    scale = Scale(
        min((figure.low for _run, figure in known.values()), default=0.0),
        max((figure.high for _run, figure in known.values()), default=1.0),
    )
    marks = [
        Mark(
            x=axis.x(version) or 0.0,
            y=scale.y(figure.value),
            low=scale.y(figure.low),
            high=scale.y(figure.high),
            url=reverse("quality:run", args=[dataset.slug, run]),
            words=_("v%(v)s, run %(run)s: %(title)s %(value)s, %(low)s to %(high)s")
            % {
                "v": version,
                "run": run,
                "title": figure.title,
                "value": figure.words,
                "low": figure.low_words,
                "high": figure.high_words,
            },
        )
        for version, (run, figure) in sorted(known.items())
    ]
    title = _("%(metric)s, %(how)s, with 95 %% limits") % {
        "metric": named(choice),
        "how": JUDGED[scheme or FOLDS],
    }
    return Panel(
        title=f"{title}. {_('Lower is better.')}" if costs(choice) else title,
        most=written(choice)(scale.high),
        least=written(choice)(scale.low),
        zero=scale.y(scale.low),
        marks=marks,
        note=" ".join(filter(None, [_without(len(newest) - len(known)), _apart(others)])),
    )


def _apart(n: int) -> str:
    """Say of how many versions no run was judged as the newest one was."""
    if not n:
        return ""
    told = ngettext(
        "%(n)s version was judged otherwise than the newest run and has no mark.",
        "%(n)s versions were judged otherwise than the newest run and have no mark.",
        n,
    )
    return told % {"n": n}


def _without(n: int) -> str:
    """Say how many are not in a panel because they are not measured by its metric."""
    if not n:
        return ""
    told = ngettext("%(n)s is not measured by it.", "%(n)s are not measured by it.", n)
    return told % {"n": n}


def _gains(dataset: Dataset, axis: Axis, choice: Choice | None) -> Panel:
    done = Comparison.objects.filter(dataset=dataset).exclude(
        Q(result={}) | Q(old__version=F("new__version"))
    )
    names = ("difference", "low", "high", "success")
    rows = done.order_by("pk").values_list(
        "old__version__number", "new__version__number", *(f"result__{name}" for name in names)
    )
    changes = [
        (old, new, change_of(dict(zip(names, told, strict=True)), choice))
        for old, new, *told in rows
        if axis.x(old) is not None and axis.x(new) is not None
    ]
    known = [row for row in changes if not row[2].missing]
    scale = Scale(
        min([0.0, *(change.low for _old, _new, change in known)]),
        max([0.0, *(change.high for _old, _new, change in known)]),
    )
    ending: Counter[int] = Counter()
    marks = []
    for old, new, change in known:
        versions = {"old": old, "new": new}
        marks.append(_gain(dataset, axis, scale, change, beside=ending[new], **versions))
        ending[new] += 1
    title = _("Before/After: points gained, with 95 % limits; grey where nothing was shown")
    if choice:
        title = _("Before/After: change of %s, with 95 %% limits; grey where nothing was shown")
        title %= choice.title
    return Panel(
        title=f"{title}. {_('Lower is better.')}" if costs(choice) else title,
        most=differing(choice)(scale.high),
        least=differing(choice)(scale.low),
        zero=scale.y(0),
        marks=marks,
        note=_without(len(changes) - len(known)),
    )


def _gain(
    dataset: Dataset, axis: Axis, scale: Scale, change: Change, *, old: int, new: int, beside: int
) -> Mark:
    address = reverse("quality:before_after", args=[dataset.slug])
    words = _("v%(a)s to v%(b)s: %(told)s, %(low)s to %(high)s")
    return Mark(
        x=axis.x(new) or 0.0,
        y=scale.y(change.difference),
        low=scale.y(change.low),
        high=scale.y(change.high),
        since=axis.x(old) or 0.0,
        beside=beside * BESIDE,
        tone=change.tone,
        url=f"{address}?old={old}&new={new}",
        words=words % {"a": old, "b": new, "told": change.told, **change.words},
    )
