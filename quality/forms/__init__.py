"""What pages about quality accept."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from labeling.models import Dataset
from labeling.models.datasets import LabelClass


class OfDatasetForm(forms.Form):
    """A form that is told which dataset its values belong to."""

    def __init__(self, *args: Any, dataset: Dataset, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.dataset = dataset


class ButtonForm(OfDatasetForm):
    """What a button sends: the action, a colon, what it acts with, and how long that took."""

    action = forms.CharField(max_length=250)
    seconds = forms.FloatField(required=False, min_value=0)
    test_confirmed = forms.BooleanField(required=False)

    def class_in_use(self, argument: str) -> LabelClass:
        """Return the class that a button names."""
        usable = self.dataset.classes.filter(retired_at=None)
        label = usable.filter(pk=argument).first() if argument.isdigit() else None
        if label is None:
            raise forms.ValidationError(_("Choose a class of this dataset."))
        return label
