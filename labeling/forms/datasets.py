"""A new dataset, its settings, its classes."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.models import CLASS_KEYS, ClassRole, Dataset, LabelClass, Media, Retrain
from labeling.queries.night import NIGHT_LASTS, next_night
from labeling.services.datasets import MOST_NAME_CHARACTERS
from labeling.target_shares import read_target_shares

MOST_CLASSES = 1_000


class TargetSharesField(forms.CharField):
    """Declared shares, one a line, kept as they were written."""

    widget = forms.Textarea(attrs={"rows": 3})

    def clean(self, value: Any) -> str:
        written: str = super().clean(value)
        try:
            read_target_shares(written)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return written


class DescriptionForm(forms.Form):
    """What a dataset says about itself."""

    name = forms.CharField(max_length=120, label=_("Name"))
    question = forms.CharField(
        max_length=200,
        label=_("Question"),
        help_text=_("What people are asked about each item, e.g. “What is the main garment?”"),
        required=False,
    )
    answers_wanted = forms.IntegerField(
        min_value=1,
        max_value=50,
        initial=1,
        label=_("Answers wanted for each item"),
        help_text=_("One is quick; three show where people disagree."),
    )
    user = forms.CharField(max_length=300, required=False, label=_("Who uses the model?"))
    purpose = forms.CharField(
        max_length=500,
        required=False,
        label=_("For what?"),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    success = forms.CharField(
        max_length=500,
        required=False,
        label=_("How is success measured?"),
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    shares = TargetSharesField(
        max_length=10_000,
        required=False,
        label=_("What is production made of?"),
        help_text=_(
            "Shares of values in a metadata column, one a line: region=north: 40 %. Checks then "
            "lists what is missing."
        ),
    )

    def described(self) -> dict[str, Any]:
        """Return the arguments of the service."""
        found = self.cleaned_data
        return {
            "name": found["name"],
            "question": found["question"] or Dataset._meta.get_field("question").default,
            "answers_wanted": found["answers_wanted"],
            "task_card": {part: found[part] for part in ("user", "purpose", "success", "shares")},
        }


class ClassNamesField(forms.CharField):
    """Names of classes, one a line."""

    widget = forms.Textarea(attrs={"rows": 5})

    def clean(self, value: Any) -> list[str]:
        lines = [line.strip() for line in super().clean(value).splitlines()]
        names = list(dict.fromkeys(line for line in lines if line))
        long = next((name for name in names if len(name) > MOST_NAME_CHARACTERS), None)
        if long:
            raise forms.ValidationError(_("“%s…” is too long for a name.") % long[:30])
        if len(names) > MOST_CLASSES:
            raise forms.ValidationError(_("At most %s classes.") % MOST_CLASSES)
        return names


class NewDatasetForm(DescriptionForm):
    media = forms.ChoiceField(  # type: ignore[assignment]  # the form's own `media` stays
        choices=Media, initial=Media.IMAGE, label=_("Items are"), widget=forms.RadioSelect
    )
    classes = ClassNamesField(
        required=False,
        label=_("Classes"),
        help_text=_("One a line. Leave empty to take them from the folders or the table."),
    )
    field_order = ["name", "media", "question", "classes", "answers_wanted"]


class RetrainForm(forms.Form):
    """When a dataset is trained again by itself."""

    retrain = forms.ChoiceField(choices=Retrain, label=_("Train again"), widget=forms.RadioSelect)
    retrain_after = forms.IntegerField(
        min_value=1,
        max_value=1_000_000,
        label=_("New answers or decisions"),
        help_text=_(
            "It then waits for three minutes without any. Rounds that ask what teaches the model "
            "most follow this number under every choice."
        ),
    )

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        begins = next_night(timezone.now())
        self.fields["retrain"].help_text = gettext(
            "Night is from %(begins)s to %(ends)s, %(zone)s "
            "(WINNOW_NIGHT, WINNOW_TIME_ZONE); the next one begins on %(at)s."
        ) % {
            "begins": f"{begins:%H:%M}",
            "ends": f"{begins + NIGHT_LASTS:%H:%M}",
            "zone": settings.TIME_ZONE,
            "at": f"{begins:%Y-%m-%d %H:%M}",
        }


class ReviewingForm(forms.Form):
    """What waits for a second reviewer, what else is looked at, and what an hour of it costs."""

    has_second_reviewer = forms.BooleanField(
        required=False,
        label=_("A second reviewer"),
        help_text=_(
            "Decisions about many at once, and those that change test items, take effect when "
            "somebody else agrees. If they do not, a lead settles it."
        ),
    )
    draws_unflagged = forms.BooleanField(
        required=False,
        label=_("Look at items that no check doubts"),
        help_text=_(
            "Every 20th item in the queue of label errors is drawn at random from the others, and "
            "says so. From these is estimated what the queue misses."
        ),
    )
    hour_price = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=8,
        decimal_places=2,
        label=_("Price of an hour of reviewing"),
        help_text=_(
            "In the money that rounds pay for an answer. Before/After then says what a unit of it "
            "bought."
        ),
    )


class AddClassesForm(forms.Form):
    classes = ClassNamesField(label=_("Add classes"), help_text=_("One a line."))


class GuidelineForm(forms.Form):
    text = forms.CharField(
        required=False,
        max_length=100_000,
        label=_("Guideline"),
        widget=forms.Textarea(attrs={"rows": 14}),
        help_text=_("Markdown. Annotators read it beside the item; each change is a new version."),
    )
    change = forms.CharField(
        required=False,
        max_length=200,
        label=_("What is new?"),
        help_text=_("One sentence that everybody sees once, e.g. “Sleeveless tops are T-shirts.”"),
    )


class ExampleForm(forms.Form):
    """An item as an example: right or wrong, for which class."""

    label = forms.ModelChoiceField(queryset=LabelClass.objects.none(), label=_("Class"))
    is_right = forms.ChoiceField(
        label=_("It is"),
        choices=[("right", _("right for this class")), ("wrong", _("wrong for this class"))],
    )
    note = forms.CharField(
        required=False, max_length=120, label=_("Why"), help_text=_("A few words below it.")
    )

    def __init__(self, *args: Any, dataset: Dataset, **options: Any) -> None:
        super().__init__(*args, **options)
        classes = self.fields["label"]
        assert isinstance(classes, forms.ModelChoiceField)
        classes.queryset = dataset.classes.filter(retired_at__isnull=True)

    def clean_is_right(self) -> bool:
        return self.cleaned_data["is_right"] == "right"


class ClassForm(forms.Form):
    """One line of the table of classes; its prefix is the class's id."""

    name = forms.CharField(max_length=MOST_NAME_CHARACTERS, label=_("Name"))
    key = forms.ChoiceField(required=False, label=_("Key"))
    role = forms.ChoiceField(choices=ClassRole, label=_("Role"))

    def __init__(self, data: Any = None, *, label_class: LabelClass) -> None:
        first = {"name": label_class.name, "key": label_class.key, "role": label_class.role}
        super().__init__(data, prefix=f"class-{label_class.pk}", initial=first)
        keys = dict.fromkeys([*CLASS_KEYS, *([label_class.key] if label_class.key else [])])
        caps = [(key, key.removeprefix("Digit").removeprefix("Key")) for key in keys]
        self.fields["key"].choices = [("", _("none")), *caps]  # type: ignore[attr-defined]
        self.label_class = label_class
        for name in self.fields:
            words = f"{self.fields[name].label}: {label_class.name}"
            self.fields[name].widget.attrs["aria-label"] = words
