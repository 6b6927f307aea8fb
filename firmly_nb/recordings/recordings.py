"""``Recordings``: many orders, with the tables of one, and all that they can be asked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, overload

from typing_extensions import override

from firmly_nb.display.arguments import public
from firmly_nb.display.messages import UnknownName, coded_error, quoted, unknown, wrong_type
from firmly_nb.display.text import capital, there_are
from firmly_nb.latency.stages import STAGES
from firmly_nb.outcomes import KNOWN as OUTCOMES
from firmly_nb.outcomes import NO, UNKNOWN, YES
from firmly_nb.recorder.masking import shareable, tellable
from firmly_nb.recorder.records import Recorded
from firmly_nb.recorder.tables import EVENT_TIMES, EVENTS, HEADERS, ORDERS
from firmly_nb.recordings.recording import OneOrMany, Recording, caveats_of
from firmly_nb.recordings.show import Charts, recordings_html, recordings_text
from firmly_nb.recordings.sources import Held, Selection

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from duckdb import DuckDBPyConnection

    from firmly_nb.exchange.tables import Views
    from firmly_nb.latency.columns import Events
    from firmly_nb.latency.compare import Comparison
    from firmly_nb.latency.drift import RunDrift
    from firmly_nb.latency.stages import StageBlocks
    from firmly_nb.latency.summary import LatencySummary
    from firmly_nb.latency.targets import Attainment
    from firmly_nb.recordings.groups import Groups
    from firmly_nb.recordings.sources import Ends
    from firmly_nb.store.write import Saved


# Columns of orders whose values are known beforehand: another one is a slip.
KNOWN_VALUES = {
    "outcome": OUTCOMES,
    "order_exists": (YES, NO, UNKNOWN),
    "connection": ("warm", "cold"),
}


NUMBERS = "iuf"  # as NumPy and pandas call these kinds


def _check_column(name: str) -> None:
    if name not in ORDERS.names:
        raise coded_error(UnknownName, "FNB303", unknown("column", name, ORDERS.names, "orders"))


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
            _check_column(name)
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
        _check_column(name)
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
        return caveats_of(self._selection)

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
