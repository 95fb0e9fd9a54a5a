"""What pages about versions and the log accept."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.models import Dataset
from quality.detectors import KINDS
from quality.forms import OfDatasetForm
from quality.models import Action
from quality.queries.log import people_of
from quality.queries.settled import CONSENSUS


class VersionsForm(OfDatasetForm):
    """Two versions of one dataset, by number."""

    old = forms.IntegerField(min_value=1)
    new = forms.IntegerField(min_value=1)

    def clean(self) -> dict[str, int]:
        chosen: dict[str, int] = super().clean() or {}
        known = set(self.dataset.versions.values_list("number", flat=True))
        if not set(chosen.values()) <= known:
            raise forms.ValidationError("no such version")
        return chosen


class LogForm(OfDatasetForm):
    """Which decisions to list; what is left out lets all through."""

    by = forms.ChoiceField(required=False, label=gettext_lazy("By"))
    action = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Decision"),
        choices=[
            ("", gettext_lazy("any")),
            *Action.choices,
            (CONSENSUS, gettext_lazy("Consensus of a round")),
        ],
    )
    kind = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Doubt"),
        choices=[("", gettext_lazy("any")), *((kind.name, kind.title) for kind in KINDS.values())],
    )
    since = forms.DateField(
        required=False, label=gettext_lazy("From"), widget=forms.DateInput({"type": "date"})
    )
    until = forms.DateField(
        required=False, label=gettext_lazy("To"), widget=forms.DateInput({"type": "date"})
    )
    test = forms.BooleanField(required=False, label=gettext_lazy("Test items only"))

    def __init__(self, *args: Any, dataset: Dataset, **fields: Any) -> None:
        super().__init__(*args, dataset=dataset, **fields)
        by = self.fields["by"]
        assert isinstance(by, forms.ChoiceField)
        by.choices = [("", _("anybody")), *((name, name) for name in people_of(dataset))]
