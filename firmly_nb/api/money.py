"""Money as merchants send it, held exactly, in minor units.

This is the only place that reads an amount. Tables, checks, the catalogue and budgets ask here, so
all of them read the same from the same bytes.

The API sends ``{"currency": "USD", "value": 46.99, "number": 4699, "symbol": "$"}``. ``number`` is
the value in minor units; it and ``symbol`` are missing at times. An amount that cannot be told
from what was sent is not read: null, never a guess.

=========================================  =====================================================
sent                                       read
=========================================  =====================================================
``number`` and ``value``                   ``number``, if they say the same: ``value`` is at most
                                           half a minor unit off, or as near as a float can be
``number`` and ``value`` that contradict   null; so is an amount of which one cannot be read
``number`` alone                           ``number``
``value`` alone                            ``value``, rounded half to even where it has more
                                           decimals than the currency
neither, or null                           null
text such as ``"12.50"``, ``"4699"``       as the number that it writes; ``"12,50"``, ``"$12"``
                                           and ``"1_000"`` are no numbers
``number`` with decimals, such as 46.99    null; ``4699.0`` is whole
negative                                   as it is
truth value, NaN, infinite, list, object   null
beyond an int64 in minor units             null
``value`` as a float beyond 2**52 minor    null: a float does not hold every cent there; with
units                                      ``number`` beside it, ``number``
no ``currency``, or one that is no text    null, though ``number`` is there: yen are not cents
``currency`` ``" usd "``                   ``USD``
other currencies                           their ISO 4217 decimals (JPY 0, KWD 3)
currency that is not in ISO 4217           in hundredths, since nobody defines its minor units: as
                                           ``value`` says, or ``number`` alone; finer: null;
                                           ``number`` beside it may have any power of ten
``symbol``                                 is not looked at: ``$`` is many currencies
bare number, text, list, truth value       null: neither unit nor currency is known
=========================================  =====================================================
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from itertools import repeat
from operator import mul, truediv
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.api.values import INT64_MAX, all_whole, plain_text, whole_number
from firmly_nb.display.messages import coded_error, quoted, tells_names
from firmly_nb.display.text import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# ISO 4217: the decimals of each currency.
NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
FOUR_DECIMALS = "CLF UYW"
TWO_DECIMALS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP "
    "GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT "
    "LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO "
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS "
    "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD "
    "XCG YER ZAR ZMW ZWG ZWL"
)
MINOR_DIGITS = {
    **dict.fromkeys(TWO_DECIMALS.split(), 2),
    **dict.fromkeys(NO_DECIMALS.split(), 0),
    **dict.fromkeys(THREE_DECIMALS.split(), 3),
    **dict.fromkeys(FOUR_DECIMALS.split(), 4),
}
SCALES: dict[str, int] = {currency: 10**digits for currency, digits in MINOR_DIGITS.items()}
MAX_DIGITS = 30  # more than any table holds, few enough to compute with
SHORT = 40  # characters; a longer text is no amount, and is not worth remembering
HALF = Decimal("0.5")
FLOAT_NOISE = Decimal("1e-6")  # of a minor unit, as sums of floats have it
# Up to here floats lie closer to one another than minor units do, so that none stands for two.
MOST_IN_A_FLOAT = 2**52
_CODE = re.compile(r"[A-Za-z]{3}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_WIDE = Context(prec=100)  # compares what a double or a short text says without rounding it
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CAD": "CA$", "KWD": "KD"}


def minor_digits(currency: str) -> int:
    """Return the number of decimals of a currency (ISO 4217), 2 of one that is not listed.

    Examples
    --------
    >>> [minor_digits(currency) for currency in ("USD", "JPY", "KWD", "POINTS")]
    [2, 0, 3, 2]
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
        exact = Decimal(str(value)).scaleb(minor_digits(currency), _WIDE)
        # Bounded: an exponent of a billion would fill the memory with zeros.
        return int(exact.quantize(Decimal(1), ROUND_HALF_EVEN, Context(prec=MAX_DIGITS)))
    except (ArithmeticError, ValueError):
        text = f"{quoted(value)} is not an amount in {currency}. Pass a number, like 46.99."
        raise coded_error(ValueError, "FNB108", text) from None


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

    Of a currency that is not listed it has the decimals that were sent, and no others.

    Examples
    --------
    >>> format_minor(4699, "USD"), format_minor(125, "JPY"), format_minor(125, "KWD")
    ('46.99', '125', '0.125')
    >>> format_minor(50_000, "POINTS"), format_minor(150, "POINTS")
    ('500', '1.5')
    """
    value, digits = from_minor(minor, currency), minor_digits(currency)
    if currency.upper() not in MINOR_DIGITS:
        digits -= next(n for n in (2, 1, 0) if minor % 10**n == 0)
    return amount(value, digits)


def money_text(minor: int, currency: str) -> str:
    """Write an amount with its currency.

    Examples
    --------
    >>> money_text(50_000, "USD")
    '500.00 USD'
    """
    return f"{format_minor(minor, currency)} {currency}"


@tells_names
class Money(NamedTuple):
    """Amount in whole minor units, with its currency.

    Examples
    --------
    >>> Money(4699, "USD").wire()
    {'currency': 'USD', 'value': 46.99, 'number': 4699, 'symbol': '$'}
    """

    minor: int
    currency: str

    def wire(self) -> dict[str, Any]:
        """Return the amount as the API writes it."""
        currency = self.currency
        return {
            "currency": currency,
            "value": float(from_minor(self.minor, currency)),
            "number": self.minor,
            "symbol": SYMBOLS.get(currency, currency),
        }


def read_money(sent: object) -> Money | None:
    """Read an amount by the rules above; None where it cannot be told.

    Examples
    --------
    >>> read_money({"currency": "USD", "value": 46.99})
    Money(minor=4699, currency='USD')
    >>> read_money({"currency": "KWD", "value": "1.005", "number": 1005})
    Money(minor=1005, currency='KWD')
    >>> read_money({"currency": "USD", "value": 46.99, "number": 4700}) is None
    True
    """
    if not isinstance(sent, dict):
        return None
    currency = currency_code(sent.get("currency"))
    if currency is None:
        return None
    minor = _minor(sent.get("number"), sent.get("value"), currency)
    return None if minor is None else Money(minor, currency)


def read_amounts(
    currencies: Sequence[object], numbers: Sequence[object], values: Sequence[object]
) -> tuple[list[int | None], list[str | None]]:
    """Read many amounts, laid out in columns, as `read_money` reads each.

    Good columns are tested and read as a whole, which takes a tenth of the time.

    Returns
    -------
    tuple of list
        The minor units, and the currencies of those that were read; None where not.

    Examples
    --------
    >>> read_amounts(["USD", "JPY", "USD"], [4699, None, 1], [46.99, 1250, 2])
    ([4699, 1250, None], ['USD', 'JPY', None])
    """
    codes: list[str | None]
    scales: Iterable[int]
    listed = False
    first = currencies[0] if currencies else None
    if type(first) is str and currencies.count(first) == len(currencies):
        code = currency_code(first)
        codes, scales = [code] * len(currencies), repeat(_scale(code or ""))
        listed = code in SCALES
    elif set(map(type, currencies)) <= {str}:
        known: dict[Any, str | None] = {said: currency_code(said) for said in set(currencies)}
        codes = [known[said] for said in currencies]
        steps = {code: _scale(code or "") for code in known.values()}
        scales = [steps[code] for code in codes]
        listed = steps.keys() <= SCALES.keys()
    else:
        codes, scales = [currency_code(said) for said in currencies], ()
    amounts = _read_whole_columns(scales, numbers, values) if listed else None
    if amounts is not None:
        return amounts, codes
    each = zip(numbers, values, codes, strict=True)
    amounts = [
        None if code is None else _minor(number, value, code) for number, value, code in each
    ]
    if None in amounts:
        codes = [None if a is None else code for a, code in zip(amounts, codes, strict=True)]
    return amounts, codes


def contradicts(sent: object) -> bool:
    """Tell whether an amount has a ``number`` and a ``value`` that do not say the same.

    Examples
    --------
    >>> contradicts({"currency": "USD", "value": 46.99, "number": 4700})
    True
    >>> contradicts({"currency": "USD", "value": 46.99, "number": None})
    False
    """
    if not isinstance(sent, dict):
        return False
    number, value = sent.get("number"), sent.get("value")
    currency = currency_code(sent.get("currency"))
    if number is None or value is None or currency is None:
        return False
    return not _says_same(whole_number(number), value, currency)


def currency_code(sent: object) -> str | None:
    """Read a currency: three letters in upper case, any other text as it is; None for no text.

    Examples
    --------
    >>> currency_code(" usd "), currency_code("US$"), currency_code(" "), currency_code(840)
    ('USD', 'US$', None, None)
    """
    if not isinstance(sent, str):
        return None
    return _code(sent) if len(sent) <= SHORT else plain_text(sent.strip()) or None


@lru_cache(maxsize=1_000)
def _code(sent: str) -> str | None:
    text = sent.strip()
    return text.upper() if _CODE.fullmatch(text) else plain_text(text) or None


def _scale(code: str) -> int:
    """Return how many minor units make one of a currency."""
    return SCALES.get(code, 100)


def _read_whole_columns(
    scales: Iterable[int], numbers: Sequence[Any], values: Sequence[Any]
) -> list[int | None] | None:
    """Read columns in which every amount is as it should be; None where one may not be.

    A float is the nearest one to an amount exactly if the amount, divided, gives that float.
    """
    kinds = set(map(type, values))
    if not kinds <= {int, float}:
        if kinds != {NoneType}:
            return None
        return list(numbers) if all_whole(numbers) else None
    if all_whole(numbers):
        amounts = list(numbers)
    elif set(map(type, numbers)) == {NoneType}:
        try:
            amounts = list(map(round, map(mul, values, scales)))
        except (OverflowError, ValueError):  # infinite; not a number
            return None
        if not -MOST_IN_A_FLOAT <= min(amounts) <= max(amounts) <= MOST_IN_A_FLOAT:
            return None
    else:
        return None
    return amounts if list(map(truediv, amounts, scales)) == values else None


def _minor(number: object, value: object, currency: str) -> int | None:
    if currency not in SCALES:
        return _unlisted(number, value, currency)
    if number is None:
        return None if value is None else _value_in_minor(value, currency)
    whole = whole_number(number)
    return whole if value is None or _says_same(whole, value, currency) else None


def _unlisted(number: object, value: object, currency: str) -> int | None:
    whole = whole_number(number)
    if number is not None and (
        whole is None or not (value is None or _says_same(whole, value, currency))
    ):
        return None
    given = whole if value is None else value
    minor, exact = _value_in_minor(given, currency), _exactly(given)
    if minor is None or exact is None:
        return None
    off = _WIDE.subtract(_WIDE.multiply(exact, _scale(currency)), minor)
    return minor if abs(off) <= FLOAT_NOISE else None


def _says_same(whole: int | None, value: object, currency: str) -> bool:
    if whole is None:
        return False
    scale = _scale(currency)
    if type(value) is float and whole / scale == value:
        return True
    exact = _exactly(value)
    if exact is None:
        return False
    if currency not in SCALES:
        # How many minor units make one is not known: some power of ten.
        one, other = Decimal(whole).normalize(_WIDE), exact.normalize(_WIDE)
        return one.as_tuple()[:2] == other.as_tuple()[:2] and one.adjusted() >= other.adjusted()
    off = _WIDE.subtract(_WIDE.multiply(exact, scale), whole)
    return bool(-HALF <= off <= HALF)


def _value_in_minor(value: object, currency: str) -> int | None:
    if type(value) is float and -1e16 < value < 1e16:
        scale = _scale(currency)
        minor = round(value * scale)
        if minor / scale == value and abs(minor) <= MOST_IN_A_FLOAT:
            return minor
    exact = _exactly(value)
    # Far too large amounts would take gigabytes to write out; 1e19 is beyond an int64.
    if exact is None or exact.adjusted() > 18:
        return 0 if exact == 0 else None
    minor = to_minor(exact, currency)
    return minor if abs(minor) <= (MOST_IN_A_FLOAT if type(value) is float else INT64_MAX) else None


def _exactly(value: object) -> Decimal | None:
    """Return what a value says, digit by digit; a float by its shortest decimal form."""
    if type(value) is int and value.bit_length() <= 64:
        return Decimal(value)
    if type(value) is float:
        exact = Decimal(repr(value))
        return exact if exact.is_finite() else None
    if isinstance(value, str) and len(value) <= SHORT and _DECIMAL.fullmatch(value.strip()):
        return Decimal(value.strip())
    return None
