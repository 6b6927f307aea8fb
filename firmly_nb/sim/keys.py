"""The keys of the card service, what they open, and device tokens.

Nothing of a card number is kept but its first six and last four digits, as the documented
``payment_summary`` shows them. Guessed: the key size (2048, from firmly's own mock), and that the
key before the present one still opens cards, because orders are under way when a key rotates.
Tokens are signed JWTs with the claims of firmly's sample; their key never leaves the process, so
tokens of an earlier simulator are not valid.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from jwcrypto import jwe, jwk, jws
from jwcrypto.common import JWException

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
    """The part of a card that an order shows."""

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
        """Return ``payment_summary`` as an order has it."""
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
        ``ErrorInvalidInputBody``, naming the mistake, never a value.

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
        raise invalid("encrypted_card: number is not a card number")
    if not re.fullmatch("[0-9]{4}" if brand == "American Express" else "[0-9]{3}", cvv):
        raise invalid("encrypted_card: verification_value has the wrong length")
    month, year = _expiry(fields["month"], fields["year"])
    refusal = DECLINED.get(number)
    return PaymentSummary(fields["name"], number[:6], number[-4:], month, year, brand, refusal)


def _fields(plaintext: bytes, lenient: bool) -> dict[str, str]:
    try:
        fields = orjson.loads(plaintext)
    except orjson.JSONDecodeError:
        raise invalid("encrypted_card: the plaintext is not JSON") from None
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
    """Return whether a number's check digit is right.

    Examples
    --------
    >>> passes_luhn("4111111111111111"), passes_luhn("4111111111111112")
    (True, False)
    """
    digits = [int(digit) for digit in reversed(number)]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


ALGORITHM = "RSA-OAEP-256"
ENCRYPTION = "A256GCM"
COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
LONGEST_JWE = 8_192


def make_key(use: str) -> jwk.JWK:
    """Make an RSA key pair with an id of its own to ``decrypt`` or to ``sign``."""
    purpose = {"decrypt": "enc", "sign": "sig"}[use]
    key = jwk.JWK.generate(kty="RSA", size=2048, kid=secrets.token_hex(8), use=purpose)
    # The first use of a private key checks it, for 30 ms and more. This one was made here.
    key.unsafe_skip_rsa_key_validation = True
    key.get_op_key(use)
    return key


async def made(key: Future[jwk.JWK]) -> None:
    """Wait for a key, so that its first use holds up nobody.

    What is done with a key takes 0.3 ms. A thread for that would make one order in ten wait for
    5 ms, on a busy machine: so long may another thread keep the interpreter.
    """
    if not key.done():
        await asyncio.to_thread(key.result)


class KeyRing:
    """The present key pair and the one before it; made in a thread, so that starting is quick."""

    def __init__(self) -> None:
        self._maker = ThreadPoolExecutor(1, "firmly-sim-keys")
        self._present: Future[jwk.JWK] = self._maker.submit(make_key, "decrypt")
        self._previous: jwk.JWK | None = None

    @property
    def present(self) -> jwk.JWK:
        """The key that clients are given."""
        return self._present.result()

    async def made(self) -> None:
        """Wait until the present key has been made."""
        await made(self._present)

    def rotate(self) -> str:
        """Put a new key in place of the present one, and return its id."""
        self._previous = self.present
        self._present = self._maker.submit(make_key, "decrypt")
        return str(self.present["kid"])

    def find(self, kid: str | None) -> jwk.JWK | None:
        """Return the key of an id; without one, the present key (one known client may omit it)."""
        known = [self.present, *([self._previous] if self._previous else [])]
        return next((key for key in known if kid is None or key["kid"] == kid), None)

    def close(self) -> None:
        """End the thread."""
        self._maker.shutdown(wait=False, cancel_futures=True)


def public_jwk(key: jwk.JWK) -> dict[str, Any]:
    """Return the public half as the documented JWK members."""
    members = orjson.loads(key.export_public())
    return {name: members[name] for name in ("kid", "kty", "n", "e", "use")}


def public_pem(key: jwk.JWK, form: str) -> bytes:
    """Return the public half as ``PEM`` (SubjectPublicKeyInfo), or ``RSA`` (PKCS#1)."""
    public = load_pem_public_key(key.export_to_pem())
    kind = PublicFormat.PKCS1 if form == "RSA" else PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(Encoding.PEM, kind)


def open_jwe(compact: Any, ring: KeyRing) -> bytes:
    """Decrypt a compact JWE, strictly: RSA-OAEP-256, A256GCM, a known key, nothing else.

    Raises
    ------
    ApiError
        ``ErrorInvalidInputBody`` with the mistake, and nothing of the content.
    """
    header = _protected_header(compact)
    if header.get("alg") != ALGORITHM or header.get("enc") != ENCRYPTION:
        raise invalid(f"encrypted_card: alg must be {ALGORITHM} and enc {ENCRYPTION}")
    if not header.keys() <= {"alg", "enc", "kid", "typ", "cty"}:
        raise invalid("encrypted_card: the protected header must be alg, enc and kid")
    key = ring.find(header.get("kid"))
    if key is None:
        raise invalid("encrypted_card: unknown key id; fetch the public key again")
    token = jwe.JWE(algs=[ALGORITHM, ENCRYPTION])
    try:
        token.deserialize(compact, key)
    except (JWException, ValueError, TypeError):
        raise invalid("encrypted_card: cannot be decrypted") from None
    return bytes(token.payload)


def _protected_header(compact: Any) -> dict[str, Any]:
    if not isinstance(compact, str) or len(compact) > LONGEST_JWE:
        raise invalid("encrypted_card: must be a compact JWE")
    if not COMPACT.fullmatch(compact):
        raise invalid("encrypted_card: must be a compact JWE of five parts")
    try:
        header = orjson.loads(decode_part(compact.partition(".")[0]))
    except ValueError:
        raise invalid("encrypted_card: the protected header cannot be read") from None
    if not isinstance(header, dict) or not isinstance(header.get("kid", ""), str):
        raise invalid("encrypted_card: the protected header must be an object with a text as kid")
    return header


def decode_part(part: str) -> bytes:
    """Decode base64url without padding.

    Examples
    --------
    >>> decode_part("eyJhIjoxfQ")
    b'{"a":1}'
    """
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


RENEWABLE_S = 7 * 24 * 3600
SIGNATURE = "RS256"
HEADER = {"alg": SIGNATURE, "typ": "JWT"}
LONGEST_TOKEN = 4_096


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of a token."""

    device_id: str
    app_id: str
    issued_at: int
    expires: int


class Tokens:
    """The maker and reader of device tokens."""

    def __init__(self, app_id: str) -> None:
        self.app_id = app_id
        self.revoke()

    def revoke(self) -> None:
        """Refuse every token from now on, also to renew it: the next ones have another key."""
        maker = ThreadPoolExecutor(1, "firmly-sim-token-key")
        self._key: Future[jwk.JWK] = maker.submit(make_key, "sign")
        maker.shutdown(wait=False)

    async def made(self) -> None:
        """Wait until the key has been made."""
        await made(self._key)

    def issue(self, device_id: str, lifetime_s: int) -> tuple[str, Claims]:
        """Sign a token for a device; a lifetime below zero makes one that has expired."""
        now = int(time.time())
        claims = Claims(device_id, self.app_id, now, now + lifetime_s)
        body = {"device_id": device_id, "app_id": self.app_id, "exp": claims.expires, "iat": now}
        token = jws.JWS(orjson.dumps(body))
        token.add_signature(self._key.result(), None, orjson.dumps(HEADER).decode())
        return token.serialize(compact=True), claims

    def read(self, token: str) -> Claims:
        """Check a token's signature and return its claims, expired or not.

        Raises
        ------
        ApiError
            ``InvalidJWTToken``.
        """
        if len(token) > LONGEST_TOKEN or token.count(".") != 2:
            raise _bad_token()
        signed = jws.JWS()
        signed.allowed_algs = [SIGNATURE]
        try:
            signed.deserialize(token, self._key.result())
        except (JWException, ValueError, TypeError):
            raise _bad_token() from None
        body = orjson.loads(signed.payload)
        return Claims(body["device_id"], body["app_id"], body["iat"], body["exp"])

    def check(self, header: str | None) -> Claims:
        """Check the value of ``x-firmly-authorization``: the raw token, or ``Bearer <token>``.

        Raises
        ------
        ApiError
            ``MissingAuthHeader``, ``InvalidJWTToken`` or ``TokenExpired``.
        """
        if not header or not header.strip():
            raise ApiError("MissingAuthHeader", "header x-firmly-authorization is missing")
        first, *others = header.split()
        claims = self.read(others[-1] if others and first.lower() == "bearer" else header.strip())
        if claims.expires <= time.time():
            raise ApiError("TokenExpired", "the device token has expired; renew the session")
        return claims

    def renew(self, token: Any) -> str:
        """Return the device of a token that is valid, or expired for at most a week.

        Raises
        ------
        ApiError
            ``InvalidJWTToken`` or ``TokenExpired``.
        """
        if not isinstance(token, str):
            raise _bad_token()
        claims = self.read(token)
        if claims.expires + RENEWABLE_S < time.time():
            raise ApiError("TokenExpired", "the token expired more than a week ago")
        return claims.device_id


def _bad_token() -> ApiError:
    return ApiError("InvalidJWTToken", "the device token is not valid")
