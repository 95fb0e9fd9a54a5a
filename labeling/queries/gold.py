"""Reads about gold items: which are known, what people answered to them, which are in doubt."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.fields import BooleanField
from django.db.models.functions import Coalesce

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Dataset,
    GoldItem,
    Item,
    Round,
    RoundItemState,
    User,
)
from labeling.queries.pages import ROWS_A_PAGE
from mlcore.intervals import Interval
from mlcore.shares import share_interval

MEASURED = (Answer.CLASS, Answer.NO, Answer.UNUSABLE)  # unsure and skipped are no mistakes
BATCH = 10  # gold answers after which their annotator sees how many were right
AGREED_ANSWERS = 3  # from as many people, all the same: known well enough to measure others
WRONG_ANSWERS = 4  # fewer than this fail an item by bad luck too often
WRONG_SHARE = 0.2  # at most so many are right: the known answer is in doubt, not the people


def known(dataset: Dataset) -> QuerySet[GoldItem]:
    """Return the gold items of a dataset that are not retired."""
    return GoldItem.objects.filter(item__dataset=dataset, retired_at__isnull=True)


def left_out(asking: Round, asked: Iterable[int]) -> int:
    """Count the items (by id) that a round with check items leaves out because they are some."""
    if not asking.gold_every:
        return 0
    left = known(asking.dataset).filter(item__in=asked, item__excluded="")
    placed = asking.round_items.exclude(state=RoundItemState.GOLD).filter(item=OuterRef("item"))
    return left.exclude(Exists(placed)).count()


def has_known(dataset: Dataset) -> bool:
    """Return whether a dataset has gold items."""
    return known(dataset).exists()


def known_labels(dataset: Dataset) -> dict[int, int]:
    """Return the class (by id) of each gold item (by id), as consensus clamps them."""
    return dict(known(dataset).values_list("item", "label"))


def answers(dataset: Dataset) -> QuerySet[Any]:
    """Return the answers that measure, each with the known class and whether it is right.

    Those to a gold item that was corrected are measured anew; to a retired one, no longer. Answers
    that name a class merged since count for what it became; that something is not the merged
    class says nothing about the whole, and is left out.
    """
    label = GoldItem.objects.filter(item=OuterRef("item"), retired_at__isnull=True)
    rows = Annotation.objects.filter(
        annotator__dataset=dataset, is_gold=True, withdrawn_at__isnull=True, answer__in=MEASURED
    )
    rows = rows.filter(round__counts=True)
    rows = rows.annotate(known=Subquery(label.values("label")[:1])).filter(known__isnull=False)
    rows = rows.annotate(
        meant=Coalesce("label__merged_into", "label"),
        refused=Coalesce("asked__merged_into", "asked"),
    )
    half = Q(answer=Answer.NO, refused=F("known"), asked__merged_into__isnull=False)
    rows = rows.exclude(half)
    refused = Q(answer=Answer.NO) & ~Q(refused=F("known"))
    right = When(Q(meant=F("known")) | refused, then=Value(True))
    return rows.annotate(is_right=Case(right, default=False, output_field=BooleanField()))


@dataclass(frozen=True)
class Checked:
    """How many gold items somebody answered, and how many of them rightly."""

    answered: int
    right: int

    @property
    def accuracy(self) -> Interval:
        """Return the share that is right, with its 95 % limits."""
        return share_interval(self.right, self.answered)


def by_annotator(dataset: Dataset, *, among: Iterable[int] | None = None) -> dict[int, Checked]:
    """Return the gold result of each annotator (by id), of all or `among` some, who has one."""
    rows = answers(dataset).order_by()
    if among is not None:
        rows = rows.filter(annotator__in=list(among))
    counted = rows.values("annotator").annotate(
        n=Count("pk"), right=Count("pk", filter=Q(is_right=True))
    )
    return {row["annotator"]: Checked(row["n"], row["right"]) for row in counted}


@dataclass(frozen=True)
class OwnResult:
    """What an annotator may know of a dataset: the last whole batch, and all batches together."""

    dataset: Dataset
    last: Checked
    all: Checked


def own_results(user: User) -> list[OwnResult]:
    """Return somebody's results by dataset, in whole batches.

    Never a single answer: it would tell which item was a gold one.
    """
    mine = Annotator.objects.filter(user=user).select_related("dataset").order_by("dataset__name")
    asked = Annotation.objects.filter(annotator=OuterRef("pk"), is_gold=True)
    results = (_own_result(annotator) for annotator in mine.filter(Exists(asked)))
    return [result for result in results if result]


def _own_result(annotator: Annotator) -> OwnResult | None:
    mine = answers(annotator.dataset).filter(annotator=annotator).order_by("pk")
    right = list(mine.values_list("is_right", flat=True))
    whole = len(right) // BATCH * BATCH
    if not whole:
        return None
    last = Checked(BATCH, sum(right[whole - BATCH : whole]))
    return OwnResult(annotator.dataset, last, Checked(whole, sum(right[:whole])))


@dataclass(frozen=True)
class Told:
    """What people answered to a gold item."""

    answered: int
    right: int
    said: str

    @property
    def is_doubtful(self) -> bool:
        """Return whether so many fail it that its answer is likelier wrong than they are."""
        return self.answered >= WRONG_ANSWERS and self.right <= WRONG_SHARE * self.answered

    @property
    def share(self) -> float | None:
        return self.right / self.answered if self.answered else None

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Doubtful ones come first, then the hardest."""
        return (not self.is_doubtful, self.share is None, self.share or 0)


@dataclass(frozen=True)
class Tried(Told):
    """A gold item with what people answered to it."""

    gold: GoldItem


NOTHING = Told(0, 0, "")


def tried(dataset: Dataset) -> list[Tried]:
    """Return the gold items with their answers: doubtful ones first, then the hardest."""
    told = _told(dataset)
    rows = known(dataset).select_related("item__content", "label", "made_by").order_by("pk")
    found = [_tried(row, told.get(row.item_id, NOTHING)) for row in rows]
    return sorted(found, key=lambda row: row.rank)


@dataclass(frozen=True)
class TriedPage:
    """A page of the gold items in this order, and how many of all are doubtful."""

    page: Page[Any]
    rows: list[Tried]
    doubtful: int


def tried_page(dataset: Dataset, number: str | None) -> TriedPage:
    """Return a numbered page of the gold items, with as many reads for many as for few."""
    told = _told(dataset)
    golds = known(dataset).order_by("pk").values_list("pk", "item")
    order = sorted(golds, key=lambda row: told.get(row[1], NOTHING).rank)
    page: Page[Any] = Paginator(order, ROWS_A_PAGE).get_page(number)
    read = known(dataset).select_related("item__content", "label", "made_by")
    rows = read.in_bulk([pk for pk, _item in page])
    return TriedPage(
        page,
        [_tried(rows[pk], told.get(item, NOTHING)) for pk, item in page if pk in rows],
        sum(told[item].is_doubtful for _pk, item in order if item in told),
    )


def _told(dataset: Dataset) -> dict[int, Told]:
    """Return what was answered to each gold item (by the item's id) that anybody answered."""
    said: dict[int, Counter[str]] = defaultdict(Counter)
    right: Counter[int] = Counter()
    rows = answers(dataset).values_list("item", "answer", "label__name", "asked__name", "is_right")
    for item, answer, label, asked, is_right in rows:
        said[item][label or _refusal(answer, asked)] += 1
        right[item] += is_right
    return {item: Told(n.total(), right[item], _said(n)) for item, n in said.items()}


def _tried(gold: GoldItem, told: Told) -> Tried:
    return Tried(told.answered, told.right, told.said, gold)


def _refusal(answer: str, asked: str | None) -> str:
    words = Answer(answer).label
    return f"not {asked}" if answer == Answer.NO and asked else words.lower()


def _said(counts: Counter[str]) -> str:
    return ", ".join(f"{n} × {words}" for words, n in counts.most_common())


# ---- making gold of what people agree on ----


def agreed(dataset: Dataset) -> list[tuple[int, int]]:
    """Return items (by id) with the class (by id) that everybody gave them who was asked."""
    rows = Annotation.objects.filter(
        round__dataset=dataset, round__counts=True, withdrawn_at__isnull=True, is_gold=False
    ).exclude(answer=Answer.SKIP)
    counted = (
        rows.order_by()
        .values("item")
        .annotate(
            people=Count("annotator", distinct=True),
            classes=Count("label", distinct=True),
            others=Count("pk", filter=Q(label__isnull=True)),
        )
        .filter(people__gte=AGREED_ANSWERS, classes=1, others=0)
    )
    usable = Item.objects.filter(dataset=dataset, excluded="", pk__in=counted.values("item"))
    usable = usable.filter(label__isnull=False, label__retired_at__isnull=True)
    same = rows.filter(item=OuterRef("pk"), label=OuterRef("label"))
    free = usable.exclude(pk__in=known(dataset).values("item")).filter(Exists(same))
    return list(free.order_by("pk").values_list("pk", "label"))
