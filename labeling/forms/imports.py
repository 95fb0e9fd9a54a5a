"""How files that come through the browser are to be read."""

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.forms.ids import MOST_ID
from labeling.services.intake.tables import ROLES

COLUMN_ROLES = ("key", "label", "split", "group", "captured_at", "text")
assert set(COLUMN_ROLES) <= set(ROLES)


class ImportOptionsForm(forms.Form):
    """Options of an import; every one may be left as it is."""

    split_from = forms.ChoiceField(
        required=False,
        label=_("Train, validation and test"),
        choices=[
            ("", _("as folders or table say; else propose one")),
            ("folder", _("from the folders")),
            ("column", _("from the table")),
            ("none", _("leave every item without a split")),
        ],
    )
    replace = forms.BooleanField(
        required=False, label=_("Replace items whose key is there with other bytes")
    )
    add_copies = forms.BooleanField(
        required=False, label=_("Add files that are here already under another key all the same")
    )
    column_key = forms.CharField(required=False, label=_("Column of the file or key"))
    column_label = forms.CharField(required=False, label=_("Column of the label"))
    column_split = forms.CharField(required=False, label=_("Column of the split"))
    column_group = forms.CharField(
        required=False,
        label=_("Column of the source"),
        help_text=_("Speaker, patient, sender, recording: what must not be in two splits."),
    )
    column_captured_at = forms.CharField(required=False, label=_("Column of the date"))
    column_text = forms.CharField(required=False, label=_("Column of the text"))

    without_table = forms.BooleanField(required=False)

    def offer_columns(self, columns: Sequence[str]) -> None:
        """Let columns be chosen among those that the table has."""
        choices = [("", _("as its name says, if it is there")), *((c, c) for c in columns)]
        for role in COLUMN_ROLES:
            self.fields[f"column_{role}"].widget = forms.Select(choices=choices)

    def options(self) -> dict[str, Any]:
        """Return the options that the upload keeps."""
        found = self.cleaned_data
        columns = {role: found[f"column_{role}"].strip() for role in COLUMN_ROLES}
        return {
            "columns": {role: name for role, name in columns.items() if name},
            "split_from": found["split_from"],
            "replace": found["replace"],
            "without_table": found["without_table"],
            "add_copies": found["add_copies"],
        }


class OpenUploadForm(ImportOptionsForm):
    """The first request of a scripted upload: its name and size, before any byte is sent."""

    name = forms.CharField(max_length=200, required=False)
    size = forms.IntegerField(min_value=0, required=False)


class SentFilesForm(forms.Form):
    """Paths of the files of one request, in their order."""

    paths = forms.CharField(required=False)

    def clean_paths(self) -> list[str]:
        try:
            paths = json.loads(self.cleaned_data["paths"] or "[]")
        except json.JSONDecodeError as error:
            raise forms.ValidationError("paths: expected a JSON list") from error
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise forms.ValidationError("paths: expected a JSON list of texts")
        return paths


class ClassForm(forms.Form):
    """A class that an import names, as its table writes it."""

    name = forms.CharField(max_length=100, strip=False)

    def clean_name(self) -> str:
        if not self.cleaned_data["name"].strip():
            raise forms.ValidationError("A class has a name.")
        return str(self.cleaned_data["name"])


class ReportFilterForm(forms.Form):
    """Which lines of a report are shown."""

    outcome = forms.CharField(required=False)
    code = forms.CharField(required=False)
    odd = forms.BooleanField(required=False)
    look = forms.BooleanField(required=False)
    all = forms.BooleanField(required=False)
    q = forms.CharField(required=False, max_length=200)
    after = forms.IntegerField(required=False, min_value=0, max_value=MOST_ID)


class MergeClassesForm(forms.Form):
    """Which class is meant as which other one."""

    old = forms.IntegerField()
    new = forms.IntegerField(required=False)
