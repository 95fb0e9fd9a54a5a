"""What pages about quality accept."""

from typing import Any

from django import forms

from labeling.models import Dataset


class VersionsForm(forms.Form):
    """Two versions of one dataset, by number."""

    old = forms.IntegerField(min_value=1)
    new = forms.IntegerField(min_value=1)

    def __init__(self, *args: Any, dataset: Dataset, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.dataset = dataset

    def clean(self) -> dict[str, int]:
        chosen: dict[str, int] = super().clean() or {}
        known = set(self.dataset.versions.values_list("number", flat=True))
        if not set(chosen.values()) <= known:
            raise forms.ValidationError("no such version")
        return chosen
