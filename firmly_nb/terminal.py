"""What the commands share: items from words, tables and JSON on the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from firmly_nb.api.models import TEST_CARDS, Item

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160

# Options that mean the same for one order and for many.
EnvironmentName = Annotated[str, typer.Option("--env", help="simulator or staging.")]
Items = Annotated[
    list[str] | None,
    typer.Option(help="VARIANT_ID or VARIANT_ID=QUANTITY; may be given again."),
]
CardName = Annotated[str, typer.Option(help=f"Test card: {', '.join(TEST_CARDS)}.")]
Allowed = Annotated[
    list[str] | None, typer.Option(help="A further merchant that may be ordered from.")
]
WithEvents = Annotated[bool, typer.Option(help="Ask for events.")]
Warm = Annotated[bool, typer.Option(help="Open connections beforehand.")]
TimeoutS = Annotated[float, typer.Option("--timeout", help="Limit of an order in seconds.")]


def items_of(texts: list[str]) -> list[Item]:
    """Read items given as ``VARIANT_ID`` or ``VARIANT_ID=QUANTITY``.

    Examples
    --------
    >>> items_of(["WS12-XS-Orange=2"])[0].quantity
    2
    """
    items = []
    for text in texts:
        variant_id, _, quantity = text.partition("=")
        if quantity and not quantity.isdigit():
            raise ValueError(f"--item {text}: the quantity must be a whole number")
        items.append(Item(variant_id=variant_id, quantity=int(quantity or 1)))
    return items


def print_table(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print rows; a column whose name ends in ms holds times."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    align: Literal["left", "right"]
    cells = [[_cell(value) for value in row.values()] for row in rows]
    for place, name in enumerate(rows[0] if rows else ()):
        is_time = name.endswith("ms")
        # In a narrow terminal a name may be cut, a number may not.
        width = max(len(row[place]) for row in cells) if is_time else None
        align = "right" if is_time else "left"
        table.add_column(name, justify=align, no_wrap=True, min_width=width)
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _cell(value: Any) -> str:
    from rich.markup import escape

    from firmly_nb.api.printable import printable
    from firmly_nb.recording.words import milliseconds

    if isinstance(value, float):
        return milliseconds(value)
    return "-" if value is None else escape(printable(str(value)))


def print_json(*tables: Any) -> None:
    """Print the orders' rows, and the events' where they are given, for machines."""
    import orjson

    names = ("orders", "events")
    content = {
        name: orjson.loads(table.to_json(orient="records", date_format="iso", date_unit="ns"))
        for name, table in zip(names, tables, strict=False)
    }
    sys.stdout.write(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n")


def console_of() -> Console:
    """Return standard output as rich sees it."""
    from rich.console import Console

    # Piped output is for programs and files: nothing is cut to the width of a screen.
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
