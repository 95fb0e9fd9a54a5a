"""Splits that are mended or dealt anew keep groups whole, sizes and classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.folds import SPLIT_NAMES
from mlcore.mending import divide_anew, mend_split

named = st.sampled_from([*SPLIT_NAMES, "none"])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8), named), min_size=1, max_size=40))
def test_a_mended_split_keeps_groups_whole_and_moves_only_what_was_torn(rows):
    labels, groups = np.array([row[:2] for row in rows]).T
    splits = np.array([row[2] for row in rows])
    divided = np.isin(splits, SPLIT_NAMES)
    used = set(splits[divided].tolist())
    if len(np.unique(groups[divided])) < len(used):
        with pytest.raises(ValueError, match="no division"):
            mend_split(labels, groups, splits)
        return
    mended = mend_split(labels, groups, splits)
    assert (mended[~divided] == "none").all()
    assert set(mended[divided].tolist()) == used
    torn = {g for g in groups[divided] if len(set(splits[divided & (groups == g)])) > 1}
    for group in np.unique(groups[divided]):
        assert len(set(mended[divided & (groups == group)])) == 1
    if not torn:
        assert (mended == splits).all()


def test_a_mended_split_keeps_sizes_and_classes_alike():
    rng = np.random.default_rng(5)
    splits = rng.choice(SPLIT_NAMES, size=1000, p=(0.7, 0.15, 0.15))
    labels, groups = rng.integers(0, 4, size=1000), rng.integers(0, 100, size=1000)
    mended = mend_split(labels, groups, splits)
    for name in SPLIT_NAMES:
        before, after = (np.bincount(labels[of == name], minlength=4) for of in (splits, mended))
        assert abs(after.sum() - before.sum()) <= 0.02 * 1000
        assert (abs(after / 250 - before / 250) <= 0.05).all()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8), named), min_size=1, max_size=40))
def test_splits_dealt_anew_keep_groups_whole_and_leave_none_empty(rows):
    labels, groups = np.array([row[:2] for row in rows]).T
    splits = np.array([row[2] for row in rows])
    divided = np.isin(splits, SPLIT_NAMES)
    used = set(splits[divided].tolist())
    rng = np.random.default_rng(0)
    if len(np.unique(groups[divided])) < len(used):
        with pytest.raises(ValueError, match="no division"):
            divide_anew(labels, groups, splits, rng=rng)
        return
    anew = divide_anew(labels, groups, splits, rng=rng)
    assert (anew[~divided] == "none").all()
    assert set(anew[divided].tolist()) == used
    for group in np.unique(groups[divided]):
        assert len(set(anew[divided & (groups == group)])) == 1


def test_a_sorted_file_that_was_cut_is_dealt_alike_in_sizes_classes_and_order():
    labels, splits = np.repeat(np.arange(4), 100), np.repeat(SPLIT_NAMES, (280, 60, 60))
    anew = divide_anew(labels, np.arange(400), splits, rng=np.random.default_rng(1))
    for name, size in zip(SPLIT_NAMES, (280, 60, 60), strict=True):
        assert np.bincount(labels[anew == name], minlength=4).tolist() == [size // 4] * 4
    places = [float(np.flatnonzero(anew == name).mean()) for name in SPLIT_NAMES]
    assert np.ptp(places) < 60
