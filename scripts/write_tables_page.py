"""Write docs/tables.md from the tables' declarations: ``make docs``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from firmly_nb import catalogue
from firmly_nb.carts import schemas
from firmly_nb.latency.compare import COMPARISON
from firmly_nb.latency.drift import RUN_MEDIANS
from firmly_nb.latency.effect import SHIFT
from firmly_nb.latency.quantiles import ECDF
from firmly_nb.latency.shares import COMPLETION, CONCURRENCY, FUNNEL, OUTCOMES
from firmly_nb.latency.stages import STAGES
from firmly_nb.latency.summary import LATENCY
from firmly_nb.recorder.tables import EVENTS, ORDERS
from firmly_nb.schema import Table
from firmly_nb.store.schema import STORED_EVENTS, STORED_ORDERS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tables.md"
INTRODUCTION = """\
# The tables

Every table is a plain pandas DataFrame with these columns, in this order, even when it is empty.
Times are milliseconds after the request was handed to the client (`t_start`) unless the name ends
in `_us`. Amounts are whole numbers in minor units (cents) with a currency column, never decimals.
`recording_id` joins all that have it. [Statistics](statistics.md) defines the computed ones.

This page is made from the declarations in the code (`make docs`); a test compares the two.
"""


def tables() -> list[Table]:
    """Return every declared table, in the order in which a reader wants them."""
    found = [EVENTS, ORDERS, STAGES]
    found += [value for value in vars(schemas).values() if isinstance(value, Table)]
    found += [
        LATENCY,
        OUTCOMES,
        FUNNEL,
        COMPLETION,
        ECDF,
        COMPARISON,
        SHIFT,
        RUN_MEDIANS,
        CONCURRENCY,
    ]
    found += [catalogue.PRODUCTS, catalogue.VARIANTS, catalogue.FOUND]
    found += [STORED_ORDERS, STORED_EVENTS]
    return found


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *(section(table) for table in tables())])


def section(table: Table) -> str:
    """Return one table's part of the page."""
    rows = "".join(
        f"| `{c.name}` | {c.dtype} | {c.unit} | {c.meaning.replace('|', '/')} |\n"
        for c in table.columns
    )
    return (
        f"## {table.name}\n\n{table.row[:1].upper()}{table.row[1:]}.\n\n"
        f"| column | dtype | unit | meaning |\n| --- | --- | --- | --- |\n{rows}"
    )


def main() -> None:
    """Write the page, or with ``--check`` say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        PAGE.write_text(page(), "utf-8")
    elif PAGE.read_text("utf-8") != page():
        sys.exit("docs/tables.md is not what the code says: make docs")


if __name__ == "__main__":
    main()
