"""Encryption of a card as a compact JWE, in the process of whoever typed it.

As the API asks for it: ``RSA-OAEP-256`` with ``A256GCM``, protected header exactly ``alg``, ``enc``
and ``kid``, plaintext the five documented keys, all strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.errors import FirmlyError
from firmly_nb.display.messages import tells_names

if TYPE_CHECKING:
    from firmly_nb.api.models import Card


ALGORITHM = "RSA-OAEP-256"
ENCRYPTION = "A256GCM"
MIN_BITS = 2048  # RFC 7518, section 4.3


@tells_names
@dataclass(frozen=True, slots=True)
class PublicKey:
    """Public key for cards: its id and its JWK."""

    kid: str
    jwk: dict[str, Any]


def read_public_key(jwk: Any, header_kid: str | None) -> PublicKey:
    """Check a JWK as the payment key endpoint sends it.

    Parameters
    ----------
    jwk
        The decoded body: ``kid``, ``kty`` "RSA", ``n``, ``e``, ``use`` "enc".
    header_kid
        Response header ``x-firmly-kid``; it wins over the body's ``kid``.

    Raises
    ------
    FirmlyError
        If it is no RSA encryption key, or names another algorithm than ours.

    Examples
    --------
    >>> read_public_key({"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc"}, "k1").kid
    'k1'
    """
    if not isinstance(jwk, dict) or jwk.get("kty") != "RSA" or not (jwk.get("n") and jwk.get("e")):
        raise FirmlyError("UnusableKey", "the payment key endpoint did not send an RSA public key")
    # An optional member that is null says as little as one that is not there.
    if jwk.get("use") not in (None, "enc") or jwk.get("alg") not in (None, ALGORITHM):
        raise FirmlyError("UnusableKey", f"the payment key is not for {ALGORITHM} encryption")
    kid = header_kid or jwk.get("kid")
    if not isinstance(kid, str) or not kid:
        raise FirmlyError("UnusableKey", "the payment key has no key id")
    return PublicKey(kid, {"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})


def encrypt_card(card: Card, key: PublicKey) -> str:
    """Encrypt a card for one request.

    Returns
    -------
    str
        Compact JWE: five base64url parts, a fresh content key each time (RFC 7516).

    Raises
    ------
    FirmlyError
        If nothing can be encrypted with the key, or what is could be read by others.
    """
    from jwcrypto import jwe

    # Before there is a plaintext: a traceback may show the locals of its frames.
    recipient = checked_recipient(key)
    token = jwe.JWE(_plaintext(card), _protected(key.kid))
    token.add_recipient(recipient)
    compact: str = token.serialize(compact=True)
    return compact


def checked_recipient(key: PublicKey) -> Any:
    """Read the key's numbers, and try it on nothing.

    Raises
    ------
    FirmlyError
        If nothing can be encrypted with the key, or what is could be read by others.
    """
    from jwcrypto.common import JWException

    try:
        recipient, bits = _tried(key.kid, **key.jwk)
    except (JWException, ValueError, TypeError):
        text = "the payment key cannot be used: its numbers make no RSA key"
        raise FirmlyError("UnusableKey", text) from None
    if bits < MIN_BITS:
        raise FirmlyError(
            "UnusableKey", f"the payment key has {bits} bits, but needs at least {MIN_BITS}"
        )
    return recipient


@lru_cache(maxsize=16)
def _tried(kid: str, **numbers: str) -> tuple[Any, int]:
    """Return a key that encrypts, and its bits; once a key, as it takes longer than a card."""
    from jwcrypto import jwe, jwk

    recipient = jwk.JWK(**numbers)
    jwe.JWE(b"", _protected(kid)).add_recipient(recipient)
    return recipient, getattr(recipient.get_op_key("encrypt"), "key_size", 0)


def _protected(kid: str) -> str:
    return orjson.dumps({"alg": ALGORITHM, "enc": ENCRYPTION, "kid": kid}).decode()


def _plaintext(card: Card) -> bytes:
    return orjson.dumps(
        {
            "number": card.number.get_secret_value(),
            "name": card.name,
            "verification_value": card.verification_value.get_secret_value(),
            "month": card.month,
            "year": card.year,
        }
    )
