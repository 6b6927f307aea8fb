"""Commands that read recordings: ``plan``, ``gate``, ``report``, ``load``, ``ticket``, ..."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from warnings import catch_warnings, filterwarnings

import typer

from firmly_nb.cli.terminal import (
    STDOUT,
    Control,
    Margin,
    PlacedPoints,
    Slo,
    TailPoints,
    app,
    json_text,
    open_lab,
    print_json,
    print_table,
    say,
    warn,
)
from firmly_nb.disk import write_whole
from firmly_nb.display.messages import coded_error, quoted, unknown
from firmly_nb.display.text import count, printable, storage
from firmly_nb.latency.asked import TARGET, points_of, share_of, target_of
from firmly_nb.outcomes import outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmly_nb.latency.gate import Gate
    from firmly_nb.recorder.calibration import Calibration
    from firmly_nb.recordings.recordings import Recordings

LOAD_SHOWS = 20
IN_PLACE = ", in place of what was there"
TRACES = ("json", "pftrace", "perfetto-trace")


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
    found = planned(loaded(path), *asked, rate=rate)
    if as_json:
        told = ("change", "power", "question", "orders", "runs", "count", "minutes", "per_minute")
        answer = {name: getattr(found, name) for name in told}
        print_json({**answer, "amounts": dict(found.amounts), "needs": found.needs})
    else:
        sys.stdout.write(f"{found!r}\n")


@app.command()
def gate(  # noqa: PLR0913, PLR0917 - each is an option of its own
    runs: Annotated[Path, typer.Argument(help="The new runs: saved set, journal or folder.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Earlier runs to hold them against: the same kinds.")
    ] = None,
    margin: Margin = None,
    tail: TailPoints = None,
    placed: PlacedPoints = None,
    control: Control = None,
    slo: Slo = None,
    beside: Annotated[
        Path | None, typer.Option(help="Further runs to compare with: printed, decides nothing.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write JUnit XML for build servers; - prints it.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all that decides as JSON; - prints it.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write a summary as Markdown; - prints it.")
    ] = None,
) -> None:
    """Say whether new runs may pass: 0 yes, 1 worse or target missed, 3 cannot tell.

    They are held against earlier runs, a target, or both. Too little data is never a pass.
    """
    from firmly_nb.latency.gate_files import UNFINISHED
    from firmly_nb.recordings.recordings import load

    files = {"junit": junit, "json": json_file, "markdown": markdown}
    _check_places(files)
    # The pass of an earlier gate must not stay where this one is killed.
    _write_gate(files, UNFINISHED)
    try:
        asked = {"margin": margin, "tail": tail, "placed": placed, "control": control}
        judge = _judge(asked, slo, None if baseline else "--baseline")
        if baseline is None and not slo:
            text = f"A gate needs --baseline PATH, or a target such as --slo {TARGET}."
            raise coded_error(ValueError, "FNB316", text)  # noqa: TRY301 - all is written down
        recs = load(runs)
        others = [None if path is None else load(path) for path in (baseline, beside)]
        found = judge(recs, *others)
    except Exception as error:
        _write_gate(files, str(error))
        raise
    warnings = [*recs.warnings, *(each for one in others if one for each in one.warnings)]
    _write_gate(files, found, warnings)
    if STDOUT not in files.values():
        sys.stdout.write(f"{found!r}\n")
        warn(warnings)
    raise typer.Exit(found.exit_code)


def _check_places(files: dict[str, Path | None]) -> None:
    """Refuse two files of one name: one would replace the other."""
    used: dict[Path, str] = {}
    for kind, path in files.items():
        if path is None:
            continue
        where = path if path == STDOUT else path.absolute()
        if where in used:
            text = f"--{used[where]} and --{kind} both name {path}. Name two files."
            raise coded_error(ValueError, "FNB801", text)
        used[where] = kind


def _write_gate(files: dict[str, Path | None], found: Gate | str, warnings: Any = ()) -> None:
    from firmly_nb.latency.gate_files import as_json, as_junit, as_page

    forms = {
        "junit": as_junit,
        "json": lambda *told: json_text(as_json(*told)).encode(),
        "markdown": lambda *told: as_page(*told).encode(),
    }
    for kind, path in files.items():
        if path is None:
            continue
        content = forms[kind](found, warnings)
        if path == STDOUT:
            sys.stdout.write(content.decode() if not isinstance(found, str) else "")
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content, mode=0o644)
        except OSError as error:
            why = error.strerror or error
            text = f"--{kind} {path} cannot be written: {why}. Name another file."
            raise coded_error(OSError, "FNB441", text) from error


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
    from firmly_nb.charts.pictures import NO_PICTURES, missing
    from firmly_nb.report.report import Against, write

    asked = {"margin": margin, "tail": tail, "placed": placed, "control": control}
    judge = _judge(asked, slo, None if compare else "--compare")
    if check and compare is None and not slo:
        text = f"--check needs --compare PATH, or a target such as --slo {TARGET}."
        raise coded_error(ValueError, "FNB316", text)
    recs = loaded(path)
    earlier = loaded(compare) if compare else None
    found = judge(recs, earlier) if compare or slo else None
    compared = found.comparison if found else None
    against = Against(earlier, compared) if earlier is not None and compared else None
    calibration = _calibration() if calibrate else None
    is_new = not output.parent.exists()
    try:
        with catch_warnings():
            filterwarnings("ignore", message=NO_PICTURES)  # it is said below
            written = write(
                recs,
                output,
                title,
                calibration=calibration,
                against=against,
                pictures=pictures,
                target=target_of("--slo", slo[0]) if slo else None,
            )
    except OSError as error:
        if error.strerror is None:
            raise
        text = f"{output} cannot be written: {error.strerror}. Name another file."
        raise coded_error(OSError, "FNB315", text) from error
    if not quiet:
        folder = ", in a new folder" if is_new else ""
        size = storage(written.stat().st_size)
        say(f"{written}: {count(len(recs), 'order')}, {size}{folder}")
    if pictures and missing():
        warn([missing()])
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
    say(repr(recs))
    shown = recs.orders.tail(LOAD_SHOWS)
    merchants = shown["domain"].unique()
    if len(merchants) == 1:
        say(f"merchant: {printable(merchants[0])}", "dim")
    print_table(
        [
            {
                "recording": row["recording_id"],
                **({"merchant": row["domain"]} if len(merchants) > 1 else {}),
                "outcome": outcome(str(row["outcome"])).word,
                "exists": row["order_exists"],
                "order": row["order_number"],
                "ms": headline_ms({str(name): value for name, value in row.items()}),
            }
            for row in shown.to_dict("records")
        ],
    )
    if len(recs) > LOAD_SHOWS:
        say(f"the last {LOAD_SHOWS} of {len(recs)}", "dim")
    for note in recs.notes:
        say(f"note: {printable(note)}", "dim")
    warn(warning for rec in recs.cut_off for warning in rec.warnings)
    if saved:
        say(repr(saved))


@app.command()
def ticket(
    path: Annotated[Path, typer.Argument(help="A saved set, a journal or a folder of journals.")],
    recording_id: Annotated[
        str | None,
        typer.Option("--id", help="Recording id or request id; by default the slowest order."),
    ] = None,
) -> None:
    """Print what whoever runs the service needs to find an order; no address and no secret."""
    recs = loaded(path)
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
    chosen = file_format or ("har" if target.suffix.lower() == ".har" else "parquet")
    _check_target(path, target, chosen, is_given=file_format is not None)
    recs = loaded(path)
    is_new = not target.exists()
    files = {"har": recs.har, "perfetto": recs.perfetto}
    written = files[chosen](target) if chosen in files else recs.export(target, chosen)
    say(f"{written}: {count(len(recs), 'order')} as {chosen}{'' if is_new else IN_PLACE}")
    warn(recs.warnings)


def _check_target(path: Path, target: Path, chosen: str, *, is_given: bool) -> None:
    from firmly_nb.exchange.tables import FORMATS

    if chosen not in (*FORMATS, "har", "perfetto"):
        said = unknown("format", chosen, (*FORMATS, "har", "perfetto"))
        raise coded_error(ValueError, "FNB350", said)
    if target.is_file() and path.exists() and target.samefile(path):
        text = f"{target} is what is exported, and would be replaced. Name another file."
        raise coded_error(ValueError, "FNB353", text)
    if chosen in FORMATS and not target.is_dir():
        ending = target.suffix.lower().removeprefix(".")
        folder = target.with_suffix("")
        if ending in FORMATS:
            said = f"Try firmly-nb export {path} {folder} --format {ending}."
        elif ending in TRACES and not is_given:
            said = f"For a trace add --format perfetto, for tables try {folder}."
        else:
            return
        text = f"Tables go into a folder, and {target} looks like one file. {said}"
        raise coded_error(ValueError, "FNB354", text)


@app.command()
def clean(
    file: Annotated[Path, typer.Argument(help="A HAR file that a browser or a proxy wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Another file; by default FILE itself.")
    ] = None,
) -> None:
    """Take tokens, cookies, cards and addresses out of a HAR file, before somebody gets it."""
    from firmly_nb.exchange.har_clean import clean_har

    is_new = output is None or not output.exists()
    say(f"{clean_har(file, output)!r}{'' if is_new else IN_PLACE}")


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="The folder of a saved set.")],
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing unless something is wrong.")
    ] = False,
) -> None:
    """Look whether each file of a saved set is what was saved; exit with 1 if one is not."""
    from firmly_nb.recordings.verified import verify as look_at

    table = look_at(path)
    wrong = table[table["state"] != "as saved"]
    if len(wrong):
        print_table([{"file": row.file, "state": row.state} for row in wrong.itertuples()])
        raise typer.Exit(1)
    if not quiet:
        say(f"{path}: all {count(len(table))} files are what was saved")


# A gate and a report: what they are made of, and the verdict of both.


def _judge(
    asked: dict[str, str | None], slo: list[str] | None, lacks: str | None
) -> Callable[..., Gate]:
    """Return what holds new recordings against earlier ones and a target; read its options.

    ``lacks`` is the option of a comparison, where it was not given.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    if lacks and given:
        text = f"--{next(iter(given))} is for a comparison. Add {lacks} PATH."
        raise coded_error(ValueError, "FNB316", text)
    if slo and len(slo) > 1:
        text = f"--slo is one target, got {len(slo)}. Run the command once for each."
        raise coded_error(ValueError, "FNB801", text)
    target = target_of("--slo", slo[0]) if slo else None
    margins: dict[str, Any] = {
        "margin": share_of("--margin", given.get("margin", "10%"), 0.10),
        "tail_margin": points_of("--tail", given.get("tail", "5")),
        "placed_margin": points_of("--placed", given.get("placed", "5")),
        "slo_ms": target and target.order_ms,
        "control": given.get("control"),
    }

    def judge(
        recs: Recordings, earlier: Recordings | None, beside: Recordings | None = None
    ) -> Gate:
        from firmly_nb.latency.gate import gate as decision

        compared = None if earlier is None else earlier.compare(recs, **margins)
        more: dict[str, Any] = {}
        attained = None
        if target is not None:
            attained = recs.slo(target.order_ms, target.share)
            by = recs.by("domain")
            if len(by) > 1:
                more["merchants"] = by.slo(target.order_ms, target.share)
            more["throughput_per_s"] = recs.throughput()
        if beside is not None:
            # A folder of all nights has the new one too.
            known = recs.order_column("recording_id")
            others = beside[(~beside.order_column("recording_id").isin(known)).tolist()]
            more["beside"] = others.compare(recs, **margins | {"control": None})
        return decision(compared, attained, **more)

    return judge


def loaded(path: Path) -> Recordings:
    """Return the recordings at a path; none is a mistake."""
    from firmly_nb.recordings.recordings import load

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
    with open_lab(None) as lab:
        return lab.calibrate()
