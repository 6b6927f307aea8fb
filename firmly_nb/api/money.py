"""Money as the API sends it, held exactly, in minor units.

firmly-api.md, section 6.3: ``{currency, value, number?, symbol?}``, where ``number`` is the value
in minor units and is missing at times.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

# ISO 4217 exponents that are not 2. A currency that is not listed has two decimals.
NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
FOUR_DECIMALS = "CLF UYW"
MINOR_DIGITS = {
    **dict.fromkeys(NO_DECIMALS.split(), 0),
    **dict.fromkeys(THREE_DECIMALS.split(), 3),
    **dict.fromkeys(FOUR_DECIMALS.split(), 4),
}
MAX_DIGITS = 30  # more than any table holds, few enough to compute with
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CAD": "CA$", "KWD": "KD"}


def minor_digits(currency: str) -> int:
    """How many decimals a currency has (ISO 4217).

    Examples
    --------
    >>> minor_digits("USD"), minor_digits("JPY"), minor_digits("KWD")
    (2, 0, 3)
    """
    return MINOR_DIGITS.get(currency.upper(), 2)


def to_minor(value: Decimal | float | str, currency: str) -> int:
    """Turn a decimal amount into minor units, exactly.

    A float is read by its shortest decimal form, so that 46.99 is 4699 and not 4698.

    Raises
    ------
    ValueError
        If the amount is no finite number.

    Examples
    --------
    >>> to_minor(46.99, "USD"), to_minor("1250", "JPY"), to_minor(1.005, "KWD")
    (4699, 1250, 1005)
    """
    try:
        amount = Decimal(str(value)).scaleb(minor_digits(currency))
        # Bounded: an exponent of a billion would fill the memory with zeros.
        return int(amount.quantize(Decimal(1), ROUND_HALF_EVEN, Context(prec=MAX_DIGITS)))
    except (ArithmeticError, ValueError):
        raise ValueError(f"{value!r} is no amount of money in {currency}") from None


def from_minor(minor: int, currency: str) -> Decimal:
    """Turn minor units into a decimal amount, exactly.

    Examples
    --------
    >>> from_minor(4699, "USD")
    Decimal('46.99')
    """
    return Decimal(minor).scaleb(-minor_digits(currency))


def format_minor(minor: int, currency: str) -> str:
    """Write an amount as a person reads it, without the currency.

    Examples
    --------
    >>> format_minor(123456, "USD"), format_minor(1250, "JPY")
    ('1,234.56', '1,250')
    """
    return f"{from_minor(minor, currency):,.{minor_digits(currency)}f}"


class Money(BaseModel):
    """A money object of the API (firmly-api.md, section 6.3).

    Examples
    --------
    >>> Money(currency="USD", value=46.99).minor
    4699
    >>> Money.of(4699, "USD").model_dump(mode="json")
    {'currency': 'USD', 'value': 46.99, 'number': 4699, 'symbol': '$'}
    """

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    currency: str
    value: float
    number: int | None = None
    symbol: str | None = None

    @property
    def minor(self) -> int:
        """The amount in minor units: ``number`` where the API sent it, else from ``value``."""
        return self.number if self.number is not None else to_minor(self.value, self.currency)

    @classmethod
    def of(cls, minor: int, currency: str) -> Self:
        """Make the money object for an amount in minor units."""
        value = float(from_minor(minor, currency))
        return cls(
            currency=currency, value=value, number=minor, symbol=SYMBOLS.get(currency, currency)
        )

    def wire(self) -> dict[str, Any]:
        """Return the object as the API writes it."""
        return self.model_dump(mode="json", exclude_none=True)
