"""The body of an answer, grouped by the socket read that brought it.

A task of its own takes the chunks off the connection and notes for each which read it came with. It
does nothing else, and it goes on without a pause while chunks of the same read are at hand. So a
group is always whole: whoever takes it knows which bytes were the last of their read, and with
that how far off an event's time can be.

Groups are given out one at a time, over all streams of the event loop, and between two of them the
loop looks at its sockets: what waits in a socket while the groups of others are worked on could be
two events, and those would have one stamp.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from firmly_nb.recording.network import Read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

Group = tuple[Read, list[bytes]]

_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
    weakref.WeakKeyDictionary()
)


def last_read(response: httpx.Response) -> Read:
    """Return the stamped read that the answer's connection did last.

    Raises
    ------
    TypeError
        If the answer did not come over a stamping transport.
    """
    stream = response.extensions.get("network_stream")
    read = stream.get_extra_info("last_read") if stream is not None else None
    if not isinstance(read, Read):
        raise TypeError("recording needs firmly_nb.recording.transport.StampingTransport")
    return read


@asynccontextmanager
async def read_groups(response: httpx.Response) -> AsyncIterator[AsyncIterator[Group]]:
    """Read an answer's body in a task of its own; iterate over ``(read, chunks)``.

    The iterator raises what the connection raised, after every group that came before it.
    """
    groups: deque[Group] = deque()
    arrived = asyncio.Event()

    async def read_all() -> None:
        try:
            async for chunk in response.aiter_raw():
                read = last_read(response)
                if groups and groups[-1][0] is read:
                    groups[-1][1].append(chunk)
                else:
                    groups.append((read, [chunk]))
                arrived.set()
        finally:
            arrived.set()

    async def take() -> AsyncIterator[Group]:
        while groups or not reader.done():
            await arrived.wait()
            await _turn()
            if groups:
                yield groups.popleft()
            if not groups and not reader.done():
                arrived.clear()
        reader.result()

    reader = asyncio.create_task(read_all())
    try:
        yield take()
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await reader


async def _turn() -> None:
    """Wait until the event loop has read its sockets since the last turn.

    In one pass it finds those that have something, in the next one their readers read.
    """
    lock = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with lock:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
