"""From tables to the answers: the three questions of the whole order, and those of each stage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firmly_nb.latency.columns import is_value
from firmly_nb.latency.design import more_cancelled
from firmly_nb.latency.effect import shared_codes
from firmly_nb.latency.looks import BLOCK
from firmly_nb.latency.predict import Present
from firmly_nb.latency.quantiles import estimate
from firmly_nb.latency.questions import (
    BETTER,
    NO_CHANGE,
    TOGETHER,
    UNDECIDED,
    UNKNOWN,
    WIDE,
    WORSE,
    Decision,
    Ends,
    Group,
    Late,
    Levels,
    Limits,
    Margins,
    Method,
    difference_of_shares,
    is_faster_with_failures,
    limits,
    tail,
    typical,
)
from firmly_nb.latency.questions import Typical as Factors
from firmly_nb.latency.shares import Share, share
from firmly_nb.latency.stages import is_each
from firmly_nb.latency.verdict import (
    FASTER,
    FEWER_PLACED,
    MORE_PLACED,
    SLOWER,
    Stage,
    Success,
    Tail,
    Typical,
    word_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.latency.design import Design, Side
    from firmly_nb.latency.effect import Codes, Flags
    from firmly_nb.latency.stages import StageTimes

FEWEST = 10  # orders of a stage on each side, below which it is no question of its own


@dataclass(frozen=True, slots=True)
class Whole:
    """Answers to the three questions, and what more data would be predicted from."""

    typical: Typical
    tail: Tail
    success: Success
    present: Present | None


def method_of(design: Design, levels: Levels) -> Method:
    """Return how orders are compared under a design, and how sure that is to be."""
    names: dict[str | None, int] = {}
    merchants = [names.setdefault(kind.merchant, len(names)) for kind in design.kinds]
    codes = np.array(merchants, dtype=np.intp)
    return Method(design.name, design.by_runs, design.control, codes, levels)


def _whole_blocks(pairs: Sequence[tuple[Side, Flags]]) -> Codes:
    """Return the runs with all orders of a block on each side."""
    size = 1 + max((int(side.run.max(initial=-1)) for side, _ in pairs), default=-1)
    runs = (side.run[use & (side.run >= 0)] for side, use in pairs)
    return np.flatnonzero(
        np.logical_and.reduce([np.bincount(one, minlength=size) >= BLOCK for one in runs])
    )


def _typical_of(
    groups: tuple[Group, Group], method: Method, level: float, whole: Codes | None
) -> Factors:
    """Return how many times as long B takes; of blocks only whole ones tell."""
    a, b = (one if whole is None else one.of(np.isin(one.run, whole)) for one in groups)
    return typical(a, b, method, (level, method.levels.narrow))


def group_of(side: Side, mask: Flags) -> Group:
    """Return attempted orders; those that were not placed never came."""
    ms = np.where(side.placed, side.ms, np.inf)[mask]
    return Group(ms, side.kind[mask], side.run[mask])


def answers(
    side_a: Side,
    use_a: Flags,
    side_b: Side,
    use_b: Flags,
    method: Method,
    margins: Margins,
    design: Design,
) -> Whole:
    """Answer the three questions of the whole order."""
    pairs = ((side_a, use_a), (side_b, use_b))
    # One that was placed, but when is not known, is in no time.
    a, b = (group_of(side, use & ~(side.placed & np.isnan(side.ms))) for side, use in pairs)
    unlike, why_not = design.unlike, design.why_not
    levels = method.levels
    whole = _whole_blocks(pairs) if levels.looks else None
    times = _typical_of((a, b), method, levels.wide, whole)
    is_faster = is_faster_with_failures(a, b, method, levels.wide)
    late = tail(a, b, method, levels.wide, margins.slo_ms)
    failed = _failed(pairs, method)
    of_typical = _typical(times.ends, margins.typical, is_faster=is_faster)
    merchants = {
        code: kind.merchant
        for code, kind in zip(method.merchants.tolist(), design.kinds, strict=True)
    }
    worded = Typical(
        estimate=_exp(times.ends.estimate),
        low=_exp(times.ends.low),
        high=_exp(times.ends.high),
        inside_low=_exp(times.ends.inside_low),
        inside_high=_exp(times.ends.inside_high),
        verdict=word_of(of_typical.says, (SLOWER, FASTER), unlike, why_not),
        decision=of_typical,
        merchants=tuple(
            (str(merchants[code]), _exp(ends.estimate), _exp(ends.low), _exp(ends.high))
            for code, ends in times.merchants.items()
        ),
        with_failures=is_faster or not times.ends.high < 0,
    )
    return Whole(
        worded,
        _tail(a, b, late, margins, unlike, why_not, method),
        _success(pairs, failed, margins.placed, unlike, why_not, method),
        # More of a study that has a last look is another study.
        None
        if levels.looks
        else _present(times.ends, a, b, late, failed, method, design, _unknown(side_a, side_b)),
    )


def _unknown(a: Side, b: Side) -> tuple[float, float]:
    """Return the shares of cancelled orders, where they differ by more than chance."""
    if not more_cancelled(a, b, WIDE):
        return 0.0, 0.0
    return float((~a.attempted).mean()), float((~b.attempted).mean())


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)


def _decision(ends: Ends, margin: float) -> Decision:
    """Return what intervals show; without an interval nothing."""
    if math.isnan(ends.estimate):
        return Decision(-math.inf, math.inf, -math.inf, math.inf, margin)
    return Decision(*ends[1:5], margin)


def _typical(ends: Ends, margin: float, *, is_faster: bool) -> Decision:
    found = _decision(ends, math.log1p(margin))
    if found.high < 0 and not is_faster:
        return Decision(found.low, 0.0, found.inside_low, found.inside_high, found.margin)
    return found


def _both(late: Late | None, margin: float) -> Decision:
    """Return what both limits show: either can say that B is worse; the first has the margin."""
    if late is None:
        return _decision(UNKNOWN, margin)
    found, very = _decision(late.late, margin), _decision(late.very_late, margin)
    return Decision(
        max(found.low, very.low),
        min(found.high, very.high),
        found.inside_low,
        found.inside_high,
        margin,
    )


def _share_of(mask: Flags) -> Share:
    return share(int(mask.sum()), len(mask), WIDE)


def _tail(
    a: Group,
    b: Group,
    late: Late | None,
    margins: Margins,
    unlike: str,
    why_not: str,
    method: Method,
) -> Tail:
    decision = _both(late, margins.tail)
    verdict = word_of(decision.says, (SLOWER, FASTER), unlike, why_not)
    nothing = np.zeros(0, dtype=bool)
    if late is None:
        none = nothing, nothing
        late = Late(
            UNKNOWN, UNKNOWN, none, none, Limits(np.zeros(1), np.zeros(1), math.nan, math.nan)
        )
        came, used = [nothing, nothing], np.zeros(1, dtype=np.intp)
    else:
        mine = [
            ~method.control[one.kind] for one in (a, b)
        ]  # the shares told are not the control's
        late = late._replace(
            is_late=(late.is_late[0][mine[0]], late.is_late[1][mine[1]]),
            is_very_late=(late.is_very_late[0][mine[0]], late.is_very_late[1][mine[1]]),
        )
        a, b = a.of(mine[0]), b.of(mine[1])
        came, used = [np.isfinite(one.ms) for one in (a, b)], np.unique(a.kind)
    return Tail(
        estimate=late.late.estimate,
        low=late.late.low,
        high=late.late.high,
        inside_low=late.late.inside_low,
        inside_high=late.late.inside_high,
        verdict=verdict,
        decision=decision,
        late_ms=late.limits.all_late_ms,
        very_late_ms=late.limits.all_very_late_ms,
        a=_share_of(late.is_late[0]),
        b=_share_of(late.is_late[1]),
        very_late=late.very_late.estimate,
        very_late_low=late.very_late.low,
        very_late_high=late.very_late.high,
        very_late_a=_share_of(late.is_very_late[0]),
        very_late_b=_share_of(late.is_very_late[1]),
        placed_a=_share_of(late.is_late[0][came[0]]),
        placed_b=_share_of(late.is_late[1][came[1]]),
        limits_differ=len(np.unique(late.limits.late_ms[used])) > 1,
    )


def _failed(pairs: Sequence[tuple[Side, Flags]], method: Method) -> Ends:
    """Return how many more orders of B were not placed.

    Where the shares of cancelled orders differ by more than chance, the narrow interval allows for
    what would have become of them.
    """
    groups = [group_of(side, use) for side, use in pairs]
    masks = [~side.placed[use] for side, use in pairs]
    levels = method.levels.wide, method.levels.narrow
    found = difference_of_shares(groups[0], masks[0], groups[1], masks[1], method, levels)
    (side_a, _), (side_b, _) = pairs
    if math.isnan(found.estimate) or not more_cancelled(side_a, side_b, WIDE):
        return found
    kept = []
    for side, use in pairs:
        same = np.isin(side.kind, side.kind[use])
        if method.design or method.by_runs:
            same &= np.isin(side.run, side.run[use])
        kept.append(use | (~side.attempted & same))
    all_a, all_b = (group_of(side, mask) for (side, _), mask in zip(pairs, kept, strict=True))
    ends = []
    for lost_in_b in (True, False):
        failed = [
            np.where(side.attempted, ~side.placed, lost)[mask]
            for (side, _), mask, lost in zip(pairs, kept, (not lost_in_b, lost_in_b), strict=True)
        ]
        ends.append(difference_of_shares(all_a, failed[0], all_b, failed[1], method, levels))
    return found._replace(
        inside_high=max(found.inside_high, ends[0].inside_high),
        inside_low=min(found.inside_low, ends[1].inside_low),
    )


def _success(
    pairs: Sequence[tuple[Side, Flags]],
    failed: Ends,
    margin: float,
    unlike: str,
    why_not: str,
    method: Method,
) -> Success:
    decision = _decision(failed, margin)
    rates = []
    for side, _ in pairs:
        mine = side.attempted & ~method.control[side.kind]
        rates.append(share(int((side.placed & mine).sum()), int(mine.sum()), WIDE))
    return Success(
        estimate=-failed.estimate,
        low=-failed.high,
        high=-failed.low,
        inside_low=-failed.inside_high,
        inside_high=-failed.inside_low,
        verdict=word_of(decision.says, (FEWER_PLACED, MORE_PLACED), unlike, why_not),
        decision=decision,
        a=rates[0],
        b=rates[1],
    )


def _present(
    times: Ends,
    a: Group,
    b: Group,
    late: Late | None,
    failed: Ends,
    method: Method,
    design: Design,
    cancelled: tuple[float, float],
) -> Present | None:
    """Return what more data are predicted from; None where there is nothing."""
    if not len(a.ms) or not len(b.ms):
        return None
    if late is not None:
        counts = [
            (int(one.sum()), int(other.sum())) for one, other in (late.is_late, late.is_very_late)
        ]
    elif np.isfinite(a.ms).any():
        found = limits(a, len(method.control))
        counts = [
            (int((a.ms > limit[a.kind]).sum()), int((b.ms > limit[b.kind]).sum()))
            for limit in (found.late_ms, found.very_late_ms)
        ]
    else:
        return None
    runs = None
    if method.by_runs:
        of_late = (late.late.estimate, late.late.error) if late else (math.nan, math.nan)
        runs = (min(design.runs), of_late, (failed.estimate, failed.error))
    return Present(
        ratio=times.estimate,
        error=times.error,
        n=len(a.ms),
        m=len(b.ms),
        late=counts[0],
        very_late=counts[1],
        failed=(int(np.isinf(a.ms).sum()), int(np.isinf(b.ms).sum())),
        runs=runs,
        spread=_spread(a, b, method),
        cancelled=cancelled,
    )


def _spread(a: Group, b: Group, method: Method) -> float:
    """Return how many times the variance of a difference of shares is that of one stratum."""
    shared = shared_codes(method.cells(a), method.cells(b))
    size = len(shared.codes)
    if not size:
        return 1.0
    n, m = (np.bincount(of[of >= 0], minlength=size) for of in (shared.of_a, shared.of_b))
    weights = n / n.sum()
    return float((weights**2 * (1 / n + 1 / m)).sum() / (1 / n.sum() + 1 / m.sum()))


# The stages: a family of their own.


def stage_answers(
    times: Sequence[Sequence[StageTimes]],
    both: tuple[Side, Side],
    uses: tuple[Flags, Flags],
    method: Method,
    design: Design,
    margins: Margins,
    buffered: frozenset[str],
) -> tuple[Stage, ...]:
    """Answer two questions of each stage that both sides have: the typical time and the tail."""
    pairs = [(side, in_pace(side, use, buffered)) for side, use in zip(both, uses, strict=True)]
    a, b = (
        {one.name: one for one in own if use[one.orders].any()}
        for own, (_, use) in zip(times, pairs, strict=True)
    )
    names = [name for name in a if name in b]
    asked = 0
    for name in names:
        sizes = [
            np.count_nonzero(use[one[name].orders])
            for one, (_, use) in zip((a, b), pairs, strict=True)
        ]
        asked += int(min(sizes) >= FEWEST)
    level = method.levels.of((1 - TOGETHER) / (2 * max(asked, 1)))
    whole = _whole_blocks(list(zip(both, uses, strict=True))) if method.levels.looks else None

    def answered(name: str) -> Stage:
        # Of a stage at a time: of millions of orders those of all would be much.
        groups = [stage_group(one[name], *pair) for one, pair in zip((a, b), pairs, strict=True)]
        return _stage(name, (groups[0], groups[1]), method, design, margins, level, whole)

    return tuple(map(answered, names))


def in_pace(side: Side, use: Flags, buffered: frozenset[str]) -> Flags:
    """Return which of some orders are of no merchant whose streams were gathered."""
    if buffered and "domain" in side.orders:
        use = use.copy()
        for merchant in buffered:
            use &= ~is_value(side.orders["domain"], merchant)
    return use


def stage_group(one: StageTimes, side: Side, use: Flags) -> Group:
    """Return the times of a stage that can be believed, of the orders that count."""
    kept = use[one.orders]
    if kept.all():
        if is_each(one.orders, len(use)):
            return Group(one.times_ms, side.kind, side.run)
        return Group(one.times_ms, side.kind[one.orders], side.run[one.orders])
    at = one.orders[kept]
    return Group(one.times_ms[kept], side.kind[at], side.run[at])


def _stage(
    name: str,
    groups: tuple[Group, Group],
    method: Method,
    design: Design,
    margins: Margins,
    level: float,
    whole: Codes | None,
) -> Stage:
    a, b = groups
    enough = min(len(a.ms), len(b.ms)) >= FEWEST
    times = _typical_of(groups, method, level, whole).ends if enough else UNKNOWN
    late = tail(a, b, method, level) if enough else None
    decisions = _decision(times, math.log1p(margins.typical)), _both(late, margins.tail)
    of_late = late.late if late else UNKNOWN
    very = late.very_late if late else UNKNOWN
    says = [one.says for one in decisions]
    first = next((word for word in (WORSE, BETTER) if word in says), None)
    if first is None:
        first = NO_CHANGE if set(says) == {NO_CHANGE} else UNDECIDED
    words = [
        word_of(one, (SLOWER, FASTER), design.unlike, design.why_not) for one in (*says, first)
    ]
    return Stage(
        stage=name,
        n_a=len(a.ms),
        n_b=len(b.ms),
        p50_a_ms=estimate(a.ms, 0.5),
        p50_b_ms=estimate(b.ms, 0.5),
        ratio=_exp(times.estimate),
        ratio_low=_exp(times.low),
        ratio_high=_exp(times.high),
        ratio_inside_low=_exp(times.inside_low),
        ratio_inside_high=_exp(times.inside_high),
        late_ms=late.limits.all_late_ms if late else math.nan,
        late_a=float(late.is_late[0].mean()) if late else math.nan,
        late_b=float(late.is_late[1].mean()) if late else math.nan,
        late=of_late.estimate,
        late_low=of_late.low,
        late_high=of_late.high,
        late_inside_low=of_late.inside_low,
        late_inside_high=of_late.inside_high,
        very_late=very.estimate,
        very_late_low=very.low,
        very_late_high=very.high,
        typical=words[0],
        tail=words[1],
        verdict=words[2],
        forbids=any(one.fails for one in decisions),
        decisions=decisions,
    )
