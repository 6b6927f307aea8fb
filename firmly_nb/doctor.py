"""Is this machine fit for placing orders and timing them? ``firmly-nb doctor``.

Each finding is one fact, whether it is as it should be, and what to do if not. Nothing is sent
anywhere but to this machine, and no value of a secret is read out.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import socket
import sys
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmly_nb.api.secrets import APP_ID_VARIABLE
from firmly_nb.display.text import hanging, storage, uncertainty
from firmly_nb.environments import from_dotenv
from firmly_nb.recorder.journal import default_directory
from firmly_nb.settings_file import FILE, find_file, settings_of, user_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from firmly_nb.recorder.calibration import Calibration


PACKAGES = ("httpx", "httpcore", "pandas", "pydantic", "jwcrypto")
NOTEBOOKS = ("ipykernel", "ipywidgets", "jupyterlab")
MISSING = "not installed"
MINIMUM_PYTHON = (3, 11)
LOW_SPACE_BYTES = 500_000_000
SLOW_P99_MS = 1.0
# Clocks that take microseconds to read, as the kernel names them.
SLOW_CLOCKS = frozenset({"acpi_pm", "hpet", "jiffies", "pit"})
CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
MARK_WIDTH = 6
MARKS = {True: "ok", False: "not ok", None: "-"}
STYLES = {True: "green", False: "bold red", None: "dim"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding: its name, its value, whether that is good (None: neither) and what to do."""

    name: str
    found: str
    ok: bool | None = True
    advice: str = ""

    def __str__(self) -> str:
        text = f"{MARKS[self.ok]:{MARK_WIDTH}}  {self.name}: {self.found}"
        return f"{text}. {self.advice}" if self.advice else text


@dataclass(frozen=True, slots=True)
class Report:
    """All findings about this machine."""

    findings: tuple[Finding, ...]
    calibration: Calibration | None = None

    @property
    def ok(self) -> bool:
        """True if nothing needs to be done."""
        return all(finding.ok is not False for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as for JSON."""
        table = self.calibration.table.to_dict("records") if self.calibration else []
        findings = [asdict(finding) for finding in self.findings]
        return {"ok": self.ok, "findings": findings, "calibration": table}


def run(console: Console, *, as_json: bool = False) -> int:
    """Examine, print and return the exit code: 0 if nothing needs to be done, else 1."""
    if as_json:
        report = examine()
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
        return 0 if report.ok else 1
    with console.status("Measuring how far off times are on this machine (5 seconds)"):
        report = examine()
    show(report, console)
    return 0 if report.ok else 1


def show(report: Report, console: Console) -> None:
    """Print a line for each finding, then the calibration."""
    for finding in report.findings:
        style, text = STYLES[finding.ok], str(finding)
        shown = hanging(text, console.width, MARK_WIDTH + 2) if console.is_terminal else text
        console.print(shown, style=style, markup=False, highlight=False, soft_wrap=True)
    if report.calibration:
        console.print()
        console.print(repr(report.calibration), markup=False, highlight=False, soft_wrap=True)


def examine(*, measure: bool = True) -> Report:
    """Gather every finding.

    Parameters
    ----------
    measure
        Whether times are calibrated, which takes some 5 seconds.

    Examples
    --------
    >>> examine(measure=False).findings[0].name
    'python'
    """
    findings = [*versions(), *timing_facts(), *belongings()]
    if not measure:
        return Report(tuple(findings))
    finding, calibration = _calibration()
    return Report((*findings, finding), calibration)


def versions() -> Iterator[Finding]:
    """Say which versions are installed, and whether they are those that are needed."""
    needed = ".".join(map(str, MINIMUM_PYTHON))
    yield Finding(
        "python",
        platform.python_version(),
        sys.version_info >= MINIMUM_PYTHON,
        "" if sys.version_info >= MINIMUM_PYTHON else f"Python {needed} or later is needed.",
    )
    yield Finding("firmly-nb", version("firmly-nb"))
    bounds = _bounds()
    found = [_package(name, bounds.get(name, "")) for name in (*PACKAGES, *NOTEBOOKS)]
    yield from found[: len(PACKAGES)]
    if any(one.found != MISSING for one in found[len(PACKAGES) :]):
        yield from found[len(PACKAGES) :]
        return
    advice = "A small installation has none. Run pip install firmly-nb for all."
    yield Finding("notebooks", MISSING, None, advice)


def _bounds() -> dict[str, str]:
    # Comes with JupyterLab, as do half of the packages that are looked at here.
    from packaging.requirements import Requirement

    parsed = [Requirement(text) for text in requires("firmly-nb") or ()]
    return {r.name: str(r.specifier) for r in parsed if r.marker is None}


def _package(name: str, bounds: str) -> Finding:
    from packaging.specifiers import SpecifierSet

    install = f"pip install '{name}{bounds}'"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, MISSING, False, f"{install} adds it.")
    if SpecifierSet(bounds).contains(found, prereleases=True):
        return Finding(name, found)
    why = (
        "Widgets cannot be updated from threads in 7.0."
        if name == "ipykernel" and found.startswith("7.0.")
        else f"Needed is {bounds}."
    )
    return Finding(name, found, False, f"{why} {install} mends it.")


def timing_facts() -> Iterator[Finding]:
    """Say what the platform gives for exact times."""
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield Finding("system", system, None)
    yield _processors()
    stamps, counters = _probe_kernel()
    yield Finding(
        "kernel timestamps",
        "yes" if stamps else "no",
        stamps,
        ""
        if stamps
        else "Times are then taken after each read, and events tell so (clock: user). On Linux "
        "they are exact.",
    )
    yield Finding(
        "round-trip times (TCP_INFO)",
        "yes" if counters else "no",
        counters or None,
        ""
        if counters
        else "rtt_us, retransmits and reordered stay null. They need Linux 5.4 or later.",
    )
    if CLOCK_SOURCE.exists():
        yield _clock_source(CLOCK_SOURCE.read_text("utf-8").strip())
    yield _event_loop()
    yield _nested_loops()


def _processors() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    one = usable == 1
    advice = "Recorder and notebook take turns on it; more events will share a read." if one else ""
    return Finding("processors", str(usable), not one, advice)


def _probe_kernel() -> tuple[bool, bool]:
    """Send some bytes from here to here; return whether they were stamped and counted."""
    from firmly_nb.wire.stamps import receive_stamped, request_kernel_stamps, stamp_of, tcp_counters

    with (
        closing(socket.create_server(("127.0.0.1", 0))) as listener,
        closing(socket.socket()) as reader,
    ):
        reader.settimeout(5)
        asked = request_kernel_stamps(reader)
        reader.connect(listener.getsockname())
        writer, _ = listener.accept()
        stamped = False
        with closing(writer):
            # The kernel switches stamping on a moment later than asked.
            for _ in range(20 if asked else 0):
                writer.sendall(b"x")
                stamped = stamp_of(receive_stamped(reader, memoryview(bytearray(8)))[1]) is not None
                if stamped:
                    break
            return stamped, tcp_counters(reader) is not None


def _clock_source(name: str) -> Finding:
    slow = name in SLOW_CLOCKS
    return Finding(
        "clock source",
        name,
        not slow,
        "Each look at this clock takes microseconds. Often a setting of the virtual machine."
        if slow
        else "",
    )


def _event_loop() -> Finding:
    loop = asyncio.new_event_loop()
    name = type(loop).__name__
    loop.close()
    proactor = "Proactor" in name
    return Finding(
        "event loop",
        name,
        not proactor,
        "The recorder watches sockets, which this loop cannot. Set "
        "asyncio.WindowsSelectorEventLoopPolicy()."
        if proactor
        else "",
    )


def _nested_loops() -> Finding:
    applied = hasattr(asyncio, "_nest_patched")
    return Finding(
        "nest_asyncio",
        "applied" if applied else "not applied",
        None if applied else True,
        "Recorded times do not suffer, but clicks on widgets may get lost." if applied else "",
    )


def belongings() -> Iterator[Finding]:
    """Say where recordings and pages are, and whether there is an app id; never which one."""
    yield _journal(default_directory())
    yield _pages(Path(__file__).parent)
    yield _browser()
    settings = _settings()
    yield settings
    unread = settings.ok is False
    yield _app_id(APP_ID_VARIABLE if unread else settings_of("staging").app_id_variable)


def _browser() -> Finding:
    """Look for what draws the pictures of charts, as it is looked for when one is drawn."""
    try:
        from choreographer.browsers.chromium import Chromium
    except ImportError:
        advice = "A small installation draws no charts. Run pip install firmly-nb for all."
        return Finding("browser for pictures", "Kaleido is not installed", None, advice)
    found = Chromium.find_browser(skip_local=False)
    advice = "Charts have no static pictures, and reports say so. Install Chrome or Chromium."
    if found:
        return Finding("browser for pictures", str(found))
    return Finding("browser for pictures", "none", None, advice)


def _settings() -> Finding:
    try:
        settings_of("staging")
    except (OSError, ValueError, TypeError) as error:
        return Finding("settings", str(error).rstrip("."), False)
    path = find_file()
    looked = f"no {FILE} here or at {user_file()}"
    return Finding("settings", str(path) if path else looked, True if path else None)


def _pages(package: Path) -> Finding:
    # Installed, the pages that messages name are in the package; in a clone, beside it.
    folders = (package / "docs", package.parent / "docs")
    found = next((folder for folder in folders if (folder / "tables.md").exists()), None)
    return Finding("pages (docs/)", str(found) if found else "not installed", None)


def _journal(folder: Path) -> Finding:
    name = "journals (FIRMLY_NB_HOME)" if os.environ.get("FIRMLY_NB_HOME") else "journals"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        why = f"{folder} cannot be written ({error.strerror or error})"
        return Finding(name, why, False, "Set FIRMLY_NB_HOME to a folder that can be written.")
    low = free < LOW_SPACE_BYTES
    text = f"{folder}, {storage(free)} free"
    return Finding(name, text, not low, "Free some space: a full disk ends a journal." * low)


def _app_id(variable: str) -> Finding:
    name = "app id"
    if os.environ.get(variable):
        return Finding(name, f"set ({variable})")
    try:
        if from_dotenv(variable):
            return Finding(name, "set (.env)")
    except ValueError as error:
        return Finding(name, str(error), None, "Only staging needs an app id.")
    advice = f"Only staging needs one: set {variable}, or put it into a .env file."
    return Finding(name, "not set", None, advice)


def _calibration() -> tuple[Finding, Calibration | None]:
    from firmly_nb.recorder.calibration import calibrate

    name = "recorded times"
    try:
        calibration = calibrate()
    except (OSError, RuntimeError) as error:
        text = f"could not be measured ({type(error).__name__}: {error})"
        advice = "lab.place(..., isolated=False) records without a process of its own."
        return Finding(name, text, False, advice), None
    p99_ms = float(calibration.table["p99_ms"].max())
    slow = p99_ms > SLOW_P99_MS
    advice = "Something else keeps this machine busy: try again, or end it." if slow else ""
    return Finding(
        name, f"within {uncertainty(1000 * p99_ms)} (p99)", not slow, advice
    ), calibration
