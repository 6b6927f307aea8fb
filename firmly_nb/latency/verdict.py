"""From three answers to a verdict: the word, the sentence, the exit code, how many more orders.

Worse comes before better, and failures before times. What is not attributable or not comparable
is said first, whatever the numbers are; and too little data is never a pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmly_nb.display.text import (
    capital,
    count,
    duration,
    interval,
    listed,
    number,
    short_name,
    stated,
    stated_percent,
)
from firmly_nb.latency.questions import (
    BETTER,
    NEEDED_FOR_TAIL,
    NO_CHANGE,
    UNDECIDED,
    WORSE,
    Decision,
    Margins,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.latency.predict import More
    from firmly_nb.latency.shares import Share

NOT_COMPARABLE, NOT_ATTRIBUTABLE = "not comparable", "not attributable"
SLOWER, FASTER = "slower", "faster"
FEWER_PLACED, MORE_PLACED = "fewer placed", "more placed"
SLOWER_IN_A_STAGE = "slower in a stage"
PASSES, FAILS, UNKNOWN_YET = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Typical:
    """Factor of the time to the order, of placed orders.

    Attributes
    ----------
    estimate
        Factor; not a number where a side has no placed order.
    low, high
        Wide interval: whether it differs from 1. 0 and infinity are open ends.
    inside_low, inside_high
        Narrow interval: whether it stays within the margin.
    verdict
        ``slower``, ``faster``, ``no change``, ``not enough data``, ``not attributable`` or
        ``not comparable``.
    decision
        What the intervals show, whatever the design.
    merchants
        Factor of each merchant with its wide interval, where they differ by more than chance.
    with_failures
        False if B is not faster once failures count as infinitely late.
    """

    estimate: float
    low: float
    high: float
    inside_low: float
    inside_high: float
    verdict: str
    decision: Decision
    merchants: tuple[tuple[str, float, float, float], ...] = ()
    with_failures: bool = True


@dataclass(frozen=True, slots=True)
class Tail:
    """Difference of the shares of late orders: not placed within a limit, failures among them.

    Attributes
    ----------
    estimate
        Share of late orders, B minus A; not a number where A has too few orders.
    low, high
        Wide interval of it.
    inside_low, inside_high
        Narrow interval of it.
    verdict
        As of ``Typical``; either limit can say that B is slower.
    decision
        What the intervals of both limits show.
    late_ms, very_late_ms
        The limits: A's p95 and twice its median, or the one that was given.
    a, b
        Shares of late orders.
    very_late, very_late_low, very_late_high
        Share of very late orders, B minus A, with its wide interval.
    very_late_a, very_late_b
        Shares of very late orders.
    placed_a, placed_b
        Shares of late orders among those that were placed.
    """

    estimate: float
    low: float
    high: float
    inside_low: float
    inside_high: float
    verdict: str
    decision: Decision
    late_ms: float
    very_late_ms: float
    a: Share
    b: Share
    very_late: float
    very_late_low: float
    very_late_high: float
    very_late_a: Share
    very_late_b: Share
    placed_a: Share
    placed_b: Share
    limits_differ: bool = False


@dataclass(frozen=True, slots=True)
class Success:
    """Difference of the success rates: B minus A.

    Attributes
    ----------
    estimate
        Success rate, B minus A; negative is worse.
    low, high
        Wide interval of it.
    inside_low, inside_high
        Narrow interval of it.
    verdict
        ``fewer placed``, ``more placed``, ``no change``, ``not enough data``, ``not attributable``
        or ``not comparable``.
    decision
        What the intervals show.
    a, b
        Success rates, of all attempted orders.
    """

    estimate: float
    low: float
    high: float
    inside_low: float
    inside_high: float
    verdict: str
    decision: Decision
    a: Share
    b: Share


@dataclass(frozen=True, slots=True)
class Stage:
    """Difference of B from A in one stage; the fields are columns of ``COMPARISON``."""

    stage: str
    n_a: int
    n_b: int
    p50_a_ms: float
    p50_b_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    ratio_inside_low: float
    ratio_inside_high: float
    late_a: float
    late_b: float
    late_ms: float
    late: float
    late_low: float
    late_high: float
    late_inside_low: float
    late_inside_high: float
    very_late: float
    very_late_low: float
    very_late_high: float
    typical: str
    tail: str
    verdict: str
    forbids: bool
    decisions: tuple[Decision, Decision]


@dataclass(frozen=True, slots=True)
class Found:
    """All that a verdict rests on."""

    typical: Typical
    tail: Tail
    success: Success
    stages: tuple[Stage, ...]
    margins: Margins
    unlike: str
    why_not: str
    control: str | None
    runs: int | None  # so many shared runs, if they are too few to be the unit
    cancelled: tuple[int, int] | None  # where their shares differ
    from_planned_start: bool
    more: More | None

    @property
    def decisions(self) -> tuple[Decision, Decision, Decision]:
        """Decisions of the three questions."""
        return self.typical.decision, self.tail.decision, self.success.decision

    @property
    def holds(self) -> bool:
        """True if no question is worse by its margin."""
        return all(one.holds for one in self.decisions)


def word_of(says: str, words: tuple[str, str], unlike: str, why_not: str) -> str:
    """Return a question's verdict; ``words`` are those for worse and for better."""
    if unlike:
        return NOT_COMPARABLE
    if why_not:
        return NOT_ATTRIBUTABLE
    return {WORSE: words[0], BETTER: words[1]}.get(says, says)


def verdict_of(found: Found) -> str:
    """Return the word of the whole comparison: the first row of the decision table that is true."""
    says = [one.says for one in found.decisions]
    forbidden = any(stage.forbids for stage in found.stages)
    rows = (
        (bool(found.unlike), NOT_COMPARABLE),
        (bool(found.why_not), NOT_ATTRIBUTABLE),
        (says[2] == WORSE, FEWER_PLACED),
        (WORSE in says, SLOWER),
        (says[2] == BETTER, MORE_PLACED),
        (BETTER in says, FASTER),
        (set(says) == {NO_CHANGE} and not forbidden, NO_CHANGE),
        (forbidden, SLOWER_IN_A_STAGE),
    )
    return next((word for is_true, word in rows if is_true), UNDECIDED)


def exit_code(found: Found) -> int:
    """Return 0 if B is shown not to be worse beyond the margins, 1 if it is worse, else 3."""
    if found.unlike or found.why_not:
        return UNKNOWN_YET
    forbidden = any(stage.forbids for stage in found.stages)
    if forbidden or any(one.fails for one in found.decisions):
        return FAILS
    return PASSES if found.holds else UNKNOWN_YET


# The sentences.

TAKE_TURNS = "More orders do not mend that: place orders of A and B in turn, in the same runs."


def reason(found: Found) -> str:
    """Return in a line why the exit code is what it is, and how much more would tell."""
    if found.unlike:
        return f"Not comparable: {found.unlike}."
    if found.why_not:
        said = f"Not attributable: {found.why_not}."
        return said if found.control is not None else f"{said} {TAKE_TURNS}"
    code, verdict, margins = exit_code(found), verdict_of(found), _margins(found.margins)
    word = verdict.capitalize()
    if code == FAILS:
        questions = _failing(found)
        stages = [_stage(stage) for stage in found.stages if stage.forbids]
        word = word if questions else SLOWER_IN_A_STAGE.capitalize()
        return f"{word}: {_joined(questions or stages)}"
    if code == PASSES:
        begins = {
            NO_CHANGE: "No change beyond",
            UNDECIDED: "Not worse beyond",
            SLOWER: "Slower, but not beyond",
            FEWER_PLACED: "Fewer placed, but not beyond",
        }
        return f"{begins.get(verdict, f'{word}, and not worse beyond')} {margins}."
    if verdict == UNDECIDED:
        return f"Not enough data: {_open_parts(found)}.{f' {found.more}' if found.more else ''}"
    named = zip(("typical time", "tail", "success rate"), found.decisions, strict=True)
    asked = listed(name for name, one in named if not one.holds)
    return f"{word}, but more orders are needed to know that B is not worse in: {asked}."


def _failing(found: Found) -> list[str]:
    """Say which questions are worse, and not shown to be so by less than the margin."""
    typical, tail, placed = (one.fails for one in found.decisions)
    said = [_placed(found)] if placed else []
    said += [_tail(found)] if tail else []
    said += [_typical(found)] if typical else []
    return said


def sentence(found: Found) -> str:
    """Return what is known, in a few short sentences; the most important first."""
    verdict = verdict_of(found)
    said = [_headline(verdict, found)]
    if verdict not in {NOT_COMPARABLE, NOT_ATTRIBUTABLE}:
        said += _stages_after(verdict, found)
        said += [_scope(found)]
    if found.cancelled:
        a, b = (count(k) for k in found.cancelled)
        said.append(f"Cancelled orders count nowhere: {a} of A, {b} of B.")
    return " ".join(filter(None, said))


def _headline(verdict: str, found: Found) -> str:
    if verdict == NOT_COMPARABLE:
        return f"Not comparable: {found.unlike}."
    if verdict == NOT_ATTRIBUTABLE:
        return _not_attributable(found)
    if verdict == NO_CHANGE:
        return f"No change beyond {_margins(found.margins)}."
    if verdict == UNDECIDED:
        return _open(found)
    stages = [_stage(stage) for stage in found.stages if stage.forbids]
    parts = {
        FEWER_PLACED: lambda: [_placed(found), _among_placed(found), _typical(found)],
        SLOWER: lambda: _slower(found),
        SLOWER_IN_A_STAGE: lambda: [*stages, _rest(found)],
    }
    said = parts.get(verdict, lambda: _better(found))()
    return f"{verdict.capitalize()}: {_joined(said)}"


def _joined(parts: Sequence[str]) -> str:
    """Put sentences together; the first goes on after a colon."""
    first, *others = [part for part in parts if part]
    return " ".join([f"{first}.", *(f"{capital(part)}." for part in others)])


def _margins(margins: Margins) -> str:
    points = f"{stated(round(100 * margins.tail, 6))} points"
    tail = f"{points} in the tail"
    if margins.slo_ms is not None:
        tail = f"{points} beyond {duration(margins.slo_ms)}"
    placed = f"{stated(round(100 * margins.placed, 6))} points placed"
    return f"{stated_percent(margins.typical)}, {tail}, {placed}"


def _of_100(share: float) -> str:
    return f"{100 * share:.1f}"


def points(low: float, high: float) -> str:
    """Write the interval of a difference of shares, in points."""
    return f"{signed(low)} to {signed(high)}"


def signed(share: float) -> str:
    """Write a difference of shares with its sign, in points.

    Examples
    --------
    >>> signed(0.071), signed(-0.0001)
    ('+7.1', '+0.0')
    """
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def _size(decision: Decision) -> str:
    return f", {decision.size}" if decision.size else ""


def _typical(found: Found, subject: str = "placed orders") -> str:
    one = found.typical
    if math.isnan(one.estimate):
        return ""
    range_ = interval(one.low, one.high, "")
    size = _size(one.decision) if one.decision.says in {WORSE, BETTER} else ""
    said = f"{subject} take {number(one.estimate)} times as long ({range_}){size}"
    if one.merchants:
        each = [f"{short_name(name)} {number(ratio)}" for name, ratio, _, _ in one.merchants]
        said += f". The ratio differs by merchant: {listed(each)}"
    if not one.with_failures:
        said += ". They are not faster if failures count as late"
    return said


def _limit(found: Found, *, very: bool) -> str:
    one = found.tail
    if found.margins.slo_ms is not None:
        return duration(one.late_ms)
    if one.limits_differ:
        return "twice A's median" if very else "A's p95"
    return duration(one.very_late_ms if very else one.late_ms)


def _tail(found: Found) -> str:
    """Say how many orders are late, by the limit that shows it."""
    one = found.tail
    if math.isnan(one.estimate):
        return ""
    very = one.low <= 0 < one.very_late_low or (
        one.decision.says == BETTER and one.high >= 0 > one.very_late_high
    )
    of_a = one.very_late_a if very else one.a
    by = one.very_late if very else one.estimate
    ends = (one.very_late_low, one.very_late_high) if very else (one.low, one.high)
    b = min(max(of_a.share + by, 0.0), 1.0)
    return (
        f"{_of_100(b)} of 100 orders are later than {_limit(found, very=very)}, "
        f"A had {_of_100(of_a.share)} ({points(*ends)} points){_size(one.decision)}"
    )


def _among_placed(found: Found) -> str:
    one = found.tail
    if math.isnan(one.estimate) or not one.placed_b.of or not one.placed_a.of:
        return ""
    return (
        f"among placed orders {_of_100(one.placed_b.share)} of 100 are later than "
        f"{_limit(found, very=False)}, A had {_of_100(one.placed_a.share)}"
    )


def _placed(found: Found) -> str:
    one = found.success
    fewer = one.estimate < 0
    low, high = sorted((abs(one.low), abs(one.high)))
    word = "fewer" if fewer else "more"
    return (
        f"{_of_100(abs(one.estimate))} points {word} are placed "
        f"({_of_100(low)} to {_of_100(high)}){_size(one.decision)}"
    )


def _slower(found: Found) -> list[str]:
    _, tail, placed = (one.says for one in found.decisions)
    said = [_tail(found), _typical(found)] if tail == WORSE else [_typical(found)]
    if tail == BETTER:
        said.append(f"the tail is better: {_tail(found)}")
    if placed == BETTER:
        said.append(_placed(found))
    return said


def _better(found: Found) -> list[str]:
    typical, tail, placed = (one.says for one in found.decisions)
    said = [_placed(found)] if placed == BETTER else []
    said += [_typical(found)] if typical == BETTER else []
    said += [_tail(found)] if tail == BETTER else []
    if not found.success.decision.holds:
        said.append("whether as many are placed is not known")
    return said


def _stage(stage: Stage) -> str:
    """Say how a stage differs: by its typical time, else by its tail."""
    name = short_name(stage.stage)
    typical, tail = stage.decisions
    if typical.says in {WORSE, BETTER} and (typical.fails or not tail.fails):
        range_ = interval(stage.ratio_low, stage.ratio_high, "")
        return f"{name} takes {number(stage.ratio)} times as long ({range_})"
    very = stage.late_low <= 0 < stage.very_late_low or stage.late_high >= 0 > stage.very_late_high
    by = stage.very_late if very else stage.late
    ends = (
        (stage.very_late_low, stage.very_late_high) if very else (stage.late_low, stage.late_high)
    )
    limit = "twice A's median" if very else "A's p95"
    word = "more" if by > 0 else "fewer"
    low, high = sorted(map(abs, ends))
    return (
        f"in {name} {_of_100(abs(by))} of 100 orders {word} are later than {limit} "
        f"({_of_100(low)} to {_of_100(high)})"
    )


def _stages_after(verdict: str, found: Found) -> list[str]:
    shown = [
        stage
        for stage in found.stages
        if stage.verdict in {SLOWER, FASTER}
        and not (verdict == SLOWER_IN_A_STAGE and stage.forbids)
    ]
    if not shown:
        return []
    return [f"Stages: {'; '.join(_stage(stage) for stage in shown)}."]


def _rest(found: Found) -> str:
    if all(one.says == NO_CHANGE for one in found.decisions):
        return f"the whole order shows no change beyond {_margins(found.margins)}"
    return f"the whole order is not decided: {_open_parts(found)}"


def _open(found: Found) -> str:
    if found.holds:
        said = "Not worse beyond your margins, and not enough data to call it unchanged: "
        said += _open_parts(found)
    else:
        said = f"Not enough data: {_open_parts(found)}"
    return f"{said}. {found.more}" if found.more else f"{said}."


def _open_parts(found: Found) -> str:
    """Say which questions are open, and between which ends: those that the table shows."""
    typical, tail, placed = found.decisions
    said = []
    if typical.says == UNDECIDED:
        one = found.typical
        said.append(
            "typical unknown"
            if math.isnan(one.estimate)
            else f"typical {interval(one.low, one.high, '')} times as long"
        )
    if tail.says == UNDECIDED:
        if math.isnan(found.tail.estimate):
            said.append(f"tail unknown (A needs {NEEDED_FOR_TAIL} orders)")
        else:
            said.append(f"tail {points(found.tail.low, found.tail.high)} points")
    if placed.says == UNDECIDED:
        one_ = found.success
        said.append(
            f"placed {points(one_.low, one_.high)} points"
            if math.isfinite(one_.low)
            else "placed unknown"
        )
    return listed(said)


def _not_attributable(found: Found) -> str:
    decisions = found.decisions
    says = {one.says for one in decisions}
    begin = "Different" if says & {WORSE, BETTER} else "Not different"
    if begin == "Not different" and says != {NO_CHANGE}:
        begin = "Perhaps different, perhaps not"  # wide intervals show nothing
    said = []
    if decisions[2].says in {WORSE, BETTER}:
        said.append(_placed(found))
    if decisions[1].says in {WORSE, BETTER}:
        said.append(_tail(found))
    said.append(_typical(found))
    numbers = _joined(said) if any(said) else "no order can be compared."
    return (
        f"{begin}, but {found.why_not}: {numbers} "
        "Place orders of A and B in turn, in the same runs, to tell a release from the time."
    )


def _scope(found: Found) -> str:
    said = []
    if found.runs is not None:
        runs = "this run" if found.runs == 1 else f"these {count(found.runs)} runs"
        said.append(f"This holds for {runs} only.")
    if found.control is not None:
        said.append(f"All is relative to {short_name(found.control)}, taken as unchanged.")
    if found.from_planned_start:
        said.append("Times count from the planned start, as orders started late.")
    return " ".join(said)
