"""The keys of the card service, and opening what was encrypted for it.

firmly-api.md, sections 3.1 and 3.2. The key size (2048) is inferred from firmly's own mock; that
the key before the present one still opens cards is inferred, because orders are under way when a
key rotates.
"""

from __future__ import annotations

import re
import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import orjson
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from jwcrypto import jwe, jwk
from jwcrypto.common import JWException

from firmly_nb.sim.answers import invalid

ALGORITHM = "RSA-OAEP-256"
ENCRYPTION = "A256GCM"
COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
LONGEST_JWE = 8_192


def make_key() -> jwk.JWK:
    """Make an RSA key pair with an id of its own, checked and ready to decrypt."""
    key = jwk.JWK.generate(kty="RSA", size=2048, kid=secrets.token_hex(8), use="enc")
    # The first use of a private key checks it, which takes a tenth of a second: not in an order.
    key.get_op_key("decrypt")
    return key


class KeyRing:
    """The present key pair and the one before it; made in a thread, so that starting is quick."""

    def __init__(self) -> None:
        self._maker = ThreadPoolExecutor(1, "firmly-sim-keys")
        self._present: Future[jwk.JWK] = self._maker.submit(make_key)
        self._next: Future[jwk.JWK] | None = None
        self._previous: jwk.JWK | None = None

    @property
    def present(self) -> jwk.JWK:
        """The key that clients are given."""
        return self._present.result()

    def rotate(self) -> str:
        """Put a new key in place of the present one, and return its id."""
        self._previous = self.present
        self._present = self._maker.submit(make_key)
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
        ``ErrorInvalidInputBody`` with what is wrong. Nothing of the content is in it.
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
