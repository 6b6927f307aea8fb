"""Tables as DuckDB relations: the files of a saved set are asked where they lie."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from firmly_nb.recording.parquet_rows import stored_rows
from firmly_nb.recording.parquet_schema import STORED_EVENTS, STORED_ORDERS, arrow_table
from firmly_nb.recording.tables import EVENTS, ORDERS

if TYPE_CHECKING:
    from firmly_nb.recording.sources import Source

TABLES = {"events": (EVENTS, STORED_EVENTS), "orders": (ORDERS, STORED_ORDERS)}
NOW = "judged now: "  # no column of a table begins so
GLOB = re.compile(r"[*?\[]")


def relation(source: Source, table: str, connection: Any = None) -> Any:
    """Return a table of a source as a relation; see ``Recordings.relation``.

    Raises
    ------
    KeyError
        If there is no such table.
    """
    if table not in TABLES:
        raise KeyError(f"no relation {table!r}; there are {sorted(TABLES)}")
    asked = connection or duckdb.default_connection()
    return reduce(lambda a, b: a.union(b), [_one(part, table, asked) for part in source.parts])


def _one(source: Source, table: str, connection: Any) -> Any:
    paths = source.paths(table)
    if not paths:
        return _as_declared(connection.from_arrow(_in_memory(source, table)), table)
    # A path is a pattern to DuckDB: brackets make each of its own signs a plain one.
    plain = [GLOB.sub(lambda found: f"[{found[0]}]", path) for path in paths]
    files = connection.read_parquet(plain, union_by_name=True, hive_partitioning=False)
    judged = source.judged_now() if table == "orders" else None
    if judged is not None:
        files = files.join(connection.from_arrow(_judged(source, judged)), "recording_id", "left")
    found = _as_declared(files, table)
    if source.is_whole:
        return found
    wanted = connection.from_arrow(pa.table({"recording_id": pa.array(source.ids(), pa.string())}))
    return found.join(wanted, "recording_id", how="semi")


def _as_declared(found: Any, table: str) -> Any:
    """Select the columns of the table; one that an older version did not write is null."""
    columns = []
    for name in TABLES[table][0].names:
        there = "merchant" if name == "domain" else name
        value = f'"{there}"' if there in found.columns else "NULL"
        if (now := f"{NOW}{name}") in found.columns:
            value = f'coalesce({value}, "{now}")'
        columns.append(f'{value} AS "{name}"')
    return found.project(", ".join(columns))


def _judged(source: Source, judged: Any) -> pa.Table:
    """Return what was judged now of orders that an older version saved."""
    ids = source.ids()
    columns = {name: getattr(judged, name) for name in judged._fields if name != "places"}
    columns = {f"{NOW}{name}": pa.array(values, pa.string()) for name, values in columns.items()}
    return pa.table({"recording_id": pa.array([ids[n] for n in judged.places]), **columns})


def _in_memory(source: Source, table: str) -> pa.Table:
    """Return the table of recordings in memory, none where a set has no readable file."""
    held = [] if source.paths(table) is not None else list(source)
    rows = [stored_rows(recording, {}, keep_personal=True) for recording in held]
    found = [order for order, _ in rows] if table == "orders" else [e for _, es in rows for e in es]
    return arrow_table(TABLES[table][1], found)
