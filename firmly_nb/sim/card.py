"""What is in an opened card, and whether it can be charged.

firmly-api.md, section 3.3. Nothing of a number is kept but its first six and last four digits, as
the documented ``payment_summary`` shows them.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import orjson

from firmly_nb.sim.answers import ApiError, invalid

KEYS = frozenset({"number", "name", "verification_value", "month", "year"})
LENIENT_KEYS = frozenset({"number", "exp_month", "exp_year", "verification_value"})
# Test numbers published by payment processors, and what they provoke.
DECLINED = {
    "4000000000000002": "the card was declined",
    "4000000000009995": "the card has insufficient funds",
}
BRANDS = (
    ("Visa", r"4\d{12}(\d{3}){0,2}"),
    ("MasterCard", r"(5[1-5]|2[2-7])\d{14}"),
    ("American Express", r"3[47]\d{13}"),
    ("Discover", r"6(011|5\d\d|4[4-9]\d)\d{12}"),
    ("JCB", r"35\d{14}"),
    ("Diners Club", r"3(0[0-5]|[68]\d)\d{11}"),
)


@dataclass(frozen=True, slots=True)
class PaymentSummary:
    """What an order says of the card that paid for it."""

    name: str
    first_six: str
    last_four: str
    month: int
    year: int
    brand: str
    refusal: str | None

    def charge(self) -> None:
        """Charge the card.

        Raises
        ------
        ApiError
            ``ErrorPaymentDeclined``, for the numbers that are known to be declined.
        """
        if self.refusal:
            raise ApiError("ErrorPaymentDeclined", self.refusal)

    def wire(self) -> dict[str, Any]:
        """Return ``payment_summary`` as section 6.7 has it."""
        return {
            "payment_type": "CreditCard",
            "card_holder_name": self.name,
            "bin": self.first_six,
            "last_four": self.last_four,
            "month": self.month,
            "year": self.year,
            "card_type": self.brand,
        }


def read_card(plaintext: bytes, lenient: bool = False) -> PaymentSummary:
    """Check the plaintext of an encrypted card.

    Raises
    ------
    ApiError
        ``ErrorInvalidInputBody``, naming what is wrong, never a value.

    Examples
    --------
    >>> card = {"number": "4111111111111111", "name": "Ada", "verification_value": "123",
    ...         "month": "12", "year": "2099"}
    >>> read_card(orjson.dumps(card)).wire()["card_type"]
    'Visa'
    """
    fields = _fields(plaintext, lenient)
    number, cvv = fields["number"], fields["verification_value"]
    brand = _brand(number)
    if not re.fullmatch(r"[0-9]{12,19}", number) or not passes_luhn(number):
        raise invalid("encrypted_card: number is no card number")
    if not re.fullmatch("[0-9]{4}" if brand == "American Express" else "[0-9]{3}", cvv):
        raise invalid("encrypted_card: verification_value has the wrong length")
    month, year = _expiry(fields["month"], fields["year"])
    refusal = DECLINED.get(number)
    return PaymentSummary(fields["name"], number[:6], number[-4:], month, year, brand, refusal)


def _fields(plaintext: bytes, lenient: bool) -> dict[str, str]:
    try:
        fields = orjson.loads(plaintext)
    except orjson.JSONDecodeError:
        raise invalid("encrypted_card: the plaintext is no JSON") from None
    if lenient and isinstance(fields, dict) and fields.keys() == LENIENT_KEYS:
        fields["month"], fields["year"] = fields.pop("exp_month"), fields.pop("exp_year")
        fields["name"] = "-"
        if isinstance(fields["year"], str) and len(fields["year"]) == 2:
            fields["year"] = "20" + fields["year"]
    if not isinstance(fields, dict) or fields.keys() != KEYS:
        raise invalid(f"encrypted_card: the plaintext's keys must be {', '.join(sorted(KEYS))}")
    for name, value in fields.items():
        if not isinstance(value, str) or not value.strip():
            raise invalid(f"encrypted_card: {name} must be a non-empty string")
    return fields


def _expiry(month: str, year: str) -> tuple[int, int]:
    if not re.fullmatch(r"0[1-9]|1[0-2]", month):
        raise invalid("encrypted_card: month must be two digits, 01 to 12")
    if not re.fullmatch("[0-9]{4}", year):
        raise invalid("encrypted_card: year must be four digits")
    now = time.gmtime()
    if (int(year), int(month)) < (now.tm_year, now.tm_mon):
        raise invalid("encrypted_card: the card has expired")
    return int(month), int(year)


def _brand(number: str) -> str:
    return next((name for name, form in BRANDS if re.fullmatch(form, number)), "Unknown")


def passes_luhn(number: str) -> bool:
    """Whether a number's check digit is right.

    Examples
    --------
    >>> passes_luhn("4111111111111111"), passes_luhn("4111111111111112")
    (True, False)
    """
    digits = [int(digit) for digit in reversed(number)]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
