"""Asking somebody else's code for the next order, without anybody having to wait for it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Thing = TypeVar("Thing")


def next_in_thread(things: Iterator[Thing]) -> asyncio.Future[Thing | None]:
    """Ask an iterator for its next thing in a thread of its own; None at its end.

    Not ``asyncio.to_thread``: its threads are waited for when the loop or the interpreter ends, and
    a generator that never answers would hold up both.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Thing | None] = loop.create_future()

    def tell(thing: Thing | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(thing)
        else:
            answer.set_exception(error)

    def ask() -> None:
        thing, error = None, None
        try:
            thing = next(things, None)
        except BaseException as failure:  # noqa: BLE001 - raised again where it is awaited
            error = failure
        with suppress(RuntimeError):  # the loop may be gone by now
            loop.call_soon_threadsafe(tell, thing, error)

    threading.Thread(target=ask, name="firmly-nb orders", daemon=True).start()
    return answer
