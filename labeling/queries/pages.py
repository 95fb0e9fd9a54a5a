"""One page of a list whose rows carry counts."""

from typing import Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet

ROWS_A_PAGE = 50

Row = TypeVar("Row", bound=Model)


def page_of(rows: QuerySet[Row], number: str | None) -> Page[Any]:
    """Return a numbered page in the order of `rows`, the first or last where there is no such.

    Rows are chosen first and read then: with a limit alone, databases may count for all of them.
    """
    page: Page[Any] = Paginator(rows.values_list("pk", flat=True), ROWS_A_PAGE).get_page(number)
    page.object_list = list(rows.filter(pk__in=list(page.object_list)))
    return page
