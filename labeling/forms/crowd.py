"""What the pages about a crowd accept in their addresses."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from labeling.forms.ids import MOST_ID
from labeling.models import Annotator, Answer, Dataset, LabelClass
from labeling.queries.crowd import SORTS
from labeling.queries.worst_answers import MEASURES


class CrowdForm(forms.Form):
    """Order and page of the list of people."""

    sort = forms.ChoiceField(required=False, choices=[(name, name) for name in SORTS])
    page = forms.IntegerField(required=False, min_value=1, max_value=100_000)


class AnswersForm(forms.Form):
    """Which answers to list."""

    annotator = forms.ModelChoiceField(queryset=Annotator.objects.none(), required=False)
    said = forms.ModelChoiceField(queryset=LabelClass.objects.none(), required=False)
    beside = forms.ModelChoiceField(queryset=LabelClass.objects.none(), required=False)
    consensus = forms.ModelChoiceField(queryset=LabelClass.objects.none(), required=False)
    answer = forms.ChoiceField(required=False, choices=[("", ""), *Answer.choices])
    round = forms.IntegerField(required=False, min_value=1, max_value=MOST_ID)
    gold = forms.BooleanField(required=False)
    worst = forms.ChoiceField(required=False, choices=[("", ""), *((n, n) for n in MEASURES)])
    page = forms.IntegerField(required=False, min_value=1, max_value=100_000)

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        people = Annotator.objects.filter(dataset=dataset).select_related("user")
        for name, rows in (
            ("annotator", people),
            ("said", dataset.classes.all()),
            ("beside", dataset.classes.all()),
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


class AttributeForm(forms.Form):
    """What a lead declares of annotators: its name, and a line for each person."""

    name = forms.CharField(
        label=_("What is declared"),
        max_length=60,
        help_text=_("For instance: native language, site, shift."),
    )
    people = forms.CharField(
        label=_("Of whom"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false"}),
        help_text=_("One person a line: the name, a comma, the value; empty where it is unknown."),
    )

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        rows = Annotator.objects.filter(dataset=dataset).select_related("user")
        self.by_name = {str(row): row.pk for row in rows}

    def clean_people(self) -> dict[int, str]:
        values = {}
        for number, line in enumerate(self.cleaned_data["people"].splitlines(), start=1):
            name, _comma, value = (part.strip() for part in line.rpartition(","))
            name, value = (name, value) if _comma else (value, "")
            if not name:
                continue
            if name not in self.by_name:
                words = _("Line %(n)d: nobody called %(name)s has answered here.")
                raise forms.ValidationError(words % {"n": number, "name": name})
            if len(value) > 60:
                raise forms.ValidationError(_("Line %(n)d: at most 60 letters.") % {"n": number})
            values[self.by_name[name]] = value
        return values
