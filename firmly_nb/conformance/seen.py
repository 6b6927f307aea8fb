"""Rows of what was seen of an API, held against its description.

Of responses only names, types, statuses and media types are taken. A name that names a person, or
looks like an id or a secret, is left out: what comes out is meant for others.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.client import unread_body
from firmly_nb.api.description import API
from firmly_nb.api.errors import FirmlyError, error_from_body, error_from_payload
from firmly_nb.api.event_names import ERROR, vocabulary
from firmly_nb.api.headers import PROXIES
from firmly_nb.api.personal import mask_personal_text
from firmly_nb.api.secrets import REDACTED, redact_text
from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.display.messages import without_code
from firmly_nb.display.text import cut, listed, printable
from firmly_nb.outcomes import PLACED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import httpx
    import pandas as pd

    from firmly_nb.api.client import Answer
    from firmly_nb.recorder.records import Event
    from firmly_nb.recordings.recording import Recording


SEEN, MISSING, UNDOCUMENTED = "seen", "missing", "undocumented"
NOT_SEEN, OWN = "not seen", "own"
STATUSES = {
    SEEN: "described, and seen",
    MISSING: "described, and not seen where it has to be",
    UNDOCUMENTED: "seen, and described nowhere",
    NOT_SEEN: "described, and nothing here called for it",
    OWN: "sent by the simulator alone, as the description says",
}
DEVIATIONS = (MISSING, UNDOCUMENTED)
CONFORMANCE = Table(
    "conformance",
    "one row a thing that the API's description names, or that was seen",
    (
        Column("kind", "str", "", "call, status, content type, header, field, type, event, ..."),
        Column("name", "str", "", "its name; of a field, kind of object and field"),
        Column("where", "str", "", "calls and events where that holds, with commas between them"),
        Column("status", "str", "", "seen, missing, undocumented, not seen, own"),
        Column("known", "str", "", "how surely it is known; null if it is described nowhere"),
        Column("detail", "str", "", "what else is to be said; empty if nothing is"),
    ),
)
KINDS = (
    *("call", "status", "content type", "encoding", "header", "error", "error shape", "event"),
    *("event order", "stream", "buffering", "data", "field", "type", "value"),
)
ENDPOINTS: dict[str, dict[str, Any]] = {one["id"]: one for one in API["endpoints"] if one["id"]}
ERRORS: dict[str, dict[str, Any]] = {one["name"]: one for one in API["errors"]}
# A proxy names itself; that is no deviation of the API.
TOLERATED = frozenset(API["http_headers"]) | frozenset(PROXIES)
NEEDED = frozenset({"documented", "example"})
USUAL_NAME = re.compile(r"[A-Za-z_$@][\w.$@:/-]{0,59}")
AN_ID = re.compile(r"\d{5,}|(?=[0-9a-f-]*\d)[0-9a-f-]{12,}", re.IGNORECASE)
UNUSUAL = "[unusual name]"
SESSION, STREAM = "browser-session", "place-order"
NO_SESSION = "there is no session"
# Below this, one cannot tell a proxy that gathers events from a merchant that has them all at once.
TOO_FAST_MS = 400.0
LONGEST_WHY = 300
MOST_LOOKED_AT = 500  # elements of a list, and names of an object that no source knows
JSON = "application/json"
EVENT_STREAM = "text/event-stream"


def fields_of(kinds: Iterable[str], api_version: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the described fields of an object: by name, the kind and what is known.

    Examples
    --------
    >>> fields_of(["cart", "order"], 2)["platform_order_number"][0]
    'order'
    """
    return {
        one["name"]: (kind, one)
        for kind in kinds
        for one in API["fields"][kind]
        if api_version in one["in"]
    }


def type_of(value: Any) -> str:
    """Return the JSON type of a value.

    Examples
    --------
    >>> [type_of(value) for value in (True, 1.5, "a", None, [], {})]
    ['boolean', 'number', 'string', 'null', 'array', 'object']
    """
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else names[type(value)]


@dataclass
class Seen:
    """Collector of what was seen, row by row.

    Attributes
    ----------
    own
        Whether this may be the simulator, which sends a few things of its own.
    personal, secrets
        Texts that must be in no name.
    """

    own: bool
    personal: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    rows: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    complete: bool = True
    # Of each described field: how many objects could have it, and how many had it.
    could: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    had: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def name(self, text: Any) -> str:
        """Return a name as it may be shown to others."""
        plain = mask_personal_text(redact_text(str(text), self.secrets), self.personal)
        if plain != str(text) or not USUAL_NAME.fullmatch(plain) or AN_ID.search(plain):
            return UNUSUAL
        return plain

    def add(
        self,
        kind: str,
        name: str,
        where: str,
        status: str,
        known: str | None = None,
        detail: str = "",
    ) -> None:
        """Note something; what holds in several places is one row."""
        if known == "simulator":
            status = OWN if self.own and status == SEEN else status
            status = UNDOCUMENTED if not self.own and status == SEEN else status
        row = self.rows.setdefault(
            (kind, name, status),
            {"kind": kind, "name": name, "status": status, "known": known, "detail": detail},
        )
        row.setdefault("places", {})[where] = None

    def judge(self, kind: str, name: str, where: str, known: str | None, detail: str = "") -> None:
        """Note what was seen: as described, if it is known how surely; else as a deviation."""
        self.add(kind, name, where, SEEN if known else UNDOCUMENTED, known, "" if known else detail)

    def answer(
        self, answer: Answer, endpoint: dict[str, Any], where: str, *, probe: bool = False
    ) -> Any:
        """Note a response and return its JSON; None where it is an error or no JSON.

        A ``probe`` is meant to be refused.
        """
        good, why = 200 <= answer.status < 300, ""
        self.headers(answer.headers, where, endpoint["id"] if good else "")
        self.media(answer.headers.get("content-type", ""), where, JSON)
        payload, is_json = _decoded(answer.body)
        if good:
            self.status(answer.status, where)
            if probe:
                self.add("error", "a refusal", where, MISSING, "documented")
            elif is_json:
                self.add("call", where, where, SEEN, "documented")
                return payload
            else:
                self.judge("data", "no JSON", where, None)
                why = without_code(str(unread_body(answer, self.secrets)))
        else:
            auth = endpoint["id"] == "browser_session"
            error = error_from_body(answer.status, answer.body, self.secrets)
            self.error(error, payload, where, auth=auth)
            why = without_code(str(error))
        if not probe:
            self.lacks_call(where, why)
        return None

    def lacks_call(self, where: str, why: str) -> None:
        """Note a call that gave no usable response: what depends on it was not looked at."""
        self.complete = False
        said = cut(mask_personal_text(redact_text(why, self.secrets), self.personal), LONGEST_WHY)
        self.add("call", where, where, NOT_SEEN, "documented", printable(said))

    def status(self, status: int, where: str) -> None:
        """Note the status of a good response."""
        self.judge("status", str(status), where, "documented" if status == 200 else None)

    def media(self, sent: str, where: str, wanted: str) -> None:
        """Note a media type and its charset."""
        kind, _, parameters = sent.partition(";")
        name = self.name(kind.strip().lower()) if kind.strip() else "none"
        fits = name == wanted
        self.judge("content type", name, where, "guessed" if fits else None, f"described: {wanted}")
        charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters, re.IGNORECASE)
        if charset and charset[1].lower() not in {"utf-8", "utf8"}:
            self.judge("encoding", f"charset {self.name(charset[1])}", where, None)

    def headers(self, names: httpx.Headers | Iterable[str], where: str, endpoint_id: str) -> None:
        """Note the headers of a response, by name."""
        found = {name.lower() for name in names}
        for one in API["headers"]:
            expected, there = endpoint_id in one["calls"], one["name"] in found
            if there:
                self.add("header", one["name"], where, SEEN, one["mark"])
            elif expected and one["mark"] != "simulator":
                absent = MISSING if not one.get("optional") else NOT_SEEN
                self.add("header", one["name"], where, absent, one["mark"])
        for name in sorted(found - TOLERATED - {one["name"] for one in API["headers"]}):
            self.add("header", self.name(name), where, UNDOCUMENTED)

    def error(self, error: FirmlyError, payload: Any, where: str, *, auth: bool = False) -> None:
        """Note an error: its name, its status and the shape of its body."""
        self.error_name(error, where)
        known = ERRORS.get(error.error)
        with_message = auth or bool(known and known.get("shape") == "message")
        wanted = ["error", "message"] if with_message else ["code", "error", "description"]
        self._shape(payload, wanted, where, error.http_status)

    def error_name(self, error: FirmlyError, where: str) -> None:
        """Note the name of an error, and its status."""
        known, status = ERRORS.get(error.error), error.http_status
        unnamed = error.error.startswith("HTTP ") or error.error == "UnknownError"
        name = "without a name" if unnamed else error.error if known else self.name(error.error)
        self.judge("error", name, where, known["mark"] if known else None)
        if status is not None:
            usual = [one["status"] for one in known["statuses"]] if known else []
            fits = status in usual if usual else str(status) in API["statuses"]
            detail = f"described: {listed(map(str, usual))}" if usual else ""
            self.judge("status", str(status), where, "documented" if fits else None, detail)

    def _shape(self, payload: Any, wanted: list[str], where: str, status: int | None) -> None:
        documented = f"{{{', '.join(wanted)}}}"
        if not isinstance(payload, dict):
            shape = "no JSON" if payload is None else f"a JSON {type_of(payload)}"
        elif set(payload) == set(wanted):
            code_fits = payload.get("code") in (None, status) or status is None
            texts = all(isinstance(payload[name], str) for name in wanted if name != "code")
            if code_fits and texts:
                self.judge("error shape", documented, where, "documented")
                return
            shape = f"{documented} with another {'code' if texts else 'type'}"
        else:
            shape = f"{{{', '.join(sorted(map(self.name, payload)))}}}"
        self.judge("error shape", shape, where, None, f"described: {documented}")

    def object(self, value: Any, kinds: Sequence[str], api_version: int, where: str) -> None:
        """Hold an object against the kinds that describe it, and what is in it as well."""
        if not isinstance(value, dict):
            self.judge("type", f"{kinds[0]}: {type_of(value)}", where, None, "described: object")
            return
        known = fields_of(kinds, api_version)
        for name, (kind, one) in known.items():
            key = (f"{kind}.{name}", where, one["mark"] if not one.get("optional") else "")
            self.could[key] += 1
            if name in value and not (value[name] is None and one.get("optional")):
                self.had[key] += 1
                self.add("field", f"{kind}.{name}", where, SEEN, one["mark"])
                self._value(value[name], kind, one, api_version, where)
        for name in islice((name for name in value if name not in known), MOST_LOOKED_AT):
            label = f"{kinds[0]}.{self.name(name)}"
            self.judge("field", label, where, None, type_of(value[name]))

    def _value(
        self, value: Any, kind: str, one: dict[str, Any], api_version: int, where: str
    ) -> None:
        wanted = "object" if one["type"] == "money" else one["type"]
        found, name = type_of(value), f"{kind}.{one['name']}"
        if value == REDACTED or (found == "null" and one.get("or_null")):
            return
        if found != wanted:
            self.judge("type", f"{name}: {found}", where, None, f"described: {one['type']}")
            return
        if "values" in one and value not in one["values"]:
            told = f"described: {listed(one['values'])}"
            self.judge("value", f"{name}: {self.name(value)}", where, None, told)
        inner = "money" if one["type"] == "money" else one.get("of")
        if inner:
            for each in value[:MOST_LOOKED_AT] if isinstance(value, list) else [value]:
                self.object(each, [inner], api_version, where)

    def close(self) -> None:
        """Note the fields that were described and not seen."""
        for (name, where, mark), could in self.could.items():
            lacking = could - self.had[name, where, mark]
            if not lacking:
                continue
            missing = mark in NEEDED
            if missing and lacking < could:
                # One row says it: it is there, and not everywhere.
                self.rows.get(("field", name, SEEN), {}).get("places", {}).pop(where, None)
            if missing or lacking == could:
                detail = f"in {lacking} of {could}" if missing and lacking < could else ""
                status = MISSING if missing else NOT_SEEN
                self.add("field", name, where, status, mark or None, detail)

    def table(self) -> pd.DataFrame:
        """Return what was noted as a table, kind by kind."""
        rows = [
            {**row, "where": ", ".join(row["places"])}
            for row in self.rows.values()
            if row["places"]
        ]
        rows.sort(key=lambda row: KINDS.index(row["kind"]))
        return CONFORMANCE.frame(rows)


def _decoded(body: bytes) -> tuple[Any, bool]:
    try:
        return orjson.loads(body), True
    except orjson.JSONDecodeError:
        return None, False


# The order: its response, its events, their order and their data.


def note_order(seen: Seen, rec: Recording) -> list[str]:
    """Note an order's recording; return the milestones of its stream."""
    start, events, end = rec.recorded[:3]
    placed = end.outcome == PLACED
    seen.complete = seen.complete and placed
    if end.http_status is not None:
        _note_response(seen, rec, end.http_status)
    if placed or events:
        seen.judge("call", STREAM, STREAM, "documented")
    else:
        why = without_code(str(rec.error)) if rec.error else end.outcome
        seen.lacks_call(STREAM, why)
    names = [event.event for event in events]
    _note_names(seen, names, len(start.items), placed=placed)
    for event in events:
        _note_data(seen, event)
    # The order as one JSON body, where a stream was asked for.
    if (found := find_snapshot(end.confirmation)) is not None:
        seen.object(found.data, ["cart", "order"], 2, STREAM)
    _note_stream(seen, rec, events)
    return milestones_of(seen, names)


def _note_response(seen: Seen, rec: Recording, status: int) -> None:
    """Note what is told of the response before its events."""
    end = rec.recorded.end
    kept = {name: value for name, value in end.headers}  # noqa: C416 - pairs are lists
    kind, is_good = kept.get("content-type", ""), 200 <= status < 300
    is_stream = EVENT_STREAM in kind
    names = [*kept, *end.other_headers]
    seen.headers(names, STREAM, "place_order" if is_stream else "")
    seen.media(kind, STREAM, EVENT_STREAM if is_good else JSON)
    encoded = seen.name(end.encoding) if end.encoding else "identity"
    asked_for = "identity was asked for"
    seen.judge("encoding", encoded, STREAM, None if end.encoding else "guessed", asked_for)
    if is_good:
        seen.status(status, STREAM)
    elif (error := rec.error) is not None:
        seen.error_name(error, STREAM)


def _note_names(seen: Seen, names: list[str], n_items: int, *, placed: bool) -> None:
    spoken = vocabulary(names)
    times = Counter(names)
    for name in (*spoken, ERROR):
        if name in times:
            seen.add("event", name, STREAM, SEEN, "documented")
            most = n_items if name == "item-added" else 1
            if times[name] > max(most, 1):
                seen.add("event", f"{name}, {times[name]} times", STREAM, UNDOCUMENTED)
        else:
            # Of an order that failed the rest is not to be expected.
            gone = placed and name != ERROR
            seen.add("event", name, STREAM, MISSING if gone else NOT_SEEN, "documented")
    for name in times:
        if name not in spoken and name != ERROR:
            unnamed = name == "message"
            label = "without a name" if unnamed else seen.name(name)
            seen.judge("event", label, STREAM, None)
    order = list(dict.fromkeys(name for name in names if name in spoken))
    if len(order) > 1:
        fits = order == [name for name in spoken if name in times]
        known = "documented" if fits else None
        detail = f"described: {', '.join(spoken)}"
        seen.judge("event order", ", ".join(order), STREAM, known, detail)


DATA_KEYS: dict[str, dict[str, Any]] = {
    one["name"]: one for pages in ("reference", "guide") for one in API["events"][pages]["names"]
}


def _note_data(seen: Seen, event: Event) -> None:
    """Note the data of an event: under which key its cart is, and the fields in it."""
    data = event.data
    where = seen.name(event.event) if event.event != "message" else "an event without a name"
    if event.event == ERROR:
        _note_error_event(seen, data)
        return
    if not isinstance(data, dict):
        if data is not None and data != "":
            shape = "no JSON object" if isinstance(data, str) else f"a JSON {type_of(data)}"
            seen.judge("data", shape, where, None)
        elif event.event in DATA_KEYS and DATA_KEYS[event.event]["data"]:
            seen.judge("data", "none", where, None)
        return
    told = DATA_KEYS.get(event.event)
    key = told["data"] if told else None
    found = find_snapshot(data, event.event)
    wrapped = found is not None and found.data is not data
    if told and key:
        there = isinstance(data.get(key), dict)
        absent = MISSING if told["mark"] in NEEDED else NOT_SEEN
        seen.add("field", f"data.{key}", where, SEEN if there else absent, told["mark"])
    if found is None or wrapped:
        for name in data:
            of_unknown = told is None and wrapped and data[name] is (found and found.data)
            if name != key and not of_unknown and (told is not None or wrapped):
                mark = "simulator" if told and name == told.get("own") else None
                label = f"data.{seen.name(name)}"
                seen.judge("field", label, where, mark, type_of(data[name]))
    if found is not None and (key or told is None):
        kinds = ["cart", "order"] if "order" in {key, found.kind} else ["cart"]
        seen.object(found.data, kinds, 2, where)


def _note_error_event(seen: Seen, data: Any) -> None:
    error, where = error_from_payload(data), "error event"
    seen.error_name(error, where)
    # No page describes its shape: what can be read is good.
    known = error.error in ERRORS
    shape = "readable" if known else "not readable"
    seen.judge("error shape", shape, where, "guessed" if known else None)


def _note_stream(seen: Seen, rec: Recording, events: Sequence[Event]) -> None:
    """Note what the stream does beside its events, and whether they come one by one."""
    end = rec.recorded.end
    extra = {
        "heartbeats": bool(end.comments_ns),
        "id fields": any(event.id for event in events),
        "left open after its last event": end.stream_left_open,
        "an event that does not end": bool(end.unfinished),
        "bytes outside of its events": any(
            text.startswith("the stream has ") for text in rec.warnings
        ),
    }
    for name, there in extra.items():
        if there:
            seen.add("stream", name, STREAM, UNDOCUMENTED)
    if len(events) < 3:
        return
    gathered = len({event.read_no for event in events}) <= 2
    fast = (end.t_end_ns or 0) / 1e6 < TOO_FAST_MS
    status = (NOT_SEEN if fast else MISSING) if gathered else SEEN
    detail = "the order was too fast to tell" if gathered and fast else ""
    if status == MISSING:
        detail = "they came together at the end: the server or a proxy gathers them"
    seen.add("buffering", "events come one by one", STREAM, status, "documented", detail)


def milestones_of(seen: Seen, names: Sequence[str]) -> list[str]:
    """Return the names of the stages' ends, in the order in which the stream has them.

    Of a stream that has all names of a described vocabulary these are its names. Of another one
    all, without those that come again and again and are not of items.
    """
    spoken, times = vocabulary(names), Counter(names)
    in_order = [name for name in times if name not in {ERROR, "message"}]
    if all(name in times for name in spoken):
        return [name for name in in_order if name in spoken]
    once = [name for name in in_order if times[name] == 1 or name in spoken or "item" in name]
    return [name for name in once if seen.name(name) == name]
