"""Errors as the API names them.

Two body shapes exist (``{code, error, description}`` and ``{error, message}``), and the API's pages
contradict each other about statuses. So the name decides and never the status alone. Gateways and
proxies have shapes of their own: other JSON, a page, XML, a redirect.
"""

from __future__ import annotations

import html
import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from firmly_nb.api.description import API
from firmly_nb.api.secrets import redact, redact_broken_json, redact_text
from firmly_nb.display.messages import MESSAGES, Mistake, with_code
from firmly_nb.display.text import cut, full_stop, listed, printable

LONGEST_WORDS = 500
LONGEST_LOOK = 20_000  # characters of a page in which its title is looked for
UNAUTHORIZED = 401
TOO_MANY_REQUESTS = 429
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NAMED_BY = ("error", "name", "code", "error_code", "errorCode", "errorType")
DESCRIBED_BY = (
    *("description", "message", "error_description", "detail", "title"),
    *("faultstring", "errorMessage", "reason", "msg"),
)
# Under these gateways and frameworks put an error into another object; none of the API does.
ERRORS = ("error", "errors", "fault")
ENVELOPES = ("data", "payload", "body", "result", "response", "message", "detail")
MOST_WRAPPERS = 4
MOST_ERRORS = 5  # of a list
MOST_KEYS, LONGEST_KEY = 5, 40  # of an object in which no words are found
TITLE = re.compile(r"<(title|h1)\b[^<>]*>([^<]*)</\1\s*>", re.IGNORECASE)
UNSEEN = re.compile(
    r"<(script|style|head)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL
)
OF_THE_KEY = re.compile(r"\bkid\b|\bkey[ _-]?id\b|public key|decrypt", re.IGNORECASE)
MARKUP = re.compile(r"<[^<>]*>?")
# How compressed content begins.
COMPRESSED = {
    b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x78\x01": "deflate",
    b"\x78\x9c": "deflate", b"\x78\xda": "deflate", b"BZh": "bzip2", b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
}  # fmt: skip
LONGEST_PROBE = 400  # bytes that tell whether content is text
MOST_ODD = 0.2  # of the characters of a text, what no text has


def safe_text(error: BaseException) -> str:
    """Return an error's words, bounded and without anything that looks like a secret."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - whoever wrote that class
        words = ""
    return redact_text(words)[:LONGEST_WORDS] or type(error).__name__


# Whoever asks for a longer pause than a day has another clock than ours.
MAX_WAIT_S = 86_400.0


# Errors of these names are made here, and by no API.
OWN_CODES = {
    "LabClosed": "FNB017",
    "UnusableKey": "FNB211",
    "UnexpectedAnswer": "FNB212",
    "TransportError": "FNB213",
    "Timeout": "FNB214",
    "NoTotal": "FNB215",
    "UntrustedIssuer": "FNB216",
    "CertificateNotValid": "FNB217",
    "CertificateOfAnotherHost": "FNB218",
    "TlsFailed": "FNB219",
    "ProxyLogin": "FNB220",
    "ProxyUnreachable": "FNB221",
    "ProxyRefused": "FNB222",
    "UnknownHost": "FNB223",
    "ConnectionRefused": "FNB224",
    "SimulatorGone": "FNB225",
    "NoConnection": "FNB227",
}
# What was under way when its lab was closed.
LAB_CLOSED = ("LabClosed", "the lab was closed meanwhile")


class FirmlyError(Mistake, Exception):
    """Error that firmly's API sent, or that kept a response from arriving.

    Parameters
    ----------
    error
        The API's name of the error.
    description
        The text that the API gave.
    http_status
        HTTP status; None without a response.

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
    # What the judge of an order says in place of the advice, where the order may exist.
    judged: str | None = None

    def __init__(self, error: str, description: str = "", http_status: int | None = None) -> None:
        self.error = error
        self.description = description
        self.http_status = http_status
        self.code = OWN_CODES.get(error, self.code)
        if error.startswith("HTTP ") and self.code == FirmlyError.code:
            # Without a name it was hardly the API that answered.
            self.code = "FNB226"
        super().__init__(error, description, http_status)

    @property
    def advice(self) -> str:
        """Next step for the user; empty if the API did not say what is wrong."""
        if self.judged is not None:
            return self.judged
        return "" if self.code == FirmlyError.code else MESSAGES[self.code].fix

    def __str__(self) -> str:
        known = self.http_status is None or self.error == f"HTTP {self.http_status}"
        status = "" if known else f" (HTTP {self.http_status})"
        said = printable(self.description)
        text = f": {said}" if said else ""
        if self.advice:
            text = f"{full_stop(text) or '.'} {self.advice}"
        return with_code(f"{printable(self.error)}{status}{text}", self.code)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    @property
    def refuses_token(self) -> bool:
        """True if the device token was refused: a session that is renewed may do better."""
        return refuses_token(self.error, self.http_status)


class InvalidInput(FirmlyError):
    """Error for a request that did not pass the API's validation."""

    code = "FNB201"

    def __init__(self, error: str, description: str = "", http_status: int | None = None) -> None:
        super().__init__(error, description, http_status)
        if OF_THE_KEY.search(description):
            # No field of the order is wrong: the key changed after the card was encrypted.
            self.code = "FNB228"


class Unauthorized(FirmlyError):
    """Error for a device token that is missing, malformed or too old."""

    code = "FNB202"


class InvalidAppId(FirmlyError):
    """Error for an app id that is missing or unknown."""

    code = "FNB203"


class Forbidden(FirmlyError):
    """Error for an app id without access to the merchant."""

    code = "FNB204"


class ProductNotFound(FirmlyError):
    """Error for a variant that the merchant does not have."""

    code = "FNB205"


class NotEnoughStock(FirmlyError):
    """Error for a quantity above the merchant's stock."""

    code = "FNB206"


class PaymentDeclined(FirmlyError):
    """Error for a declined payment; nothing was ordered."""

    code = "FNB207"


class StoreUnavailable(FirmlyError):
    """Error for a merchant that cannot be reached at the moment."""

    code = "FNB208"


class CartNotFound(FirmlyError):
    """Error for a device without a cart at the merchant."""

    code = "FNB209"


class RateLimited(FirmlyError):
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


def refuses_token(error: str | None, http_status: int | None) -> bool:
    """Return whether an error says that the device token is not accepted.

    The status alone says so as well: a gateway that refuses a token has no name of the API's.

    Examples
    --------
    >>> refuses_token("TokenExpired", None), refuses_token("InvalidToken", 400)
    (True, True)
    >>> refuses_token("HTTP 401", 401), refuses_token("Forbidden", 403)
    (True, False)
    """
    return http_status == UNAUTHORIZED or KINDS.get(error or "") is Unauthorized


def make_error(
    error: str, description: str = "", http_status: int | None = None, *, ours: bool = True
) -> FirmlyError:
    """Make the error of the kind that its name says.

    A server's error, which is not ``ours``, may have a name of ours by chance: its advice would be
    about something else.
    """
    # Of a gateway's statuses this one alone has one meaning, whatever the name beside it.
    kind = KINDS.get(error, RateLimited if http_status == TOO_MANY_REQUESTS else FirmlyError)
    made = kind(redact_text(error), redact_text(description), http_status)
    if not ours and error in OWN_CODES:
        made.code = kind.code
    return made


def error_from_payload(payload: Any, http_status: int | None = None) -> FirmlyError:
    """Read an error out of decoded JSON, whichever of the known shapes it has.

    Tolerates ``{code, error, description}``, ``{error, message}``, ``{error: {...}}``,
    ``{code: "ErrorX", message}``, ``{errors: [{...}]}``, ``{fault: {...}}``, ``[{...}]``,
    ``{data: {...}}``, ``{extensions: {code}}``, and anything else. Of several names one that the
    API lists counts.

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
    if isinstance(payload, list) and payload and isinstance(payload[0], dict):
        found = [error_from_payload(one, http_status) for one in _objects(payload)]
        return next((one for one in found if one.error in LISTED_STATUSES), found[0])
    if not isinstance(payload, dict):
        return make_error(fallback, "" if payload is None else _words(payload), http_status)
    error = _found_in(payload, fallback, http_status, MOST_WRAPPERS)
    if error.error == fallback and not error.description and any(payload.values()):
        keys = listed(_short(key, LONGEST_KEY) for key in [*payload][:MOST_KEYS])
        return make_error(fallback, f"JSON with {keys}", http_status)
    return error


def _found_in(
    payload: dict[str, Any], fallback: str, http_status: int | None, deeper: int
) -> FirmlyError:
    """Return the error that an object names, or that is inside it, at most so much deeper."""
    if any(key[:1].isupper() for key in payload):  # Error, Code, Message
        payload = {key[:1].lower() + key[1:]: value for key, value in payload.items()} | payload
    own = _named_here(payload, fallback, http_status)
    if own.error in LISTED_STATUSES or not deeper:
        return own
    inside = _inside(payload, ERRORS)
    wrapped = [] if "line_items" in payload else _inside(payload, ENVELOPES)
    found = [_found_in(one, fallback, http_status, deeper - 1) for one in inside]
    found.append(own)
    found += [_found_in(one, fallback, http_status, deeper - 1) for one in wrapped]
    told = [one for one in found if one.error in LISTED_STATUSES]
    told += [one for one in found if one.error != fallback]
    told += [one for one in found if one.description]
    return (*told, own)[0]


def _named_here(payload: dict[str, Any], fallback: str, http_status: int | None) -> FirmlyError:
    """Return the error that an object itself names, without what is inside it."""
    said = [name.strip() for name in map(payload.get, NAMED_BY) if isinstance(name, str)]
    if isinstance(more := payload.get("extensions"), dict):  # of GraphQL
        said += [name.strip() for name in map(more.get, NAMED_BY) if isinstance(name, str)]
    # Some write name and words as one: ErrorPaymentDeclined: no funds.
    parts = [one for one in (name.partition(": ") for name in said) if one[0] in PLACE_ORDER_ERRORS]
    said = [*(first for first, *_ in parts), *said]
    names = [name for name in said if name and not name.isdigit()]
    name = next((name for name in names if name in LISTED_STATUSES), (*names, fallback)[0])
    words = [*filter(None, map(payload.get, DESCRIBED_BY)), *filter(None, [payload.get("errors")])]
    words += [rest for *_, rest in parts if rest]
    text = next((word for word in words if isinstance(word, str)), (*words, "")[0])
    number = payload.get("code")
    if not text and name == "UnknownError" and isinstance(number, int | str):
        text = f"code {number}"
    return make_error(_short(name), _words(text), http_status, ours=False)


def _inside(payload: dict[str, Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the objects of some names; of a list the first ones."""
    return [one for value in map(payload.get, names) for one in _objects(value)]


def _objects(value: Any) -> list[dict[str, Any]]:
    several = value[:MOST_ERRORS] if isinstance(value, list) else [value]
    return [one for one in several if isinstance(one, dict)]


def error_from_body(
    http_status: int, body: bytes, secrets: tuple[str, ...] = (), location: str | None = None
) -> FirmlyError:
    """Read an error out of a response; of a page its title, of other text its begin.

    Parameters
    ----------
    http_status
        Status of the response.
    body
        Its body.
    secrets
        Texts of the request that the response may repeat. They are redacted first, so that
        shortening cannot cut one in half.
    location
        Its header of this name: where a redirect leads.

    Examples
    --------
    >>> page = b"<html><head><title>502 Bad Gateway</title></head><body>...</body></html>"
    >>> error_from_body(502, page).description
    '502 Bad Gateway'
    >>> error_from_body(302, b"", location="https://login.test/in?token=x").description
    'it redirects to login.test/in, which is not followed'
    """
    try:
        error = error_from_payload(redact(orjson.loads(body), secrets), http_status)
    except orjson.JSONDecodeError:
        text = begin_of(body, secrets)
        error = make_error(f"HTTP {http_status}", _short(text) or "empty body", http_status)
    if http_status in REDIRECTS and error.error not in LISTED_STATUSES:
        return make_error(
            f"HTTP {http_status}", redact_text(_leads(location), secrets), http_status
        )
    return error


def begin_of(content: bytes, secrets: tuple[str, ...] = ()) -> str:
    r"""Return content that is not read, without secrets: of a page its title, of no text its kind.

    Examples
    --------
    >>> begin_of(b"<title>Busy</title>"), begin_of(b"busy"), begin_of(b"\x1f\x8b\x08\0")
    ('Busy', 'busy', '(looks gzip-compressed though no header says so)')
    >>> begin_of(bytes(range(200)))
    '(bytes that are not text)'
    """
    for begin, kind in COMPRESSED.items():
        if content.startswith(begin):
            return f"(looks {kind}-compressed though no header says so)"
    probe = content[:LONGEST_PROBE].decode("utf-8", "replace")
    odd = sum(char == "\ufffd" or not (char.isprintable() or char.isspace()) for char in probe)
    if odd > MOST_ODD * len(probe):
        return "(bytes that are not text)"
    text = redact_broken_json(content.decode("utf-8", "replace").strip(), secrets)
    return redact_text(without_markup(text), secrets) if text.startswith("<") else text


def without_markup(page: str) -> str:
    """Return the title of a page, else its first heading, else its text."""
    page = page[:LONGEST_LOOK]
    titles = {match[1].lower(): match[2] for match in reversed([*TITLE.finditer(page)])}
    named = titles.get("title", "").strip() or titles.get("h1", "").strip()
    text = named or MARKUP.sub(" ", UNSEEN.sub(" ", page))
    return " ".join(html.unescape(text).split()) or "a page without text"


def _leads(location: str | None) -> str:
    """Say where a redirect leads; what a query or the name of a user may hold is left out."""
    if not location:
        return "it redirects without saying where to"
    try:
        parts = urlsplit(location)
        is_page = parts.scheme in ("", "http", "https")
        place = f"{parts.hostname or ''}{parts.path}" if is_page else ""
        if is_page and not place and (parts.query or parts.fragment):
            return "it redirects to the same address, which is not followed"
    except ValueError:
        place = ""
    return f"it redirects to {_short(place, 200) or 'an unreadable address'}, which is not followed"


def seconds_to_wait(retry_after: str | None, date: str | None = None) -> float | None:
    """Read a ``Retry-After`` header, seconds or a date (RFC 9110, section 10.2.3); None if neither.

    A date is one of the sender's clock, so it counts from the sender's ``Date``, if there is one.

    Examples
    --------
    >>> seconds_to_wait("2"), seconds_to_wait("Wed, 21 Oct 2015 07:28:00 GMT")
    (2.0, 0.0)
    >>> seconds_to_wait("soon") is None
    True
    >>> sent = "Wed, 21 Oct 2099 07:27:00 GMT"
    >>> seconds_to_wait("Wed, 21 Oct 2099 07:28:00 GMT", sent)
    60.0
    """
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_WAIT_S)
    until = moment_of(text)
    if until is None:
        return None
    now = moment_of(date)
    return min(max(until - (time.time() if now is None else now), 0.0), MAX_WAIT_S)


def moment_of(date: str | None) -> float | None:
    """Read the date of a header, as Unix seconds; None if it is none.

    Examples
    --------
    >>> moment_of("Thu, 01 Jan 1970 00:01:00 GMT"), moment_of("soon"), moment_of(None)
    (60.0, None, None)
    """
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _words(value: Any) -> str:
    """Return what is said as a text: of a list each, of a page its title."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = "; ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _short(without_markup(text) if text.lstrip().startswith("<") else text)


def _short(value: Any, limit: int = 500) -> str:
    return cut(str(value), limit)
