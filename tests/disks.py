"""Disks that are full and folders that cannot be written, whoever runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = 65534


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as on a disk that is full."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def without_permission(folder: Path, program: str) -> str:
    """Return what a program says that may read the folder and write nothing of it.

    The folder is its working directory, so that it need not be found by another user.
    """
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    # The superuser may write everywhere, so it becomes somebody else once all is imported.
    begin = f"import os\nif os.geteuid() == 0:\n    os.setgid({NOBODY})\n    os.setuid({NOBODY})\n"
    imports, _, rest = textwrap.dedent(program).partition("\n\n")
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"{imports}\n{begin}{rest}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    finally:
        folder.chmod(mode)
    return done.stdout
