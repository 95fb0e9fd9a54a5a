"""What the page accepts on which sealed test items are opened."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from labeling.models import Dataset
from quality.models import Run
from quality.queries.openings import openable


class RunField(forms.ModelChoiceField):
    """A run by its number and version."""

    def label_from_instance(self, obj: Any) -> str:
        assert isinstance(obj, Run)
        return gettext_lazy("Run %(run)s on v%(version)s") % {
            "run": obj.number,
            "version": obj.version.number,
        }


class OpeningForm(forms.Form):
    """Which run predicts the test items, and why they are looked at."""

    run = RunField(
        Run.objects.none(), to_field_name="number", empty_label=None, label=gettext_lazy("Run")
    )
    reason = forms.CharField(
        max_length=200,
        label=gettext_lazy("Why now?"),
        help_text=gettext_lazy("E.g. “release 2”: it is kept with your name."),
    )

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        run = self.fields["run"]
        assert isinstance(run, forms.ModelChoiceField)
        run.queryset = openable(dataset)
