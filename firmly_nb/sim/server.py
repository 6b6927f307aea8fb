"""Starting the simulator in a process of its own, and the handle to it.

This module imports neither starlette nor uvicorn: only the child does.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from firmly_nb.sim.settings import MoreOptions, ReplayOptions, Settings, checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


PREFIX = "firmly-sim-"  # of the folder of each simulator
LOG = "log.txt"
TAPE = "recorded.tape"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 3.0


class SimulatorError(RuntimeError):
    """A simulator that did not start, or does not answer; its log is quoted."""


def start(
    *,
    profile: str = "typical",
    seed: int = 7,
    port: int = 0,
    event_names: str = "reference",
    **more: Unpack[MoreOptions],
) -> Simulator:
    """Start a simulator on loopback and return when it answers.

    It ends with :meth:`Simulator.stop`, at the end of a ``with`` block, or with this process,
    however that ends.

    Parameters
    ----------
    profile
        Latency profile: ``calm``, ``typical``, ``slow-shipping``, ``bimodal``, ``degrading``,
        ``daily``, ``deploy`` or ``instant``.
    seed
        Seed of every draw.
    port
        0 takes a free one.
    event_names
        ``reference`` or ``guide``: firmly's pages name two sets.
    **more
        Any other field of :class:`firmly_nb.sim.settings.Settings`.

    Raises
    ------
    ValueError
        For an unknown name.
    SimulatorError
        If it does not start.

    Examples
    --------
    >>> with start(profile="instant") as simulator:
    ...     simulator.truth()
    []
    """
    settings = checked(
        Settings(profile=profile, seed=seed, port=port, event_names=event_names, **more)
    )
    return Simulator(settings)


def start_replay(
    write_tape: Callable[[Path], object],
    *,
    seed: int | None = None,
    **more: Unpack[ReplayOptions],
) -> Simulator:
    """Start a simulator that answers orders with recorded ones; see :func:`start`.

    Parameters
    ----------
    write_tape
        Writes the recorded orders to a file.
    seed
        Draws orders; without it they come in turn.
    **more
        ``speed``, ``slow`` and what any simulator has.
    """
    drawn: dict[str, Any] = {} if seed is None else {"seed": seed, "drawn": True}
    # A tape is named for the check: it is written once the settings are known to be right.
    settings = checked(Settings(replay=TAPE, **drawn, **more))
    return Simulator(settings, write_tape)


class Simulator:
    """A running simulator.

    Attributes
    ----------
    url
        Base URL of both the API's and the card service's paths.
    app_id
        The app id that it accepts. Made anew at each start.
    pid
        Number of its process.
    domains
        Its merchants.
    certificate
        With TLS, the file of the authority to trust; else None.
    recorded_orders
        Of a replay, how many orders it has; else None.
    settings
        Its settings.
    """

    def __init__(
        self, settings: Settings, write_tape: Callable[[Path], object] | None = None
    ) -> None:
        self.settings = settings
        _remove_abandoned()
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        held = _held(self._folder)
        if write_tape:
            self.settings = replace(settings, replay=str(self._folder / TAPE))
            try:
                write_tape(self._folder / TAPE)
            except BaseException:
                _remove(self._folder, held)
                raise
        self._turn = threading.Lock()
        self._process = self._spawn()
        weakref.finalize(self, _clean_up, self._process, self._folder, held, os.getpid())
        ready = self._read_line()
        if not ready:
            self.stop()
            raise SimulatorError(f"the simulator did not start:\n{self.logs()}")
        self.url: str = ready["url"]
        self.app_id: str = ready["app_id"]
        self.pid: int = ready["pid"]
        self.certificate: str | None = ready.get("certificate")
        self.recorded_orders: int | None = ready.get("recorded_orders")
        self.domains: frozenset[str] = frozenset(ready["domains"])

    def _spawn(self) -> subprocess.Popen[str]:
        folder = self._folder
        flags = [*self.settings.flags(), "--folder", str(folder), "--held"]
        package = str(Path(__file__).resolve().parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        # What is meant for staging is not for everyone who can look at this process.
        inherited = {name: v for name, v in os.environ.items() if name != "FIRMLY_APP_ID"}
        with (folder / LOG).open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own module, in our own interpreter
                [sys.executable, "-m", "firmly_nb.sim", *flags],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env={**inherited, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # an interrupt of the notebook is not meant for it
            )

    def _read_line(self) -> dict[str, Any]:
        """Return the child's next line, or nothing if none comes in time."""
        lines: list[str] = []
        stream = self._process.stdout
        reader = threading.Thread(
            target=lambda: lines.append(stream.readline() if stream else ""), daemon=True
        )
        reader.start()
        reader.join(START_TIMEOUT_S)
        return json.loads(lines[0]) if lines and lines[0] else {}

    @property
    def running(self) -> bool:
        """True while the process exists."""
        return self._process.poll() is None

    def _command(self, command: str) -> dict[str, Any]:
        with self._turn:
            try:
                self._tell(command)
            except OSError:
                raise SimulatorError(f"the simulator is not running:\n{self.logs()}") from None
            return self._read_line()

    def _tell(self, command: str) -> None:
        if self._process.stdin is None:
            raise BrokenPipeError
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def truth(self) -> list[dict[str, Any]]:
        """Return the log of what was sent and when: one entry for each event, in order of sending.

        Keys: ``order``, ``request_id``, ``domain``, ``cart_id``, ``order_number``, ``error`` (how
        the order ends), ``mode`` (``sse`` or ``plain``), ``profile``, ``fault``, ``seq``,
        ``stage``, ``event``, ``drawn_ms`` (the stage's drawn delay), ``due_ms`` (since the start
        of the stream), ``sent_wall_ns``, ``sent_mono_ns`` (clocks read immediately before the
        write), ``late_us``, ``bytes``. It can be read after the simulator has stopped.
        """
        from firmly_nb.sim.truth import read_truth

        if self.running:
            self._command("flush")
        return read_truth(self._folder)

    def rotate_key(self) -> str:
        """Put a new card key in place, and return its id; the key before it stays valid."""
        return str(self._command("rotate")["kid"])

    def revoke_tokens(self) -> None:
        """Refuse every device token from now on; a renewed session then has a new device."""
        self._command("revoke")

    def logs(self) -> str:
        """Return the log of the process."""
        path = self._folder / LOG
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def stop(self) -> None:
        """End the process; calling it again does nothing."""
        with contextlib.suppress(OSError, ValueError):
            self._tell("stop")
        _end(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = self.url if self.running else "stopped"
        if self.recorded_orders is not None:
            return f"<Simulator {state}, replay of {self.recorded_orders} recorded orders>"
        return f"<Simulator {state}, profile {self.settings.profile}, seed {self.settings.seed}>"


def _end(process: subprocess.Popen[str]) -> None:
    """Close the pipe that keeps the child alive, and wait for its end."""
    with contextlib.suppress(OSError, ValueError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _clean_up(
    process: subprocess.Popen[str], folder: Path, held: int | None, owner_pid: int
) -> None:
    if owner_pid != os.getpid():  # a fork: both are its parent's
        return
    _end(process)
    _remove(folder, held)


def _remove(folder: Path, held: int | None) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    if held is not None:
        os.close(held)


def _held(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives, and a fork that has the lock with it.

    Return the descriptor; None if it is in use, or the system has no such locks.
    """
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned() -> None:
    """Remove the folders of simulators that were killed together with those who started them."""
    import shutil

    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            # One without a log has only just been made, or is not ours.
            if (folder / LOG).exists() and (held := _held(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)
