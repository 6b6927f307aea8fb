"""Static pictures of charts: one browser in the background, started once, never in the way.

Kaleido drives the Chrome or Chromium of the machine. It stands here behind a thread and a loop of
its own, so that it works inside a running kernel, with limits of time, because its own synchronous
server waits for ever if its browser dies. Where there is no browser there is no picture: a warning
says so, nothing is raised, and nothing is tried again. It opens local files only: MathJax from the
network is off.
What its libraries log reaches who set up logging, and no cell: what went wrong, ``failure`` says.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import shutil
import sys
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping


SETTING = "FIRMLY_NB_PICTURES"
OPEN_LIMIT_S, DRAW_LIMIT_S, CLOSE_LIMIT_S = 30.0, 20.0, 5.0
IDLE_S = 120.0
LIBRARIES = ("kaleido", "choreographer")
NO_PICTURES = "Charts have no pictures"
TRIES = 3
WIDTH_PX, SCALE = 900, 1  # more pixels would make notebooks megabytes large


def wanted() -> bool:
    """Return whether a chart that is displayed now needs a picture made by us.

    A front end that a Jupyter server started draws the chart itself and saves a picture beside it;
    so that the analyst waits for nothing, none is made there. A kernel without a server (nbclient,
    ``jupyter execute``, papermill) has nobody who would. ``FIRMLY_NB_PICTURES`` set to ``always``
    or ``never`` decides otherwise. A terminal shows no pictures.
    """
    setting = os.environ.get(SETTING, "auto")
    if setting in {"always", "never"}:
        return setting == "always"
    return "JPY_SESSION_NAME" not in os.environ and not _in_terminal()


def picture(
    figure: Mapping[str, Any], height_px: int, *, width_px: int = WIDTH_PX, kind: str = "png"
) -> bytes | None:
    """Draw a figure; None where this machine has no browser that could.

    Parameters
    ----------
    figure
        A Plotly figure as plain data.
    height_px, width_px
        Its size in pixels.
    kind
        ``png``, or ``webp``, which takes a third of the room.
    """
    size = {"width": width_px, "height": height_px, "scale": SCALE}
    drawn = _browser.draw(figure, {"format": kind, **size})
    if drawn is None:
        warnings.warn(missing(), stacklevel=2)  # Python shows it once
    return drawn


def missing() -> str:
    """Return a sentence about pictures that are missing, and what to do; empty if none is."""
    why = why_none()
    advice = "Install Chrome or Chromium; firmly-nb doctor looks for it."
    return f"{NO_PICTURES} ({why}). {advice}" if why else ""


def why_none() -> str | None:
    """Return why there are no pictures on this machine, as far as is known by now."""
    return _browser.failure


class _Browser:
    """Kaleido on a loop of its own; opened when first used, closed when idle and at exit."""

    def __init__(self) -> None:
        self.failure: str | None = None
        self._tries_left = TRIES
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._kaleido: Any = None
        self._idle: asyncio.TimerHandle | None = None

    def draw(self, figure: Mapping[str, Any], options: Mapping[str, Any]) -> bytes | None:
        """Return the picture's bytes, or None; then ``failure`` says why."""
        with self._lock:
            if self._tries_left <= 0:
                return None
            try:
                self._wait(self._open(), OPEN_LIMIT_S)
                drawn: bytes = self._wait(self._draw(figure, options), DRAW_LIMIT_S)
            except Exception as error:  # noqa: BLE001 - without a picture it is still a chart
                self.failure = f"{type(error).__name__}: {str(error).split('. ', 1)[0]}"
                # One that opens may have stumbled over one drawing; one that does not, will not.
                self._tries_left = self._tries_left - 1 if self._kaleido is not None else 0
                self._close()
                return None
            self.failure, self._tries_left = None, TRIES
            return drawn

    def close(self) -> None:
        """Close the browser; the next picture opens it again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(Exception):
                self._wait(self._shut(), CLOSE_LIMIT_S)

    def _wait(self, work: Coroutine[Any, Any, Any], limit_s: float) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(
                target=self._loop.run_forever, name="firmly-nb pictures", daemon=True
            ).start()
            atexit.register(self.close)
        # The limit stands on the work too: what is given up must not go on.
        limited = _within(limit_s, work)
        return asyncio.run_coroutine_threadsafe(limited, self._loop).result(limit_s + 1)

    async def _open(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._kaleido is None:
            from kaleido import Kaleido  # type: ignore[import-untyped] # kaleido has no types

            _keep_off_the_screen()
            browser = Kaleido(n=1, timeout=DRAW_LIMIT_S, mathjax=False)
            try:
                await browser.open()
            except BaseException:
                with contextlib.suppress(Exception):
                    await browser.close()
                raise
            _forgive_leftovers(browser)
            self._kaleido = browser

    async def _draw(self, figure: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
        drawn: bytes = await self._kaleido.calc_fig(figure, opts=dict(options))
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(IDLE_S, lambda: loop.create_task(self._shut()))
        return drawn

    async def _shut(self) -> None:
        browser, self._kaleido = self._kaleido, None
        if self._idle is not None:
            self._idle.cancel()
        if browser is not None:
            await browser.close()


async def _within(limit_s: float, work: Coroutine[Any, Any, Any]) -> Any:
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await work
    except Exception:
        # What a browser says that is given up is not the reason why it was.
        if limit.expired():
            raise TimeoutError from None
        raise


def _forgive_leftovers(kaleido: Any) -> None:
    # A browser that still writes while its folders are removed makes that fail. Python would print
    # the traceback at exit, over the analyst's work, so removing them is tried without a word.
    impl = getattr(kaleido, "_browser_impl", None)
    for folder in (getattr(impl, "tmp_dir", None), getattr(kaleido, "_html_tmp_dir", None)):
        made: Any = getattr(folder, "temp_dir", None)
        finalizer = getattr(made, "_finalizer", None)
        if finalizer is not None and finalizer.detach():
            weakref.finalize(made, shutil.rmtree, made.name, ignore_errors=True)


def _keep_off_the_screen() -> None:
    # Without a handler of their own Python prints their warnings and errors in the cell. One of
    # them is about nothing: a farewell that reaches the pipe together with a last message.
    for name in LIBRARIES:
        logging.getLogger(name).addHandler(_nobody)


def _in_terminal() -> bool:
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive is not None else None
    return shell is not None and not hasattr(shell, "kernel")


def _fresh_browser() -> None:
    # A forked process has neither the thread nor the pipe of its parent's browser.
    global _browser  # noqa: PLW0603 - one for each process is the point
    _browser = _Browser()


_browser = _Browser()
_nobody = logging.NullHandler()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_browser)
