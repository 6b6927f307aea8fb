"""The one background thread with an event loop, and the one way onto it.

Everything async is written once and runs here; ``Lab`` has a face that waits and a face that can be
awaited (design.md, section 4). The thread is started at first use and shared by all labs.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine  # noqa: TC003 - annotates a module variable
from concurrent.futures import Future
from concurrent.futures import wait as _wait_for
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

Result = TypeVar("Result")
# Short enough that Ctrl-C is noticed at once also where waiting cannot be interrupted (Windows).
WAIT_SLICE_S = 0.1
EXIT_TIMEOUT_S = 5.0

_lock = threading.Lock()
_stack = ExitStack()
_portal: BlockingPortal | None = None
_owner_pid = 0
_closers: dict[object, Callable[[], Coroutine[Any, Any, None]]] = {}


def portal() -> BlockingPortal:
    """Return the portal of this process, started if need be."""
    global _portal, _owner_pid, _stack  # noqa: PLW0603 - one for the process is the point
    with _lock:
        # After a fork the thread exists in the parent only.
        if _portal is None or _owner_pid != os.getpid():
            from anyio.from_thread import start_blocking_portal

            _stack = ExitStack()
            _portal = _stack.enter_context(start_blocking_portal("asyncio", name="firmly-nb"))
            _owner_pid = os.getpid()
            atexit.register(_close)
    return _portal


def submit(function: Callable[..., Coroutine[Any, Any, Result]], *args: Any) -> Future[Result]:
    """Start a coroutine on the loop; the future can be waited for, awaited or cancelled."""
    future: Future[Result] = portal().start_task_soon(function, *args)
    return future


def wait(future: Future[Result]) -> Result:
    """Wait for a future, in slices; Ctrl-C cancels it, lets it end properly and is raised again.

    Raises
    ------
    RuntimeError
        If called on the portal's own thread, where waiting would never end.
    """
    if threading.current_thread().name == "firmly-nb":
        raise RuntimeError(
            "a waiting call on the background loop would never end; await the _async twin instead"
        )
    try:
        while True:
            try:
                return future.result(timeout=WAIT_SLICE_S)
            except TimeoutError:
                if future.done():
                    raise
    except KeyboardInterrupt:
        future.cancel()
        raise


async def awaited(future: Future[Result]) -> Result:
    """Await a future from any event loop; cancelling the task cancels the future."""
    return await asyncio.wrap_future(future)


def close_at_exit(close: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Have something closed on the loop before the loop ends; returns the key to forget it by."""
    key = object()
    _closers[key] = close
    return key


def forget(key: object) -> None:
    """Take back :func:`close_at_exit`."""
    _closers.pop(key, None)


def _close() -> None:
    if _owner_pid != os.getpid() or _portal is None:
        return
    futures = [_portal.start_task_soon(close) for close in _closers.values()]
    _closers.clear()
    _wait_for(futures, timeout=EXIT_TIMEOUT_S)
    _stack.close()
