"""What an hour of people's time and a unit of money bought."""

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
    hourly, paid = comparisons.gain_rates(change, spent)
    assert hourly["spent"] == seconds / 3600
    assert hourly["is_clear"] == paid["is_clear"] == (reach < abs(difference))
    assert hourly["is_drawn_out"] == (seconds < 3600)
    assert paid["unpaid"] == 2
    if difference - reach > 0:
        assert "−" not in hourly["told"]["low"] + paid["told"]["low"]


def test_where_nothing_changed_no_rate_is_told():
    assert comparisons.gain_rates(Change(0.0, 0.0, 0.0), {"seconds": 60}) == []
