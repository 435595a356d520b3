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
times = st.integers(0, tokens.LATEST - 1)
reached = st.just(tokens.COMPLETE) | st.integers(-1, tokens.LATEST - 1)
progresses = st.builds(
    Progress,
    st.just(7),
    times,
    st.text(max_size=20),
    reached,
    st.lists(windows).map(tuple),
    st.text(max_size=8),
)


@given(places, progresses)
def test_a_token_says_what_it_was_made_of(where, progress):
    text = (tokens.places(where) + tokens.rest(progress)).decode()
    assert tokens.alike(text)
    assert text.isascii()
    assert tokens.parse(text, 7) == (where, progress)


def test_a_token_of_a_release_before_is_read():
    text = "0-1-0.WzE0NTE5NzEwODMsMTc5OTk5OTk0MDAwMCwiYmluYW5jZTpCVEMvVVNEVCIsMTc5OTk5OTk0MDAwMCxbXV0"
    where, progress = tokens.parse(text, 1451971083)
    assert (where, progress.log) == ({0: Place(0, 0)}, "")


@given(st.text())
def test_no_text_is_taken_for_a_token_by_accident(text):
    with pytest.raises(BadToken):
        tokens.parse(text, 7)


def test_a_token_of_another_subscription_is_refused():
    text = (tokens.places({0: Place(1, 2)}) + tokens.rest(Progress(8, 0))).decode()
    with pytest.raises(BadToken, match="another channel"):
        tokens.parse(text, 7)


@pytest.mark.parametrize(
    ("clock", "progress"),
    [
        (tokens.LATEST, Progress(7, 0)),
        (0, Progress(7, -1)),
        (0, Progress(7, tokens.LATEST)),
        (0, Progress(7, 0, "x", -2)),
        (0, Progress(7, 0, "x", tokens.LATEST)),
        (0, Progress(7, 0, "x", 2**60)),
    ],
)
def test_a_forged_token_with_times_that_do_not_exist_is_damaged(clock, progress):
    text = (tokens.places({0: Place(1, clock)}) + tokens.rest(progress)).decode()
    with pytest.raises(BadToken, match="damaged"):
        tokens.parse(text, 7)
