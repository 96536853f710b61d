"""Money: whole micros (millionths of a currency unit) for programs, two decimals for people.

Money is never a float. Not here: names of currencies or exchange; a home keeps its books in one
currency, which its first file names (`files.py`).
"""

from decimal import ROUND_HALF_UP, Decimal

MICROS = 1_000_000
LARGEST_MICROS = 10**15  # a thousand million units; far inside the 64 bits of the database


def to_micros(amount: Decimal | int) -> int:
    """Convert an amount in currency units to micros.

    Raises `ValueError` for what is no exact number of micros, not above 0, or too large.

    >>> to_micros(Decimal("0.25"))
    250000
    """
    micros = Decimal(amount) * MICROS
    if (
        not micros.is_finite()
        or micros != micros.to_integral_value()
        or not 0 < micros <= LARGEST_MICROS
    ):
        raise ValueError("must be an amount above 0 with at most six decimals, such as 0.25")
    return int(micros)


def as_currency(micros: int) -> str:
    """Format micros for a person, rounded to two decimals.

    >>> as_currency(1_234_565_000)
    '1,234.57'
    """
    return f"{(Decimal(micros) / MICROS).quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
