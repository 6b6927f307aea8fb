"""Stages of a saved set: what figures need of them, each put to its place at once.

Figures are made of the stages that lie in the set, few at a time, so that events need not be read.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from firmly_nb.display.messages import coded_error
from firmly_nb.latency.columns import Reads
from firmly_nb.latency.quantiles import Largest
from firmly_nb.latency.stages import STORED_STAGES, StageBlock, StageColumns, is_each, own_reasons
from firmly_nb.recordings.as_read import TOGETHER, joined_columns, numbers_of, plain, together
from firmly_nb.recordings.relations import arrow_relation, as_declared, parquet
from firmly_nb.recordings.sources import event_counts, stage_ends
from firmly_nb.store.columns import Same, at_once, failed
from firmly_nb.store.files import StoreError
from firmly_nb.store.schema import arrow_schema, coded
from firmly_nb.store.stages import COUNTED, COUNTS, FLAGS, NAMED, Picked, stage_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.columns import Events
    from firmly_nb.latency.stages import StageBlocks
    from firmly_nb.store.columns import StoredSet

    Numbers = NDArray[np.int32]
    Columns = tuple[Any, ...]  # an array each, or the value that all rows have
    Rows = NDArray[np.signedinteger[Any]]


AT_ONCE = 1_000_000_000  # bytes of the stages that are in memory at once
LARGEST, FEWEST = 0.015, 1_000  # of the uncertainties: as many as the table of times needs
REASON = np.uint8(4)  # from this bit on it is told why a time says nothing
DOUBTED = np.uint8(1 << REASON)  # those have such a reason
USUAL_STAGES = 4  # of an order
ORDERS_TOGETHER = 32_768  # orders whose stages are read together
OFTEN = 0.1  # of the orders: stages of more have a place for each of them
ROW_BYTES = 24  # of one stage of an order, while it is read
# What figures take of a stage besides its name and its order, and what a table of stages takes.
OF_BLOCKS = ("duration_ms", "uncertainty_us")
TOLD = "told"  # flags and own reasons in one number, which no file has
COALESCED = FLAGS[0]
OF_STAGES = (*OF_BLOCKS, *FLAGS, "place", "start_ms", "end_ms")
DTYPES = {c.name: c.dtype for c in STORED_STAGES.columns}


def stored_stage_ends(stored_set: StoredSet, rows: Rows) -> pd.DataFrame:
    """Return ``STAGE_ENDS`` of some recordings of a set."""
    return stage_ends(_Stages(stored_set, rows).whole())


def stored_event_counts(stored_set: StoredSet, rows: Rows) -> pd.DataFrame:
    """Return ``EVENT_COUNTS`` of some recordings of a set."""
    return _Stages(stored_set, rows).event_counts()


def stage_blocks(stored_set: StoredSet, rows: Rows) -> tuple[StageBlocks, Events]:
    """Return the stages of some recordings one after the other, and what their events count."""
    found = _Stages(stored_set, rows)
    return found, found.reads


def stages_relation(stored_set: StoredSet, connection: Any) -> Any:
    """Return the stages of a set as a DuckDB relation: its files, and what is in none."""
    paths, tables = stage_files(stored_set).checked()
    nothing = arrow_schema(STORED_STAGES).empty_table()
    made = pa.concat_tables([nothing, *tables]).unify_dictionaries()
    found = arrow_relation(made, "stages", connection)
    if not paths:
        return found
    return as_declared(parquet(paths, connection), "stages").union(found)


def stored_stages(stored_set: StoredSet, rows: Rows) -> StageColumns:
    """Return the columns of ``STAGES`` of some recordings of a set."""
    return _Stages(stored_set, rows).whole()


NO_COUNTS = np.zeros(3, dtype=np.int64)


class _Rows(NamedTuple):
    """Rows of one stage, of orders that were asked for."""

    stage: str
    numbers: Rows
    columns: dict[str, Any]  # an array each, or what all have; of texts the numbers, and the texts
    is_once: bool  # no order has two of these rows
    counts: NDArray[np.int64] = NO_COUNTS  # of all its orders, with the first of a file


class _TooManyError(Exception):
    """Stages that are not to be in memory at once."""


class _Stages:
    """Stages of some recordings of a set; a ``StageBlocks``.

    Of many orders only few stages are in memory at once.

    Parameters
    ----------
    stored_set, rows
        The set, and which of its recordings.
    """

    def __init__(self, stored_set: StoredSet, rows: Rows) -> None:
        self._files = stage_files(stored_set)
        self._orders = len(rows)
        self._number = numbers_of(stored_set, rows)
        self._reads: Reads | None = None
        bounds = pairwise(stored_set.begins.tolist())
        # Of a few recordings few files need be opened.
        self._sources = [
            (slice(begin, end), at)
            for at, (begin, end) in enumerate(bounds)
            if self._number[begin:end].max(initial=-1) >= 0
        ]

    def _read(
        self,
        names: Sequence[str],
        take: Callable[[_Rows], None],
        stages: Collection[str] | None = None,
    ) -> None:
        """Read columns of some stages, or of all; several threads give them on, file by file.

        Parameters
        ----------
        names
            Which columns; ``TOLD`` stands for ``FLAGS``, ``COUNTS`` for what orders count.
        take
            Who takes them.
        stages
            Which stages.
        """
        stored = [name for name in names if name not in {TOLD, COUNTS}]
        stored += FLAGS if TOLD in names else ()

        def read(sources: Sequence[tuple[slice, int]]) -> None:
            found = []
            for part, at in sources:
                number = self._number[part].astype(np.intp)  # numpy would do so for each column
                is_all = number.min(initial=0) >= 0
                # A file says what all of its orders count, and not what some do.
                own = (COUNTS,) if is_all else ("order_row", *COUNTED)
                counted = own if COUNTS in names else ()
                picked = self._files.picked(at, (*stored, *counted), stages)
                found.append(_Found(picked, number, is_all=is_all))
            by_kind: dict[Any, list[_Found]] = {}
            for file in found:
                by_kind.setdefault(file.kind, []).append(file)
            for files in by_kind.values():
                for one in _rows_of(files, names, stages):
                    take(one)

        for error in filter(failed, at_once(read, self._together())):
            text = f"The saved set changed while it was read: {str(error)[:200].rstrip('.')}."
            raise coded_error(StoreError, "FNB404", f"{text} Load it again.") from error

    def _together(self) -> list[list[tuple[slice, int]]]:
        """Return the files, small ones together: each step takes its time, if of few rows."""
        found: list[list[tuple[slice, int]]] = []
        orders = ORDERS_TOGETHER
        for part, at in self._sources:
            orders += part.stop - part.start
            if orders > ORDERS_TOGETHER:
                found.append([])
                orders = part.stop - part.start
            found[-1].append((part, at))
        return found

    def __iter__(self) -> Iterator[StageBlock]:
        """Return each stage; few are read at once, so that others need not be in memory."""
        if self._orders * USUAL_STAGES * ROW_BYTES <= AT_ONCE:
            with suppress(_TooManyError):
                yield from self._blocks(None)
                return
        sizes: dict[str, int] = {}
        lock = Lock()

        def weigh(one: _Rows) -> None:
            with lock:
                sizes[one.stage] = sizes.get(one.stage, 0) + len(one.numbers) * ROW_BYTES

        self._read((), weigh)
        while sizes:
            some = [sizes.popitem()]
            while sizes and sum(size for _, size in some) + min(sizes.values()) <= AT_ONCE:
                smallest = min(sizes, key=sizes.__getitem__)
                some.append((smallest, sizes.pop(smallest)))
            yield from self._blocks([stage for stage, _ in some])

    def _blocks(self, stages: Collection[str] | None) -> Iterator[StageBlock]:
        """Read some stages, or all, and return each; what was returned is not held."""
        found: dict[str, _Placed] = {}
        every = np.arange(self._orders, dtype=np.int32)
        known: dict[str, int] = {}
        counts, held = NO_COUNTS, 0
        counted = () if self._reads else (COUNTS,)
        lock = Lock()

        def place(rows: _Rows) -> None:
            nonlocal counts, held
            codes, names = rows.columns["to_milestone"]
            times, uncertainty, told = (rows.columns[name] for name in (*OF_BLOCKS, TOLD))
            with lock:
                ends = np.array([known.setdefault(name, len(known)) for name in names], np.int32)
                placed = found.setdefault(rows.stage, _Placed(every))
                counts = counts + rows.counts
                held += len(rows.numbers)
                if stages is None and held * ROW_BYTES > AT_ONCE:
                    raise _TooManyError
            alike = (_alike(rows.columns["place"]), ends[_alike(codes)])
            piece = _Piece(rows.numbers, times, uncertainty, told, *alike)
            placed.put(piece, is_once=rows.is_once)

        self._read((*OF_BLOCKS, TOLD, "place", "to_milestone", *counted), place, stages)
        if counted and stages is None:
            self._reads = Reads(*counts.tolist())
        for stage in sorted(found):
            whole = partial(self._uncertainties, stage)
            yield found.pop(stage).block(stage, [*known], whole)

    def _uncertainties(self, stage: str) -> NDArray[np.float64]:
        """Read all uncertainties of a stage, in the order of its block."""
        pieces: list[tuple[Any, ...]] = []

        def hold(rows: _Rows) -> None:
            names = ("place", "uncertainty_us")
            own = (np.broadcast_to(rows.columns[name], rows.numbers.shape) for name in names)
            pieces.append((rows.numbers, *own))

        self._read(("uncertainty_us", "place"), hold, [stage])
        numbers, place, found = map(np.concatenate, zip(*pieces, strict=True))
        return found[np.lexsort((place, numbers))]

    def reads(self) -> Reads:
        """Return how many events the orders have, and how many of these share a read."""
        if self._reads is None:
            counts = [NO_COUNTS]
            self._read((COUNTS,), lambda rows: counts.append(rows.counts))
            self._reads = Reads(*np.sum(counts, axis=0).tolist())
        return self._reads

    def event_counts(self) -> pd.DataFrame:
        """Return ``EVENT_COUNTS``."""
        counts = np.zeros((2, self._orders), dtype=np.int32)

        def place(rows: _Rows) -> None:
            position, *counted = (rows.columns[name] for name in ("place", *COUNTED))
            first = np.broadcast_to(position == 0, rows.numbers.shape)
            counts[:, rows.numbers[first]] = [each[first] for each in counted]

        self._read(("place", *COUNTED), place)
        return event_counts(*counts)

    def whole(self) -> StageColumns:
        """Return the columns of all stages, order by order."""
        found = self._whole()
        if found is None:
            self._files.check_places()
            found = self._whole()
        if found is None:
            text = "The saved set changed while it was read. Load it again."
            raise coded_error(StoreError, "FNB404", text)
        return found

    def _whole(self) -> StageColumns | None:
        """Return the columns of all stages; None if two of an order have one place."""
        known: dict[str, int] = {}
        pieces: dict[str, list[NDArray[Any]]] = {"orders": [np.empty(0, np.int32)]}
        for name in NAMED:
            pieces[name] = [np.empty(0, np.int32)]
        for name in OF_STAGES:
            pieces[name] = [np.empty(0, DTYPES[name])]
        lock = Lock()

        def hold(rows: _Rows) -> None:
            size = rows.numbers.shape
            with lock:
                pieces["orders"].append(rows.numbers.astype(np.int32))
                of_stage = np.int32(known.setdefault(rows.stage, len(known)))
                pieces["stage"].append(np.full(size, of_stage))
                for name in NAMED[1:]:
                    codes, names = rows.columns[name]
                    numbers = [known.setdefault(one, len(known)) for one in names]
                    pieces[name].append(np.broadcast_to(np.array(numbers, np.int32)[codes], size))
                for name in OF_STAGES:
                    pieces[name].append(np.broadcast_to(rows.columns[name], size))

        self._read((*OF_STAGES, *NAMED[1:]), hold)
        found = {name: np.concatenate(pieces.pop(name)) for name in [*pieces]}
        orders = found["orders"]
        counts = np.bincount(orders, minlength=self._orders)
        put = np.full(len(orders), -1, dtype=np.intp)
        place = found["place"]
        if not ((place >= 0) & (place < counts[orders])).all():
            return None
        put[(np.cumsum(counts) - counts)[orders] + place] = np.arange(len(orders))
        if (put < 0).any():
            return None
        found = {name: values[put] for name, values in found.items()}
        return StageColumns([*known], **found)


class _Found(NamedTuple):
    """Stages that were read of a file."""

    picked: Picked
    number: Rows  # of each order of its part
    is_all: bool  # all of these were asked for

    @property
    def kind(self) -> tuple[Any, ...]:
        """Names and types of the columns: files that agree in them can be put together."""
        columns = self.picked.columns.items()
        return tuple((name, one if isinstance(one, Same) else one.type) for name, one in columns)

    @property
    def rows(self) -> int:
        """Number of rows that were read."""
        return max((run.rows.stop for run in self.picked.runs), default=0)


def _rows_of(
    files: Sequence[_Found], names: Sequence[str], stages: Collection[str] | None
) -> Iterator[_Rows]:
    """Return the rows of each stage of each file, of files whose columns are of one kind."""
    columns = {
        name: _values(together([one.picked.columns[name] for one in files])[0], name)
        for name in files[0].picked.columns
    }
    n = sum(one.rows for one in files)
    if TOLD in names:
        told_by = (np.broadcast_to(columns[name], n) for name in (*OF_BLOCKS, COALESCED))
        columns[TOLD] = _told(own_reasons(*told_by), *(columns[name] for name in FLAGS))
    begin = 0
    for (found, number, is_all), size in ((one, one.rows) for one in files):
        here = slice(begin, begin + size)
        own_columns = {name: _part(values, here) for name, values in columns.items()}
        begin += size
        numbers: Any = number[own_columns["order_row"]] if "order_row" in columns else None
        counts = NO_COUNTS
        if COUNTS in names:
            told = found.counts or _count(*(own_columns[k][numbers >= 0] for k in COUNTED))
            counts = np.array(told, dtype=np.int64)
        is_plain = len({run.stage for run in found.runs}) == len(found.runs)
        for run in found.runs:
            mine: Any = run.rows
            asked = number if run.is_whole else numbers[mine]
            if not is_all and asked.min(initial=0) < 0:
                there = np.flatnonzero(asked >= 0)
                mine, asked = mine.start + there, asked[there]
            if len(asked) and (stages is None or run.stage in stages):
                alike = {k: _values(v, k) for k, v in run.told.items() if k in names}
                own = {k: _part(own_columns[k], mine) for k in names if k in columns}
                is_once = is_plain and (run.is_whole or _is_once(asked))
                yield _Rows(run.stage, asked, alike | own, is_once, counts)
                counts = NO_COUNTS


def _values(values: pa.ChunkedArray | Same, name: str) -> Any:
    """Return a column of stages as ``_Rows`` have it."""
    if name not in NAMED:
        return plain(values, _empty(name))
    return (np.int32(0), [values.value]) if isinstance(values, Same) else coded(values)


def _empty(name: str) -> float:
    """Return what stands for a null in a column of numbers or flags."""
    return np.nan if DTYPES[name] == "float64" else 0


def _part(values: Any, rows: Any) -> Any:
    """Return some rows of a column; texts stay numbers with their names."""
    if isinstance(values, tuple):
        return values[0][rows], values[1]
    return values[rows] if np.ndim(values) else values


def _alike(values: Any) -> Any:
    """Return the one value that all rows have, or the values."""
    return values[0] if np.ndim(values) and bool((values == values[0]).all()) else values


def _count(n: Numbers, shared: Numbers) -> Sequence[int]:
    """Return how many events some orders have, how many share a read, and how many have any."""
    return [n.sum(), shared.sum(), np.count_nonzero(n)]


def _is_once(numbers: Rows) -> bool:
    """Say whether no number comes twice."""
    return bool((numbers[1:] > numbers[:-1]).all()) or len(np.unique(numbers)) == len(numbers)


class _Placed:
    """A stage while it is read, by several threads: soon with a place for each of the orders.

    Parameters
    ----------
    every
        The number of each order that there is.
    """

    def __init__(self, every: Numbers) -> None:
        self._every = every
        self._lock = Lock()
        self._waiting: list[_Piece] = []  # until there are many
        self._rows = 0  # of these
        self._odd: list[_Piece] = []  # what has no single place
        self._alike: Columns = ()  # the place among stages, and the end, of all others
        self._size = 0
        self._places: tuple[NDArray[Any], ...] = ()
        self._largest = _LargestSoFar(len(every))

    def put(self, piece: _Piece, *, is_once: bool) -> None:
        """Add orders: no two callers have the same; ``is_once`` says that none comes twice."""
        alike = piece.alike
        with self._lock:
            is_plain = is_once and not any(map(np.ndim, alike))
            if not is_plain or alike != (self._alike or alike):
                self._odd.append(piece)
                return
            self._alike = alike
            self._size += len(piece.numbers)
            self._rows += len(piece.numbers)
            self._waiting.append(piece)
            # Each step takes its time, however few the rows are.
            if self._rows < (TOGETHER if self._places else OFTEN * len(self._every)):
                return
            pieces, self._waiting, self._rows = self._waiting, [], 0
            if not self._places:
                n = len(self._every)
                self._places = np.empty(n), np.zeros(n, np.uint8)
        self._place(pieces)

    def _place(self, pieces: Sequence[_Piece]) -> None:
        """Put the values of orders to their places."""
        one = _Piece.joined(pieces)
        for whole, each in zip(self._places, (one.duration_ms, one.told), strict=True):
            whole[one.numbers] = each
        with self._lock:
            self._largest.add(one)

    def block(
        self, stage: str, ends: Sequence[str], uncertainties: Callable[[], NDArray[np.float64]]
    ) -> StageBlock:
        """Return the stage; its times are not held any more.

        Parameters
        ----------
        stage, ends
            Its name, and milestones.
        uncertainties
            What reads all of them.
        """
        numbers, duration_ms, _, told, own_place, which = self._taken()
        told, place = (np.broadcast_to(each, numbers.shape) for each in (told, own_place))
        codes = None
        firsts = {int(_alike(which)): 0} if not np.ndim(_alike(which)) else {}
        if not firsts:
            last = len(which) - 1 - np.unique(which[::-1], return_index=True)[1]
            by_last = which[np.sort(last)].tolist()
            firsts = {int(code): int(np.argmax(which == code)) for code in by_last}
            of_code = np.zeros(len(ends), dtype=np.intp)
            of_code[by_last] = np.arange(len(by_last))
            codes = of_code[which]
        return StageBlock(
            stage,
            {ends[code]: (int(numbers[at]), int(place[at])) for code, at in firsts.items()},
            numbers,
            duration_ms if np.ndim(duration_ms) else np.full(len(numbers), duration_ms),
            self._largest.of(numbers, place, uncertainties),
            coalesced=(told & 2) > 0,
            gathered=(told & 8) > 0,
            together=(told & 4) > 0,
            rows=numbers,
            place=place,
            which=codes,
            is_own=True,
            own=(told >> REASON).view(np.int8) - np.int8(1),
        )

    def _taken(self) -> _Piece:
        """Return the orders that have it, in order; of uncertainties nothing."""
        pieces, self._waiting = self._waiting, []
        if self._places and pieces:
            self._place(pieces)
            pieces = []
        pieces, self._odd = [*pieces, *self._odd], []
        if pieces:
            self._largest.add(_Piece.joined(pieces))
        places, self._places = self._places, ()
        if places:
            numbers: Rows = self._every
            if self._size < len(numbers):
                numbers = np.flatnonzero(places[-1]).astype(np.int32)
                places = tuple(column[numbers] for column in places)
            pieces.append(_Piece(numbers, places[0], 0.0, places[1], *self._alike))
            if len(pieces) == 1:
                return pieces[0]
        one = _Piece.joined([piece._replace(uncertainty_us=0.0) for piece in pieces])
        in_order = np.lexsort((np.broadcast_to(one.place, one.numbers.shape), one.numbers))
        one = _Piece(*(each[in_order] if np.ndim(each) else each for each in one))
        return one._replace(numbers=one.numbers.astype(np.int32))


class _Piece(NamedTuple):
    """Some orders that have a stage; a value that all of them have stands for its column."""

    numbers: Rows
    duration_ms: Any
    uncertainty_us: Any
    told: Any
    place: Any  # among the stages of each order
    end: Any

    @property
    def alike(self) -> Columns:
        """Values that most pieces of a stage have in common."""
        return self.place, self.end

    @classmethod
    def joined(cls, pieces: Sequence[_Piece]) -> _Piece:
        """Return several as one."""
        numbers, *columns = zip(*pieces, strict=True)
        sizes = [*map(len, numbers)]
        return cls(np.concatenate(numbers), *(joined_columns(each, sizes) for each in columns))


class _LargestSoFar:
    """The largest uncertainties of a stage while it is read, where no own reason leaves them out.

    Parameters
    ----------
    orders
        How many orders there are.
    """

    def __init__(self, orders: int) -> None:
        self._most = int(orders * LARGEST) + FEWEST
        self._floor = -math.inf
        nothing = np.empty(0, np.int32)
        self._held: list[tuple[Any, ...]] = [(np.empty(0), nothing, nothing)]
        self._size = 0

    def add(self, piece: _Piece) -> None:
        """Add orders."""
        numbers, duration_ms, values, told, place, _ = piece
        if np.any(np.isnan(values) != np.isnan(duration_ms)):
            self._floor = math.inf  # how many there are is not that of the durations
        enough = (values > self._floor) & (told < DOUBTED)
        here = np.flatnonzero(np.broadcast_to(enough, numbers.shape))
        own = (np.broadcast_to(each, numbers.shape)[here] for each in (values, numbers, place))
        self._held.append(tuple(own))
        self._size += len(here)
        if self._size > 2 * self._most:
            joined = [np.concatenate(each) for each in zip(*self._held, strict=True)]
            largest = np.argpartition(joined[0], self._size - self._most)[-self._most :]
            self._held, self._size = [tuple(each[largest] for each in joined)], self._most
            self._floor = max(self._floor, self._held[0][0].min())

    def of(
        self, numbers: Numbers, place: NDArray[Any], whole: Callable[[], NDArray[np.float64]]
    ) -> Largest:
        """Return them for all of the stage's orders, and their places among the stages of each."""
        values, own, own_place = map(np.concatenate, zip(*self._held, strict=True))
        if self._floor == math.inf:
            values, own, own_place = values[:0], own[:0], own_place[:0]
        rows = own
        if not is_each(numbers, len(numbers)):
            # With its place among the others a stage of an order is there once.
            stages = int(place.max(initial=0)) + 1
            each = numbers * np.int64(stages) + place
            rows = np.searchsorted(each, own * np.int64(stages) + own_place)
        return Largest(len(numbers), values, rows, whole, self._floor)


def _told(reasons: NDArray[np.int8], *flags: Any) -> Any:
    """Return why times of stages say nothing, and their flags, as numbers above 0."""
    told: Any = np.uint8(1)
    for bit, each in enumerate(flags, 1):
        told = told | np.asarray(each).view(np.uint8) << np.uint8(bit)
    return told | (reasons + np.int8(1)).view(np.uint8) << REASON
