"""Tables as declarations: columns as data, and the one way to build a table.

Every table of the toolkit is declared once with these two classes; the empty table, the real one,
the page that documents it and the tests are all derived from the declaration. This module is a
leaf: every room that has tables uses it, and it uses none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

TEXTS = {str, NoneType}
ROWS_AT_ONCE = 10_000
FEW = 16  # categories: the tables of single orders have the same ones again and again


@dataclass(frozen=True, slots=True)
class Column:
    """Column: name, pandas dtype, unit (empty if it has none) and meaning."""

    name: str
    dtype: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """Table: its name, what one row is, and its columns in order.

    Examples
    --------
    >>> gap = Column("gap_ms", "float64", "ms", "time since the last event")
    >>> table = Table("gaps", "one row an event", (gap,))
    >>> table.empty().dtypes.to_dict()
    {'gap_ms': dtype('float64')}
    >>> table.frame([{"gap_ms": 1}, {}])["gap_ms"].tolist()
    [1.0, nan]
    """

    name: str
    row: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    def empty(self) -> pd.DataFrame:
        """Return the table without rows, with every dtype in place."""
        return self.frame([])

    def frame(self, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        """Build the table from one mapping a row, each let go of; a missing key is a null."""
        parts = list(self._parts(iter(rows)))
        return parts[0] if len(parts) == 1 else self.concat(parts)

    def _parts(self, rows: Iterator[Mapping[str, Any]]) -> Iterator[pd.DataFrame]:
        """Build some rows at a time: a column is much smaller than the list it is made of."""
        is_full = True
        while is_full:
            columns: dict[str, list[Any]] = {name: [] for name in self.names}
            filled = [(name, column.append) for name, column in columns.items()]
            for row in islice(rows, ROWS_AT_ONCE):
                for name, fill in filled:
                    fill(row.get(name))
            is_full = len(columns[self.names[0]]) == ROWS_AT_ONCE
            yield self.from_columns(columns)

    def from_columns(self, values: Mapping[str, Iterable[Any]]) -> pd.DataFrame:
        """Build the table from one sequence or array a column; every column must be given."""
        from firmly_nb.frames import TableFrame

        # An array is taken as it is: a copy would fetch every text of a long column again.
        held = {
            name: values[name] if hasattr(values[name], "dtype") else list(values[name])
            for name in self.names
        }
        # An explicit dtype for each column: pandas guesses float64 for an empty or null one.
        # Arrays where it can be: pandas would align each series with every other.
        return TableFrame({c.name: _column(held[c.name], c.dtype) for c in self.columns})

    def concat(self, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
        """Put tables of this kind under one another, dtypes kept."""
        import pandas as pd

        parts = [frame for frame in frames if len(frame)]
        if not parts:
            return self.empty()
        joined = pd.concat(parts, ignore_index=True)
        # Categories that differ between the parts come out as objects.
        named = [c.name for c in self.columns if c.dtype == "category"]
        return joined.assign(**{name: _column(joined[name], "category") for name in named})


@cache
def dtype_of(name: str) -> Any:
    """Return the dtype of a name: pandas asks each of its own dtypes first, for every column.

    Examples
    --------
    >>> dtype_of("float64")
    dtype('float64')
    """
    from pandas.api.types import pandas_dtype

    return pandas_dtype(name)


def _column(values: Any, dtype: str) -> Any:
    """Return a column; categories of nulls alone are texts, as of any other column."""
    import pandas as pd

    if dtype == "category" and isinstance(values, list) and set(map(type, values)) <= TEXTS:
        return _categorical(values)
    column: pd.Series[Any] = pd.Series(values, dtype=dtype_of(dtype))
    if dtype == "category" and not len(column.cat.categories):
        column = column.cat.set_categories(pd.Index([], dtype="str"))
    # Of an array of objects pandas would guess the type anew.
    return column if dtype == "object" else column.array


def _categorical(texts: list[str | None]) -> pd.Categorical[Any]:
    """Return texts as categories, as pandas does, which first finds out that they are texts."""
    import numpy as np
    import pandas as pd

    names = sorted({text for text in texts if text is not None})
    codes: dict[str | None, int] = {name: code for code, name in enumerate(names)}
    codes[None] = -1
    coded = np.fromiter(map(codes.__getitem__, texts), np.int32, len(texts))
    kind = _categories if len(names) <= FEW else _categories.__wrapped__
    return pd.Categorical.from_codes(coded, dtype=kind(tuple(names)), validate=False)


@lru_cache(maxsize=1024)
def _categories(names: tuple[str, ...]) -> pd.CategoricalDtype:
    import pandas as pd

    return pd.CategoricalDtype(pd.Index(names, dtype=dtype_of("str")))
