"""``recs.by(...)``: the verbs of recordings, group by group, with intervals that hold together."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from firmly_nb.display.arguments import public
from firmly_nb.display.messages import UnknownName, coded_error, quoted, unknown
from firmly_nb.display.text import count, printable
from firmly_nb.latency.asked import limit_of, quantiles_of, share_of
from firmly_nb.latency.columns import coded, numbered_cells
from firmly_nb.latency.groups import Keys, grouped_latency, keyed, split
from firmly_nb.recorder.tables import ORDERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.charts.chart import Chart
    from firmly_nb.latency.columns import Events
    from firmly_nb.latency.design import Tables
    from firmly_nb.latency.groups import GroupedLatency
    from firmly_nb.latency.stages import StageBlocks
    from firmly_nb.latency.targets import GroupedAttainment
    from firmly_nb.recordings.sources import Ends

    Codes = NDArray[np.intp]

TAG = "tag:"
WINDOW = re.compile(
    r"\s*(\d*)\s*(s|sec|second|min|minute|h|hour|d|day|w|week)s?\s*", re.ASCII | re.IGNORECASE
)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MONDAY_S = 4 * 86_400  # the Unix epoch was a Thursday: weeks begin four days later
LONGEST_S = 100 * 366 * 86_400
MOST_GROUPS = 500
NONE = "(none)"
NOT_GROUPS = frozenset({"recording_id", "tags", "started_at"})


class Grouped(Protocol):
    """Recordings, as far as groups know them."""

    @property
    def ends(self) -> Ends: ...  # noqa: D102 - as in Recordings
    @property
    def _looked_at(self) -> tuple[pd.DataFrame | StageBlocks, Events]: ...
    def order_column(self, name: str) -> pd.Series[Any]: ...  # noqa: D102 - the same
    def __getitem__(self, key: list[bool]) -> Any: ...
    def __len__(self) -> int: ...


Many = TypeVar("Many", bound=Grouped)


@public
class Groups(Generic[Many]):
    """Groups of recordings, with the verbs of one; displayed, it is their table of times.

    Made by ``recs.by(...)``, not by hand.
    """

    def __init__(self, recordings: Many, keys: Keys) -> None:
        self._recordings = recordings
        self._keys = keys

    @property
    def names(self) -> list[str]:
        """Names of the groups, in order."""
        return list(self._keys.labels)

    def __len__(self) -> int:
        return len(self._keys.values)

    def __iter__(self) -> Iterator[tuple[str, Many]]:
        """Yield each group's name and its recordings."""
        return ((name, self._at(number)) for number, name in enumerate(self.names))

    def __getitem__(self, name: str) -> Many:
        """Return the recordings of a group, by its name or its value."""
        values = [", ".join(value) for value in self._keys.values]
        for known in (self.names, values):
            if name in known:
                return self._at(known.index(name))
        raise coded_error(UnknownName, "FNB340", unknown("group", name, values))

    def _at(self, number: int) -> Many:
        recs: Many = self._recordings[(self._keys.codes == number).tolist()]
        return recs

    def latency(
        self, level: float = 0.95, quantiles: Sequence[float | str] = (0.5, 0.95)
    ) -> GroupedLatency:
        """Return how long each stage takes in each group, and which group is slowest where.

        Parameters
        ----------
        level
            How often all intervals of the table hold together.
        quantiles
            Which quantiles the table has.

        Returns
        -------
        GroupedLatency
            ``.table`` has the numbers, ``.sentence`` the answer, ``.slowest`` the group's name.

        Examples
        --------
        >>> from firmly_nb import Recordings
        >>> Recordings([]).by("domain").latency()
        There is nothing to tell apart.
        """
        return grouped_latency(
            self._tables, self._keys, share_of("level", level, 0.95), quantiles_of(quantiles)
        )

    def outcomes(self, level: float = 0.95) -> pd.DataFrame:
        """Return how the orders of each group ended; all intervals hold together."""
        from firmly_nb.latency.shares import outcome_table

        wanted = share_of("level", level, 0.95)
        kinds = self._orders["outcome"].nunique() + 1
        each = 1 - (1 - wanted) / max(len(self) * kinds, 1)
        return keyed(self._keys, [outcome_table(orders, each) for orders in self._orders_each])

    def funnel(self, level: float = 0.95) -> pd.DataFrame:
        """Return how far the orders of each group came; all intervals hold together."""
        from firmly_nb.latency.shares import funnel, milestones_of

        wanted = share_of("level", level, 0.95)
        known = {name for _, stages, _ in self._parts for name in milestones_of(stages)}
        steps = len(known) * 2
        each = 1 - (1 - wanted) / max(len(self) * steps, 1)
        found = [funnel(stages, orders, each) for _, stages, orders in self._parts]
        return keyed(self._keys, found)

    def slo(
        self, order_ms: float | str, share: float | str, level: float = 0.95
    ) -> GroupedAttainment:
        """Return for each group whether enough orders are placed within a limit.

        Parameters
        ----------
        order_ms
            The limit: the most that an order may take until it is placed, in ms, or ``"1.5s"``.
        share
            The share of attempted orders that must keep it: 0.95 or ``"95%"``.
        level
            How often the intervals of all groups hold together.

        Examples
        --------
        >>> from firmly_nb import Recordings
        >>> len(Recordings([]).by("domain").slo("1.5s", "95%").table)
        0
        """
        from firmly_nb.latency.targets import grouped_attainment

        return grouped_attainment(
            self._orders,
            self._keys,
            limit_of("order_ms", order_ms),
            share_of("share", share, 0.95),
            share_of("level", level, 0.95),
        )

    def throughput(self) -> pd.DataFrame:
        """Return placed orders per second of each group; idle gaps between runs do not count."""
        return self.goodput(None)

    def goodput(self, order_ms: float | str | None) -> pd.DataFrame:
        """Return the orders per second of each group that were placed within a limit."""
        import pandas as pd

        from firmly_nb.latency.targets import goodput

        limits = {}
        if order_ms is not None:
            limits["time_to_order_placed_ms"] = limit_of("order_ms", order_ms)
        rates = [pd.DataFrame({"per_s": [goodput(one, limits)]}) for one in self._orders_each]
        return keyed(self._keys, rates)

    def chart(self, level: float = 0.95) -> Chart:
        """Draw which group is slowest, and in which stage."""
        from firmly_nb import charts

        return charts.groups(self.latency(level), self._keys.noun, self._orders)

    @cached_property
    def _tables(self) -> Tables:
        stages, events = self._recordings._looked_at  # noqa: SLF001 - groups are made by these
        return events, stages, self._orders

    @property
    def _orders(self) -> pd.DataFrame:
        return self._recordings.ends.orders

    @cached_property
    def _parts(self) -> list[Tables]:
        return split(self._tables, self._keys.codes, len(self))

    @property
    def _orders_each(self) -> list[pd.DataFrame]:
        """Return the orders of each group."""
        return [self._orders[self._keys.codes == number] for number in range(len(self))]

    @cached_property
    def _shown(self) -> GroupedLatency:
        return self.latency()

    def __repr__(self) -> str:
        return repr(self._shown)

    def _repr_html_(self) -> str:
        return self._shown._repr_html_()


# From what was asked for to the group of each order.


def grouped(recs: Many, names: Sequence[str], every: str | None) -> Groups[Many]:
    """Return the groups of recordings.

    Parameters
    ----------
    recs
        The recordings.
    names
        Columns of ``orders``, tags as ``tag:NAME``, or a window of time such as ``hour``.
    every
        A window of time.
    """
    asked = list(dict.fromkeys([*names, *([every] if every is not None else [])]))
    if not asked or not all(isinstance(name, str) for name in asked):
        wrong = next((name for name in asked if not isinstance(name, str)), None)
        text = (
            f'by() needs a column, a tag or a window, got {quoted(wrong)}. Example: by("domain").'
        )
        raise coded_error(TypeError, "FNB340", text)
    if every is not None and not WINDOW.fullmatch(every):
        text = f'every must be a window of time, got {quoted(every)}. Use "5min", "1h" or "day".'
        raise coded_error(ValueError, "FNB340", text)
    columns = [_values(recs, name) for name in asked]
    of_time = all(is_time for _, _, is_time in columns)
    values: list[tuple[str, ...]] = []
    codes = np.zeros(len(recs), dtype=np.intp)
    if len(recs):
        shape = [len(known) for _, known, _ in columns]
        cells, codes = numbered_cells([own for own, _, _ in columns], shape)
        _check_count(len(cells), asked)
        values = [
            tuple(known[code] for code, (_, known, _) in zip(cell, columns, strict=True))
            for cell in zip(*(at.tolist() for at in np.unravel_index(cells, shape)), strict=True)
        ]
    own = {"domain", "run_id", "outcome", "environment", "host"}
    told_with = [
        name
        for name, (_, _, is_time) in zip(asked, columns, strict=True)
        if name not in own and not is_time
    ]
    return Groups(recs, Keys(tuple(asked), tuple(values), codes, of_time, tuple(told_with)))


def _check_count(groups: int, asked: Sequence[str]) -> None:
    if groups > MOST_GROUPS:
        text = (
            f"by({', '.join(map(quoted, asked))}) makes {count(groups)} groups, at most "
            f"{MOST_GROUPS}. Use a column with fewer values, or a longer window."
        )
        raise coded_error(ValueError, "FNB340", text)


def _values(recs: Grouped, name: str) -> tuple[Codes, list[str], bool]:
    """Return the code of each order's value, the values in order, and whether they are of time."""
    if name.startswith(TAG):
        return (*_of_tag(recs, name.removeprefix(TAG)), False)
    if name in ORDERS.names and name not in NOT_GROUPS:
        return (*_ordered(_column(recs, name)), False)
    if (match := WINDOW.fullmatch(name)) is not None:
        seconds = int(match[1] or 1) * SECONDS[match[2][0].lower()]
        if not 0 < seconds <= LONGEST_S:
            text = (
                f"A window must be above 0 and at most 100 years, got {quoted(name)}. "
                'Use "5min", "1h" or "day".'
            )
            raise coded_error(ValueError, "FNB340", text)
        return (*_of_time(recs, seconds), True)
    allowed = [known for known in ORDERS.names if known not in NOT_GROUPS]
    said = unknown("column", name, [*allowed, "tag:NAME", "hour", "day"], "by()")
    raise coded_error(UnknownName, "FNB340", said)


def _column(recs: Grouped, name: str) -> pd.Series[Any]:
    """Return a column of the orders; of a saved set no other is read."""
    ends = recs.ends.orders
    if name in ends:
        return ends[name]
    return recs.order_column(name)


def _ordered(column: pd.Series[Any]) -> tuple[Codes, list[str]]:
    """Return codes and values; numbers by size, texts by name, those without a value last."""
    from pandas.api.types import is_numeric_dtype

    codes, names = coded(column)
    _check_count(len(names), [str(column.name)])
    by = sorted(range(len(names)), key=lambda code: names[code])
    if is_numeric_dtype(column.dtype):
        by = sorted(range(len(names)), key=lambda code: float(_number(names[code])))
    place = np.empty(len(names) + 1, dtype=np.intp)
    place[by] = np.arange(len(names))
    place[-1] = len(names)  # of code -1
    told = [printable(names[code]) for code in by]
    none = NONE
    while none in told:
        none = f"({none})"
    return place[codes], [*told, none]


def _number(text: str) -> float:
    return {"True": 1.0, "False": 0.0}[text] if text in {"True", "False"} else float(text)


def _of_tag(recs: Grouped, name: str) -> tuple[Codes, list[str]]:
    import pandas as pd

    tags = [each if isinstance(each, dict) else {} for each in recs.order_column("tags").tolist()]
    found = [each.get(name) for each in tags]
    if len(recs) and all(value is None for value in found):
        known = sorted({str(key) for each in tags for key in each})
        raise coded_error(UnknownName, "FNB340", unknown("tag", name, known))
    texts = [None if value is None else str(value) for value in found]
    return _ordered(pd.Series(texts, dtype="object", name=f"{TAG}{name}"))


def _of_time(recs: Grouped, seconds: int) -> tuple[Codes, list[str]]:
    """Return the window in which each order started, by UTC."""
    import pandas as pd

    started = recs.ends.orders["started_at"]
    known = started.notna().to_numpy(bool)
    at_s = np.zeros(len(started), dtype=np.int64)
    at_s[known] = started[known].dt.as_unit("s").astype("int64").to_numpy()
    shift = MONDAY_S if seconds % SECONDS["w"] == 0 else 0
    windows = (at_s - shift) // seconds
    windows[~known] = np.iinfo(np.int64).max
    begins, codes = np.unique(windows, return_inverse=True)
    form = "%Y-%m-%d" if seconds % SECONDS["d"] == 0 else "%Y-%m-%d %H:%M"
    form = "%Y-%m-%d %H:%M:%S" if seconds % SECONDS["m"] else form
    names = [
        "(start not known)"
        if begin == np.iinfo(np.int64).max
        else f"{pd.Timestamp(begin * seconds + shift, unit='s'):{form}}"
        for begin in begins.tolist()
    ]
    return codes.reshape(-1), names
