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
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal


Result = TypeVar("Result")
# Short enough that Ctrl-C is noticed at once also where waiting cannot be interrupted (Windows).
WAIT_SLICE_S = 0.1
EXIT_TIMEOUT_S = 5.0
THREAD_NAME = "firmly-nb"

_lock = threading.Lock()
_portal: BlockingPortal | None = None
_thread: threading.Thread | None = None
_owner_pid = 0
_closers: dict[object, Callable[[], Coroutine[Any, Any, None]]] = {}


def portal() -> BlockingPortal:
    """Return the portal of this process, started if need be."""
    global _portal, _thread, _owner_pid  # noqa: PLW0603 - one for the process is the point
    with _lock:
        # After a fork the thread exists in the parent only, and so does what is to be closed.
        if _portal is None or _owner_pid != os.getpid():
            if _portal is None:
                atexit.register(_close)
            else:
                _closers.clear()
            _portal, _thread = _start()
            _owner_pid = os.getpid()
    return _portal


def _start() -> tuple[BlockingPortal, threading.Thread]:
    """Start the thread.

    Not anyio's ``start_blocking_portal``: a forked child that drops its context waits for ever for
    a thread that it does not have.
    """
    import anyio
    from anyio.from_thread import BlockingPortal

    ready: Future[BlockingPortal] = Future()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            ready.set_result(portal)
            await portal.sleep_until_stopped()

    def run() -> None:
        try:
            anyio.run(serve, backend="asyncio")
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run, name=THREAD_NAME, daemon=True)
    thread.start()
    return ready.result(), thread


def submit(function: Callable[..., Coroutine[Any, Any, Result]], *args: Any) -> Future[Result]:
    """Start a coroutine on the loop; the future can be waited for, awaited or cancelled.

    Raises
    ------
    RuntimeError
        If called on the loop's own thread.
    """
    if threading.current_thread().name == THREAD_NAME:
        raise RuntimeError(
            "a lab cannot be used from its own background loop, where waiting would never end"
        )
    future: Future[Result] = portal().start_task_soon(function, *args)
    return future


def wait(future: Future[Result]) -> Result:
    """Wait for a future, in slices; Ctrl-C cancels it, lets it end properly and is raised again."""
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
    # What is still running now would hold up the end of the process.
    _portal.start_task_soon(_portal.stop, True)
    if _thread:
        _thread.join(EXIT_TIMEOUT_S)
