"""From bytes on a socket to records on disk, in a process of its own.

- ``records``: :class:`Start`, :class:`Event`, :class:`End`: what is written of an order;
- ``journal``: :func:`default_directory`, where; :func:`read_journal`; :class:`JournalError`;
- ``process``: :class:`RecorderError`: the recorder could not be started, or ended;
- ``calibration``: :class:`Calibration` says how far off times are. For studies of your own,
  :class:`Sender` sends a :class:`Pattern` of events and :func:`errors_picture` draws the errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.recorder.calibration import (
        Calibration,
        CalibrationError,
        Pattern,
        Sender,
        errors_picture,
    )
    from firmly_nb.recorder.journal import JournalError, default_directory, read_journal
    from firmly_nb.recorder.process import RecorderError
    from firmly_nb.recorder.records import End, Event, Start

__all__ = [
    "Calibration",
    "CalibrationError",
    "End",
    "Event",
    "JournalError",
    "Pattern",
    "RecorderError",
    "Sender",
    "Start",
    "default_directory",
    "errors_picture",
    "read_journal",
]

show(
    __name__,
    {
        "calibration": "Calibration CalibrationError Pattern Sender errors_picture",
        "journal": "JournalError default_directory read_journal",
        "process": "RecorderError",
        "records": "End Event Start",
    },
)
