"""Reading many objects of one kind column by column, whatever types their fields have.

Merchants' data is not to be trusted: a quantity may be ``"2"``, a price a list, a name a number.
A value that says plainly what it means is read; any other becomes a null and is kept, as sent, in
``other``. Whole columns are tested for their types at once, so that a good column costs a few
nanoseconds a value and only a bad one is looked at value by value.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from itertools import chain, repeat
from operator import contains, itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import read_amounts
from firmly_nb.api.values import all_whole, plain_text, whole_number
from firmly_nb.carts.paths import below, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.schema import Table


Json = dict[str, Any]


MONEY_FIELDS = frozenset({"currency", "value", "number", "symbol"})
MOST_SHAPES = 8
LONGEST_NUMBER = 24
MOST_DIGITS = 9
_MISFIT: Any = object()


def read_text(value: object) -> Any:
    """Return a text, a whole number as text, or the mark of a misfit."""
    text = plain_text(value)
    return _MISFIT if text is None else text


def read_whole(value: object) -> Any:
    """Return a whole number that an int64 can hold, or the mark of a misfit."""
    number = whole_number(value)
    return _MISFIT if number is None else number


def exact_number(sent: object) -> int | Fraction | None:
    """Read a quantity of goods that are sold by weight or length; None for no number.

    Examples
    --------
    >>> exact_number(1.5), exact_number("0.25"), exact_number(float("nan")), exact_number("two")
    (Fraction(3, 2), Fraction(1, 4), None, None)
    """
    if isinstance(sent, bool) or not isinstance(sent, (int, float, str)):
        return None
    text = str(sent).strip()
    if len(text) > LONGEST_NUMBER or not text.isascii():
        return None
    try:
        number = Decimal(text)
    except ArithmeticError:
        return None
    # Bounded first: as a fraction, an exponent of a million has a million digits.
    if not number.is_finite() or not (
        not number or -MOST_DIGITS <= number.adjusted() < MOST_DIGITS
    ):
        return None
    return Fraction(number)


def read_flag(value: object) -> Any:
    """Return a truth value, or the mark of a misfit."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "false": False}
    return known.get(value.strip().lower(), _MISFIT) if isinstance(value, str) else _MISFIT


def read_object(value: object) -> Any:
    """Return an object of the JSON, or the mark of a misfit."""
    return value if isinstance(value, dict) else _MISFIT


def spread(objects: list[Json]) -> dict[str, list[Any]]:
    """Turn objects into columns; a field that an object lacks is None.

    Objects of one merchant mostly have the same fields in the same order. Their values are laid
    out in one long list, of which every n-th is a column; that is ten times as fast as asking
    each object for each field.

    Examples
    --------
    >>> spread([{"sku": "A", "quantity": 1}, {"sku": "B"}])
    {'sku': ['A', 'B'], 'quantity': [1, None]}
    """
    fields = tuple(objects[0]) if objects else ()
    # As many fields each, and all names in a row those of the first over and over.
    alike = set(map(len, objects)) <= {len(fields)}
    if alike and list(chain.from_iterable(objects)) == list(fields) * len(objects):
        return _strided(objects, fields)
    shapes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, shape in enumerate(map(tuple, objects)):
        shapes[shape].append(row)
    if len(shapes) > MOST_SHAPES:
        every = dict.fromkeys(chain.from_iterable(shapes))
        return {field: [each.get(field) for each in objects] for field in every}
    return _gathered(objects, shapes)


def _strided(objects: list[Json], fields: tuple[str, ...]) -> dict[str, list[Any]]:
    flat = list(chain.from_iterable(map(dict.values, objects)))
    return {field: flat[column :: len(fields)] for column, field in enumerate(fields)}


def _gathered(
    objects: list[Json], shapes: dict[tuple[str, ...], list[int]]
) -> dict[str, list[Any]]:
    """Lay out each shape by itself, then put the rows back into their order."""
    parts = [_strided([objects[row] for row in rows], shape) for shape, rows in shapes.items()]
    by_shape = list(chain.from_iterable(shapes.values()))
    back = itemgetter(*sorted(range(len(by_shape)), key=by_shape.__getitem__))
    nothing = [[None] * len(rows) for rows in shapes.values()]
    return {
        field: list(
            back([v for part, no in zip(parts, nothing, strict=True) for v in part.get(field, no)])
        )
        for field in dict.fromkeys(chain.from_iterable(shapes))
    }


class Rows:
    """Objects of one kind, to be read column by column.

    Parameters
    ----------
    objects
        One mapping a row of the table to be.
    documented
        Names of the fields that are known; any other field is kept by `other`.

    Examples
    --------
    >>> lines = [{"sku": "MUG", "quantity": "2"}, {"sku": 7, "gift": True}]
    >>> rows = Rows(lines, ("sku", "quantity"))
    >>> rows.text("sku"), rows.whole("quantity"), rows.other()
    (['MUG', '7'], [2, None], [None, {'gift': True}])
    """

    def __init__(self, objects: list[Json], documented: Iterable[str]) -> None:
        self._objects = objects
        self._columns = spread(objects)
        self._unknown = self._columns.keys() - set(documented)
        self._misfits: dict[int, Json] = {}
        self._currencies: list[str | None] | None = None
        self._nested: list[tuple[str, Rows]] = []

    def raw(self, field: str) -> list[Any]:
        """Return a field of every object as it is."""
        values = self._columns.get(field)
        return [None] * len(self._objects) if values is None else values.copy()

    def has(self, *fields: str) -> bool:
        """Return whether any object has any of the fields."""
        return not self._columns.keys().isdisjoint(fields)

    def text(self, *fields: str) -> list[str | None]:
        """Read a text: the first of the fields that an object has."""
        values = self._first(fields, str, read_text)
        try:
            "\n".join(filter(None, values)).encode()
        except UnicodeEncodeError:  # a lone half of a surrogate pair: no table can store it
            return [value and read_text(value) for value in values]
        return values

    def whole(self, field: str) -> list[int | None]:
        """Read a whole number."""
        values = self.raw(field)
        return values if all_whole(values) else self._first((field,), None, read_whole)

    def flag(self, field: str) -> list[bool | None]:
        """Read a truth value."""
        return self._first((field,), bool, read_flag)

    def nested(self, field: str, documented: Iterable[str]) -> Rows:
        """Return the object that each object holds in a field, as rows of their own."""
        inner = self._column(field, dict, read_object)
        rows = Rows([value or {} for value in inner], documented)
        self._nested.append((field, rows))
        return rows

    def money(self, *fields: str) -> list[int | None]:
        """Read an amount in minor units: the first of the fields that an object has."""
        amounts = self._money(fields[0])
        for field in fields[1:]:
            if None in amounts:
                more = self._money(field)
                amounts = [b if a is None else a for a, b in zip(amounts, more, strict=True)]
        return amounts

    def currency(self) -> list[str | None]:
        """Return the currency of the amounts read so far: that of the first that was read."""
        return self._currencies or [None] * len(self._objects)

    def keep(self, row: int, field: str, value: object) -> None:
        """Keep a value that no column can hold."""
        self._misfits.setdefault(row, {})[field] = value

    def other(self) -> list[Json | None]:
        """Return the fields that are undocumented, and the values that could not be read.

        Their keys are paths: those of a nested object are below its field's.
        """
        left: list[Json | None] = [None] * len(self._objects)
        if self._unknown:
            paths = {key: below("", str(key)) for key in self._unknown}
            for row, sent in enumerate(self._objects):
                left[row] = {paths[key]: sent[key] for key in sent if key in paths} or None
        inner = ((field, rows.other()) for field, rows in self._nested)
        kept = [self._misfits.get(row) for row in range(len(left))] if self._misfits else []
        for above, others in (("", kept), *inner):
            if not any(others):
                continue
            for row, fields in enumerate(others):
                if fields:
                    named = {joined(above, path): value for path, value in fields.items()}
                    left[row] = (left[row] or {}) | named
        return left

    def _first(
        self, fields: tuple[str, ...], kind: type | None, read: Callable[[Any], Any]
    ) -> list[Any]:
        result = self._column(fields[0], kind, read)
        for field in fields[1:]:
            if None in result:
                more = self._column(field, kind, read)
                result = [b if a is None else a for a, b in zip(result, more, strict=True)]
        return result

    def _column(self, field: str, kind: type | None, read: Callable[[Any], Any]) -> list[Any]:
        values = self.raw(field)
        if kind is not None and set(map(type, values)) <= {kind, NoneType}:
            return values
        for row, value in enumerate(values):
            if value is None:
                continue
            values[row] = clean = read(value)
            if clean is _MISFIT:
                values[row] = None
                self.keep(row, field, value)
        return values

    def _money(self, field: str) -> list[int | None]:
        moneys = self._column(field, dict, read_object)
        there = moneys if None not in moneys else [money for money in moneys if money is not None]
        if not there:
            return [None] * len(moneys)
        said, all_known = _said(there)
        amounts, currencies = read_amounts(*said)
        unread = None in amounts
        if len(there) < len(moneys):
            amounts = _scattered(amounts, moneys)
        if self._currencies is None or None in self._currencies:
            self._fill_currencies(_scattered(currencies, moneys))
        if unread or not all_known:
            self._keep_moneys(field, moneys, amounts)
        return amounts

    def _keep_moneys(
        self, field: str, moneys: list[Json | None], amounts: list[int | None]
    ) -> None:
        """Keep the amounts that could not be read, and those with more than a column holds."""
        for row, (money, amount) in enumerate(zip(moneys, amounts, strict=True)):
            if money is None:
                continue
            unread = amount is None and (
                money.get("number") is not None or money.get("value") is not None
            )
            if unread or not MONEY_FIELDS.issuperset(money):
                self.keep(row, field, money)

    def _fill_currencies(self, currencies: list[str | None]) -> None:
        if self._currencies is None:
            self._currencies = currencies
        elif None in self._currencies:
            both = zip(self._currencies, currencies, strict=True)
            self._currencies = [b if a is None else a for a, b in both]


def _said(moneys: list[Json]) -> tuple[tuple[list[Any], ...], bool]:
    """Lay money objects out: currencies, numbers, values; and whether they say nothing else."""
    sizes = set(map(len, moneys))
    if sizes <= {3, 4}:
        try:
            said = tuple(
                [money[name] for money in moneys] for name in ("currency", "number", "value")
            )
            return said, sizes == {3} or all(map(contains, moneys, repeat("symbol")))
        except KeyError:
            pass  # number is missing at times
    columns, nothing = spread(moneys), [None] * len(moneys)
    said = tuple(columns.get(name, nothing) for name in ("currency", "number", "value"))
    return said, MONEY_FIELDS.issuperset(columns)


def _scattered(read: list[Any], moneys: list[Json | None]) -> list[Any]:
    """Put what was read of the amounts that are there in their places."""
    if len(read) == len(moneys):
        return read
    each = iter(read)
    return [None if money is None else next(each) for money in moneys]


# Millions of texts lie scattered over the memory; whenever a whole column of them is copied, each
# is fetched again. So a batch goes into the array that pandas keeps at once, while it is in the
# processor's cache.
SPARE = 1.1  # room for batches that are larger than the first
NUMPY_TYPES = {"int64": "int64", "Int64": "int64", "boolean": "bool", "category": "int32"}


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
        import numpy as np  # here and below: importing the tables should not cost it

        self._dtype = dtype
        self._batches = batches
        self._size = 0
        self._values: NDArray[Any] = np.empty(0, NUMPY_TYPES.get(dtype, "object"))
        self._nulls: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._codes: dict[str | None, int] = {None: -1}

    def add(self, values: list[Any]) -> None:
        """Add the values of one batch."""
        import numpy as np

        start, self._size = self._size, self._size + len(values)
        if self._size > len(self._values):
            self._make_room(len(values))
        here = slice(start, self._size)
        if self._dtype == "category":
            self._values[here] = self._coded(values)
        elif self._dtype in ("Int64", "boolean") and None in values:
            self._nulls[here] = [value is None for value in values]
            self._values[here] = [value or 0 for value in values]
        else:  # a list would be looked through for its type first
            self._values[here] = np.fromiter(values, self._values.dtype, len(values))

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
        import numpy as np

        expected = int(batch * self._batches * SPARE)
        size = max(self._size, expected if not len(self._values) else 2 * len(self._values))
        for name in ("_values", "_nulls"):
            old = getattr(self, name)
            new = np.zeros(size, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def _coded(self, values: list[Any]) -> NDArray[Any]:
        import numpy as np

        codes = self._codes
        try:
            return np.fromiter(map(codes.__getitem__, values), np.int32, len(values))
        except KeyError:
            for value in dict.fromkeys(values):
                codes.setdefault(value, len(codes) - 1)
            return np.fromiter(map(codes.__getitem__, values), np.int32, len(values))

    def _categorical(self, codes: NDArray[Any]) -> pd.Categorical[Any]:
        import numpy as np
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
