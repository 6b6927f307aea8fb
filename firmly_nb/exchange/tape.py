"""Recorded orders as bytes to send again: what a replay answers with.

One line an order: what it asked for, then status, headers and each event with its time. A recording
has no secret, and a tape no address either, so what is sent again has placeholders there. These
cannot be sent again, because a recording does not hold them:

- bytes outside of events, beyond how an event began that never ended;
- the compression, except that of a response that nobody could read;
- the text of an error's page, beyond what was read of it;
- what came after an order was cancelled, or its recorder was killed.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.event_names import milestone_of
from firmly_nb.api.money import read_money
from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.display.messages import coded_error, quoted, unknown
from firmly_nb.display.text import count
from firmly_nb.outcomes import EXTERNAL, YES
from firmly_nb.recorder.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from firmly_nb.recorder.records import End, Event, Recorded, Start


EVENT_STREAM, JSON = "text/event-stream", "application/json"
# What the server that replays says itself, or what belonged to the connection of then.
OWN_HEADERS = frozenset(
    (
        *("connection", "content-encoding", "content-length", "date", "keep-alive"),
        *("transfer-encoding", "vary"),
    )
)
STATUS_AS_CODE = re.compile(r"HTTP \d+")
LEADS = re.compile(r"it redirects to (\S+), which is not followed")
HEADER_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9a-z]+")
BODY_CUT = re.compile(r"received (\d+) bytes, expected (\d+)")
UNFINISHED = re.compile(r"((?:event|id|retry): ?\S*) (?=(?:event|id|retry|data):)")
RESET = "ReadError"
BROKEN_CHUNK = "illegal chunk header"
MOST_BLANKS = 1 << 22  # in place of what is not kept of an event that never ended


@dataclass
class Taped:
    """Contents of a tape: its orders, and what was left out.

    Attributes
    ----------
    orders
        Number of orders on it.
    left_out
        How many recordings are not on it, by reason.
    stages
        Names of the events that end a stage.
    environments
        Where they were recorded, and how many.
    """

    orders: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    stages: dict[str, None] = field(default_factory=dict)
    environments: Counter[str] = field(default_factory=Counter)

    @property
    def problems(self) -> list[str]:
        """One sentence for each reason why recordings are not replayed."""
        return [
            f"{count(n, 'recording')} cannot be replayed: {reason}."
            for reason, n in self.left_out.most_common()
        ]


def write_tape(recordings: Iterable[Recorded], path: Path, slow: Iterable[str] = ()) -> Taped:
    """Write recorded orders to a file that only this user can read.

    Parameters
    ----------
    recordings
        The records of each order.
    path
        The file.
    slow
        Names of the stages that will take longer; each must be of a recorded order.

    Raises
    ------
    ValueError
        If there is no order to replay, or no recorded order has such a stage.
    """
    taped = Taped()
    merchants: dict[str, dict[str, dict[str, Any]]] = {}
    with open(path, "wb", opener=lambda name, how: os.open(name, how, 0o600)) as file:
        for one in recordings:
            if reason := why_not(one):
                taped.left_out[reason] += 1
                continue
            file.write(line(one))
            taped.orders += 1
            taped.environments[one.start.environment] += 1
            names = (milestone_of(e.event, one.start.milestones) for e in one.events)
            taped.stages.update(dict.fromkeys(filter(None, names)))
            _note_variants(merchants.setdefault(one.start.domain, {}), one)
        file.write(orjson.dumps(merchants) + b"\n")
    if not taped.orders:
        why = " ".join(taped.problems) or "There are no recordings."
        raise coded_error(
            ValueError, "FNB040", f"There is nothing to replay. {why} Pass recordings of orders."
        )
    for name in slow:
        if name not in taped.stages:
            text = unknown("stage", name, taped.stages, "slow")
            raise coded_error(ValueError, "FNB041", text)
    return taped


def slow_text(slow: Any) -> str:
    """Return how much slower stages are, as the simulator's option writes it.

    Raises
    ------
    ValueError
        If it is not a mapping from stages to factors above 0.

    Examples
    --------
    >>> slow_text({"shipping-updated": 1.3})
    'shipping-updated=1.3'
    """
    example = 'Example: slow={"shipping-updated": 1.3}.'
    if not hasattr(slow, "items"):
        text = f"slow must map stages to factors, got {quoted(slow)}. {example}"
        raise coded_error(ValueError, "FNB041", text)
    for stage, factor in slow.items():
        is_number = isinstance(factor, (int, float)) and not isinstance(factor, bool)
        if not is_number or not 0 < factor < math.inf:
            text = f"slow: the factor of {quoted(stage)} must be above 0, got {quoted(factor)}."
            raise coded_error(ValueError, "FNB041", f"{text} {example}")
    return ",".join(f"{stage}={factor}" for stage, factor in slow.items())


def why_not(one: Recorded) -> str:
    """Return why an order cannot be replayed; an empty text if it can."""
    start, events, end = one.start, one.events, one.end
    if start.environment == EXTERNAL:
        return "another tool told the times, and nobody recorded what was sent"
    if start.flow:
        return "several calls placed it, and a replay answers Place Order alone"
    if not start.items:
        return "the recording does not say what was ordered"
    if end.sent is False:
        return "nothing was sent, so there was nothing to answer"
    if one.cut_off and not events:
        return "the recorder was killed before the first event"
    return ""


def line(one: Recorded) -> bytes:
    """Return an order as a line: what it asked for, a tab, and what came back."""
    start = one.start
    end = masked(one.end, start)
    asked = [start.domain, start.sse, wanted(start)]
    parts = [*_parts(one, end)] if one.events else []
    answer: dict[str, Any] = {
        "recording_id": start.recording_id,
        "status": end.http_status or (200 if one.events else None),
        "headers": _headers(end, is_stream=bool(parts) or _ends_as_stream(start, end)),
        "head_ns": end.t_headers_ns or (one.events[0].t_ns if one.events else None),
        "parts": parts,
        "end_ns": end.t_end_ns,
        "then": _then(one),
        "cart": _cart(one, end),
    }
    if not one.events:
        answer |= _body(start, end)
    answer["parts"] += [[t, ":\n", "", ""] for t in end.comments_ns]
    if one.events and (came := BODY_CUT.search(end.error_description or "")):
        size = sum(len(text.encode()) for _, text, *_ in answer["parts"])
        answer["length"] = size + int(came[2]) - int(came[1])
    answer["parts"].sort(key=lambda part: part[0])
    return orjson.dumps(asked) + b"\t" + orjson.dumps(answer) + b"\n"


def wanted(start: Start) -> list[list[Any]]:
    """Return variant and quantity of each item, in an order of their own.

    Examples
    --------
    >>> from firmly_nb.recorder import Start
    >>> wanted(Start("r", 0, "simulator", "a.test", [{"variant_id": "X"}], True, "warm", 9))
    [['X', 1]]
    """
    pairs = [[str(i.get("variant_id", "")), i.get("quantity", 1)] for i in start.items]
    return sorted(pairs, key=str)


def _parts(one: Recorded, end: End) -> Iterator[list[Any]]:
    """Yield time, text, name and milestone of what a stream sent, event by event."""
    last_id, sent_ns = "", 0
    for event in one.events:
        # A read that the kernel did not stamp is told later than it came, and the next one earlier.
        sent_ns = max(sent_ns, event.t_ns)
        told = masked(event, one.start)
        head = f"id: {told.id}\n" if told.id != last_id else ""
        last_id = told.id
        text = f"{head}event: {told.event}\n{_data_lines(event, told)}\n"
        stage = milestone_of(event.event, one.start.milestones) or ""
        yield [sent_ns, text, told.event, stage]
    if end.unfinished:
        # When it came is not recorded: with the end of the stream at the latest.
        yield [end.t_end_ns, _begun(end), "", ""]


def _begun(end: End) -> str:
    """Return the event that never ended, as far as it was kept, and as long as it was."""
    text = UNFINISHED.sub(r"\1\n", end.unfinished or "")
    return text + " " * (min(end.unfinished_bytes, MOST_BLANKS) - len(text.encode()))


def _data_lines(event: Event, told: Event) -> str:
    return "".join(f"data: {part}\n" for part in _data(event, told).split("\n"))


def _data(event: Event, told: Event) -> str:
    r"""Return the data of an event: exact where that is kept, else as long as it was.

    Examples
    --------
    >>> from firmly_nb.recorder import Event
    >>> event = Event(1, "note", {"a": 1}, 5, None, "user", 0.0, 1, False, 0.0, size=9)
    >>> _data(event, event)
    '{"a":1}  '
    """
    exact = event.exact
    if exact and told.data == event.data:
        return exact
    if told.data is None and not event.size:
        return ""
    text = orjson.dumps(told.data).decode()
    plain = told.data
    if isinstance(plain, str) and plain and not _is_json(plain):
        # It came as it is, or as JSON: the size tells.
        return text if len(text.encode()) == event.size else plain
    return text + " " * max(event.size - len(text.encode()), 0)


def _is_json(text: str) -> bool:
    # A text with line ends of its own can only have come as JSON.
    if "\r" in text:
        return True
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _ends_as_stream(start: Start, end: End) -> bool:
    """Return whether a response without events was a stream all the same."""
    kinds = [value for name, value in end.headers if name == "content-type"]
    is_stream = EVENT_STREAM in kinds[-1].lower() if kinds else start.sse
    return is_stream and end.outcome not in {"http_error", "placed"} and not end.confirmation


def _headers(end: End, *, is_stream: bool) -> list[list[str]]:
    unread = end.error_code == "UnreadableEncoding"
    kept = [
        [name, value]
        for name, value in end.headers
        if (name not in OWN_HEADERS or (unread and name == "content-encoding"))
        and HEADER_NAME.fullmatch(name)
        and value.isprintable()
    ]
    names = {name for name, _ in kept}
    # Versions before the second edition kept no headers at all.
    if not (end.headers or end.other_headers) and not _without_type(end):
        kept.append(["content-type", EVENT_STREAM if is_stream else JSON])
    if end.retry_after_s is not None and "retry-after" not in names:
        kept.append(["retry-after", f"{end.retry_after_s:g}"])
    if found := LEADS.match(end.error_description or ""):
        place = found[1] if found[1].startswith("/") else f"https://{found[1]}"
        kept.append(["location", place])
    return kept


def _without_type(end: End) -> bool:
    return any("with no content type" in text for text in end.warnings)


def _body(start: Start, end: End) -> dict[str, Any]:
    """Return the parts of a response without events: its body, as far as it was read."""
    came = BODY_CUT.search(end.error_description or "")
    if end.http_status is None or (_ends_as_stream(start, end) and not came):
        return {"parts": [[end.t_end_ns, _begun(end), "", ""]] if end.unfinished else []}
    if came:
        return {"parts": [[end.t_end_ns, " " * int(came[1]), "", ""]], "length": int(came[2])}
    text = _text(end)
    told = {"length": len(text.encode())} if _is_whole(end) else {}
    return {"parts": [[end.t_end_ns, text, "", ""]] if text else [], **told}


def _is_whole(end: End) -> bool:
    return end.outcome in {"placed", "http_error", "incomplete"}


# The recorder quotes how a body began that it could not read.
NO_STREAM = re.compile("expected an event stream, got [^:]*(?:: (.*))?", re.DOTALL)
NO_JSON = re.compile("the answer is no whole JSON(?:: (.*))?", re.DOTALL)
NO_BODY = frozenset({"empty body", "a stream without an error event"})


def _text(end: End) -> str:
    """Return a body in which a client finds what was found."""
    code, description = end.error_code or "", end.error_description or ""
    if end.confirmation is not None:
        return orjson.dumps(end.confirmation).decode()
    if end.outcome != "http_error":
        # A plain order that is answered by no more than the JSON for nothing is incomplete.
        return "null" if end.outcome == "incomplete" else ""
    unread = _unread(code, description)
    if unread is not None:
        return unread
    if not STATUS_AS_CODE.fullmatch(code):
        told = {"code": end.http_status, "error": code, "description": description}
        return orjson.dumps(told).decode()
    if LEADS.match(description) or description in NO_BODY:
        return ""
    is_page = any(name == "content-type" and "html" in value for name, value in end.headers)
    return f"<!doctype html><title>{escape(description)}</title>" if is_page else description


def _unread(code: str, description: str) -> str | None:
    """Return what is known of a body that the recorder could not read; None if it could."""
    if code == "UnreadableEncoding":
        return "?"
    if quoted := NO_STREAM.fullmatch(description):
        return quoted[1] or ""
    if quoted := NO_JSON.fullmatch(description):
        return "{" if quoted[1] and _is_json(quoted[1]) else quoted[1] or ""
    return None


def _then(one: Recorded) -> str:
    """Return what came after the last byte: the end, silence, or a broken connection."""
    end, code = one.end, one.end.error_code
    if end.outcome in {"timeout", "cancelled"} or end.stream_left_open:
        return "stall"
    if end.outcome != "transport_error" or one.cut_off:
        return "on"
    if code == RESET:
        return "reset"
    return "broken-chunk" if BROKEN_CHUNK in (end.error_description or "") else "cut"


def _cart(one: Recorded, end: End) -> Any:
    """Return the merchant's cart after the order, if something told it: an order, or a question."""
    seen = [find_snapshot(each.data, each.event) for each in one.events]
    answers = [*filter(None, seen), *filter(None, [find_snapshot(end.confirmation)])]
    last = answers[-1] if answers else None
    settled = end.settled
    if settled is None:
        return _masked(one, last.data) if last and last.kind == "order" else None
    cart = _masked(one, last.data) if last else {}
    if settled.order_exists == YES:
        return {**cart, "cart_status": "submitted", "platform_order_number": settled.order_number}
    return {**cart, "cart_status": "active"} if settled.order_exists == "no" else None


def _masked(one: Recorded, cart: Any) -> Any:
    """Return a cart in which nothing names a person, by way of what masks an event."""
    return masked(replace(one.events[0], data=cart), one.start).data if one.events else cart


def _note_variants(known: dict[str, dict[str, Any]], one: Recorded) -> None:
    """Note what was ordered of a merchant, and what its carts tell of it."""
    for item in one.start.items:
        known.setdefault(str(item.get("variant_id", "")), {})
    for event in one.events:
        snapshot = find_snapshot(event.data, event.event)
        lines = snapshot.data.get("line_items") if snapshot else None
        for each in lines if isinstance(lines, list) else ():
            variant = each.get("variant_id") if isinstance(each, dict) else None
            if isinstance(variant, str) and known.get(variant) == {}:
                known[variant] = _variant(each)


def _variant(line_item: Mapping[str, Any]) -> dict[str, Any]:
    texts = {
        name: line_item.get(field)
        for name, field in (("title", "description"), ("options", "variant_description"))
    }
    price = read_money(line_item.get("price"))
    image = line_item.get("image")
    url = image.get("url") or image.get("src") if isinstance(image, dict) else None
    told = {**texts, "image": url}
    return {
        **{name: value for name, value in told.items() if isinstance(value, str)},
        **({"price": price.minor, "currency": price.currency} if price else {}),
        "seen": True,
    }
