"""The protocol between a notebook and its recorder, version 1.

Both directions carry frames: four bytes of length (big endian), then one JSON object with ``type``.
The recorder's first frame comes after ``GREETING``: whatever stands before it was printed by
something else while the interpreter started, and is passed over.

To the recorder:

========== ==================================================== ===================================
``type``   further keys                                         meaning
========== ==================================================== ===================================
``hello``  ``version``, ``card_url``, ``ca_file``, ``journal``, first message: where orders go and
           ``keep_personal``                                    where journals are kept
``place``  ``id``, ``job``                                      record this order
``cancel`` ``id``                                               close its stream; an end follows
``recall`` ``id``                                               do not send it, if it is not begun
========== ==================================================== ===================================

From the recorder:

========== ==================================================== ===================================
``type``   further keys                                         meaning
========== ==================================================== ===================================
``ready``  ``version``, ``pid``                                 answer to ``hello``
``record`` ``id``, ``record``                                   one of ``records``, in order
``failed`` ``id``, ``error``, ``message``                       no end will follow, and why; without
                                                                a start before it nothing was sent
========== ==================================================== ===================================

The pipe is the only way a secret (token, encrypted card) takes to the recorder: not the command
line, not the environment, not a file. Closing the recorder's input ends it.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.secrets import Secret, SecretStr
from firmly_nb.recording.records import Start, from_dict

if TYPE_CHECKING:
    from firmly_nb.recording.recorder import Job

VERSION = 1
GREETING = b"\0firmly-nb recorder\n"
LENGTH = struct.Struct(">I")
# An event is at most 8 MiB unless more is asked for. Text that is taken for a length is always
# longer than this.
MAX_FRAME_BYTES = 256 * 1024 * 1024


class PipeError(ValueError):
    """What came or was to go through the pipe is no message."""


def frame(message: dict[str, Any]) -> bytes:
    r"""Write one message.

    Raises
    ------
    PipeError
        If it is longer than ``MAX_FRAME_BYTES``.

    Examples
    --------
    >>> frame({"type": "cancel", "id": "a"})
    b'\x00\x00\x00\x1a{"type":"cancel","id":"a"}'
    """
    body = orjson.dumps(message, default=_opened)
    if len(body) > MAX_FRAME_BYTES:
        raise PipeError(f"a message of {len(body)} bytes is too long for the pipe")
    return LENGTH.pack(len(body)) + body


def _opened(value: Any) -> Any:
    if isinstance(value, Secret | SecretStr):
        return value.get_secret_value()
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Read one message; None when the other side is gone.

    Raises
    ------
    PipeError
        If what comes is no message. The pipe cannot be read any further then.
    """
    try:
        (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        if size > MAX_FRAME_BYTES:
            raise PipeError(f"a message of {size} bytes was announced: that is no message")
        message = orjson.loads(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except orjson.JSONDecodeError:
        raise PipeError("a message is no JSON") from None
    if not isinstance(message, dict):
        raise PipeError("a message is no JSON object")
    return message


def job_message(job: Job) -> dict[str, Any]:
    """Write a job for the pipe; what is secret is opened by :func:`frame` and not before."""
    return {
        "start": job.start,
        "body": Secret(job.body),
        "token": job.token,
        "headers": job.headers,
        "keep_raw": job.keep_raw,
        "planned_ns": job.planned_ns,
        "max_event_bytes": job.max_event_bytes,
        "max_stream_bytes": job.max_stream_bytes,
    }


def read_job(message: dict[str, Any]) -> Job:
    """Read a job back."""
    from firmly_nb.recording.recorder import Job

    start = from_dict(message.pop("start"))
    if not isinstance(start, Start):
        raise TypeError("a job begins with a start record")
    return Job(start=start, token=SecretStr(message.pop("token")), **message)
