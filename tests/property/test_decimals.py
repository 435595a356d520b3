"""The decimal columns against decimal.Decimal."""

from decimal import Context, Decimal, Inexact
from fractions import Fraction

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from k2stream.model import decimals
from k2stream.model.trade import SCALE, Decimals

LIMIT = 10**38
WIDE = Context(prec=200, traps=[Inexact])

plain = st.builds(
    lambda whole, fraction, places: f"{whole}.{fraction:0{places}d}" if places else str(whole),
    st.integers(0, 10**21),
    st.integers(0, 10**20),
    st.integers(0, 22),
)
ODD = (
    *(
        "",
        ".",
        " 1",
        "1 ",
        "1\n",
        "\x001",
        "+1",
        "-0",
        "--1",
        "5.",
        ".5",
        "1.2.3",
        "00012.50",
        "1.0" + "0" * 30,
    ),
    *("1e-8", "1E+3", "1e", "0e999999999999", "1e999999999999999999999", "1e-99999999999999999999"),
    *("nan", "inf", "1_000", "1,2", "١٢", "²", "0x10", "99999999999999999999", "100000000000000000000"),
)
odd = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=6),
    st.decimals(allow_nan=False, allow_infinity=False, places=9).map(str),
)
mantissas = st.one_of(
    st.integers(-LIMIT + 1, LIMIT - 1),
    st.integers(0, 2**63 - 1),
    st.integers(0, 10**12).map(lambda n: n * 10**10),
)


def expected(text: str) -> int | str:
    """The rule, by decimal.Decimal: ASCII, none of its extras (spaces, underscores, nan, infinity)."""
    if not text.isascii() or set(text) - set("0123456789.eE+-"):
        return decimals.NOT_A_NUMBER
    try:
        value = Decimal(text)
    except ArithmeticError:
        mantissa, _, exponent = text.lower().partition("e")
        if exponent and Decimal(mantissa).is_finite():  # well-formed, but beyond what Decimal can hold
            beyond = (
                decimals.TOO_MANY_FRACTION_DIGITS if "-" in exponent else decimals.TOO_MANY_INTEGER_DIGITS
            )
            return beyond if Decimal(mantissa) else 0
        return decimals.NOT_A_NUMBER
    if value == 0:
        return 0
    if value.adjusted() >= 20:
        return decimals.TOO_MANY_INTEGER_DIGITS
    normal = value.normalize(WIDE)
    if int(normal.as_tuple().exponent) < -SCALE:
        return decimals.TOO_MANY_FRACTION_DIGITS
    return int(Fraction(normal) * 10**SCALE)


@settings(deadline=None)
@given(st.lists(plain | odd, max_size=12))
@example(["1e-8"])
@example(["5."])
@example([""])
@example(["1", "", "2.5"])
@example(["1.5,", "2"])
@example(["12.", "3.4"])
@example(["1..2", "3"])
@example(["1.2.", "33", "4.5"])
@example(["9223372036854775807", "-9223372036854775808"])
def test_parse_is_decimal(strings):
    values, bad = decimals.parse(strings)
    ints = decimals.to_ints(values)
    assert len(ints) == len(strings)
    for index, text in enumerate(strings):
        want = expected(text)
        if isinstance(want, str):
            assert bad[index] == want and ints[index] == 0
        else:
            assert index not in bad and ints[index] == want


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,8})?", fullmatch=True), min_size=1, max_size=50))
def test_usual_numbers_are_int64(strings):
    values, bad = decimals.parse(strings)
    assert not bad and values.mantissa.dtype == np.int64
    assert decimals.to_decimals(values) == [Decimal(text) for text in strings]


def test_a_long_number_and_an_absurd_exponent_cost_nothing():
    values, bad = decimals.parse(
        ["0" * 100_000 + "1." + "0" * 100_000, "1e" + "9" * 5000, "1e-" + "9" * 5000]
    )
    assert decimals.to_ints(values) == [10**SCALE, 0, 0]
    assert bad == {1: "more than 20 integer digits", 2: "more than 18 fraction digits"}


@settings(deadline=None)
@given(st.lists(mantissas, min_size=1, max_size=30))
def test_fixed16_both_ways(ints):
    values = decimals.of_ints(ints, SCALE)
    rows = decimals.to_fixed16(values)
    assert [bytes(row) for row in rows] == [value.to_bytes(16, "big", signed=True) for value in ints]
    back = decimals.from_fixed16(rows)
    assert decimals.to_ints(back) == ints
    small = all(value % 10**10 == 0 and abs(value) // 10**10 < 2**63 for value in ints)
    assert not small or (back.scale == 8 and back.mantissa.dtype == np.int64)


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=30), st.integers(0, SCALE))
def test_int64_to_fixed16_at_every_scale(ints, scale):
    bounded = [value for value in ints if abs(value) * 10 ** (SCALE - scale) < 2**127] or [0]
    rows = decimals.to_fixed16(Decimals(np.array(bounded, np.int64), scale))
    want = [(value * 10 ** (SCALE - scale)).to_bytes(16, "big", signed=True) for value in bounded]
    assert [bytes(row) for row in rows] == want


@settings(deadline=None)
@given(st.lists(mantissas, min_size=1, max_size=20))
def test_strings_are_plain_and_exact(ints):
    strings = decimals.to_strings(decimals.of_ints(ints, SCALE))
    assert [int(Fraction(text) * 10**SCALE) for text in strings] == ints
    assert not any("e" in text.lower() for text in strings)
    assert decimals.to_strings(decimals.of_ints([2, 83285 * 10**8, 0, 1200 * 10**8], 8)) == [
        "0.00000002",
        "83285",
        "0",
        "1200",
    ]


int64s = st.one_of(st.integers(-(2**63) + 1, 2**63 - 1), st.integers(0, 2**32 + 5), st.just(2**63 - 1))


@settings(deadline=None)
@given(st.lists(st.tuples(int64s, int64s), min_size=1, max_size=40), st.data())
def test_group_sums(pairs, data):
    starts = sorted({0, *data.draw(st.lists(st.integers(0, len(pairs) - 1), max_size=5))})
    a = Decimals(np.array([x for x, _ in pairs], np.int64), 8)
    b = Decimals(np.array([y for _, y in pairs], np.int64), 10)
    ends = [*starts[1:], len(pairs)]
    index = np.array(starts)
    groups = [pairs[i:j] for i, j in zip(starts, ends, strict=True)]
    assert decimals.sums(a, index) == [sum(x for x, _ in group) * 10**10 for group in groups]
    products = [sum(x * y for x, y in group) * 10**18 for group in groups]
    assert decimals.sum_products(a, b, index) == products
    wide = Decimals(a.mantissa.astype(object), 8)
    assert decimals.sum_products(wide, b, index) == products
    assert decimals.sums(wide, index) == decimals.sums(a, index)
