"""Browse by suspicion and its counts, against what a plain look at every flag says."""

from contextlib import suppress
from dataclasses import replace

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from labeling.models import Dataset, Item, ItemTag, Media
from quality.models import UNFLAGGED, Decision, Flag, FlagItem, FlagState
from quality.queries import browse
from quality.queries.doubts import ANY
from quality.queries.facets import facets_of
from quality.queries.filters import Shown, look_up, read_filter
from quality.services import decisions, selection
from tests.factories import make_dataset, make_item

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

KEYS = [f"item-{n}" for n in range(6)]
KINDS = ("label_error", "odd_image", "near_duplicate", UNFLAGGED)
FLAGGED_FILTERS = ("flag=any", "flag=label_error", "flag=odd_image&flag=near_duplicate")
FILTERS = (
    *(
        "",
        "class=cat",
        "unlabelled=1",
        "split=test",
        "excluded=1",
        "odd=1",
        "tag=night",
        "q=-3&class=cat",
    ),
    *(*FLAGGED_FILTERS, "flag=any&class=dog&split=train", "keys=item-1%0Aitem-2"),
)
FLAG_STEPS = ("keep", "relabel", "exclude")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("open", "open", "undo", "label", "leave out", "tag", *FLAG_STEPS)),
        st.sampled_from(KINDS),
        st.lists(st.sampled_from(range(len(KEYS))), min_size=1, max_size=2, unique=True),
        st.sampled_from((0.0, 0.3, 0.3, 1.0)),
    ),
    min_size=4,
    max_size=14,
)


def several() -> Dataset:
    dataset = make_dataset()
    for n, key in enumerate(KEYS):
        label, split = (None, "cat", "dog")[n % 3], ("train", "test")[n % 2]
        make_item(dataset, key, label, split=split, odd=[["dark", "Dark."]] if n == 4 else [])
    return dataset


def take(step: tuple[str, str, list[int], float], dataset: Dataset) -> None:
    """Do what people and checks do, through the services; what does not suit is refused."""
    verb, kind, places, score = step
    items = [Item.objects.get(dataset=dataset, key=KEYS[place]) for place in places]
    if verb == "open":
        label = items[0].label.name if kind == "label_error" and items[0].label else ""
        subject = " ".join([*(item.key for item in items), label])
        values = {"subject": subject, "score": score, "given": label, "suggested": "dog"}
        if not Flag.objects.filter(dataset=dataset, kind=kind, subject=subject).exists():
            flag = Flag.objects.create(dataset=dataset, kind=kind, reason="planted", **values)
            FlagItem.objects.bulk_create(FlagItem(flag=flag, item=item) for item in items)
    elif verb == "undo":
        with suppress(decisions.UndoRefusedError):
            if last := Decision.objects.filter(dataset=dataset, flag__isnull=False).last():
                decisions.undo_decision(decision=last, reviewer=None)
    elif verb == "tag":
        ItemTag.objects.get_or_create(item=items[0], name="night" if score else "day")
    elif verb in FLAG_STEPS:
        opened = Flag.objects.filter(dataset=dataset, state=FlagState.OPEN, items=items[0])
        refused = (decisions.FlagClosedError, decisions.DecisionRefusedError)
        if flag := opened.exclude(kind=UNFLAGGED).first():
            with suppress(*refused):
                decisions.decide_flag(flag=flag, reviewer=None, action=verb, test_confirmed=True)
    else:
        chosen = selection.Selection(
            dataset, [item.pk for item in items], by=None, test_confirmed=True
        )
        with suppress(selection.NothingToChangeError):
            if verb == "label":
                selection.relabel(chosen, label=dataset.classes.get(name="cat" if score else "dog"))
            else:
                selection.exclude(chosen, reason="blurred")


def view(dataset: Dataset, query: str) -> Shown:
    return look_up(dataset, read_filter(QueryDict(query), media=Media.IMAGE))


def doubts(item: Item) -> list[Flag]:
    """What stands against an item, by a look at each of its flags."""
    name = item.label.name if item.label else None
    flags = Flag.objects.filter(items=item, state=FlagState.OPEN)
    return [flag for flag in flags if flag.kind != UNFLAGGED and flag.given in ("", name)]


@settings(
    max_examples=6,
    deadline=None,
    phases=(Phase.generate,),  # each step is several queries: shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_whatever_is_decided_the_order_and_the_counts_say_what_stands(steps):
    dataset = several()
    for step in steps:
        take(step, dataset)
    standing = {item.pk: doubts(item) for item in dataset.items.select_related("label")}
    worst = {pk: max((flag.score for flag in there), default=-1) for pk, there in standing.items()}
    for query in FILTERS:
        shown = view(dataset, f"{query}&sort=suspicious")
        there = [item.pk for item in shown.items()]
        ordered = [item.pk for item in browse.page_of(shown).items]
        assert ordered == sorted(there, key=lambda pk: (-worst[pk], -pk)), query
        check_counts(shown)
    ordered = sorted(worst, key=lambda pk: (-worst[pk], -pk))
    everything = look_up(dataset, replace(shown.filter, keys=tuple(KEYS)))
    around = [browse.ids_around(everything, Item.objects.get(pk=pk)) for pk in ordered]
    assert around == list(zip([None, *ordered[:-1]], [*ordered[1:], None], strict=True))
    for query in FLAGGED_FILTERS:
        shown = view(dataset, query)
        flagged = {
            pk
            for pk, flags in standing.items()
            if any({ANY, flag.kind} & set(shown.filter.flags) for flag in flags)
        }
        included = dataset.items.filter(excluded="").values_list("pk", flat=True)
        assert {item.pk for item in shown.items()} == flagged & set(included)


def check_counts(shown: Shown) -> None:
    """Compare each box's count with the items that its filter shows."""

    def n(**fields: object) -> int:
        return Shown(shown.dataset, replace(shown.filter, **fields), shown.ids).items().count()

    facets, names = facets_of(shown), dict(shown.dataset.classes.values_list("pk", "name"))
    assert facets.total == n()
    for pk, name in names.items():
        assert facets.classes.get(pk, 0) == n(classes=(name,), unlabelled=False)
    assert facets.classes.get(None, 0) == n(classes=(), unlabelled=True)
    for split in ("train", "test", "none"):
        assert facets.splits.get(split, 0) == n(splits=(split,))
    assert (facets.odd, facets.excluded) == (n(odd=True), n(excluded=True))
    assert facets.flagged == n(flags=(ANY,))
    assert facets.disputed == n(disputed=True) == 0
    for kind in KINDS:
        assert facets.kinds.get(kind, 0) == n(flags=(kind,))
    for tag in ("day", "night"):
        assert facets.tags.get(tag, 0) == n(tags=(tag,))
