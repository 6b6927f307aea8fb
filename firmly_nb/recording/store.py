"""Recordings on disk: reading back what was recorded. Nothing that is read is ever run."""

from __future__ import annotations

from pathlib import Path

from firmly_nb.recording.journal import JournalError, default_directory, journals, read_journal
from firmly_nb.recording.recording import Recording, Recordings


def load(path: str | Path | None = None) -> Recordings:
    """Load recordings: a journal, a folder of journals, or by default everything on this machine.

    A recording whose process was killed is there with every event that was shown;
    ``rec.cut_off`` and ``rec.warnings`` say so. Addresses are masked as they were written.

    Parameters
    ----------
    path
        A ``.jsonl`` file or a folder, searched with everything below it.

    Returns
    -------
    Recordings
        Oldest first. A file that is no journal is left out; its warning is in
        ``recordings.warnings``.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    """
    where = Path(path) if path is not None else default_directory()
    if not where.exists():
        raise FileNotFoundError(f"there is nothing at {where}; recordings are kept there once made")
    found: list[Recording] = []
    unreadable: list[str] = []
    for file in journals(where):
        try:
            records, warnings = read_journal(file)
        except JournalError as error:
            unreadable.append(str(error))
        else:
            found.append(Recording(records, warnings))
    # Names of files tell the second only.
    found.sort(key=lambda recording: recording.started_at_ns)
    return Recordings(found, warnings=unreadable)
