"""One run id, one sweep at a time: two that placed the same plan would order everything twice."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from firmly_nb.recording.journal import JournalError

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Claim:
    """Holds a run id as long as the sweep runs; a process that is killed holds it no more.

    Raises
    ------
    ValueError
        If a sweep with this id is running.
    JournalError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        path = folder / f"{run_id}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(
                f"{path} cannot be written: {error.strerror or error}. Free some space or set "
                "FIRMLY_NB_HOME to a folder that can be written."
            ) from error
        try:
            _lock(self._file)
        except OSError:
            self.release()
            raise ValueError(
                f"the sweep {run_id} is still running, here or in another process; stop it first"
            ) from None

    def release(self) -> None:
        """Let go of it; safe to call again."""
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1


def _lock(file: int) -> None:
    if sys.platform == "win32":
        return  # there nothing keeps two apart but the analyst
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
