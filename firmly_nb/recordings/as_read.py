"""Columns of a saved set as they are read: those of small files together, one value for many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from firmly_nb.store.columns import Same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from firmly_nb.store.columns import StoredSet

    Numbers = NDArray[np.int32]
    Rows = NDArray[np.signedinteger[Any]]

TOGETHER = 65_536  # rows that are put to their places together: each step takes its time


def numbers_of(stored_set: StoredSet, rows: Rows) -> Numbers:
    """Return the place of each recording of a set among these rows, -1 for the others."""
    known, number = stored_set.numbers or (None, None)
    if known is not rows or number is None:
        number = np.full(len(stored_set), -1, dtype=np.int32)
        number[rows] = np.arange(len(rows), dtype=np.int32)
        stored_set.numbers = rows, number
    return number


def together(values: Sequence[pa.ChunkedArray | Same]) -> list[pa.ChunkedArray | Same]:
    """Return columns as one, where there is none of one value; or the value that all have."""
    columns = [one for one in values if not isinstance(one, Same)]
    if not columns and all(one == values[0] for one in values):
        return [values[0]]
    if len(columns) < len(values) or len({one.type for one in columns}) > 1:
        return [*values]
    chunks = [chunk for one in columns for chunk in one.chunks]
    return [pa.chunked_array(chunks, columns[0].type)]


def plain(values: pa.ChunkedArray | Same, nothing: float) -> Any:
    """Return numbers as an array, or the one that all have; another one stands for a null."""
    if isinstance(values, Same):
        return nothing if values.value is None else values.value
    if values.null_count and not pa.types.is_floating(values.type):
        values = values.fill_null(nothing)
    array = in_one(values)
    if pa.types.is_boolean(array.type):  # pyarrow would go bit by bit
        end, bits = array.offset + len(array), np.frombuffer(array.buffers()[1], np.uint8)
        return np.unpackbits(bits, count=end, bitorder="little")[array.offset :].view(bool)
    return array.to_numpy(zero_copy_only=False)


def in_one(values: pa.ChunkedArray) -> pa.Array:
    """Return chunks as one array; of a single one no copy is made."""
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


def joined_columns(values: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Return columns as one, or the value that all have."""
    if not any(map(np.ndim, values)) and all(one == values[0] for one in values):
        return values[0]
    each = zip(values, sizes, strict=True)
    return np.concatenate([one if np.ndim(one) else np.full(size, one) for one, size in each])
