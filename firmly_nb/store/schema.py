"""Columns of a Parquet file of recordings, and how they become those of a table.

Both stored tables are declared like every other one (``schema.Table``); the Parquet schema is made
from the declaration. They hold the columns of ``EVENTS`` and ``ORDERS``, so that whoever opens a
file finds what docs/tables.md describes, and beside them what it takes to make the records again.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it has no types

from firmly_nb.latency.columns import categorical
from firmly_nb.latency.stages import STORED_STAGES
from firmly_nb.recorder.tables import EVENTS, ORDERS
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


FORMAT_VERSION = 1
JSON = frozenset({"data", "tags"})  # columns of the tables that are JSON text in the files

STORED_EVENTS = Table(
    "stored_events",
    "one row a server-sent event, in the files of a saved set",
    (
        *EVENTS.columns,
        Column("t_ns", "int64", "ns", "arrival after t_start, exactly"),
        Column("read_delay_us", "float64", "µs", "from arrival until the recorder had the bytes"),
        Column("event_id", "str", "", "the id that the stream gave it"),
        Column("outline", "object", "", "of large data what tells how the order went, as JSON"),
    ),
)
STORED_ORDERS = Table(
    "stored_orders",
    "one row an attempted order, in the files of a saved set",
    (
        # The domain is the name of a folder, where a long one is cut: here it stands whole.
        *(
            Column("merchant", c.dtype, c.unit, "the domain, exactly") if c.name == "domain" else c
            for c in ORDERS.columns
        ),
        Column("n_events", "int64", "", "how many events it has"),
        Column("milestones", "category", "", "its event names in order, as JSON; null for ours"),
        Column("start", "object", "", "the record of its start, as JSON"),
        Column("end", "object", "", "the record of its end, as JSON; null if it was cut off"),
        Column("warnings", "object", "", "what was to be said beside its end, as JSON"),
    ),
)


ARROW = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "boolean": pa.bool_(),
    "datetime64[ns, utc]": pa.timestamp("ns", "UTC"),
}


def arrow_type(dtype: str) -> pa.DataType:
    """Return the Parquet type of a column; an object column holds text.

    Examples
    --------
    >>> arrow_type("Int64"), arrow_type("object")
    (DataType(int64), DataType(string))
    """
    if dtype == "category":
        return pa.dictionary(pa.int32(), pa.string())
    return ARROW.get(dtype.lower(), pa.string())


@cache
def arrow_schema(table: Table) -> pa.Schema:
    """Return the Parquet schema of a stored table, with the version of the format."""
    return pa.schema(
        [pa.field(c.name, arrow_type(c.dtype)) for c in table.columns],
        metadata={"firmly_nb.format_version": str(FORMAT_VERSION)},
    )


def arrow_table(table: Table, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Build the Arrow table of a stored table from one mapping a row.

    Raises
    ------
    OverflowError, pyarrow.ArrowInvalid, pyarrow.ArrowTypeError
        If a value does not fit its column.
    """
    arrays = []
    for column in table.columns:
        values = [row.get(column.name) for row in rows]
        kind = arrow_type(column.dtype)
        if column.dtype.startswith("datetime64"):
            # Whole nanoseconds; a detour over pandas would take the least one for a null.
            arrays.append(pa.array(values, pa.int64()).cast(kind))
        elif column.dtype == "category":
            arrays.append(pa.array(values, pa.string()).dictionary_encode())
        else:
            arrays.append(pa.array(values, kind))
    return pa.Table.from_arrays(arrays, schema=arrow_schema(table))


def arrow_of(table: Table, frame: pd.DataFrame) -> pa.Table:
    """Return a DataFrame as an Arrow table with the columns that a table has in files.

    Examples
    --------
    >>> arrow_of(EVENTS, EVENTS.empty()).num_rows
    0
    """
    arrays = []
    for column in table.columns:
        kind, values = arrow_type(column.dtype), frame[column.name]
        if column.dtype == "category":
            array = pa.array(values.astype("object"), pa.string(), from_pandas=True)
            arrays.append(array.dictionary_encode())
        else:
            arrays.append(pa.array(values, kind, from_pandas=True))
    return pa.Table.from_arrays(arrays, names=table.names)


# Without these a file tells nothing of what it is made for; older versions wrote them as well.
NEEDED = {
    STORED_ORDERS.name: ("recording_id",),
    STORED_EVENTS.name: ("recording_id", "seq", "event"),
    STORED_STAGES.name: (
        *("stage", "to_milestone", "duration_ms", "uncertainty_us", "coalesced", "gathered"),
        *("order_row", "place", "together", "n_events", "n_coalesced"),
    ),
}
TELLING = {table.name: NEEDED[table.name] for table in (STORED_ORDERS, STORED_EVENTS)}


def check_columns(found: pa.Schema, table: Table) -> None:
    """Look whether a file is one of a table: any other wrong column costs that column only.

    Raises
    ------
    ValueError
        If a column that is needed is missing, or is text where numbers are declared, or the other
        way round; or if one comes twice.

    Examples
    --------
    >>> check_columns(pa.schema({"at": pa.string()}), STORED_EVENTS)
    Traceback (most recent call last):
        ...
    ValueError: it has no column recording_id
    """
    if found.equals(arrow_schema(table)):
        return
    if len(set(found.names)) < len(found.names):
        raise ValueError("it has two columns of one name")
    kinds = {column.name: arrow_type(column.dtype) for column in table.columns}
    for name in NEEDED[table.name]:
        if name not in found.names or pa.types.is_null(found.field(name).type):
            raise ValueError(f"it has no column {name}")
        kind = found.field(name).type
        if _sort(kind) != _sort(kinds[name]):
            raise ValueError(f"its column {name} is {kind}, not {kinds[name]}")


def _sort(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return "text"
    return "nested" if pa.types.is_nested(kind) else "number"


def conform(found: pa.Table, table: Table, names: Sequence[str]) -> pa.Table:
    """Give a table that was read the declared columns: another version may lack some.

    A missing column is null, and 0 or false where its kind has no null; a further one is passed
    over.

    Raises
    ------
    ValueError
        If a column that tells what a row is has a null.
    pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError
        If a column holds what cannot be made into its kind.
    """
    kinds = {c.name: c.dtype for c in table.columns}
    arrays = []
    for name in names:
        kind = arrow_type(kinds[name])
        if name not in found.column_names:
            array = pa.chunked_array([pa.nulls(len(found), kind)])
        else:
            array = found[name]
            array = array if array.type == kind else array.cast(kind)
        if name in TELLING.get(table.name, ()) and array.null_count:
            raise ValueError(f"its column {name} has {array.null_count} nulls")
        if kinds[name] in {"int64", "int32", "bool"} and array.null_count:
            array = array.fill_null(pa.scalar(0).cast(kind))
        arrays.append(array)
    return pa.table(arrays, names=list(names))


def series(values: pa.ChunkedArray, column: Column) -> pd.Series[Any]:
    """Return a column of a table from what was read."""
    match column.dtype:
        case "category":
            return pd.Series(categorical(*coded(values)))
        case "object":
            texts = values.to_pylist()
            if column.name in JSON:
                # An order without tags has an empty mapping, an event without data has none.
                nothing: Callable[[], Any] = dict if column.name == "tags" else type(None)
                texts = [nothing() if text is None else orjson.loads(text) for text in texts]
            return pd.Series(texts, dtype="object")
        case "Int64" | "Float64":
            kind: Any = pd.Int64Dtype() if column.dtype == "Int64" else pd.Float64Dtype()
            return pd.Series(kind.__from_arrow__(values))
        case "float64" | "int64" | "bool":
            return pd.Series(values.to_numpy(), dtype=column.dtype)
        case _:
            found: pd.Series[Any] = values.to_pandas().astype(column.dtype)
            return found


def coded(values: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """Return for each text its number, -1 for a null, and the texts.

    Examples
    --------
    >>> coded(pa.chunked_array([["b", None], ["a", "b"]]))
    (array([ 0, -1,  1,  0], dtype=int32), ['b', 'a'])
    """
    whole = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    whole = whole.unify_dictionaries() if whole.num_chunks > 1 else whole
    dictionary = whole.chunk(0).dictionary if whole.num_chunks else pa.array([], pa.string())
    indices = (chunk.indices for chunk in whole.chunks)
    chunks = [(pc.fill_null(one, -1) if one.null_count else one).to_numpy() for one in indices]
    return np.concatenate([np.empty(0, np.int32), *chunks]), dictionary.to_pylist()
