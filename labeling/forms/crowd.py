"""What the pages about a crowd accept in their addresses."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from labeling.forms.ids import MOST_ID
from labeling.models import Annotator, Answer, Dataset, LabelClass
from labeling.queries.crowd import SORTS


class CrowdForm(forms.Form):
    """Order and page of the list of people."""

    sort = forms.ChoiceField(required=False, choices=[(name, name) for name in SORTS])
    page = forms.IntegerField(required=False, min_value=1, max_value=100_000)


class AnswersForm(forms.Form):
    """Which answers to list."""

    annotator = forms.ModelChoiceField(queryset=Annotator.objects.none(), required=False)
    said = forms.ModelChoiceField(queryset=LabelClass.objects.none(), required=False)
    consensus = forms.ModelChoiceField(queryset=LabelClass.objects.none(), required=False)
    answer = forms.ChoiceField(required=False, choices=[("", ""), *Answer.choices])
    round = forms.IntegerField(required=False, min_value=1, max_value=MOST_ID)
    gold = forms.BooleanField(required=False)
    page = forms.IntegerField(required=False, min_value=1, max_value=100_000)

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        people = Annotator.objects.filter(dataset=dataset).select_related("user")
        for name, rows in (
            ("annotator", people),
            ("said", dataset.classes.all()),
            ("consensus", dataset.classes.all()),
        ):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = rows


class PeriodForm(forms.Form):
    """Days of a work record, both included, where the site is."""

    start = forms.DateField(label=_("From"), widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(label=_("Until"), widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end and end < start:
            self.add_error("end", _("The last day comes before the first."))
        elif end == date.max:  # no day comes after it
            cleaned["end"] = date.max - timedelta(days=1)
        return cleaned

    def moments(self) -> tuple[datetime, datetime]:
        """Return the first moment of the period and the first one after it."""
        start, end = self.cleaned_data["start"], self.cleaned_data["end"] + timedelta(days=1)
        first, after = (
            timezone.make_aware(datetime.combine(day, time.min)) for day in (start, end)
        )
        return first, after
