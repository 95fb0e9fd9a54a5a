"""Items named by their keys: one a line as people type them, a list as programs send them."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from labeling.models import Dataset
from labeling.queries import rounds

KEYS_SAID = 5  # of those that are unknown


class KeysField(forms.CharField):
    """Keys of items, cleaned to a list; whether they exist is asked by `refuse_unknown`."""

    widget = forms.Textarea(attrs={"rows": 4})

    def to_python(self, value: Any) -> Any:
        lines = value if isinstance(value, list) else str(value or "").splitlines()
        return [key.strip() for key in lines if key.strip()]


def refuse_unknown(dataset: Dataset, keys: Sequence[str]) -> None:
    """Raise where no item of the dataset has one of these keys."""
    if unknown := rounds.unknown_keys(dataset, keys):
        words = _("No item has the key %(keys)s.") % {"keys": ", ".join(unknown[:KEYS_SAID])}
        raise forms.ValidationError(words)
