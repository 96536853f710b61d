"""Money: integer micros (millionths of a currency unit) inside, two decimals where a person reads
it.

Never a float. Not here: currencies' names or exchange; a home keeps its books in one currency.
"""

from decimal import ROUND_HALF_UP, Decimal

MICROS = 1_000_000
LARGEST_MICROS = 10**15  # a thousand million units; far inside the 64 bits of the database


def to_micros(amount: Decimal | int) -> int:
    """An amount in currency units as micros; raises `ValueError` for what micros cannot hold
    exactly.

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
    """Micros for a person to read.

    >>> as_currency(1_234_565_000)
    '1,234.57'
    """
    return f"{(Decimal(micros) / MICROS).quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
