"""Leases of a sweep from several machines, on its coordinator's disk before anything is lent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.disk import append_whole, read_whole
from firmly_nb.sweep.plan import FOLDER, cannot_be_written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from firmly_nb.recorder.journal import JournalError


class Intents:
    """Log of what was lent; who resumes a sweep reads it."""

    def __init__(self, journal: Path, run_id: str) -> None:
        self.path = journal / FOLDER / f"{run_id}.leases.jsonl"
        self.epoch = 0
        self.open: dict[int, Mapping[str, Any]] = {}  # lent, and nothing is known of it
        self.lent: dict[str, set[int]] = {}  # to each host, ever
        self._waiting: list[bytes] = []
        self._writing = asyncio.Lock()
        self._failure: JournalError | None = None
        self._read()

    def _read(self) -> None:
        try:
            lines = read_whole(self.path).split(b"\n")
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot_be_written(str(self.path), error) from error
        for line in lines:
            # A line that is torn was never acted upon.
            with suppress(ValueError, KeyError, TypeError):
                entry = orjson.loads(line)
                self.epoch = max(self.epoch, entry.get("epoch", 0))
                if entry["kind"] == "lease":
                    self.open[entry["slot"]] = entry
                    self.lent.setdefault(entry["host"], set()).add(entry["slot"])
                elif entry["kind"] == "fate":
                    self.open.pop(entry["slot"], None)
        # Whoever wrote before may have died in the middle of a line.
        self._waiting.append(b"\n")

    async def next_epoch(self, host: str) -> int:
        """Return the next epoch, once it is on the disk that it is taken."""
        self.epoch += 1
        await self.write([{"kind": "host", "host": host, "epoch": self.epoch}])
        return self.epoch

    async def write(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write entries; several that come at once share a write.

        Once a write has failed, all that follow do: a line of it may be torn, and whoever shared it
        does not know which one.
        """
        entries = list(entries)
        for entry in entries:
            if entry["kind"] == "lease":
                self.lent.setdefault(entry["host"], set()).add(entry["slot"])
        self._waiting += [orjson.dumps(entry) + b"\n" for entry in entries]
        async with self._writing:
            if self._failure:
                raise self._failure
            lines, self._waiting = self._waiting, []
            if not lines:
                return
            try:
                await asyncio.to_thread(append_whole, self.path, b"".join(lines))
            except OSError as error:
                self._failure = cannot_be_written(str(self.path), error)
                raise self._failure from error
