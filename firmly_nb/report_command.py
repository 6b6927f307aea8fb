"""``firmly-nb report``: a page about recordings, from a terminal or from cron.

The exit code says how it went: 0 the page is written, 1 it is and ``--check`` found orders slower
or fewer of them placed, 2 nothing is written. With ``--quiet`` it is silent unless something is
wrong, so that cron mails only then.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firmly_nb.terminal import console_of

if TYPE_CHECKING:
    from firmly_nb.recording.calibration import Calibration
    from firmly_nb.recording.recording import Recordings

WORSE = 1
VERDICTS = ("slower", "fewer placed")


def report(  # noqa: PLR0913, PLR0917 - each is an option of its own
    path: Annotated[Path, typer.Argument(help="A saved set, a journal or a folder of journals.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page; replaced as a whole or not at all.")
    ] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="Its heading.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Earlier recordings to hold these against.")
    ] = None,
    margin: Annotated[
        float, typer.Option(help="Smallest change that matters: 0.10 for 10%.")
    ] = 0.10,
    check: Annotated[
        bool,
        typer.Option(help="With --compare: exit with 1 if orders are slower, or fewer placed."),
    ] = False,
    calibrate: Annotated[
        bool, typer.Option(help="Measure first how far off times are on this machine, now.")
    ] = False,
    pictures: Annotated[
        bool, typer.Option(help="Pictures of the charts for readers without JavaScript.")
    ] = True,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing unless something is wrong.")
    ] = False,
) -> None:
    """Write a page about recordings: sentences, tables, charts; it needs no network to be read."""
    from firmly_nb.latency.report import report as write_report

    if check and compare is None:
        raise ValueError("--check needs --compare: earlier recordings to hold these against")
    recs = _loaded(path)
    earlier = _loaded(compare) if compare else None
    calibration = _calibration() if calibrate else None
    try:
        written = write_report(
            recs,
            output,
            title,
            calibration=calibration,
            compare_with=earlier,
            margin=margin,
            pictures=pictures,
        )
    except OSError as error:
        if error.strerror is None:
            raise
        raise OSError(f"{output} cannot be written: {error.strerror}") from error
    if not quiet:
        console = console_of()
        noun = "order" if len(recs) == 1 else "orders"
        size = written.stat().st_size / 1e6
        console.print(
            f"{written}: {len(recs):,} {noun}, {size:.1f} MB", markup=False, soft_wrap=True
        )
    if earlier is not None:
        worse = _told_worse(recs, earlier, margin, aloud=not quiet, check=check)
        raise typer.Exit(WORSE if worse else 0)


def _loaded(path: Path) -> Recordings:
    from firmly_nb.recording.store import load

    if not path.exists():
        raise FileNotFoundError(f"there is nothing at {path}")
    recs = load(path)
    if not len(recs):
        raise ValueError(f"there are no recordings in {path}")
    return recs


def _calibration() -> Calibration:
    from firmly_nb.lab import connect

    with connect() as lab:
        return lab.calibrate()


def _told_worse(
    recs: Recordings, earlier: Recordings, margin: float, *, aloud: bool, check: bool
) -> bool:
    """Say the verdict; return whether a check finds it bad, which is said to cron, too."""
    found = earlier.compare(recs, margin)
    verdicts = {found.order.verdict, found.success.verdict, *(d.verdict for d in found.differences)}
    worse = check and not verdicts.isdisjoint(VERDICTS)
    if aloud or worse:
        sys.stdout.write(f"{found.verdict}\n")
    return worse
