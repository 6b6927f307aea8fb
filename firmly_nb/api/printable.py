"""What others sent, as it may be shown in a terminal."""

from __future__ import annotations

LONGEST = 1_000


def printable(text: str, longest: int = LONGEST) -> str:
    r"""Return a text without what would steer a terminal or turn the line round, and not endless.

    Examples
    --------
    >>> printable("red\x1b[31m"), printable("a\nb"), printable("mug\u202e")
    ('red·[31m', 'a b', 'mug·')
    >>> printable("a long name", 6)
    'a lon…'
    """
    words = " ".join(text[: 8 * longest].split())
    shown = words if len(words) <= longest else f"{words[: longest - 1]}…"
    return "".join(char if char.isprintable() else "·" for char in shown)
