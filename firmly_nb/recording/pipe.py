"""The protocol between a notebook and its recorder, version 1.

Both directions carry frames: four bytes of length (big endian), then one JSON object with ``type``.

To the recorder:

========== ==================================================== ===================================
``type``   further keys                                         meaning
========== ==================================================== ===================================
``hello``  ``version``, ``card_url``, ``ca_file``, ``journal``, first message: where orders go and
           ``keep_personal``                                    where journals are kept
``place``  ``id``, ``job``                                      record this order
``cancel`` ``id``                                               close its stream; an end follows
========== ==================================================== ===================================

From the recorder:

========== ==================================================== ===================================
``type``   further keys                                         meaning
========== ==================================================== ===================================
``ready``  ``version``, ``pid``                                 answer to ``hello``
``record`` ``id``, ``record``                                   one of ``records``, in order
``failed`` ``id``, ``message``                                  nothing was sent, and why
========== ==================================================== ===================================

The pipe is the only way a secret (token, encrypted card) takes to the recorder: not the command
line, not the environment, not a file. Closing the recorder's input ends it.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.secrets import SecretStr
from firmly_nb.recording.records import Start, from_dict

if TYPE_CHECKING:
    from firmly_nb.recording.recorder import Job

VERSION = 1
LENGTH = struct.Struct(">I")


def frame(message: dict[str, Any]) -> bytes:
    r"""Write one message.

    Examples
    --------
    >>> frame({"type": "cancel", "id": "a"})
    b'\x00\x00\x00\x1c{"type":"cancel","id":"a"}'
    """
    body = orjson.dumps(message)
    return LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Read one message; None when the other side is gone."""
    try:
        (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        message: dict[str, Any] = orjson.loads(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return message


def job_message(job: Job) -> dict[str, Any]:
    """Write a job, secrets and all, for the pipe."""
    return {
        "start": job.start,
        "body": job.body,
        "token": job.token.get_secret_value(),
        "headers": job.headers,
        "keep_raw": job.keep_raw,
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
