"""The members of a dataset and the links that invite more."""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.members import AccountForm, InviteForm, RoleForm, grantable_roles
from labeling.models import Dataset, Invitation, Membership, Role, User
from labeling.queries import people as queries
from labeling.queries.pages import ROWS_A_PAGE
from labeling.services import members as service


@login_required
@never_cache
def members(request: access.MemberRequest, slug: str) -> HttpResponse:
    """List members and waiting invitations; a new link is in this answer and nowhere else."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = InviteForm(request.POST or None, viewer_role=dataset.viewer_role)
    link = ""
    if form.is_valid():
        _row, token = service.invite(
            dataset=dataset, by=request.user, now=timezone.now(), **form.cleaned_data
        )
        link = request.build_absolute_uri(reverse("labeling:invitation", args=[token]))
        form = InviteForm(viewer_role=dataset.viewer_role)
    status = 422 if form.errors else 200
    context = {**_page(dataset, request.GET.get("page")), "form": form, "link": link}
    return render(request, "labeling/members.html", context, status=status)


def _page(dataset: Dataset, number: str | None) -> dict[str, object]:
    page = Paginator(queries.members_of(dataset), ROWS_A_PAGE).get_page(number)
    only_owner = queries.only_owner(dataset)
    return {
        "dataset": dataset,
        "section": "members",
        "page": page,
        "members": [
            {
                "row": member,
                "is_only_owner": member.pk == only_owner,
                "is_mine_to_change": member.pk != only_owner
                and service.may_manage(viewer_role=dataset.viewer_role, role=member.role),
            }
            for member in page
        ],
        "roles": grantable_roles(dataset.viewer_role),
        "invitations": queries.waiting_invitations(dataset, now=timezone.now()),
        "lasts": service.INVITATION_LASTS.days,
    }


@login_required
@require_POST
def change_role(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Give a member another role."""
    dataset, member = _member(request, slug, pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("There is no such role."))
        return redirect("labeling:members", slug)
    try:
        service.change_role(
            membership=member, role=form.cleaned_data["role"], viewer_role=dataset.viewer_role
        )
    except (service.LastOwnerError, service.NotAllowedError) as refusal:
        messages.error(request, _in_words(refusal))
    else:
        messages.success(request, _("Changed the role of %(name)s.") % {"name": member.user})
    return redirect("labeling:members", slug)


@login_required
@require_POST
def remove(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """End a membership."""
    dataset, member = _member(request, slug, pk)
    try:
        service.remove_member(membership=member, viewer_role=dataset.viewer_role)
    except (service.LastOwnerError, service.NotAllowedError) as refusal:
        messages.error(request, _in_words(refusal))
    else:
        words = _("%(name)s is no longer a member. Their answers and decisions stay.")
        messages.success(request, words % {"name": member.user})
    return redirect("labeling:members", slug)


def _member(request: access.MemberRequest, slug: str, pk: int) -> tuple[Dataset, Membership]:
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    return dataset, get_object_or_404(queries.members_of(dataset), pk=pk)


def _in_words(refusal: Exception) -> str:
    if isinstance(refusal, service.LastOwnerError):
        return _("Every dataset needs an owner: make somebody else one first.")
    return _("Only an owner may give or take that role.")


@login_required
@require_POST
def revoke_invitation(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Take a link back."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    waiting = queries.waiting_invitations(dataset, now=timezone.now())
    service.revoke_invitation(invitation=get_object_or_404(waiting, pk=pk), now=timezone.now())
    messages.success(request, _("That link no longer works."))
    return redirect("labeling:members", slug)


@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What an invitation link opens: join when logged in, else make an account."""
    now = timezone.now()
    found = queries.invitation_with(service.hash_of(token))
    if found is None or not queries.is_usable(found, now=now):
        return render(request, "labeling/invitation.html", {"invitation": None}, status=404)
    if request.user.is_authenticated:
        return _join(request, found, request.user)
    form = AccountForm(request.POST or None)
    if form.is_valid():
        try:
            user = service.make_account(
                invitation=found,
                username=form.cleaned_data["username"],
                password=form.cleaned_data["password1"],
                now=now,
            )
        except service.InvitationGoneError:
            return render(request, "labeling/invitation.html", {"invitation": None}, status=404)
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return _welcome(found)
    context = {"invitation": found, "form": form}
    status = 422 if form.errors else 200
    return render(request, "labeling/invitation.html", context, status=status)


def _join(request: HttpRequest, found: Invitation, user: User) -> HttpResponse:
    if request.method != "POST":
        return render(request, "labeling/invitation.html", {"invitation": found})
    try:
        service.join(invitation=found, user=user, now=timezone.now())
    except service.AlreadyMemberError as already:
        words = _("You are a member already, as %(role)s. The link was not used up.")
        messages.info(request, words % {"role": str(already)})
    except service.InvitationGoneError:
        return render(request, "labeling/invitation.html", {"invitation": None}, status=404)
    return _welcome(found)


def _welcome(found: Invitation) -> HttpResponse:
    if found.role == Role.ANNOTATOR:
        return redirect("labeling:my_work")
    return redirect("quality:overview", found.dataset.slug)
