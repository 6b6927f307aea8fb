"""The folders and files of a saved set: names that lead nowhere else, and all or nothing.

New parts are written beside the set and moved into it when all of them are whole; the manifest is
replaced last. A save that is killed leaves the set as it was, and the next one clears away what was
left. One save at a time: a lock is held that ends with its process.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it has no types

from firmly_nb.disk import check_is_file, clear_unfinished, lock, read_whole, write_whole
from firmly_nb.display.messages import coded_error, quoted
from firmly_nb.display.text import count
from firmly_nb.recorder import records
from firmly_nb.store.schema import FORMAT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


MANIFEST = "manifest.json"
KIND = "firmly-nb recordings"
SOURCES = ("orders", "events")  # what was recorded
STAGES = "stages"  # what figures are made of, made of these
KINDS = (*SOURCES, STAGES)
LOCK = ".lock"
WRITING = ".writing-"  # begins the folder of a saving that is under way, or was killed


class StoreError(OSError):
    """Saved set that cannot be written or read: where, why, what to do."""

    code = "FNB406"


class NewerFormatError(StoreError):
    """Saved set that only a newer version of firmly-nb can read."""

    code = "FNB405"


RESTORE = "Load the set from a backup."
MAX_BYTES = 64 * 1024 * 1024
# Below orders/ and below events/; no step of it leads out of the set.
PART = re.compile(r"day=[0-9-]{1,12}/domain=[\w.%~-]{1,200}/[\w-]{1,80}\.parquet", re.ASCII)


class _NewerError(ValueError):
    """Newer format, before the folder is known."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """Run in a set: its number of orders and the tags that all of them have."""

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
class Digest:
    """Size of a file in bytes, and its SHA-256 in hexadecimal digits."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Digest:
        """Read a file and return its digest."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return cls(file.tell(), digest)

    def difference(self, path: Path) -> str | None:
        """Return how a file differs from what was saved; None where it does not.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        check_is_file(path)
        size = path.stat().st_size
        return self._difference(size, lambda: Digest.of(path))

    def difference_of(self, content: bytes) -> str | None:
        """Return how the content of a file differs from what was saved; None where it does not."""
        size = len(content)
        return self._difference(size, lambda: Digest(size, hashlib.sha256(content).hexdigest()))

    def _difference(self, size: int, found: Callable[[], Digest]) -> str | None:
        if size != self.size:
            return f"it has {count(size)} bytes, {count(self.size)} were saved"
        return None if found() == self else "its SHA-256 is not that of what was saved"


@dataclass(frozen=True, slots=True)
class Save:
    """Save: its parts, time, version, notes and tags."""

    at: str
    recordings: int
    events: int
    parts: tuple[str, ...]
    notes: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    environments: tuple[str, ...] = ()
    runs: dict[str, RunEntry] = field(default_factory=dict)
    written_with: dict[str, str] = field(default_factory=dict)
    files: dict[str, Digest] = field(default_factory=dict)  # by path below the set


@dataclass(frozen=True, slots=True)
class Manifest:
    """Saves of a set, oldest first.

    It is written last and at once, so it decides: a part that it does not list is not in the set.

    Examples
    --------
    >>> saved = Save("2026-11-23T15:00:00Z", 1, 4, ("day=2026-11-23/domain=a.test/p.parquet",))
    >>> manifest = Manifest((saved,))
    >>> read(manifest.encode()) == manifest
    True
    """

    saves: tuple[Save, ...] = ()
    is_damaged: bool = False  # it was read, but is not what was written

    @property
    def files(self) -> dict[str, Digest]:
        """The files whose size and SHA-256 were kept, by path below the set."""
        return {name: digest for save in self.saves for name, digest in save.files.items()}

    @property
    def parts(self) -> list[str]:
        """Parts of the set: each a path below ``orders/`` and below ``events/``."""
        return list(dict.fromkeys(part for save in self.saves for part in save.parts))

    @property
    def notes(self) -> list[str]:
        """Notes of the saves that have one."""
        return [save.notes for save in self.saves if save.notes]

    def plus(self, save: Save) -> Manifest:
        """Return it with one more saving."""
        return replace(self, saves=(*self.saves, save))

    def with_files(self, found: Mapping[str, Digest]) -> Manifest:
        """Return it with further files of its parts, each noted with the saving of its part."""
        saves = [
            replace(
                save,
                files=save.files
                | {
                    name: digest
                    for name, digest in found.items()
                    if name.partition("/")[2] in set(save.parts)
                },
            )
            for save in self.saves
        ]
        return replace(self, saves=tuple(saves))

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
        content["sha256"] = _own_digest(content)
        return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def _own_digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest's content, however it is laid out."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)).hexdigest()


def now() -> str:
    """Return the time as the manifest writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def written_with() -> dict[str, str]:
    """Return by what a set is written; nothing of who or where."""
    return {**records.written_with(), "pyarrow": version("pyarrow")}


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
            text = f"{path} is not a manifest: it has more than {count(MAX_BYTES)} bytes. {RESTORE}"
            raise coded_error(StoreError, "FNB404", text)
        content = read_whole(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        advice = "Check its permissions." if isinstance(error, PermissionError) else RESTORE
        text = f"{path} cannot be read: {error.strerror}. {advice}"
        raise coded_error(StoreError, "FNB406", text) from error
    try:
        return read(content)
    except _NewerError as error:
        raise coded_error(NewerFormatError, "FNB405", f"{path.parent}: {error}") from None
    except ValueError as error:
        raise coded_error(StoreError, "FNB404", f"{path}: {error}. {RESTORE}") from None


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
        raise ValueError("the manifest is damaged: not JSON, or cut off") from None
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise ValueError("not a manifest of recordings")
    _check_version(values)
    saves = values.get("saves")
    if not isinstance(saves, list) or not all(isinstance(save, dict) for save in saves):
        raise ValueError("the manifest is damaged: the list of saves is missing")
    written = values.get("sha256")  # older versions wrote none
    return Manifest(
        tuple(_save(save) for save in saves), written not in (None, _own_digest(values))
    )


def _check_version(values: dict[str, Any]) -> None:
    needed = values.get("readable_from", values.get("format_version"))
    if not isinstance(needed, int):
        # Without a sound version nothing else can be understood.
        raise ValueError(  # noqa: TRY004 - of what was read, not of a call
            "the manifest is damaged: the format version is missing"
        )
    if needed > FORMAT_VERSION:
        raise _NewerError(
            f"a newer firmly-nb wrote this set, in format {quoted(values.get('format_version'))}. "
            f"This version reads up to format {FORMAT_VERSION}. Upgrade firmly-nb."
        )


def _save(values: dict[str, Any]) -> Save:
    parts = values.get("parts")
    if not isinstance(parts, list):
        raise ValueError(  # noqa: TRY004 - the same
            "the manifest is damaged: a save lists no parts"
        )
    for part in parts:
        if not isinstance(part, str) or not PART.fullmatch(part):
            raise ValueError(f"the manifest names a part outside the set: {quoted(part, 100)}")
    return Save(
        at=str(values.get("at", "")),
        recordings=_count(values.get("recordings")),
        events=_count(values.get("events")),
        parts=tuple(parts),
        notes=str(values.get("notes") or ""),
        tags=_texts(values.get("tags")),
        environments=tuple(map(str, _list(values.get("environments")))),
        runs={k: _run(v) for k, v in _mapping(values.get("runs")).items()},
        written_with=_texts(values.get("written_with")),
        files={name: _digest(value) for name, value in _mapping(values.get("files")).items()},
    )


def _digest(value: Any) -> Digest:
    entry = _mapping(value)
    return Digest(_count(entry.get("size")), str(entry.get("sha256")))


def _run(value: Any) -> RunEntry:
    entry = _mapping(value)
    return RunEntry(_count(entry.get("recordings")), _texts(entry.get("tags")))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: Any) -> dict[str, str]:
    return {key: str(text) for key, text in _mapping(value).items()}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


PLAN = "parts.json"
LONGEST_NAME = 100
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NO_DOMAIN = "~"  # the usual name of a folder without a value is a null that pandas cannot read


def partition(started_at_ns: int | None, domain: str) -> str:
    """Return the folder of an order below ``orders/`` and ``events/``.

    An order whose start is not known is in that of the first day of Unix time.

    Examples
    --------
    >>> partition(1_790_000_000_000_000_000, "a=b/../c")
    'day=2026-09-21/domain=a%3Db%2F..%2Fc'
    """
    day = (EPOCH + dt.timedelta(seconds=(started_at_ns or 0) // 10**9)).date().isoformat()
    return f"day={day}/domain={_value(domain)}"


def part_name() -> str:
    """Return a file name that nobody else takes."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(6)}.parquet"


def _value(domain: str) -> str:
    if not domain:
        return NO_DOMAIN
    coded = _quoted(domain)
    if len(coded) <= LONGEST_NAME:
        return coded
    kept = domain[: LONGEST_NAME // 2]
    while len(_quoted(kept)) > LONGEST_NAME:
        kept = kept[:-1]
    # Cut: two long names must not become one.
    return f"{_quoted(kept)}~{hashlib.sha256(domain.encode()).hexdigest()[:16]}"


def _quoted(text: str) -> str:
    return quote(text, safe="").replace("~", "%7E")


# What figures read of each order and hardly becomes smaller: to unpack it better takes longer.
QUICK = frozenset(
    {
        *("duration_ms", "uncertainty_us", "coalesced", "together"),
        *("time_to_headers_ms", "time_to_first_event_ms", "time_to_order_placed_ms"),
        *("schedule_lag_ms", "outcome"),
    }
)


class PartWriter:
    """Writer of one part: a file of orders and one of events, in groups of rows."""

    def __init__(self, folder: Path, part: str, schemas: dict[str, pa.Schema]) -> None:
        self.part = part
        self._paths = [folder / kind / part for kind in SOURCES]
        self._writers: dict[str, pq.ParquetWriter] = {}
        for kind, path in zip(SOURCES, self._paths, strict=True):
            self._writers[kind] = opened(path, schemas[kind])

    def write(self, kind: str, table: pa.Table) -> None:
        """Add rows as one group."""
        if len(table):
            self._writers[kind].write_table(table, row_group_size=len(table))

    def close(self) -> dict[str, Digest]:
        """Finish both files; they are on the disk then. Return their digests."""
        for writer in self._writers.values():
            writer.close()
        paths = zip(SOURCES, self._paths, strict=True)
        return {f"{kind}/{self.part}": finished(path) for kind, path in paths}

    def discard(self) -> None:
        """Give up."""
        for writer in self._writers.values():
            with suppress(Exception):
                writer.close()


def opened(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Begin a file of a set."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Hardly two times are equal: with a dictionary of them files are larger, and slower to read.
    coded = [field.name for field in schema if not pa.types.is_floating(field.type)]
    packed = {name: "snappy" if name in QUICK else "zstd" for name in schema.names}
    return pq.ParquetWriter(
        path, schema, compression=packed, use_dictionary=coded, write_page_checksum=True
    )


def finished(path: Path) -> Digest:
    """Put a file on the disk that is written, readable only by its owner; return its digest."""
    path.chmod(0o600)
    _sync(path)
    return Digest.of(path)


@contextmanager
def locked(root: Path, *, wait: bool = True) -> Iterator[bool]:
    """Be the only one who saves there; waits for another one to end, or raises.

    Gives whether that is sure: there are file systems without locks.
    """
    held = lock(root / LOCK, wait=wait)
    try:
        yield held.sure
    finally:
        held.release()


def is_locked(root: Path) -> bool:
    """Say whether somebody saves there now."""
    try:
        lock(root / LOCK, wait=False, create=False).release()
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def staged(root: Path) -> Iterator[Path]:
    """Give a folder beside the set to write parts into; it is gone afterwards."""
    folder = root / f"{WRITING}{secrets.token_hex(6)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_in(root: Path, staging: Path, parts: list[str], manifest: Manifest) -> None:
    """Move whole parts into the set, and make them part of it by its manifest.

    Raises
    ------
    OSError
        If one cannot be moved, or the manifest not be written; nothing is added then.
    """
    # Written before the first move: whoever comes after a crash knows what to clear away.
    write_whole(staging / PLAN, orjson.dumps(parts))
    content = manifest.encode()
    try:
        for kind in KINDS:
            for part in parts:
                put_in(root, staging, f"{kind}/{part}")
        write_whole(root / MANIFEST, content)
    except BaseException:
        # An interrupt may come when the manifest names them already.
        if not _is_now(root / MANIFEST, content):
            _remove(root, parts)
        raise


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Replace the manifest of a set, whose files are there already."""
    write_whole(root / MANIFEST, manifest.encode())


def put_in(root: Path, staging: Path, name: str) -> None:
    """Move a whole file into the set; it is not part of it until the manifest says so."""
    target = root / name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    (staging / name).rename(target)


def clear_leftovers(root: Path, manifest: Manifest) -> None:
    """Remove what savings that were killed left; to be called with the lock held."""
    clear_unfinished(root / MANIFEST)
    kept = set(manifest.parts)
    for folder in leftovers(root):
        with suppress(OSError, orjson.JSONDecodeError):
            planned = orjson.loads((folder / PLAN).read_bytes())
            moved = [p for p in planned if isinstance(p, str) and PART.fullmatch(p)]
            _remove(root, [part for part in moved if part not in kept])
        shutil.rmtree(folder, ignore_errors=True)


def leftovers(root: Path) -> list[Path]:
    """Return the folders of savings that are under way or were killed."""
    return sorted(p for p in root.glob(f"{WRITING}*") if p.is_dir() and not p.is_symlink())


def parts_on_disk(root: Path) -> list[str]:
    """Return the parts that have a file of orders, whatever the manifest says."""
    folder = root / "orders"
    # Only files: to open a pipe would be to wait for ever.
    files = (path for path in folder.glob("day=*/domain=*/*") if path.is_file())
    found = (path.relative_to(folder).as_posix() for path in files)
    return sorted(part for part in found if PART.fullmatch(part))


def explained(root: Path, error: Exception) -> StoreError:
    """Return the error to raise where a set could not be saved."""
    why = getattr(error, "strerror", None) or str(error)
    return coded_error(
        StoreError,
        "FNB406",
        f"Nothing was added to {root}: {why}. The set is unchanged. Free space, or save to a "
        "writable folder.",
    )


def _is_now(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _remove(root: Path, parts: list[str]) -> None:
    for part in parts:
        for kind in KINDS:
            with suppress(OSError):
                (root / kind / part).unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
