"""Numbers on pages: real minus signs, fixed figures, steps of matrices."""

from datetime import UTC, datetime, timedelta

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from labeling.templatetags import figures

FINITE = st.floats(min_value=-1e6, max_value=1e6)


@pytest.mark.parametrize(
    ("number", "written"),
    [(0.6571, ".657"), (1, "1.000"), (0, ".000"), (None, "–"), (-0.02, "−.020")],
)
def test_a_share_has_three_figures(number: float | None, written: str) -> None:
    assert figures.share(number) == written


@pytest.mark.parametrize(
    ("number", "written"),
    [(0.0402, "+4.0"), (-0.008, "−0.8"), (0, "0.0"), (-0.0001, "0.0"), (0.0001, "0.0")],
)
def test_a_difference_is_written_in_points_with_its_sign(number: float, written: str) -> None:
    assert figures.points(number) == written


@given(FINITE)
def test_no_number_on_a_page_has_a_hyphen_for_a_minus(number: float) -> None:
    for written in (figures.decimals(number), figures.signed(number), figures.share(number)):
        assert "-" not in written


@given(st.floats(min_value=0, max_value=1, exclude_min=True))
def test_a_cell_with_items_is_never_drawn_as_empty(share: float) -> None:
    assert figures.matrix_step(share) in {f"m{step}" for step in range(1, 8)}


NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-20, "now"),
        (-60, "1 minute ago"),
        (-90, "1 minute ago"),  # Math.round goes up at a half
        (-3599, "60 minutes ago"),
        (-7200, "2 hours ago"),
        (-86400, "yesterday"),
        (90000, "tomorrow"),
        (-3 * 86400, "3 days ago"),
        (5400, "in 2 hours"),
        (-14 * 86400, "2026-03-06"),
    ],
)
def test_a_moment_is_told_as_the_script_tells_it(seconds: int, words: str) -> None:
    assert figures.ago(NOW + timedelta(seconds=seconds), NOW) == words


def test_limits_that_reach_below_a_scale_are_drawn_from_its_start() -> None:
    shown = {"value": -0.3, "low": -1.0, "high": 0.4, "start": -0.2, "span": 1.2}
    drawn = render_to_string("_interval.html", shown)
    assert 'class="range" x1="-0.2" x2="0.4"' in drawn
    assert "−1.000 – 0.400" in drawn


def test_an_empty_cell_is_blank() -> None:
    assert figures.matrix_step(0) == "zero"
    assert figures.difference_step(0, 5) == "zero"


def test_the_largest_gain_and_loss_are_drawn_equally_strong() -> None:
    assert figures.difference_step(9, 9) == "b4"
    assert figures.difference_step(-9, 9) == "w4"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(5.8, "5.8 s"), (0, "0 s"), (18, "18 s"), (2040, "34 min"), (7500, "2 h 5 min")],
)
def test_time_is_written_as_people_say_it(seconds: float, written: str) -> None:
    assert figures.minutes(seconds) == written


@pytest.mark.parametrize(("name", "mark"), [("ml", "ML"), ("anna.kern", "AK"), ("demo-lead", "DL")])
def test_a_person_is_marked_by_two_letters(name: str, mark: str) -> None:
    assert figures.initials(name) == mark


def test_long_class_names_break_after_their_joints_and_stay_escaped() -> None:
    assert figures.breakable("card_delivery<b>") == "card_<wbr>delivery&lt;b&gt;"
    assert figures.breakable("Shirt") == "Shirt"
    assert figures.breakable("as noise_, it says") == "as noise_, it says"
