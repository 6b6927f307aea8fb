"""Draw the pictures of docs/verdicts.md from the code's own decisions: ``make docs``.

A picture of a verdict shows the intervals of its three questions; the word, what each question
says and the exit code come from the code that decides. A picture of a design shows when orders
started; what may be said of it comes from a comparison of these orders.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from firmly_nb.latency import STAGES
from firmly_nb.latency.compare import Comparison, compare
from firmly_nb.latency.questions import Decision, Margins
from firmly_nb.latency.shares import Share
from firmly_nb.latency.verdict import (
    FASTER,
    SLOWER,
    Found,
    Stage,
    Success,
    Tail,
    Typical,
    exit_code,
    sentence,
    verdict_of,
    word_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
MARGINS = Margins(typical=0.10, tail=0.05, placed=0.05, slo_ms=None)
WIDTH = 640


# What a verdict rests on.


class Ends(NamedTuple):
    """Difference of a question in percent or points: estimate, narrow and wide interval."""

    low: float
    inside_low: float
    estimate: float
    inside_high: float
    high: float


EVEN = Ends(-4, -3, 0, 3, 4)


@dataclass(frozen=True)
class Example:
    """Intervals that lead to a verdict; positive is worse.

    Attributes
    ----------
    typical
        By how many percent B takes longer.
    tail, failed
        How many points more are late, and are not placed.
    stage
        How many points more of a stage are late, where that is to be shown.
    """

    typical: Ends = EVEN
    tail: Ends = EVEN
    failed: Ends = EVEN
    stage: Ends | None = None


EXAMPLES = {
    "no-change": Example(),
    "slower": Example(tail=Ends(3, 4.5, 8, 12, 14)),
    "slower-within-the-margin": Example(typical=Ends(1, 2.5, 5, 7, 8.5)),
    "slower-in-a-stage": Example(stage=Ends(3, 4.5, 8, 12, 14)),
    # An order that is not placed is late.
    "fewer-placed": Example(tail=Ends(4, 6, 10, 13, 15), failed=Ends(4, 6, 10, 13, 15)),
    "faster": Example(typical=Ends(-22, -20, -16, -12, -10)),
    "more-placed": Example(tail=Ends(-14, -12, -9, -6, -4), failed=Ends(-14, -12, -9, -6, -4)),
    "not-enough-data": Example(typical=Ends(-14, -9, 4, 18, 24), tail=Ends(-8, -6, 1, 8, 10)),
    "not-worse": Example(typical=Ends(-16, -12, -5, 3, 6)),
}


def _logs(ends: Ends) -> list[float]:
    return [math.log1p(one / 100) for one in ends]


def _decision(ends: Ends | list[float], margin: float) -> Decision:
    low, inside_low, _, inside_high, high = ends
    return Decision(low, high, inside_low, inside_high, margin)


def _shares(ends: Ends) -> Ends:
    return Ends(*(one / 100 for one in ends))


def _share(share: float) -> Share:
    return Share(round(1000 * share), 1000, share, share - 0.01, share + 0.01)


def found_of(example: Example) -> Found:
    """Return what the verdict of an example rests on."""
    factors = Ends(*(1 + one / 100 for one in example.typical))
    typical = _decision(_logs(example.typical), math.log1p(MARGINS.typical))
    late, failed = _shares(example.tail), _shares(example.failed)
    rate_a = 0.97 if failed.estimate >= 0 else 0.88
    late_a = max(0.05, 1 - rate_a)
    tail, placed = _decision(late, MARGINS.tail), _decision(failed, MARGINS.placed)
    says = [
        word_of(one.says, words, "", "")
        for one, words in (
            (typical, (SLOWER, FASTER)),
            (tail, (SLOWER, FASTER)),
            (placed, ("fewer placed", "more placed")),
        )
    ]
    return Found(
        typical=Typical(
            factors.estimate,
            factors.low,
            factors.high,
            factors.inside_low,
            factors.inside_high,
            says[0],
            typical,
        ),
        tail=Tail(
            late.estimate,
            late.low,
            late.high,
            late.inside_low,
            late.inside_high,
            says[1],
            tail,
            late_ms=1800.0,
            very_late_ms=2400.0,
            a=_share(late_a),
            b=_share(late_a + late.estimate),
            very_late=0.0,
            very_late_low=-0.02,
            very_late_high=0.02,
            very_late_a=_share(0.01),
            very_late_b=_share(0.01),
            placed_a=_share(0.05),
            placed_b=_share(0.05 + late.estimate - failed.estimate),
        ),
        success=Success(
            -failed.estimate,
            -failed.high,
            -failed.low,
            -failed.inside_high,
            -failed.inside_low,
            says[2],
            placed,
            a=_share(rate_a),
            b=_share(rate_a - failed.estimate),
        ),
        stages=() if example.stage is None else (_stage(example.stage),),
        margins=MARGINS,
        unlike="",
        why_not="",
        control=None,
        runs=None,
        cancelled=None,
        from_planned_start=False,
        more=None,
    )


def _stage(ends: Ends) -> Stage:
    late = _shares(ends)
    decisions = Decision(-0.04, 0.04, -0.03, 0.03, MARGINS.typical), _decision(late, MARGINS.tail)
    return Stage(
        stage="creating-cart",
        n_a=400,
        n_b=400,
        p50_a_ms=100,
        p50_b_ms=100,
        ratio=1,
        ratio_low=0.96,
        ratio_high=1.04,
        ratio_inside_low=0.97,
        ratio_inside_high=1.03,
        late_ms=150,
        late_a=0.05,
        late_b=0.05 + late.estimate,
        late=late.estimate,
        late_low=late.low,
        late_high=late.high,
        late_inside_low=late.inside_low,
        late_inside_high=late.inside_high,
        very_late=0,
        very_late_low=-0.02,
        very_late_high=0.02,
        typical=word_of(decisions[0].says, (SLOWER, FASTER), "", ""),
        tail=word_of(decisions[1].says, (SLOWER, FASTER), "", ""),
        verdict=word_of(decisions[1].says, (SLOWER, FASTER), "", ""),
        forbids=any(one.fails for one in decisions),
        decisions=decisions,
    )


# When orders of two sides started.


class Start(NamedTuple):
    """Order of a side: its minute, its run, and whether it went to the other merchant."""

    side: str
    minute: float
    run: str
    is_other: bool = False


def _run(sides: str, begin: float, run: str, *, control: bool = False) -> Iterator[Start]:
    for n, side in enumerate(sides):
        yield Start(side, begin + n, run)
        if control:
            yield Start(side, begin + n + 0.5, run, is_other=True)


DESIGNS: dict[str, Callable[[], list[Start]]] = {
    "one-after-the-other": lambda: [*_run("A" * 18, 0, "monday"), *_run("B" * 18, 24, "friday")],
    "two-merchants": lambda: [
        one._replace(is_other=one.side == "B") for one in _run("ABBAABABBABAABBABAAB", 0, "run")
    ],
    "interleaved": lambda: [
        one for n in range(5) for one in _run("ABBABA" if n % 2 else "BAABAB", 9 * n, f"run {n}")
    ],
    "alternating": lambda: [
        one for n in range(10) for one in _run("AB"[n % 2] * 3, 4.5 * n, f"run {n}")
    ],
    "control": lambda: [
        one for n in range(10) for one in _run("AB"[n // 5] * 3, 4.5 * n, f"run {n}", control=True)
    ],
}
OTHER, TESTED = "other.example.test", "tested.example.test"


def comparison_of(starts: list[Start]) -> Comparison:
    """Compare the orders of a design, which all take about as long."""
    sides = []
    for side in "AB":
        own = [one for one in starts if one.side == side]
        orders = pd.DataFrame(
            {
                "recording_id": [f"{side}{n}" for n in range(len(own))],
                "outcome": "placed",
                "time_to_order_placed_ms": [900.0 + n * 37 % 101 for n in range(len(own))],
                "started_at": pd.to_datetime([one.minute * 60 for one in own], unit="s", utc=True),
                "run_id": [one.run for one in own],
                "domain": [OTHER if one.is_other else TESTED for one in own],
                "n_items": 1,
            }
        )
        events = pd.DataFrame({"recording_id": [], "coalesced": []})
        sides.append((events, STAGES.empty(), orders))
    is_control = {one.side for one in starts if one.is_other} == {"A", "B"}
    control = OTHER if is_control else None
    return compare(sides[0], sides[1], control=control)


# Pictures.

STYLE = """\
.page { fill: #ffffff; }
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.word { font-weight: 600; font-size: 16px; }
.quiet { fill: #59636e; }
.band { fill: #d8dee4; }
.axis { stroke: #818b98; }
.wide { stroke: #0550ae; stroke-width: 2; }
.narrow { fill: #0550ae; }
.a { fill: #0550ae; }
.b { fill: #bc4c00; }
.ring { fill: none; stroke-width: 2; }
.a.ring { fill: none; stroke: #0550ae; }
.b.ring { fill: none; stroke: #bc4c00; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; }
text { fill: #f0f6fc; }
.quiet { fill: #9198a1; }
.band { fill: #3d444d; }
.axis { stroke: #9198a1; }
.wide { stroke: #79c0ff; }
.narrow, .a { fill: #79c0ff; }
.b { fill: #ffa657; }
.a.ring { stroke: #79c0ff; }
.b.ring { stroke: #ffa657; }
}
"""
LEFT, RIGHT, TOP, ROW = 110, 430, 46, 30  # of the axis, its ends and its rows
REACH = 3.0  # margins from the middle to either end of the axis


def _page(title: str, told: str, height: int, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img">\n<title>{escape(title)}</title>\n'
        f"<desc>{escape(told)}</desc>\n<style>\n{STYLE}</style>\n"
        # A page can be dark where the system is light: the picture brings its own ground.
        f'<rect class="page" width="{WIDTH}" height="{height}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{shown}>{escape(text)}</text>'


def _at(value: float) -> float:
    """Return where on the axis a difference lies, in margins."""
    middle = (LEFT + RIGHT) / 2
    return middle + min(max(value / REACH, -1.0), 1.0) * (RIGHT - LEFT) / 2


def verdict_svg(example: Example) -> str:
    """Draw three intervals against their margins, what each says, and the word of all."""
    found = found_of(example)
    rows = [
        ("typical", found.typical.decision, found.typical.verdict),
        ("tail", found.tail.decision, found.tail.verdict),
        ("placed", found.success.decision, found.success.verdict),
        *((f"tail of {one.stage}", one.decisions[1], one.tail) for one in found.stages),
    ]
    bottom = TOP + ROW * len(rows)
    passes = {0: "gate passes", 1: "gate fails", 3: "gate does not pass"}[exit_code(found)]
    parts = [
        _text(10, 22, verdict_of(found), "word"),
        _text(WIDTH - 10, 22, f"{passes}: exit code {exit_code(found)}", "quiet", "end"),
        (
            f'<rect class="band" x="{_at(-1):.0f}" y="{TOP - 6}" '
            f'width="{_at(1) - _at(-1):.0f}" height="{bottom - TOP + 4}"/>'
        ),
        f'<line class="axis" x1="{_at(0):.0f}" x2="{_at(0):.0f}" y1="{TOP - 6}" y2="{bottom}"/>',
        _text(LEFT, bottom + 18, "better", "quiet"),
        _text(_at(0), bottom + 18, "within the margin", "quiet", "middle"),
        _text(RIGHT, bottom + 18, "worse", "quiet", "end"),
    ]
    for n, (name, decision, says) in enumerate(rows):
        y = TOP + ROW * n + 10
        wide, narrow = (
            [_at(end / decision.margin) for end in ends]
            for ends in (
                (decision.low, decision.high),
                (decision.inside_low, decision.inside_high),
            )
        )
        label = name.removesuffix(" of creating-cart")
        parts += [
            _text(10, y + 4, label if label == name else "tail of a stage"),
            f'<line class="wide" x1="{wide[0]:.0f}" x2="{wide[1]:.0f}" y1="{y}" y2="{y}"/>',
            (
                f'<rect class="narrow" x="{narrow[0]:.0f}" y="{y - 4}" '
                f'width="{narrow[1] - narrow[0]:.0f}" height="8"/>'
            ),
            _text(RIGHT + 14, y + 4, says),
        ]
    told = sentence(found)
    return _page(f"Verdict: {verdict_of(found)}", told, bottom + 28, parts)


def design_svg(starts: list[Start]) -> str:
    """Draw when orders of A and B started, and what may be said of them."""
    found = comparison_of(starts)
    last = max(one.minute for one in starts)
    says = "attributable to B" if found.attributable else found.order.verdict
    if found.control:
        says = "attributable to B, relative to the control"
    parts = [_text(10, 22, says, "word"), _text(WIDTH - 10, 106, "time", "quiet", "end")]
    for side, y in (("A", 50), ("B", 78)):
        parts.append(_text(10, y + 5, side))
        for one in starts:
            if one.side == side:
                x = 40 + (WIDTH - 70) * one.minute / last
                kind = f"{side.lower()} ring" if one.is_other else side.lower()
                below = 8 if one.is_other and found.control else 0  # they lie close together
                parts.append(f'<circle class="{kind}" cx="{x:.0f}" cy="{y + below}" r="3"/>')
    if any(one.is_other for one in starts):
        other = "the control merchant" if found.control else "another merchant"
        parts.append(_text(40, 106, f"filled: the merchant; rings: {other}", "quiet"))
    [runs] = [row for row in found.design.to_dict("records") if row["what"] == "runs"]
    told = f"Runs of A: {runs['a']}; of B: {runs['b']}. {found.verdict.split(':')[0]}."
    return _page(f"Design: {says}", told if found.attributable else found.verdict, 116, parts)


def pictures() -> dict[str, str]:
    """Return every picture by the name of its file."""
    drawn = {f"verdict-{name}.svg": verdict_svg(one) for name, one in EXAMPLES.items()}
    return drawn | {f"design-{name}.svg": design_svg(make()) for name, make in DESIGNS.items()}


def main() -> None:
    """Write the pictures, or with ``--check`` say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    PICTURES.mkdir(exist_ok=True)
    for name, drawn in pictures().items():
        path = PICTURES / name
        if not check:
            path.write_text(drawn, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != drawn:
            sys.exit(f"docs/pictures/{name} is not what the code says: make docs")


if __name__ == "__main__":
    main()
