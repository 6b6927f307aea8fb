"""The one background thread with an event loop, the way onto it, and waiting for what runs there.

Everything async is written once and runs here: :func:`submit` starts it, :func:`follow` waits for
it, :func:`follow_async` awaits it. The thread is started at first use and shared by all labs.
"""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import threading
import time
from collections.abc import Callable, Coroutine  # noqa: TC003 - annotates a module variable
from concurrent.futures import Future
from concurrent.futures import wait as _wait_for
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from firmly_nb.display.messages import coded_error, wrong_type

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal


Result = TypeVar("Result")
# Short enough that Ctrl-C is noticed at once also where waiting cannot be interrupted (Windows).
SHOW_EVERY_S = 0.1
# Closing streams takes a moment, a recorder that does not answer five seconds.
END_TIMEOUT_S = 10.0
EXIT_TIMEOUT_S = 5.0
THREAD_NAME = "firmly-nb"

_lock = threading.Lock()
_portal: BlockingPortal | None = None
_thread: threading.Thread | None = None
_owner_pid = 0
_closers: dict[object, Callable[[], Coroutine[Any, Any, None]]] = {}
_closing: set[asyncio.Task[None]] = set()


def portal() -> BlockingPortal:
    """Return the portal of this process, started if need be."""
    global _portal, _thread, _owner_pid  # noqa: PLW0603 - one for the process is the point
    with _lock:
        # After a fork the thread exists in the parent only, and so does what is to be closed.
        if _portal is None or _owner_pid != os.getpid():
            is_first = _portal is None
            if not is_first:
                _closers.clear()
            _portal, _thread = _start()
            _owner_pid = os.getpid()
            if is_first:
                atexit.register(_close)
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
            if ready.set_running_or_notify_cancel():
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
    try:
        return ready.result(), thread
    except KeyboardInterrupt:
        if not ready.cancel():  # nobody will know of it
            ready.result().start_task_soon(ready.result().stop)
        raise


class Running(Future[Result]):
    """Result of a coroutine that runs on the loop once it is begun; see :func:`submit`.

    A future that can be waited for in any thread. If it is cancelled, it is done only once the
    work has ended: by then streams are closed and recordings kept. Ctrl-C can come at any moment,
    also before whoever begins it has its task; then it ends all the same.
    """

    def __init__(self, function: Callable[..., Coroutine[Any, Any, Result]], *args: Any) -> None:
        super().__init__()
        self._pid = os.getpid()
        self._work: Callable[[], Coroutine[Any, Any, Result]] | None = partial(function, *args)
        self._is_begun = self._is_to_end = False
        self._task: Future[None] | None = None
        self._own: asyncio.Task[Any] | None = None

    def begin(self) -> None:
        """Have it run, if it does not yet."""
        if not self._is_begun:
            loop = portal()
            self._is_begun = True
            self._task = loop.start_task_soon(self._run)

    def cancel(self) -> bool:
        """Ask the work to end; False if it has ended already."""
        if self.done():
            return False
        self._is_to_end = True
        if not self._is_begun:
            self._leave()
        elif self._task:
            return self._task.cancel()
        else:
            # Whoever began it was interrupted: it may be on its way to the loop, or not.
            portal().start_task_soon(self._end_on_loop)
        return True

    def _leave(self) -> None:
        if super().cancel():
            self.set_running_or_notify_cancel()

    def _end_on_loop(self) -> None:
        if self._own is None:
            self._leave()
        else:
            self._own.cancel()

    def check_process(self) -> None:
        """Refuse to wait in a fork for what runs in its parent: it would never end here."""
        if self._pid != os.getpid() and not self.done():
            raise forked("This order or call", "It goes on there.")

    @property
    def is_begun(self) -> bool:
        """True once it was begun."""
        return self._is_begun

    @property
    def error(self) -> BaseException | None:
        """Error of the coroutine; None while it runs, after a cancel, and after success."""
        return self.exception() if self.done() and not self.cancelled() else None

    async def _run(self) -> None:
        self._own, work, self._work = asyncio.current_task(), self._work, None
        if self._is_to_end or work is None:
            self._leave()
            return
        try:
            result = await work()
        except asyncio.CancelledError:
            self._leave()
            raise
        except BaseException as error:
            self.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            self.set_result(result)


def submit(function: Callable[..., Coroutine[Any, Any, Result]], *args: Any) -> Running[Result]:
    """Start a coroutine function on the loop and return at once.

    Raises
    ------
    RuntimeError
        If called on the loop's own thread.
    """
    check_thread()
    work = Running(function, *args)
    work.begin()
    return work


def check_thread() -> None:
    """Refuse to be used on the loop's own thread.

    Raises
    ------
    RuntimeError
        If it is that.
    """
    if threading.current_thread().name == THREAD_NAME:
        raise coded_error(
            RuntimeError,
            "FNB018",
            "A lab cannot be used from its own background loop: waiting would never end. Call it "
            "from another thread.",
        )


@dataclass(frozen=True)
class Patience:
    """Time that somebody waits for something, and the words of its end."""

    timeout_s: float | None = None  # None: as long as it takes
    what: str = "It"
    end: str = "cancel()"
    since: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Refuse a time that is not a number."""
        if self.timeout_s is not None and not isinstance(self.timeout_s, (int, float)):
            raise wrong_type("timeout_s", "a number of seconds", self.timeout_s, "timeout_s=60")

    def left_s(self) -> float:
        """Return for how long to wait from now on."""
        if self.timeout_s is None:
            return math.inf
        return max(self.since + self.timeout_s - time.monotonic(), 0.0)

    def check(self) -> None:
        """Raise once it is over; what was waited for goes on.

        Raises
        ------
        TimeoutError
            If it is over.
        """
        if not self.left_s():
            text = f"{self.what} is still running after {self.timeout_s:g} s. Wait longer, or stop"
            raise coded_error(TimeoutError, "FNB706", f"{text} it with {self.end}.")


FOREVER = Patience()


def follow(
    work: Running[Result],
    show: Callable[[], object] | None = None,
    stop: Callable[[], object] | None = None,
    *,
    every_s: float = SHOW_EVERY_S,
    patience: Patience = FOREVER,
) -> Result:
    """Wait in this thread for what runs on the loop, and return its result.

    Ctrl-C stops the work, waits until it has ended and is raised again.

    Parameters
    ----------
    work
        What to wait for.
    show
        Shows how far it is: called every ``every_s`` seconds and once at the end. Printing from the
        background thread would not arrive in a notebook, so whoever waits does it.
    stop
        Ends the work early; by default it is cancelled.
    patience
        How long to wait. Then it raises, and the work goes on.
    """
    work.check_process()
    show = show or _nothing
    try:
        work.begin()
        while not _wait_for({work}, min(every_s, patience.left_s())).done:
            show()
            patience.check()
    except KeyboardInterrupt:
        (stop or work.cancel)()
        late = time.monotonic() + END_TIMEOUT_S
        while not _wait_for({work}, every_s).done and time.monotonic() < late:
            pass  # a second Ctrl-C is noticed as soon as the first
        show()
        raise
    show()
    return work.result()


async def follow_async(
    work: Running[Result],
    show: Callable[[], object] | None = None,
    stop: Callable[[], object] | None = None,
    *,
    every_s: float = SHOW_EVERY_S,
    patience: Patience = FOREVER,
) -> Result:
    """Wait on the running loop, which goes on meanwhile; cancelling the task is its Ctrl-C.

    The arguments are those of :func:`follow`.
    """
    from anyio import CancelScope

    work.check_process()
    work.begin()
    show = show or _nothing
    future = asyncio.wrap_future(work)
    try:
        while not (await asyncio.wait({future}, timeout=min(every_s, patience.left_s())))[0]:
            show()
            patience.check()
    except asyncio.CancelledError:
        (stop or work.cancel)()
        # A cancel scope of the caller would cancel this waiting as well, again and again.
        with CancelScope(shield=True):
            await asyncio.wait({future}, timeout=END_TIMEOUT_S)
        show()
        raise
    show()
    return future.result()


def _nothing() -> None:
    """Show nothing."""


def close_at_exit(close: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Have something closed on the loop before the loop ends; returns the key to forget it by."""
    key = object()
    _closers[key] = close
    return key


def close_soon(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Close something on the loop without waiting for it.

    For finalizers: they run in any thread, the loop's own among them, and in the midst of anything.
    So nothing is started here, and no lock is taken. In a fork nothing is closed: it is the
    parent's.
    """
    if _portal is None or _owner_pid != os.getpid():
        return
    with suppress(RuntimeError):  # the loop has ended
        if threading.current_thread() is _thread:
            task = asyncio.get_running_loop().create_task(close())
            _closing.add(task)
            task.add_done_callback(_closing.discard)
        else:
            _portal.start_task_soon(close)


def forked(what: str, so: str) -> RuntimeError:
    """Return the error for something of a parent that is used in its fork."""
    text = f"{what} belongs to the process that this one was forked from. {so}"
    return coded_error(RuntimeError, "FNB024", text)


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
