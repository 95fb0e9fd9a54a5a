"""What pages about runs accept."""

from io import BytesIO
from typing import IO, Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.models import Media
from mlcore.protocols import CHANGES, FOLDS, HOLD_OUT, SEARCHES, TIME, TUNINGS

MOST_TRIED_TEXT = 20_000  # characters
MOST_TRIED_BYTES = 200 * 2**20  # as large as one file of an import


class TrialForm(forms.Form):
    """One text, or one file, that a model is tried on."""

    text = forms.CharField(
        max_length=MOST_TRIED_TEXT,
        label=gettext_lazy("Text"),
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    file = forms.FileField(
        label=gettext_lazy("File"), help_text=gettext_lazy("Choose one, or drop it on the button.")
    )

    def __init__(self, *args: Any, media: str, **options: Any) -> None:
        super().__init__(*args, **options)
        del self.fields["file" if media == Media.TEXT else "text"]

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > MOST_TRIED_BYTES:
            raise forms.ValidationError(_("At most 200 MB."))
        return file

    def sent(self) -> tuple[str, IO[bytes]]:
        """Return what to call it, and its bytes."""
        if "text" in self.cleaned_data:
            text: str = self.cleaned_data["text"]
            return text[:60], BytesIO(text.encode())
        file = self.cleaned_data["file"]
        return file.name or "", file


def _seconds_words(seconds: int) -> str:
    words = gettext_lazy("about %(n)s s") if seconds else gettext_lazy("off")
    return words % {"n": seconds}


class TrainForm(forms.Form):
    """How the next training is judged; what is not sent stays as it was."""

    SCHEMES = (
        ("auto", gettext_lazy("what suits the size")),
        (FOLDS, gettext_lazy("folds")),
        (HOLD_OUT, gettext_lazy("one part held out")),
        (TIME, gettext_lazy("time: nothing later is learned")),
    )

    scheme = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Judged by"),
        widget=forms.Select({"class": "form-select form-select-sm"}),
    )

    search = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label=gettext_lazy("Search over heads"),
        choices=[(n, _seconds_words(n)) for n in SEARCHES],
        widget=forms.Select({"class": "form-select form-select-sm"}),
    )
    tuning = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label=gettext_lazy("Try fine-tuning"),
        widget=forms.Select({"class": "form-select form-select-sm"}),
    )
    augment = forms.BooleanField(required=False)  # tells that changes were offered: none is none
    changes = forms.MultipleChoiceField(required=False)

    def __init__(self, *args: Any, dated: bool, media: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.offered = CHANGES[media]
        changes = self.fields["changes"]
        assert isinstance(changes, forms.MultipleChoiceField)
        changes.choices = [(change, change) for change in self.offered]
        tuning = self.fields["tuning"]
        assert isinstance(tuning, forms.TypedChoiceField)
        tuning.choices = [(n, _seconds_words(n)) for n in TUNINGS[media]]
        scheme = self.fields["scheme"]
        assert isinstance(scheme, forms.ChoiceField)
        scheme.choices = [choice for choice in self.SCHEMES if dated or choice[0] != TIME]

    def asked(self) -> dict[str, Any]:
        """Return the options of the job."""
        sent = self.cleaned_data
        asked: dict[str, Any] = {}
        if sent["scheme"]:
            asked["scheme"] = "" if sent["scheme"] == "auto" else sent["scheme"]
        if sent["search"] is not None:
            asked["search"] = sent["search"]
        if sent["tuning"] is not None:
            asked["tuning"] = sent["tuning"]
        if sent["augment"]:
            asked["augmentation"] = "+".join(one for one in self.offered if one in sent["changes"])
        return asked


class RunPageForm(forms.Form):
    """What a run page shows: what cells say, beside which run, whose curves, which cell."""

    show = forms.ChoiceField(
        required=False,
        choices=[(name, name) for name in ("counts", "share", "column", "difference")],
    )
    against = forms.IntegerField(required=False, min_value=1)
    fold = forms.IntegerField(required=False, min_value=1)
    given = forms.CharField(required=False, max_length=200)
    predicted = forms.CharField(required=False, max_length=200)


class PracticeForm(forms.Form):
    """Which class to find, from which probability, on a day of how many cases."""

    at = forms.FloatField(required=False, min_value=0, max_value=1)
    volume = forms.IntegerField(required=False, min_value=1, max_value=10**9)
    seconds = forms.FloatField(required=False, min_value=0, max_value=86_400)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["class"] = forms.CharField(required=False, max_length=100)
