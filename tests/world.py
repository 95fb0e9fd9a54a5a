"""The addresses of the site, one dataset with one of everything, and a client of each role."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.test import Client
from django.urls import get_resolver, reverse
from django.urls.resolvers import URLResolver

from labeling.models import Dataset, Membership, Role, User
from labeling.services import members

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
