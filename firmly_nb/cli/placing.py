"""Commands that place orders: ``demo``, ``place``, ``sweep``, ``compare``, ``conformance``."""

from __future__ import annotations

import math
import sys
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 - typer looks at it when it runs
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from firmly_nb.api.models import TEST_CARDS, Card, Item, Order
from firmly_nb.cli.terminal import (
    Allowed,
    ApiUrl,
    AsJson,
    CaFile,
    CardName,
    EnvironmentName,
    Items,
    Margin,
    PlacedPoints,
    Settle,
    TailPoints,
    TimeoutS,
    Warm,
    WithEvents,
    app,
    in_terminal_words,
    open_lab,
    print_json,
    print_table,
    say,
    warn,
)
from firmly_nb.display.messages import coded_error, quoted
from firmly_nb.display.text import printable, storage
from firmly_nb.environments import DEMO_MERCHANT
from firmly_nb.latency.asked import points_of, share_of
from firmly_nb.outcomes import (
    INTERRUPTED_EXIT,
    NO,
    TONES,
    UNKNOWN,
    YES,
    exit_code,
)

if TYPE_CHECKING:
    from distributed import Client

    from firmly_nb.lab import Lab
    from firmly_nb.options import PlaceOptions
    from firmly_nb.recordings.recording import Recording
    from firmly_nb.recordings.recordings import Recordings
    from firmly_nb.sweep.sweep import Sweep

EVENT_COLUMNS = {"event": "event", "t_ms": "ms", "gap_ms": "gap ms"}
STAGE_COLUMNS = {
    "stage": "stage",
    "start_ms": "from ms",
    "end_ms": "to ms",
    "duration_ms": "duration ms",
}


@app.command()
def demo(
    profile: Annotated[str, typer.Option(help="Latency profile of the simulator.")] = "typical",
    seed: Annotated[int, typer.Option(help="Seed of the simulator's delays.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Place one order on the embedded simulator and show each event as it arrives."""
    with open_lab(None, profile=profile, seed=seed) as lab:
        _finish(_place(lab, Order.example(), Card.test(), quiet=as_json), as_json=as_json)


@app.command()
def place(  # noqa: PLR0913, PLR0917 - each is an option of its own
    environment: EnvironmentName = "simulator",
    api_url: ApiUrl = None,
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
    where: dict[str, Any] = {"allow_domains": allow or [], "ca_file": ca_file, "api_url": api_url}
    with open_lab(None if api_url else environment, **where) as lab:
        options = {"sse": sse, "warm": warm, "timeout_s": timeout_s, "settle": settle}
        rec = _place(lab, order, Card.test(card), quiet=as_json, **options)
        _finish(rec, as_json=as_json)


@app.command()
def sweep(  # noqa: PLR0913, PLR0917 - each is an option of its own
    count: Annotated[int | None, typer.Option(help="How many orders.")] = None,
    rate: Annotated[str | None, typer.Option(help="Orders a second, or like 30/min.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Most orders in flight; without --rate always that many.")
    ] = None,
    arrival: Annotated[str | None, typer.Option(help="constant, poisson or closed.")] = None,
    duration: Annotated[str | None, typer.Option(help="Seconds, or like '10 min'.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
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
    api_url: ApiUrl = None,
    profile: Annotated[
        str | None, typer.Option(help="Latency profile of the embedded simulator.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Merchant domain.")] = None,
    item: Items = None,
    card: Annotated[
        str | None, typer.Option(help=f"Test card: {', '.join(TEST_CARDS)}. By default visa.")
    ] = None,
    allow: Allowed = None,
    ca_file: CaFile = None,
    sse: WithEvents = True,
    warm: Warm = True,
    timeout_s: TimeoutS = 120.0,
    settle: Settle = False,
    dask: Annotated[
        str | None,
        typer.Option(
            help="Scheduler of a Dask cluster, like tls://10.0.0.7:8786: send from there."
        ),
    ] = None,
    tls_ca_file: Annotated[
        Path | None, typer.Option(help="Authority of the cluster's certificates (PEM).")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate for the cluster (PEM).")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Its key, if it is in a file of its own.")
    ] = None,
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
    where: dict[str, Any] = {"allow_domains": allow or [], "ca_file": ca_file, "api_url": api_url}
    where |= {"profile": profile} if profile else {}
    with open_lab(None if api_url else environment, **where) as lab, ExitStack() as clients:
        order = _order(lab, resume, domain, item)
        options: PlaceOptions = {"sse": sse, "warm": warm, "timeout_s": timeout_s, "settle": settle}
        cluster = _cluster(dask, tls_ca_file, tls_cert, tls_key)
        if cluster:
            given["on"] = clients.enter_context(cluster)
        started = lab.start_sweep(order, _card(card, dask), **given, **options)
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
        int | None, typer.Option(help="Most orders in flight; without --rate always that many.")
    ] = None,
    arrival: Annotated[str | None, typer.Option(help="constant, poisson or closed.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
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
    api_url: ApiUrl = None,
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
    ca_file: CaFile = None,
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
        trusted: dict[str, Any] = {"allow_domains": allow or [], "ca_file": ca_file}
        first = {**trusted, **more, "api_url": api_url}
        lab = labs.enter_context(open_lab(None if api_url else environment, **first))
        second = _other_lab(other, other_profile, trusted)
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
def conformance(  # noqa: PLR0913, PLR0917 - each is an option of its own
    environment: EnvironmentName = "simulator",
    api_url: ApiUrl = None,
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
    with open_lab(None if api_url else environment, **where) as lab:
        found = lab.conformance(order, Card.test(card))
    page = found.save(output) if output else None
    if as_json:
        print_json(found.as_dict())
    else:
        first, _, rest = repr(found).partition("\n")
        say(in_terminal_words(first))
        sys.stdout.write(f"{rest}\n")
        if page:
            say(f"{page}: {storage(page.stat().st_size)}")
    raise typer.Exit(found.exit_code)


# One order: placed, and what is said of it.


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


def _other_lab(where: str | None, profile: str | None, trusted: dict[str, Any]) -> Lab | None:
    """Return the lab of B: of an environment, at a URL, or on a simulator of its own."""
    if where is None and profile is None:
        return None
    more = trusted | ({"profile": profile} if profile else {})
    if where is not None and "://" in where:
        return open_lab(None, api_url=where, **more)
    return open_lab(where, **more)


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
        print_json({"orders": rec.orders, "events": rec.event_times})
    else:
        _print_recording(rec)
    raise typer.Exit(exit_code([rec.order_exists]))


def _print_recording(rec: Recording) -> None:
    from firmly_nb.recordings.show import look_of, precision, said_of_times, untimed, verdict

    row = look_of(rec)
    say("")
    say(f"{row.mark} {in_terminal_words(verdict(rec))}", f"bold {TONES[row.tone].terminal}")
    say(f"{printable(rec.domain)}, {printable(rec.environment)}, {precision(rec)}", "dim")
    if rec.recorded.events:
        # A time that is not known is not shown as one.
        events = rec.event_times
        events = events.assign(gap_ms=events["gap_ms"].mask(events["coalesced"]))
        took = zip(rec.stages["duration_ms"].tolist(), untimed(rec), strict=True)
        stages = rec.stages.assign(duration_ms=[math.nan if why else ms for ms, why in took])
        for table, columns in ((events, EVENT_COLUMNS), (stages, STAGE_COLUMNS)):
            say("")
            shown = table[list(columns)].rename(columns=columns).to_dict("records")
            print_table([{str(k): v for k, v in row.items()} for row in shown])
    warn([*said_of_times(rec), *rec.warnings])


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


def _cluster(
    dask: str | None, ca_file: Path | None, cert: Path | None, key: Path | None
) -> Client | None:
    """Return a client of the cluster that orders are sent from; None for this machine alone."""
    from firmly_nb.sweep.cluster import connect

    files = [str(file) if file else None for file in (ca_file, cert, key)]
    if dask is not None:
        return connect(dask, *files)
    if any(files):
        text = "--tls-ca-file, --tls-cert and --tls-key are for a cluster. Add --dask ADDRESS."
        raise coded_error(ValueError, "FNB801", text)
    return None


def _card(name: str | None, dask: str | None) -> Card | None:
    """Return the card that is named; by default each machine of a cluster has its own."""
    return None if name is None and dask else Card.test(name or "visa")


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
        recs = started.wait(show=None if quiet else bar().show)
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    # Of an order that another machine may have sent nobody knows whether it exists.
    lost = [UNKNOWN for one in started.problems if one.unknown]
    all_sent = started.progress.state == "finished" and len(lost) == len(started.problems)
    return exit_code([*(rec.order_exists for rec in recs), *lost, YES if all_sent else NO])


def _print_sweep(started: Sweep, recs: Recordings) -> None:
    progress = started.progress
    say(f"run {started.run_id}: {progress.state}", "bold")
    say(repr(recs.latency()) if len(recs) else "no order was sent")
    warn(recs.warnings)
    if progress.state == "stopped":
        say(_how_to_go_on(started))


def _how_to_go_on(started: Sweep) -> str:
    """Say what places the rest; the budget of orders and money is that of the whole run."""
    why = started.progress.message
    more = " --max-orders MORE" if why.endswith("orders is used up") else ""
    more = " --max-total CURRENCY=MORE" if "the next order may cost" in why else more
    more += " --dask ADDRESS" if len(started.hosts) else ""
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
        "unknown": progress.unknown,
        "spent_minor": progress.spent_minor,
        "orders": recs.orders,
    }
    print_json(answer)


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
