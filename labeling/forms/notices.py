"""Where notices go besides the inbox."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class MailForm(forms.Form):
    """Whether somebody wants mail, and where."""

    email = forms.EmailField(label=_("Your address"), required=False)
    gets_mail = forms.BooleanField(
        label=_("Write to me"),
        required=False,
        help_text=_("At most one mail in five minutes, with all that is new."),
    )

    def clean(self) -> dict[str, Any]:
        chosen: dict[str, Any] = super().clean() or {}
        if chosen.get("gets_mail") and not chosen.get("email"):
            raise forms.ValidationError(_("Give the address to write to."))
        return chosen


class WebhookForm(forms.Form):
    """An address that takes notices."""

    url = forms.URLField(
        label=_("Address"),
        max_length=500,
        assume_scheme="https",
        error_messages={"invalid": _("Give a whole address, beginning with http:// or https://.")},
    )
