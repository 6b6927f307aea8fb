"""The command line: ``firmly-nb demo | lab | place | sweep | sim | report | load | doctor``.

Output is for people (rich; plain when piped) or, with ``--json``, for machines. The exit code says
whether the order exists: 0 yes, 1 no, 2 refused before anything was sent, 3 it may exist, 130
interrupted.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.models import Card, InvalidOrder, Order
from firmly_nb.api.printable import printable
from firmly_nb.environments import DEMO_MERCHANT, GuardError
from firmly_nb.outcomes import INTERRUPTED_EXIT, REFUSED_EXIT, TONES, exit_code, outcome
from firmly_nb.report_command import report
from firmly_nb.sweep_command import sweep
from firmly_nb.terminal import (
    Allowed,
    CardName,
    EnvironmentName,
    Items,
    TimeoutS,
    Warm,
    WithEvents,
    console_of,
    items_of,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from firmly_nb.recording.recording import Recording

LOAD_SHOWS = 20
# What errors say to do in Python, as it is done here.
TERMINAL_WORDS = {
    r'fnb\.connect\(\.\.\., allow_domains=\["([^"]+)"\]\)': r"--allow \1",
    r"pass app_id=\.\.\., set": "set",
    r", 'staging' or api_url=\.\.\.$": " or 'staging'",
    r"^timeout_s": "--timeout",
    r"^allow_domains": "--allow",
}
EVENT_COLUMNS = {"event": "event", "t_ms": "ms", "gap_ms": "gap ms"}
STAGE_COLUMNS = {
    "stage": "stage",
    "start_ms": "from ms",
    "end_ms": "to ms",
    "duration_ms": "duration ms",
}

app = typer.Typer(
    name="firmly-nb",
    help="Place staging orders through firmly and record every event with a time you can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals can hold a token
)
AsJson = Annotated[bool, typer.Option("--json", help="Print the order's row and events as JSON.")]


@app.command()
def demo(
    profile: Annotated[str, typer.Option(help="Latency profile of the simulator.")] = "typical",
    seed: Annotated[int, typer.Option(help="Seed of the simulator's delays.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Place one order on the embedded simulator and show each event as it arrives."""
    with _lab(None, profile=profile, seed=seed) as lab:
        _finish(_place(lab, Order.example(), Card.test(), quiet=as_json), as_json=as_json)


@app.command()
def place(  # noqa: PLR0913, PLR0917 - each is an option of its own
    environment: EnvironmentName = "simulator",
    domain: Annotated[str, typer.Option(help="Merchant domain.")] = DEMO_MERCHANT,
    item: Items = None,
    card: CardName = "visa",
    allow: Allowed = None,
    sse: WithEvents = True,
    warm: Warm = True,
    timeout_s: TimeoutS = 120.0,
    as_json: AsJson = False,
) -> None:
    """Place one order. The app id for staging comes from FIRMLY_APP_ID or a .env file."""
    changes: dict[str, Any] = {"items": items_of(item)} if item else {}
    order = Order.example(domain=domain, **changes)
    with _lab(environment, allow_domains=allow or []) as lab:
        rec = _place(
            lab, order, Card.test(card), quiet=as_json, sse=sse, warm=warm, timeout_s=timeout_s
        )
        _finish(rec, as_json=as_json)


app.command()(sweep)
app.command()(report)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Open JupyterLab on the quickstart notebook; further arguments go to JupyterLab."""
    from firmly_nb.jupyter import run_lab

    raise typer.Exit(run_lab(context.args))


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def sim(context: typer.Context) -> None:
    """Run the simulator by itself, for a client of your own; see sim --help."""
    from firmly_nb.sim.__main__ import main as run_simulator

    sys.argv = ["firmly-nb sim", *context.args]
    run_simulator()


@app.command()
def load(
    path: Annotated[
        Path | None,
        typer.Argument(help="A saved set, a journal or a folder; by default all on this machine."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Also save them to this folder, as Parquet files.")
    ] = None,
    notes: Annotated[str, typer.Option(help="A note for whoever loads what is saved.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the orders as JSON.")] = False,
) -> None:
    """Show recordings that were made before, also those that were cut off."""
    from firmly_nb.recording.store import load as load_recordings

    try:
        recs = load_recordings(path)
    except FileNotFoundError as error:
        _fail(str(error))
    saved = recs.save(save, notes=notes) if save else None
    if as_json:
        print_json(recs.orders)
        return
    console = console_of()
    console.print(repr(recs), markup=False, highlight=False)
    print_table(
        console,
        [
            {
                "recording": o.recording_id,
                "merchant": o.domain,
                "outcome": outcome(str(o.outcome)).word,
                "exists": o.order_exists,
                "order": o.order_number,
                "ms": o.order_latency_ms,
            }
            for o in recs.orders.tail(LOAD_SHOWS).itertuples()
        ],
    )
    if len(recs) > LOAD_SHOWS:
        console.print(f"the last {LOAD_SHOWS} of {len(recs)}", style="dim")
    for note in recs.notes:
        console.print(f"note: {printable(note)}", style="dim", markup=False)
    for warning in (warning for rec in recs.cut_off for warning in rec.warnings):
        console.print(f"! {printable(warning)}", style="yellow", markup=False)
    if saved:
        console.print(repr(saved), markup=False, highlight=False, soft_wrap=True)


@app.command()
def doctor() -> None:
    """Say how well times can be taken on this machine, with versions and platform facts."""
    from firmly_nb.doctor import run

    raise typer.Exit(run(console_of()))


def main() -> None:
    """Run the command line; what is foreseeable ends in a sentence, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # Where a terminal has no "✓", the words are still to be had.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        # Without its standalone mode typer returns the code that a command ended with.
        sys.exit(app(standalone_mode=False))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED_EXIT)
    except (GuardError, InvalidOrder, FirmlyError, ValueError, OSError) as error:
        _fail(str(error))
    except Exception as error:
        # typer's own words for a wrong option
        if hasattr(error, "show"):
            error.show()
            sys.exit(REFUSED_EXIT)
        raise


def _lab(environment: str | None, **options: Any) -> Any:
    from firmly_nb.lab import connect

    return connect(environment, **options)


def _place(lab: Any, order: Order, card: Card, *, quiet: bool, **options: Any) -> Recording:
    try:
        rec: Recording = lab.place(order, card, progress=not quiet, **options)
    except KeyboardInterrupt:
        # There may be an order now: that is not to go without a word.
        if lab.last and not quiet:
            _print_recording(lab.last)
        raise
    return rec


def _finish(rec: Recording, *, as_json: bool) -> None:
    if as_json:
        print_json(rec.orders, rec.events.drop(columns=["data", "raw"]))
    else:
        _print_recording(rec)
    raise typer.Exit(exit_code([rec.order_exists]))


def _print_recording(rec: Recording) -> None:
    from firmly_nb.recording.words import precision, verdict

    console = console_of()
    row = outcome(rec.outcome)
    console.print()
    console.print(
        f"{row.mark} {verdict(rec)}",
        style=f"bold {TONES[row.tone].terminal}",
        markup=False,
        soft_wrap=True,
    )
    where = f"{printable(rec.domain)}, {printable(rec.environment)}, {precision(rec)}"
    console.print(where, style="dim", markup=False, soft_wrap=True)
    if len(rec.events):
        for table, columns in ((rec.events, EVENT_COLUMNS), (rec.stages, STAGE_COLUMNS)):
            console.print()
            shown = table[list(columns)].rename(columns=columns).to_dict("records")
            print_table(console, [{str(k): v for k, v in row.items()} for row in shown])
    for warning in rec.warnings:
        console.print(f"! {printable(warning)}", style="yellow", markup=False)


def _fail(text: str) -> None:
    from rich.console import Console

    for python, terminal in TERMINAL_WORDS.items():
        text = re.sub(python, terminal, text)
    Console(stderr=True, highlight=False).print(
        f"firmly-nb: {text}", style="red", markup=False, soft_wrap=True
    )
    sys.exit(REFUSED_EXIT)
