"""How a dataset's success is measured, as its task card says."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from labeling.models import Dataset, LabelClass
from labeling.templatetags.figures import share
from mlcore.success import ACCURACY, COST, MACRO_F1, RECALL, ROC_AUC

MEASURED_BY = ("metric", "positive", "precision", "costs", "shares")
EVERY_OTHER = "*"
SHARES_NAMED = 4


@dataclass(frozen=True)
class Choice:
    """A metric with class names; `by` is what of the task card its figures depend on.

    `costs` holds, for each given class, the cost of each predicted one, or of `EVERY_OTHER`.
    """

    metric: str
    by: dict[str, Any]
    positive: str = ""
    precision: float = 0.0
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    volume: int | None = None
    seconds: float | None = None

    @property
    def title(self) -> str:
        """What the metric is called."""
        named = {"positive": self.positive, "precision": share(self.precision)}
        title: str = {
            ACCURACY: _("Accuracy"),
            MACRO_F1: _("Macro-F1"),
            RECALL: _("Recall of “%(positive)s” at a precision of %(precision)s or more") % named,
            ROC_AUC: _("ROC AUC of “%(positive)s” against the rest") % named,
            COST: _("Cost an item"),
        }[self.metric]
        return _("%s, as in production") % title if self.shares else title

    @property
    def note(self) -> str:
        """What must be known to read its figures."""
        notes = [_("Lower is better.")] if self.metric == COST else []
        if self.shares:
            told = sorted(self.shares.items(), key=lambda pair: -pair[1])
            listed = ", ".join(f"“{name}” {share(value)}" for name, value in told[:SHARES_NAMED])
            listed += ", …" if len(told) > SHARES_NAMED else "."
            notes.append(_("Items weigh as in production: %s") % listed)
        return " ".join(notes)


def choice_of(dataset: Dataset) -> Choice | None:
    """Return what success was chosen to mean; None where nothing was."""
    if not dataset.success.get("metric"):
        return None
    return choices_of([dataset])[dataset.pk]


def choices_of(datasets: Iterable[Dataset]) -> dict[int, Choice]:
    """Return the choices of many datasets by id, where one was made, with one query."""
    chosen = [dataset for dataset in datasets if dataset.success.get("metric")]
    classes = LabelClass.objects.filter(dataset__in=chosen) if chosen else LabelClass.objects.none()
    names: dict[int, dict[str, str]] = {one.pk: {EVERY_OTHER: EVERY_OTHER} for one in chosen}
    for dataset, pk, name in classes.values_list("dataset", "pk", "name"):
        names[dataset][str(pk)] = name
    return {one.pk: _choice(one.success, names[one.pk]) for one in chosen}


def _choice(told: dict[str, Any], names: dict[str, str]) -> Choice:
    return Choice(
        metric=told["metric"],
        by={name: told[name] for name in MEASURED_BY if name in told},
        positive=names.get(str(told.get("positive", "")), ""),
        precision=told.get("precision", 0.0),
        costs={
            names[given]: {names[said]: cost for said, cost in row.items() if said in names}
            for given, row in told.get("costs", {}).items()
            if given in names
        },
        shares={names[pk]: n for pk, n in told.get("shares", {}).items() if pk in names},
        reason=told.get("reason", ""),
        volume=told.get("volume"),
        seconds=told.get("seconds"),
    )
