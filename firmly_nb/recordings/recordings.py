"""``Recording``: one order and its tables. ``Recordings``: many, with the same tables."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, overload

from typing_extensions import override

from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.display.arguments import public
from firmly_nb.display.messages import UnknownName, coded_error, quoted, unknown, wrong_type
from firmly_nb.display.text import capital, there_are
from firmly_nb.latency.stages import STAGES
from firmly_nb.outcomes import EXTERNAL, NO, UNKNOWN, YES
from firmly_nb.outcomes import KNOWN as OUTCOMES
from firmly_nb.recorder.records import Record, Recorded, began_ns, recorded, shareable, tellable
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
from firmly_nb.recordings.show import (
    Charts,
    Shown,
    Waterfall,
    judged,
    recording_html,
    recording_text,
    recordings_html,
    recordings_text,
)
from firmly_nb.recordings.sources import Held, Selection, recorded_stages

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from duckdb import DuckDBPyConnection

    from firmly_nb.api.errors import FirmlyError
    from firmly_nb.carts.report import CheckReport
    from firmly_nb.carts.tables import CartTables
    from firmly_nb.exchange.otlp import Sent
    from firmly_nb.exchange.tables import Views
    from firmly_nb.exchange.ticket import Ticket
    from firmly_nb.latency.columns import Events
    from firmly_nb.latency.compare import Comparison
    from firmly_nb.latency.drift import RunDrift
    from firmly_nb.latency.stages import StageBlocks
    from firmly_nb.latency.summary import LatencySummary
    from firmly_nb.latency.targets import Attainment
    from firmly_nb.outcomes import Judgement
    from firmly_nb.recordings.groups import Groups
    from firmly_nb.recordings.sources import Ends
    from firmly_nb.store.write import Saved


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
        >>> Recordings([]).conventions().columns.tolist()[:3]
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
        return Recordings([self]).caveats

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


# Columns of orders whose values are known beforehand: another one is a slip.
KNOWN_VALUES = {
    "outcome": OUTCOMES,
    "order_exists": (YES, NO, UNKNOWN),
    "connection": ("warm", "cold"),
}


NUMBERS = "iuf"  # as NumPy and pandas call these kinds


def _check_known(column: str, wanted: Iterable[object], orders: pd.DataFrame) -> None:
    """Refuse a value that such a column cannot have; a newer version may have written others."""
    known = KNOWN_VALUES.get(column, ())
    for value in wanted if known else ():
        if value not in known and not (orders[column] == value).any():
            raise coded_error(ValueError, "FNB322", unknown(column, value, known))
    texts = [value for value in wanted if isinstance(value, str)]
    if texts and orders[column].dtype.kind in NUMBERS:
        raise coded_error(
            ValueError,
            "FNB322",
            f"{column} has numbers, got {quoted(texts[0])}. Pass a number. For a range, write "
            f"recs[recs.orders.{column} > 500].",
        )


@public
class Recordings(OneOrMany, Sequence[Recording]):
    """Many recordings, with the tables of one; it filters like a DataFrame.

    Parameters
    ----------
    recordings
        The recordings, or where they are read from. One that is given twice counts once.
    warnings
        What could not be read.

    Examples
    --------
    >>> recs = Recordings([])
    >>> len(recs), list(recs.stages.columns)[:3]
    (0, ['recording_id', 'stage', 'from_milestone'])
    """

    def __init__(
        self, recordings: Iterable[Recording] | Selection, warnings: Sequence[str] = ()
    ) -> None:
        if not isinstance(recordings, Selection):
            held: dict[str, Recording] = {}
            for one in recordings:
                if not isinstance(one, Recording):
                    hint = "fnb.Recordings([lab.last])"
                    raise wrong_type("each of recordings", "a fnb.Recording", one, hint)
                held.setdefault(one.recording_id, one)
            recordings = Selection([Held(held.values())])
        self._selection = recordings
        self._warnings = list(warnings)

    # Which they are.

    def where(self, **conditions: Any) -> Recordings:
        """Return those whose order has these values; a list means any of them.

        Parameters
        ----------
        **conditions
            Columns of ``orders`` and their values, such as ``outcome="placed"``; a list means any
            of them.

        Raises
        ------
        KeyError
            If ``orders`` has no such column.
        ValueError
            If no order can have this outcome.

        Examples
        --------
        >>> Recordings([]).where(outcome="placed", domain=["a.test", "b.test"])
        0 recordings
        """
        for name in conditions:
            if name not in ORDERS.names:
                raise coded_error(
                    UnknownName, "FNB303", unknown("column", name, ORDERS.names, "orders")
                )
        mask = [True] * len(self)
        for name, wanted in conditions.items():
            values = wanted if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
            _check_known(name, values, self.orders)
            mask = [a and b for a, b in zip(mask, self.orders[name].isin(values), strict=True)]
        return self[mask]

    def by(self, *columns: str, every: str | None = None) -> Groups[Recordings]:
        """Return groups of them, to look at each beside the others.

        Displayed, it is one table of times whose intervals hold together, and a sentence: which
        group is slowest, and in which stage. ``.latency()``, ``.outcomes()``, ``.funnel()``,
        ``.slo(...)``, ``.throughput()``, ``.goodput(...)`` and ``.chart()`` are as of recordings.

        Parameters
        ----------
        columns
            What they are grouped by: columns of ``orders`` such as ``"domain"`` or ``"n_items"``,
            tags as ``"tag:release"``, windows of time as ``"hour"``, ``"day"`` or ``"5min"``.
        every
            A window of time as well: ``"1h"``. Windows are those of UTC.

        Raises
        ------
        KeyError
            If there is no such column or tag.
        ValueError
            If there would be more than 500 groups, or the window is none.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> with fnb.connect(profile="instant") as lab:
        ...     recs = lab.sweep(fnb.Order.example(), count=3, rate=40, progress=False)
        >>> recs.by("domain").names, len(recs.by("domain", every="1h"))
        (['staging.luma.gift'], 1)
        """
        from firmly_nb.recordings.groups import grouped

        return grouped(self, columns, every)

    @overload
    def __getitem__(self, key: int) -> Recording: ...
    @overload
    def __getitem__(self, key: slice | Sequence[bool]) -> Recordings: ...
    def __getitem__(self, key: Any) -> Recording | Recordings:
        """Return one by its place, or those of a slice or of a mask over ``orders``."""
        if isinstance(key, Integral):
            at = int(key)
            if not -len(self) <= at < len(self):
                there = capital(there_are(len(self), "recording"))
                raise coded_error(IndexError, "FNB319", f"{there}, counted from 0; got {at}.")
            return _recording(self._selection.one(range(len(self))[at]))
        if isinstance(key, slice):
            return Recordings(self._selection.take(range(len(self))[key]))
        mask = list(key) if isinstance(key, Iterable) and not isinstance(key, (str, bytes)) else []
        if not mask and len(self):
            example = "recs[0], recs[:10], or recs.where(domain=...)"
            raise wrong_type("What is in brackets", "a number, a slice or a mask", key, example)
        odd = [one for one in mask if not type(one).__name__.startswith("bool")]  # numpy's too
        if odd:
            example = "recs[recs.orders.n_items > 1]"
            raise wrong_type("Each value of a mask", "True or False", odd[0], example)
        if len(mask) != len(self):
            text = f"The mask must have {len(self)} values, one a recording; got {len(mask)}."
            raise coded_error(IndexError, "FNB304", f"{text} Make it from recs.orders.")
        return Recordings(self._selection.take([n for n, keep in enumerate(mask) if keep]))

    def __len__(self) -> int:
        return len(self._selection)

    def __iter__(self) -> Iterator[Recording]:
        return map(_recording, self._selection)

    def __add__(self, other: Recordings) -> Recordings:
        """Return both, each recording once."""
        from firmly_nb.recordings.told import check_apart

        other = as_recordings("What is added", other)
        check_apart([self._selection, other._selection])
        both = Selection.joined([self._selection, other._selection])
        return Recordings(both, [*self._warnings, *other._warnings])

    @property
    def cut_off(self) -> Recordings:
        """Recordings whose process was killed."""
        return self[self._selection.cut_off()]

    @property
    def warnings(self) -> list[str]:
        """Problems of reading; of a saved set, those that showed so far."""
        return list(dict.fromkeys([*self._warnings, *self._selection.warnings]))

    @property
    def notes(self) -> list[str]:
        """Notes given to ``save()``, oldest first."""
        return self._selection.notes

    # Their tables.

    @property
    def _ids(self) -> list[str]:
        return self._selection.ids()

    @cached_property
    def orders(self) -> pd.DataFrame:
        """One row an order; see ``ORDERS``."""
        return self._selection.table(ORDERS, lambda source, rows: source.orders(rows))

    def order_column(self, name: str) -> pd.Series[Any]:
        """Return one column of ``orders``; of a saved set no other is read.

        Parameters
        ----------
        name
            Name of a column of ``orders``.

        Raises
        ------
        KeyError
            If ``orders`` has no such column.

        Examples
        --------
        ::

            recs.order_column("outcome")
        """
        if name not in ORDERS.names:
            raise coded_error(
                UnknownName, "FNB303", unknown("column", name, ORDERS.names, "orders")
            )
        if self._selection.ends is None or "orders" in vars(self):
            return self.orders[name]
        return self._selection.order_column(name)

    @cached_property
    def events(self) -> pd.DataFrame:
        """All events, order by order; see ``EVENTS``."""
        return self._selection.table(EVENTS, lambda source, rows: source.events(rows))

    @cached_property
    def headers(self) -> pd.DataFrame:
        """Headers of the responses that are kept, order by order; see ``HEADERS``."""
        return self._selection.table(HEADERS, lambda source, rows: source.headers(rows))

    @cached_property
    def event_times(self) -> pd.DataFrame:
        """All events without data and raw: small even where there are millions."""
        return self._selection.table(EVENT_TIMES, lambda source, rows: source.event_times(rows))

    @cached_property
    def stages(self) -> pd.DataFrame:
        """All stages, order by order; see ``STAGES``."""
        return self._selection.table(STAGES, lambda source, rows: source.stages(rows))

    @property
    def ends(self) -> Ends:
        """Input of the statistics: these tables, or of a saved set only the columns they need."""
        return self._selection.ends or self

    @cached_property
    def caveats(self) -> pd.DataFrame:
        """One row a kind of thing that the recordings cannot say; see ``CAVEATS``."""
        from firmly_nb.latency.caveats import claims

        orders, events = self._selection.read.noted
        return claims(events, self._selection.read.looked_at()[0], orders).table

    def asked(self) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for, by recording id.

        Examples
        --------
        ::

            recs.asked()
        """
        return self._selection.asked()

    # What was in their carts.

    @cached_property
    def cart_events(self) -> pd.DataFrame:
        """Events that carry carts; without SSE, the responses in the form of events."""
        return EVENTS.concat(
            [self.events, self._selection.table(EVENTS, lambda source, rows: source.answers(rows))]
        )

    def prices(self) -> pd.DataFrame:
        """Return what each variant cost over time; see ``PRICES``.

        One row for each price that an order was shown, by merchant and variant. Its sentence says
        what changed and when.

        Examples
        --------
        >>> Recordings([]).prices().empty
        True
        """
        from firmly_nb.carts.prices import prices

        return prices(self.line_items, self.orders)

    def field_presence(self, *, matrix: bool = False) -> pd.DataFrame:
        """Return which cart fields appear in which event of which merchant, and how often.

        Parameters
        ----------
        matrix
            Whether to give a row a field and a column an event of a merchant, with the share of
            carts that have the field; by default ``FIELD_PRESENCE``.

        Examples
        --------
        >>> Recordings([]).field_presence(matrix=True).empty
        True
        """
        from firmly_nb.carts.drift import field_presence, presence_matrix

        found = field_presence(self._events_of_merchants)
        return presence_matrix(found) if matrix else found

    def schema_drift(self, other: Recordings) -> pd.DataFrame:
        """Return which cart fields appeared, vanished or changed type from these to the others.

        ``origin`` tells documented fields from those that only the simulator or only this merchant
        sends. See ``SCHEMA_DRIFT``.

        Parameters
        ----------
        other
            Recordings to compare with.

        Examples
        --------
        >>> Recordings([]).schema_drift(Recordings([])).empty
        True
        """
        from firmly_nb.carts.drift import schema_drift

        return schema_drift(self._events_of_merchants, other._events_of_merchants)

    def explain(
        self,
        target: str = "time_to_order_placed_ms",
        fields: Iterable[str] | None = None,
        *,
        resamples: int = 1000,
        level: float = 0.95,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Return which fields go along with slow orders; see ``EXPLANATIONS``.

        ``firmly_nb.carts.explain_in_words`` says the table in sentences.

        Parameters
        ----------
        target
            The time that is explained, a column of ``orders``; an order without it is left out.
        fields, resamples, level, seed
            As in ``firmly_nb.carts.explain``.

        Raises
        ------
        KeyError
            If the orders have no such column.

        Examples
        --------
        >>> "sentence" in Recordings([]).explain().columns
        True
        """
        from firmly_nb.carts.explain import explain, features

        table = features(self.events, self.orders)
        return explain(table, target, fields, resamples=resamples, level=level, seed=seed)

    # How long they took. Each verb is a function of ``latency`` on tables.

    def latency(
        self, level: float = 0.95, quantiles: Sequence[float | str] = (0.5, 0.9, 0.95)
    ) -> LatencySummary:
        """Return how long each stage takes, how sure that is, and what to know about it.

        ``.table`` has the numbers (``LATENCY`` in docs/tables.md), ``.sentences`` what should be
        known before they are believed. A quantile that so few orders cannot tell is null.

        Parameters
        ----------
        level
            The intervals' level.
        quantiles
            Which quantiles the table has: ``[0.5, 0.75, 0.99]`` or ``["p50", "p99"]``.

        Raises
        ------
        ValueError
            If the level or a quantile is not between 0 and 1.

        Examples
        --------
        >>> Recordings([]).latency()
        no orders
        """
        from firmly_nb.latency.asked import quantiles_of

        ps = quantiles_of(quantiles)
        if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level < 1:
            text = f"level must be between 0 and 1, got {quoted(level)}. For 95% pass 0.95."
            text += " The table has a row for each stage: see its column stage."
            raise coded_error(ValueError, "FNB309", text)
        if (level, ps) not in self._latency:
            from firmly_nb.latency.summary import summary

            ends = self._selection.ends
            if ends is None:
                found = summary(self.event_times, self.stages, self.orders, level, ps)
            else:
                orders = ends.latency_times()
                stages, events = self._looked_at
                found = summary(events, stages, orders, level, ps)
            self._latency[level, ps] = found
        return self._latency[level, ps]

    @property
    def _looked_at(self) -> tuple[pd.DataFrame | StageBlocks, Events]:
        """Stages and events for one look at each: those of a saved set need not be in memory."""
        ends = self._selection.ends
        return (self.stages, self.event_times) if ends is None else ends.looked_at()

    @property
    def _order_times(self) -> pd.DataFrame:
        """Orders as most verbs need them: of a saved set fewer columns than comparing needs."""
        ends = self._selection.ends
        return self.orders if ends is None else ends.order_times

    def outcomes(self) -> pd.DataFrame:
        """Return how orders ended, each share with its Wilson interval; see ``OUTCOMES``.

        Examples
        --------
        ::

            recs.outcomes()
        """
        from firmly_nb.latency.shares import outcome_table

        return outcome_table(self._order_times)

    def funnel(self) -> pd.DataFrame:
        """Return how many orders reached each milestone, of those before it; see ``FUNNEL``.

        Examples
        --------
        ::

            recs.funnel()
        """
        from firmly_nb.latency.shares import funnel

        return funnel(self._looked_at[0], self._order_times)

    def completion(self) -> pd.DataFrame:
        """Return which share of orders was placed within how long; see ``COMPLETION``.

        Examples
        --------
        ::

            recs.completion()
        """
        from firmly_nb.latency.shares import completion_curve

        return completion_curve(self._order_times)

    def slo(self, order_ms: float | str, share: float | str, level: float = 0.95) -> Attainment:
        """Return whether enough orders are placed within a limit: met, missed, or not enough data.

        Parameters
        ----------
        order_ms
            The limit: the most that an order may take until it is placed, in ms, or ``"1.5s"``.
        share
            The share of attempted orders that must keep it: 0.95 or ``"95%"``.
        level
            The level of the interval that decides.

        Returns
        -------
        Attainment
            ``.verdict``, ``.attained`` with its interval, ``.budget``, ``.goodput_per_s``, and
            ``.days``, the same for each day. ``recs.by("domain").slo(...)`` has it by merchant.

        Raises
        ------
        ValueError
            If the share is not between 0 and 1, or the limit is no time above 0.

        Examples
        --------
        >>> Recordings([]).slo(order_ms=900, share=0.95)
        Not enough data: no orders. Wanted: 95% placed within 900 ms.
        """
        from firmly_nb.latency.targets import attainment

        return attainment(self._order_times, order_ms, share, level)

    def throughput(self) -> float:
        """Return placed orders per second of the runs; idle gaps between runs do not count.

        Examples
        --------
        >>> Recordings([]).throughput()
        nan
        """
        from firmly_nb.latency.targets import throughput

        return throughput(self._order_times)

    def goodput(self, order_ms: float | str) -> float:
        """Return the orders per second of the runs that were placed within a limit.

        Parameters
        ----------
        order_ms
            The most that an order may take until it is placed, in ms, or ``"1.5s"``.

        Raises
        ------
        ValueError
            If the limit is not a time above 0.

        Examples
        --------
        >>> Recordings([]).goodput(order_ms=1500)
        nan
        """
        from firmly_nb.latency.asked import limit_of
        from firmly_nb.latency.targets import goodput

        limit = limit_of("order_ms", order_ms)
        return goodput(self._order_times, {"time_to_order_placed_ms": limit})

    def compare(
        self,
        other: Any,
        margin: float | str = 0.10,
        *,
        tail_margin: float | str = 0.05,
        placed_margin: float | str = 0.05,
        slo_ms: float | str | None = None,
        like_for_like: bool = False,
        control: str | None = None,
    ) -> Comparison:
        """Compare other recordings (B) with these (A): typical time, tail, placed, each stage.

        Parameters
        ----------
        other
            The recordings that are judged, or where they are saved; these are what they are held
            against.
        margin
            The smallest change of the typical time that matters, stated before looking: 0.10 or
            ``"10%"``.
        tail_margin, placed_margin
            The same for the shares of late and of placed orders: 0.05 or ``"5%"`` for 5 points.
        slo_ms
            From when an order is late, in ms, or ``"1.5s"``. By default A's own times say it.
        like_for_like
            Whether to compare what both have in common, however much only one of them has.
        control
            A merchant that did not change, measured in the same runs.

        Returns
        -------
        Comparison
            ``.verdict`` says it in words. ``.order.verdict`` is one word, ``.exit_code`` for gates.

        Raises
        ------
        TypeError
            If ``other`` is neither recordings nor a path.
        ValueError
            If a margin is not between 0 and 1, ``slo_ms`` is not above 0, or the control merchant
            is not on both sides.

        Examples
        --------
        >>> Recordings([]).compare(Recordings([])).order.verdict
        'not comparable'
        """
        from firmly_nb.latency.compare import compare

        judged = as_recordings("other", other)
        a, b = ((*one._looked_at, one.ends.orders) for one in (self, judged))  # noqa: SLF001 - of its own kind
        return compare(
            (a[1], a[0], a[2]),
            (b[1], b[0], b[2]),
            margin,
            tail_margin=tail_margin,
            placed_margin=placed_margin,
            slo_ms=slo_ms,
            like_for_like=like_for_like,
            control=control,
            ids=self._selection.numbered_with(judged._selection),  # noqa: SLF001 - of its own kind
        )

    def drift(self, stage: str | None = None) -> RunDrift:
        """Return whether orders, or one stage of them, became slower or faster with time.

        Among five runs or more, changes or a steady creep are looked for; within runs, a trend.

        Parameters
        ----------
        stage
            The stage that is looked at, such as ``"item-added"``; by default the whole order.

        Raises
        ------
        KeyError
            If there is no such stage.

        Examples
        --------
        ::

            recs.drift()
        """
        from firmly_nb.latency.drift import run_drift

        stages = None if stage is None else self._looked_at[0]
        return run_drift(stages, self._order_times, stage)

    @property
    def charts(self) -> Charts:
        """Charts by name; displayed, it lists them."""
        return Charts(self, as_recordings)

    @cached_property
    def _latency(self) -> dict[tuple[float, tuple[float, ...]], LatencySummary]:
        return {}

    # On disk.

    @override
    def _recorded(self) -> Iterator[Recorded]:
        return self._selection.recorded()

    def save(
        self,
        path: str | Path,
        *,
        tags: dict[str, str] | None = None,
        notes: str = "",
        keep_personal: bool = False,
    ) -> Saved:
        """Save them to a folder, as Parquet files that pandas, DuckDB, Polars and Spark read.

        Saving again adds what is new: a recording that is there already is there once. Either
        everything that is new is added, or nothing is.

        Parameters
        ----------
        path
            The folder; made if need be. docs/recordings.md describes what is in it.
        tags
            Given to each recording that is added, beside its own tags, which win.
        notes
            A text for whoever loads them: ``recs.notes``.
        keep_personal
            Whether names, streets, telephone numbers and e-mail addresses are stored. Otherwise
            they are masked, and the exact text of events (``keep_raw``) is left out.

        Returns
        -------
        Saved
            How many were added, and how many were there before.

        Raises
        ------
        StoreError
            If the folder cannot be written or the disk is full. What was there stays as it was.

        Examples
        --------
        >>> import tempfile
        >>> import firmly_nb as fnb
        >>> folder = tempfile.mkdtemp()
        >>> fnb.Recordings([]).save(folder, notes="an empty set").added
        0
        >>> fnb.load(folder).notes
        ['an empty set']
        """
        from firmly_nb.store.write import save

        return save(self._recorded(), path, tags=tags, notes=notes, keep_personal=keep_personal)

    def export(
        self,
        folder: str | os.PathLike[str],
        format: str = "parquet",  # noqa: A002 - a word of users
    ) -> Path:
        """Write all tables into a folder, for spreadsheets and other programs.

        Secrets are not in them, addresses are masked, and no text is a formula. docs/export.md says
        what each format loses.

        Parameters
        ----------
        folder
            The folder; made if need be. Files of the same name are replaced.
        format
            ``"parquet"``, ``"csv"``, ``"xlsx"`` (one file) or ``"jsonl"`` (``fnb.load`` reads it).

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        ValueError
            If the format is unknown, or a table has more rows than a sheet.
        OSError
            If a file cannot be written.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     fnb.Recordings([]).export(folder, format="csv").joinpath("orders.csv").exists()
        True
        """
        from firmly_nb.exchange.tables import write_tables

        shared = self._shareable
        return write_tables(shared, (rec.recorded for rec in shared), folder, format)

    def sql(self, query: str) -> pd.DataFrame:
        """Return the rows of a SQL query over the tables: ``orders``, ``events``, ``stages``, ...

        No column needs quotes: ``at`` is called ``arrived_at``, and ``check`` ``check_name``.

        Parameters
        ----------
        query
            SQL of DuckDB.

        Raises
        ------
        duckdb.Error
            If the query is wrong.
        MemoryError
            If it needs more memory than DuckDB may use. Sorting and joining use the disk then.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> fnb.Recordings([]).sql("select count(*) as n from orders")["n"].tolist()
        [0]
        """
        return self._views.ask(query)

    def duckdb(self) -> Any:
        """Return a DuckDB connection with a view for each table; see ``sql``.

        The views read files that last as long as the connection. In another thread use
        ``connection.cursor()``.

        Returns
        -------
        duckdb.DuckDBPyConnection
            A connection of your own, in memory.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> fnb.Recordings([]).duckdb().execute("select count(*) from events").fetchall()
        [(0,)]
        """
        return self._views.connect()

    @cached_property
    def _views(self) -> Views:
        from firmly_nb.exchange.tables import Views

        return Views(self._shareable)

    @cached_property
    def _shareable(self) -> Recordings:
        """The same, as they may leave the toolkit: nothing in them names a person."""
        from firmly_nb.recordings.told import ToldSource

        if all(isinstance(source, ToldSource) for source, _ in self._selection.split):
            return self
        return Recordings(_recording(shareable(one)) for one in self._recorded())

    def relation(self, table: str = "events", connection: DuckDBPyConnection | None = None) -> Any:
        """Return a table as a DuckDB relation, to be asked by SQL without loading it.

        Parameters
        ----------
        table
            ``"events"``, ``"orders"``, ``"stages"`` or ``"headers"``. Of a saved set it is its
            files, with the columns that docs/tables.md lists for them (``data`` is JSON text); of
            others the table in memory.
        connection
            A DuckDB connection; by default DuckDB's own.

        Returns
        -------
        duckdb.DuckDBPyRelation
            One row an event, an order, a stage or a header, in no order.

        Raises
        ------
        KeyError
            If there is no such relation.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> fnb.Recordings([]).relation("orders").aggregate("count(*)").fetchall()
        [(0,)]
        """
        return self._selection.relation(table, connection)

    def __repr__(self) -> str:
        return recordings_text(self)

    def _repr_html_(self) -> str:
        return recordings_html(self)


def load(path: str | os.PathLike[str] | None = None) -> Recordings:
    """Load recordings: a saved set, a journal, a HAR file, a folder, or all on this machine.

    Of a saved set only the starts of its orders are read here; its tables are read when they are
    asked for, its recordings made one by one. A recording whose process was killed is there with
    every event that was shown; ``rec.cut_off`` and ``rec.warnings`` say so. Addresses are masked
    as they were written.

    Parameters
    ----------
    path
        The folder of a saved set, a ``.jsonl`` or ``.har`` file, or a folder that is searched with
        everything below it. By default the journals of this machine. docs/import.md says what a HAR
        of another tool gives.

    Returns
    -------
    Recordings
        Oldest first, each once. What cannot be read is left out; ``recordings.warnings`` says so,
        ``recordings.notes`` is what was noted when they were saved.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    StoreError
        If the path is a set that only a newer version can read.

    Examples
    --------
    ::

        recs.save("runs/monday")
        fnb.load("runs/monday")
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise wrong_type("path", "a path", path, 'fnb.load("runs/monday")')
    from firmly_nb.recordings.stored import open_path

    return Recordings(*open_path(path, Recording))


def as_recordings(name: str, value: Any) -> Recordings:
    """Return recordings from whatever has some: one, several, or a path.

    Raises
    ------
    TypeError
        If it is anything else; ``name`` is what the message calls it.

    Examples
    --------
    >>> as_recordings("other", [Recordings([]), Recordings([])])
    0 recordings
    >>> as_recordings("other", 7)
    Traceback (most recent call last):
    TypeError: other must be recordings or a path, got int. Try fnb.load("runs/monday"). [FNB102]
    """
    if isinstance(value, Recordings):
        return value
    if isinstance(value, Recording):
        return Recordings([value])
    if isinstance(value, (str, os.PathLike)):
        return load(value)
    if isinstance(value, (list, tuple)):
        single = Recordings(one for one in value if isinstance(one, Recording))
        sets = (as_recordings(name, one) for one in value if not isinstance(one, Recording))
        return sum(sets, single)
    raise wrong_type(name, "recordings or a path", value, 'fnb.load("runs/monday")')


def tellable_recordings(recs: Recordings) -> Recordings:
    """Return the same, with nothing in what a report tells of them that names a person.

    Examples
    --------
    >>> len(tellable_recordings(Recordings([])))
    0
    """
    selection = recs._selection  # noqa: SLF001 - of its own kind
    sources = [
        Held(_recording(tellable(one.recorded)) for one in source.recordings)
        if isinstance(source, Held)
        else source
        for source in selection.sources
    ]
    return Recordings(Selection(sources, selection.chosen), recs._warnings)  # noqa: SLF001 - the same


def _recording(one: Recording | Recorded) -> Recording:
    return Recording(one.records(), one.warnings) if isinstance(one, Recorded) else one
