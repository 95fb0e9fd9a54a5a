"""The addresses of the site, one dataset with one of everything, and a client of each role."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.test import Client
from django.urls import get_resolver, reverse
from django.urls.resolvers import URLResolver
from django.utils import timezone

from labeling import storage
from labeling.models import (
    Annotator,
    Content,
    Dataset,
    Example,
    GoldItem,
    Item,
    Membership,
    Question,
    Role,
    RoundItem,
    Upload,
    User,
)
from labeling.services import jobs, members
from labeling.services.datasets import add_classes
from labeling.services.versions import freeze_version
from quality.models import Comparison, Proposal, Run
from quality.services import demo
from quality.services.merging import merge_classes
from tests.factories import make_asking, make_dataset, make_flag, make_item

PEOPLE = ("stranger", "annotator", "reviewer", "lead", "owner", "staff")
# What the world's comparison, which has no matrices, does not answer.
QUERIES = {
    "quality:before_after": "?old=2&new=1",
    "quality:report": "?version=1",
    "quality:report_file": "?version=1",
    "quality:report_json": "?version=1",
}


def addresses(
    resolver: URLResolver, spaces: tuple[str, ...] = ()
) -> Iterator[tuple[str, set[str]]]:
    """Yield the name and parameters of every address of the site."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            inner = (pattern.namespace,) if pattern.namespace else ()
            yield from addresses(pattern, spaces + inner)
        else:
            yield ":".join([*spaces, pattern.name or str(pattern.pattern)])


def all_names() -> list[str]:
    return sorted(set(addresses(get_resolver())))


@dataclass
class World:
    """One dataset with one of everything, and what its addresses call each."""

    dataset: Dataset
    arguments: dict[str, Any]
    objects: dict[str, int] = field(default_factory=dict)

    def url(self, name: str) -> str:
        """Return an address of this world, with only the arguments that it takes."""
        asked = {**self.arguments, "pk": self.objects.get(name, 0)}
        for entry in parameters(name):
            address = reverse(name, kwargs={key: asked[key] for key in entry})
            return address + QUERIES.get(name, "")
        raise AssertionError(name)


def parameters(name: str) -> Iterator[list[str]]:
    """Yield what an address is to be told."""
    *spaces, last = name.split(":")
    resolver: URLResolver = get_resolver()
    for space in spaces:
        resolver = resolver.namespace_dict[space][1]
    for possibility, *_ in resolver.reverse_dict.getlist(last):
        yield possibility[0][1]


def make_world(slug: str) -> World:
    dataset = make_dataset(slug, is_demo=True)
    item = make_item(dataset, "a", "cat", split="train")
    sha256 = storage.write_bytes(b"picture")
    Content.objects.get_or_create(
        sha256=sha256, defaults={"type": "png", "mime": "image/png", "size": 7}
    )
    Item.objects.filter(pk=item.pk).update(content_id=sha256)
    old, new = make_run(dataset, 1), make_run(dataset, 2)
    result = {"classes": [], "old": {"version": 1}, "new": {"version": 2}, "newly_right": []}
    result |= {"difference": 0.0, "low": -0.1, "high": 0.1, "n": 1}
    comparison = Comparison.objects.create(dataset=dataset, old=old, new=new, result=result)
    demo.folder_of(slug).mkdir(parents=True, exist_ok=True)
    (demo.folder_of(slug) / "truth.json").write_text("[]")
    flag = make_flag(item, reason="looks like a dog")
    asking = make_asking(dataset, [item], answers_wanted=9)
    person = User.objects.create(username=f"{slug}-inviter")
    invitation, token = members.invite(
        dataset=dataset, role=Role.ANNOTATOR, by=person, now=timezone.now()
    )
    other = User.objects.create(username=f"{slug}-other")
    membership = Membership.objects.create(dataset=dataset, user=other, role=Role.ANNOTATOR)
    kitten, cat = add_classes(dataset=dataset, names=["kitten", "a cat"])
    make_item(dataset, "kitten.png", "kitten")
    disputed = asking.round_items.get()
    entry = make_asking(dataset, [item], name="q", kind="qualify")
    RoundItem.objects.filter(pk=disputed.pk).update(state="disputed")
    objects = {
        "job": jobs.open_job(kind="withdraw", dataset=dataset).pk,
        "round": asking.pk,
        "qualification": entry.pk,
        "pilot": make_asking(
            dataset,
            [item],
            name="p",
            kind="pilot",
            wording={"name": "A", "question": "?", "guideline": ""},
        ).pk,
        "item": item.pk,
        "upload": Upload.objects.create(dataset=dataset, name="u", path="/nowhere").pk,
        "class": dataset.classes.first().pk,
        "flag": flag.pk,
        "proposal": Proposal.objects.create(dataset=dataset, flag=flag, action="relabel").pk,
        "gold": GoldItem.objects.create(item=item, label=dataset.classes.first()).pk,
        "dispute": disputed.pk,
        "merge": merge_classes(dataset=dataset, old=kitten, new=cat, text="", by=person).pk,
        "comparison": comparison.pk,
        "invitation": invitation.pk,
        "annotator": Annotator.objects.create(dataset=dataset, name="outside").pk,
        "membership": membership.pk,
        "example": Example.objects.create(
            dataset=dataset, item=make_item(dataset), label=dataset.classes.first()
        ).pk,
    }
    asked = Question.objects.create(round=asking, annotator_id=objects["annotator"], text="?")
    arguments = {
        "slug": slug, "number": 1, "question": asked.pk, "user": other.pk, "token": token,
        "what": "items", "kind": "label_error",
        "evidence": "bytes", "split": "test", "other": "train",
        "form": "csv", "which": "newly_right", "side": "before", "changes": "crop",
    }  # fmt: skip
    return World(dataset, arguments, _by_address(objects))


def make_run(dataset: Dataset, number: int) -> Run:
    make_item(dataset)
    version, _ = freeze_version(dataset=dataset)
    return Run.objects.create(
        dataset=dataset, number=number, version=version, protocol={}, backbone="b"
    )


def _by_address(objects: dict[str, int]) -> dict[str, int]:
    kinds = {
        "job": "labeling:job labeling:job_events labeling:cancel_job labeling:retry_job api-1:job "
        "quality:withdrawn",
        "round": "labeling:round labeling:reply labeling:close_round labeling:reopen_round "
        "labeling:extend_round labeling:change_round "
        "labeling:annotate api-1:renew api-1:release "
        "api-1:extend_round api-1:close_round api-1:reopen_round "
        + " ".join(name for name in all_names() if name.startswith("labeling:annotate_")),
        "item": "labeling:media labeling:use_as_example labeling:use_as_gold quality:item "
        "quality:item_in_files quality:augmented quality:loudest_after quality:loudest_sound "
        "quality:loudest_peaks",
        "qualification": "labeling:decide_qualifying labeling:qualify_again",
        "pilot": "labeling:pilot labeling:pilot_act",
        "example": "labeling:drop_example",
        "upload": "labeling:upload labeling:upload_files labeling:start_upload "
        "labeling:apply_upload labeling:upload_report labeling:read_upload_again quality:take_back",
        "class": "labeling:retire_class",
        "flag": "quality:flag quality:decide api-1:decide",
        "proposal": "quality:second_answer",
        "merge": "quality:merge_undo",
        "comparison": "quality:changed_items quality:compared quality:contributions",
        "invitation": "labeling:revoke_invitation",
        "annotator": "labeling:crowd_person labeling:decide_pause labeling:reply_to_pause",
        "gold": "labeling:correct_gold labeling:retire_gold",
        "dispute": "quality:dispute_answer quality:dispute_decide",
        "membership": "labeling:change_role labeling:remove_member",
    }
    return {name: objects[kind] for kind, names in kinds.items() for name in names.split()}


def make_clients(world: World) -> dict[str, tuple[Client, Client]]:
    """Return a browser and a program for each role."""
    clients = {"anonymous": (Client(raise_request_exception=False),) * 2}
    for role in PEOPLE:
        user = User.objects.create(
            username=f"{world.dataset.slug}-{role}", is_staff=role == "staff"
        )
        if role in Role.values:
            Membership.objects.create(dataset=world.dataset, user=user, role=role)
        browser = Client(raise_request_exception=False)
        browser.force_login(user)
        _, token = members.make_token(user=user, name="test")
        program = Client(
            raise_request_exception=False, headers={"authorization": f"Bearer {token}"}
        )
        clients[role] = (browser, program)
    return clients
