"""Recordings in Parquet: what ``recs.save`` writes and ``fnb.load`` reads.

- ``write``: :class:`Saved` says what was written;
- ``files``: :class:`StoreError` and :class:`NewerFormatError`: why a set could not be read or
  written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.store.files import NewerFormatError, StoreError
    from firmly_nb.store.write import Saved

__all__ = ["NewerFormatError", "Saved", "StoreError"]

show(
    __name__,
    {
        "files": "NewerFormatError StoreError",
        "write": "Saved",
    },
)
