"""Resume tokens: what goes in comes out, and what is no token is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.service.stream import tokens
from k2stream.service.stream.entries import Place
from k2stream.service.stream.tokens import BadToken, Delivered, Progress

numbers = st.integers(0, 2**53)
places = st.dictionaries(
    st.integers(0, 999), st.builds(Place, st.integers(-1, 2**53), st.integers(0, 2**43)), min_size=1
)
windows = st.builds(Delivered, st.text(max_size=20), numbers, numbers)
progresses = st.builds(
    Progress, st.just(7), numbers, st.text(max_size=20), numbers, st.lists(windows).map(tuple)
)


@given(places, progresses)
def test_a_token_says_what_it_was_made_of(where, progress):
    text = (tokens.places(where) + tokens.rest(progress)).decode()
    assert tokens.alike(text)
    assert text.isascii()
    assert tokens.parse(text, 7) == (where, progress)


@given(st.text())
def test_no_text_is_taken_for_a_token_by_accident(text):
    with pytest.raises(BadToken):
        tokens.parse(text, 7)


def test_a_token_of_another_subscription_is_refused():
    text = (tokens.places({0: Place(1, 2)}) + tokens.rest(Progress(8, 0))).decode()
    with pytest.raises(BadToken, match="another channel"):
        tokens.parse(text, 7)
