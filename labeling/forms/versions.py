"""What a lead types to freeze a version."""

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _


class FreezeForm(forms.Form):
    """A new version."""

    note = forms.CharField(
        label=_("Note"), max_length=200, required=False, help_text=_("Why now, in a few words.")
    )


class TagForm(forms.Form):
    """A name beside a version's number."""

    tag = forms.SlugField(
        label=_("Tag"),
        max_length=40,
        required=False,
        validators=[RegexValidator(r"^[vV]?\d+$", inverse_match=True)],  # reads as a version
    )
