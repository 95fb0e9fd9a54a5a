"""Whether a run learned anything, against the commonest class and the nearest centroid."""

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from labeling.queries.success import Choice, choice_of
from labeling.templatetags.figures import points, share
from mlcore.intervals import Interval
from mlcore.shares import separate_difference
from quality.models import Run
from quality.queries.success import Change, lead_of


@dataclass(frozen=True)
class Verdict:
    """What must be said of a run before its figures are believed; empty where all is well."""

    no_signal: str = ""
    checks: list[str] = field(default_factory=list)
    not_better: str = ""
    test_below: str = ""


def verdict_of(run: Run) -> Verdict:
    """Say whether a finished training clearly beats what needs no learning.

    By the metric that was chosen; by accuracy where none was, or it cannot be measured.
    """
    choice = choice_of(run.dataset)
    below = _test_below(run, choice)
    no_signal = _no_signal(run, lead_of(run, choice, "signal"))
    if no_signal:
        return Verdict(no_signal=no_signal, checks=_what_to_check(run), test_below=below)
    not_better = _not_better(run.metrics.get("lead"), lead_of(run, choice, "lead"))
    return Verdict(not_better=not_better, test_below=below)


def _test_below(run: Run, choice: Choice | None) -> str:
    """Say when opened test items show clearly less than the figures that choices were made by."""
    metrics = run.metrics
    if "test" not in metrics:
        return ""
    kept = metrics.get("success") or {}
    is_measured = "value" in kept and "value" in kept.get("test", {})
    if choice and kept.get("by") == choice.by and is_measured:
        return _chosen_below(kept, choice)
    test, shown = (_interval(metrics[name]) for name in ("test", "accuracy"))
    found = separate_difference(test, shown)
    if found.high >= 0:
        return ""
    words = _(
        "On the opened test items it is right on %(test)s, not on %(shown)s as out of sample: "
        "%(points)s points, %(low)s to %(high)s."
    ) % {
        "test": share(test.value),
        "shown": share(shown.value),
        "points": points(found.value),
        "low": points(found.low),
        "high": points(found.high),
    }
    return f"{words} {_expect()}"


def _chosen_below(kept: dict[str, Any], choice: Choice) -> str:
    test, shown = _interval(kept["test"]), _interval(kept)
    found = separate_difference(test, shown)
    change = Change(found.value, found.low, found.high, shown.value, test.value, choice)
    if not change.is_clear or change.is_better:
        return ""
    words = _(
        "%(title)s is %(after)s on the opened test items, not %(before)s as out of sample: "
        "%(told)s, %(low)s to %(high)s."
    )
    return f"{words % _facts(change)} {_expect()}"


def _expect() -> str:
    return _(
        "Expect the test score in use. Test items may be of other sources or a later time, or the "
        "figures out of sample may have been chosen by too often; the checks of splits tell more."
    )


def _interval(told: dict[str, Any]) -> Interval:
    return Interval(told["value"], told["low"], told["high"])


def _no_signal(run: Run, lead: Change | None) -> str:
    """Say that it is not clearly better than always saying the commonest class; nothing if so."""
    is_behind = lead is not None and not lead.is_better
    if run.has_signal and not is_behind:
        return ""
    said = [_by_chosen(lead)] if lead else []
    if run.has_signal:
        more = _(
            "In another way it is clearly better (accuracy, mean recall, or the order that it puts "
            "items in), so its probabilities still doubt labels."
        )
        return " ".join([*said, more])
    order = (run.metrics.get("success") or {}).get("order")
    said += [_by_accuracy(run.metrics["signal"]), *([_by_order(order)] if order else [])]
    more = _("Its probabilities doubt no label and suggest none; neighbours still speak.")
    return " ".join([*said, more])


def _by_chosen(lead: Change) -> str:
    """Say how far it is ahead; guessing is ahead of one answer by some metrics, not by others."""
    words = _(
        "%(title)s: %(after)s, by always saying the commonest class %(before)s: %(told)s, paired "
        "%(low)s to %(high)s."
    )
    if lead.is_better:
        words = _(
            "%(title)s: %(after)s, by always saying the commonest class %(before)s; who guesses "
            "without looking may be as far ahead."
        )
    return words % _facts(lead)


def _by_order(order: dict[str, Any]) -> str:
    return _(
        "Its order of that class: ROC AUC %(value)s, %(low)s to %(high)s; 50 %% is chance."
    ) % {name: share(order[name]) for name in ("value", "low", "high")}


def _facts(change: Change) -> dict[str, str]:
    return {"title": change.title, "told": change.told, **change.words}


def _by_accuracy(signal: dict[str, Any]) -> str:
    accuracy, recall = signal["accuracy"], signal["recall"]
    return _(
        "It is right on %(after)s, always saying the commonest class on %(before)s: %(points)s "
        "points, paired %(low)s to %(high)s. The mean recall of the classes differs by %(recall)s "
        "points, %(recall_low)s to %(recall_high)s."
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


def _not_better(accuracy: dict[str, Any] | None, chosen: Change | None) -> str:
    """Say that the nearest centroid is as good; nothing where it is not."""
    if chosen is None and accuracy:
        names = ("difference", "low", "high", "before", "after")
        chosen = Change(**{name: accuracy[name] for name in names})
    if chosen is None or chosen.is_better:
        return ""
    words = _(
        "%(title)s: training is not clearly better than the simplest rule, the class whose "
        "average is nearest: %(told)s, paired %(low)s to %(high)s. Queues still work; more items "
        "or cleaner labels help more than another training."
    )
    title = chosen.title if chosen.is_chosen else _("Accuracy")
    return words % {**_facts(chosen), "title": title}
