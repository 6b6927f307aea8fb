"""The command line: ``firmly-nb demo | place | sweep | gate | report | load | ticket | ...``.

Output is for people (rich; plain when piped) or, with ``--json``, for machines. The exit code says
whether the order exists (of a sweep: every order of its plan): 0 yes, 1 no, 2 refused before
anything was sent, 3 it may exist, 130 interrupted; of a gate, and of a report with ``--check``: 0
pass, 1 worse or a target missed, 2 a mistake in the call, 3 cannot tell.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from firmly_nb.api.models import TEST_CARDS, Card, Item, Order
from firmly_nb.disk import write_whole
from firmly_nb.display.messages import code_of, coded_error, no_such_path, quoted, with_code
from firmly_nb.display.messages import explain as explanation
from firmly_nb.display.text import count, number, printable, storage
from firmly_nb.environments import DEMO_MERCHANT
from firmly_nb.latency.asked import TARGET, points_of, share_of, target_of
from firmly_nb.outcomes import INTERRUPTED_EXIT, NO, REFUSED_EXIT, TONES, YES, exit_code, outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import Console

    from firmly_nb.lab import Lab, PlaceOptions
    from firmly_nb.latency.gate import Gate
    from firmly_nb.reach import Reach
    from firmly_nb.recorder.calibration import Calibration
    from firmly_nb.recordings.recordings import Recording, Recordings
    from firmly_nb.sweep.sweep import Sweep

PIPE_WIDTH = 160
LOAD_SHOWS = 20
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
    r"^allow_domains": "--allow",
    r"^(count|rate|concurrency|duration|seed|control|until|slo_ms) must": r"--\1 must",
    r"Pass order_b, or other=\.\.\. for": "Add --other-item, --other-domain, or --other for",
}
EVENT_COLUMNS = {"event": "event", "t_ms": "ms", "gap_ms": "gap ms"}
STAGE_COLUMNS = {
    "stage": "stage",
    "start_ms": "from ms",
    "end_ms": "to ms",
    "duration_ms": "duration ms",
}
QUICKSTART = "01-quickstart.ipynb"

app = typer.Typer(
    name="firmly-nb",
    help="Place staging orders through firmly and record every event with a time you can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals can hold a token
)

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
    str | None,
    typer.Option(help=f"A target, like {TARGET}: so many orders must be placed within that."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the order's row and events as JSON.")]


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"firmly-nb {version('firmly-nb')}\n")
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Take what goes before every command."""


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
    ca_file: CaFile = None,
    sse: WithEvents = True,
    warm: Warm = True,
    timeout_s: TimeoutS = 120.0,
    settle: Settle = False,
    as_json: AsJson = False,
) -> None:
    """Place one order. The app id for staging comes from FIRMLY_APP_ID or a .env file."""
    changes: dict[str, Any] = {"items": items_of(item)} if item else {}
    order = Order.example(domain=domain, **changes)
    with _lab(environment, allow_domains=allow or [], ca_file=ca_file) as lab:
        options = {"sse": sse, "warm": warm, "timeout_s": timeout_s, "settle": settle}
        rec = _place(lab, order, Card.test(card), quiet=as_json, **options)
        _finish(rec, as_json=as_json)


@app.command()
def sweep(  # noqa: PLR0913, PLR0917 - each is an option of its own
    count: Annotated[int | None, typer.Option(help="How many orders.")] = None,
    rate: Annotated[str | None, typer.Option(help="Orders a second, or like 30/min.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Orders in flight: at most; without --rate, always.")
    ] = None,
    arrival: Annotated[str | None, typer.Option(help="constant, poisson or closed.")] = None,
    duration: Annotated[str | None, typer.Option(help="Seconds, or like '10 min'.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
    max_orders: Annotated[int | None, typer.Option(help="Budget: orders.")] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Budget: minutes.")] = None,
    max_total: Annotated[
        list[str] | None,
        typer.Option(help="Budget: CURRENCY=MINOR_UNITS, like USD=50000; may be given again."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for the run.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be given again.")] = None,
    run_id: Annotated[str | None, typer.Option(help="An id of your own for the run.")] = None,
    resume: Annotated[
        str | None, typer.Option(help="Id of a run that was stopped: place what is missing.")
    ] = None,
    environment: EnvironmentName = "simulator",
    profile: Annotated[
        str | None, typer.Option(help="Latency profile of the embedded simulator.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Merchant domain.")] = None,
    item: Items = None,
    card: CardName = "visa",
    allow: Allowed = None,
    ca_file: CaFile = None,
    sse: WithEvents = True,
    warm: Warm = True,
    timeout_s: TimeoutS = 120.0,
    settle: Settle = False,
    save: Annotated[
        Path | None, typer.Option(help="Folder to save the recordings in, as Parquet.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print run and orders as JSON.")] = False,
) -> None:
    """Place many orders on a schedule, within a budget, and say how long they took."""
    asked: dict[str, Any] = {
        "count": count,
        "rate": rate,
        "concurrency": concurrency,
        "arrival": arrival,
        "duration": duration,
        "seed": seed,
        "budget": _budget(max_orders, max_minutes, max_total or []),
        "name": name,
        "tags": _tags(tag) if tag else None,
        "run_id": run_id,
        "resume": resume,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    more = {"profile": profile} if profile else {}
    with _lab(environment, allow_domains=allow or [], ca_file=ca_file, **more) as lab:
        order = _order(lab, resume, domain, item)
        options: PlaceOptions = {"sse": sse, "warm": warm, "timeout_s": timeout_s, "settle": settle}
        started = lab.start_sweep(order, Card.test(card), **given, **options)
        code = _follow(started, quiet=as_json)
        recs = started.recordings
        if save:
            recs.save(save)
        (_print_sweep_json if as_json else _print_sweep)(started, recs)
    raise typer.Exit(code)


@app.command()
def compare(  # noqa: PLR0913, PLR0917 - each is an option of its own
    count: Annotated[int, typer.Option(help="Orders of each side at most: 50, 60, ...")] = 600,
    until: Annotated[
        Literal["decided", "all"],
        typer.Option(help="decided stops as soon as it is sure; all places all orders."),
    ] = "decided",
    margin: Margin = None,
    tail: TailPoints = None,
    placed: PlacedPoints = None,
    slo_ms: Annotated[
        str | None, typer.Option("--late", help="From when an order is late, like 1500ms.")
    ] = None,
    rate: Annotated[str | None, typer.Option(help="Orders a second, or like 30/min.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Orders in flight: at most; without --rate, always.")
    ] = None,
    arrival: Annotated[str | None, typer.Option(help="constant, poisson or closed.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
    max_orders: Annotated[int | None, typer.Option(help="Budget: orders of both sides.")] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Budget: minutes.")] = None,
    max_total: Annotated[
        list[str] | None,
        typer.Option(help="Budget: CURRENCY=MINOR_UNITS, like USD=50000; may be given again."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for the recordings.")] = None,
    run_id: Annotated[str | None, typer.Option(help="An id of your own for it.")] = None,
    resume: Annotated[
        str | None, typer.Option(help="Id of a comparison that was stopped: go on with it.")
    ] = None,
    environment: EnvironmentName = "simulator",
    other: Annotated[
        str | None,
        typer.Option(help="Environment of B, or its URL: another release. Default: that of A."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Latency profile of the embedded simulator.")
    ] = None,
    other_profile: Annotated[
        str | None, typer.Option(help="Places B on a simulator of its own with this profile.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Merchant domain.")] = None,
    item: Items = None,
    other_domain: Annotated[
        str | None, typer.Option(help="Merchant domain of B; default: that of A.")
    ] = None,
    other_item: Annotated[
        list[str] | None, typer.Option(help="Items of B; default: those of A.")
    ] = None,
    card: CardName = "visa",
    allow: Allowed = None,
    sse: WithEvents = True,
    warm: Warm = True,
    timeout_s: TimeoutS = 120.0,
    save: Annotated[
        Path | None, typer.Option(help="Folder to save in: A in its part a, B in b.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print verdict and looks as JSON.")
    ] = False,
) -> None:
    """Compare two orders or two releases in turns, and stop as soon as it is sure.

    Exit codes are those of firmly-nb gate: 0 B is not worse, 1 worse, 3 cannot tell.
    """
    asked: dict[str, Any] = {
        "rate": rate,
        "concurrency": concurrency,
        "arrival": arrival,
        "seed": seed,
        "name": name,
        "run_id": run_id,
        "resume": resume,
        "budget": _budget(max_orders, max_minutes, max_total or []),
        "slo_ms": slo_ms,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    options: PlaceOptions = {"sse": sse, "warm": warm, "timeout_s": timeout_s}
    more = {"profile": profile} if profile else {}
    with ExitStack() as labs:
        lab = labs.enter_context(_lab(environment, allow_domains=allow or [], **more))
        second = _other_lab(other, other_profile, allow or [])
        found = lab.compare(
            *_two_orders(lab, resume, (domain, other_domain), (item, other_item)),
            Card.test(card),
            other=None if second is None else labs.enter_context(second),
            count=count,
            until=None if until == "all" else until,
            margin=share_of("--margin", margin or "10%", 0.10),
            tail_margin=points_of("--tail", tail or "5"),
            placed_margin=points_of("--placed", placed or "5"),
            progress=not as_json,
            **asked,
            **options,
        )
        if save:
            found.a.save(save / "a")
            found.b.save(save / "b")
    if as_json:
        print_json(
            {
                "id": found.study_id,
                "verdict": found.order.verdict,
                "sentence": found.verdict,
                "exit_code": found.exit_code,
                "looks": found.looks,
                "orders": {"a": len(found.a), "b": len(found.b)},
            }
        )
    else:
        sys.stdout.write(f"{found!r}\n")
    raise typer.Exit(found.exit_code)


@app.command()
def plan(
    path: Annotated[Path, typer.Argument(help="Recordings to plan from: a set or journals.")],
    change: Annotated[
        str, typer.Option(help="Change of the typical time to tell: 10% or 0.10.")
    ] = "10%",
    power: Annotated[str, typer.Option(help="Share of studies that tell it.")] = "80%",
    rate: Annotated[
        str | None, typer.Option(help="Orders a second, or like 30/min; default: as recorded.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say how many orders, runs, minutes and how much money a comparison needs."""
    from firmly_nb.sweep.study import plan as planned

    asked = share_of("--change", change, 0.10), share_of("--power", power, 0.8)
    found = planned(_loaded(path), *asked, rate=rate)
    if as_json:
        told = ("change", "power", "question", "orders", "runs", "count", "minutes", "per_minute")
        answer = {name: getattr(found, name) for name in told}
        print_json({**answer, "amounts": dict(found.amounts), "needs": found.needs})
    else:
        sys.stdout.write(f"{found!r}\n")


@app.command()
def gate(
    runs: Annotated[Path, typer.Argument(help="The new runs: saved set, journal or folder.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Earlier runs to hold them against: the same kinds.")
    ] = None,
    margin: Margin = None,
    tail: TailPoints = None,
    placed: PlacedPoints = None,
    control: Control = None,
    slo: Slo = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all that decides as JSON.")
    ] = False,
) -> None:
    """Say whether new runs may pass: 0 yes, 1 worse or target missed, 3 cannot tell.

    They are held against earlier runs, a target, or both. Too little data is never a pass.
    """
    from firmly_nb.recordings.recordings import load

    asked = {"margin": margin, "tail": tail, "placed": placed, "control": control}
    judge = _judge(asked, slo, None if baseline else "--baseline")
    if baseline is None and slo is None:
        text = f"A gate needs --baseline PATH, or a target such as --slo {TARGET}."
        raise coded_error(ValueError, "FNB316", text)
    recs = load(runs)
    earlier = None if baseline is None else load(baseline)
    found = judge(recs, earlier)
    warnings = [*recs.warnings, *(earlier.warnings if earlier is not None else ())]
    if as_json:
        print_json({**found.as_dict(), "warnings": warnings})
    else:
        sys.stdout.write(f"{found!r}\n")
        _warn(warnings)
    raise typer.Exit(found.exit_code)


@app.command()
def report(  # noqa: PLR0913, PLR0917 - each is an option of its own
    path: Annotated[Path, typer.Argument(help="A saved set, a journal or a folder of journals.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page; replaced as a whole or not at all.")
    ] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="Its heading.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Earlier recordings to hold these against.")
    ] = None,
    margin: Margin = None,
    tail: TailPoints = None,
    placed: PlacedPoints = None,
    control: Control = None,
    slo: Slo = None,
    check: Annotated[
        bool,
        typer.Option(help="With --compare or --slo: exit as firmly-nb gate does."),
    ] = False,
    calibrate: Annotated[
        bool, typer.Option(help="Measure first how far off times are on this machine, now.")
    ] = False,
    pictures: Annotated[
        bool, typer.Option(help="Pictures of the charts for readers without JavaScript.")
    ] = True,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing unless something is wrong.")
    ] = False,
) -> None:
    """Write a page about recordings: sentences, tables, charts; it needs no network to be read."""
    from firmly_nb.report.report import Against, write

    asked = {"margin": margin, "tail": tail, "placed": placed, "control": control}
    judge = _judge(asked, slo, None if compare else "--compare")
    if check and compare is None and slo is None:
        text = f"--check needs --compare PATH, or a target such as --slo {TARGET}."
        raise coded_error(ValueError, "FNB316", text)
    recs = _loaded(path)
    earlier = _loaded(compare) if compare else None
    found = judge(recs, earlier) if compare or slo else None
    compared = found.comparison if found else None
    against = Against(earlier, compared) if earlier is not None and compared else None
    calibration = _calibration() if calibrate else None
    is_new = not output.parent.exists()
    try:
        written = write(
            recs,
            output,
            title,
            calibration=calibration,
            against=against,
            pictures=pictures,
            target=None if slo is None else target_of("--slo", slo),
        )
    except OSError as error:
        if error.strerror is None:
            raise
        text = f"{output} cannot be written: {error.strerror}. Name another file."
        raise coded_error(OSError, "FNB315", text) from error
    if not quiet:
        folder = ", in a new folder" if is_new else ""
        size = storage(written.stat().st_size)
        _say(f"{written}: {count(len(recs), 'order')}, {size}{folder}")
    if found is not None:
        code = found.exit_code if check else 0
        if code or not quiet:  # cron hears of a failure
            sys.stdout.write(f"{found.line}\n")
        raise typer.Exit(code)


@app.command()
def load(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A saved set, journal, HAR file or folder; by default all on this machine."
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Also save them to this folder, as Parquet files.")
    ] = None,
    notes: Annotated[str, typer.Option(help="A note for whoever loads what is saved.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the orders as JSON.")] = False,
) -> None:
    """Show recordings that were made before, also those that were cut off."""
    from firmly_nb.recorder.tables import headline_ms
    from firmly_nb.recordings.recordings import load as load_recordings

    recs = load_recordings(path)
    saved = recs.save(save, notes=notes) if save else None
    if as_json:
        print_json({"orders": recs.orders})
        return
    _say(repr(recs))
    print_table(
        [
            {
                "recording": row["recording_id"],
                "merchant": row["domain"],
                "outcome": outcome(str(row["outcome"])).word,
                "exists": row["order_exists"],
                "order": row["order_number"],
                "ms": headline_ms({str(name): value for name, value in row.items()}),
            }
            for row in recs.orders.tail(LOAD_SHOWS).to_dict("records")
        ],
    )
    if len(recs) > LOAD_SHOWS:
        _say(f"the last {LOAD_SHOWS} of {len(recs)}", "dim")
    for note in recs.notes:
        _say(f"note: {printable(note)}", "dim")
    _warn(warning for rec in recs.cut_off for warning in rec.warnings)
    if saved:
        _say(repr(saved))


@app.command()
def ticket(
    path: Annotated[Path, typer.Argument(help="A saved set, a journal or a folder of journals.")],
    recording_id: Annotated[
        str | None,
        typer.Option("--id", help="Recording id or request id; by default the slowest order."),
    ] = None,
) -> None:
    """Print what whoever runs the service needs to find an order; no address and no secret."""
    recs = _loaded(path)
    position = _slowest(recs) if recording_id is None else _named(recs, recording_id, path)
    if recording_id is None and len(recs) > 1:
        # Beside the ticket, which may be piped into an e-mail.
        print(f"the slowest of {count(len(recs), 'order')}; --id names another", file=sys.stderr)
    sys.stdout.write(recs[position].ticket())


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="A saved set, journal, HAR file or folder.")],
    target: Annotated[
        Path, typer.Argument(help="The folder for the tables; or a file for har or perfetto.")
    ],
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="parquet (default), csv, xlsx, jsonl, perfetto, har (default for FILE.har).",
        ),
    ] = None,
) -> None:
    """Write recordings for other programs: tables for spreadsheets, HAR for browsers."""
    recs = _loaded(path)
    chosen = file_format or ("har" if target.suffix.lower() == ".har" else "parquet")
    files = {"har": recs.har, "perfetto": recs.perfetto}
    written = files[chosen](target) if chosen in files else recs.export(target, chosen)
    _say(f"{written}: {count(len(recs), 'order')} as {chosen}")


@app.command()
def clean(
    file: Annotated[Path, typer.Argument(help="A HAR file that a browser or a proxy wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Another file; by default FILE itself.")
    ] = None,
) -> None:
    """Take tokens, cookies, cards and addresses out of a HAR file, before somebody gets it."""
    from firmly_nb.exchange.har_clean import clean_har

    _say(repr(clean_har(file, output)))


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="The folder of a saved set.")],
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing unless something is wrong.")
    ] = False,
) -> None:
    """Look whether each file of a saved set is what was saved; exit with 1 if one is not."""
    from firmly_nb.recordings.stored import verify as look_at

    table = look_at(path)
    wrong = table[table["state"] != "as saved"]
    if len(wrong):
        print_table([{"file": row.file, "state": row.state} for row in wrong.itertuples()])
        raise typer.Exit(1)
    if not quiet:
        _say(f"{path}: all {len(table):,} files are what was saved")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    workspace: Annotated[
        Path | None, typer.Option(help="your folder of notebooks; by default ~/firmly-nb")
    ] = None,
) -> None:
    """Copy the notebooks into your folder and open it; further arguments go to JupyterLab.

    Notebooks that are there are never overwritten.
    """
    folder = workspace.expanduser() if workspace else Path.home() / WORKSPACE
    raise typer.Exit(_run_jupyter(folder.absolute(), context.args))


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

    with _tape_of(context.args) as arguments:
        sys.argv = ["firmly-nb sim", *arguments]
        run_simulator()


@contextmanager
def _tape_of(arguments: list[str]) -> Iterator[list[str]]:
    """Give a simulator's arguments; recordings that it is to replay are written to a tape."""
    from argparse import ArgumentParser
    from tempfile import NamedTemporaryFile

    from firmly_nb.exchange.tape import write_tape
    from firmly_nb.sim.settings import factors_of

    parser = ArgumentParser(prog="firmly-nb sim", add_help=False, allow_abbrev=False)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--slow", default="")
    given, others = parser.parse_known_args(arguments)
    if given.replay is None:
        yield arguments
        return
    try:
        slow = factors_of(given.slow)
    except ValueError as error:
        raise coded_error(ValueError, "FNB041", f"{error}. Write --slow STAGE=FACTOR.") from None
    recs = _loaded(given.replay)
    with NamedTemporaryFile(prefix="firmly-nb-", suffix=".tape", delete=False) as file:
        tape = Path(file.name)
    try:
        taped = write_tape((rec.recorded for rec in recs), tape, slow)
        for problem in taped.problems:
            print(f"! {problem}", file=sys.stderr)
        of = f"{count(taped.orders, 'recorded order')} of {given.replay}"
        print(f"replays {of}", file=sys.stderr)
        yield [*others, "--replay", str(tape), *(["--slow", given.slow] if slow else [])]
    finally:
        tape.unlink(missing_ok=True)


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="Code at the end of a message, such as FNB010.")],
) -> None:
    """Say the cause and the fix of a message, by its code."""
    _say(explanation(code))


@app.command()
def doctor(
    environment: Annotated[
        str | None,
        typer.Option("--environment", "--env", help="Look at the way to simulator or staging."),
    ] = None,
    api_url: Annotated[str | None, typer.Option(help="Look at the way to this API.")] = None,
    card_url: Annotated[
        str | None, typer.Option(help="Where cards go; by default api. becomes cc.")
    ] = None,
    allow: Allowed = None,
    ca_file: CaFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Say what is wrong on this machine; with an environment, on the way of an order to it.

    Nothing is ordered. The exit code is 0 if nothing needs to be done, else 1.
    """
    if environment or api_url or card_url:
        from firmly_nb.lab import diagnose

        urls = {"api_url": api_url, "card_url": card_url}
        found = diagnose(environment, allow_domains=allow or [], ca_file=ca_file, **urls)
        if as_json:
            print_json(found.as_dict())
        else:
            _print_reach(found)
        raise typer.Exit(found.exit_code)
    from firmly_nb.doctor import run

    raise typer.Exit(run(console_of(), as_json=as_json))


def _print_reach(found: Reach) -> None:
    from firmly_nb.reach import STYLES

    _say(in_terminal_words(found.sentence), "bold")
    for step in found.steps:
        _say(in_terminal_words(str(step)), STYLES[step.state])


@app.command()
def conformance(  # noqa: PLR0913, PLR0917 - each is an option of its own
    environment: EnvironmentName = "simulator",
    api_url: Annotated[
        str | None, typer.Option(help="URL of an API of your own, in place of --env.")
    ] = None,
    domain: Annotated[str, typer.Option(help="Merchant domain.")] = DEMO_MERCHANT,
    item: Items = None,
    card: CardName = "visa",
    allow: Allowed = None,
    ca_file: CaFile = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A page to send to others.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all rows as JSON.")] = False,
) -> None:
    """Place one order and say what the API does otherwise than described.

    Exit code: 0 as described, 1 it deviates, 2 refused before anything was sent, 3 not all could
    be looked at.
    """
    changes: dict[str, Any] = {"items": items_of(item)} if item else {}
    order = Order.example(domain=domain, **changes)
    where: dict[str, Any] = {"allow_domains": allow or [], "ca_file": ca_file, "api_url": api_url}
    with _lab(None if api_url else environment, **where) as lab:
        found = lab.conformance(order, Card.test(card))
    page = found.save(output) if output else None
    if as_json:
        print_json(found.as_dict())
    else:
        sys.stdout.write(f"{found!r}\n")
        if page:
            _say(f"{page}: {storage(page.stat().st_size)}")
    raise typer.Exit(found.exit_code)


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
    except Exception as error:
        # typer's own words for a wrong option
        if hasattr(error, "show"):
            error.show()
            sys.exit(REFUSED_EXIT)
        if code_of(error):
            _fail(str(error))
        if isinstance(error, ValueError | OSError):
            _fail(with_code(str(error), "FNB802"))
        raise


def in_terminal_words(text: str) -> str:
    """Say what a message says to do in Python as it is done here."""
    for python, terminal in TERMINAL_WORDS.items():
        text = re.sub(python, terminal, text)
    return text


def _fail(text: str) -> None:
    from rich.console import Console

    text = in_terminal_words(text)
    Console(stderr=True, highlight=False).print(
        f"firmly-nb: {text}", style="red", markup=False, soft_wrap=True
    )
    sys.exit(REFUSED_EXIT)


# One order: placed, and what is said of it.


def _lab(environment: str | None, **options: Any) -> Lab:
    from firmly_nb.lab import connect

    return connect(environment, **options)


def _two_orders(
    lab: Lab,
    resume: str | None,
    domains: tuple[str | None, str | None],
    items: tuple[list[str] | None, list[str] | None],
) -> tuple[Order, Order | None]:
    """Return what A and B order: as it is said, else as in the comparison that is resumed."""
    from firmly_nb.sweep.study import StudyFile

    if resume and not any(domains) and not any(items):
        kinds = StudyFile.read(lab.journal, resume).kinds
        a, b = (
            Order.example(domain=domain, items=[Item(variant_id=v, quantity=q) for v, q in pairs])
            for domain, pairs in kinds
        )
        return a, b
    first: dict[str, Any] = {"domain": domains[0] or DEMO_MERCHANT}
    if items[0]:
        first["items"] = items_of(items[0])
    second: dict[str, Any] = {"domain": domains[1]} if domains[1] else {}
    if items[1]:
        second["items"] = items_of(items[1])
    return Order.example(**first), Order.example(**first | second) if second else None


def _other_lab(where: str | None, profile: str | None, allow: list[str]) -> Lab | None:
    """Return the lab of B: of an environment, at a URL, or on a simulator of its own."""
    if where is None and profile is None:
        return None
    more = {"profile": profile} if profile else {}
    if where is not None and "://" in where:
        return _lab(None, api_url=where, allow_domains=allow, **more)
    return _lab(where, allow_domains=allow, **more)


def _place(lab: Lab, order: Order, card: Card, *, quiet: bool, **options: Any) -> Recording:
    try:
        return lab.place(order, card, progress=not quiet, **options)
    except KeyboardInterrupt:
        # There may be an order now: that is not to go without a word.
        if lab.last and not quiet:
            _print_recording(lab.last)
        raise


def _finish(rec: Recording, *, as_json: bool) -> None:
    if as_json:
        print_json({"orders": rec.orders, "events": rec.events.drop(columns=["data", "raw"])})
    else:
        _print_recording(rec)
    raise typer.Exit(exit_code([rec.order_exists]))


def _print_recording(rec: Recording) -> None:
    from firmly_nb.recordings.show import precision, said_of_times, untimed, verdict

    row = outcome(rec.outcome)
    _say("")
    _say(f"{row.mark} {verdict(rec)}", f"bold {TONES[row.tone].terminal}")
    _say(f"{printable(rec.domain)}, {printable(rec.environment)}, {precision(rec)}", "dim")
    if len(rec.events):
        # A time that is not known is not shown as one.
        events = rec.events.assign(gap_ms=rec.events["gap_ms"].mask(rec.events["coalesced"]))
        took = zip(rec.stages["duration_ms"].tolist(), untimed(rec), strict=True)
        stages = rec.stages.assign(duration_ms=[math.nan if why else ms for ms, why in took])
        for table, columns in ((events, EVENT_COLUMNS), (stages, STAGE_COLUMNS)):
            _say("")
            shown = table[list(columns)].rename(columns=columns).to_dict("records")
            print_table([{str(k): v for k, v in row.items()} for row in shown])
    _warn([*said_of_times(rec), *rec.warnings])


# Many orders: what is asked for, how it went, and how to go on.


def _order(lab: Lab, resume: str | None, domain: str | None, items: list[str] | None) -> Order:
    """Return the order: as it is said, else that of the run that is resumed, else the example."""
    from firmly_nb.sweep.plan import PlanFile

    changes: dict[str, Any] = {"domain": domain or DEMO_MERCHANT}
    if items:
        changes["items"] = items_of(items)
    elif resume and not domain:
        kinds = PlanFile.read(lab.journal, resume).kinds
        if len(kinds) != 1:
            text = f"Run {resume} has several kinds of orders. Resume it from Python, with"
            raise coded_error(ValueError, "FNB520", f"{text} lab.sweep(orders, resume={resume!r}).")
        changes["domain"], pairs, _ = kinds[0]
        changes["items"] = [Item(variant_id=v, quantity=q) for v, q in pairs]
    return Order.example(**changes)


def _budget(orders: int | None, minutes: float | None, totals: list[str]) -> dict[str, Any] | None:
    total_minor = {}
    for text in totals:
        currency, _, minor = text.partition("=")
        if not minor.isdigit():
            raise _option("--max-total", text, "CURRENCY=MINOR_UNITS", "USD=50000")
        total_minor[currency.upper()] = int(minor)
    given = {"orders": orders, "minutes": minutes, "total_minor": total_minor or None}
    return {name: value for name, value in given.items() if value is not None} or None


def _tags(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise _option("--tag", text, "NAME=VALUE", "branch=main")
    return dict(text.split("=", 1) for text in texts)


def _follow(started: Sweep, *, quiet: bool) -> int:
    from firmly_nb.sweep.progress import bar

    if not quiet:
        # Said at the beginning: whoever is killed cannot say it at the end.
        print(f"run {started.run_id}", file=sys.stderr, flush=True)
    try:
        recs = started.wait(None if quiet else bar().show)
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    all_sent = started.progress.state == "finished" and not started.problems
    return exit_code([*(rec.order_exists for rec in recs), YES if all_sent else NO])


def _print_sweep(started: Sweep, recs: Recordings) -> None:
    progress = started.progress
    _say(f"run {started.run_id}: {progress.state}", "bold")
    _say(repr(recs.latency()) if len(recs) else "no order was sent")
    _warn(recs.warnings)
    if progress.state == "stopped":
        _say(_how_to_go_on(started))


def _how_to_go_on(started: Sweep) -> str:
    """Say what places the rest; the budget of orders and money is that of the whole run."""
    why = started.progress.message
    more = " --max-orders MORE" if why.endswith("orders is used up") else ""
    more = " --max-total CURRENCY=MORE" if "the next order may cost" in why else more
    return f"firmly-nb sweep --resume {started.run_id}{more} places what is missing"


def _print_sweep_json(started: Sweep, recs: Recordings) -> None:
    progress = started.progress
    answer = {
        "run_id": started.run_id,
        "name": started.name,
        "state": progress.state,
        "message": progress.message,
        "planned": progress.planned,
        "outcomes": progress.outcomes,
        "not_sent": progress.not_started,
        "spent_minor": progress.spent_minor,
        "orders": recs.orders,
    }
    print_json(answer)


# A gate and a report: what they are made of, and the verdict of both.


def _judge(
    asked: dict[str, str | None], slo: str | None, lacks: str | None
) -> Callable[[Recordings, Recordings | None], Gate]:
    """Return what holds new recordings against earlier ones and a target; read its options.

    ``lacks`` is the option of a comparison, where it was not given.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    if lacks and given:
        text = f"--{next(iter(given))} is for a comparison. Add {lacks} PATH."
        raise coded_error(ValueError, "FNB316", text)
    target = None if slo is None else target_of("--slo", slo)
    margins: dict[str, Any] = {
        "margin": share_of("--margin", given.get("margin", "10%"), 0.10),
        "tail_margin": points_of("--tail", given.get("tail", "5")),
        "placed_margin": points_of("--placed", given.get("placed", "5")),
        "slo_ms": target and target.order_ms,
        "control": given.get("control"),
    }

    def judge(recs: Recordings, earlier: Recordings | None) -> Gate:
        from firmly_nb.latency.gate import gate as decision

        compared = None if earlier is None else earlier.compare(recs, **margins)
        if target is None:
            return decision(compared, None)
        attained = recs.slo(target.order_ms, target.share)
        by = recs.by("domain")
        merchants = by.slo(target.order_ms, target.share) if len(by) > 1 else None
        return decision(compared, attained, merchants, recs.throughput())

    return judge


def _loaded(path: Path) -> Recordings:
    from firmly_nb.recordings.recordings import load

    if not path.exists():
        raise no_such_path(path)
    recs = load(path)
    if not len(recs):
        text = f"There are no recordings in {path}. Pass a saved set, journal or folder."
        raise coded_error(ValueError, "FNB314", text)
    return recs


def _slowest(recs: Recordings) -> int:
    """Return the place of the order that took longest, however it ended."""
    from firmly_nb.recorder.tables import headline_ms

    rows = recs.orders[["time_to_order_placed_ms", "time_to_failure_ms", "order_latency_ms"]]
    times = [headline_ms({str(k): v for k, v in row.items()}) for row in rows.to_dict("records")]
    return max(range(len(times)), key=lambda n: -1.0 if math.isnan(times[n]) else times[n])


def _named(recs: Recordings, wanted: str, path: Path) -> int:
    orders = recs.orders
    is_it = (orders["recording_id"] == wanted) | (orders["request_id"] == wanted)
    if not is_it.any():
        text = f"No recording {quoted(wanted)} in {path}. firmly-nb load {path} lists them."
        raise coded_error(LookupError, "FNB323", text)
    return int(is_it.to_numpy().argmax())


def _calibration() -> Calibration:
    with _lab(None) as lab:
        return lab.calibrate()


# JupyterLab, opened on the user's own copies of the notebooks.


WORKSPACE = "firmly-nb"  # in the user's home folder
COPIED = ".copied.json"  # in a workspace: the SHA-256 of each notebook as it was copied


def _shipped() -> dict[str, bytes]:
    """Return the notebooks of this version, by name; their links lead into the workspace."""
    return {
        path.name: path.read_bytes().replace(b"](../docs/", b"](docs/")
        for path in sorted(_beside("notebooks").glob("*.ipynb"))
    }


def _beside(name: str) -> Path:
    """Return a folder that stands beside the package in a checkout, and inside it in a wheel."""
    here = Path(__file__).resolve().parent
    return next(f for f in (here / name, here.parent / name) if f.is_dir())


def copy_notebooks(workspace: Path) -> list[str]:
    """Copy the notebooks into a workspace, and return the names of the files that are new.

    The pages that they link to come with them. What a user wrote is never written over: a notebook
    that a newer version changed is put beside the user's with the version in its name. One that the
    user removed stays away.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    noted = workspace / COPIED
    before: dict[str, str] = json.loads(noted.read_text()) if noted.is_file() else {}
    copied, new = dict(before), []
    for name, content in _shipped().items():
        digest = sha256(content).hexdigest()
        if before.get(name) == digest:
            continue
        copied[name] = digest
        target = workspace / name
        if target.exists():
            target = workspace / f"{target.stem} ({version('firmly-nb')}).ipynb"
        elif name in before:
            continue
        if not target.exists() and content != _content(workspace / name):
            write_whole(target, content)
            new.append(target.name)
    for page in sorted(_beside("docs").rglob("*.*")):
        target = workspace / "docs" / page.relative_to(_beside("docs"))
        name, content = target.relative_to(workspace).as_posix(), page.read_bytes()
        # A page is for reading: it is replaced, but not one that the user wrote into.
        if not target.exists() or before.get(name) == sha256(target.read_bytes()).hexdigest():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, content)
            copied[name] = sha256(content).hexdigest()
    write_whole(noted, json.dumps(copied, indent=1).encode())
    return new


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _run_jupyter(workspace: Path, arguments: list[str]) -> int:
    """Run JupyterLab on a workspace until it ends; return its exit code."""
    try:
        new = copy_notebooks(workspace)
    except (OSError, ValueError) as error:
        text = f"The workspace {workspace} cannot be used: {printable(error)}."
        raise coded_error(
            OSError, "FNB804", f"{text} Choose another folder with --workspace."
        ) from error
    _say(f"Your notebooks are in {workspace}. " + (f"New: {', '.join(new)}." if new else ""))
    command = [sys.executable, "-m", "jupyterlab", *arguments]
    command += [f"--ServerApp.root_dir={workspace}"]
    if (workspace / QUICKSTART).is_file():
        # The address leads to the notebook also where it is printed and not opened.
        command += [f"--LabApp.default_url=/lab/tree/{QUICKSTART}"]
    # As root JupyterLab refuses to start; in containers one usually is root.
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in arguments:
        command.append("--allow-root")
    try:
        return subprocess.call(command)  # noqa: S603 - our own interpreter
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT


# Items as words, tables and JSON on the terminal.


def _option(name: str, given: str, form: str, example: str) -> ValueError:
    text = f"{name} must be {form}, got {quoted(given)}. Example: {name} {example}."
    return coded_error(ValueError, "FNB801", text)


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
            raise _option("--item", text, "VARIANT_ID=QUANTITY", "WS12-XS-Orange=2")
        items.append(Item(variant_id=variant_id, quantity=int(quantity or 1)))
    return items


def console_of() -> Console:
    """Return standard output as rich sees it."""
    from rich.console import Console

    # Piped output is for programs and files: nothing is cut to the width of a screen.
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def _say(text: str, style: str | None = None) -> None:
    """Print a text as it is: what is in it is not rich's own marks."""
    console_of().print(text, style=style, markup=False, soft_wrap=True)


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        _say(f"! {printable(warning)}", "yellow")


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows; a column whose name ends in ms holds times."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    align: Literal["left", "right"]
    cells = [[_cell(value) for value in row.values()] for row in rows]
    for index, name in enumerate(rows[0] if rows else ()):
        is_time = name.endswith("ms")
        # In a narrow terminal a name may be cut, a number may not.
        width = max(len(row[index]) for row in cells) if is_time else None
        align = "right" if is_time else "left"
        table.add_column(name, justify=align, no_wrap=True, min_width=width)
    for row in cells:
        table.add_row(*row)
    console_of().print(table)


def _cell(value: Any) -> str:
    from rich.markup import escape

    if isinstance(value, float):
        return number(value)
    return "-" if value is None else escape(printable(str(value)))


def print_json(content: dict[str, Any]) -> None:
    """Print something for machines; a table becomes a list of its rows."""
    import orjson

    def rows(table: Any) -> Any:
        return orjson.loads(table.to_json(orient="records", date_format="iso", date_unit="ns"))

    text = orjson.dumps(content, default=rows, option=orjson.OPT_INDENT_2).decode()
    sys.stdout.write(f"{text}\n")
