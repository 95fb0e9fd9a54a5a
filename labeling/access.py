"""Who may see a row; what somebody may not see is not there (404).

A member who asks for what another role may do is told which role, and who gives it (403): they
know that the dataset is there. The role is asked first, so that nothing shows which rows exist.
"""

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.models import (
    Annotator,
    Dataset,
    Item,
    Job,
    Membership,
    Role,
    Round,
    RoundItem,
    Upload,
    User,
)
from labeling.queries import people
from labeling.queries.by_hand import MOST_ID

Viewer = User | AnonymousUser


class MemberRequest(HttpRequest):
    """The request of a view behind `login_required`: its user is a real one."""

    user: User


EVERYONE = (Role.OWNER, Role.LEAD, Role.REVIEWER, Role.ANNOTATOR)
REVIEWERS = (Role.OWNER, Role.LEAD, Role.REVIEWER)
LEADS = (Role.OWNER, Role.LEAD)
OWNERS = (Role.OWNER,)
JOBS_OF_REVIEWERS = ("detect", "bulk", "package_model", "try_model")
NAMED = 5


class RoleNeededError(PermissionDenied):
    """A member lacks the role that a page or a step wants; says which one and who gives it."""


def role_in(user: Viewer, dataset: Dataset) -> str:
    """Return the user's role in a dataset; staff count as owners; empty for strangers."""
    if not user.is_authenticated:
        return ""
    if user.is_staff:
        return Role.OWNER
    held = Membership.objects.filter(dataset=dataset, user=user).order_by()
    return held.values_list("role", flat=True).first() or ""


def admit(user: Viewer, dataset: Dataset) -> str:
    """Return the user's role and note it on the dataset, where the page's frame reads it."""
    dataset.viewer_role = role_in(user, dataset)
    return dataset.viewer_role


def dataset_for(user: Viewer, slug: str, *, roles: tuple[str, ...] = REVIEWERS) -> Dataset:
    """Return a dataset in which the user has one of the roles."""
    dataset = Dataset.objects.filter(slug=slug).first()
    if dataset is None or not admit(user, dataset):
        raise Http404("no such dataset")
    demand_role(dataset, roles)
    return dataset


def demand_role(dataset: Dataset, roles: tuple[str, ...]) -> None:
    """Refuse a member who was admitted with none of the roles."""
    if dataset.viewer_role not in roles:
        raise RoleNeededError(_role_words(dataset, roles))


def _role_words(dataset: Dataset, roles: tuple[str, ...]) -> str:
    """Say which role is needed, which one the viewer has and who can give another."""
    least, held = Role(roles[-1]).label, Role(dataset.viewer_role).label
    words = _(
        "This needs the role %(least)s or a higher one in “%(dataset)s”, where you are %(held)s."
    ) % {"least": least, "held": held, "dataset": dataset.name}
    leads = dataset.memberships.filter(role__in=LEADS).order_by("pk")[:NAMED]
    names = list(leads.values_list("user__username", flat=True))
    if not names:
        return words + " " + _("The person who runs this server can give it to you.")
    asked = ngettext("%s can give it to you.", "Each of %s can give it to you.", len(names))
    return words + " " + asked % ", ".join(names)


def item_for(user: Viewer, slug: str, item_id: int, *, roles: tuple[str, ...] = REVIEWERS) -> Item:
    """Return an item of a dataset in which the user has one of the roles."""
    dataset = dataset_for(user, slug, roles=roles)
    item = Item.objects.filter(dataset=dataset, pk=item_id).select_related("content").first()
    if item is None:
        raise Http404("no such item")
    item.dataset = dataset
    return item


def job_for(user: Viewer, job_id: int) -> Job:
    """Return a job that a reviewer, lead or owner of its dataset, or who asked for it may watch."""
    job = Job.objects.filter(pk=job_id).select_related("dataset", "by").first()
    if job is None:
        raise Http404("no such job")
    if job.dataset is None:
        allowed = user.is_authenticated and (user.is_staff or job.by == user)
    else:
        allowed = admit(user, job.dataset) in REVIEWERS
    if not allowed:
        raise Http404("no such job")
    return job


def job_to_end(user: Viewer, job_id: int) -> Job:
    """Return a job that the user may cancel or retry: who may start one may also end it."""
    job = job_for(user, job_id)
    if job.dataset is None or job.kind in JOBS_OF_REVIEWERS:
        return job
    demand_role(job.dataset, LEADS)
    return job


def round_for(user: Viewer, round_id: int) -> Round:
    """Return a round that the user may answer: a member, and named when people are named."""
    seen = people.round_as_seen(round_id, user=user.pk) if round_id <= MOST_ID else None
    if seen is None:
        raise Http404("no such round")
    asking, role, is_for_them = seen
    asking.dataset.viewer_role = Role.OWNER if user.is_staff else role
    if not asking.dataset.viewer_role:
        raise Http404("no such round")
    if not is_for_them and asking.dataset.viewer_role not in LEADS:
        raise Http404("no such round")
    return asking


def round_in(
    user: Viewer, slug: str, round_id: int, *, roles: tuple[str, ...] = REVIEWERS
) -> Round:
    """Return a round of a dataset in which the user has one of the roles."""
    dataset = dataset_for(user, slug, roles=roles)
    row = Round.objects.filter(dataset=dataset, pk=round_id).select_related("guideline").first()
    if row is None:
        raise Http404("no such round")
    row.dataset = dataset
    return row


def annotator_in(dataset: Dataset, annotator_id: int) -> Annotator:
    """Return an annotator of a dataset that the user was admitted to."""
    found = Annotator.objects.filter(dataset=dataset, pk=annotator_id).select_related("user")
    row = found.first()
    if row is None:
        raise Http404("no such annotator")
    return row


def place_in(dataset: Dataset, place_id: int) -> RoundItem:
    """Return an item's place in a round of a dataset that the user was admitted to."""
    rows = RoundItem.objects.filter(round__dataset=dataset, pk=place_id)
    row = rows.select_related("round", "item").first()
    if row is None:
        raise Http404("no such place")
    row.round.dataset = dataset
    return row


def upload_for(user: Viewer, slug: str, upload_id: int) -> Upload:
    """Return an upload of a dataset that the user leads."""
    dataset = dataset_for(user, slug, roles=LEADS)
    upload = Upload.objects.filter(dataset=dataset, pk=upload_id).select_related("job", "by")
    row = upload.first()
    if row is None:
        raise Http404("no such upload")
    row.dataset = dataset
    return row
