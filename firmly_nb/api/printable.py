"""What others sent, as it may be shown in a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return a text without what would steer a terminal, or turn the text around.

    Examples
    --------
    >>> printable("red\x1b[31m"), printable("a\nb"), printable("mug\u202e")
    ('red·[31m', 'a b', 'mug·')
    """
    return "".join(char if char.isprintable() else "·" for char in " ".join(text.split()))
