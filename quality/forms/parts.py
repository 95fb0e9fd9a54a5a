"""What the page accepts that compares parts of a dataset."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from quality.queries.parts import FILTERS


class PartsForm(forms.Form):
    """A column, or two addresses of Browse."""

    by = forms.ChoiceField(label=gettext_lazy("Part the items by"))
    a = forms.CharField(
        label=gettext_lazy("Part A, for two filters"),
        required=False,
        max_length=4_000,
        help_text=gettext_lazy(
            "The address of Browse with its filters on. “Compare with the rest” there fills it in."
        ),
    )
    b = forms.CharField(
        label=gettext_lazy("Part B"),
        required=False,
        max_length=4_000,
        help_text=gettext_lazy("Empty: everything else. Items of both parts are left out."),
    )

    def __init__(self, *args: Any, columns: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["by"].choices = columns  # type: ignore[attr-defined]

    def clean_a(self) -> str:
        return _query(self.cleaned_data["a"])

    def clean_b(self) -> str:
        return _query(self.cleaned_data["b"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("by") == FILTERS and not cleaned.get("a"):
            self.add_error("a", _("Set a filter in Browse and paste its address here."))
        return cleaned


def _query(address: str) -> str:
    """Return what follows the question mark of an address, or a bare query as it is."""
    before, sign, query = address.strip().partition("?")
    return query if sign else before
