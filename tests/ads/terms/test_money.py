"""Money: exact micros inside, two decimals for people."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.ads.terms.money import LARGEST_MICROS, MICROS, as_currency, to_micros


@given(st.integers(1, LARGEST_MICROS))
def test_every_number_of_micros_comes_back_from_its_amount(micros):
    assert to_micros(Decimal(micros) / MICROS) == micros


@pytest.mark.parametrize("amount", ["0", "-1", "0.0000001", "NaN", "Infinity", "1e30"])
def test_an_amount_that_micros_cannot_hold_is_refused(amount):
    with pytest.raises(ValueError, match="above 0 with at most six decimals"):
        to_micros(Decimal(amount))


def test_money_is_shown_with_two_decimals_rounded_half_up():
    assert [as_currency(m) for m in (0, 4_999, 5_000, 1_234_565_000)] == [
        "0.00",
        "0.00",
        "0.01",
        "1,234.57",
    ]


def test_the_largest_amount_is_a_thousand_million_units():
    assert to_micros(Decimal(1_000_000_000)) == 10**15
    assert to_micros(1) == 1_000_000
    with pytest.raises(ValueError, match="above 0"):
        to_micros(Decimal("1000000000.000001"))
