"""Reads about what waits for a second reviewer, and who could be one."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.access import LEADS
from labeling.models import Dataset, Item, LabelClass, Split, User
from labeling.queries.people import reviewers_of
from quality.models import Action, Bulk, Decision, Flag, FlagState, Proposal, ProposalState

OF_ITEMS = ~Q(before=[])
ITEMS_SHOWN = 100
#: In the choice of a proposal about a disputed item, and in its decision: its place in a round.
PLACE = "place"
#: What is told of the items after it: action -> part of their state.
TOLD = {
    Action.RELABEL: "label",
    Action.CLASSES: "label",
    Action.EXCLUDE: "excluded",
    Action.MOVE: "split",
}


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
    return rows.filter(Q(flag__isnull=False) | Q(bulk__isnull=False) | OF_ITEMS).order_by("pk")


def standing(dataset: Dataset, user: User) -> Standing:
    """Count what waits: three queries."""
    mine = waiting(dataset).filter(by=user).count()
    others = reviewers_of(dataset).exclude(user=user)
    return Standing(waiting(dataset).count() - mine, mine, others.exists())


def next_for(
    dataset: Dataset, user: User, *, later: Collection[int] = (), pk: int | None = None
) -> Proposal | None:
    """Return the oldest proposal that somebody else made, or the one that is asked for."""
    named = ("flag__run__version", "bulk", "by", "second", "flag__raised_by", "undoes")
    rows = waiting(dataset).select_related(*named)
    if pk is not None:
        return rows.filter(pk=pk).first() or _disputed_here(dataset, pk, named)
    there = rows.exclude(by=user)
    return there.exclude(pk__in=list(later)).first() or there.first()


def _disputed_here(dataset: Dataset, pk: int, named: Sequence[str]) -> Proposal | None:
    rows = Proposal.objects.filter(dataset=dataset, pk=pk, state=ProposalState.DISAGREED)
    found = rows.select_related(*named).first()
    return found if found and is_settled_here(found) else None


def is_settled_here(proposal: Proposal) -> bool:
    """Whether a lead settles it where the second reviewer looked: it stands in no queue."""
    return bool(proposal.before) or proposal.action == Action.UNDO


def proposal_in(dataset: Dataset, pk: int) -> Proposal | None:
    """Return a proposal, whatever became of it."""
    rows = Proposal.objects.filter(dataset=dataset, pk=pk)
    return rows.select_related(
        "flag__dataset", "bulk__dataset", "dataset", "by", "second", "undoes__dataset"
    ).first()


def waiting_about(about: Flag | Bulk) -> Proposal | None:
    """Return what waits about a flag, or about many."""
    rows = about.proposals.filter(state=ProposalState.WAITING)
    return rows.select_related("by").first()


def disagreement(*, flag: Flag | None = None, bulk: Bulk | None = None) -> Proposal | None:
    """Return what two people disagree about and no lead has settled."""
    rows = Proposal.objects.filter(state=ProposalState.DISAGREED)
    rows = rows.filter(flag=flag) if flag else rows.filter(bulk=bulk).exclude(action=Action.UNDO)
    return rows.select_related("by", "second", "dataset").last()


@dataclass(frozen=True)
class OwnDispute:
    """Why somebody does not settle a disagreement of their own, and whether they may leave all."""

    words: str
    may_leave: bool


def own_dispute(disputed: Proposal | None, by: User) -> OwnDispute | None:
    """Say what one of the two who disagree can do about it; nothing of anybody else.

    Who proposed it can only leave it, which ends it as the other one wants. Who said no leaves it
    to a lead beside the two, and lets the no stand where there is none.
    """
    if disputed is None or not disputed.dataset.has_second_reviewer:
        return None
    two = (disputed.by_id, disputed.second_id)
    if by.pk not in two:
        return None
    leads = reviewers_of(disputed.dataset).filter(role__in=LEADS).exclude(user__in=two)
    return _own_words(is_first=by.pk == disputed.by_id, has_lead=leads.exists())


def _own_words(*, is_first: bool, has_lead: bool) -> OwnDispute:
    if is_first and has_lead:
        words = _(
            "You proposed this yourself: another lead settles it. You can leave all as it is."
        )
    elif is_first:
        words = _(
            "You proposed this yourself, and there is no other lead here to settle it: leave all as"
            " it is, invite one under Members, or let an owner switch the second reviewer off."
        )
    elif has_lead:
        words = _("You said no yourself: another lead settles it. You can take your no back.")
    else:
        words = _(
            "You said no yourself, and there is no other lead here to settle it: let your no stand"
            " and leave all as it is, take it back, or invite one under Members."
        )
    return OwnDispute(words, may_leave=is_first or not has_lead)


def last_of_first(dataset: Dataset, user: User, kind: str) -> Proposal | None:
    """Return the newest proposal of a person in a queue that waits."""
    return waiting(dataset).filter(by=user, flag__kind=kind).select_related("flag").last()


def last_about_items(dataset: Dataset, user: User) -> Proposal | None:
    """Return the newest proposal of a person about selected items that waits."""
    rows = waiting(dataset).filter(OF_ITEMS, by=user, undoes=None)
    return rows.exclude(action=Action.CLASSES).last()


def places_proposed(dataset: Dataset) -> list[int]:
    """Return the places (ids) of disputed items on which two have to agree, or disagree."""
    open_ones = (ProposalState.WAITING, ProposalState.DISAGREED)
    rows = Proposal.objects.filter(dataset=dataset, state__in=open_ones)
    return list(rows.filter(choice__has_key=PLACE).values_list(f"choice__{PLACE}", flat=True))


def last_answer(dataset: Dataset, user: User) -> Proposal | None:
    """Return what a person answered last as the second one and nobody has undone."""
    rows = Proposal.objects.filter(dataset=dataset, second=user)
    standing = Decision.objects.filter(proposal=OuterRef("pk"), undoes=None, undone_by=None)
    rows = rows.filter(
        Q(
            Q(flag__state=FlagState.OPEN) | Q(bulk__isnull=False) | OF_ITEMS,
            state=ProposalState.DISAGREED,
        )
        | Q(Exists(standing) | Q(bulk__is_undone=False), state=ProposalState.AGREED)
    )
    return rows.select_related("flag", "bulk", "dataset").order_by("-answered_at", "-pk").first()


def words_of(proposal: Proposal) -> str:
    """Say what somebody wants to do, e.g. `Relabel: dog`."""
    choice, flag = proposal.choice, proposal.flag
    told = str(choice.get("reason") or choice.get("new_class") or choice.get("split") or "")
    if is_settled_here(proposal):
        return _words_about_items(proposal)
    if choice.get("rule"):
        told = f"{told} ({choice['rule']})"
    if proposal.action == Action.RELABEL:
        pk = choice.get("label")
        label = LabelClass.objects.filter(pk=pk).first() if pk else None
        told = label.name if label else flag.suggested if flag else ""
        if not told:
            return _("Relabel as suggested")
    elif proposal.action == Action.MOVE and told:
        return _("Move into %(split)s") % {"split": told}
    elif choice.get("keep"):
        kept = Item.objects.filter(pk=choice["keep"]).values_list("key", flat=True).first()
        told = _("%(key)s stays") % {"key": kept or "–"}
    action = proposal.get_action_display()
    return f"{action}: {told}" if told else action


def _words_about_items(proposal: Proposal) -> str:
    """Say what would be done to how many items, e.g. `Relabel: dog (3 items)`."""
    about = proposal.undoes or proposal.bulk
    action, n = proposal.get_action_display(), len(proposal.before)
    name = TOLD.get(Action(proposal.action))
    told = sorted({str(state[name]) for state in proposal.after}) if name else []
    words = about.get_action_display() if about else ", ".join(told)
    counted = ngettext("%(n)s item", "%(n)s items", n) % {"n": n} if n else _("decided as many")
    return f"{action}: {words} ({counted})" if words else f"{action} ({counted})"


@dataclass(frozen=True)
class Outlook:
    """What a proposal would do to items: how often which change, and a page of the items."""

    changes: list[tuple[str, int]]
    n: int
    in_test: int
    changed_since: int
    shown: list[Item]
    page: Page


def outlook_of(proposal: Proposal, *, unchanged: Collection[int], page: str = "") -> Outlook:
    """Say what would change of the items of a proposal; test items stand first."""
    pairs = list(zip(proposal.before, proposal.after, strict=True))
    counted = Counter(words for pair in pairs for words in _changes(*pair)).most_common()
    if proposal.action == Action.EXCLUDE:
        counted = []  # all were included: what was asked for says it
    is_test = {
        before["item"]: Split.TEST in (before["split"], after["split"]) for before, after in pairs
    }
    ordered = sorted(is_test, key=lambda pk: not is_test[pk])
    part = Paginator(ordered, ITEMS_SHOWN).get_page(page)
    items = Item.objects.filter(pk__in=part.object_list).select_related("content", "label")
    return Outlook(
        changes=counted,
        n=len(pairs),
        in_test=sum(is_test.values()),
        changed_since=len(pairs) - len(unchanged),
        shown=sorted(items, key=lambda item: (not is_test[item.pk], item.key)),
        page=part,
    )


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    none = {"label": _("no label"), "split": _("no split"), "excluded": _("included")}
    return [
        f"{before[name] or none[name]} → {after[name] or none[name]}"
        for name in none
        if before[name] != after[name]
    ]
