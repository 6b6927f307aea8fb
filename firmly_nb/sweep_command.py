"""``firmly-nb sweep``: many orders from a terminal or from cron.

The exit code says how it went: 0 every order of the plan exists, 1 not all do, 2 refused before
anything was sent, 3 an order may exist, 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firmly_nb.api.models import Card, Order
from firmly_nb.environments import DEMO_MERCHANT
from firmly_nb.outcomes import INTERRUPTED_EXIT, NO, YES, exit_code
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
)

if TYPE_CHECKING:
    from firmly_nb.lab import Lab
    from firmly_nb.recording.recording import Recordings
    from firmly_nb.sweep.handle import Sweep


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
    sse: WithEvents = True,
    warm: Warm = True,
    timeout_s: TimeoutS = 120.0,
    save: Annotated[
        Path | None, typer.Option(help="Folder to save the recordings in, as Parquet.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print run and orders as JSON.")] = False,
) -> None:
    """Place many orders on a schedule, within a budget, and say how long they took."""
    from firmly_nb.lab import connect

    budget = _budget(max_orders, max_minutes, max_total or [])
    asked: dict[str, Any] = {
        "count": count,
        "rate": rate,
        "concurrency": concurrency,
        "arrival": arrival,
    }
    asked |= {"duration": duration, "seed": seed, "budget": budget, "name": name}
    asked |= {"tags": _tags(tag) if tag else None, "run_id": run_id, "resume": resume}
    more: dict[str, Any] = {"profile": profile} if profile else {}
    with connect(environment, allow_domains=allow or [], **more) as lab:
        order = _order(lab, resume, domain, item)
        options = {"sse": sse, "warm": warm, "timeout_s": timeout_s}
        given = {name: value for name, value in asked.items() if value is not None}
        started = lab.start_sweep(order, Card.test(card), **given, **options)
        code = _follow(started, quiet=as_json)
        recs = started.recordings
        if save:
            recs.save(save)
        (_print_json if as_json else _print)(started, recs)
    raise typer.Exit(code)


def _follow(started: Sweep, *, quiet: bool) -> int:
    from firmly_nb.sweep.bar import bar

    if not quiet:
        # Said at the beginning: whoever is killed cannot say it at the end.
        print(f"run {started.run_id}", file=sys.stderr, flush=True)
    try:
        recs = started.wait(None if quiet else bar().show)
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    all_sent = started.progress.state == "finished" and not started.problems
    return exit_code([*(rec.order_exists for rec in recs), YES if all_sent else NO])


def _order(lab: Lab, resume: str | None, domain: str | None, items: list[str] | None) -> Order:
    """Return the order: as it is said, else that of the run that is resumed, else the example."""
    from firmly_nb.api.models import Item
    from firmly_nb.sweep.plan_file import PlanFile

    changes: dict[str, Any] = {"domain": domain or DEMO_MERCHANT}
    if items:
        changes["items"] = items_of(items)
    elif resume and not domain:
        try:
            kinds = PlanFile.read(lab.journal, resume).kinds
        except LookupError as error:
            raise ValueError(str(error)) from None
        if len(kinds) != 1:
            raise ValueError(
                f"the run {resume} placed several kinds of orders; resume it from Python, with "
                f"lab.sweep(orders, resume={resume!r})"
            )
        changes["domain"], pairs, _ = kinds[0]
        changes["items"] = [Item(variant_id=v, quantity=q) for v, q in pairs]
    return Order.example(**changes)


def _budget(orders: int | None, minutes: float | None, totals: list[str]) -> dict[str, Any] | None:
    total_minor = {}
    for text in totals:
        currency, _, minor = text.partition("=")
        if not minor.isdigit():
            raise ValueError(f"--max-total {text}: expected CURRENCY=MINOR_UNITS, like USD=50000")
        total_minor[currency.upper()] = int(minor)
    given = {"orders": orders, "minutes": minutes, "total_minor": total_minor or None}
    return {name: value for name, value in given.items() if value is not None} or None


def _tags(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise ValueError(f"--tag {text}: expected NAME=VALUE")
    return dict(text.split("=", 1) for text in texts)


def _print(started: Sweep, recs: Recordings) -> None:
    console = console_of()
    progress = started.progress
    console.print(f"run {started.run_id}: {progress.state}", style="bold", markup=False)
    shown = repr(recs.latency()) if len(recs) else "no order was sent"
    console.print(shown, markup=False, highlight=False, soft_wrap=True)
    for warning in recs.warnings:
        console.print(f"! {warning}", style="yellow", markup=False, soft_wrap=True)
    if progress.state == "stopped":
        console.print(_how_to_go_on(started), markup=False, highlight=False, soft_wrap=True)


def _how_to_go_on(started: Sweep) -> str:
    """Say what places the rest; the budget of orders and money is that of the whole run."""
    why = started.progress.message
    more = " --max-orders MORE" if why.endswith("orders is used up") else ""
    more = " --max-total CURRENCY=MORE" if "the next order may cost" in why else more
    return f"firmly-nb sweep --resume {started.run_id}{more} places what is missing"


def _print_json(started: Sweep, recs: Recordings) -> None:
    import orjson

    progress = started.progress
    orders = recs.orders.to_json(orient="records", date_format="iso", date_unit="ns")
    answer = {
        "run_id": started.run_id,
        "name": started.name,
        "state": progress.state,
        "message": progress.message,
        "planned": progress.planned,
        "outcomes": progress.outcomes,
        "not_sent": progress.not_started,
        "spent_minor": progress.spent_minor,
        "orders": orjson.loads(orders),
    }
    sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode() + "\n")
