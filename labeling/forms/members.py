"""What people type about members, their account and tokens."""

from typing import Any

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.password_validation import MinimumLengthValidator
from django.utils.translation import gettext_lazy as _

from labeling.models import Role, User
from labeling.services import members


def grantable_roles(viewer_role: str) -> list[tuple[str, str]]:
    """Return the roles that somebody may give, highest first."""
    return [
        (role.value, str(role.label))
        for role in Role
        if members.may_manage(viewer_role=viewer_role, role=role)
    ]


class InviteForm(forms.Form):
    """An invitation link."""

    role = forms.ChoiceField(label=_("Role"), initial=Role.ANNOTATOR)
    note = forms.CharField(
        label=_("For whom"),
        max_length=200,
        required=False,
        help_text=_("Only so that you recognise it in the list."),
    )

    def __init__(self, *args: Any, viewer_role: str, **options: Any) -> None:
        super().__init__(*args, **options)
        role = self.fields["role"]
        assert isinstance(role, forms.ChoiceField)
        role.choices = grantable_roles(viewer_role)


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.ChoiceField(choices=Role)


class AccountForm(UserCreationForm):
    """The account that an invited person makes."""

    class Meta:
        model = User
        fields = ("username",)
        labels = {"username": _("Name to log in with")}
        help_texts = {
            "username": _("Colleagues see it beside your answers. Letters, digits and @ . + - _")
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["password1"].help_text = (
            _("At least %s characters, not numbers alone, no common word, unlike your name.")
            % MinimumLengthValidator().min_length
        )
        self.fields["password2"].label = _("The same password again")
        self.fields["password2"].help_text = ""


class TokenForm(forms.Form):
    """A token of the API."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("What will use it, e.g. nightly import.")
    )
