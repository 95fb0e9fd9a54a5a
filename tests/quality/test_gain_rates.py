"""What an hour of people's time and a unit of money bought."""

from decimal import Decimal

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from quality.queries import comparisons
from quality.queries.success import Change


@given(
    difference=st.floats(-1, 1),
    reach=st.floats(0.001, 1),
    seconds=st.floats(60, 360_000),
    cost=st.floats(1, 10_000),
)
def test_what_an_hour_bought_has_the_limits_of_the_difference(difference, reach, seconds, cost):
    change = Change(difference, difference - reach, difference + reach)
    spent = {"seconds": seconds, "cost": cost, "answers": 9, "paid_answers": 7}
    hourly, paid = comparisons.gain_rates(change, spent, hour_price=None)
    assert hourly["spent"] == seconds / 3600
    assert hourly["is_clear"] == paid["is_clear"] == (reach < abs(difference))
    assert hourly["is_drawn_out"] == (seconds < 3600)
    assert paid["spent"] == cost
    assert paid["money"]["unpaid"] == 2
    if difference - reach > 0:
        assert "−" not in hourly["told"]["low"] + paid["told"]["low"]


def test_where_nothing_changed_no_rate_is_told():
    assert comparisons.gain_rates(Change(0.0, 0.0, 0.0), {"seconds": 60}, hour_price=None) == []


@pytest.mark.parametrize(("paid", "told"), [(0.75, ["0.75 was paid for 3 answers"]), (0.0, [])])
def test_hours_of_reviewing_cost_money_where_they_have_a_price(paid, told):
    change = Change(0.08, 0.05, 0.11)
    spent = {"seconds": 5400.0, "answer_seconds": 1800.0, "cost": paid}
    spent |= {"answers": 3, "paid_answers": 3 if paid else 0}
    rates = comparisons.gain_rates(change, spent, hour_price=Decimal("31.25"))
    assert rates[1]["spent"] == paid + 31.25  # an hour of the three halves was reviewing
    page = render_to_string(
        "quality/_gain_rates.html", {"rates": rates, "result": {"changes": spent}}
    )
    for words in [*told, "1 h 0 min of reviewing cost 31.25"]:
        assert words in page
    rates = comparisons.gain_rates(change, spent, hour_price=None)
    assert [rate["spent"] for rate in rates] == [1.5, paid][: 1 + bool(paid)]
    page = render_to_string(
        "quality/_gain_rates.html", {"rates": rates, "result": {"changes": spent}}
    )
    assert ("1 h 0 min of reviewing have no price" in page) == bool(paid)


def test_that_nothing_was_shown_is_said_once_for_hours_and_money():
    spent = {"seconds": 3600.0, "cost": 2.0, "answers": 3, "paid_answers": 3}
    rates = comparisons.gain_rates(Change(0.01, -0.05, 0.07), spent, hour_price=None)
    shown = {"rates": rates, "result": {"changes": spent}}
    page = render_to_string("quality/_gain_rates.html", shown)
    assert page.count("could not be shown") == 1
    assert "in points an hour or points a unit of money" in page
    assert "2.00 was paid for 3 answers" in page
