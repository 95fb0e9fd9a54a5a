"""A new dataset, and the settings of one."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.datasets import (
    AddClassesForm,
    ClassForm,
    DescriptionForm,
    GuidelineForm,
    NewDatasetForm,
    RetrainForm,
    ReviewingForm,
)
from labeling.forms.notices import WebhookForm
from labeling.models import Dataset
from labeling.queries import guidelines, notices, people
from labeling.queries.success import choice_of
from labeling.services import datasets


@login_required
def new_dataset(request: access.MemberRequest) -> HttpResponse:
    """Describe a dataset; its import page is next."""
    form = NewDatasetForm(request.POST or None)
    if form.is_valid():
        made = datasets.create_dataset(
            **form.described(),
            media=form.cleaned_data["media"],
            classes=form.cleaned_data["classes"],
            by=request.user,
        )
        return redirect("labeling:import", made.slug)
    context = {"section": "datasets", "form": form}
    return render(request, "labeling/new_dataset.html", context, status=422 if form.errors else 200)


@login_required
def settings(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Show and change what a dataset says about itself."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = DescriptionForm(request.POST or None, initial=_described(dataset))
    if form.is_valid():
        datasets.describe_dataset(dataset=dataset, **form.described())
        messages.success(request, _("Saved."))
        return redirect("labeling:settings", dataset.slug)
    return settings_page(request, dataset, form=form)


def _described(dataset: Dataset) -> dict[str, object]:
    return {
        "name": dataset.name,
        "question": dataset.question,
        "answers_wanted": dataset.answers_wanted,
        **dataset.task_card,
    }


def settings_page(request: access.MemberRequest, dataset: Dataset, **forms: object) -> HttpResponse:
    """Show the settings, with the forms that were refused in place of fresh ones."""
    newest = dataset.guidelines.first()
    told = notices.webhook_of(dataset)
    context = {
        "dataset": dataset,
        "section": "settings",
        "form": DescriptionForm(initial=_described(dataset)),
        "retrain_form": RetrainForm(
            initial={"retrain": dataset.retrain, "retrain_after": dataset.retrain_after}
        ),
        "reviewing_form": ReviewingForm(
            initial={name: getattr(dataset, name) for name in ReviewingForm.base_fields}
        ),
        "reviewers": people.reviewers_of(dataset).count(),
        "success": choice_of(dataset),
        "class_forms": [ClassForm(label_class=row) for row in _in_use(dataset)],
        "retired": dataset.classes.filter(retired_at__isnull=False),
        "add_form": AddClassesForm(),
        "guideline": newest,
        "guideline_form": GuidelineForm(initial={"text": newest.text if newest else ""}),
        "examples": guidelines.gathered_examples(dataset),
        "is_unpublished": guidelines.is_unpublished(dataset, newest),
        "webhook_form": WebhookForm(
            initial={"url": told["webhook"].url if told["webhook"] else ""}
        ),
        **told,
        **forms,
    }
    refused = any(getattr(form, "errors", None) for form in forms.values())
    return render(request, "labeling/settings.html", context, status=422 if refused else 200)


def _in_use(dataset: Dataset) -> list[datasets.LabelClass]:
    return list(dataset.classes.filter(retired_at__isnull=True))


@login_required
@require_POST
def retraining(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Choose when a dataset is trained again by itself."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = RetrainForm(request.POST)
    if not form.is_valid():
        return settings_page(request, dataset, retrain_form=form)
    datasets.set_retraining(dataset=dataset, **form.cleaned_data)
    messages.success(request, _("Saved."))
    return redirect("labeling:settings", dataset.slug)


@login_required
@require_POST
def reviewing(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Choose what waits for a second reviewer, what else is shown, and what an hour costs."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = ReviewingForm(request.POST)
    if not form.is_valid():
        return settings_page(request, dataset, reviewing_form=form)
    datasets.set_reviewing(dataset=dataset, **form.cleaned_data)
    messages.success(request, _("Saved."))
    return redirect("labeling:settings", dataset.slug)


@login_required
@require_POST
def change_classes(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Rename classes, change their keys and roles."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    forms = [ClassForm(request.POST, label_class=row) for row in _in_use(dataset)]
    if any(form.errors for form in forms):
        return settings_page(request, dataset, class_forms=forms)
    changes = {form.label_class.pk: form.cleaned_data for form in forms}
    try:
        datasets.change_classes(dataset=dataset, changes=changes)
    except datasets.NameTakenError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Saved."))
    return redirect("labeling:settings", dataset.slug)


@login_required
@require_POST
def add_classes(request: access.MemberRequest, slug: str) -> HttpResponse:
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = AddClassesForm(request.POST)
    if not form.is_valid():
        return settings_page(request, dataset, add_form=form)
    names = form.cleaned_data["classes"]
    added = {row.name for row in datasets.add_classes(dataset=dataset, names=names)}
    there = [name for name in names if name not in added]
    if added:
        listed = ", ".join(name for name in names if name in added)
        messages.success(request, _("Added: %s.") % listed)
    if there:
        words = _("There already, in use or retired: %s.")
        messages.warning(request, words % ", ".join(there))
    return redirect("labeling:settings", dataset.slug)


@login_required
@require_POST
def retire_class(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Take a class out of use, or back into use."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    row = get_object_or_404(dataset.classes, pk=pk)
    retired = row.retired_at is None
    datasets.retire_class(label_class=row, retired=retired)
    words = _("“%s” is retired; its items keep it.") if retired else _("“%s” is in use again.")
    messages.success(request, words % row.name)
    return redirect("labeling:settings", dataset.slug)


@login_required
@require_POST
def archive(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Take a dataset out of the list and stop its rounds."""
    dataset = access.dataset_for(request.user, slug, roles=access.OWNERS)
    datasets.archive_dataset(dataset=dataset, now=timezone.now())
    messages.success(request, _("Archived. Its rounds have stopped; everything else stays."))
    return redirect("labeling:settings", slug)


@login_required
@require_POST
def bring_back(request: access.MemberRequest, slug: str) -> HttpResponse:
    """List an archived dataset again, with the rounds that were stopped."""
    dataset = access.dataset_for(request.user, slug, roles=access.OWNERS)
    datasets.bring_back_dataset(dataset=dataset)
    messages.success(request, _("It is in the list again, and its rounds go on."))
    return redirect("labeling:settings", slug)
