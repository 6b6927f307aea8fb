"""What many recordings do with a disk: be saved, tell their notes, be asked by SQL.

A base class beside ``CartFace``, so that ``Recordings`` itself stays a short read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from firmly_nb.recording.parquet_save import Saved
    from firmly_nb.recording.recording import Recording
    from firmly_nb.recording.sources import Source


class StoreFace:
    """Saving, notes and relations of ``Recordings``."""

    _source: Source

    def __iter__(self) -> Iterator[Recording]:
        raise NotImplementedError

    @property
    def notes(self) -> list[str]:
        """What was noted when these were saved, oldest first."""
        return self._source.notes

    def save(
        self,
        path: str | Path,
        *,
        tags: dict[str, str] | None = None,
        notes: str = "",
        keep_personal: bool = False,
    ) -> Saved:
        """Save them to a folder, as Parquet files that pandas, DuckDB, Polars and Spark read.

        Saving again adds what is new: a recording that is there already is there once. Either
        everything that is new is added, or nothing is.

        Parameters
        ----------
        path
            The folder; made if need be. docs/recordings.md describes what is in it.
        tags
            Given to each recording that is added, beside its own tags, which win.
        notes
            A text for whoever loads them: ``recs.notes``.
        keep_personal
            Whether names, streets, telephone numbers and e-mail addresses are stored. Otherwise
            they are masked, and the exact text of events (``keep_raw``) is left out.

        Returns
        -------
        Saved
            How many were added, and how many were there before.

        Raises
        ------
        StoreError
            If the folder cannot be written or the disk is full. What was there stays as it was.

        Examples
        --------
        >>> import tempfile
        >>> import firmly_nb as fnb
        >>> folder = tempfile.mkdtemp()
        >>> fnb.Recordings([]).save(folder, notes="an empty set").added
        0
        >>> fnb.load(folder).notes
        ['an empty set']
        """
        from firmly_nb.recording.parquet_save import save

        return save(self, path, tags=tags, notes=notes, keep_personal=keep_personal)

    def relation(self, table: str = "events", connection: Any = None) -> Any:
        """Return a table as a DuckDB relation, to be asked by SQL without loading it.

        Parameters
        ----------
        table
            ``"events"`` or ``"orders"``. Of a saved set it is its files, with the columns that
            docs/tables.md lists for them (``data`` is JSON text); of others the table in memory.
        connection
            A DuckDB connection; by default DuckDB's own.

        Returns
        -------
        duckdb.DuckDBPyRelation
            One row an event or an order, in no order.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> fnb.Recordings([]).relation("orders").aggregate("count(*)").fetchall()
        [(0,)]
        """
        from firmly_nb.recording.parquet_relation import relation

        return relation(self._source, table, connection)
