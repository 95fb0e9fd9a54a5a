"""What is typed about pauses."""

from typing import Any

from django import forms

from labeling.models import GuardAct


class MessageForm(forms.Form):
    """What an annotator who is paused says."""

    text = forms.CharField(max_length=500)


class DecideForm(forms.Form):
    """What a lead decides; a pause by hand says why."""

    act = forms.ChoiceField(choices=[(act, act) for act in ("pause", "resume", "end")])
    text = forms.CharField(max_length=500, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("act") == GuardAct.PAUSE and not cleaned.get("text"):
            self.add_error("text", "a reason is needed")
        return cleaned
