"""Headers that talk about a request: what ours say of us, and what is kept of an answer's.

Whoever runs the service finds a request by its id, and sees by the headers of the answer which way
it took. An answer may also carry tokens, cookies and names, so headers are kept by an allow-list,
bounded in number and length, and one whose value looks like a secret is replaced whole.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import unquote

from firmly_nb.api.personal import MASK, is_personal
from firmly_nb.api.secrets import REDACTED, redact_text
from firmly_nb.display.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

REQUEST_ID = "x-firmly-request-id"
TRACEPARENT = "traceparent"
# Who answered, by which way, which request that was there, and how the body came.
KEPT = frozenset(
    (
        *("age", "akamai-grn", "cache-control", "cache-status", "cdn-cache", "cdn-requestid"),
        *("cf-cache-status", "cf-ray", "connection", "content-encoding", "content-length"),
        *("content-type", "correlation-id", "date", "fly-request-id", "keep-alive"),
        *("proxy-connection", "proxy-status", "request-id", "retry-after", "server"),
        *("server-timing", "traceparent", "transfer-encoding", "vary", "via"),
        *("x-accel-buffering", "x-akamai-request-id", "x-amz-apigw-id", "x-amz-cf-id"),
        *("x-amz-cf-pop", "x-amz-request-id", "x-amzn-requestid", "x-amzn-trace-id"),
        *("x-azure-ref", "x-b3-spanid", "x-b3-traceid", "x-cache", "x-cache-hits"),
        *("x-cloud-trace-context", "x-correlation-id", "x-envoy-upstream-service-time"),
        *("x-proxy-cache", "x-request-id", "x-response-time", "x-runtime", "x-served-by"),
        *("x-timer", "x-trace-id", "x-varnish", "x-vercel-id"),
    )
)
KEPT_FAMILIES = ("x-firmly-", "ratelimit-", "x-ratelimit-", "x-rate-limit-")
KEPT_NAMES = frozenset({"ratelimit"})
# A family is open: its names are not known beforehand, so these are not let through. A stem counts
# inside a word, too: accesstoken, sessionid.
PRIVATE_STEMS = re.compile(
    "account|appid|auth|captcha|card|cookie|credential|customer|device|email|handle|password|person|"
    "phone|secret|session|token|user"
)
PRIVATE_WORDS = frozenset(
    (
        *("address", "app", "bearer", "body", "client", "cvc", "cvv"),
        *("ip", "jwt", "key", "mail", "name", "pin", "sid"),
    )
)
WORD = re.compile("[a-z0-9]+")
# A text that names what it holds, a scheme of authorization, and what only cookies have.
SECRET_VALUE = re.compile(
    r"(?i)\b(?:\w*token|secret|password|passwd|\w*session(?:[_-]?id)?|sid|api[_-]?key|app[_-]?id|cookies?|"
    r"auth|authorization|cvv|cvc|card)\s*[=:]|\b(?:bearer|basic)\s+\S{6}|"
    r";\s*(?:httponly|samesite\s*=|path\s*=)"
)
# One of these is in whatever the pattern finds; to look for them takes a fraction of the time.
SECRET_HINTS = (
    *("token", "secret", "passw", "sess", "sid", "key", "app", "cook", "auth", "cv", "card"),
    *("bearer", "basic", "httponly", "samesite", "path"),
)
E_MAIL = re.compile(r"[^\s@<>,;:\"'=()]{1,64}@[^\s@<>,;:\"'=()]+")
MOST_HEADERS = 64
LONGEST_NAME, LONGEST_VALUE = 64, 300
LONGEST_READ = 4_000  # a longer value is not looked into: only its length is told

# Headers of what stands between a client and the service. A Via says which proxy it is; of the
# others the name tells, since their values differ from answer to answer.
PROXIES = (
    "via",
    "x-cache",
    "x-served-by",
    "cf-ray",
    "x-amz-cf-id",
    "x-azure-ref",
    "akamai-grn",
    "x-akamai-request-id",
    "x-varnish",
    "x-proxy-cache",
    "cache-status",
    "proxy-status",
    "proxy-connection",
    "x-envoy-upstream-service-time",
)

Headers = list[list[str]]  # name and value of each; of JSON, so no tuples


@cache
def user_agent() -> str:
    """Return what requests say that they come from.

    Examples
    --------
    >>> user_agent().partition("/")[0]
    'firmly-nb'
    """
    return f"firmly-nb/{version('firmly-nb')}"


def is_kept(name: str) -> bool:
    """Return whether a header of an answer may be kept, by its name in lower case.

    Examples
    --------
    >>> is_kept("via"), is_kept("x-firmly-trace"), is_kept("x-firmly-app-id"), is_kept("set-cookie")
    (True, True, False, False)
    """
    if name in KEPT or name in KEPT_NAMES:
        return True
    family = next((begin for begin in KEPT_FAMILIES if name.startswith(begin)), None)
    if family is None or len(name) > LONGEST_NAME:
        return False
    rest = name.removeprefix(family)
    is_private = PRIVATE_STEMS.search(rest) or not PRIVATE_WORDS.isdisjoint(WORD.findall(rest))
    return not (is_private or is_personal(rest))


def kept_headers(headers: Iterable[tuple[str, str]], secrets: tuple[str, ...] = ()) -> Headers:
    """Return what is kept of an answer's headers, in order; one that came twice is there twice.

    Parameters
    ----------
    headers
        Name and value of each.
    secrets
        Texts of the request that must not come back out.

    Examples
    --------
    >>> kept_headers([("Via", "1.1 squid"), ("Set-Cookie", "sid=1"), ("Server", "t0k3n!")],
    ...              ("t0k3n!",))
    [['via', '1.1 squid'], ['server', '[redacted]']]
    """
    kept: Headers = []
    for given, value in headers:
        name = given.lower()
        if is_kept(name) and len(kept) < MOST_HEADERS:
            kept.append([redact_text(name, secrets), _harmless(value, secrets)])
    return kept


def other_names(names: Iterable[str], secrets: tuple[str, ...] = ()) -> list[str]:
    """Return the names of headers that are not kept, without their values.

    Examples
    --------
    >>> other_names(["Via", "Set-Cookie", "X-Odd"])
    ['set-cookie', 'x-odd']
    """
    others = dict.fromkeys(name.lower() for name in names if not is_kept(name.lower()))
    return [
        redact_text(printable(name, LONGEST_NAME), secrets) for name in list(others)[:MOST_HEADERS]
    ]


def _harmless(value: str, secrets: tuple[str, ...]) -> str:
    """Return a value as it may be kept; whatever looks like a secret is replaced whole."""
    if len(value) > LONGEST_READ:
        return f"[{len(value)} characters]"
    plain = unquote(value) if "%" in value else value
    lower = plain.lower()
    if any(hint in lower for hint in SECRET_HINTS) and SECRET_VALUE.search(plain):
        return REDACTED
    if redact_text(plain, secrets) != plain or redact_text(value, secrets) != value:
        return REDACTED
    # An address of e-mail is always somebody's.
    text = E_MAIL.sub(MASK, plain) if "@" in plain else value
    return printable(text, LONGEST_VALUE)


def trace_ids(request_id: str) -> tuple[int, int]:
    """Return the ids of trace and span of an order, which come from its request id alone.

    Examples
    --------
    >>> trace, span = trace_ids("040efc96-4572-4adc-89c3-01ab27abab6f")
    >>> f"{trace:032x}", f"{span:016x}"
    ('040efc9645724adc89c301ab27abab6f', '6f99151dc4b3eb5c')
    """
    digest = sha256(request_id.encode()).digest()
    plain = request_id.replace("-", "")
    is_uuid = re.fullmatch("[0-9a-f]{32}", plain) is not None
    trace = int(plain, 16) if is_uuid else int.from_bytes(digest[8:24], "big")
    # An id of zeros means none.
    return trace or 1, int.from_bytes(digest[:8], "big") or 1


def traceparent(request_id: str) -> str:
    """Return the header that tells the ids to whoever is asked (W3C Trace Context).

    Examples
    --------
    >>> traceparent("040efc96-4572-4adc-89c3-01ab27abab6f")
    '00-040efc9645724adc89c301ab27abab6f-6f99151dc4b3eb5c-03'
    """
    trace, span = trace_ids(request_id)
    # Sampled, and random: so are the last bytes of a UUID.
    return f"00-{trace:032x}-{span:016x}-03"


def proxies(headers: Iterable[tuple[str, str] | list[str]]) -> str | None:
    """Return which headers of an answer tell of a proxy on the way; None without any.

    Examples
    --------
    >>> proxies([("server", "x"), ("cf-ray", "8f2a"), ("via", "1.1 squid")])
    'via: 1.1 squid, cf-ray'
    """
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    told = [
        f"via: {', '.join(found[name])}" if name == "via" else name
        for name in PROXIES
        if name in found
    ]
    return ", ".join(told) or None
