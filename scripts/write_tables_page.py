"""Write docs/tables.md and docs/messages.md from their declarations: ``make docs``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from firmly_nb import catalogue
from firmly_nb.carts import schemas
from firmly_nb.conformance.seen import CONFORMANCE
from firmly_nb.display.messages import GROUPS, MESSAGES
from firmly_nb.latency.caveats import CAVEATS
from firmly_nb.latency.compare import COMPARISON
from firmly_nb.latency.design import DESIGN
from firmly_nb.latency.drift import RUN_MEDIANS
from firmly_nb.latency.effect import SHIFT
from firmly_nb.latency.groups import GROUPED_LATENCY
from firmly_nb.latency.looks import LOOKS
from firmly_nb.latency.planning import NEEDS
from firmly_nb.latency.quantiles import ECDF
from firmly_nb.latency.shares import COMPLETION, FUNNEL, OUTCOMES
from firmly_nb.latency.stages import STAGES, STORED_STAGES
from firmly_nb.latency.summary import LATENCY
from firmly_nb.latency.targets import CONCURRENCY, SLO
from firmly_nb.recorder.tables import EVENTS, HEADERS, HOSTS, ORDERS
from firmly_nb.schema import Table
from firmly_nb.store.schema import STORED_EVENTS, STORED_ORDERS

DOCS = Path(__file__).resolve().parent.parent / "docs"
MESSAGES_INTRODUCTION = """\
# Messages

Each message ends with a code, such as `[FNB010]`. The code leads to the cause and the fix, here or
with `firmly-nb explain FNB010`. In Python it is the attribute `code` of the error. A code names one
kind of mistake and never changes its meaning.

This page is made from the table in the code (`make docs`); a test compares the two.
"""
INTRODUCTION = """\
# The tables

Every table is a pandas DataFrame with these columns, in this order, even when it is empty. Write it
with pandas: `to_parquet` and `to_excel` take every table, with cells of JSON as text. A sheet has
times in UTC to the millisecond, cuts texts at 32,767 characters, and runs no formula.

Times are milliseconds after the request was handed to the client (`t_start`) unless the name ends
in `_us`. Amounts are whole numbers in minor units (cents) with a currency column, never decimals.
`recording_id` joins all that have it. [Statistics](statistics.md) defines the computed ones.

This page is made from the declarations in the code (`make docs`); a test compares the two.
"""


def tables() -> list[Table]:
    """Return every declared table, in the order in which a reader wants them."""
    found = [EVENTS, ORDERS, HEADERS, HOSTS, STAGES, CAVEATS]
    found += [value for value in vars(schemas).values() if isinstance(value, Table)]
    found += [
        LATENCY,
        GROUPED_LATENCY,
        OUTCOMES,
        FUNNEL,
        COMPLETION,
        ECDF,
        COMPARISON,
        DESIGN,
        SHIFT,
        RUN_MEDIANS,
        LOOKS,
        NEEDS,
        SLO,
        CONCURRENCY,
    ]
    found += [catalogue.PRODUCTS, catalogue.VARIANTS, catalogue.FOUND, CONFORMANCE]
    found += [STORED_ORDERS, STORED_EVENTS, STORED_STAGES]
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


def messages_page() -> str:
    """Return the page of all messages, by subject."""
    parts = [MESSAGES_INTRODUCTION]
    for digit, subject in GROUPS.items():
        parts.append(f"## {subject}\n")
        parts += [
            f'<a id="{code.lower()}"></a>\n\n'
            f"### {code}: {one.title}\n\nCause: {one.cause}\n\nFix: {one.fix}\n"
            for code, one in MESSAGES.items()
            if code[3] == digit
        ]
    return "\n".join(parts)


def main() -> None:
    """Write the pages, or with ``--check`` say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    for name, text in {"tables.md": page(), "messages.md": messages_page()}.items():
        if not check:
            (DOCS / name).write_text(text, "utf-8")
        elif (DOCS / name).read_text("utf-8") != text:
            sys.exit(f"docs/{name} is not what the code says: make docs")


if __name__ == "__main__":
    main()
