"""The result of a look at an API: for a notebook, a terminal, a program, and others."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from firmly_nb.api.description import API
from firmly_nb.api.event_names import vocabulary
from firmly_nb.conformance.seen import DEVIATIONS, NO_SESSION, NOT_SEEN, SESSION, STATUSES, STREAM
from firmly_nb.disk import write_whole
from firmly_nb.display.arguments import public
from firmly_nb.display.html import CODE, card, notes, quiet
from firmly_nb.display.messages import coded_error
from firmly_nb.display.paths import expanded
from firmly_nb.display.table import TEXT_WIDTH, Cell, Grid, Head, grid_html
from firmly_nb.display.text import as_html, count, full_stop, hanging, printable
from firmly_nb.settings_file import FILE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from firmly_nb.recordings.recording import Recording

ON_THE_WAY = (SESSION, STREAM)  # calls without which there is no order
CLOCK_S = 5.0  # a clock that is less off is not worth a sentence
SPANS = ((3600, "h"), (60, "min"), (1, "s"))
STYLE = """
:root { color-scheme: light dark }
body { font: 14px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.05rem; margin-top: 1.5rem }
dt { font-weight: 600 } dd { margin: 0 0 .3rem 1rem } summary { cursor: pointer; margin-top: .6rem }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@public
@dataclass(frozen=True, eq=False, repr=False)
class Conformance:
    """API as it was seen, held against its description; made by ``lab.conformance()``.

    Attributes
    ----------
    table
        One row a thing; see ``conformance`` in docs/tables.md.
    host, environment, domain
        What was asked, and the merchant of the order.
    calls
        What was sent beside the order.
    complete
        Whether the order was placed and every call was answered as asked for.
    milestones
        Names of the events that end a stage, for ``fnb.connect(milestones=...)``.
    recording
        The order; None if none was sent.
    began_at
        Unix seconds of its begin.
    told
        The milestones that the lab was given.
    clock_s
        How far the API's clock is ahead of this machine's; None if no response has a date.
    """

    table: pd.DataFrame
    host: str
    environment: str
    domain: str
    calls: tuple[str, ...]
    complete: bool
    milestones: list[str]
    recording: Recording | None
    began_at: float
    told: Sequence[str] = field(default=())
    clock_s: float | None = None

    @property
    def deviations(self) -> pd.DataFrame:
        """Rows that are missing or undocumented."""
        return self.table[self.table["status"].isin(DEVIATIONS)].reset_index(drop=True)

    @property
    def ok(self) -> bool:
        """True if all was looked at, and nothing deviates."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0: as described; 1: it deviates; 3: it does not, but not all could be looked at."""
        if len(self.deviations):
            return 1
        return 0 if self.complete else 3

    @property
    def line(self) -> str:
        """The answer in a sentence; before it why no order was placed, if none was."""
        n = len(self.deviations)
        host = printable(self.host)
        if why := self._why_not_placed():
            differs = f" {host} differs from its description in {count(n, 'thing')}." if n else ""
            return f"No order was placed at {host}: {full_stop(why)}{differs}"
        if n:
            return f"{host} differs from its description in {count(n, 'thing')}."
        if self.complete:
            return f"{host} does what its description says."
        return f"{host} shows no difference to its description, but not all could be looked at."

    def _why_not_placed(self) -> str:
        """Return cause and remedy of an order that was not placed; empty if it was."""
        whys = {name: detail for name, detail in self._lacking() if name in ON_THE_WAY}
        return next((whys[name] for name in ON_THE_WAY if name in whys), "")

    @property
    def to_write(self) -> str:
        """The argument of ``fnb.connect()`` to write; empty if the names are known already."""
        names = self.milestones
        if set(names) <= set(vocabulary(names)) or list(self.told) == names:
            return ""
        listed = ", ".join(f'"{name}"' for name in names)
        return f"milestones=[{listed}]"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as for JSON."""
        rec = self.recording
        rows = self.table.astype(object).where(self.table.notna(), None).to_dict("records")
        return {
            "ok": self.ok,
            "complete": self.complete,
            "host": self.host,
            "environment": self.environment,
            "domain": self.domain,
            "at": _moment(self.began_at),
            "firmly_nb": version("firmly-nb"),
            "outcome": rec.outcome if rec else None,
            "request_id": rec.request_id if rec else None,
            "clock_s": self.clock_s,
            "milestones": self.milestones,
            "to_write": self.to_write,
            "calls": list(self.calls),
            "rows": rows,
        }

    def save(self, path: str | Path) -> Path:
        """Write a page to send to others: no personal data, no secret, no value of a field.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        target = expanded(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, self._page().encode())
        except OSError as error:
            why = error.strerror or type(error).__name__
            text = f"{target} cannot be written: {why}. Name another file."
            raise coded_error(OSError, "FNB315", text) from error
        return target

    def __repr__(self) -> str:
        parts = [*self._facts(), *self._not_looked_at()]
        if len(self.deviations):
            parts += ["", *_grouped(self.deviations)]
        lines = [hanging(part, TEXT_WIDTH, _depth(part)) for part in parts]
        # The answer is the first line, and what is to be copied stays in one.
        return "\n".join([self.line, *lines, *(["", self._advice()] if self.milestones else [])])

    def _repr_html_(self) -> str:
        return card(self._body(), "1100px")

    def _facts(self) -> list[str]:
        rec = self.recording
        order = "no order was sent" if rec is None else f"order {rec.outcome}"
        sent = f", request id {rec.request_id}" if rec and rec.request_id else ""
        tally = Counter(self.table["status"].tolist())
        off_s = self.clock_s or 0.0
        side = "ahead of" if off_s > 0 else "behind"
        clock = (
            f"Its clock is {_span(abs(off_s))} {side} this machine's. Recorded times and sessions "
            "do not depend on it."
        )
        return [
            f"{_moment(self.began_at)}, {printable(self.domain)}: {order}{sent}",
            ", ".join(f"{tally[name]} {name}" for name in STATUSES if tally[name]),
            *([clock] if abs(off_s) >= CLOCK_S else []),
        ]

    def _not_looked_at(self) -> list[str]:
        # The first line has the others.
        first = self._why_not_placed()
        left = [(name, why) for name, why in self._lacking() if why not in {first, NO_SESSION}]
        return [f"Not looked at: {name}. {full_stop(why)}" for name, why in left]

    def _lacking(self) -> list[tuple[str, str]]:
        """Return the calls that gave nothing to look at, and why."""
        calls = self.table[(self.table["kind"] == "call") & (self.table["status"] == NOT_SEEN)]
        rows = calls.to_dict("records")
        return [(row["name"], printable(row["detail"])) for row in rows]

    def _advice(self) -> str:
        if self.to_write:
            name, _, names = self.to_write.partition("=")
            once = f"or once, in {FILE}:\n[{self.environment}]\n{name} = {names}"
            return f"Write: fnb.connect(..., {self.to_write})\n{once}"
        return "No milestones to write: the lab knows the names of the events."

    def _body(self) -> str:
        found, facts = self.deviations, "".join(map(quiet, self._facts()))
        head = f'<div style="font-weight:600;font-size:15px">{as_html(self.line)}</div>{facts}'
        shown = grid_html(_grid(found, "detail")) if len(found) else ""
        write = f'<pre style="{CODE}white-space:pre-wrap">{escape(self._advice())}</pre>'
        sent = "".join(f"<li>{escape(call)}</li>" for call in self.calls)
        return (
            f"{head}{notes(self._not_looked_at())}{shown}{write if self.milestones else ''}"
            f"<details><summary>All {count(len(self.table), 'row')}</summary>"
            f"{grid_html(_grid(self.table, 'known'))}</details>"
            "<details><summary>What was sent: one order and "
            f"{count(len(self.calls), 'call')} that order nothing</summary><ul>{sent}</ul>"
            "</details>"
        )

    def _page(self) -> str:
        def terms(words: dict[str, str]) -> str:
            pairs = (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in words.items())
            return f"<dl>{''.join(pairs)}</dl>"

        title = f"Conformance of {escape(printable(self.host))}"
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
            f"{self._body()}<h2>Words of the column status</h2>{terms(STATUSES)}"
            f"<h2>How surely a thing is known</h2>{terms(API['marks'])}"
            f"<p>Written by firmly-nb {escape(version('firmly-nb'))}. This page holds names, types "
            "and statuses. It holds no value of a field, no address and no secret.</p>"
            "</body></html>\n"
        )


def _span(seconds: float) -> str:
    """Write a time that nobody needs exactly: seconds, minutes or hours."""
    unit, name = next((one for one in SPANS if seconds >= one[0]), SPANS[-1])
    return f"{seconds / unit:.3g} {name}"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def _grouped(deviations: pd.DataFrame) -> list[str]:
    """Write deviations for a terminal: those of one kind in the same places in one paragraph."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for row in deviations.to_dict("records"):
        detail = row["detail"] if isinstance(row["detail"], str) else ""
        key = (row["status"], row["kind"], row["where"], detail)
        groups.setdefault(key, []).append(printable(row["name"]))
    lines: list[str] = []
    for status in DEVIATIONS:
        of_it = [(key, names) for key, names in groups.items() if key[0] == status]
        lines += [f"{status}:"] if of_it else []
        for (_, kind, where, detail), names in of_it:
            place = "" if names == [where] else f" (in {printable(where)})"
            more = f"; {printable(detail)}" if detail else ""
            lines.append(f"  {kind}: {', '.join(names)}{place}{more}")
    return lines


def _depth(part: str) -> int:
    """Return how far the second line of a paragraph is indented."""
    return 6 if part.startswith("  ") else 2


def _grid(table: pd.DataFrame, last: str) -> Grid:
    """Return rows as a table for the eye; of deviations the last column has the reason."""
    heads = [
        Head("status", left=True),
        Head("kind", left=True),
        Head("name", left=True, wraps=True, look="code"),
        Head("where", left=True, wraps=True),
        Head(last, left=True, wraps=last == "detail"),
    ]
    rows = [
        [
            Cell(row["status"], look="bold" if row["status"] in DEVIATIONS else ""),
            row["kind"],
            row["name"],
            row["where"],
            row[last] if isinstance(row[last], str) else "",
        ]
        for row in table.to_dict("records")
    ]
    return Grid(heads, rows, named_by=2)
