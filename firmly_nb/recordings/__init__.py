"""Recordings, and everything that they can be asked.

- ``recording``: :class:`Recording` is one order;
- ``recordings``: :class:`Recordings` are many; :func:`load` reads them back;
- ``given``: :func:`from_events` makes them of anyone's times;
- ``verified``: :func:`verify` looks whether files are as saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.recordings.given import from_events
    from firmly_nb.recordings.recording import Recording
    from firmly_nb.recordings.recordings import Recordings, load
    from firmly_nb.recordings.verified import verify

__all__ = ["Recording", "Recordings", "from_events", "load", "verify"]

show(
    __name__,
    {
        "recording": "Recording",
        "recordings": "Recordings load",
        "verified": "verify",
        "given": "from_events",
    },
)
