"""What one person does to selected items, or takes back, kept until a second one agrees."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from labeling.models import Dataset, Item, NoticeKind, User
from labeling.services import notices
from quality.models import Action, Decision, Proposal, ProposalState
from quality.queries.filters import one_of
from quality.queries.second import waiting
from quality.services.decisions import LONGEST_SECONDS
from quality.services.plans import STATE, NothingToChangeError, state_of, state_with_content

State = Mapping[str, Any]
MOVED = ("split", "excluded")


class ProposedAlreadyError(NothingToChangeError):
    """The same waits already; the words say so."""


@transaction.atomic
def propose(
    *,
    dataset: Dataset,
    by: User | None,
    action: Action,
    before: Sequence[State],
    after: Sequence[State],
    seconds: float = 0.0,
    choice: Mapping[str, Any] | None = None,
    undoes: Decision | None = None,
) -> Proposal:
    """Keep what would change, item by item and without keys, which consent may take back."""
    told = [_without_key(state) for state in after]
    same = Proposal.objects.filter(dataset=dataset, state=ProposalState.WAITING, action=action)
    if same.filter(after=told, undoes=undoes, choice=dict(choice or {})).exists():
        raise ProposedAlreadyError(_("This waits for a second reviewer already."))
    return keep(
        dataset=dataset,
        by=by,
        action=action,
        before=[_without_key(state) for state in before],
        after=told,
        seconds=min(LONGEST_SECONDS, max(0.0, seconds)),
        choice=dict(choice or {}),
        undoes=undoes,
    )


@transaction.atomic
def keep(**told: Any) -> Proposal:
    """Keep a proposal and tell who may agree, unless another about the same came first."""
    try:
        with transaction.atomic():
            made = Proposal.objects.create(**told)
    except IntegrityError as taken:
        raise ProposedAlreadyError(_("This waits for a second reviewer already.")) from taken
    if not waiting(made.dataset).filter(by=made.by).exclude(pk=made.pk).exists():
        _tell(made)
    return made


def _tell(first: Proposal) -> None:
    """Say that somebody's proposals wait: once, until all of them are answered."""
    notices.tell(
        dataset=first.dataset,
        kind=NoticeKind.SECOND,
        about=f"proposal {first.pk}",
        words=_("%(who)s asks for a second reviewer") % {"who": first.by or "–"},
        path=reverse("quality:second", args=[first.dataset.slug]),
        now=first.at,
        by=first.by,
    )


def unchanged(proposal: Proposal) -> list[tuple[State, State]]:
    """Return what would change (before, after), of the items that are still as they were.

    A label given meanwhile does not stop a move: classes are merged while splits are mended.
    """
    is_cut = any("content" in state for state in proposal.before)
    told = state_with_content if is_cut else state_of
    names = MOVED if proposal.action == Action.MOVE else (*STATE, *(("content",) if is_cut else ()))
    ids = [state["item"] for state in proposal.before]
    found = Item.objects.filter(one_of("pk", ids), dataset=proposal.dataset_id)
    now = {item.pk: told(item) for item in found.select_related("label")}
    return [
        (before, after)
        for before, after in zip(proposal.before, proposal.after, strict=True)
        if before["item"] in now
        and all(now[before["item"]][name] == before[name] for name in names)
    ]


def held(proposal: Proposal) -> list[tuple[State, State]]:
    """Return the same, and let nobody else change the items until the transaction ends."""
    ids = [state["item"] for state in proposal.before]
    rows = Item.objects.select_for_update().filter(one_of("pk", ids), dataset=proposal.dataset_id)
    list(rows.order_by("key").values("pk"))
    return unchanged(proposal)


def _without_key(state: State) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != "key"}
