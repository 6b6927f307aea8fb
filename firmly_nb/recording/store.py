"""Recordings on disk: reading back what was recorded. Nothing that is read is ever run."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from firmly_nb.recording.journal import SUFFIX, JournalError, default_directory, read_journal
from firmly_nb.recording.recording import Recording, Recordings
from firmly_nb.recording.sources import Held, Joined
from firmly_nb.recording.stored_names import KIND, KINDS, MANIFEST, WRITING, StoreError

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
    folders, files = find(where)
    warnings: list[str] = []
    held = _journals(files, warnings)
    stored = _sets(folders, where, warnings) if folders else []
    if not stored:
        return Recordings(held, warnings)
    return Recordings(_oldest_first([*stored, held] if len(held) else stored), warnings)


def find(where: Path) -> tuple[list[Path], list[Path]]:
    """Find the folders of saved sets and the files of journals at a path and below it."""
    if where.is_file():
        return [], [where]
    sets, files = [], []
    # Folders may vanish meanwhile, where somebody saves: os.walk takes that as it comes.
    for name, below, names in os.walk(where):
        folder = Path(name)
        if _is_set(folder, below, names):
            sets.append(folder)
            below[:] = [each for each in below if each not in KINDS]
        below[:] = [each for each in below if not each.startswith(WRITING)]
        files += [folder / each for each in names if each.endswith(SUFFIX)]
    return sorted(sets), sorted(files)


def _is_set(folder: Path, below: list[str], names: list[str]) -> bool:
    """Say whether a folder is a saved set, also one that lost its manifest."""
    if MANIFEST in names:
        with suppress(OSError), (folder / MANIFEST).open("rb") as file:
            if KIND.encode() in file.read(4096):
                return True
    return "orders" in below and any((folder / "orders").glob("day=*/domain=*/*.parquet"))


def _journals(files: list[Path], warnings: list[str]) -> Held:
    found: list[Recording] = []
    for file in files:
        try:
            records, told = read_journal(file)
        except JournalError as error:
            warnings.append(str(error))
        else:
            found.append(Recording(records, told))
    # Names of files tell the second only.
    return Held(sorted(found, key=lambda recording: recording.started_at_ns))


def _sets(folders: list[Path], where: Path, warnings: list[str]) -> list[Stored]:
    """Open sets."""
    # Parquet is not loaded for whoever has journals only.
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
