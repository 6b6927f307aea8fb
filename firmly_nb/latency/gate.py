"""The gate: may a release pass? One rule for ``firmly-nb gate`` and ``report --check``.

New runs are held against earlier ones, against a target, or against both. Too little data is never
a pass.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.display.messages import tells_names
from firmly_nb.display.table import TEXT_WIDTH, grid_text
from firmly_nb.display.text import count, number, printable, stated, stated_percent
from firmly_nb.latency.compare import questions_grid
from firmly_nb.latency.predict import more_for_target
from firmly_nb.latency.targets import slo_grid
from firmly_nb.latency.verdict import FAILS, PASSES, UNKNOWN_YET

if TYPE_CHECKING:
    from firmly_nb.latency.compare import Comparison
    from firmly_nb.latency.predict import More
    from firmly_nb.latency.targets import Attainment, GroupedAttainment

PASS, WORSE, MISSED, CANNOT_TELL = "pass", "worse", "missed", "cannot tell"
WORST_FIRST = (FAILS, UNKNOWN_YET, PASSES)
TARGET_CODES = {"met": PASSES, "missed": FAILS}


class Part(NamedTuple):
    """Thing that a gate was asked: its name, exit code, word and reason."""

    name: str
    code: int
    word: str
    said: str


@tells_names
@dataclass(frozen=True, slots=True)
class Gate:
    """Decision of a gate; it shows itself.

    Attributes
    ----------
    comparison
        New runs (B) against earlier ones (A); None where there are no earlier ones.
    target
        New runs against a target; None where there is none.
    more
        About how many more orders or runs would tell whether the target is met.
    beside
        New runs (B) against others (A), to read and not to decide; None where there are none.
    merchants
        The target for each merchant; None where there is one merchant, or no target. It decides
        nothing.
    throughput_per_s
        Placed orders per second of the new runs.
    """

    comparison: Comparison | None
    target: Attainment | None
    more: More | None = None
    beside: Comparison | None = None
    merchants: GroupedAttainment | None = None
    throughput_per_s: float = math.nan

    @property
    def exit_code(self) -> int:
        """0 pass, 1 worse or missed, 3 cannot tell: the worst of what was asked."""
        codes = [part.code for part in self.parts]
        return next(code for code in WORST_FIRST if code in codes)

    @property
    def verdict(self) -> str:
        """``pass``, ``worse``, ``missed`` or ``cannot tell``."""
        return next(part.word for part in self.parts if part.code == self.exit_code)

    @property
    def line(self) -> str:
        """One line: the verdict, why, and how many more orders or runs would tell."""
        why = [part.said for part in self.parts if part.code == self.exit_code]
        return printable(f"{self.verdict.upper()}. {' '.join(why)}")

    @property
    def parts(self) -> list[Part]:
        """Each thing that was asked, with what was found."""
        found = []
        if self.comparison is not None:
            code = self.comparison.exit_code
            word = {PASSES: PASS, FAILS: WORSE}.get(code, CANNOT_TELL)
            found.append(Part("baseline", code, word, self.comparison.reason))
        if self.target is not None:
            code = TARGET_CODES.get(self.target.verdict, UNKNOWN_YET)
            word = {PASSES: PASS, FAILS: MISSED}.get(code, CANNOT_TELL)
            more = f" {self.more}" if self.more else ""
            found.append(Part("target", code, word, f"{self._target_words}.{more}"))
        return found

    @property
    def beside_line(self) -> str:
        """Verdict of the comparison beside, which decides nothing; empty without one."""
        if self.beside is None:
            return ""
        orders = count(self.beside.success.a.of, "earlier order")
        return printable(f"Against {orders}; decides nothing: {self.beside.verdict}")

    @property
    def _target_words(self) -> str:
        one = self.target
        if one is None:
            return ""
        asked = f"{stated_percent(one.wanted)} placed within {stated(one.order_ms)} ms"
        return f"Target {one.verdict}: {asked} wanted, {one.attained}"

    @property
    def _target_lines(self) -> list[str]:
        """Error budget, rates, and the target by day and by merchant."""
        one = self.target
        if one is None or not one.attained.of:
            return []
        lines = textwrap.wrap(f"Error budget: {one.budget}.", TEXT_WIDTH)
        if not math.isnan(self.throughput_per_s):
            rates = number(self.throughput_per_s), number(one.goodput_per_s)
            lines.append("Throughput: {} orders/s. Goodput: {} orders/s.".format(*rates))
        if len(one.days) > 1:
            lines += ["", grid_text(slo_grid(one.days, ("day",)))]
        if self.merchants is not None:
            by = self.merchants
            lines += ["", grid_text(slo_grid(by.table, by.names, by.labels)), by.how]
        return lines

    def __repr__(self) -> str:
        lines = textwrap.wrap(self.line, TEXT_WIDTH)
        # What decides is in the line already.
        lines += [
            line
            for part in self.parts
            if part.code != self.exit_code
            for line in textwrap.wrap(printable(part.said), TEXT_WIDTH)
        ]
        lines += self._target_lines
        if self.comparison is not None:
            one = self.comparison.success
            sides = (count(side.of, "order") for side in (one.a, one.b))
            lines += ["", grid_text(questions_grid(self.comparison))]
            lines += ["A: baseline, {}. B: new runs, {}.".format(*sides)]
        if self.beside is not None:
            lines += ["", *textwrap.wrap(self.beside_line, TEXT_WIDTH)]
            if self.beside.success.a.of:
                lines += ["", grid_text(questions_grid(self.beside))]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it for machines; tables are DataFrames."""
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "why": self.line,
            "baseline": None if self.comparison is None else _of_comparison(self.comparison),
            "slo": None if self.target is None else _of_target(self, self.target),
            "beside": None if self.beside is None else _of_comparison(self.beside),
        }


def gate(
    comparison: Comparison | None,
    target: Attainment | None,
    beside: Comparison | None = None,
    merchants: GroupedAttainment | None = None,
    throughput_per_s: float = math.nan,
) -> Gate:
    """Return the decision of a gate; it needs one of both.

    Parameters
    ----------
    comparison
        Earlier recordings compared with the new ones, if there are any.
    target
        What the new ones attain, if there is a target.
    beside
        Others compared with the new ones: to read, not to decide.
    merchants, throughput_per_s
        The same for each merchant, and placed orders per second; shown beside it.
    """
    more = None if target is None else more_for_target(target.attained, target.wanted)
    return Gate(comparison, target, more, beside, merchants, throughput_per_s)


def _of_comparison(found: Comparison) -> dict[str, Any]:
    asked = {
        "typical": (found.typical, found.margin),
        "tail": (found.tail, found.tail_margin),
        "placed": (found.success, found.placed_margin),
    }
    ends = ("estimate", "low", "high", "inside_low", "inside_high", "verdict")
    return {
        "verdict": found.order.verdict,
        "sentence": found.verdict,
        "exit_code": found.exit_code,
        "attributable": found.attributable,
        "unit": "runs" if found.by_runs else "orders",
        "questions": {
            name: {**{end: getattr(one, end) for end in ends}, "margin": margin}
            for name, (one, margin) in asked.items()
        },
        "more": _of_more(found.more),
        "stages": found.stages,
        "design": found.design,
        "notes": list(found.notes),
    }


def _of_target(gate: Gate, found: Attainment) -> dict[str, Any]:
    one, by = found.attained, gate.merchants
    return {
        "verdict": found.verdict,
        "order_ms": found.order_ms,
        "wanted": found.wanted,
        "attained": one.share,
        "low": one.low,
        "high": one.high,
        "count": one.count,
        "of": one.of,
        "more": _of_more(gate.more),
        "budget": found.budget._asdict(),
        "goodput_per_s": found.goodput_per_s,
        "throughput_per_s": gate.throughput_per_s,
        "days": found.days,
        "merchants": None if by is None else by.table,
    }


def _of_more(more: More | None) -> dict[str, Any] | None:
    return None if more is None else {"needed": more.needed, "unit": f"{more.unit}s"}
