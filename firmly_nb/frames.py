"""Tables that can be read in a terminal, and that spreadsheets and Parquet take.

A cell of ours may be a dict or a list, and times have a zone. Parquet refuses cells of unlike
shapes, Excel refuses zones and runs texts that begin with an equals sign. Printed, a wide table of
pandas shows its first and last columns, whatever these are. Only printing and these two ways of
writing are changed; all else is pandas.
"""

from __future__ import annotations

import math
import textwrap
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_CELL = 32_767  # characters of a cell in Excel
CUT = "… (cut)"
MOST_EXACT = 2**53  # a larger whole number is rounded in Excel
TIME_FORMAT = "yyyy-mm-dd hh:mm:ss.000"
# Texts stay texts: neither formulas that run nor links.
AS_TEXT = {"options": {"strings_to_formulas": False, "strings_to_urls": False}}


# What people look for in a table, and what they need to find the rest.
FIRST = (
    *("outcome", "time_to_order_placed_ms", "order_number", "error_code"),
    *("code", "text", "check", "severity", "path", "kind", "before", "after"),
    *("seq", "event", "t_ms", "gap_ms", "stage", "duration_ms", "start_ms", "end_ms"),
    *("description", "variant_id", "quantity", "line_price_minor", "price_minor", "before_minor"),
    *("change_minor", "total_minor", "currency"),
)
LAST = ("run_id", "recording_id")
MOST_PICKED = 6  # columns; a table that begins with its ids and has more is one as it was made
SENTENCES = {"text", "sentence"}  # cut, they would say nothing
LONGEST_SHOWN = 24  # characters of a cell, where columns compete for a line
WIDTH = 80
ENDS = 30  # rows


class TableFrame(pd.DataFrame):
    """DataFrame of the toolkit: it prints what people look for, and can be written."""

    def __repr__(self) -> str:
        """Return the columns that fit a line, the most wanted first, and name the others."""
        width = pd.get_option("display.width") or WIDTH
        plain, wanted = pd.DataFrame(self), _by_interest(self.columns)
        # As many rows as are printed tell how wide it gets.
        few = plain if len(plain) <= 2 * ENDS else pd.concat([plain.head(ENDS), plain.tail(ENDS)])
        # Drawing costs; no column is narrower than its name and the blank before it.
        widths = accumulate(len(name) + 1 if isinstance(name, str) else 1 for name in wanted)
        most = sum(at_least <= width for at_least in widths)
        one_line = ("display.expand_frame_repr", False, "display.max_columns", None)
        with pd.option_context(*one_line):
            if most == len(wanted) and _width(few) <= width:
                return repr(plain)
        cut = ("display.max_colwidth", LONGEST_SHOWN, "display.show_dimensions", False)
        with pd.option_context(*one_line, *cut):
            sizes = range(1, most + 1)
            fitting = bisect_right(sizes, width, key=lambda size: _width(few[wanted[:size]]))
            shown = max(fitting, 1)
            text = repr(plain[wanted[:shown]])
        left = wanted[shown:]
        if not left:
            return text
        named = ", ".join(map(str, left))
        also = textwrap.wrap(f"{len(plain)} rows; more columns: {named}.", width)
        return "\n".join([text, "", *also])

    def _repr_html_(self) -> str | None:
        """Return pandas' own table; if nobody picked its columns, they come by interest."""
        plain, names = pd.DataFrame(self), self.columns.tolist()
        whole = len(names) > MOST_PICKED and names[0] in LAST
        if whole or len(names) > (pd.get_option("display.max_columns") or math.inf):
            plain = plain[_by_interest(self.columns)]
        longest = None if SENTENCES.intersection(names) else pd.get_option("display.max_colwidth")
        with pd.option_context("display.max_colwidth", longest):
            found: str | None = plain._repr_html_()  # type: ignore[operator]  # not in its stubs
        return found

    @property
    def _constructor(self) -> Callable[..., TableFrame]:
        return TableFrame

    # Final for type checkers only: pandas gives no other way to choose how it is written.
    def to_excel(self, excel_writer: Any, *args: Any, **options: Any) -> None:  # type: ignore[misc]
        """Write a sheet: times in UTC to the millisecond, JSON as text, nothing runs."""
        plain = for_excel(self)
        if isinstance(excel_writer, pd.ExcelWriter) or "engine" in options:
            plain.to_excel(excel_writer, *args, **options)
            return
        # Where it is missing, pandas would not say what to install.
        import xlsxwriter  # type: ignore[import-untyped]  # noqa: F401 - a look

        how = options.pop("engine_kwargs", None) or AS_TEXT
        with pd.ExcelWriter(
            excel_writer, engine="xlsxwriter", datetime_format=TIME_FORMAT, engine_kwargs=how
        ) as writer:
            plain.to_excel(writer, *args, **options)

    def to_parquet(self, *args: Any, **options: Any) -> Any:
        """Write Parquet: JSON as text, all else as it is."""
        return for_parquet(self).to_parquet(*args, **options)


def _width(frame: pd.DataFrame) -> int:
    return max(map(len, repr(frame).splitlines()))


def _by_interest(columns: pd.Index[Any]) -> list[Any]:
    names = columns.tolist()
    first = [name for name in FIRST if name in names]
    last = [name for name in LAST if name in names]
    return [*first, *(name for name in names if name not in {*first, *last}), *last]


def for_parquet(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose cells of JSON are texts; numbers, times and zones stay.

    Examples
    --------
    >>> for_parquet(pd.DataFrame({"tags": [{}, {"a": 1}, None], "n": 1}))["tags"].tolist()
    ['{}', '{"a":1}', None]
    """
    texts = {
        name: pd.Series([_as_text(value) for value in frame[name]], frame.index, dtype=object)
        for name in frame.columns
        if frame[name].dtype == object and not _is_plain(frame[name])
    }
    return pd.DataFrame(frame).assign(**texts)


def for_excel(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table that a sheet can hold; what is cut says so.

    Examples
    --------
    >>> at = pd.to_datetime(["2026-11-23T10:00:00.123456Z"])
    >>> for_excel(pd.DataFrame({"at": at, "n": [2**60]})).iloc[0].tolist()
    [Timestamp('2026-11-23 10:00:00.123456'), '1152921504606846976']
    """
    plain = for_parquet(frame)
    changed: dict[str, Any] = {}
    for name in plain.columns:
        column = plain[name]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            changed[name] = column.dt.tz_convert(None)
        elif pd.api.types.is_integer_dtype(column):
            if (column.abs() > MOST_EXACT).any():
                changed[name] = column.astype("string").astype(object)
        elif isinstance(column.dtype, pd.CategoricalDtype):
            changed[name] = column.astype(object).map(_fitting, na_action="ignore")
        elif not pd.api.types.is_numeric_dtype(column):
            changed[name] = column.map(_fitting, na_action="ignore")
    return plain.assign(**changed)


def _is_plain(column: pd.Series[Any]) -> bool:
    kinds = {type(value) for value in column if value is not None}
    return kinds <= {str} or kinds <= {float} or kinds <= {bool}


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str) or (isinstance(value, float) and np.isnan(value)):
        return value if isinstance(value, str) else None
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _fitting(value: object) -> object:
    # Excel counts as UTF-16 does: an emoji is two.
    if isinstance(value, str) and len(value.encode("utf-16-le")) > 2 * LONGEST_CELL:
        held = value.encode("utf-16-le")[: 2 * (LONGEST_CELL - len(CUT))]
        return held.decode("utf-16-le", "ignore") + CUT
    return value
