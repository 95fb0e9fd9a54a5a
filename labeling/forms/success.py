"""The task card's part on success: a metric, the shares of production, what cases cost."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.models import Dataset, LabelClass
from labeling.queries.success import EVERY_OTHER
from mlcore.success import ACCURACY, COST, MACRO_F1, RECALL, ROC_AUC

MOST_IN_A_MATRIX = 8  # classes; beyond it a matrix fills no screen and nobody fills it in
MOST_OFF_ONE = 0.005  # what rounding to hundredths may leave of three thirds
MOST_COST = 1e9
ARROWS = ("→", "->")


class SuccessForm(forms.Form):
    """What success means; an empty metric leaves accuracy first, as items are."""

    metric = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Success is measured by"),
        choices=[
            ("", gettext_lazy("nothing chosen: accuracy, classes as the items have them")),
            (ACCURACY, gettext_lazy("Accuracy: the share that is right")),
            (MACRO_F1, gettext_lazy("Macro-F1: every class counts alike")),
            (RECALL, gettext_lazy("Recall of one class, at a least precision")),
            (ROC_AUC, gettext_lazy("ROC AUC: one class against the rest")),
            (COST, gettext_lazy("Cost: what each kind of mistake costs")),
        ],
    )
    reason = forms.CharField(
        required=False,
        max_length=500,
        label=gettext_lazy("Why this?"),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    positive = forms.ModelChoiceField(
        queryset=LabelClass.objects.none(),
        required=False,
        label=gettext_lazy("The class"),
        help_text=gettext_lazy("For recall and ROC AUC: the one that must be found."),
    )
    precision = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=1,
        label=gettext_lazy("Least precision"),
        help_text=gettext_lazy("For recall: of what is reported, the share that must be right."),
    )
    volume = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=10**9,
        label=gettext_lazy("Cases a day"),
        help_text=gettext_lazy("Run pages then say what a day would be like."),
    )
    seconds = forms.FloatField(
        required=False,
        min_value=0.1,
        max_value=86_400,
        label=gettext_lazy("Seconds for a person to look at one"),
    )

    def __init__(self, data: Any = None, *, dataset: Dataset) -> None:
        told = dataset.success
        super().__init__(data, initial=_initial(told))
        in_use = dataset.classes.filter(retired_at__isnull=True)
        self.label_classes = list(in_use)
        self.is_matrix = len(self.label_classes) <= MOST_IN_A_MATRIX
        if not self.is_matrix:
            self.fields["exceptions"] = _exceptions(self._exceptions_of(told.get("costs", {})))
        positive = self.fields["positive"]
        assert isinstance(positive, forms.ModelChoiceField)
        positive.queryset = in_use
        for row in self.label_classes:
            self.fields[f"share_{row.pk}"] = _number(row.name, most=1.0)
            for said in self._said_of(row):
                words = row.name if said is None else f"{row.name} → {said.name}"
                self.fields[_cost_name(row, said)] = _number(words, most=MOST_COST)

    def _said_of(self, given: LabelClass) -> list[LabelClass | None]:
        """What items of a class may be taken for: each other class, or any of very many."""
        if not self.is_matrix:
            return [None]
        return [said for said in self.label_classes if said.pk != given.pk]

    def _exceptions_of(self, costs: dict[str, dict[str, float]]) -> str:
        """Return the costs of single kinds of mistakes as lines, as `_read_exceptions` reads."""
        names = {str(row.pk): row.name for row in self.label_classes}
        lines = [
            f"{_quoted(names[given])} → {_quoted(names[said])} = {cost:.15g}"  # is saved again
            for given, row in costs.items()
            for said, cost in row.items()
            if given in names and said in names and cost != row.get(EVERY_OTHER, 1.0)
        ]
        return "\n".join(lines)

    def clean_exceptions(self) -> dict[str, dict[str, float]]:
        """Read lines like `dress → shirt = 5` into costs by the ids of both classes."""
        found: dict[str, dict[str, float]] = {}
        pks = {row.name: str(row.pk) for row in self.label_classes}
        for line in filter(None, map(str.strip, self.cleaned_data["exceptions"].splitlines())):
            readings = _read_exception(line, pks)
            if not readings:
                words = _("“%s” cannot be read: write two classes and a cost, e.g. “%s → %s = 5”.")
                raise forms.ValidationError(words % (line, *list(pks)[:2]))
            if len(readings) > 1:
                words = _('“%s” can be read as several pairs: put both names in quotes (").')
                raise forms.ValidationError(words % line)
            [(given, said, cost)] = readings
            found.setdefault(given, {})[said] = cost
        return found

    def share_rows(self) -> list[Any]:
        """Return the fields of production shares."""
        return [self[f"share_{row.pk}"] for row in self.label_classes]

    def cost_rows(self) -> list[dict[str, Any]]:
        """Return a row of cost fields for each class; None stands on the diagonal."""
        return [
            {
                "name": given.name,
                "cells": [
                    None if said == given else self[_cost_name(given, said)]
                    for said in (self.label_classes if self.is_matrix else [None])
                ],
            }
            for given in self.label_classes
        ]

    def clean(self) -> dict[str, Any]:
        sent = super().clean() or {}
        metric = sent.get("metric", "")
        if metric in (RECALL, ROC_AUC) and not (sent.get("positive") or self.has_error("positive")):
            self.add_error("positive", _("Choose the class that it is about."))
        if metric == RECALL and not (sent.get("precision") or self.has_error("precision")):
            self.add_error("precision", _("Say the least precision, e.g. 0.9."))
        shares = self._shares(sent)
        if shares and abs(sum(shares.values()) - 1) > MOST_OFF_ONE:
            words = _("The shares must add to 1; they add to %(sum).3f. Or leave all empty.")
            self.add_error(None, words % {"sum": sum(shares.values())})
        positive = sent.get("positive")
        is_against_rest = metric in (RECALL, ROC_AUC) and bool(shares)
        if positive and is_against_rest and not 0 < shares[str(positive.pk)] < 1:
            words = _("Production must have “%s”, and other classes beside it.")
            self.add_error(f"share_{positive.pk}", words % positive.name)
        costs = self._costs(sent)
        if metric == COST and not any(cost for row in costs.values() for cost in row.values()):
            self.add_error("metric", _("Give at least one kind of mistake a cost above 0."))
        return sent

    def chosen(self) -> dict[str, Any]:
        """Return what the task card keeps; empty where nothing is chosen."""
        sent = self.cleaned_data
        found: dict[str, Any] = {
            name: sent[name] for name in ("reason", "volume", "seconds") if sent.get(name)
        }
        if shares := self._shares(sent):
            total = sum(shares.values())
            found["shares"] = {pk: value / total for pk, value in shares.items()}
        # Shares and volume say something of a day without any metric; accuracy then stands first.
        metric = sent["metric"] or (ACCURACY if shares else "")
        if metric:
            found["metric"] = metric
        if metric in (RECALL, ROC_AUC):
            found["positive"] = sent["positive"].pk
        if metric == RECALL:
            found["precision"] = sent["precision"]
        if metric == COST:
            found["costs"] = self._costs(sent)
        return found

    def _shares(self, sent: dict[str, Any]) -> dict[str, float]:
        """Return the share of each class; empty where none is given."""
        given = {str(row.pk): sent.get(f"share_{row.pk}") for row in self.label_classes}
        if all(value is None for value in given.values()):
            return {}
        return {pk: value or 0.0 for pk, value in given.items()}

    def _costs(self, sent: dict[str, Any]) -> dict[str, dict[str, float]]:
        """Return what each kind of mistake costs; what is left empty costs 1."""
        costs: dict[str, dict[str, float]] = {}
        for given in self.label_classes:
            for said in self._said_of(given):
                cost = sent.get(_cost_name(given, said))
                key = EVERY_OTHER if said is None else str(said.pk)
                costs.setdefault(str(given.pk), {})[key] = 1.0 if cost is None else cost
        for given_pk, row in (sent.get("exceptions") or {}).items():
            costs[given_pk] |= row
        return costs


def _exceptions(lines: str) -> forms.CharField:
    return forms.CharField(
        required=False,
        initial=lines,
        max_length=10_000,
        label=gettext_lazy("Kinds of mistakes that cost something else"),
        help_text=gettext_lazy(
            "One a line: an item of the first class, taken for the second, e.g. “dress → shirt = 5”"
            " (or ->)."
        ),
        widget=forms.Textarea(attrs={"rows": 4}),
    )


def _read_exception(line: str, pks: dict[str, str]) -> set[tuple[str, str, float]]:
    """Return all that a line may say, as both classes (ids) and the cost; one where it is clear.

    >>> _read_exception("a -> b=c = 5", {"a": "1", "b=c": "2"})
    {('1', '2', 5.0)}
    """
    pair, _sign, written = line.rpartition("=")
    try:
        cost = float(written)
    except ValueError:
        return set()
    if not 0 <= cost <= MOST_COST:
        return set()
    found = set()
    for arrow in ARROWS:
        for place in [place for place in range(len(pair)) if pair.startswith(arrow, place)]:
            given, said = pair[:place].strip(), pair[place + len(arrow) :].strip()
            ids = [pks.get(name) or pks.get(_unquoted(name)) for name in (given, said)]
            if None not in ids and ids[0] != ids[1]:
                found.add((str(ids[0]), str(ids[1]), cost))
    return found


def _quoted(name: str) -> str:
    """Set a name apart that holds an arrow itself."""
    return f'"{name}"' if any(arrow in name for arrow in ARROWS) else name


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def _number(words: str, *, most: float) -> forms.FloatField:
    return forms.FloatField(required=False, min_value=0, max_value=most, label=words)


def _cost_name(given: LabelClass, said: LabelClass | None) -> str:
    return f"cost_{given.pk}" if said is None else f"cost_{given.pk}_{said.pk}"


def _initial(told: dict[str, Any]) -> dict[str, Any]:
    initial = {name: value for name, value in told.items() if name not in ("shares", "costs")}
    initial |= {f"share_{pk}": round(value, 4) for pk, value in told.get("shares", {}).items()}
    for given, row in told.get("costs", {}).items():
        for said, cost in row.items():
            name = f"cost_{given}" if said == EVERY_OTHER else f"cost_{given}_{said}"
            initial[name] = cost
    return initial
