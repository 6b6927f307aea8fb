"""``Recording``: one order and its tables; and what one recording answers as many do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.display.arguments import public
from firmly_nb.display.messages import coded_error, wrong_type
from firmly_nb.outcomes import EXTERNAL
from firmly_nb.recorder.endings import recorded
from firmly_nb.recorder.records import Record, Recorded, began_ns
from firmly_nb.recorder.tables import (
    EVENT_TIMES,
    EVENTS,
    HEADERS,
    ORDERS,
    confirmation_rows,
    error_of,
    event_rows,
    header_rows,
    judgement,
    last_cart,
    last_unread,
    order_row,
)
from firmly_nb.recordings.show import Shown, Waterfall, judged, recording_html, recording_text
from firmly_nb.recordings.sources import Held, Selection, recorded_stages

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from firmly_nb.api.errors import FirmlyError
    from firmly_nb.carts.report import CheckReport
    from firmly_nb.carts.tables import CartTables
    from firmly_nb.exchange.otlp import Sent
    from firmly_nb.exchange.ticket import Ticket
    from firmly_nb.outcomes import Judgement


# Of JSON. Decoded, and in a table, it takes five times that; larger tables are made anew.
LARGEST_KEPT_BYTES = 1_000_000


@public
class OneOrMany(ABC):
    """Questions that one recording answers as well as many: their carts, and files for others."""

    @property
    @abstractmethod
    def orders(self) -> pd.DataFrame:
        """One row an order; see ``ORDERS``."""

    @property
    @abstractmethod
    def stages(self) -> pd.DataFrame:
        """All stages, order by order; see ``STAGES``."""

    @property
    @abstractmethod
    def cart_events(self) -> pd.DataFrame:
        """Events that carry carts; without SSE, the responses in the form of events."""

    @abstractmethod
    def asked(self) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for, by recording id."""

    @abstractmethod
    def _recorded(self) -> Iterable[Recorded]: ...

    # What was in their carts.

    @property
    def snapshots(self) -> pd.DataFrame:
        """One row a cart or order that was seen; see ``SNAPSHOTS`` in docs/tables.md."""
        return self._cart_tables.snapshots

    @property
    def line_items(self) -> pd.DataFrame:
        """One row a line of each snapshot; see ``LINE_ITEMS``."""
        return self._cart_tables.line_items

    @property
    def shipments(self) -> pd.DataFrame:
        """One row a shipment of each snapshot; see ``SHIPMENTS``."""
        return self._cart_tables.shipments

    @property
    def notices(self) -> pd.DataFrame:
        """One row a notice of each snapshot; see ``NOTICES``."""
        return self._cart_tables.notices

    @property
    def discounts(self) -> pd.DataFrame:
        """One row a discount of each snapshot; see ``DISCOUNTS``."""
        return self._cart_tables.discounts

    @cached_property
    def changes(self) -> pd.DataFrame:
        """One row a change from snapshot to snapshot; see ``CHANGES``."""
        from firmly_nb.carts.changes import changes

        return changes(self.cart_events)

    @cached_property
    def checks(self) -> CheckReport:
        """Report of all cart checks: ``.findings``, ``.summary``, ``.headline()``."""
        from firmly_nb.carts.report import run_checks

        return run_checks(self._events_of_merchants, self.asked())

    def conventions(self) -> pd.DataFrame:
        """Return how each merchant counts, with the carts for and against each answer.

        One row for each merchant and question; ``cannot be told`` where no cart decides. See
        ``CONVENTIONS`` and docs/carts.md.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> fnb.Recordings([]).conventions().columns.tolist()[:3]
        ['domain', 'question', 'answer']
        """
        from firmly_nb.carts.conventions import conventions

        return conventions(self._events_of_merchants)

    def show_changes(self) -> Shown:
        """Show the changes as a person would want to read them.

        Examples
        --------
        ::

            recs.show_changes()
        """
        from firmly_nb.carts.show import changes_html, changes_text

        return Shown(changes_text(self.changes), changes_html(self.changes))

    @cached_property
    def _cart_tables(self) -> CartTables:
        from firmly_nb.carts.tables import cart_tables

        return cart_tables(self.cart_events)

    @property
    def _events_of_merchants(self) -> pd.DataFrame:
        orders = self.orders.drop_duplicates("recording_id").set_index("recording_id")
        events = self.cart_events
        named = {
            name: events["recording_id"].map(orders[name]) for name in ("domain", "environment")
        }
        return events.assign(**named)

    # For other tools.

    def har(self, path: str | os.PathLike[str]) -> Path:
        """Write a HAR file, which browsers' developer tools and other programs read.

        ``fnb.load(path)`` reads it. Secrets are not in it, addresses are masked.

        Parameters
        ----------
        path
            The file, in a folder that exists; an older one is replaced.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     fnb.Recordings([]).har(f"{folder}/none.har").name
        'none.har'
        """
        from firmly_nb.exchange.har import write_har

        return write_har(self._recorded(), path)

    def perfetto(self, path: str | os.PathLike[str]) -> Path:
        """Write a trace that https://ui.perfetto.dev opens: a track for each order.

        A track has the order, its stages within it, and a mark for each event. Secrets are not in
        it, addresses are masked. Perfetto's own format is not needed: the file is JSON.

        Parameters
        ----------
        path
            The file, in a folder that exists; an older one is replaced.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     fnb.Recordings([]).perfetto(f"{folder}/none.json").name
        'none.json'
        """
        from firmly_nb.exchange.perfetto import write_trace

        return write_trace(self._recorded(), self.stages, path)

    def otlp(self, endpoint: str, headers: Mapping[str, str] | None = None) -> Sent:
        """Send a span for each order to a collector of OpenTelemetry, with its SSE events.

        Secrets are not in them, addresses are masked. Sent again, they have the same ids. It needs
        the extra ``otlp``.

        Parameters
        ----------
        endpoint
            URL of the collector, such as ``http://127.0.0.1:4318``; without a path ``/v1/traces``
            is added.
        headers
            Headers that the collector asks for.

        Returns
        -------
        Sent
            How many spans were sent.

        Raises
        ------
        ImportError
            If OpenTelemetry is not installed.
        ConnectionError
            If the collector did not take them.
        ValueError
            If the endpoint is not a URL.

        Examples
        --------
        ::

            # recs.otlp("http://127.0.0.1:4318")  # needs a collector
        """
        from firmly_nb.exchange.otlp import send_spans

        return send_spans(self._recorded(), endpoint, headers)


@public
class Recording(OneOrMany):
    """One order: its items, each event with its arrival time, and its outcome.

    Made by ``lab.place`` and ``fnb.load``, not by hand. The tables are plain DataFrames, built when
    first asked for; their columns are described in docs/tables.md.

    Parameters
    ----------
    records
        The start, the events, and the end where it was reached.
    warnings
        What is to be said beside what the recorder said.

    Examples
    --------
    ::

        rec = lab.place(order)
        rec.outcome, rec.order_number
    """

    def __init__(self, records: Sequence[Record], warnings: Sequence[str] = ()) -> None:
        self.recorded = recorded(records, warnings)
        self._start, self._events, self._end = self.recorded[:3]
        self.cut_off = self.recorded.cut_off
        self.warnings = [*self._end.warnings, *warnings]
        self._tables: dict[str, pd.DataFrame] = {}

    @property
    def recording_id(self) -> str:
        """Recording id, the key of every table."""
        return self._start.recording_id

    @property
    def started_at_ns(self) -> int | None:
        """Start of the request by the wall clock, in Unix nanoseconds; None if not known."""
        return began_ns(self._start, self._end)

    @property
    def domain(self) -> str:
        """Host name of the merchant."""
        return self._start.domain

    @property
    def environment(self) -> str:
        """Environment: simulator, staging, custom or external (``fnb.from_events``)."""
        return self._start.environment

    @property
    def outcome(self) -> str:
        """Outcome, one of seven; see ``orders`` in docs/tables.md."""
        return self._end.outcome

    @property
    def order_exists(self) -> str:
        """Existence of an order at the merchant: ``yes``, ``no`` or ``unknown``."""
        return self._judgement.order_exists

    @property
    def evidence(self) -> str:
        """Reason for ``order_exists``, in a few words."""
        return self._judgement.evidence

    @property
    def error(self) -> FirmlyError | None:
        """Error that ended the order, with the API's name; None if it was placed."""
        error = error_of(self._end)
        if error is not None:
            error.judged = judged(self, error)
        return error

    @property
    def order_number(self) -> str | None:
        """Order number of the merchant; None unless there is an order."""
        number: str | None = self._row["order_number"]
        return number

    @property
    def request_id(self) -> str | None:
        """Id that the request carried (``x-firmly-request-id``); None if it carried none."""
        return self._start.request_id

    @property
    def cart(self) -> dict[str, Any] | None:
        """Order, else the last cart, as the API sent it, redacted; None without one, or unread."""
        last = last_cart(self._start, self._events, self._end)
        return last.data if last else None

    @property
    def items(self) -> list[dict[str, Any]]:
        """Line items of the request: ``variant_id`` and ``quantity`` of each."""
        return [dict(item) for item in self._start.items]

    @property
    def tags(self) -> dict[str, str]:
        """Tags set at placement, as a dict of strings."""
        return dict(self._start.tags)

    @property
    def comments_ms(self) -> list[float]:
        """Arrival times of the heartbeats (SSE comments) in ms; they are not events."""
        return [t / 1e6 for t in self._end.comments_ns]

    @property
    def recorder(self) -> dict[str, str]:
        """Versions, platform and mode of the recorder, as a dict of strings.

        In a sweep from several machines also ``calibration_us``: the 99th percentile of the error
        of the host's times, measured before its first order.
        """
        return dict(self._start.recorder)

    @property
    def sse(self) -> bool:
        """True if the request asked for SSE events."""
        return self._start.sse

    @property
    def timeout_s(self) -> float:
        """Time limit of the order, in seconds."""
        return self._start.timeout_s

    @property
    def events(self) -> pd.DataFrame:
        """One row an event; see ``EVENTS``. If its JSON has more than 1 MB, it is not kept."""
        return self._made_once("events", self._event_table)

    def _event_table(self) -> pd.DataFrame:
        return EVENTS.frame(event_rows(self._start, self._events))

    def _made_once(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return a table with the JSON of events, decoded; kept only if that is small."""
        if name in self._tables:
            return self._tables[name]
        table = make()
        if sum(one.packed_bytes for one in (*self._events, self._end)) <= LARGEST_KEPT_BYTES:
            self._tables[name] = table
        return table

    @property
    def event_times(self) -> pd.DataFrame:
        """The events table without data and raw; see ``EVENT_TIMES``."""
        return self._times.copy(deep=False)  # who writes into it has a copy then

    @cached_property
    def _times(self) -> pd.DataFrame:
        return EVENT_TIMES.frame(event_rows(self._start, self._events, wide=False))

    @cached_property
    def orders(self) -> pd.DataFrame:
        """One row, the order's; see ``ORDERS``."""
        return ORDERS.frame([self.summary()])

    @cached_property
    def headers(self) -> pd.DataFrame:
        """One row a header of the response that is kept; see ``HEADERS``."""
        return HEADERS.frame(header_rows(self.recording_id, self._end.headers))

    def summary(self) -> dict[str, Any]:
        """Return the order's row as it is before it becomes a table: cheap, None where null.

        Examples
        --------
        ::

            rec.summary()
        """
        return dict(self._row)

    @cached_property
    def _row(self) -> dict[str, Any]:
        # To find the order's number looks at every event of a stream that is not known.
        return order_row(self._start, self._events, self._end)

    @cached_property
    def _judgement(self) -> Judgement:
        return judgement(self._start, self._events, self._end, self.order_number)

    @cached_property
    def stages(self) -> pd.DataFrame:
        """One row a stage, reached or not; see ``STAGES``."""
        made = recorded_stages([(self._events, self._start.milestones)])
        return made.table([self.recording_id] * len(made.orders))

    @cached_property
    def caveats(self) -> pd.DataFrame:
        """One row a kind of thing that the recording cannot say; see ``CAVEATS``."""
        return caveats_of(Selection([Held([self])]))

    def asked(self) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for, by recording id.

        Examples
        --------
        ::

            rec.asked()
        """
        return {self.recording_id: self.items}

    @property
    def cart_events(self) -> pd.DataFrame:
        """Events that carry carts; without SSE, the response in the form of an event."""
        return self._made_once("cart_events", self._cart_event_table)

    def _cart_event_table(self) -> pd.DataFrame:
        answer = EVENTS.frame(confirmation_rows(self._start, self._end))
        return EVENTS.concat([self.events, answer])

    def show_cart(self, seq: int | None = None) -> Shown:
        """Show a cart as a buyer would see it: the last one, or that of event number ``seq``.

        Parameters
        ----------
        seq
            Number of the event; by default the last one with a cart.

        Raises
        ------
        LookupError
            If there is no cart, or none in that event.

        Examples
        --------
        ::

            rec.show_cart()
        """
        from firmly_nb.carts.show import cart_html, cart_text

        event = next((e for e in self._events if e.seq == seq), None)
        if seq is None:
            found = last_cart(self._start, self._events, self._end)
        else:
            found = find_snapshot(event.data if event else None)
        if found is None:
            whole = [event] if event else self._events if seq is None else []
            unread = last_unread(self._start, whole)
            with_one = [str(e.seq) for e in self._events if find_snapshot(e.outline)]
            listed = f"Events with one: {', '.join(with_one)}." if with_one else "No event has one."
            which = "The recording" if seq is None else f"Event {seq}"
            said = f"{which} has no cart."
            if self.environment == EXTERNAL:
                said = f"{said} Another tool told its times, and no cart was given."
            if unread:
                said = f"The cart of event {unread[0].seq} was not read: {unread[1]}."
            raise coded_error(LookupError, "FNB301", f"{said} {listed}")
        return Shown(cart_text(found.data), cart_html(found.data))

    def compare_cart(self, other: Recording) -> pd.DataFrame:
        """Return how another order's last cart differs from this one's; see ``CHANGES``.

        Lines, prices, taxes and shipping choices, each with both values. What every order has of
        its own, such as ids and the order number, is left out.

        Parameters
        ----------
        other
            Recording to compare with.

        Raises
        ------
        LookupError
            If one of them has no cart.
        TypeError
            If ``other`` is not a recording.

        Examples
        --------
        ::

            rec.compare_cart(recs[0])
        """
        from firmly_nb.carts.prices import compare_carts

        if not isinstance(other, Recording):
            raise wrong_type("other", "a recording of an order", other, "rec.compare_cart(recs[1])")
        mine, its = self.cart, other.cart
        if mine is None or its is None:
            which = self.recording_id if mine is None else other.recording_id
            text = f"Recording {which} has no cart. Compare two orders with carts."
            raise coded_error(LookupError, "FNB301", text)
        return compare_carts(mine, its, other.recording_id)

    @override
    def _recorded(self) -> list[Recorded]:
        return [self.recorded]

    def records(self) -> list[Record]:
        """Return what it is made of: the start, the events, and the end where it was reached.

        Examples
        --------
        ::

            rec.records()
        """
        return self.recorded.records()

    def curl(self) -> str:
        """Write the request as a curl command for a terminal, without secrets and addresses.

        Comments in it name the shell variables to set before: token and encrypted card. It has an
        example's address.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> with fnb.connect(profile="instant") as lab:
        ...     rec = lab.place(fnb.Order.example(), progress=False)
        >>> "$FIRMLY_TOKEN" in rec.curl()
        True
        """
        from firmly_nb.exchange.curl import curl

        return curl(self._start)

    def ticket(self) -> Ticket:
        """Write what whoever runs the service needs to find this order.

        Request id, cart id and order number, when it was, how it ended, how long each stage took,
        and the headers of the response. No secret, no address; 80 columns of plain text.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> with fnb.connect(profile="instant") as lab:
        ...     rec = lab.place(fnb.Order.example(), progress=False)
        >>> rec.request_id in rec.ticket()
        True
        """
        from firmly_nb.exchange.ticket import ticket

        return ticket(self.recorded, self.summary(), self.orders, self.stages)

    def waterfall(self) -> Waterfall:
        """Show each stage as a bar on the time since the request.

        Examples
        --------
        ::

            rec.waterfall()
        """
        return Waterfall(self)

    def __repr__(self) -> str:
        return recording_text(self)

    def _repr_html_(self) -> str:
        return recording_html(self)


def caveats_of(selection: Selection) -> pd.DataFrame:
    """Return what recordings cannot say; see ``CAVEATS``."""
    from firmly_nb.latency.caveats import claims

    orders, events = selection.read.noted
    return claims(events, selection.read.looked_at()[0], orders).table
