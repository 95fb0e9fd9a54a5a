"""How many items are missing of declared shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.coverage import missing_counts

ROWS = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 50)), min_size=1, max_size=6)


@given(ROWS, st.integers(0, 500), st.integers(1, 50))
def test_with_what_is_missing_every_share_is_reached_and_with_less_it_is_not(rows, others, rest):
    have = np.array([n for n, _ in rows])
    parts = np.array([part for _, part in rows])
    shares = parts / (parts.sum() + rest)
    total = int(have.sum()) + others
    missing = missing_counts(have, shares, total=total)
    whole = total + missing.sum()
    short = shares * whole - (have + missing)
    assert (short < len(rows) + 1e-6).all()  # each is rounded up; that makes the whole larger
    lacking = shares * total > have + 1e-6
    assert (missing[lacking] > 0).all()
    ample = have >= shares * whole + len(rows)
    assert (missing[ample] == 0).all()


def test_shares_of_the_whole_are_met_by_growing_to_what_there_is_most_of():
    assert missing_counts([900, 50, 0], [0.5, 0.3, 0.2], total=1_000).tolist() == [0, 490, 360]


@pytest.mark.parametrize("shares", [[0.6, 0.6], [0.0, 0.5]])
def test_shares_that_cannot_be_are_refused(shares):
    with pytest.raises(ValueError, match="shares"):
        missing_counts([1, 1], shares, total=2)
