"""An empty dataset, and the browser of its lead."""

import pytest
from django.test import Client

from labeling.models import Dataset, Role
from tests.factories import make_dataset, make_member


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset("pets", classes=())


@pytest.fixture
def lead(client: Client, dataset: Dataset) -> Client:
    client.force_login(make_member(dataset, Role.LEAD))
    return client
