"""Paths as people write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from firmly_nb.display.messages import coded_error, quoted

if TYPE_CHECKING:
    import os

# What a shell, a quoting or a browser would have made a path of, and nobody did.
_VARIABLE = re.compile(r"\$(?:[A-Za-z_]\w*|\{\w+\})|%[A-Za-z_]\w*%")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # one letter is a drive


def expanded(path: str | os.PathLike[str], what: str = "The path") -> Path:
    """Return a path with the home folder for a ``~`` at its begin.

    A text that is no path as it is written would become a folder of that name, somewhere.

    Parameters
    ----------
    path
        A text that a person wrote; a ``Path`` is taken as it is, but for the ``~``.
    what
        Names it in a message.

    Raises
    ------
    ValueError
        If it begins with the name of a user who has no home folder. If a text is empty, has
        blanks or quotes around it, is an address, or holds a variable that nobody replaced.

    Examples
    --------
    >>> expanded("~/runs").is_absolute(), str(expanded("runs/~monday"))
    (True, 'runs/~monday')
    >>> expanded("$HOME/runs", "FIRMLY_NB_HOME")
    Traceback (most recent call last):
    ...
    ValueError: FIRMLY_NB_HOME has a variable that nothing replaced, $HOME: '$HOME/runs'. Write \
the whole path, or ~/ for your home folder. [FNB411]
    """
    why = _why_no_path(path) if isinstance(path, str) else ""
    try:
        found = Path(path).expanduser()
    except RuntimeError:
        why = "names a user without a home folder"
    if why:
        text = f"{what} {why}: {quoted(str(path))}. Write the whole path, or ~/ for your home "
        raise coded_error(ValueError, "FNB411", f"{text}folder.")
    return found


def _why_no_path(text: str) -> str:
    if not text:
        return "is empty"
    if text != text.strip():
        return "has blanks around it"
    if text[0] in "'\"" and text[0] == text[-1]:
        return "has quotes around it"
    if _ADDRESS.match(text):
        return "is an address"
    found = _VARIABLE.search(text)
    return f"has a variable that nothing replaced, {found[0]}" if found else ""


def is_there(path: Path) -> bool:
    """Say whether a file or folder is at a path.

    Raises
    ------
    PermissionError
        If a folder above it cannot be looked into.

    Examples
    --------
    >>> from pathlib import Path
    >>> is_there(Path("nope"))
    False
    """
    try:
        return path.exists()
    except PermissionError as error:
        text = f"{path} cannot be read: {error.strerror}. Check the folders above it."
        raise coded_error(PermissionError, "FNB401", text) from error
