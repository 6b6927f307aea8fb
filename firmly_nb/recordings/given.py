"""Recordings from times that another tool measured: a CSV, a log, a simulation.

``from_events`` looks at both tables first and says what is wrong with which column. Then it builds
the tables that recordings have, column by column, so that a million events take seconds. ``told``
has them as a source.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd

from firmly_nb.api.event_names import GUIDE, ITEM_ADDED, REFERENCE, SUCCESS
from firmly_nb.display.messages import coded_error, quoted, unknown, wrong_type
from firmly_nb.display.text import count, stated
from firmly_nb.exchange.event_files import read_events, read_orders
from firmly_nb.latency.columns import categorical
from firmly_nb.outcomes import CANCELLED, ENDED_HERE, EXTERNAL, KNOWN, NOT_SEEN, PLACED
from firmly_nb.recorder.tables import ORDERS
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.recordings.sources import Selection
from firmly_nb.recordings.told import TIMES, Given, ToldSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

NO_DOMAIN = "not given"  # the merchant of orders that have none
NEAR_MS = 1.0  # two times of one moment, each rounded to a millisecond by its own tool
MOST_ITEMS = 1_000_000
MOST_MS = 9e12  # more does not fit into nanoseconds
MOST_NAMED = 5
NEEDED = ("recording_id", "event", "t_ms")
OF_EVENTS = (*NEEDED, "uncertainty_us", "coalesced")
OF_ORDERS = (
    "recording_id", "outcome", "run_id", "domain", "started_at", "n_items", "tags", *TIMES,
)  # fmt: skip


def from_events(
    events: pd.DataFrame | str | os.PathLike[str],
    orders: pd.DataFrame | str | os.PathLike[str] | None = None,
    *,
    milestones: Sequence[str] | None = None,
) -> Recordings:
    """Make recordings from times that another tool measured.

    They have every table and verb of recordings. Nothing is known of carts: those tables are empty.
    Their environment is ``external``.

    Parameters
    ----------
    events
        One row an event, or the path of a CSV, of JSON lines, or of AIPerf's
        ``profile_export_raw.jsonl``. A file of JSON lines may hold orders, too: lines without
        ``event``. Needs ``recording_id``, ``event`` (its name) and ``t_ms`` (ms since the
        request). May have ``uncertainty_us`` (0) and ``coalesced`` (false). The events of an order
        come in order of time; orders may be mixed.
    orders
        One row an order, including orders without events; or the path of a CSV or of JSON lines.
        Needs ``recording_id``. May have
        ``outcome``, ``run_id``, ``domain``, ``started_at`` (with time zone), ``n_items``, ``tags``,
        ``time_to_order_placed_ms``, ``time_to_failure_ms``, ``order_latency_ms``,
        ``time_to_headers_ms``, ``schedule_lag_ms``. An order without an outcome is placed if its
        last milestone came, or its time is given. Otherwise it is incomplete.
    milestones
        Event names in order, the last one means placed; by default those of the Place Order API.

    Returns
    -------
    Recordings
        In the order of ``orders``, or of the first events. ``warnings`` names unused columns.

    Raises
    ------
    TypeError
        If an argument is neither a DataFrame nor a path.
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is missing or has a value that cannot be used, or the tables do not fit.

    Examples
    --------
    >>> events = pd.DataFrame(
    ...     {"recording_id": "r1", "event": ["item-added", "order-placed"], "t_ms": [400.0, 900.0]}
    ... )
    >>> recs = from_events(events)
    >>> recs
    1 recording: 1 placed
    >>> recs.stages["duration_ms"].dropna().to_list()
    [400.0, 500.0]
    """
    names = _milestones(milestones)
    said: list[str] = []
    if isinstance(events, (str, os.PathLike)):
        read = read_events(events)
        events, said = read.events, read.warnings
        orders = read.orders if orders is None else orders
    if isinstance(orders, (str, os.PathLike)):
        orders = read_orders(orders)
    events = _frame("events", events)
    if orders is not None:
        orders = _frame("orders", orders)
    arrivals = _arrivals(events, orders)
    table = _orders(arrivals, orders, names)
    source = ToldSource(table, arrivals, names)
    unused = [
        _unused(name, frame.columns, known)
        for name, frame, known in (("events", events, OF_EVENTS), ("orders", orders, OF_ORDERS))
        if frame is not None
    ]
    is_placed = (table["outcome"] == PLACED).any()
    never = "" if is_placed else _never_placed(names, events, orders)
    return Recordings(Selection([source]), [*said, *(text for text in (*unused, never) if text)])


# ------------------------------------------------------------------- looking at what is given


def _wrong(where: str, text: str) -> NoReturn:
    raise coded_error(ValueError, "FNB331", f"{where} {text}")


def _frame(name: str, given: Any) -> pd.DataFrame:
    """Return a table that was given, as a DataFrame with the columns that are needed."""
    if not isinstance(given, pd.DataFrame):
        if hasattr(given, "to_pandas"):
            example = f"{name}.to_pandas()"
        elif hasattr(given, "df"):
            example = f"{name}.df()"
        else:
            example = f"pd.DataFrame({name})"
        raise wrong_type(name, "a pandas DataFrame or a path", given, example)
    for column in NEEDED if name == "events" else NEEDED[:1]:
        if column not in given.columns:
            if column in given.index.names:
                hint = f"It is the index: pass {name}.reset_index()."
            else:
                hint = f"{unknown('column', column, map(str, given.columns), name)}"
                hint = f"Rename the column that has it. {hint.partition('. ')[2]}"
            raise coded_error(ValueError, "FNB330", f"{name} has no column {column}. {hint}")
    known = OF_EVENTS if name == "events" else OF_ORDERS
    for column in known:
        if isinstance(given.get(column), pd.DataFrame):
            _wrong(f"{name}.{column}", "is there twice. Drop one of them.")
    return given.reset_index(drop=True)


def _never_placed(
    names: Sequence[str] | None, events: pd.DataFrame, orders: pd.DataFrame | None
) -> str:
    """Say that no order came to the last milestone, if nothing else says how orders ended."""
    told = orders is not None and not {"outcome", "time_to_order_placed_ms"}.isdisjoint(orders)
    if told or not len(events) or (names and (events["event"] == names[-1]).any()):
        return ""
    asked = f"{quoted(names[-1])}, the last milestone" if names else "a known name of success"
    return f"events: none is {asked}; pass milestones=[...]"


def _unused(name: str, columns: Iterable[Any], known: Sequence[str]) -> str:
    """Say which columns of a table are not used; a misspelt one is among them."""
    others = [str(column) for column in columns if column not in known]
    if not others:
        return ""
    named = ", ".join(quoted(column) for column in others[:MOST_NAMED])
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return f"{name}: {count(len(others), 'column')} not used: {named}{more}"


def _milestones(given: Any) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = tuple(given) if not isinstance(given, str) and hasattr(given, "__iter__") else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        text = f"milestones must be a list of event names, got {quoted(given)}."
        raise coded_error(ValueError, "FNB331", f"{text} Try milestones=['cart', 'placed'].")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        text = f"milestones has {quoted(twice)} twice. Name each once."
        raise coded_error(ValueError, "FNB331", text)
    return names


def _row(at: int, frame_name: str) -> str:
    return f"in row {at} of {frame_name} (from 0)"


def _texts(
    where: str, column: pd.Series, *, nulls: bool = False, numbers: bool = False
) -> tuple[Rows, list[str]]:
    """Return for each value its number, -1 for a null, and the texts in order of appearance."""
    try:
        codes, found = pd.factorize(column)
    except TypeError:
        _wrong(where, "must be text, got lists or other objects. Use .astype(str).")
    values = list(found)
    if numbers and values and all(_is_whole(value) for value in values):
        values = [str(int(value)) for value in values]
    for number, value in enumerate(values):
        if isinstance(value, str) and value and _is_unicode(value):
            continue
        kind = "an empty text" if value == "" else f"{quoted(value)} ({type(value).__name__})"
        if isinstance(value, str) and value:
            kind = "a text that is not Unicode"
        wanted = "text" if not numbers else "text, or whole numbers only"
        at = _row(int(np.argmax(codes == number)), where.partition(".")[0])
        _wrong(where, f"must be {wanted}, got {kind} {at}. Use .astype(str), or fill it.")
    codes = np.asarray(codes, dtype=np.int64)
    if not nulls and (codes < 0).any():
        at = _row(int(np.argmax(codes < 0)), where.partition(".")[0])
        _wrong(where, f"is null {at}. Fill it, or drop the row.")
    return codes, values


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _numbers(
    where: str, column: pd.Series, unit: str, *, nulls: bool = False, least: float = 0.0
) -> Floats:
    """Return numbers in range; nulls, where they may be, as not-a-number."""
    table = where.partition(".")[0]
    kinds = pd.api.types
    is_number = kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column)
    if column.dtype == object:
        kind = kinds.infer_dtype(column, skipna=True)
        is_number = kind in {"integer", "floating", "mixed-integer-float", "empty"}
    if not is_number or kinds.is_complex_dtype(column):
        if kinds.is_timedelta64_dtype(column):
            hint = f"Use {where}.dt.total_seconds() * 1000."
        elif kinds.is_datetime64_any_dtype(column):
            hint = "Subtract the time of the request, then .dt.total_seconds() * 1000."
        else:
            hint = f"Use pd.to_numeric({where})."
        _wrong(where, f"must be numbers{unit}, got {column.dtype}. {hint}")
    values = column.to_numpy(np.float64, na_value=np.nan)
    bad = (values < least) | np.isinf(values) | (values > MOST_MS)
    if not nulls:
        bad = bad | np.isnan(values)
    if bad.any():
        at = int(np.argmax(bad))
        value = values[at]
        says = "is null" if np.isnan(value) else f"is {value:g}"
        wanted = f"Times are since the request, 0 to {MOST_MS:g}." if unit else "Use 0 or more."
        _wrong(where, f"{says} {_row(at, table)}. {wanted}")
    return values


def _flags(where: str, column: pd.Series) -> Flags:
    values = set(pd.unique(column.dropna()).tolist()) if column.notna().any() else set()
    if column.isna().any() or not values <= {True, False}:
        hint = (
            f"Use {where} == 'true', with the word that means true."  # astype(bool) makes all true
        )
        if pd.api.types.is_numeric_dtype(column.dtype):
            hint = f"Use {where} == 1, with the number that means true."
        _wrong(where, f"must be true or false in each row, got {column.dtype}. {hint}")
    return column.to_numpy(bool)


def _unit_of_epoch(column: pd.Series) -> str:
    """Return the unit in which numbers are times of today since 1970."""
    largest = float(column.abs().max())
    return next(
        (unit for unit, least in (("ns", 1e17), ("us", 1e14), ("ms", 1e11)) if largest >= least),
        "s",
    )


def _starts(where: str, column: pd.Series) -> pd.Series:
    """Return starts in UTC; a null is a start that is not known."""
    kind = column.dtype
    if isinstance(kind, pd.ArrowDtype) and getattr(kind.pyarrow_dtype, "tz", None):
        column = pd.Series(pd.to_datetime(column.to_numpy(object), utc=True))
    elif not isinstance(kind, pd.DatetimeTZDtype):
        if not column.notna().any():
            return pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns, UTC]")
        if pd.api.types.is_datetime64_any_dtype(kind):
            _wrong(where, 'has no time zone. Use .dt.tz_localize("UTC"), or the zone it is in.')
        unit = f'unit="{_unit_of_epoch(column)}", ' if pd.api.types.is_numeric_dtype(kind) else ""
        _wrong(where, f"must be times, got {kind}. Use pd.to_datetime({where}, {unit}utc=True).")
    try:
        found: pd.Series = column.dt.tz_convert("UTC").astype("datetime64[ns, UTC]")
    except (ValueError, OverflowError):
        _wrong(where, "has years outside 1678 to 2261. Correct them, or drop the column.")
    return found


def _tags(where: str, column: pd.Series) -> list[dict[str, str]]:
    found = []
    for at, value in enumerate(column.tolist()):
        is_null = value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA
        tags = {} if is_null else value
        if not isinstance(tags, dict) or not all(
            isinstance(one, str) and _is_unicode(one) for pair in tags.items() for one in pair
        ):
            at_row = _row(at, "orders")
            _wrong(where, f"must be a dict of texts, got {quoted(value)} {at_row}.")
        found.append(dict(tags))
    return found


def _arrivals(events: pd.DataFrame, orders: pd.DataFrame | None) -> Given:
    codes, found = _texts("events.recording_id", events["recording_id"], numbers=True)
    ids = found
    if orders is not None:
        ids = _ids_of_orders(events, orders)
        places = pd.Index(ids, dtype=object).get_indexer(pd.Index(found, dtype=object))
        if (places < 0).any():
            missing = [found[place] for place in np.flatnonzero(places < 0)]
            raise coded_error(
                ValueError,
                "FNB332",
                f"{count(len(missing), 'order')} in events {'are' if len(missing) > 1 else 'is'} "
                f"not in orders: {', '.join(quoted(one, 30) for one in missing[:MOST_NAMED])}. "
                "Add a row for each to orders, or drop their events.",
            )
        codes = np.asarray(places)[codes] if len(codes) else codes
    names, known = _texts("events.event", events["event"])
    t_ns = np.round(_numbers("events.t_ms", events["t_ms"], " of ms") * 1e6).astype(np.int64)
    uncertainty_us = np.zeros(len(codes))
    if "uncertainty_us" in events:
        uncertainty_us = _numbers("events.uncertainty_us", events["uncertainty_us"], " of µs")
    coalesced = np.zeros(len(codes), dtype=bool)
    if "coalesced" in events:
        coalesced = _flags("events.coalesced", events["coalesced"])
    order = np.argsort(codes, kind="stable")
    back = np.diff(codes[order]) == 0
    back &= np.diff(t_ns[order]) < 0
    if back.any():
        before, after = order[np.argmax(back)], order[np.argmax(back) + 1]
        _wrong(
            "events.t_ms",
            f"goes back in order {quoted(ids[codes[after]], 30)}: {known[names[after]]} at "
            f"{stated(t_ns[after] / 1e6)} ms comes after {known[names[before]]} at "
            f"{stated(t_ns[before] / 1e6)} ms. Sort events by t_ms, kind='stable'.",
        )
    first = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))])
    return Given(
        ids,
        codes[order],
        names[order],
        known,
        t_ns[order],
        uncertainty_us[order],
        coalesced[order],
        first,
    )


def _ids_of_orders(events: pd.DataFrame, orders: pd.DataFrame) -> list[str]:
    column = orders["recording_id"]
    codes, found = _texts("orders.recording_id", column, numbers=True)
    if len(found) < len(codes):
        at = int(np.argmax(pd.Series(codes).duplicated()))
        twice = quoted(found[codes[at]], 30)
        raise coded_error(
            ValueError,
            "FNB332",
            f"orders has recording_id {twice} twice, again {_row(at, 'orders')}. "
            "Keep one row for each order.",
        )
    of_events = events["recording_id"]
    kinds = [
        "whole numbers" if len(ids) and _is_whole(ids.iloc[0]) else "text"
        for ids in (of_events, column)
    ]
    if len(of_events) and len(column) and kinds[0] != kinds[1]:
        raise coded_error(
            ValueError,
            "FNB332",
            f"recording_id is {kinds[0]} in events and {kinds[1]} in orders. "
            "Use .astype(str) on both.",
        )
    return found


def _orders(given: Given, orders: pd.DataFrame | None, own: tuple[str, ...] | None) -> pd.DataFrame:
    """Return ``ORDERS``."""
    many = len(given.ids)
    asked = orders if orders is not None else pd.DataFrame(index=range(many))
    nothing = np.full(many, np.nan)
    told = {
        name: _rounded(
            _numbers(
                f"orders.{name}",
                asked[name],
                " of ms",
                nulls=True,
                # Who starts an order by a timer may be early.
                least=-MOST_MS if name == "schedule_lag_ms" else 0.0,
            )
        )
        if name in asked
        else nothing
        for name in TIMES
    }
    success_ms = _time_of(given, _place_of(given, {own[-1]} if own else SUCCESS))
    outcome = _outcomes(given, asked, success_ms, told["time_to_order_placed_ms"])
    is_placed, is_cancelled = (outcome == KNOWN.index(name) for name in (PLACED, CANCELLED))
    failed_ms = told["time_to_failure_ms"]
    for other in (told["order_latency_ms"], _time_of(given, _place_of(given, last=True))):
        failed_ms = np.where(np.isnan(failed_ms), other, failed_ms)
    n_items = _n_items(asked, many)
    reached = _place_of(given, own or {*REFERENCE, *GUIDE}, last=True)
    last_names = np.append(given.names, -1)[reached]
    columns: dict[str, Any] = {
        c.name: nothing if c.dtype == "float64" else [None] * many for c in ORDERS.columns
    }
    placed_ms = _placed_ms(given, outcome, success_ms, told["time_to_order_placed_ms"])
    columns |= {
        "recording_id": given.ids,
        "run_id": _labels(asked, "run_id", many, None),
        "started_at": _starts("orders.started_at", asked["started_at"])
        if "started_at" in asked
        else pd.Series(pd.NaT, index=range(many), dtype="datetime64[ns, UTC]"),
        "environment": pd.Categorical([EXTERNAL] * many),
        "domain": pd.Categorical(_labels(asked, "domain", many, NO_DOMAIN)),
        "n_items": n_items,
        "quantity": n_items,
        "outcome": categorical(outcome, KNOWN),
        "order_exists": pd.Categorical([NOT_SEEN.order_exists] * many),
        "evidence": pd.Categorical([NOT_SEEN.evidence] * many),
        "last_milestone": categorical(last_names, given.known),
        **told,
        "time_to_first_event_ms": _time_of(given, _place_of(given)),
        "time_to_order_placed_ms": placed_ms,
        "scheduled_time_to_order_placed_ms": placed_ms + told["schedule_lag_ms"],
        "time_to_failure_ms": np.where(is_placed | is_cancelled, np.nan, failed_ms),
        **_within(given, outcome, n_items, told["order_latency_ms"]),
        "scheduled_order_latency_ms": told["order_latency_ms"] + told["schedule_lag_ms"],
        "clock_step_us": np.zeros(many),
        "stream_left_open": np.zeros(many, dtype=bool),
        "tags": _tags("orders.tags", asked["tags"]) if "tags" in asked else [{}] * many,
    }
    return ORDERS.from_columns(columns)


def _within(given: Given, outcome: Rows, n_items: Rows, latency_ms: Floats) -> dict[str, Floats]:
    """Return what the times between events say, as records have it."""
    many = len(given.ids)
    here = [KNOWN.index(name) for name in KNOWN if name in ENDED_HERE]
    last_ms = _time_of(given, _place_of(given, last=True))
    max_gap_ms = np.full(many, np.nan)
    gaps = np.diff(given.t_ms)
    apart = (np.diff(given.owner) == 0) & ~given.coalesced[1:]
    np.fmax.at(max_gap_ms, given.owner[1:][apart], gaps[apart])
    first, last = (_place_of(given, {ITEM_ADDED}, last=last) for last in (False, True))
    parted = np.concatenate([[0], np.cumsum(~given.coalesced)])
    several = (n_items > 1) & (first < last) & (parted[last + 1] > parted[first + 1])
    spent_ms = _time_of(given, last) - _time_of(given, first)
    lag_ms = np.maximum(latency_ms - last_ms, 0)  # both are rounded
    return {
        "stream_close_lag_ms": np.where(np.isin(outcome, here), np.nan, lag_ms),
        "max_gap_ms": max_gap_ms,
        "time_per_item_ms": np.where(several, spent_ms / np.maximum(n_items - 1, 1), np.nan),
    }


def _rounded(times_ms: Floats) -> Floats:
    """Return times in whole nanoseconds, as records have them."""
    rounded: Floats = np.round(times_ms * 1e6) / 1e6
    return rounded


def _place_of(given: Given, names: Iterable[str] | None = None, *, last: bool = False) -> Rows:
    """Return the place of each order's first or last event of these names; -1 where none came."""
    wanted = None if names is None else set(names)
    is_wanted = np.array([wanted is None or name in wanted for name in given.known], dtype=bool)
    places = np.flatnonzero(is_wanted[given.names])
    places = places if last else places[::-1]
    found = np.full(len(given.ids), -1, dtype=np.int64)
    found[given.owner[places]] = places  # of several the last one that is written stays
    return found


def _time_of(given: Given, places: Rows) -> Floats:
    return np.append(given.t_ms, np.nan)[places]


def _labels(asked: pd.DataFrame, name: str, many: int, default: str | None) -> list[str | None]:
    if name not in asked:
        return [default] * many
    codes, found = _texts(f"orders.{name}", asked[name], nulls=True, numbers=name == "run_id")
    named: list[str | None] = [*found, default]  # the last place is for code -1
    return [named[code] for code in codes.tolist()]


def _n_items(asked: pd.DataFrame, many: int) -> Rows:
    if "n_items" not in asked:
        return np.zeros(many, dtype=np.int64)
    found = np.nan_to_num(_numbers("orders.n_items", asked["n_items"], "", nulls=True))
    whole = found.astype(np.int64)
    if (found != whole).any():
        at = int(np.argmax(found != whole))
        _wrong("orders.n_items", f"is {found[at]:g} {_row(at, 'orders')}. Use whole numbers.")
    if (whole > MOST_ITEMS).any():
        at = int(np.argmax(whole > MOST_ITEMS))
        _wrong("orders.n_items", f"is {whole[at]} {_row(at, 'orders')}. Use {MOST_ITEMS} or less.")
    return whole


def _outcomes(given: Given, asked: pd.DataFrame, success_ms: Floats, told_ms: Floats) -> Rows:
    """Return for each order the place of its outcome among ``KNOWN``."""
    seen = ~np.isnan(success_ms) | ~np.isnan(told_ms)
    found = np.where(seen, KNOWN.index(PLACED), KNOWN.index("incomplete")).astype(np.int64)
    if "outcome" in asked:
        codes, names = _texts("orders.outcome", asked["outcome"], nulls=True)
        for name in names:
            if name not in KNOWN:
                row = _row(int(np.argmax(codes == names.index(name))), "orders")
                _wrong("orders.outcome", f"cannot be used {row}. {unknown('outcome', name, KNOWN)}")
        known = np.array([*(KNOWN.index(name) for name in names), -1])
        found = np.where(codes >= 0, known[codes], found)
    is_placed = found == KNOWN.index(PLACED)
    for bad, text in (
        (is_placed & ~seen, "is placed without a time. Give its last milestone as an event, or"),
        (
            ~is_placed & ~np.isnan(told_ms),
            "is not placed and has a time to it. Correct outcome, or",
        ),
    ):
        if bad.any():
            at = int(np.argmax(bad))
            what = f"Order {quoted(given.ids[at], 30)} {_row(at, 'orders')} {text}"
            raise coded_error(ValueError, "FNB332", f"{what} time_to_order_placed_ms.")
    return found


def _placed_ms(given: Given, outcome: Rows, success_ms: Floats, told_ms: Floats) -> Floats:
    apart = np.abs(success_ms - told_ms) > NEAR_MS
    if apart.any():
        at = int(np.argmax(apart))
        raise coded_error(
            ValueError,
            "FNB332",
            f"Order {quoted(given.ids[at], 30)} has two times: its last milestone came at "
            f"{stated(success_ms[at])} ms, time_to_order_placed_ms is {stated(told_ms[at])} ms. "
            "Measure both from the same start, or drop the column.",
        )
    found = np.where(np.isnan(told_ms), success_ms, told_ms)
    return np.where(outcome == KNOWN.index(PLACED), found, np.nan)
