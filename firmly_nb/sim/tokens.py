"""Device tokens: signed JWTs with the claims that firmly's documented sample has.

firmly-api.md, section 2.1. A client should treat the token as opaque. The signing key is made at
start and never leaves the process, so tokens of an earlier simulator are not valid.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson
from jwcrypto import jwk, jws
from jwcrypto.common import JWException

from firmly_nb.sim.answers import ApiError

RENEWABLE_S = 7 * 24 * 3600
SIGNATURE = "RS256"
LONGEST_TOKEN = 4_096


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says."""

    device_id: str
    app_id: str
    issued_at: int
    expires: int


def _make_key() -> jwk.JWK:
    key = jwk.JWK.generate(kty="RSA", size=2048)
    # As with the card key: the check at the first use is not to be part of a request.
    key.get_op_key("sign")
    return key


class Tokens:
    """Issues tokens and reads them back."""

    def __init__(self, app_id: str) -> None:
        self.app_id = app_id
        maker = ThreadPoolExecutor(1, "firmly-sim-token-key")
        self._key: Future[jwk.JWK] = maker.submit(_make_key)
        maker.shutdown(wait=False)

    def issue(self, device_id: str, lifetime_s: int) -> tuple[str, Claims]:
        """Sign a token for a device; a lifetime below zero makes one that has expired."""
        now = int(time.time())
        claims = Claims(device_id, self.app_id, now, now + lifetime_s)
        body = {"device_id": device_id, "app_id": self.app_id, "exp": claims.expires, "iat": now}
        token = jws.JWS(orjson.dumps(body))
        token.add_signature(self._key.result(), None, orjson.dumps(_HEADER).decode())
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
        return _claims(orjson.loads(signed.payload))

    def check(self, header: str | None) -> Claims:
        """Check the value of ``x-firmly-authorization``: the raw token, or ``Bearer <token>``.

        Raises
        ------
        ApiError
            ``MissingAuthHeader``, ``InvalidJWTToken`` or ``TokenExpired``.
        """
        if not header or not header.strip():
            raise ApiError("MissingAuthHeader", "header x-firmly-authorization is missing")
        words = header.split()
        claims = self.read(words[-1] if words[0].lower() == "bearer" else header.strip())
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


_HEADER = {"alg": SIGNATURE, "typ": "JWT"}


def _bad_token() -> ApiError:
    return ApiError("InvalidJWTToken", "the device token is not valid")


def _claims(body: dict[str, Any]) -> Claims:
    return Claims(body["device_id"], body["app_id"], body["iat"], body["exp"])


def new_device() -> str:
    """Return a device id."""
    return str(uuid.uuid4())
