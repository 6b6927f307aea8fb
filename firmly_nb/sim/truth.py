"""The truth log: when each event was really sent, and which delay had been drawn for it.

One JSON object a line, in a file, so that memory stays flat; the last ones are kept for the page.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

if TYPE_CHECKING:
    from pathlib import Path


KEPT = 1_000
FILE = "truth.jsonl"


class TruthLog:
    """A file of what was sent, to which entries are appended."""

    def __init__(self, folder: Path | None) -> None:
        self.recent: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._file: BinaryIO | None = (folder / FILE).open("ab") if folder else None

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record."""
        self.recent.append(record)
        if self._file:
            self._file.write(orjson.dumps(record) + b"\n")

    def flush(self) -> None:
        """Write everything to the file, so that another process can read it."""
        if self._file:
            self._file.flush()

    def close(self) -> None:
        """Write the rest, and close the file."""
        if self._file:
            self._file.close()


def read_truth(folder: Path) -> list[dict[str, Any]]:
    """Read a folder's truth log; a last line that is not whole is left out."""
    path = folder / FILE
    if not path.exists():
        return []
    return [orjson.loads(line) for line in path.read_bytes().split(b"\n")[:-1] if line]
