"""The manifest of a saved set: what belongs to it, who wrote it and when, notes and tags.

It is written last and at once, so it decides: a part that it does not list is not in the set.
Whatever stands in a manifest that is read is checked before it is used.
"""

from __future__ import annotations

import platform
import re
import time
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.recording.parquet_schema import FORMAT_VERSION
from firmly_nb.recording.stored_names import KIND, MANIFEST, NewerFormatError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 64 * 1024 * 1024
# Below orders/ and below events/; no step of it leads out of the set.
PART = re.compile(r"day=[0-9-]{1,12}/domain=[\w.%~-]{1,200}/[\w-]{1,80}\.parquet", re.ASCII)


class _NewerError(ValueError):
    """The same, before it is known where."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run: how many of its orders, and the tags that all of them have, a sweep's name too."""

    recordings: int
    tags: dict[str, str] = field(default_factory=dict)

    def plus(self, other: RunEntry) -> RunEntry:
        """Return both together.

        Examples
        --------
        >>> RunEntry(1, {"a": "1", "no": "1"}).plus(RunEntry(1, {"a": "1", "no": "2"}))
        RunEntry(recordings=2, tags={'a': '1'})
        """
        common = {k: v for k, v in self.tags.items() if other.tags.get(k) == v}
        return RunEntry(self.recordings + other.recordings, common)


@dataclass(frozen=True, slots=True)
class Save:
    """One saving: what it added, by what, when, with which notes and tags."""

    at: str
    recordings: int
    events: int
    parts: tuple[str, ...]
    notes: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    environments: tuple[str, ...] = ()
    runs: dict[str, RunEntry] = field(default_factory=dict)
    written_with: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All savings of a set, oldest first.

    Examples
    --------
    >>> saved = Save("2026-11-23T15:00:00Z", 1, 4, ("day=2026-11-23/domain=a.test/p.parquet",))
    >>> manifest = Manifest((saved,))
    >>> read(manifest.encode()) == manifest
    True
    """

    saves: tuple[Save, ...] = ()

    @property
    def parts(self) -> list[str]:
        """The parts of the set: each a path below ``orders/`` and below ``events/``."""
        return list(dict.fromkeys(part for save in self.saves for part in save.parts))

    @property
    def notes(self) -> list[str]:
        """What was noted at each saving that noted something."""
        return [save.notes for save in self.saves if save.notes]

    def plus(self, save: Save) -> Manifest:
        """Return it with one more saving."""
        return replace(self, saves=(*self.saves, save))

    def encode(self) -> bytes:
        """Write it as JSON, the totals first."""
        runs: dict[str, RunEntry] = {}
        for save in self.saves:
            for run_id, entry in save.runs.items():
                runs[run_id] = runs[run_id].plus(entry) if run_id in runs else entry
        content = {
            "kind": KIND,
            "format_version": FORMAT_VERSION,
            "readable_from": FORMAT_VERSION,
            "created": self.saves[0].at if self.saves else None,
            "appended": self.saves[-1].at if self.saves else None,
            "recordings": sum(save.recordings for save in self.saves),
            "events": sum(save.events for save in self.saves),
            "environments": sorted({name for save in self.saves for name in save.environments}),
            "runs": runs,
            "saves": [asdict(save) for save in self.saves],
        }
        return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def now() -> str:
    """Return the time as the manifest writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def written_with() -> dict[str, str]:
    """Return by what a set is written; nothing of who or where."""
    return {
        "firmly_nb": version("firmly-nb"),
        "pyarrow": version("pyarrow"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a folder; None if there is none.

    Raises
    ------
    StoreError
        If it cannot be read, is damaged, or only a newer version can read the set.
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StoreError(f"{path} is no manifest: it is larger than {MAX_BYTES} bytes")
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return read(content)
    except _NewerError as error:
        raise NewerFormatError(f"{path.parent}: {error}") from None
    except ValueError as error:
        raise StoreError(f"{path}: {error}") from None


def read(content: bytes) -> Manifest:
    """Read a manifest and check it.

    Raises
    ------
    ValueError
        If it is damaged, says what cannot be, or only a newer version can read it.
    """
    try:
        values = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise ValueError("the manifest is damaged: it is no whole JSON") from None
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise ValueError("this is no manifest of recordings")
    _check_version(values)
    saves = values.get("saves")
    if not isinstance(saves, list) or not all(isinstance(save, dict) for save in saves):
        raise ValueError("the manifest is damaged: it does not list what was saved")
    return Manifest(tuple(_save(save) for save in saves))


def _check_version(values: dict[str, Any]) -> None:
    needed = values.get("readable_from", values.get("format_version"))
    if not isinstance(needed, int):
        # Without a sound version nothing else can be understood.
        raise ValueError(  # noqa: TRY004 - of what was read, not of a call
            "the manifest is damaged: it names no format version"
        )
    if needed > FORMAT_VERSION:
        raise _NewerError(
            f"it was written in format {values.get('format_version')} by a newer version of "
            f"firmly-nb; this one reads up to format {FORMAT_VERSION}. Upgrade firmly-nb."
        )


def _save(values: dict[str, Any]) -> Save:
    parts = values.get("parts")
    if not isinstance(parts, list):
        raise ValueError(  # noqa: TRY004 - the same
            "the manifest is damaged: a saving lists no parts"
        )
    for part in parts:
        if not isinstance(part, str) or not PART.fullmatch(part):
            raise ValueError(f"the manifest names a part that cannot be of this set: {part!r:.100}")
    return Save(
        at=str(values.get("at", "")),
        recordings=_count(values.get("recordings")),
        events=_count(values.get("events")),
        parts=tuple(parts),
        notes=str(values.get("notes") or ""),
        tags=_texts(values.get("tags")),
        environments=tuple(str(name) for name in values.get("environments") or ()),
        runs={k: _run(v) for k, v in _mapping(values.get("runs")).items()},
        written_with=_texts(values.get("written_with")),
    )


def _run(value: Any) -> RunEntry:
    entry = _mapping(value)
    return RunEntry(_count(entry.get("recordings")), _texts(entry.get("tags")))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> dict[str, str]:
    return {key: str(text) for key, text in _mapping(value).items()}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
