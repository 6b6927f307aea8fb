"""Tables that spreadsheets and Parquet take: DataFrames whose cells may hold JSON and zones.

A cell of ours may be a dict or a list, and times have a zone. Parquet refuses cells of unlike
shapes, Excel refuses zones and runs texts that begin with an equals sign. Only the two methods that
write are changed; all else is pandas.
"""

from __future__ import annotations

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


class TableFrame(pd.DataFrame):
    """DataFrame of the toolkit; ``to_excel`` and ``to_parquet`` take whatever it holds."""

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
        how = options.pop("engine_kwargs", None) or AS_TEXT
        with pd.ExcelWriter(
            excel_writer, engine="xlsxwriter", datetime_format=TIME_FORMAT, engine_kwargs=how
        ) as writer:
            plain.to_excel(writer, *args, **options)

    def to_parquet(self, *args: Any, **options: Any) -> Any:
        """Write Parquet: JSON as text, all else as it is."""
        return for_parquet(self).to_parquet(*args, **options)


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
            changed[name] = column.astype(object)
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
    if isinstance(value, str) and len(value) > LONGEST_CELL:
        return value[: LONGEST_CELL - len(CUT)] + CUT
    return value
