"""A list costs no more queries with many rows than with few; the addresses are the resolver's."""

import hashlib
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from labeling.models import (
    Annotation,
    Annotator,
    Content,
    Dataset,
    GoldItem,
    Invitation,
    Item,
    ItemTag,
    Job,
    LabelChange,
    Membership,
    Notice,
    Question,
    Round,
    RoundItem,
    Upload,
    UploadEntry,
    User,
)
from labeling.queries.datasets import datasets_of
from labeling.queries.pages import ROWS_A_PAGE
from labeling.services import crowd, jobs
from labeling.services.versions import freeze_version
from quality.models import Decision, Flag, FlagItem, Proposal, Run
from quality.queries.datasets import rows_of
from tests import factories
from tests.world import all_names, parameters

FEW, MANY = 4, 300  # fewer than a card shows; several pages of every list
RARER = 4  # items for each person, round, run, import and other dataset
FLAGGED = "label_error"
GROUPED = "slice"
PAGED = ("quality:datasets", "quality:runs", "labeling:rounds", "labeling:members", "labeling:gold")
SORTS = ("sort=key", "sort=suspicious", "sort=brightness", "flag=any", "q=item", "random=1")


class Lists:
    """A dataset of which every list grows."""

    def __init__(self) -> None:
        self.dataset = factories.make_dataset("lists")
        self.lead = factories.make_member(self.dataset)
        self.cat = self.dataset.classes.get(name="cat")
        self.round = Round.objects.create(dataset=self.dataset, name="all", answers_wanted=1)
        self.upload = Upload.objects.create(dataset=self.dataset, name="a", path="", by=self.lead)
        self.busy = Annotator.objects.create(dataset=self.dataset, user=self.lead)
        self.item = factories.make_item(self.dataset, "first", "cat")
        self.group = Flag.objects.create(
            dataset=self.dataset, kind=GROUPED, subject="g", score=0.5, reason="planted",
        )  # fmt: skip
        self.count = 0

    def grow(self, to: int) -> None:
        numbers, self.count = range(self.count, to), to
        items = self._items(numbers)
        rarely = numbers[::RARER]
        self._labels(items, self._people(rarely))
        self._doubts(items)
        self._around(rarely)
        self._of_one(items)
        job = jobs.open_job(kind="measure_crowd", dataset=self.dataset)
        jobs.carry_out(job.pk, crowd.measure_crowd)
        Notice.objects.bulk_create(
            Notice(dataset=self.dataset, kind="done", about=str(n), words="Done.") for n in numbers
        )

    def _items(self, numbers: range) -> list[Item]:
        contents = [
            Content(
                sha256=hashlib.sha256(str(n).encode()).hexdigest(),
                type="png",
                mime="image/png",
                size=1,
                facts={"brightness": n, "width": 8, "height": 8},
            )
            for n in numbers
        ]
        Content.objects.bulk_create(contents)
        return Item.objects.bulk_create(
            Item(
                dataset=self.dataset,
                key=f"item{n:05}",
                content=content,
                label=self.cat,
                label_source="import",
                split=("train", "test")[n % 2],
                source_group=f"source {n // 3}",
            )
            for n, content in zip(numbers, contents, strict=True)
        )

    def _people(self, numbers: range) -> list[Annotator]:
        dataset = self.dataset
        users = User.objects.bulk_create(User(username=f"person{n}") for n in numbers)
        Membership.objects.bulk_create(
            Membership(dataset=dataset, user=user, role="annotator") for user in users
        )
        return Annotator.objects.bulk_create(Annotator(dataset=dataset, user=u) for u in users)

    def _labels(self, items: list[Item], people: list[Annotator]) -> None:
        of = {"round": self.round, "answer": "class", "label": self.cat, "seconds": 1.0}
        pairs = [(item, people[n // RARER]) for n, item in enumerate(items)]
        Annotation.objects.bulk_create(
            Annotation(item=item, annotator=person, **of) for item, person in pairs
        )
        RoundItem.objects.bulk_create(
            RoundItem(
                round=self.round,
                item=item,
                position=item.pk,
                wanted=1,
                taken=1,
                state=("settled", "disputed")[n % 2],
            )
            for n, item in enumerate(items)
        )
        Question.objects.bulk_create(
            Question(round=self.round, item=item, annotator=person, text="?")
            for item, person in pairs
        )
        ItemTag.objects.bulk_create(ItemTag(item=item, name=f"tag {item.pk}") for item in items)
        LabelChange.objects.bulk_create(LabelChange(item=i, after=self.cat) for i in items)
        GoldItem.objects.bulk_create(GoldItem(item=item, label=self.cat) for item in items)
        UploadEntry.objects.bulk_create(
            UploadEntry(upload=self.upload, name=item.key, outcome="imported", item=item)
            for item in items
        )

    def _doubts(self, items: list[Item]) -> None:
        flags = Flag.objects.bulk_create(
            Flag(
                dataset=self.dataset,
                kind=FLAGGED,
                subject=item.key,
                given="cat",
                suggested="dog",
                state=state,
                score=0.5,
                reason="planted",
            )
            for item in items
            for state in ("open", "decided", "waiting")
        )
        about = [item for item in items for _state in range(3)]
        FlagItem.objects.bulk_create(
            FlagItem(flag=flag, item=item) for flag, item in zip(flags, about, strict=True)
        )
        of = {"dataset": self.dataset, "by": self.lead, "action": "keep", "seconds": 1.0}
        Decision.objects.bulk_create(
            Decision(flag=flag, **of) for flag in flags if flag.state == "decided"
        )
        Proposal.objects.bulk_create(
            Proposal(flag=flag, **of) for flag in flags if flag.state == "waiting"
        )

    def _of_one(self, items: list[Item]) -> None:
        """Let one item have a history, one flag a group of items, the lead answers of their own."""
        LabelChange.objects.bulk_create(
            LabelChange(item=self.item, after=self.cat, by=self.lead) for _item in items
        )
        FlagItem.objects.bulk_create(
            FlagItem(flag=self.group, item=item, role="part") for item in items
        )
        Annotation.objects.bulk_create(
            Annotation(
                item=item, annotator=self.busy, round=self.round, answer="class", label=self.cat,
                seconds=1.0,
            )
            for item in items
        )  # fmt: skip

    def _around(self, numbers: range) -> None:
        dataset = self.dataset
        version = dataset.versions.first() or freeze_version(dataset=dataset, by=self.lead)[0]
        Run.objects.bulk_create(
            Run(dataset=dataset, number=n + 1, version=version, protocol={}, backbone="b")
            for n in numbers
        )
        Round.objects.bulk_create(
            Round(dataset=dataset, name=f"round {n}", answers_wanted=1) for n in numbers
        )
        Upload.objects.bulk_create(
            Upload(dataset=dataset, name=f"{n}.zip", path="", by=self.lead) for n in numbers
        )
        Job.objects.bulk_create(Job(dataset=dataset, kind="import", state="done") for n in numbers)
        Invitation.objects.bulk_create(
            Invitation(
                dataset=dataset,
                role="annotator",
                token_hash=str(n),
                created_by=self.lead,
                expires_at=timezone.now() + timedelta(days=1),
            )
            for n in numbers
        )
        others = Dataset.objects.bulk_create(
            Dataset(slug=f"other{n}", name=f"other {n}", media="image") for n in numbers
        )
        Membership.objects.bulk_create(
            Membership(dataset=other, user=self.lead, role="owner") for other in others
        )

    def pages(self) -> list[str]:
        """Return all addresses that lead to lists, Browse in every order."""
        known = {"slug": self.dataset.slug, "kind": FLAGGED}
        known |= {"evidence": "group", "split": "test", "other": "train"}
        found = [
            reverse(name, kwargs={word: known[word] for word in words})
            for name in all_names()
            if not name.startswith("api")
            for words in list(parameters(name))[:1]
            if set(words) <= set(known)
        ]
        browse = reverse("quality:browse", args=[self.dataset.slug])
        found += [f"{browse}?{sort}" for sort in SORTS]
        slug = self.dataset.slug
        of_one = {
            "labeling:round": [slug, self.round.pk],
            "labeling:annotate_mine": [self.round.pk],
            "labeling:upload": [slug, self.upload.pk],
            "labeling:crowd_person": [slug, self.busy.pk],
            "quality:item": [slug, self.item.pk],
            "quality:item_in_files": [slug, self.item.pk],
            "quality:flag": [slug, GROUPED, self.group.pk],
            "quality:queue": [slug, GROUPED],
        }
        return found + [reverse(name, args=args) for name, args in of_one.items()]


def queries_of(client: Client, addresses: list[str]) -> dict[str, int]:
    counted = {}
    for address in addresses:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address)
        if answer.status_code == 200 and not answer.streaming:
            counted[address] = len(queries)
    return counted


@pytest.mark.django_db
def test_no_list_costs_more_queries_with_many_rows_than_with_few() -> None:
    lists = Lists()
    lists.grow(FEW)
    client = Client()
    client.force_login(lists.lead)
    pages = lists.pages()
    few = queries_of(client, pages)
    lists.grow(MANY)
    many = queries_of(client, pages)
    assert len(few) > 40
    assert few.keys() == many.keys()
    assert {page: (few[page], n) for page, n in many.items() if n > few[page]} == {}


@pytest.mark.django_db
def test_a_thousand_datasets_are_listed_with_what_is_new_in_each() -> None:
    lead = factories.make_user()
    many = Dataset.objects.bulk_create(
        Dataset(slug=f"d{n}", name="d", media="image") for n in range(1_100)
    )
    Membership.objects.bulk_create(Membership(dataset=d, user=lead, role="owner") for d in many)
    Notice.objects.bulk_create(
        Notice(dataset=d, kind="done", about="it", words="Done.") for d in many
    )
    visited = Membership.objects.filter(dataset=many[0])
    visited.update(visited_at=timezone.now() + timedelta(days=1))
    rows = {row.dataset: row.news for row in rows_of(list(datasets_of(lead)), lead)}
    assert sum(rows.values()) == len(many) - 1
    assert rows[many[0]] == 0


@pytest.mark.django_db
def test_a_long_list_shows_each_row_on_one_of_its_pages(client: Client) -> None:
    lists = Lists()
    lists.grow(MANY)
    client.force_login(lists.lead)
    slug = lists.dataset.slug
    addresses = [reverse(name, args=[] if name == PAGED[0] else [slug]) for name in PAGED]
    for address in (*addresses, reverse("labeling:round", args=[slug, lists.round.pk])):
        first = client.get(address)
        page = first.context["page"]
        others = [client.get(f"{address}?page={n}") for n in page.paginator.page_range[1:]]
        shown = [row for answer in (first, *others) for row in answer.context["page"]]
        assert len(page) == ROWS_A_PAGE
        assert len(shown) == len(set(shown)) == page.paginator.count > len(page)
        assert "?page=2" in first.content.decode()
        assert "?page=1" in others[0].content.decode()
