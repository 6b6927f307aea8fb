"""The folders and files of a saved set: names that lead nowhere else, and all or nothing.

New parts are written beside the set and moved into it when all of them are whole; the manifest is
replaced last. A save that is killed leaves the set as it was, and the next one clears away what was
left. One save at a time: a lock is held that ends with its process.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it has no types

from firmly_nb.recording.manifest import PART, Manifest
from firmly_nb.recording.stored_names import KINDS, LOCK, MANIFEST, WRITING, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

PLAN = "parts.json"
LONGEST_NAME = 100
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NO_DOMAIN = "~"  # the usual name of a folder without a value is a null that pandas cannot read


def partition(started_at_ns: int, domain: str) -> str:
    """Return the folder of an order below ``orders/`` and ``events/``.

    Examples
    --------
    >>> partition(1_790_000_000_000_000_000, "a=b/../c")
    'day=2026-09-21/domain=a%3Db%2F..%2Fc'
    """
    day = (EPOCH + dt.timedelta(seconds=started_at_ns // 10**9)).date().isoformat()
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


class PartWriter:
    """One part: a file of orders and one of events, written in groups of rows."""

    def __init__(self, folder: Path, part: str, schemas: dict[str, pa.Schema]) -> None:
        self.part = part
        self._paths = [folder / kind / part for kind in KINDS]
        self._writers: dict[str, pq.ParquetWriter] = {}
        for kind, path in zip(KINDS, self._paths, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._writers[kind] = pq.ParquetWriter(
                path, schemas[kind], compression="zstd", write_page_checksum=True
            )

    def write(self, kind: str, table: pa.Table) -> None:
        """Add rows as one group."""
        if len(table):
            self._writers[kind].write_table(table, row_group_size=len(table))

    def close(self) -> None:
        """Finish both files; they are on the disk then."""
        for writer in self._writers.values():
            writer.close()
        for path in self._paths:
            path.chmod(0o600)
            _sync(path)

    def discard(self) -> None:
        """Give up."""
        for writer in self._writers.values():
            with suppress(Exception):
                writer.close()


@contextmanager
def locked(root: Path) -> Iterator[bool]:
    """Be the only one who saves there; waits for another one to end.

    Gives whether that is sure: there are file systems without locks.
    """
    file = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _lock(file, wait=True) is not None
    finally:
        os.close(file)


def is_locked(root: Path) -> bool:
    """Say whether somebody saves there now."""
    try:
        file = os.open(root / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        return _lock(file, wait=False) is False
    finally:
        os.close(file)


def _lock(file: int, *, wait: bool) -> bool | None:
    """Lock a file and say whether it is; None if its file system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _lock_on_windows(file, wait=wait)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _lock_on_windows(file: int, *, wait: bool) -> bool:
    import msvcrt  # type: ignore[import-not-found, unused-ignore]  # another platform's module

    while True:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]  # the same
        except OSError:
            if not wait:
                return False
            time.sleep(0.1)
        else:
            return True


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
                target = root / kind / part
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                (staging / kind / part).rename(target)
        write_whole(root / MANIFEST, content)
    except BaseException:
        # An interrupt may come when the manifest names them already.
        if not _is_now(root / MANIFEST, content):
            _remove(root, parts)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file by another content, at once."""
    aside = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def clear_leftovers(root: Path, manifest: Manifest) -> None:
    """Remove what savings that were killed left; to be called with the lock held."""
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
    return StoreError(
        f"nothing was added to {root}: {why}. What was there before is as it was. Free some space "
        "or save to a folder that can be written."
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
