"""Opening JupyterLab on the notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

QUICKSTART = "01-quickstart.ipynb"


def notebooks_directory() -> Path | None:
    """Return the folder of the numbered notebooks, if this is a checkout; else None."""
    beside = Path(__file__).resolve().parent.parent / "notebooks"
    return beside if (beside / QUICKSTART).is_file() else None


def run_lab(arguments: list[str]) -> int:
    """Run JupyterLab until it ends, on the quickstart where there is one.

    Parameters
    ----------
    arguments
        Passed on, e.g. ``--no-browser``.

    Returns
    -------
    int
        JupyterLab's exit code.
    """
    folder = notebooks_directory()
    command = [sys.executable, "-m", "jupyterlab", *arguments]
    if folder:
        # The address leads to the notebook also where it is printed and not opened.
        page = f"--LabApp.default_url=/lab/tree/{QUICKSTART}"
        command += [f"--ServerApp.root_dir={folder}", page]
    # As root JupyterLab refuses to start; in containers one usually is root.
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in arguments:
        command.append("--allow-root")
    try:
        return subprocess.call(command)  # noqa: S603 - our own interpreter
    except KeyboardInterrupt:
        return 130
