"""Numbers in text of others, whatever their length and script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskcast.core.numbers import BEYOND, finite_number, shortened, signed_number, whole_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("007", 7), ("9" * 18, 10**18 - 1), ("1" + "0" * 18, BEYOND),
        ("9" * 5000, BEYOND), ("0" * 5000 + "12", 12),
        ("", None), ("-1", None), ("1_0", None), (" 1", None), ("²", None), ("١٢", None),
    ],
)  # fmt: skip
def test_whole_numbers(text, value):
    assert whole_number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("-12", -12), ("+3", 3), ("-" + "9" * 5000, -BEYOND), ("-", None), ("", None), ("--1", None)],
)
def test_signed_numbers(text, value):
    assert signed_number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), (" -0.5 ", -0.5), (".5", 0.5), ("5.", 5), ("4e1", 40), ("1E-3", 0.001),
        ("1e999", None), ("9" * 5000, None), ("nan", None), ("inf", None), ("1_0", None),
        ("", None), (".", None), ("1e", None), ("1,5", None), ("1e" + "9" * 5000, None),
    ],
)  # fmt: skip
def test_finite_numbers(text, value):
    assert finite_number(text) == value


@given(number=st.integers(-(10**18) + 1, 10**18 - 1))
def test_a_number_is_read_as_it_is_written(number):
    assert signed_number(str(number)) == number
    assert finite_number(str(number)) == float(number)


def test_a_long_value_is_shortened_and_a_short_one_is_not():
    assert shortened("a" * 40) == "a" * 40
    assert shortened("a" * 41) == "a" * 39 + "…"
    assert shortened(12) == "12"
    assert shortened("a\x1b[31m\nb\ud800") == "a?[31m?b?"
