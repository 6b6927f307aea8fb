"""Tables as DuckDB relations: the files of a saved set are asked where they lie."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from firmly_nb.latency.stages import STAGES
from firmly_nb.recorder.tables import EVENTS, HEADERS, ORDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa  # type: ignore[import-untyped]  # it has no types


RELATIONS = {"events": EVENTS, "orders": ORDERS, "stages": STAGES, "headers": HEADERS}
NOW = "judged now: "  # no column of a table begins so
PATTERN = re.compile(r"[*?\[]")


def parquet(paths: Sequence[str], connection: Any, **options: Any) -> Any:
    """Return Parquet files as a DuckDB relation, whatever signs are in their paths."""
    # A path is a pattern to DuckDB: brackets make each of its own signs a plain one.
    plain = [PATTERN.sub(lambda found: f"[{found[0]}]", path) for path in paths]
    return connection.read_parquet(plain, hive_partitioning=False, **options)


def files_relation(paths: Sequence[str], table: str, connection: Any, judged: Any = None) -> Any:
    """Return Parquet files as a relation.

    Parameters
    ----------
    paths
        The files.
    table
        ``"events"``, ``"orders"`` or ``"headers"``, which lie in the files of orders.
    connection
        A DuckDB connection.
    judged
        By ``recording_id``, columns that begin with ``NOW``: what was judged of orders that an
        older version saved.
    """
    files = parquet(paths, connection, union_by_name=True)
    if table == "headers":
        files = _headers(files)
    if judged is not None:
        files = files.join(connection.from_arrow(judged), "recording_id", "left")
    return as_declared(files, table)


def _headers(orders: Any) -> Any:
    """Return the headers of orders as these lie in files; an older version kept none."""
    ends = orders.project(
        'recording_id, unnest(CASE WHEN json_valid("end") THEN '
        "from_json(json_extract(\"end\", '$.headers'), '[[\"VARCHAR\"]]') END) AS header"
    )
    return ends.project("recording_id, header[1] AS name, header[2] AS value")


def arrow_relation(found: pa.Table, table: str, connection: Any) -> Any:
    """Return an Arrow table as a relation."""
    import pyarrow as pa

    # DuckDB gives categories types of their own, which differ from one source to the next.
    kinds = [pa.string() if pa.types.is_dictionary(f.type) else f.type for f in found.schema]
    plain = found.cast(pa.schema(zip(found.column_names, kinds, strict=True)))
    return as_declared(connection.from_arrow(plain), table)


def as_declared(found: Any, table: str) -> Any:
    """Select the columns of the table; one that an older version did not write is null."""
    columns = []
    separate = "reordered" in found.columns
    for name in RELATIONS[table].names:
        there = "merchant" if name == "domain" else name
        value = f'"{there}"' if there in found.columns else "NULL"
        if (now := f"{NOW}{name}") in found.columns:
            # Of totals it counts before what was saved, also where there is none.
            is_now = f'"{NOW}total"' if name in {"total_minor", "currency"} else f"{value} IS NULL"
            value = f'CASE WHEN {is_now} THEN "{now}" ELSE {value} END'
        if name == "scheduled_time_to_order_placed_ms":
            value = '"time_to_order_placed_ms" + "schedule_lag_ms"'  # older versions lack it
        if name == "retransmits":
            # Older versions wrote the sum of both counters under this name.
            value = f'CASE WHEN "reordered" IS NOT NULL THEN {value} END' if separate else "NULL"
        columns.append(f'{value} AS "{name}"')
    return found.project(", ".join(columns))
