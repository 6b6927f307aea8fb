"""Secrets and personal data of a HAR file: finding them, and taking them out of the file itself.

A browser's export holds tokens, cookies, the encrypted card and addresses. "Sanitized" it lacks
cookies and ``Authorization`` only. Whoever reads such a file here looks for all of them first,
because a response may repeat in a text what a request had in a field.
"""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import orjson

from firmly_nb.api.headers import is_kept
from firmly_nb.api.personal import (
    MASK,
    VALUE_KEYS,
    is_personal,
    mask_personal,
    mask_personal_text,
    personal_values,
    plain_name,
)
from firmly_nb.api.secrets import (
    REDACTED,
    SECRET_NAMES,
    redact,
    redact_broken_json,
    redact_text,
)
from firmly_nb.disk import write_whole
from firmly_nb.display.messages import coded_error
from firmly_nb.display.paths import expanded
from firmly_nb.display.text import count, storage
from firmly_nb.exchange.har import EVENT_STREAM, MANY, MOST_BYTES, har_of, stream_lines
from firmly_nb.wire.encodings import GZIP_BEGIN, Decoder
from firmly_nb.wire.sse import EventStreamParser

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SECRET_HEADERS = re.compile("(?i)authorization|cookie|token|app-?id|api-?key|session|secret|jwt")
# What browsers send of themselves; of a response those are kept that recordings keep, too.
PLAIN_HEADERS = frozenset(
    (
        *(":authority", ":method", ":path", ":scheme", ":status", "accept", "accept-encoding"),
        *("accept-language", "access-control-allow-credentials", "access-control-allow-headers"),
        *("access-control-allow-methods", "access-control-allow-origin"),
        *("access-control-expose-headers", "access-control-max-age", "allow"),
        *("access-control-request-headers", "access-control-request-method", "content-language"),
        *("dnt", "expires", "host", "last-modified", "location", "origin", "pragma", "priority"),
        *("referer", "te", "upgrade-insecure-requests", "user-agent"),
    )
)
PLAIN_FAMILIES = ("sec-fetch-", "sec-ch-ua", "x-sim-")
SHORTEST_SECRET = 6
FIRMLY = re.compile(r"/domains/|/browser-session|/payment")
ADDRESSES = frozenset({"shippinginfo", "billinginfo", "contact", "address", "customer"})
TAKEN_OUT = frozenset({MASK, REDACTED, quote(REDACTED)})
PAIRS = ("headers", "cookies", "queryString", "params")
_CANONICAL = {plain_name(name): name for name in VALUE_KEYS}


@dataclass(frozen=True, slots=True)
class Private:
    """Texts of a HAR file that nobody else should read."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    personal: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Result of cleaning a HAR file: where it is, and how many texts were changed."""

    path: Path
    changed: int

    def __repr__(self) -> str:
        if not self.changed:
            return f"{self.path}: nothing to take out"
        return f"{self.path}: {count(self.changed, 'text')} without secrets and addresses now"


def clean_har(
    path: str | os.PathLike[str], output: str | os.PathLike[str] | None = None
) -> Cleaned:
    """Take secrets and addresses out of a HAR file.

    Parameters
    ----------
    path
        The file.
    output
        Where the clean file goes; by default it replaces the file itself, at once.

    Raises
    ------
    HarError
        If it cannot be read, or is not a HAR.
    OSError
        If it cannot be written.
    """
    source = expanded(path)
    where = expanded(output) if output is not None else source
    whole = har_of(source)
    private = private_of(entries_of(whole["log"]))
    cleaner = _Cleaner(private)
    cleaned = cleaner.value(whole)
    if cleaner.changed or output is not None:
        try:
            write_whole(where, orjson.dumps(cleaned, option=orjson.OPT_INDENT_2))
        except OSError as error:
            text = f"{where} cannot be written: {error.strerror}. Name another with --output."
            raise coded_error(type(error), "FNB441", text) from error
    return Cleaned(where, cleaner.changed)


def entries_of(log: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of a log that are objects."""
    return [one for one in log["entries"] if isinstance(one, dict)]


def private_of(entries: Iterable[dict[str, Any]]) -> Private:
    """Find what requests and responses have of secrets and persons."""
    secrets: dict[str, None] = {}
    addresses: list[dict[str, Any]] = []
    for one in entries:
        request, response = as_dict(one.get("request")), as_dict(one.get("response"))
        for part in (request, response):
            for name, value in pairs(part.get("headers")):
                if SECRET_HEADERS.search(name) and not name.lower().startswith("access-control"):
                    secrets[value] = None
                    secrets[value.partition(" ")[2]] = None
            secrets.update(dict.fromkeys(value for _, value in pairs(part.get("cookies"))))
        posted = as_dict(request.get("postData"))
        said = [_json(posted.get("text")), _form(posted)]
        if FIRMLY.search(urlsplit(str(request.get("url") or "")).path):
            said += [_json(text) for text in _texts_of(one)]
        for value in said:
            _look(value, secrets, addresses, in_request=value in said[:2])
    # What was taken out before is none.
    long = [text for text in secrets if len(text) >= SHORTEST_SECRET and text not in TAKEN_OUT]
    # The longer first: one may be a part of another.
    return Private(tuple(sorted(long, key=len, reverse=True)), personal_values(*addresses))


def _look(
    value: Any,
    secrets: dict[str, None],
    addresses: list[dict[str, Any]],
    *,
    in_request: bool,
    depth: int = 40,
) -> None:
    if depth <= 0:
        return
    if isinstance(value, list):
        for one in value:
            _look(one, secrets, addresses, in_request=in_request, depth=depth - 1)
    if not isinstance(value, dict):
        return
    address: dict[str, Any] = {}
    for key, one in value.items():
        plain = plain_name(str(key))
        if isinstance(one, str) and plain in SECRET_NAMES and plain != "handle":
            secrets[one] = None
        elif isinstance(one, (str, int)) and plain in _CANONICAL and one not in TAKEN_OUT:
            address[_CANONICAL[plain]] = str(one)
        else:
            below = in_request or plain in ADDRESSES
            _look(one, secrets, addresses, in_request=below, depth=depth - 1)
    if address and in_request:
        addresses.append(address)


def _texts_of(one: dict[str, Any]) -> Iterator[str]:
    """Return the JSON texts of a response: its body, or the data of its events."""
    content = as_dict(as_dict(one.get("response")).get("content"))
    body = b""
    with suppress(ValueError):
        body = body_of(content) or b""
    if mime_of(one) == EVENT_STREAM:
        parser = EventStreamParser(max_event_bytes=MANY, max_stream_bytes=MANY)
        yield from (event.data for event in parser.feed(body))
    else:
        yield body.decode("utf-8", "replace")
    for message in one.get("_eventSourceMessages") or []:
        if isinstance(message, dict) and isinstance(message.get("data"), str):
            yield message["data"]


class _Cleaner:
    """Cleaning of one file; ``changed`` counts the texts that were changed."""

    def __init__(self, private: Private) -> None:
        self.private = private
        self.changed = 0

    def value(self, value: Any, key: str = "") -> Any:
        """Return any part of the file without what is private."""
        if isinstance(value, str):
            return self._changed(value, self.text(value))
        if isinstance(value, list):
            return [
                self._pair(one, key) if key in PAIRS and isinstance(one, dict) else self.value(one)
                for one in value
            ]
        if not isinstance(value, dict):
            return value
        if "mimeType" in value and isinstance(value.get("text"), str):
            return self._body(value)
        # A name or a street may be a field of the file itself, in a key of its program's own.
        return {
            name: REDACTED
            if isinstance(one, str) and one and _is_private_name(name)
            else self.value(one, name)
            for name, one in value.items()
        }

    def text(self, text: str) -> str:
        """Return a text without what is private."""
        private = self.private
        for secret in private.secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
            elif (quoted := quote(secret, safe="")) in text:
                text = text.replace(quoted, REDACTED)
        if text.startswith(("http://", "https://", "/")) and "?" in text:
            text = _clean_url(text)
        text = redact_broken_json(text) if '"' in text else redact_text(text)
        return mask_personal_text(text, private.personal)

    def _pair(self, pair: dict[str, Any], kind: str) -> dict[str, Any]:
        name, value = str(pair.get("name") or ""), pair.get("value")
        if not isinstance(value, str):
            return pair
        if kind == "cookies":
            clean = REDACTED if value else value
        elif kind == "headers":
            clean = self.text(value) if _is_plain_header(name) else REDACTED
        else:
            clean = REDACTED if _is_private_name(name) else self.text(value)
        rest = {key: self.value(one) for key, one in pair.items() if key != "value"}
        return {**rest, "value": self._changed(value, clean)}

    def _body(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a posted body or the content of a response."""
        rest = {k: self.value(v, k) for k, v in body.items() if k not in {"text", "encoding"}}
        try:
            text = (body_of(body) or b"").decode()
        except ValueError:
            # Pictures and fonts: nobody can look what is in them.
            self.changed += 1
            return rest | {"text": "", "comment": "not a text; removed"}
        mime = str(body["mimeType"] or "").partition(";")[0].strip().lower()
        clean = self._stream(text) if mime == EVENT_STREAM else self._content(text)
        if "form" in mime:
            clean = _clean_url(f"?{clean}")[1:]
        return rest | {"text": self._changed(text, clean)}

    def _content(self, text: str) -> str:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return self.text(text)
        private = self.private
        clean = mask_personal(redact(value, private.secrets), private.personal)
        return text if clean == value else orjson.dumps(clean).decode()

    def _stream(self, text: str) -> str:
        parser = EventStreamParser(max_event_bytes=MANY, max_stream_bytes=MANY)
        events = parser.feed(text.encode())
        lines: list[str] = []
        for event in events:
            lines += stream_lines(
                self.text(event.event), self.text(event.id), self._content(event.data)
            )
        parser.close()
        rest = parser.unfinished.decode("utf-8", "replace")
        clean = "".join(f"{line}\n" for line in lines) + self.text(rest)
        # A stream in which nothing is private stays as it is, with its comments.
        same = [self._content(event.data) == event.data for event in events]
        return text if all(same) and self.text(text) == text else clean

    def _changed(self, before: str, after: str) -> str:
        self.changed += before != after
        return after


def _is_plain_header(name: str) -> bool:
    lower = name.lower()
    if lower in PLAIN_HEADERS or lower.startswith(PLAIN_FAMILIES):
        return True
    return is_kept(lower)


def _is_private_name(name: str) -> bool:
    plain = plain_name(name)
    # A catalogue has handles of products in its addresses.
    return (plain in SECRET_NAMES and plain != "handle") or is_personal(name)


def _clean_url(url: str) -> str:
    """Return a URL or a form whose fields with private names have no value."""
    head, mark, query = url.partition("?")
    fields = []
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        hidden = equals and _is_private_name(unquote(name))
        fields.append(f"{name}={quote(REDACTED)}" if hidden else part)
    return f"{head}{mark}{'&'.join(fields)}"


def _form(posted: dict[str, Any]) -> dict[str, Any]:
    found = dict(pairs(posted.get("params")))
    text = posted.get("text")
    if "form" in str(posted.get("mimeType")) and isinstance(text, str):
        found |= dict(parse_qsl(text))
    return found


def _json(text: Any) -> Any:
    try:
        return orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return None


# Reading what a stranger wrote.


def body_of(content: dict[str, Any]) -> bytes | None:
    """Return a body, decoded; None if the file has none.

    Raises
    ------
    ValueError
        If it should be base64 and is not, or if it is compressed and damaged or too large.
    """
    text = content.get("text")
    if not isinstance(text, str) or not (text or content.get("size") == 0):
        return None
    if content.get("encoding") == "base64":
        try:
            # Some programs break its lines.
            return _unpacked(base64.b64decode("".join(text.split()), validate=True))
        except binascii.Error as error:
            raise ValueError(f"its content is not base64: {error}") from None
    return text.encode("utf-8", "replace")


def _unpacked(body: bytes) -> bytes:
    """Return a body that some programs write as it came, compressed."""
    if not body.startswith(GZIP_BEGIN):
        return body
    pieces, size = [], 0
    for piece in Decoder("gzip").feed(body):
        size += len(piece)
        if size > MOST_BYTES:
            raise ValueError(f"its content unfolds into more than {storage(MOST_BYTES)}")
        pieces.append(piece)
    return b"".join(pieces)


def pairs(given: Any) -> list[tuple[str, str]]:
    """Return names and values of headers, cookies or parameters."""
    each: Iterable[Any] = given if isinstance(given, list) else []
    return [
        (str(one["name"]), str(one["value"]))
        for one in each
        if isinstance(one, dict) and "name" in one and "value" in one
    ]


def mime_of(one: dict[str, Any]) -> str:
    """Return the media type of an entry's response."""
    mime = as_dict(as_dict(one.get("response")).get("content")).get("mimeType")
    return str(mime or "").partition(";")[0].strip().lower()


def as_dict(value: Any) -> dict[str, Any]:
    """Return an object of JSON; for anything else an empty one."""
    return value if isinstance(value, dict) else {}
