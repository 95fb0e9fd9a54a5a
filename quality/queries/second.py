"""Reads about what waits for a second reviewer, and who could be one."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from labeling.models import Dataset, Item, LabelClass, User
from labeling.queries.people import reviewers_of
from quality.models import Action, Bulk, Decision, Flag, FlagState, Proposal, ProposalState


@dataclass(frozen=True)
class Standing:
    """What waits: for this person, of this person for others, and whether there are others."""

    for_me: int
    of_mine: int
    has_others: bool

    @property
    def total(self) -> int:
        return self.for_me + self.of_mine


def waiting(dataset: Dataset) -> QuerySet[Proposal]:
    """Return what waits for a second reviewer, oldest first."""
    rows = Proposal.objects.filter(dataset=dataset, state=ProposalState.WAITING)
    return rows.filter(Q(flag__isnull=False) | Q(bulk__isnull=False)).order_by("pk")


def standing(dataset: Dataset, user: User) -> Standing:
    """Count what waits: three queries."""
    mine = waiting(dataset).filter(by=user).count()
    others = reviewers_of(dataset).exclude(user=user)
    return Standing(waiting(dataset).count() - mine, mine, others.exists())


def next_for(
    dataset: Dataset, user: User, *, later: Collection[int] = (), pk: int | None = None
) -> Proposal | None:
    """Return the oldest proposal that somebody else made, or the one that is asked for."""
    rows = waiting(dataset).select_related("flag__run__version", "bulk", "by", "flag__raised_by")
    if pk is not None:
        return rows.filter(pk=pk).first()
    there = rows.exclude(by=user)
    return there.exclude(pk__in=list(later)).first() or there.first()


def proposal_in(dataset: Dataset, pk: int) -> Proposal | None:
    """Return a proposal, whatever became of it."""
    rows = Proposal.objects.filter(dataset=dataset, pk=pk)
    return rows.select_related("flag__dataset", "bulk__dataset", "dataset", "by", "second").first()


def waiting_about(about: Flag | Bulk) -> Proposal | None:
    """Return what waits about a flag, or about many."""
    rows = about.proposals.filter(state=ProposalState.WAITING)
    return rows.select_related("by").first()


def disagreement(*, flag: Flag | None = None, bulk: Bulk | None = None) -> Proposal | None:
    """Return what two people disagree about and no lead has settled."""
    rows = Proposal.objects.filter(state=ProposalState.DISAGREED)
    rows = rows.filter(flag=flag) if flag else rows.filter(bulk=bulk)
    return rows.select_related("by", "second").last()


def last_of_first(dataset: Dataset, user: User, kind: str) -> Proposal | None:
    """Return the newest proposal of a person in a queue that waits."""
    return waiting(dataset).filter(by=user, flag__kind=kind).select_related("flag").last()


def last_answer(dataset: Dataset, user: User) -> Proposal | None:
    """Return what a person answered last as the second one and nobody has undone."""
    rows = Proposal.objects.filter(dataset=dataset, second=user)
    standing = Decision.objects.filter(proposal=OuterRef("pk"), undoes=None, undone_by=None)
    rows = rows.filter(
        Q(Q(flag__state=FlagState.OPEN) | Q(bulk__isnull=False), state=ProposalState.DISAGREED)
        | Q(Exists(standing) | Q(bulk__is_undone=False), state=ProposalState.AGREED)
    )
    return rows.select_related("flag", "bulk", "dataset").order_by("-answered_at", "-pk").first()


def words_of(proposal: Proposal) -> str:
    """Say what somebody wants to do, e.g. `Relabel: dog`."""
    choice, flag = proposal.choice, proposal.flag
    told = str(choice.get("reason") or choice.get("new_class") or choice.get("split") or "")
    if proposal.action == Action.RELABEL:
        pk = choice.get("label")
        label = LabelClass.objects.filter(pk=pk).first() if pk else None
        told = label.name if label else flag.suggested if flag else _("as suggested")
    elif proposal.action == Action.MOVE and told:
        return _("Move into %(split)s") % {"split": told}
    elif choice.get("keep"):
        kept = Item.objects.filter(pk=choice["keep"]).values_list("key", flat=True).first()
        told = _("%(key)s stays") % {"key": kept or "–"}
    action = proposal.get_action_display()
    return f"{action}: {told}" if told else action
