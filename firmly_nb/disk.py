"""Files that are there whole or not at all, locks that end with their process, and queries.

Queries may put what does not fit into memory on the disk, where nobody else can read it.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import weakref
from contextlib import suppress
from glob import escape
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any

KEPT_BYTES = 100  # of a name; some file systems allow 143


def check_is_file(path: Path) -> None:
    """Look that a file is there: a pipe would keep whoever opens it waiting, a device has no end.

    Raises
    ------
    OSError
        If something else is there, or nothing.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "It is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "It is not a file", str(path))


def read_whole(path: Path) -> bytes:
    """Read a file.

    Raises
    ------
    OSError
        If it cannot be read, or is not a file.
    """
    check_is_file(path)
    return path.read_bytes()


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file by another content, at once; whoever reads it finds the old or the new one.

    Parameters
    ----------
    path
        The file; its folder is there.
    content
        What is in it afterwards.
    mode
        Its permissions, less the umask; by default only its owner may read it.

    Raises
    ------
    OSError
        If it cannot be written, or if something else than a file is there: a device, a pipe. What
        was there before is as it was, and nothing is left beside it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "plan.json", b"{}")
    ...     (Path(folder) / "plan.json").read_bytes()
    b'{}'
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        # Renamed over, it would be gone.
        raise OSError(errno.EINVAL, "It is not a file", str(path))
    if not path.name:
        raise OSError(errno.EISDIR, "It is a folder", str(path))
    aside = path.with_name(_beside(path) + secrets.token_hex(6))
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError):
            # The reader knows this file, not the one beside it.
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def clear_unfinished(path: Path) -> None:
    """Remove what writers of a file left that were killed; call it where nobody writes it now."""
    for left in path.parent.glob(escape(_beside(path)) + "?" * 12):
        with suppress(OSError):
            left.unlink()


def append_whole(path: Path, content: bytes) -> None:
    """Append to a file of lines, and return once the disk has it.

    Raises
    ------
    OSError
        If it cannot be written. Part of it may be there: whoever reads passes over a torn line.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


DIGITS = 20  # of a number that stands in a file


def read_number(path: Path) -> int:
    """Read the number in a file of :func:`raise_number`: 0 before it was raised."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        return int(os.read(descriptor, DIGITS) or 0)
    finally:
        os.close(descriptor)


def raise_number(path: Path, number: int) -> bool:
    """Write a number where it is greater than the one there; return whether it was.

    Other processes of this machine read it from then on, and the disk has it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "epoch"
    ...     raise_number(path, 2), raise_number(path, 2), read_number(path)
    (True, False, 2)
    """
    held = lock(path.with_name(f"{path.name}.lock"), wait=True)
    try:
        if number <= read_number(path):
            return False
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{number:0{DIGITS}}".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True
    finally:
        held.release()


class Lock:
    """A lock on a file, held until it is released or its process ends, however it ends.

    Attributes
    ----------
    sure
        Whether it keeps others out. False where the file system has no locks.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.sure = False
        _held.add(self)

    def take(self, *, wait: bool) -> bool:
        """Lock the file; return False if another one holds it."""
        from filelock import lock_descriptor

        try:
            taken = self.sure = lock_descriptor(self._descriptor, blocking=wait)
        except OSError:
            return True
        return taken

    def release(self) -> None:
        """Let go of it; safe to call again."""
        from filelock import unlock_descriptor

        if self._descriptor >= 0:
            # Not by closing alone: a child that is about to run another program has it open, too.
            with suppress(OSError):
                unlock_descriptor(self._descriptor)
            self.close()

    def close(self) -> None:
        """Close the file; who else has it open still holds the lock."""
        descriptor, self._descriptor = self._descriptor, -1
        _held.discard(self)
        with suppress(OSError):
            os.close(descriptor)


_held: set[Lock] = set()


def lock(path: Path, *, wait: bool, create: bool = True) -> Lock:
    """Take the lock on a file; that the file is there already means nothing.

    Parameters
    ----------
    path
        The file, which is for this only. It stays there, because others may wait at it.
    wait
        Whether to wait for another one who holds it, in this process or in another.
    create
        Whether to make the file if it is missing; only its owner may read it.

    Raises
    ------
    BlockingIOError
        If another one holds it, and there was no wait.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     held = lock(Path(folder) / "lock", wait=True)
    ...     held.sure
    ...     held.release()
    True
    """
    held = Lock(os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600))
    try:
        if held.take(wait=wait):
            return held
    except BaseException:
        held.close()
        raise
    held.close()
    raise BlockingIOError(errno.EAGAIN, "another one holds the lock", str(path))


def _close_inherited() -> None:
    for held in [*_held]:
        held.close()


# A forked child would hold the locks of its parent for longer than that lives.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


def _beside(path: Path) -> str:
    return f".{os.fsencode(path.name)[:KEPT_BYTES].decode(errors='ignore')}-"


TEMPORARY = "firmly-nb-"  # begins the name of each temporary folder
HELD, BEING_MADE = "held", "being-made"


class TemporaryFolder:
    """Folder that only its owner can read, there until it is removed or its process ends.

    If that is killed, the next one that anybody makes removes it.

    Examples
    --------
    >>> folder = TemporaryFolder()
    >>> folder.path.is_dir()
    True
    >>> folder.remove()
    >>> folder.path.exists()
    False
    """

    def __init__(self) -> None:
        for left in Path(gettempdir()).glob(f"{TEMPORARY}*/{HELD}"):
            with suppress(OSError):
                held = lock(left, wait=False, create=False)
                if held.sure:
                    shutil.rmtree(left.parent, ignore_errors=True)
                held.release()
        self.path = Path(mkdtemp(prefix=TEMPORARY))
        held = lock(self.path / BEING_MADE, wait=False)
        # Named when it is held: no other process finds it free.
        (self.path / BEING_MADE).rename(self.path / HELD)
        self._finalizer = weakref.finalize(self, _remove_folder, self.path, held, os.getpid())

    def remove(self) -> None:
        """Remove it with all that is in it; safe to call again."""
        self._finalizer()


def _remove_folder(path: Path, held: Lock, owner_pid: int) -> None:
    if owner_pid == os.getpid():  # else of a fork: it is the parent's
        held.release()
        shutil.rmtree(path, ignore_errors=True)


def database(**config: str) -> Any:
    """Return a connection to DuckDB, in memory; what does not fit goes to a folder of its own.

    By itself DuckDB would put rows of orders into the working directory.

    Examples
    --------
    >>> database(memory_limit="64MB").sql("select 1").fetchall()
    [(1,)]
    """
    import duckdb

    folder = TemporaryFolder()
    spilled = str(folder.path / "spilled")
    connection = duckdb.connect(config={"temp_directory": spilled, **config})
    weakref.finalize(connection, folder.remove)
    return connection
