"""A report: one HTML page that tells what some recordings say, to whoever opens it.

Sentences first, then tables, charts, and how every figure is defined. Nothing is fetched when it is
read, so it can be mailed, stored and opened without a network.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from firmly_nb.latency import report_sections as sections
from firmly_nb.latency.report_page import figure_html, whole_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

NAMES = ("before", "now")
LONGEST = 200


class Orders(Protocol):
    """What charts are made from: the tables of many recordings."""

    @property
    def event_times(self) -> pd.DataFrame: ...  # noqa: D102 - as in Recordings
    @property
    def stages(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    @property
    def orders(self) -> pd.DataFrame: ...  # noqa: D102 - the same


class Reported(Orders, Protocol):
    """What a report is made from: the tables, and what was said of the recordings."""

    @property
    def warnings(self) -> list[str]: ...  # noqa: D102 - the same
    def __iter__(self) -> Iterator[Any]: ...


class Calibrated(Protocol):
    """What ``lab.calibrate()`` gives."""

    @property
    def sentence(self) -> str: ...  # noqa: D102 - as in Calibration
    @property
    def table(self) -> pd.DataFrame: ...  # noqa: D102 - the same


def report(
    recs: Reported,
    path: str | os.PathLike[str],
    title: str | None = None,
    *,
    calibration: Calibrated | None = None,
    compare_with: Reported | None = None,
    margin: float = 0.10,
    names: tuple[str, str] = NAMES,
    pictures: bool = True,
) -> Path:
    """Write a report: one HTML page that needs no network and no kernel.

    Parameters
    ----------
    recs
        The recordings.
    path
        Where to write; folders are made, and a file that is there is replaced, as a whole or not
        at all.
    title
        Its heading.
    calibration
        What ``lab.calibrate()`` found on the machine of the recordings, at their time.
    compare_with
        Earlier recordings to hold these against.
    margin
        The smallest change that matters, stated before looking: 0.10 for 10%.
    names
        What the earlier ones and these are called in the comparison.
    pictures
        Whether charts have a picture too, for readers without JavaScript; needs Chrome or Chromium
        on this machine, and is left out where there is none.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        If there are no recordings.
    OSError
        If it cannot be written; then nothing is left behind.

    Examples
    --------
    >>> import firmly_nb as fnb, tempfile
    >>> with fnb.connect(profile="instant") as lab, tempfile.TemporaryDirectory() as folder:
    ...     rec = lab.place(fnb.Order.example(), progress=False)
    ...     fnb.report(fnb.Recordings([rec]), f"{folder}/one.html", pictures=False).name
    'one.html'
    """
    if not len(recs.orders):
        raise ValueError("there are no recordings to report on")
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file in it")
    if target.exists() and not target.is_file():
        # A device would be gone afterwards.
        raise OSError(f"{target} is not a file that a page could replace; name another")
    # Before the work, not after it.
    target.parent.mkdir(parents=True, exist_ok=True)
    html = report_html(
        recs,
        title,
        calibration=calibration,
        compare_with=compare_with,
        margin=margin,
        names=names,
        pictures=pictures,
    )
    _write(target, html)
    return target


def report_html(
    recs: Reported,
    title: str | None = None,
    *,
    calibration: Calibrated | None = None,
    compare_with: Reported | None = None,
    margin: float = 0.10,
    names: tuple[str, str] = NAMES,
    pictures: bool = True,
) -> str:
    """Return the page of `report` as text."""
    from firmly_nb.latency.charts.words import clean
    from firmly_nb.latency.summary import summary

    found = summary(recs.event_times, recs.stages, recs.orders)
    comparison = sections.comparison(recs, compare_with, margin)
    charts = sections.charts(recs, compare_with, comparison, names)
    bare = {name: chart.bare() for name, chart in charts.items()}
    heading = clean(title or "How orders went", LONGEST)
    body = [
        sections.header(heading, found),
        sections.summary(charts, found, comparison, names),
        sections.tables(recs, found),
        '<h2 id="charts">Charts</h2>\n',
        *(
            figure_html(chart, name, chart.picture() if pictures else None)
            for name, chart in bare.items()
        ),
        sections.environment(recs),
        sections.calibration(calibration),
        sections.warnings(recs, compare_with),
        sections.definitions(),
        sections.footer(found),
    ]
    figures = {name: str(chart.to_json()) for name, chart in bare.items()}
    return whole_page(heading, "".join(body), figures)


def _write(target: Path, text: str) -> None:
    """Write all or nothing: beside the target first, then in its place; a link stays one."""
    target = target.resolve()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # A temporary file is its owner's alone; a report is for others too.
        os.chmod(name, _ordinary_mode())  # noqa: PTH101 - the name is a text
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _ordinary_mode() -> int:
    """Return the mode that a new file gets here."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
