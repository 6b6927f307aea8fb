"""``SweepPanel``: many orders from a form, their counts and percentiles while they run.

Its fields are a shared draft (``draft.py``) like an order form's, which is in no saved state.
"""

from __future__ import annotations

import math
import statistics
import threading
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.models import Order
from firmly_nb.api.money import money_text
from firmly_nb.background import submit
from firmly_nb.display.arguments import public
from firmly_nb.display.messages import coded_error
from firmly_nb.display.table import Grid, Head, grid_html
from firmly_nb.display.text import count as counted
from firmly_nb.display.text import duration, interval, printable
from firmly_nb.outcomes import NOT_SENT, PLACED, ROWS, STAGE_COLOURS, outcome
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.sweep.budget import Quotes, what_of
from firmly_nb.sweep.progress import ended, of_planned
from firmly_nb.sweep.run import AHEAD_S
from firmly_nb.widgets.draft import SharedDraft
from firmly_nb.widgets.frontend import (
    SHOW_EVERY_S,
    AtOnce,
    Heartbeat,
    Throttle,
    display_with_image,
    module,
    show_closed,
    style,
    the_lab,
    with_static,
)
from firmly_nb.widgets.sweep_draft import (
    LABELS,
    LONGEST_FIELD,
    LONGEST_WORDS,
    PERCENTILES,
    arguments,
    first_draft,
    known_variants,
    orders_words,
    problems,
    prospect_words,
    texts_of,
    too_few_in_flight,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from firmly_nb.engine import Bench
    from firmly_nb.lab import Lab
    from firmly_nb.latency.quantiles import Quantile
    from firmly_nb.sweep.budget import Amount, What
    from firmly_nb.sweep.progress import Point, Progress
    from firmly_nb.sweep.sweep import Sweep
    from firmly_nb.widgets.sweep_draft import SweepDraft


SHOWN_POINTS = 300
IDLE: dict[str, Any] = {
    "state": "idle",
    "headline": "",
    "ended": 0,
    "planned": None,
    "outcomes": [],
    "facts": [],
    "message": "",
    "percentiles": [],
    "late": "",
    "run_id": "",
    "can_resume": False,
}
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 160, 56, 24
MOST_PRICES = 12  # more kinds of orders than these are not asked for their prices
# Starts that are later than this, and than this share of an order's time, are said in colour.
LATE_MS, LATE_SHARE = 25.0, 0.05
DRAW_EVERY_S = 0.5  # the chart is the larger part of what is sent


class Field:
    """Field of the form as an attribute: read as a value, set as a value or a text."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, panel: SweepPanel | None, owner: type | None = None) -> Any:
        return self if panel is None else value_of(panel._draft.now, self._name)  # noqa: SLF001 - its own

    def __set__(self, panel: SweepPanel, value: Any) -> None:
        panel.set(**{self._name: value})


@public
class SweepPanel(AtOnce, anywidget.AnyWidget):
    """Form that places many orders, with counts and percentiles while they run.

    Set and read each field by its name (``panel.rate = "30/min"``). ``panel.sweep`` and
    ``panel.recordings`` are what ``lab.start_sweep`` gives.

    Parameters
    ----------
    lab
        Lab that places the orders.
    orders
        Orders to place: an order, a list, ``fnb.grid(...)``; by default ``Order.example()``.
    **fields
        Fields that the form begins with, by the names below.

    Raises
    ------
    TypeError
        If ``lab`` is not a lab.
    ValueError
        If a field is unknown.

    Attributes
    ----------
    count
        Number of orders.
    arrival
        ``"constant"``, ``"poisson"`` or ``"closed"``.
    rate
        Orders a second, or a text such as ``"30/min"``.
    concurrency
        Most orders in flight; without a rate, that many always.
    duration
        Seconds, or a text such as ``"10 min"``.
    max_orders
        Budget: number of orders.
    max_minutes
        Budget: minutes after which no order starts.
    max_total
        Budget: an amount such as ``"500.00 USD"``.
    name
        A name to find the sweep again.

    Examples
    --------
    >>> import firmly_nb as fnb
    >>> with fnb.connect(profile="instant") as lab:
    ...     panel = fnb.SweepPanel(lab, count=3, rate=50)
    ...     recs = panel.start().wait()
    >>> len(recs), panel.problems
    (3, {})
    """

    _esm = module("sweep_panel")
    _css = style("sweep_panel")
    _environment = traitlets.Dict().tag(sync=True)
    _orders_words = traitlets.Unicode().tag(sync=True)
    _shown = traitlets.Dict(IDLE).tag(sync=True)
    _points = traitlets.List(traitlets.List()).tag(sync=True)
    _looks = traitlets.Dict().tag(sync=True)
    _notice = traitlets.Unicode().tag(sync=True)
    _closed = traitlets.Bool(False).tag(sync=True)

    count, arrival, rate, concurrency = Field(), Field(), Field(), Field()
    duration, max_orders, max_minutes, max_total = Field(), Field(), Field(), Field()
    name = Field()

    def __init__(self, lab: Lab, orders: Any = None, **fields: Any) -> None:
        self._lab = the_lab(lab)
        self._orders = orders if orders is not None else Order.example()
        self._sweep: Sweep | None = None
        self._starting = threading.Lock()
        self._showing = threading.Lock()
        self._show_soon = Throttle(_beside(self._show), SHOW_EVERY_S)
        self._draw_soon = Throttle(_beside(self._draw), DRAW_EVERY_S)
        first = replace(first_draft(lab.environment), **texts_of(fields))
        self._prices: dict[What, Amount | None] = {}
        self._asked_for: object = None  # the orders whose prices were asked for
        self._draft = SharedDraft(first, self.send, self._wrong, about=self._prospect)
        self._heart = Heartbeat(self.send)
        name = lab.environment.name
        where = {"name": name, "label": name.upper()}
        super().__init__(
            _environment=where,
            _orders_words=orders_words(self._orders),
            _looks=looks(),
        )
        self.on_msg(self._asked)
        show_closed(lab, self, "_closed")

    @property
    def lab(self) -> Lab:
        """Lab that places the orders."""
        return self._lab

    @property
    def orders(self) -> Any:
        """Orders to place: an order, a list, a generator or a grid."""
        return self._orders

    @orders.setter
    def orders(self, orders: Any) -> None:
        self._orders = orders
        self._orders_words = orders_words(orders)
        self._draft.tell()
        if self._asked_for is not None:
            self._ask_prices()

    @property
    def problems(self) -> dict[str, str]:
        """Problems, by field; empty if the sweep can be started."""
        return self._draft.problems

    @property
    def sweep(self) -> Sweep | None:
        """Sweep that runs, or the last one; None before the first."""
        return self._sweep

    @property
    def recordings(self) -> Recordings:
        """Recordings of the orders that have ended."""
        return self._sweep.recordings if self._sweep else Recordings([])

    def set(self, **fields: Any) -> None:
        """Set fields by name; None empties one.

        Parameters
        ----------
        **fields
            Fields and their values, such as ``count=20``.

        Raises
        ------
        ValueError
            If there is no such field.

        Examples
        --------
        ::

            fnb.SweepPanel(lab).set(count=3, rate=50)
        """
        self._draft.put(texts_of(fields))

    def start(self) -> Sweep:
        """Start a sweep with what the form says.

        Raises
        ------
        ValueError
            If something in the form is wrong.
        RuntimeError
            If one is running.

        Examples
        --------
        ::

            fnb.SweepPanel(lab, count=3, rate=50).start().wait()
        """
        found = self.problems
        if found:
            said = "; ".join(f"{name}: {text}" for name, text in found.items())
            raise coded_error(
                ValueError,
                "FNB707",
                f"The sweep cannot start: {said.rstrip('.')}. Correct the fields.",
            )
        return self._begin(**arguments(self._draft.now))

    def resume(self) -> Sweep:
        """Go on with the last sweep: what it has not sent is sent.

        Raises
        ------
        LookupError
            If there is none.

        Examples
        --------
        ::

            panel = fnb.SweepPanel(lab, count=3, rate=50)
            panel.start().wait()
            panel.sweep.done
        """
        if self._sweep is None:
            text = "This panel has no sweep to resume. Begin one with start()."
            raise coded_error(LookupError, "FNB708", text)
        return self._begin(resume=self._sweep.run_id)

    def stop(self, *, let_finish: bool = False) -> None:
        """Stop starting orders; see ``Sweep.stop``.

        Parameters
        ----------
        let_finish
            Whether orders in flight may end; else they are cancelled.

        Examples
        --------
        ::

            fnb.SweepPanel(lab).stop()
        """
        if self._sweep:
            self._sweep.stop(let_finish=let_finish)

    def _begin(self, **given: Any) -> Sweep:
        with self._starting:
            if self._sweep is not None and not self._sweep.done:
                text = "A sweep is already running in this panel. Stop it with panel.stop()."
                raise coded_error(RuntimeError, "FNB709", text)
            self._notice = ""
            self._sweep = sweep = self._lab.start_sweep(self._orders, **given)
        self._heart.begin()
        sweep.on_progress(lambda _: self._changed())
        self._changed()
        return sweep

    def _changed(self) -> None:
        """Show what has changed, at most ten times a second."""
        if self._sweep is not None and self._sweep.done:
            self._heart.end()
            self._show_soon.now()
            self._draw_soon.now()
            return
        self._show_soon.soon()
        self._draw_soon.soon()

    def _show(self) -> None:
        # Looked up inside the lock, so that an older state never replaces a newer one.
        with self._showing:
            if self._sweep is not None:
                self._shown = sweep_words(self._sweep)

    def _draw(self) -> None:
        with self._showing:
            if self._sweep is not None:
                self._points = points(self._sweep.progress.latest)

    def _wrong(self, draft: SweepDraft) -> dict[str, str]:
        return problems(draft, self._orders, self._lab.environment)

    def _prospect(self, draft: SweepDraft) -> dict[str, str]:
        """Say what a press would do; nothing while something is wrong."""
        if self._wrong(draft):
            return {}
        before = self._sweep.latencies_ms if self._sweep else []
        typical_ms = statistics.median(before) if before else None
        environment = self._lab.environment
        return prospect_words(draft, self._orders, environment, self._prices, typical_ms)

    def _ask_prices(self) -> None:
        """Ask what the orders cost, once, and say it: with carts that are not ordered."""
        if (
            self._lab.closed
            or self._asked_for is self._orders
            or self._wrong(self._draft.now).get("orders")
        ):
            return
        self._asked_for = orders = self._orders
        submit(ask_prices, self._lab._bench, orders, self._note_price)  # noqa: SLF001 - the lab's own face

    def _note_price(self, what: What, amount: Amount | None) -> None:
        self._prices = {**self._prices, what: amount}
        self._draft.tell()

    def _tell_draft(self, content: Mapping[str, Any]) -> None:
        self._draft.tell(content)
        self._ask_prices()

    def _asked(self, _: Any, content: Any, buffers: Sequence[Any]) -> None:
        """Take a message from the page, without waiting: it comes on any thread."""
        if not isinstance(content, dict):
            return
        answers: dict[str, Callable[[], object]] = {
            "draft": lambda: self._tell_draft(content),
            "edit": lambda: self._draft.take(content, buffers[0]),
            "stop": lambda: self.stop(let_finish=bool(content.get("let_finish"))),
            "start": lambda: self._start_pressed(content, buffers),
            "resume": lambda: self._start_soon(self.resume),
        }
        answer = answers.get(str(content.get("type")))
        if answer:
            self._try(answer)

    def _start_pressed(self, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        if buffers:
            # What is started is what the one who pressed could see.
            self._draft.take(content, buffers[0])
        self._start_soon(self.start)

    def _start_soon(self, call: Callable[[], Sweep]) -> None:
        # A page waits for the next notice, also where it has the same words.
        self._notice = ""
        # What was placed before is looked up on disk.
        threading.Thread(target=self._try, args=(call,), daemon=True).start()

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - shown where the reader looks
            self._notice = printable(error)

    _ipython_display_ = display_with_image

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Add what is shown as a static page, for readers without a kernel."""
        bundle = super()._repr_mimebundle_(**options)
        return with_static(bundle, panel_html(self._still()), repr(self))

    def _still(self) -> dict[str, Any]:
        self._show()
        self._draw()
        return {
            **self._shown,
            "environment": self._environment["label"],
            "orders": self._orders_words,
            "draft": {n: printable(v, LONGEST_FIELD) for n, v in vars(self._draft.now).items()},
            "points": self._points,
            "prospect": "" if self._sweep else self._prospect(self._draft.now).get("sentence", ""),
        }

    def __repr__(self) -> str:
        return panel_text(self._still())


def _beside(call: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls on its own thread: the background loop has orders to start."""
    return lambda: threading.Thread(target=call, daemon=True).start()


def sweep_words(sweep: Sweep) -> dict[str, Any]:
    """Return a sweep in words, as it is now."""
    progress = sweep.progress
    return {
        "state": progress.state,
        "headline": headline(progress),
        "ended": ended(progress),
        "planned": progress.planned,
        "outcomes": outcome_words(progress),
        "facts": facts(progress),
        "message": printable(_message(sweep), LONGEST_WORDS),
        "percentiles": percentile_words(sweep.latencies_ms, sweep.scheduled_latencies_ms),
        "late": lateness(sweep),
        "run_id": sweep.run_id,
        "can_resume": progress.state == "stopped" and progress.left != 0,
    }


def headline(progress: Progress) -> str:
    """Say in one line how far it is.

    Examples
    --------
    >>> from firmly_nb.sweep import Progress
    >>> headline(Progress("running", 20, started=7, running=2, finished=5))
    'Running: 5 of 20 orders ended, 2 in flight, 13 left to start'
    """
    parts = [f"{counted(ended(progress))}{of_planned(progress)} orders ended"]
    if progress.running:
        parts.append(f"{counted(progress.running)} in flight")
    if progress.left:
        parts.append(f"{counted(progress.left)} {_not_started(progress)}")
    return f"{progress.state.capitalize()}: {', '.join(parts)}"


def _not_started(progress: Progress) -> str:
    return "not started" if progress.state == "stopped" else "left to start"


def outcome_words(progress: Progress) -> list[dict[str, Any]]:
    """Return each outcome with its mark and how often it was, the placed ones first."""
    counts = sorted(progress.outcomes.items(), key=lambda item: (item[0] != PLACED, -item[1]))
    rows = [(outcome(name), n) for name, n in counts]
    rows += [(NOT_SENT, progress.not_started)] if progress.not_started else []
    return [
        {"outcome": row.name, "words": row.words(n), "mark": row.mark, "tone": row.tone, "n": n}
        for row, n in rows
    ]


def looks() -> dict[str, dict[str, str]]:
    """Return word and tone of each outcome, for the page's chart."""
    return {name: {"words": row.word, "tone": row.tone} for name, row in ROWS.items()}


def facts(progress: Progress) -> list[tuple[str, str]]:
    """Return elapsed time, schedule lag and money ordered, as names and texts."""
    rows = [("time", f"{counted(round(progress.elapsed_s))} s")] if progress.elapsed_s >= 1 else []
    lags = lags_ms(progress)
    if lags:
        rows.append(("starts late by at most", duration(max(lags))))
    ordered = [money_text(minor, currency) for currency, minor in progress.spent_minor.items()]
    if ordered:
        rows.append(("ordered for", " + ".join(ordered)))
    return rows


def lags_ms(progress: Progress) -> list[float]:
    """Return how late each of the latest orders began, in ms; nothing in a closed loop."""
    found = (point.schedule_lag_ms for point in progress.latest)
    return [lag for lag in found if lag is not None]


def lateness(sweep: Sweep) -> str:
    """Say that orders do not start as planned, and what to raise; nothing if they do."""
    progress, rate_per_s = sweep.progress, sweep.plan.rate_per_s
    late_ms = max(lags_ms(progress), default=0.0)
    took = [point.latency_ms for point in progress.latest]
    if rate_per_s is None or not took or late_ms < max(LATE_MS, LATE_SHARE * min(took)):
        return ""
    typical_ms = statistics.median(took)
    start = f"start up to {duration(late_ms)}"
    too_few = too_few_in_flight(rate_per_s, sweep.plan.concurrency, typical_ms, start)
    # An order takes its place longer than its answer takes: it is prepared and written down.
    at_once = 2 * rate_per_s * (AHEAD_S + max(took) / 1000)
    if sweep.plan.concurrency >= min(at_once, progress.started):
        return f"Orders {start} late: this machine is busy. Lower the rate, or end other work."
    few = f"{counted(sweep.plan.concurrency)} in flight is too few, or this machine is busy"
    return too_few or f"Orders {start} late: {few}. Raise “In flight”, or lower the rate."


def percentile_words(
    latencies_ms: list[float], scheduled_ms: list[float] | None = None
) -> list[dict[str, Any]]:
    """Return each percentile of the time to order placed with its interval, or why there is none.

    Parameters
    ----------
    latencies_ms
        From the request.
    scheduled_ms
        From the planned start; empty in a closed loop, which plans none.

    Examples
    --------
    >>> percentile_words([500.0, 510.0])[0]["text"]
    'not estimable: needs 6 placed orders, there are 2'
    """
    from firmly_nb.latency.quantiles import quantiles

    rows = [percentile_row(found) for found in quantiles(latencies_ms, PERCENTILES)]
    if scheduled_ms:
        for row, found in zip(rows, quantiles(scheduled_ms, PERCENTILES), strict=True):
            row["scheduled"] = percentile_row(found)["text"]
    return rows


def percentile_row(found: Quantile) -> dict[str, Any]:
    """Return one percentile in words."""
    if found.estimable:
        text = f"{duration(found.estimate)} (95%: {interval(found.low, found.high)})"
    else:
        least = f"at least {duration(found.low)}; " if math.isfinite(found.low) else ""
        needs = f"needs {counted(found.needed)} placed orders, there are {counted(found.n)}"
        text = f"{least}not estimable: {needs}"
    row = {"name": found.name, "text": text, "estimable": found.estimable}
    return row | {"scheduled": ""}


def _both(row: Mapping[str, Any]) -> str:
    planned = f"; from the planned start {row['scheduled']}" if row["scheduled"] else ""
    return f"{row['text']}{planned}"


async def ask_prices(
    bench: Bench, orders: Any, note: Callable[[What, Amount | None], None]
) -> None:
    """Ask what each kind of order costs and hand it on; None where nobody says."""
    quotes = Quotes(bench.client(), bench.app_id)
    kinds = {what_of(one.order): one for one in known_variants(orders) if not one.find_items}
    for what, variant in list(kinds.items())[:MOST_PRICES]:
        try:
            amount: Amount | None = await quotes.ask(variant.order)
        except FirmlyError:
            amount = None
        note(what, amount)


def points(latest: Iterable[Point]) -> list[list[Any]]:
    """Return the latest orders for the chart: start in s, time in ms, outcome."""
    kept = list(latest)[-SHOWN_POINTS:]
    return [[round(p.started_s, 2), round(p.latency_ms, 1), p.outcome] for p in kept]


def _message(sweep: Sweep) -> str:
    progress = sweep.progress
    if sweep.error is not None:
        return f"{type(sweep.error).__name__}: {sweep.error}"
    if progress.message:
        return progress.message
    problems = sweep.problems
    if problems:
        return f"order {problems[-1].number} was not sent: {problems[-1].error}"
    return "; ".join(progress.notes)


def panel_text(shown: Mapping[str, Any]) -> str:
    """Return the panel in a few lines."""
    head = shown["headline"] or "not started"
    lines = [f"SweepPanel({shown['environment']}; {shown['orders']})", f"  {head}"]
    lines += [f"  {row['mark']} {counted(row['n'])} {row['words']}" for row in shown["outcomes"]]
    lines += [f"  {row['name']}: {_both(row)}" for row in shown["percentiles"]]
    lines += [f"  {shown['late']}"] if shown["late"] else []
    lines += [f"  {shown['message']}"] if shown["message"] else []
    return "\n".join(lines)


def panel_html(shown: Mapping[str, Any]) -> str:
    """Return the panel as HTML that needs neither script nor kernel."""
    settings = [(LABELS[name], text) for name, text in shown["draft"].items() if text]
    outcomes = [(f"{row['mark']} {row['words']}", counted(row["n"])) for row in shown["outcomes"]]
    percentiles = [(row["name"], _both(row)) for row in shown["percentiles"]]
    blocks = [_table("Settings", settings), _table("Outcomes", [*outcomes, *shown["facts"]])]
    blocks.append(_table("Time to order placed", percentiles))
    head = shown["headline"] or "Not started: this panel needs a running kernel to place orders."
    said = [text for text in (shown["message"], shown["late"], shown["prospect"]) if text]
    message = "".join(f"<p>{escape(text)}</p>" for text in said)
    return (
        f"<div><p><b>{escape(shown['environment'])}</b> {escape(shown['orders'])}</p>"
        f"<p><b>{escape(head)}</b></p>{message}"
        f"{chart_svg(shown['points'])}{''.join(blocks)}</div>"
    )


def chart_svg(points: Sequence[Sequence[Any]]) -> str:
    """Return the times of the latest orders over the run as a picture; nothing without orders."""
    if not points:
        return ""
    last_s = max(1.0, *(at_s for at_s, _, _ in points))
    most_ms = max(ms for _, ms, _ in points) or 1.0
    marks = "".join(_mark(point, last_s, most_ms) for point in points)
    slowest, over = duration(most_ms), f"{counted(round(last_s))} s"
    text = f"{counted(len(points))} orders, the slowest {slowest}, over {over}"
    base = HEIGHT - BOTTOM
    words = [("-6", 12, slowest), ("-6", base, "0")]
    words.append(("100%", HEIGHT - 6, f"{over} after the start"))
    # Shares of the width and no viewBox: a telephone has less room, and its words are as large.
    return (
        f'<svg role="img" aria-label="{escape(text)}" style="display:block;overflow:visible;'
        f"margin-left:{LEFT}px;width:calc(100% - {LEFT}px);max-width:{WIDTH - LEFT}px;"
        f'height:{HEIGHT}px" font-size="11" fill="currentColor" text-anchor="end">'
        + "".join(f'<text x="{x}" y="{y}">{escape(said)}</text>' for x, y, said in words)
        + '<g stroke="currentColor" stroke-opacity="0.4">'
        f'<line y1="4" y2="{base}"/><line x2="100%" y1="{base}" y2="{base}"/></g>{marks}</svg>'
    )


def _mark(point: Sequence[Any], last_s: float, most_ms: float) -> str:
    at_s, ms, name = point
    x = f"{1 + 98 * max(at_s, 0) / last_s:.2f}%"
    y = f"{HEIGHT - BOTTOM - ms / most_ms * (HEIGHT - BOTTOM - 10):.1f}"
    if name == PLACED:
        return f'<circle cx="{x}" cy="{y}" r="2.5" fill="{STAGE_COLOURS[0]}"/>'
    cross = f'<path d="M-3-3l6 6m0-6l-6 6" stroke="{outcome(name).colour}" stroke-width="2"/>'
    return f'<svg x="{x}" y="{y}" overflow="visible">{cross}</svg>'


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    heads = (Head(left=True), Head(left=True, wraps=True))
    return grid_html(Grid(heads, rows, caption=title)) if rows else ""
