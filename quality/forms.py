"""What pages about quality accept."""

from typing import Any

from django import forms

from labeling.models import Dataset
from quality.models import Action


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


class DecideForm(forms.Form):
    """A decision as its button sends it: the action, a colon, and what it acts with."""

    action = forms.CharField(max_length=250)
    seconds = forms.FloatField(required=False, min_value=0)
    test_confirmed = forms.BooleanField(required=False)

    def __init__(self, *args: Any, dataset: Dataset, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.dataset = dataset

    def clean(self) -> dict[str, Any]:
        """Take the button's value apart into the arguments of `decide_flag`."""
        sent = super().clean() or {}
        name, _, argument = sent.get("action", "").partition(":")
        if name not in Action.values or name == Action.UNDO:
            raise forms.ValidationError("no such action")
        chosen: dict[str, Any] = {
            "action": Action(name),
            "seconds": sent.get("seconds") or 0.0,
            "test_confirmed": sent.get("test_confirmed", False),
        }
        if name == Action.RELABEL and argument:
            found = self.dataset.classes.filter(pk=argument) if argument.isdigit() else None
            chosen["label"] = found.first() if found is not None else None
            if chosen["label"] is None:
                raise forms.ValidationError("no such class")
        elif name == Action.MERGE and argument.isdigit():
            chosen["keep"] = int(argument)
        elif name == Action.MOVE:
            chosen["split"] = argument
        elif name == Action.EXCLUDE:
            chosen["reason"] = argument
        return chosen
