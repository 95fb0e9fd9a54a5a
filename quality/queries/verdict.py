"""Whether a run learned anything, against the commonest class and the nearest centroid."""

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from labeling.templatetags.figures import points, share
from mlcore.intervals import Interval, separate_difference
from quality.models import Run


@dataclass(frozen=True)
class Verdict:
    """What must be said of a run before its figures are believed; empty where all is well."""

    no_signal: str = ""
    checks: list[str] = field(default_factory=list)
    not_better: str = ""
    test_below: str = ""


def verdict_of(run: Run) -> Verdict:
    """Say whether a finished training clearly beats what needs no learning."""
    metrics = run.metrics
    below = _test_below(metrics)
    if not run.has_signal:
        no_signal = _no_signal(metrics["signal"])
        return Verdict(no_signal=no_signal, checks=_what_to_check(run), test_below=below)
    lead = metrics.get("lead")
    not_better = _not_better(lead) if lead and lead["low"] <= 0 else ""
    return Verdict(not_better=not_better, test_below=below)


def _test_below(metrics: dict[str, Any]) -> str:
    """Say when opened test items show clearly less than the figures that choices were made by."""
    if "test" not in metrics:
        return ""
    test, shown = (_interval(metrics[name]) for name in ("test", "accuracy"))
    found = separate_difference(test, shown)
    if found.high >= 0:
        return ""
    return _(
        "On the opened test items it is right on %(test)s, not on %(shown)s as out of sample: "
        "%(points)s points, %(low)s to %(high)s. Expect the test score in use. Test items may be "
        "of other sources or a later time, or the figures out of sample may have been chosen by "
        "too often; the checks of splits tell more."
    ) % {
        "test": share(test.value),
        "shown": share(shown.value),
        "points": points(found.value),
        "low": points(found.low),
        "high": points(found.high),
    }


def _interval(told: dict[str, Any]) -> Interval:
    return Interval(told["value"], told["low"], told["high"])


def _no_signal(signal: dict[str, Any]) -> str:
    accuracy, recall = signal["accuracy"], signal["recall"]
    return _(
        "It is right on %(after)s, always saying the commonest class on %(before)s: %(points)s "
        "points, paired %(low)s to %(high)s. The mean recall of the classes differs by %(recall)s "
        "points, %(recall_low)s to %(recall_high)s. Its probabilities doubt no label and suggest "
        "none; neighbours still speak."
    ) % {
        "after": share(accuracy["after"]),
        "before": share(accuracy["before"]),
        **{name: points(accuracy[key]) for name, key in _ENDS.items()},
        **{f"recall_{name}": points(recall[name]) for name in ("low", "high")},
        "recall": points(recall["value"]),
    }


_ENDS = {"points": "difference", "low": "low", "high": "high"}


def _what_to_check(run: Run) -> list[str]:
    given = [sum(row) for row in run.metrics["confusion"]]
    fewest = min((n, name) for n, name in zip(given, run.classes, strict=True) if n)
    card = run.dataset.task_card
    purpose = card.get("purpose") or card.get("success")
    asked = _("“%s”") % purpose if purpose else _("it says nothing yet of what the model is for")
    return [
        _("For what: %s. Does one item alone show that, or is something needed beside it?") % asked,
        _("Can people tell? Ask two of them about the same twenty items and see if they agree."),
        _("Do labels belong to their items? A table that slipped by one row looks like this."),
        _("Is there enough? The smallest class is “%(name)s” with %(n)s items; groups: %(groups)s.")
        % {"name": fewest[1], "n": fewest[0], "groups": run.metrics["groups"]},
    ]


def _not_better(lead: dict[str, Any]) -> str:
    return _(
        "By accuracy, training is not clearly better than the simplest rule, which gives each "
        "item the class whose average is nearest: %(points)s points, paired %(low)s to %(high)s. "
        "Doubts and queues still work. More items or cleaner labels will help more than another "
        "training."
    ) % {name: points(lead[key]) for name, key in _ENDS.items()}
