"""Recordings on disk: reading back what was recorded. Nothing that is read is ever run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from firmly_nb.recording.journal import JournalError, default_directory, journals, read_journal
from firmly_nb.recording.recording import Recording, Recordings
from firmly_nb.recording.sources import Held, Joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.recording.sources import Source
    from firmly_nb.recording.stored import Stored


def load(path: str | Path | None = None) -> Recordings:
    """Load recordings: a saved set, a journal, a folder of any of these, or all on this machine.

    Of a saved set only ids are read here; its tables are read when they are asked for, its
    recordings made one by one. A recording whose process was killed is there with every event that
    was shown; ``rec.cut_off`` and ``rec.warnings`` say so. Addresses are masked as they were
    written.

    Parameters
    ----------
    path
        The folder of a saved set, a ``.jsonl`` file, or a folder that is searched with everything
        below it. By default the journals of this machine.

    Returns
    -------
    Recordings
        Oldest first, each once. What cannot be read is left out; ``recordings.warnings`` says so,
        ``recordings.notes`` is what was noted when they were saved.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    StoreError
        If the path is a set that only a newer version can read.
    """
    where = Path(path) if path is not None else default_directory()
    if not where.exists():
        raise FileNotFoundError(f"there is nothing at {where}; recordings are kept there once made")
    warnings: list[str] = []
    stored = _sets(where, warnings)
    held = _journals(where, warnings)
    if stored and not len(held):
        return Recordings(_oldest_first(stored), warnings)
    return Recordings(_oldest_first([*stored, held]) if stored else held, warnings)


def _journals(where: Path, warnings: list[str]) -> Held:
    found: list[Recording] = []
    for file in journals(where):
        try:
            records, told = read_journal(file)
        except JournalError as error:
            warnings.append(str(error))
        else:
            found.append(Recording(records, told))
    # Names of files tell the second only.
    return Held(sorted(found, key=lambda recording: recording.started_at_ns))


def _sets(where: Path, warnings: list[str]) -> list[Stored]:
    """Open the sets at a path and below it."""
    folders = _set_folders(where)
    if not folders:
        return []
    # Parquet is not loaded for whoever has journals only.
    from firmly_nb.recording.manifest import StoreError
    from firmly_nb.recording.stored import open_set

    found = []
    for folder in folders:
        try:
            found.append(open_set(folder))
        except StoreError as error:
            if folder == where:
                raise
            warnings.append(str(error))
    return found


def _set_folders(where: Path) -> list[Path]:
    """Find the folders of sets: those with a manifest, and those with parts that lost theirs."""
    if not where.is_dir():
        return []
    parts = {path.parents[3] for path in where.rglob("orders/day=*/domain=*/*.parquet")}
    manifests = {path.parent for path in where.rglob("manifest.json") if _is_ours(path)}
    return sorted(
        folder
        for folder in parts | manifests
        if not any(part.startswith(".writing-") for part in folder.parts)
    )


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b'"firmly-nb recordings"' in file.read(4096)
    except OSError:
        return False


def _oldest_first(sources: Sequence[Source]) -> Source:
    """Join sources in order of time; a recording that is in several is there once."""
    if len(sources) == 1:
        return sources[0]
    started = [x for source in sources for x in source.started_at_ns()]
    ids = [x for source in sources for x in source.ids()]
    seen: set[str] = set()
    places = []
    for place, recording_id in enumerate(ids):
        if recording_id not in seen:
            seen.add(recording_id)
            places.append(place)
    places.sort(key=lambda place: (started[place], place))
    return Joined(sources).take(places)
