"""Reading columns of tables as arrays, quickly: a long text column is looked at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Codes = NDArray[np.signedinteger[Any]]
    Floats = NDArray[np.float64]
    Positions = NDArray[np.signedinteger[Any]]
    # Of very many they are counted, and only if need be.
    Events: TypeAlias = pd.DataFrame | Callable[[], "Reads"]


AT_ONCE = 65_536  # codes that are looked up together
FEW_CATEGORIES = 50  # of so many each is looked for by itself


def coded(column: pd.Series) -> tuple[Codes, list[str]]:
    """Return each value's number, in order of appearance, and the values; a null has -1.

    Examples
    --------
    >>> import pandas as pd
    >>> coded(pd.Series(["b", None, "a", "b"]))
    (array([ 0, -1,  1,  0]), ['b', 'a'])
    """
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return _of_categories(column)
    codes, names = pd.factorize(column)
    return codes, [str(name) for name in names]


def _of_categories(column: pd.Series) -> tuple[Codes, list[str]]:
    """Return the same of a categorical, whose codes need only be put in order of appearance."""
    own, names = column.cat.codes.to_numpy(), column.cat.categories
    if len(names) > FEW_CATEGORIES:
        import pandas as pd

        codes, found = pd.factorize(column)
        return codes, [str(name) for name in found]
    present = _present(own, len(names))
    number = np.full(len(names) + 1, -1, dtype=np.int32)  # the last place is for code -1
    number[present] = np.arange(len(present))
    return looked_up(number, own), [str(names[code]) for code in present]


def _present(codes: NDArray[Any], size: int) -> list[int]:
    """Return which codes below a size there are, in order of appearance."""
    first = {}
    for code in range(size):
        for begin in range(0, len(codes), AT_ONCE):
            here = codes[begin : begin + AT_ONCE] == code
            at = int(here.argmax())
            if here[at]:
                first[code] = begin + at
                break
    return sorted(first, key=first.__getitem__)


def names_in(column: pd.Series) -> list[str]:
    """Return the values that there are, in order of appearance.

    Examples
    --------
    >>> import pandas as pd
    >>> names_in(pd.Series(["b", None, "a", "b"], dtype="category"))
    ['b', 'a']
    """
    import pandas as pd

    if not isinstance(column.dtype, pd.CategoricalDtype):
        return coded(column)[1]
    names = column.cat.categories
    if len(names) > FEW_CATEGORIES:
        return [str(name) for name in column.dropna().unique()]
    return [str(names[code]) for code in _present(column.cat.codes.to_numpy(), len(names))]


def looked_up(values: NDArray[Any], codes: NDArray[Any]) -> NDArray[Any]:
    """Return ``values[codes]``, some codes at a time: numpy makes a wider copy of narrow ones.

    Examples
    --------
    >>> looked_up(np.array([0.5, 1.5, -1.0]), np.array([1, -1, 0], dtype=np.int8)).tolist()
    [1.5, -1.0, 0.5]
    """
    found = np.empty(len(codes), dtype=values.dtype)
    for begin in range(0, len(codes), AT_ONCE):
        here = slice(begin, begin + AT_ONCE)
        np.take(values, codes[here], out=found[here], mode="wrap")  # the others take a copy of out
    return found


def counts_of(codes: NDArray[Any], mask: NDArray[np.bool_], size: int) -> NDArray[np.intp]:
    """Return how many rows of a mask have each code, some at a time: numpy makes a wider copy.

    Examples
    --------
    >>> counts_of(np.array([1, 0, 1, 1]), np.array([True, True, True, False]), 3).tolist()
    [1, 2, 0]
    """
    found = np.zeros(size, dtype=np.intp)
    for begin in range(0, len(codes), AT_ONCE):
        here = slice(begin, begin + AT_ONCE)
        found += np.bincount(codes[here][mask[here]], minlength=size)
    return found


MOST_CELLS = 1_000_000  # that are counted; more are sorted


def numbered_cells(
    codes: Sequence[Codes], shape: Sequence[int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the cells of several codes that occur, and for each row the number of its cell.

    Parameters
    ----------
    codes
        Columns of codes from 0.
    shape
        How many codes each column can have; ``numpy.unravel_index`` takes cells apart with it.

    Examples
    --------
    >>> cells, numbers = numbered_cells([np.array([1, 0, 1]), np.array([2, 0, 2])], [2, 3])
    >>> cells.tolist(), numbers.tolist()
    ([0, 5], [1, 0, 1])
    """
    cell = codes[0] if len(codes) == 1 else np.ravel_multi_index(tuple(codes), tuple(shape))
    if math.prod(shape) > MOST_CELLS:
        cells, numbers = np.unique(cell, return_inverse=True)
        return cells, numbers.reshape(-1)
    present = np.bincount(cell, minlength=math.prod(shape)) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[cell]


def categorical(codes: NDArray[Any], names: Sequence[str]) -> pd.Categorical[Any]:
    """Return a categorical of the names that occur, in their order; code -1 stands for none.

    Examples
    --------
    >>> categorical(np.array([2, -1, 0]), ["b", "unused", "a"]).categories.to_list()
    ['a', 'b']
    """
    import pandas as pd

    present = np.zeros(len(names) + 1, dtype=bool)  # the last place is for code -1
    for begin in range(0, len(codes), AT_ONCE):
        present[codes[begin : begin + AT_ONCE]] = True
    order = sorted(np.flatnonzero(present[:-1]).tolist(), key=lambda code: names[code])
    positions = np.full(len(names) + 1, -1, dtype=np.int32)  # the last place is for code -1
    positions[order] = np.arange(len(order))
    kept = [names[code] for code in order]
    # pandas keeps few categories in a byte each, and checks wider codes at length.
    found: pd.Categorical[Any] = pd.Categorical.from_codes(
        looked_up(positions.astype(np.min_scalar_type(-max(len(kept), 1))), codes),
        categories=pd.Index(kept),
    )
    return found


def is_value(column: pd.Series, value: str) -> NDArray[np.bool_]:
    """Return for each row whether it has that value; a null has not."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        names = column.cat.categories
        code = names.get_loc(value) if value in names else len(names)
        of_codes: NDArray[np.bool_] = column.cat.codes.to_numpy() == code
        return of_codes
    codes, known = coded(column)
    found: NDArray[np.bool_] = codes == (known.index(value) if value in known else len(known))
    return found


def floats(column: pd.Series) -> Floats:
    """Return a column of numbers, nulls as not-a-number."""
    return column.to_numpy(np.float64, na_value=np.nan)


def some_of(values: NDArray[Any], wanted: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the values that are wanted; of all of them no copy is made.

    Examples
    --------
    >>> some_of(np.array([1.0, 2.0]), np.array([False, True])).tolist()
    [2.0]
    """
    return values if wanted.all() else values[wanted]


def flags(table: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Return a column of truth values; where it is missing or null, false.

    Examples
    --------
    >>> import pandas as pd
    >>> flags(pd.DataFrame({"coalesced": [True, None]}), "coalesced").tolist()
    [True, False]
    >>> flags(pd.DataFrame({"t_ms": [1.0]}), "coalesced").tolist()
    [False]
    """
    if name not in table:
        return np.zeros(len(table), dtype=bool)
    column = table[name]
    if column.dtype == bool:
        return column.to_numpy()
    return column.fillna(value=False).to_numpy(bool)


class Reads(NamedTuple):
    """Number of events, how many of them share a read, and how many orders have events."""

    events: int
    coalesced: int
    orders: int


def reads_of(events: Events) -> Reads:
    """Count the events that share a read with the one before.

    Parameters
    ----------
    events
        One row an event with ``recording_id`` and ``coalesced``; or one row an order with
        ``n_events`` and ``n_coalesced``; or what counts them.

    Examples
    --------
    >>> import pandas as pd
    >>> reads_of(pd.DataFrame({"recording_id": ["a", "a", "b"], "coalesced": [False, True, False]}))
    Reads(events=3, coalesced=1, orders=2)
    >>> reads_of(pd.DataFrame({"recording_id": [0, 1], "n_events": [2, 1], "n_coalesced": [1, 0]}))
    Reads(events=3, coalesced=1, orders=2)
    """
    if callable(events):
        return events()
    if "n_events" in events:
        return Reads(int(events["n_events"].sum()), int(events["n_coalesced"].sum()), len(events))
    if not len(events) or "coalesced" not in events:
        return Reads(0, 0, 0)
    together = int(events["coalesced"].to_numpy(bool).sum())
    return Reads(len(events), together, events["recording_id"].nunique())


def starts(orders: pd.DataFrame) -> NDArray[np.int64]:
    """Return when each order began as a number to compare, the least where that is not known.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"started_at": pd.to_datetime(["2026-01-01", None], utc=True)})
    >>> starts(orders).argsort().tolist()
    [1, 0]
    """
    import pandas as pd

    return pd.DatetimeIndex(orders["started_at"]).asi8


def ended_ms(orders: pd.DataFrame) -> Floats:
    """Return when each order ended, in ms since its start.

    Of a stream that the recorder had to close it is the event that told the end: the recorder's
    waiting after it says nothing of the merchant.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = {"order_latency_ms": [5.0, None], "time_to_order_placed_ms": [4.0, 3.0]}
    >>> ended_ms(pd.DataFrame(orders)).tolist()
    [5.0, 3.0]
    """
    found = floats(orders["order_latency_ms"])
    for name in ("time_to_order_placed_ms", "time_to_failure_ms"):
        if name in orders:
            found = np.where(np.isnan(found), floats(orders[name]), found)
    return found


def positions(orders: pd.DataFrame, rows: pd.DataFrame) -> Positions:
    """Return for each row the position of its order in ``orders``; -1 where there is none.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"recording_id": ["a", "b"]})
    >>> positions(orders, pd.DataFrame({"recording_id": ["b", "c", "a"]})).tolist()
    [1, -1, 0]
    """
    import pandas as pd

    ids, asked = orders["recording_id"], rows["recording_id"]
    if ids.dtype.kind == asked.dtype.kind == "i" and np.array_equal(ids, np.arange(len(ids))):
        return _within(asked.to_numpy(), len(ids))
    # The rows of an order stand together: each id is looked up once, and not at all where they are
    # those of the orders, one by one. Of a million rows every look-up counts.
    first = asked.ne(asked.shift()).to_numpy(bool)
    group = np.cumsum(first) - 1
    heads = asked[first]
    if heads.array.equals(ids.array):
        return np.asarray(group, dtype=np.intp)
    found = pd.Index(ids).get_indexer(pd.Index(heads))
    return np.asarray(found[group], dtype=np.intp)


def _within(numbers: Positions, count: int) -> Positions:
    """Return ids that are positions already, those of no order as -1."""
    if not len(numbers) or (numbers.min() >= -1 and numbers.max() < count):
        return numbers
    return np.where((numbers >= 0) & (numbers < count), numbers, -1)
