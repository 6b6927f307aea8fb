"""Columns that grow batch by batch into the arrays that pandas keeps, without a second pass.

Millions of texts lie scattered over the memory; whenever a whole column of them is copied, each is
fetched again. So a batch goes into its final array at once, while it is in the processor's cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.schema import Table

SPARE = 1.1  # room for batches that are larger than the first
NUMPY_TYPES = {"int64": np.int64, "Int64": np.int64, "boolean": np.bool_, "category": np.int32}


class Growing:
    """A column of a known dtype; values come as lists of plain values, nulls as None.

    Examples
    --------
    >>> column = Growing("category", batches=2)
    >>> column.add(["b", None])
    >>> column.add(["a"])
    >>> column.array().tolist()
    ['b', nan, 'a']
    """

    def __init__(self, dtype: str, batches: int) -> None:
        self._dtype = dtype
        self._batches = batches
        self._size = 0
        self._values: NDArray[Any] = np.empty(0, NUMPY_TYPES.get(dtype, np.object_))
        self._nulls: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._codes: dict[str | None, int] = {None: -1}

    def add(self, values: list[Any]) -> None:
        """Add the values of one batch."""
        start, self._size = self._size, self._size + len(values)
        if self._size > len(self._values):
            self._make_room(len(values))
        here = slice(start, self._size)
        if self._dtype == "category":
            self._values[here] = self._coded(values)
        elif self._dtype in ("Int64", "boolean") and None in values:
            self._nulls[here] = [value is None for value in values]
            self._values[here] = [value or 0 for value in values]
        elif self._values.dtype == np.object_:
            self._values[here] = np.fromiter(values, np.object_, len(values))
        else:
            self._values[here] = values

    def array(self) -> Any:
        """Return the column as an array of its dtype."""
        import pandas as pd

        values = self._values[: self._size]
        if self._dtype == "Int64":
            return pd.arrays.IntegerArray(values, self._nulls[: self._size])
        if self._dtype == "boolean":
            return pd.arrays.BooleanArray(values, self._nulls[: self._size])
        if self._dtype == "category":
            return self._categorical(values)
        return values

    def _make_room(self, batch: int) -> None:
        expected = int(batch * self._batches * SPARE)
        size = max(self._size, expected if not len(self._values) else 2 * len(self._values))
        for name in ("_values", "_nulls"):
            old = getattr(self, name)
            new = np.zeros(size, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def _coded(self, values: list[Any]) -> list[int]:
        codes = self._codes
        try:
            return [codes[value] for value in values]
        except KeyError:
            for value in dict.fromkeys(values):
                codes.setdefault(value, len(codes) - 1)
            return [codes[value] for value in values]

    def _categorical(self, codes: NDArray[Any]) -> pd.Categorical[Any]:
        import pandas as pd

        names = [name for name in self._codes if name is not None]
        ranked = sorted(range(len(names)), key=names.__getitem__)
        # One more, at the end: code -1 stands for null and stays -1.
        rank = np.full(len(names) + 1, -1, np.int32)
        rank[ranked] = np.arange(len(names))
        return pd.Categorical.from_codes(rank[codes], pd.Index([names[n] for n in ranked]))


class GrowingTable:
    """All columns of one table."""

    def __init__(self, table: Table, batches: int) -> None:
        self._table = table
        self._columns = {each.name: Growing(each.dtype, batches) for each in table.columns}

    def add(self, columns: Mapping[str, list[Any]]) -> None:
        """Add the rows of one batch: one list a column."""
        for name, column in self._columns.items():
            column.add(columns[name])

    def frame(self) -> pd.DataFrame:
        """Return the table."""
        return self._table.from_columns(
            {name: column.array() for name, column in self._columns.items()}
        )
