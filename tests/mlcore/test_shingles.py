"""Texts are copies for what stays the same in them, not for what they speak of."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.duplicates import LEAST_SCORE
from mlcore.shingles import PAIRS_AN_ITEM, find_alike, letters_of

PLANTED = 40
SYLLABLES = ("ka", "lo", "mi", "ter", "sun", "dra", "pel", "vo", "rin", "esh", "ug", "ba")


def sentences(count: int, *, words: int = 15) -> list[str]:
    """Sentences of a small language whose common words are in most of them."""
    rng = np.random.default_rng(11)
    known = ["".join(rng.choice(SYLLABLES, rng.integers(2, 4))) for _ in range(400)]
    share = 1 / np.arange(1, len(known) + 1)
    draws = rng.choice(known, (count, words), p=share / share.sum())
    return [" ".join(draw) for draw in draws]


def without_a_word(text: str) -> str:
    words = text.split()
    return " ".join(words[:6] + words[7:])


CHANGES: dict[str, Callable[[str], str]] = {
    "a word left out": without_a_word,
    "a word added": lambda text: f"hello {text}",
    "a letter doubled": lambda text: text[:20] + text[20] + text[20:],
    "two letters swapped": lambda text: text[:9] + text[10] + text[9] + text[11:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_planted_copies_of_texts_are_found_and_no_other_pair_is_sure(change: str) -> None:
    base = sentences(800)
    texts = base + [CHANGES[change](text) for text in base[:PLANTED]]
    sure = {(p.first, p.second) for p in find_alike(texts) if p.score >= LEAST_SCORE}
    planted = {(row, len(base) + row) for row in range(PLANTED)}
    assert len(planted & sure) >= 0.9 * PLANTED
    assert sure <= planted


@pytest.mark.parametrize(
    "other",
    [
        "Please show me all flights from Boston to Dallas on Friday next week in the morning",
        "Please show me all flights from Denver to Boston on Friday next week in the morning",
        "Next week in the morning please show me all flights from Boston to Denver on Friday",
    ],
)
def test_another_word_or_another_order_is_suspected_but_not_sure(other: str) -> None:
    text = "Please show me all flights from Boston to Denver on Friday next week in the morning"
    assert [pair.score < LEAST_SCORE for pair in find_alike([text, other])] == [True]


def test_another_number_is_never_a_slip() -> None:
    text = "I was charged {} pounds twice for the very same thing in one shop last week"
    (pair,) = find_alike([text.format("1500"), text.format("1600")])
    assert pair.score < LEAST_SCORE


def test_what_two_words_mean_is_not_taken_for_a_slip_where_both_are_common() -> None:
    texts = [f"{text} cost" for text in sentences(30)] + [f"{text} lost" for text in sentences(30)]
    assert all(pair.score < LEAST_SCORE for pair in find_alike(texts))


def test_the_number_of_pairs_is_bounded_where_all_texts_are_alike() -> None:
    common = "the very long beginning that all of these many texts have in common and then"
    texts = [f"{common} {one} {two}" for one, two in zip(sentences(600), range(600), strict=True)]
    texts += [f"{common} {number}" for number in range(600)]
    assert len(find_alike(texts)) <= PAIRS_AN_ITEM * len(texts)


@given(st.lists(st.text(), max_size=6))
def test_any_texts_can_be_compared(texts: list[str]) -> None:
    for pair in find_alike(texts):
        assert 0 <= pair.first < pair.second < len(texts)
        assert 0 <= pair.score < 1


def test_tags_of_html_are_no_words_but_other_brackets_are() -> None:
    plain = "Good film. Go and see it"
    for marked in (
        "Good film.<br /><br />Go and see it",
        '<p class="a b">Good film. Go and <b>see</b> it</p>',
    ):
        assert letters_of(marked) == letters_of(plain)
    assert letters_of("a list<int> here") != letters_of("a list<str> here")
    assert letters_of("x <b and c> y") != letters_of("x y")


@given(st.text(st.characters(categories=["L", "M"]), min_size=1))
def test_letters_stay_whatever_stands_between_them(word: str) -> None:
    assert letters_of(f" {word}, {word}! ") == letters_of(word) * 2


@pytest.mark.parametrize(
    ("one", "other"), [("1.50", "150"), ("is -5", "is 5"), ("5%", "5"), ("1 2", "12")]
)
def test_signs_that_make_another_number_are_no_mere_punctuation(one: str, other: str) -> None:
    assert letters_of(one) != letters_of(other)
