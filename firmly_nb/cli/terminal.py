"""Program, shared options, and how the commands print text, tables and JSON."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from firmly_nb.api.models import TEST_CARDS
from firmly_nb.display.text import hanging, number, printable
from firmly_nb.latency.asked import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from firmly_nb.lab import Lab

PIPE_WIDTH = 160
STDOUT = Path("-")  # in place of a file
# What errors say to do in Python, as it is done here.
TERMINAL_WORDS = {
    r'fnb\.connect\(\.\.\., allow_domains=\["([^"]+)"\]\)': r"--allow \1",
    r"Pass app_id=\.\.\., set": "Set",
    r", 'staging' or api_url\.": " or 'staging'.",
    r"budget=fnb\.Budget\(orders=(\d+)\)": r"--max-orders \1",
    r"\b(count|duration)=(\d+)": r"--\1 \2",
    r"\brate=\"([^\"]+)\"": r"--rate \1",
    r"(?<=with )resume='([\w.-]+)'": r"--resume \1",
    r"^arrival='(\w+)'": r"--arrival \1",
    r"\brun_id\b": "--run-id",
    r"^timeout_s": "--timeout",
    r"Pass ca_file=\.\.\.": "Pass --ca-file",
    r"\(ca_file\)": "(--ca-file)",
    r"remove ca_file": "remove --ca-file",
    r"; lab\.settle\(rec\) tells": "; the next time, --settle asks the cart",
    r"lab\.settle\(rec\) asks": "--settle asks",
    r"Pass milestones=(\[[^\]]*\]) to connect\(\)": r"Write milestones = \1 into firmly-nb.toml",
    r"^allow_domains": "--allow",
    r"^(count|rate|concurrency|duration|seed|control|until|slo_ms) must": r"--\1 must",
    r"Pass order_b, or other=\.\.\. for": "Add --other-item, --other-domain, or --other for",
}

app = typer.Typer(
    name="firmly-nb",
    help="Place staging orders through firmly and record every event with a time you can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals can hold a token
)

# Options that mean the same for one order and for many.
EnvironmentName = Annotated[
    str, typer.Option("--environment", "--env", help="simulator or staging.")
]
ApiUrl = Annotated[str | None, typer.Option(help="URL of an API of your own, in place of --env.")]
Items = Annotated[
    list[str] | None,
    typer.Option(help="VARIANT_ID or VARIANT_ID=QUANTITY; may be given again."),
]
CardName = Annotated[str, typer.Option(help=f"Test card: {', '.join(TEST_CARDS)}.")]
Allowed = Annotated[
    list[str] | None, typer.Option(help="A further merchant that may be ordered from.")
]
CaFile = Annotated[
    Path | None,
    typer.Option(help="Certificates to trust (PEM); by default SSL_CERT_FILE, else certifi's."),
]
WithEvents = Annotated[bool, typer.Option(help="Ask for events.")]
Warm = Annotated[bool, typer.Option(help="Open connections beforehand.")]
TimeoutS = Annotated[float, typer.Option("--timeout", help="Limit of an order in seconds.")]
Settle = Annotated[
    bool,
    typer.Option("--settle", help="Ask the cart where it is unknown whether an order exists."),
]
# What decides whether new runs are worse.
Margin = Annotated[
    str | None,
    typer.Option(help="Smallest change of the typical time that matters: 10% (default) or 0.10."),
]
TailPoints = Annotated[
    str | None,
    typer.Option("--tail", help="The same for late orders, in points: 5 (default) or 5%."),
]
PlacedPoints = Annotated[
    str | None,
    typer.Option("--placed", help="The same for placed orders, in points: 5 (default) or 5%."),
]
Control = Annotated[
    str | None, typer.Option(help="A merchant that did not change, measured in the same runs.")
]
Slo = Annotated[
    list[str] | None,  # of one, the last of two would win unseen
    typer.Option(help=f"A target, like {TARGET}: so many orders must be placed within that."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the order's row and events as JSON.")]


def open_lab(environment: str | None, **options: Any) -> Lab:
    """Connect to an environment."""
    from firmly_nb.connect import connect

    return connect(environment, **options)


def console_of() -> Console:
    """Return standard output as rich sees it."""
    from rich.console import Console

    # Piped output is for programs and files: nothing is cut to the width of a screen.
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def say(text: str, style: str | None = None, indent: int = 2) -> None:
    """Print a text as it is, a long line of it with a hanging indent."""
    print_on(console_of(), text, style, indent)


def print_on(console: Console, text: str, style: str | None, indent: int = 2) -> None:
    """Print a text as `say` does, on a console of one's own."""
    # What is piped keeps its lines: they are for programs.
    shown = hanging(text, console.width, indent) if console.is_terminal else text
    console.print(shown, style=style, markup=False, soft_wrap=True)


def warn(warnings: Iterable[str]) -> None:
    """Print each warning in a line of its own."""
    for warning in warnings:
        say(f"! {in_terminal_words(printable(warning))}", "yellow")


GAP = 2  # between two columns of a table
WHOLE = {"recording", "request id"}  # columns whose values are copied: they are never cut


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows; a column whose name ends in ms holds times."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    align: Literal["left", "right"]
    cells = [[_cell(value) for value in row.values()] for row in rows]
    names = list(rows[0]) if rows else []
    widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    # What is too wide is taken from the widest, so that a name is cut before a number is.
    for _ in range(sum(widths) + GAP * (len(widths) - 1) - console_of().width):
        width, at = max((w, at) for at, w in enumerate(widths) if names[at] not in WHOLE)
        widths[at] = max(width - 1, 1)
    for name, width in zip(names, widths, strict=True):
        align = "right" if name.endswith("ms") else "left"
        table.add_column(name, justify=align, no_wrap=True, width=width)
    for row in cells:
        table.add_row(*row)
    console_of().print(table)


def _cell(value: Any) -> str:
    from rich.markup import escape

    if isinstance(value, float):
        return number(value)
    return "-" if value is None else escape(printable(str(value)))


def json_text(content: dict[str, Any]) -> str:
    """Return something for machines as JSON; a table becomes a list of its rows."""
    import orjson

    def rows(table: Any) -> Any:
        return orjson.loads(table.to_json(orient="records", date_format="iso", date_unit="ns"))

    return orjson.dumps(content, default=rows, option=orjson.OPT_INDENT_2).decode() + "\n"


def print_json(content: dict[str, Any]) -> None:
    """Print something for machines."""
    sys.stdout.write(json_text(content))


def in_terminal_words(text: str) -> str:
    """Say what a message says to do in Python as it is done here."""
    for python, terminal in TERMINAL_WORDS.items():
        text = re.sub(python, terminal, text)
    return text
