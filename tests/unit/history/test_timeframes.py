"""Windows of any timeframe and zone: they tile time, and stored windows tile them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.history.timeframes import UnknownTimeframe, timeframe
from k2stream.model.candle import TIMEFRAMES

NAMES = ["3m", "7m", "45m", "2h", "4h", "1d", "3d", "1w", "2w", "1M", "3M", "12M"]
ZONES = [
    *("UTC", "Asia/Tokyo", "America/New_York", "Europe/London", "Asia/Kathmandu"),
    *("Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo"),
]


def at(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def format_utc(ms):
    return (datetime(1970, 1, 1) + timedelta(milliseconds=ms)).isoformat(timespec="minutes")


frames = st.tuples(st.sampled_from(NAMES), st.sampled_from(ZONES)).filter(
    lambda pair: pair[1] == "UTC" or pair[0] != "7m"
)
times = st.integers(at("2010-01-01"), at("2040-01-01"))


@given(frames, times)
def test_windows_tile_time_and_are_whole_numbers_of_stored_ones(named, ms):
    of = timeframe(*named)
    opened = of.opening(ms)
    closed = of.closing(opened)
    assert opened <= ms < closed
    assert of.opening(opened) == opened
    assert of.opening(closed) == closed
    assert of.opening(closed - 1) == opened
    length = TIMEFRAMES[of.base]
    assert opened % length == closed % length == 0
    assert (closed - opened) // length <= of.parts


@given(frames, times, st.integers(0, 10**9))
def test_the_opens_of_a_span_are_those_in_it(named, start, length):
    of = timeframe(*named)
    found = list(of.opens(start, start + length))
    assert all(start <= time < start + length and of.opening(time) == time for time in found)
    assert all(of.closing(one) == other for one, other in pairwise(found))
    assert not found or of.opening(start) in (start, found[0]) or of.closing(of.opening(start)) == found[0]


@pytest.mark.parametrize(
    ("named", "base"),
    [
        (("4h", "UTC"), "1h"),
        (("3m", "UTC"), "1m"),
        (("45m", "UTC"), "15m"),
        (("1w", "UTC"), "1d"),
        (("1M", "UTC"), "1d"),
        (("1d", "Asia/Tokyo"), "1h"),
        (("1d", "Asia/Kolkata"), "30m"),
        (("1w", "Asia/Kathmandu"), "15m"),
        (("60m", "UTC"), "1h"),
    ],
)
def test_the_base_is_the_longest_that_fits(named, base):
    assert timeframe(*named).base == base


def test_days_of_a_zone_follow_its_clocks():
    new_york = timeframe("1d", "America/New_York")
    days = list(new_york.opens(at("2026-10-31T00:00"), at("2026-11-04T00:00")))
    assert list(map(format_utc, days)) == [
        "2026-10-31T04:00", "2026-11-01T04:00", "2026-11-02T05:00", "2026-11-03T05:00",
    ]  # fmt: skip
    assert [(b - a) // 3_600_000 for a, b in pairwise(days)] == [24, 25, 24]
    four = timeframe("4h", "America/New_York")
    opens = list(four.opens(days[1], days[2]))
    assert [four.closing(time) - time for time in opens] == [4 * 3_600_000] * 6 + [3_600_000]


def test_weeks_begin_on_monday_and_months_on_the_first():
    assert format_utc(timeframe("1w").opening(at("2026-11-29T23:59"))) == "2026-11-23T00:00"
    assert format_utc(timeframe("1M").opening(at("2026-11-29T23:59"))) == "2026-11-01T00:00"
    assert format_utc(timeframe("1M").closing(at("2026-12-01"))) == "2027-01-01T00:00"
    assert format_utc(timeframe("3M").opening(at("2026-11-29"))) == "2026-10-01T00:00"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (("0m",), "use a number of minutes"),
        (("1y",), "1m to 44640m"),
        (("99999m",), "1m to 44640m"),
        (("13M",), "1M to 12M"),
        (("1h ",), "is unknown: use"),
        (("1min",), r"'1min' is unknown \(do you mean 1m\?\): use"),
        (("4 hours",), r"do you mean 4h\?"),
        (("1D",), r"do you mean 1d\?"),
        (("3months",), r"do you mean 3M\?"),
        (("99mo",), "is unknown: use"),
        (("1d", "Mars/Olympus"), "use UTC or a name like Asia/Tokyo"),
        (("1d", "../../etc/passwd"), "time zone '../../etc/passwd' is unknown"),
        (("7h", "Asia/Tokyo"), "exists in UTC only"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(named, said):
    with pytest.raises(UnknownTimeframe, match=said):
        timeframe(*named)
