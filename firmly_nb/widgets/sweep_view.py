"""``SweepPanel``: many orders from a form, their counts and percentiles while they run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from firmly_nb.api.models import Order
from firmly_nb.recording.recording import Recordings
from firmly_nb.widgets.frontend import module, style
from firmly_nb.widgets.heartbeat import Heartbeat
from firmly_nb.widgets.sweep_draft import (
    arguments,
    cleaned,
    first_draft,
    problems,
    text_of,
    value_of,
)
from firmly_nb.widgets.sweep_still import panel_html, panel_text
from firmly_nb.widgets.sweep_words import (
    IDLE,
    looks,
    orders_words,
    percentile_words,
    place_name,
    points,
    sweep_words,
)
from firmly_nb.widgets.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmly_nb.lab import Lab
    from firmly_nb.sweep.handle import Sweep

SHOW_EVERY_S = 0.1
DRAW_EVERY_S = 0.5  # the chart is the larger part of what is sent


class Field:
    """A field of the form as an attribute: read as a value, set as a value or a text."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, panel: SweepPanel | None, owner: type | None = None) -> Any:
        return self if panel is None else value_of(panel._draft, self._name)  # noqa: SLF001 - its own

    def __set__(self, panel: SweepPanel, value: Any) -> None:
        panel.set(**{self._name: value})


class SweepPanel(anywidget.AnyWidget):
    """Place many orders from a form, and watch them.

    Each field can be set and read by its name (``panel.rate = "30/min"``), and what runs is an
    ordinary sweep:
    ``panel.sweep`` and ``panel.recordings`` are what ``lab.start_sweep`` gives.

    Parameters
    ----------
    lab
        Where it orders.
    orders
        What it places: an order, a list, ``fnb.grid(...)``; by default ``Order.example()``.
    **fields
        ``count``, ``arrival``, ``rate``, ``concurrency``, ``duration``, ``max_orders``,
        ``max_minutes``, ``max_total`` (``"500.00 USD"``), ``name``: what the form begins with.

    Examples
    --------
    >>> import firmly_nb as fnb
    >>> with fnb.connect(profile="instant") as lab:
    ...     panel = fnb.SweepPanel(lab, count=3, rate=50)
    ...     recs = panel.start().wait()
    >>> len(recs), panel.problems
    (3, {})
    """

    _esm = module("sweep_view")
    _css = style("sweep_view")
    _draft = traitlets.Dict().tag(sync=True)
    _problems = traitlets.Dict().tag(sync=True)
    _place = traitlets.Dict().tag(sync=True)
    _orders_words = traitlets.Unicode().tag(sync=True)
    _view = traitlets.Dict(IDLE).tag(sync=True)
    _points = traitlets.List(traitlets.List()).tag(sync=True)
    _looks = traitlets.Dict(looks()).tag(sync=True)
    _notice = traitlets.Unicode().tag(sync=True)

    count, arrival, rate, concurrency = Field(), Field(), Field(), Field()
    duration, max_orders, max_minutes, max_total = Field(), Field(), Field(), Field()
    name = Field()

    def __init__(self, lab: Lab, orders: Any = None, **fields: Any) -> None:
        self._lab = lab
        self._orders = orders if orders is not None else Order.example()
        self._sweep: Sweep | None = None
        self._starting = threading.Lock()
        self._showing = threading.Lock()
        self._show_soon = Throttle(_beside(self._show), SHOW_EVERY_S)
        self._draw_soon = Throttle(_beside(self._draw), DRAW_EVERY_S)
        draft = {**first_draft(lab.environment), **_texts(fields)}
        self._heart = Heartbeat(self.send)
        idle = {**IDLE, "percentiles": percentile_words([])}
        super().__init__(_draft=draft, _place=place_name(lab.environment), _view=idle)
        self._describe()
        self.on_msg(self._asked)

    @property
    def lab(self) -> Lab:
        """Where it orders."""
        return self._lab

    @property
    def orders(self) -> Any:
        """What it places; set it to an order, a list, a generator or a grid."""
        return self._orders

    @orders.setter
    def orders(self, orders: Any) -> None:
        self._orders = orders
        self._describe()

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong, by field; empty if it can be started."""
        return problems(self._draft, self._orders, self._lab.environment)

    @property
    def sweep(self) -> Sweep | None:
        """The sweep that runs, or the last one; None before the first."""
        return self._sweep

    @property
    def recordings(self) -> Recordings:
        """The orders that have ended."""
        return self._sweep.recordings if self._sweep else Recordings([])

    def set(self, **fields: Any) -> None:
        """Set fields by name; None empties one.

        Raises
        ------
        ValueError
            If there is no such field.
        """
        self._draft = {**self._draft, **_texts(fields)}

    def start(self) -> Sweep:
        """Start a sweep with what the form says.

        Raises
        ------
        ValueError
            If something in the form is wrong.
        RuntimeError
            If one is running.
        """
        found = self.problems
        if found:
            said = "; ".join(f"{name}: {text}" for name, text in found.items())
            raise ValueError(f"the sweep cannot be started: {said}")
        return self._begin(**arguments(self._draft))

    def resume(self) -> Sweep:
        """Go on with the last sweep: what it has not sent is sent.

        Raises
        ------
        LookupError
            If there is none.
        """
        if self._sweep is None:
            raise LookupError("there is no sweep to go on with; start() begins one")
        return self._begin(resume=self._sweep.run_id)

    def stop(self, *, let_finish: bool = False) -> None:
        """Start no order any more; see ``Sweep.stop``."""
        if self._sweep:
            self._sweep.stop(let_finish=let_finish)

    def _begin(self, **given: Any) -> Sweep:
        with self._starting:
            if self._sweep is not None and not self._sweep.done:
                raise RuntimeError("a sweep is running in this panel; stop it first")
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
                self._view = sweep_words(self._sweep)

    def _draw(self) -> None:
        with self._showing:
            if self._sweep is not None:
                self._points = points(self._sweep.progress.latest)

    def _describe(self) -> None:
        self._orders_words = orders_words(self._orders)
        self._problems = self.problems

    @traitlets.validate("_draft")
    def _to_texts(self, proposal: Any) -> dict[str, str]:
        return cleaned(proposal["value"])

    @traitlets.observe("_draft")
    def _check(self, _: Any) -> None:
        self._problems = self.problems

    def _asked(self, _: Any, content: Any, __: Any) -> None:
        """Do what a button says. On whatever thread this is, it must not wait."""
        kind = content.get("type") if isinstance(content, dict) else None
        if kind == "stop":
            self.stop(let_finish=bool(content.get("let_finish")))
        elif kind in {"start", "resume"}:
            call = self.start if kind == "start" else self.resume
            # What was placed before is looked up on disk.
            threading.Thread(target=self._try, args=(call,), daemon=True).start()

    def _try(self, call: Callable[[], Sweep]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - shown where the reader looks
            self._notice = str(error)[:1000]

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Add what is shown as a still page, for readers without a kernel."""
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = repr(self)
            data["text/html"] = panel_html(self._still())
        return bundle

    def _still(self) -> dict[str, Any]:
        self._show()
        self._draw()
        return {
            **self._view,
            "place": self._place["label"],
            "orders": self._orders_words,
            "draft": self._draft,
            "points": self._points,
        }

    def __repr__(self) -> str:
        return panel_text(self._still())


def _beside(call: Callable[[], None]) -> Callable[[], None]:
    """Return what calls on a thread of its own: the background loop has orders to start."""
    return lambda: threading.Thread(target=call, daemon=True).start()


def _texts(fields: dict[str, Any]) -> dict[str, str]:
    return {name: text_of(name, value) for name, value in fields.items()}
