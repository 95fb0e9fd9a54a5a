"""What a lead types to freeze a version."""

from django import forms
from django.utils.translation import gettext_lazy as _


class FreezeForm(forms.Form):
    """A new version."""

    note = forms.CharField(
        label=_("Note"), max_length=200, required=False, help_text=_("Why now, in a few words.")
    )
