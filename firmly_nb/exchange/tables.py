"""The tables of recordings as files for other programs, and as views that SQL can ask.

Each format loses something; ``LOST`` says what, and docs/export.md shows it. A text that a
spreadsheet would run as a formula is none in any of them.
"""

from __future__ import annotations

import io
import math
import re
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import orjson
import pandas as pd

from firmly_nb.carts.schemas import (
    CHANGES,
    CHECK_SUMMARY,
    DISCOUNTS,
    FINDINGS,
    LINE_ITEMS,
    NOT_READ,
    NOTICES,
    SHIPMENTS,
    SNAPSHOTS,
)
from firmly_nb.disk import TemporaryFolder, database, write_whole
from firmly_nb.display.messages import coded_error, quoted, unknown
from firmly_nb.display.paths import expanded
from firmly_nb.display.text import count
from firmly_nb.frames import AS_TEXT, TIME_FORMAT, TableFrame, for_excel, for_parquet
from firmly_nb.latency.caveats import CAVEATS
from firmly_nb.latency.shares import FUNNEL, OUTCOMES
from firmly_nb.latency.stages import STAGES
from firmly_nb.latency.summary import LATENCY
from firmly_nb.recorder.journal import RECORDINGS
from firmly_nb.recorder.records import encode_line
from firmly_nb.recorder.tables import EVENTS, HEADERS, ORDERS

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from firmly_nb.recorder.records import Recorded
    from firmly_nb.schema import Table


class WithTables(Protocol):
    """Recordings, as far as their tables go."""

    @property
    def orders(self) -> pd.DataFrame: ...  # noqa: D102 - as in Recordings
    @property
    def events(self) -> pd.DataFrame: ...  # noqa: D102 - the same


# Each table that is exported, and where recordings have it.
TABLES: Mapping[str, tuple[Table, Callable[[Any], pd.DataFrame]]] = {
    "orders": (ORDERS, lambda recs: recs.orders),
    "events": (EVENTS, lambda recs: recs.events),
    "stages": (STAGES, lambda recs: recs.stages),
    "headers": (HEADERS, lambda recs: recs.headers),
    "caveats": (CAVEATS, lambda recs: recs.caveats),
    "snapshots": (SNAPSHOTS, lambda recs: recs.snapshots),
    "line_items": (LINE_ITEMS, lambda recs: recs.line_items),
    "shipments": (SHIPMENTS, lambda recs: recs.shipments),
    "notices": (NOTICES, lambda recs: recs.notices),
    "discounts": (DISCOUNTS, lambda recs: recs.discounts),
    "changes": (CHANGES, lambda recs: recs.changes),
    "checks": (FINDINGS, lambda recs: recs.checks.findings),
    "check_summary": (CHECK_SUMMARY, lambda recs: recs.checks.summary),
    "not_read": (NOT_READ, lambda recs: recs.checks.not_read),
    "latency": (LATENCY, lambda recs: recs.latency().table),
    "outcomes": (OUTCOMES, lambda recs: recs.outcomes()),
    "funnel": (FUNNEL, lambda recs: recs.funnel()),
}
FORMATS = ("parquet", "csv", "xlsx", "jsonl")
# What reading a format back does not give.
LOST = {
    "parquet": "Cells of JSON are texts; in such a column the text 5 and the number 5 are alike.",
    "csv": "Types are lost: all is text, an empty text is a null, and cells of JSON are texts.",
    "xlsx": "Times are to the millisecond, texts end after 32,767 characters, JSON is text.",
    "jsonl": "Nothing: recordings.jsonl has every record, and fnb.load reads it.",
}
WORKBOOK = "tables.xlsx"
MOST_ROWS = 1_048_575  # of a sheet, below its header
# In SQL these would need quotes.
ALIASES = {"at": "arrived_at", "check": "check_name"}
# Where a spreadsheet may find the begin of a formula: behind blanks and signs that are not seen,
# and behind what parts cells in other countries. There blanks are few: no text takes for ever.
_BLANK = "[\\s\\x00-\\x1f\\x7f-\\x9f\\xad\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2064\\ufeff]"
_SIGN = "[=+\\-@＝＋－＠']"  # noqa: RUF001 - full-width signs are meant
_FIRST = f"(?={_BLANK}*{_SIGN}|[\t\r\n])"
_LATER = f"(?={_BLANK}{{0,20}}{_SIGN})"
FORMULA = re.compile(f"^{_FIRST}|(?<=[;\t]){_LATER}")
PREFIXED = re.compile(f"^'{_FIRST}|(?<=[;\t])'{_LATER}")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
PREFIX = "'"
LINE_END = "\r\n"  # a cell with either sign is quoted


def write_tables(
    recs: WithTables,
    records: Iterable[Recorded],
    folder: str | os.PathLike[str],
    file_format: str,
) -> Path:
    """Write all tables into a folder; files of the same name are replaced.

    Parameters
    ----------
    recs
        The recordings; nothing in them names a person.
    records
        The same, as records.
    folder
        Made if need be.
    file_format
        One of ``FORMATS``.

    Raises
    ------
    ValueError
        If the format is unknown, the folder holds recordings, or a table has more rows than a
        sheet.
    OSError
        If a file cannot be written.
    """
    if file_format not in FORMATS:
        raise coded_error(ValueError, "FNB350", unknown("format", file_format, FORMATS))
    where = expanded(folder)
    _refuse_recordings(where, file_format)
    try:
        where.mkdir(parents=True, exist_ok=True)
        for name, content in _files(recs, records, file_format):
            write_whole(where / name, content)
    except OSError as error:
        text = (
            f"{error.filename or where} cannot be written: {error.strerror}. Name another folder."
        )
        raise coded_error(type(error), "FNB441", text) from error
    return where


def _refuse_recordings(folder: Path, file_format: str) -> None:
    """Refuse a folder of recordings: their files and the tables would be taken for one another."""
    journals = {file.stem for file in folder.glob("*.jsonl")} - {*TABLES, Path(RECORDINGS).stem}
    what = "a saved set" if _is_set(folder) else "journals" * bool(journals)
    if what and (file_format == "jsonl" or what != "journals"):
        text = f"{folder} is a folder of {what}. Export to another folder."
        raise coded_error(ValueError, "FNB353", text)


def _is_set(folder: Path) -> bool:
    if not (folder / "orders").is_dir():
        return False
    # Not above: a small recorder has no Parquet.
    from firmly_nb.store.files import MANIFEST

    return (folder / MANIFEST).exists()


def _files(
    recs: WithTables, records: Iterable[Recorded], file_format: str
) -> Iterator[tuple[str, bytes]]:
    tables = ((name, table, of(recs)) for name, (table, of) in TABLES.items())
    if file_format == "xlsx":
        yield WORKBOOK, _workbook(tables)
        return
    made = {"parquet": as_parquet, "csv": as_csv, "jsonl": as_jsonl}[file_format]
    for name, table, frame in tables:
        yield f"{name}.{file_format}", made(table, frame)
    if file_format == "jsonl":
        lines = (encode_line(record) for order in records for record in order.records())
        yield RECORDINGS, b"".join(lines)


def as_parquet(table: Table, frame: pd.DataFrame) -> bytes:
    """Return a table as a Parquet file, with the declared types whatever its rows are."""
    import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it has no types

    from firmly_nb.store.schema import arrow_of

    plain = for_parquet(frame)
    texts = {
        # A column of JSON can hold numbers only.
        c.name: plain[c.name].map(lambda value: value if isinstance(value, str) else str(value),
                                  na_action="ignore")
        for c in table.columns
        if c.dtype == "object"
    }  # fmt: skip
    held = io.BytesIO()
    pq.write_table(arrow_of(table, plain.assign(**texts)), held)
    return held.getvalue()


def as_csv(table: Table, frame: pd.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8 with a mark that spreadsheets need; no cell is a formula."""
    plain = for_parquet(frame)
    texts = {
        column.name: plain[column.name].astype(object).map(with_prefix, na_action="ignore")
        for column in table.columns
        if column.dtype in {"str", "category", "object"}
    }
    return plain.assign(**texts).to_csv(index=False, lineterminator=LINE_END).encode("utf-8-sig")


def as_jsonl(table: Table, frame: pd.DataFrame) -> bytes:
    """Return a table as JSON lines: times with all nine digits, cells of JSON as JSON."""
    columns = {column.name: _exact(frame[column.name], column.dtype) for column in table.columns}
    rows = zip(*columns.values(), strict=True)
    return b"".join(
        orjson.dumps(dict(zip(columns, row, strict=True)), option=orjson.OPT_NON_STR_KEYS) + b"\n"
        for row in rows
    )


def _exact(column: pd.Series[Any], dtype: str) -> list[Any]:
    if dtype.startswith("datetime64"):
        utc = column.dt.tz_convert(None).to_numpy()
        texts = np.datetime_as_string(utc, unit="ns")
        missing = np.isnat(utc)
        return [None if no else f"{text}Z" for text, no in zip(texts, missing, strict=True)]
    values: list[Any] = column.astype(object).tolist()
    return values if dtype == "object" else [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: a null is one, and infinity a text."""
    if isinstance(value, float):
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return None if math.isnan(value) else value
    return None if value is pd.NA else value


def _workbook(tables: Iterable[tuple[str, Table, pd.DataFrame]]) -> bytes:
    # Where it is missing, pandas would not say what to install.
    import xlsxwriter  # type: ignore[import-untyped]  # noqa: F401 - a look

    held = io.BytesIO()
    with pd.ExcelWriter(
        held, engine="xlsxwriter", datetime_format=TIME_FORMAT, engine_kwargs=AS_TEXT
    ) as writer:
        for name, table, frame in tables:
            if len(frame) > MOST_ROWS:
                text = f"{name} has {count(len(frame))} rows, and a sheet has {count(MOST_ROWS)}."
                raise coded_error(ValueError, "FNB351", f"{text} Use format='parquet' or 'csv'.")
            times = {c.name: f"{c.name} (UTC)" for c in table.columns if "datetime" in c.dtype}
            plain = for_excel(frame).rename(columns=times)
            plain.to_excel(writer, sheet_name=name, index=False, freeze_panes=(1, 0))
            writer.sheets[name].set_column(0, len(times) + len(plain.columns), 16)
    return held.getvalue()


def with_prefix(text: object) -> object:
    """Return a text as a cell of CSV that no spreadsheet runs; numbers stay as they are.

    Examples
    --------
    >>> with_prefix("=1+1"), with_prefix(" @x"), with_prefix("'tis"), with_prefix("-12.5")
    ("'=1+1", "' @x", "''tis", '-12.5')
    >>> with_prefix("a;=1+1")
    "a;'=1+1"
    """
    if not isinstance(text, str) or NUMBER.fullmatch(text):
        return text
    return FORMULA.sub(PREFIX, text)


def without_prefix(text: object) -> object:
    """Return the text of a cell that :func:`with_prefix` wrote.

    Examples
    --------
    >>> without_prefix("'=1+1"), without_prefix("''tis"), without_prefix("a;'=1+1")
    ('=1+1', "'tis", 'a;=1+1')
    """
    return PREFIXED.sub("", text) if isinstance(text, str) else text


# SQL over the tables.


class Views:
    """Folder with tables as Parquet files, each written when it is first asked for."""

    def __init__(self, recs: WithTables) -> None:
        self.recs = recs
        self._temporary = TemporaryFolder()
        self.folder = self._temporary.path

    def connect(self, names: Iterable[str] = tuple(TABLES)) -> Any:
        """Return a DuckDB connection with a view for each of these tables."""
        connection = database()
        # What the views read is there for as long as the connection.
        weakref.finalize(connection, lambda _: None, self)
        connection.execute("SET TimeZone = 'UTC'")
        # A query must not fetch parts of DuckDB from the network by itself.
        connection.execute("SET autoinstall_known_extensions = false")
        for name in names:
            table, of = TABLES[name]
            path = self.folder / f"{name}.parquet"
            if not path.exists():
                write_whole(path, as_parquet(table, of(self.recs)))
            columns = ", ".join(f'"{c}" AS {ALIASES.get(c, c)}' for c in table.names)
            # A path is a pattern to DuckDB.
            plain = re.sub(r"[*?\[]", r"[\g<0>]", str(path))
            connection.read_parquet(plain).project(columns).create_view(name)
        return connection

    def ask(self, query: str) -> pd.DataFrame:
        """Return the rows of a query; only tables that it names are written."""
        if not isinstance(query, str) or not query.strip():
            text = f"sql needs a query, got {quoted(query)}. Try recs.sql('select * from orders')."  # noqa: S608 - for people
            raise coded_error(ValueError, "FNB352", text)
        words = set(re.findall(r"\w+", query.lower()))
        # Without a name of ours it asks which tables there are, or has one wrong.
        named = [name for name in TABLES if name in words] or list(TABLES)
        import duckdb

        with self.connect(named) as connection:
            try:
                found = connection.sql(query)
                rows = found.to_arrow_table() if found is not None else None
            except duckdb.OutOfMemoryException as error:
                text = (
                    "The query needs more memory than DuckDB may use: "
                    f"{str(error).splitlines()[0]}. "
                    "Ask for fewer rows, or raise memory_limit of recs.duckdb()."
                )
                raise coded_error(MemoryError, "FNB355", text) from error
        return TableFrame({} if rows is None else rows.to_pandas())
