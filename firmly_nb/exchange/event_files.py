"""Files with times of events that other tools wrote: CSV, JSON lines, AIPerf's raw export.

They become the two tables that ``fnb.from_events`` looks at. Of AIPerf's file only names and times
are taken: it holds headers and payloads with their secrets.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import orjson
import pandas as pd

from firmly_nb.display.messages import coded_error, quoted
from firmly_nb.display.paths import expanded
from firmly_nb.display.text import count, storage
from firmly_nb.exchange.tables import without_prefix

if TYPE_CHECKING:
    import os
    from pathlib import Path

MOST_BYTES = 2 * 1024**3
BEGIN = 65_536  # characters that tell how a file is written
NUMBERS = re.compile(r"_ms$|_us$|^n_items$|^quantity$")
FLAGS = {"true": True, "false": False, "1": True, "0": False}
ZONE = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
WHOLE_MILLISECONDS = 1e6


class Told(NamedTuple):
    """Tables that a file holds, and what is to be said of it."""

    events: pd.DataFrame
    orders: pd.DataFrame | None
    warnings: list[str]


def read_events(path: str | os.PathLike[str]) -> Told:
    """Read the events of a file, and its orders if it has them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read.
    """
    where = expanded(path)
    text = _text(where)
    if _is_json(where, text):
        rows = _rows(where, text)
        if rows and "start_perf_ns" in rows[0] and "responses" in rows[0]:
            return _aiperf(where, rows)
        events = [row for row in rows if "event" in row]
        orders = [row for row in rows if "event" not in row]
        return Told(_frame(where, events), _frame(where, orders) if orders else None, [])
    return Told(_table(where, text), None, [])


def read_orders(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the orders of a file; see :func:`read_events`."""
    where = expanded(path)
    text = _text(where)
    return _frame(where, _rows(where, text)) if _is_json(where, text) else _table(where, text)


def _wrong(where: Path, text: str) -> NoReturn:
    raise coded_error(ValueError, "FNB333", f"{where} {text}")


def _text(where: Path) -> str:
    if not where.exists():
        text = f"No such path: '{where}'. Pass a file of CSV or JSON lines."
        raise coded_error(FileNotFoundError, "FNB401", text)
    try:
        size = where.stat().st_size
        if not where.is_file() or size > MOST_BYTES:
            held = storage(size) if where.is_file() else "a folder"
            _wrong(where, f"is {held}. Pass one file of up to {storage(MOST_BYTES)}.")
        return where.read_bytes().decode("utf-8-sig")
    except OSError as error:
        _wrong(where, f"cannot be read: {error.strerror}. Check its permissions.")
    except UnicodeDecodeError as error:
        _wrong(where, f"is not UTF-8 from byte {error.start} on. Save it as UTF-8.")


def _is_json(where: Path, text: str) -> bool:
    first = text[:BEGIN].lstrip()[:1]
    if first == "[":
        _wrong(where, "is one JSON array. Write one object a line.")
    return first == "{"


def _rows(where: Path, text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    # Texts may hold line ends of other alphabets, which JSON allows.
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            # Whoever wrote it may have been killed in the middle of a line.
            if number == len(lines) and rows:
                break
            _wrong(where, f"has no JSON in line {number}: {quoted(line.strip())}. Correct it.")
        if not isinstance(row, dict):
            _wrong(where, f"has no object in line {number}: {quoted(line.strip())}. Correct it.")
        rows.append(row)
    return rows


def _frame(where: Path, rows: list[dict[str, Any]]) -> pd.DataFrame:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in names}
    frame = pd.DataFrame({name: pd.Series(v, dtype="object") for name, v in columns.items()})
    return _typed(where, frame)


def _table(where: Path, text: str) -> pd.DataFrame:
    """Read a CSV; one of a spreadsheet that writes decimals with a comma has semicolons."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    # Each cart is in one cell; the limit is of the whole process.
    before = csv.field_size_limit(MOST_BYTES - 1)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    held = []
    try:
        names = [str(without_prefix(name.strip())) for name in next(rows, [])]
        if twice := [name for name in names if names.count(name) > 1]:
            _wrong(where, f"has two columns {quoted(twice[0])}. Rename one.")
        for row in rows:
            if not row:
                continue
            if len(row) != len(names):
                many = count(len(row), "value")
                said = f"has {many} in line {rows.line_num} and {len(names)} columns"
                _wrong(where, f"{said}. Correct the line.")
            held.append([without_prefix(value) if value else None for value in row])
    except csv.Error as error:
        _wrong(where, f"cannot be read in line {rows.line_num}: {error}. Correct the line.")
    finally:
        csv.field_size_limit(before)
    columns = zip(*held, strict=True) if held else [()] * len(names)
    frame = pd.DataFrame(
        {n: pd.Series(list(v), dtype="object") for n, v in zip(names, columns, strict=True)}
    )
    return _typed(where, frame, comma=delimiter == ";")


def _typed(where: Path, frame: pd.DataFrame, *, comma: bool = False) -> pd.DataFrame:
    """Return a table with the types that its columns' names stand for."""
    made: dict[str, Any] = {}
    for name in frame.columns:
        column = frame[name]
        if NUMBERS.search(name):
            read = [_number(where, name, v, n, comma=comma) for n, v in enumerate(column)]
            numbers = pd.Series(read, dtype="float64")
            made[name] = numbers.fillna(0.0) if name == "uncertainty_us" else numbers
        elif name == "coalesced":
            made[name] = pd.Series([_flag(where, v, n) for n, v in enumerate(column)], dtype=bool)
        elif name == "started_at":
            made[name] = _starts(where, column)
        elif name == "tags":
            made[name] = pd.Series([_tags(where, v, n) for n, v in enumerate(column)], dtype=object)
        elif name in {"recording_id", "run_id"}:
            # Of a CSV the ids are texts; so that they fit, they are in JSON lines as well.
            made[name] = column.map(_id, na_action="ignore")
    return frame.assign(**made)


def _at(row: int) -> str:
    return f"in row {row} (from 0)"


def _id(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(where: Path, name: str, value: Any, row: int, *, comma: bool) -> float:
    if value is None:
        return float("nan")
    text = value.replace(",", ".") if comma and isinstance(value, str) else value
    try:
        if isinstance(text, (str, int, float)) and not isinstance(text, bool):
            return float(text)
    except ValueError:
        pass
    _wrong(where, f"has no number in {name}: {quoted(value)} {_at(row)}. Correct it.")


def _flag(where: Path, value: Any, row: int) -> bool:
    found = FLAGS.get(str(value).strip().lower()) if value is not None else False
    if found is None:
        _wrong(where, f"has {quoted(value)} in coalesced {_at(row)}. Use true or false.")
    return found


def _starts(where: Path, column: pd.Series[Any]) -> pd.Series[Any]:
    for row, value in enumerate(column):
        if value is None or (isinstance(value, str) and ZONE.search(value.strip())):
            continue
        example = "2026-11-23T09:00:00.123Z"
        _wrong(where, f"has {quoted(value)} in started_at {_at(row)}. Write it like {example}.")
    try:
        return pd.to_datetime(column, utc=True, format="ISO8601").astype("datetime64[ns, UTC]")
    except ValueError as error:
        _wrong(where, f"has a started_at that is no time: {str(error)[:100]}. Correct it.")


def _tags(where: Path, value: Any, row: int) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        _wrong(where, f"has no JSON in tags: {quoted(value)} {_at(row)}. Correct it.")


# AIPerf: one line a request, with each message of its stream.


def _aiperf(where: Path, rows: list[dict[str, Any]]) -> Told:
    events: list[dict[str, Any]] = []
    orders: list[dict[str, Any]] = []
    warm_up = 0
    for number, row in enumerate(rows, start=1):
        try:
            metadata = row["metadata"]
            if metadata.get("benchmark_phase") == "warmup":
                warm_up += 1
                continue
            recording_id = str(metadata.get("x_request_id") or f"request-{number}")
            begin, before = int(row["start_perf_ns"]), None
            for response in row["responses"]:
                name = _name_of(response)
                if name is None:
                    continue
                at_ns = int(response["perf_ns"])
                events.append(
                    {
                        "recording_id": recording_id,
                        "event": name,
                        "t_ms": (at_ns - begin) / WHOLE_MILLISECONDS,
                        "coalesced": at_ns == before,
                    }
                )
                before = at_ns
            orders.append({"recording_id": recording_id, **_order(row, metadata)})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = f"has a request in line {number} that cannot be read ({type(error).__name__})"
            _wrong(where, f"{why}. Export it again with --export-level raw.")
    table = pd.DataFrame(events, columns=["recording_id", "event", "t_ms", "coalesced"])
    said = [f"{where}: {count(warm_up, 'request')} of the warm-up left out"] if warm_up else []
    return Told(table.astype({"t_ms": "float64", "coalesced": bool}), pd.DataFrame(orders), said)


def _name_of(response: dict[str, Any]) -> str | None:
    """Return the name of an event; None of comments and other responses."""
    packets = {one["name"]: one.get("value") for one in response.get("packets") or []}
    if not packets.keys() & {"event", "data"}:
        return None
    return str(packets.get("event") or "message")


def _order(row: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    begin, end = int(metadata["request_start_ns"]), metadata.get("request_end_ns")
    return {
        "started_at": pd.Timestamp(begin, unit="ns", tz="UTC"),
        "order_latency_ms": None if end is None else (int(end) - begin) / WHOLE_MILLISECONDS,
        "outcome": _outcome(row, metadata),
    }


def _outcome(row: dict[str, Any], metadata: dict[str, Any]) -> str | None:
    """Return how a request ended, where the file tells it; else the events do."""
    error, status = row.get("error") or {}, row.get("status")
    if metadata.get("was_cancelled"):
        return "cancelled"
    if isinstance(status, int) and status >= 400:
        return "http_error"
    if error:
        return "timeout" if "timeout" in str(error.get("type")).lower() else "transport_error"
    return None
