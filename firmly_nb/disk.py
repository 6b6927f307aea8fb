"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from glob import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KEPT_BYTES = 100  # of a name; some file systems allow 143


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
        If it cannot be written. What was there before is as it was, and nothing is left beside it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "plan.json", b"{}")
    ...     (Path(folder) / "plan.json").read_bytes()
    b'{}'
    """
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


def _beside(path: Path) -> str:
    return f".{os.fsencode(path.name)[:KEPT_BYTES].decode(errors='ignore')}-"
