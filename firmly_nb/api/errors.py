"""Errors as the API names them.

Two body shapes exist (``{code, error, description}`` and ``{error, message}``), and the API's pages
contradict each other about statuses. So the name decides and never the status alone.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from firmly_nb.api.description import API
from firmly_nb.api.secrets import redact, redact_broken_json, redact_text
from firmly_nb.display.messages import MESSAGES, with_code
from firmly_nb.display.text import cut, printable

LONGEST_WORDS = 500


def safe_text(error: BaseException) -> str:
    """Return an error's words, bounded and without anything that looks like a secret."""
    return redact_text(str(error))[:LONGEST_WORDS] or type(error).__name__


# Whoever asks for a longer pause than a day has another clock than ours.
MAX_WAIT_S = 86_400.0


# Errors of these names are made here, and by no API.
OWN_CODES = {
    "UnusableKey": "FNB211",
    "UnexpectedAnswer": "FNB212",
    "TransportError": "FNB213",
    "Timeout": "FNB214",
    "NoTotal": "FNB215",
}


class FirmlyError(Exception):
    """Error that firmly's API sent, or that kept a response from arriving.

    Attributes
    ----------
    error
        The API's own name (``ErrorPaymentDeclined``), or ``HTTP <status>`` where the body had none.
    description
        The API's own words, secrets taken out.
    http_status
        Status of the response; None for an ``error`` event inside a stream.
    code
        Code of the message; see docs/messages.md.

    Examples
    --------
    >>> error = error_from_body(404, b'{"error": "ErrorProductNotFound", "description": "no mug"}')
    >>> type(error).__name__, error.error, error.http_status
    ('ProductNotFound', 'ErrorProductNotFound', 404)
    """

    code = "FNB200"
    # Seconds that the answer asked to wait before anything else is sent, where it did.
    retry_after_s: float | None = None

    def __init__(self, error: str, description: str = "", http_status: int | None = None) -> None:
        self.error = error
        self.description = description
        self.http_status = http_status
        self.code = OWN_CODES.get(error, self.code)
        super().__init__(error, description, http_status)

    @property
    def advice(self) -> str:
        """Next step for the user; empty if the API did not say what is wrong."""
        return "" if self.code == FirmlyError.code else MESSAGES[self.code].fix

    def __str__(self) -> str:
        known = self.http_status is None or self.error == f"HTTP {self.http_status}"
        status = "" if known else f" (HTTP {self.http_status})"
        said = printable(self.description)
        text = f": {said}" if said else ""
        if self.advice:
            text += ("" if said.endswith((".", "!", "?")) else ".") + f" {self.advice}"
        return with_code(f"{printable(self.error)}{status}{text}", self.code)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class InvalidInput(FirmlyError):  # noqa: N818 - named as the API names its errors
    """Error for a request that did not pass the API's validation."""

    code = "FNB201"


class Unauthorized(FirmlyError):  # noqa: N818
    """Error for a device token that is missing, malformed or too old."""

    code = "FNB202"


class InvalidAppId(FirmlyError):  # noqa: N818
    """Error for an app id that is missing or unknown."""

    code = "FNB203"


class Forbidden(FirmlyError):  # noqa: N818
    """Error for an app id without access to the merchant."""

    code = "FNB204"


class ProductNotFound(FirmlyError):  # noqa: N818
    """Error for a variant that the merchant does not have."""

    code = "FNB205"


class NotEnoughStock(FirmlyError):  # noqa: N818
    """Error for a quantity above the merchant's stock."""

    code = "FNB206"


class PaymentDeclined(FirmlyError):  # noqa: N818
    """Error for a declined payment; nothing was ordered."""

    code = "FNB207"


class StoreUnavailable(FirmlyError):  # noqa: N818
    """Error for a merchant that cannot be reached at the moment."""

    code = "FNB208"


class CartNotFound(FirmlyError):  # noqa: N818
    """Error for a device without a cart at the merchant."""

    code = "FNB209"


class RateLimited(FirmlyError):  # noqa: N818
    """Error for too many requests."""

    code = "FNB210"


_CLASSES = {one.__name__: one for one in FirmlyError.__subclasses__()}
KINDS: dict[str, type[FirmlyError]] = {
    one["name"]: _CLASSES[one["kind"]] for one in API["errors"] if one["kind"]
}
# The errors that the Place Order page names, each of which says that nothing was ordered.
PLACE_ORDER_ERRORS: frozenset[str] = frozenset(
    next(one["errors"] for one in API["endpoints"] if one["id"] == "place_order")
)
# Every error that some source names, and the status to expect with it. Pages contradict each other
# about some, and some have none on any page.
LISTED_STATUSES: dict[str, int] = {
    one["name"]: one["statuses"][0]["status"] for one in API["errors"] if one["mark"] != "guessed"
}


def make_error(error: str, description: str = "", http_status: int | None = None) -> FirmlyError:
    """Make the error of the kind that its name says."""
    kind = KINDS.get(error, FirmlyError)
    return kind(redact_text(error), redact_text(description), http_status)


def error_from_payload(payload: Any, http_status: int | None = None) -> FirmlyError:
    """Read an error out of decoded JSON, whichever of the known shapes it has.

    Tolerates ``{code, error, description}``, ``{error, message}``, ``{error: {...}}``, and anything
    else.

    Examples
    --------
    >>> error_from_payload({"error": "InvalidAppId", "message": "unknown"}, 400).description
    'unknown'
    >>> error_from_payload({"error": {"code": 422, "error": "ErrorPaymentDeclined"}}).error
    'ErrorPaymentDeclined'
    >>> error_from_payload(["?"]).error
    'UnknownError'
    """
    fallback = f"HTTP {http_status}" if http_status else "UnknownError"
    if not isinstance(payload, dict):
        return make_error(fallback, "" if payload is None else _short(payload), http_status)
    if isinstance(payload.get("error"), dict):
        return error_from_payload(payload["error"], http_status)
    name = payload.get("error") or payload.get("name") or fallback
    text = payload.get("description") or payload.get("message") or ""
    return make_error(_short(name), _short(text), http_status)


def error_from_body(http_status: int, body: bytes, secrets: tuple[str, ...] = ()) -> FirmlyError:
    """Read an error out of a response's body; quote a body that is not JSON, shortened.

    ``secrets`` are texts of the request that the answer may repeat; they are taken out first, so
    that shortening cannot cut one in half.
    """
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = _short(redact_broken_json(body.decode("utf-8", "replace").strip(), secrets))
        return make_error(f"HTTP {http_status}", text or "empty body", http_status)
    return error_from_payload(redact(payload, secrets), http_status)


def seconds_to_wait(retry_after: str | None) -> float | None:
    """Read a ``Retry-After`` header, seconds or a date (RFC 9110, section 10.2.3); None if neither.

    Examples
    --------
    >>> seconds_to_wait("2"), seconds_to_wait("Wed, 21 Oct 2015 07:28:00 GMT")
    (2.0, 0.0)
    >>> seconds_to_wait("soon") is None
    True
    """
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_WAIT_S)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_WAIT_S)


def _short(value: Any, limit: int = 500) -> str:
    return cut(str(value), limit)
