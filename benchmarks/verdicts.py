"""Count how often intervals and verdicts are right: ``python -m benchmarks.verdicts``.

Studies are drawn from a known truth. Those for intervals go through ``fnb.from_events``,
``latency`` and ``outcomes``, as a user's own data would; pairs go to ``compare`` as tables, the
first of each hundred through ``fnb.from_events`` as well, with the same sentence. The same studies
are judged in the style of the usual tools: mean and t-test, Mann-Whitney, and p95 against p95. The
tables are printed and written to ``docs/benchmarks-verdicts.md``. ``--equal`` draws more pairs of
equal releases, of which false verdicts are rare; ``--full`` draws 2,000 of everything. With
``--kept`` what is counted is kept in a file, so that a run that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from benchmarks.studies import (
    CONTROL,
    MEDIAN_MS,
    SIGMA,
    Study,
    against_control,
    along_one_run,
    apart_in_time,
    autocorrelated,
    fewer,
    in_one_run,
    in_own_runs,
    in_shared_runs,
    late,
    later_than_p95,
    lognormal,
    lost_and_faster,
    mixed,
    of_stages,
    one,
    outage,
    pareto,
    placed_alike,
    runs,
    slow_mode,
    slower,
    ties,
    trend,
    wide,
)
from firmly_nb.latency import compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.studies import Floats, Pair, Shape

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-verdicts.md"
SEED = 20_261_129
USUAL, FULL = 40, 2_000
PS = (0.5, 0.9, 0.95)
WORSE, BETTER = ("fewer placed", "slower", "slower in a stage"), ("faster", "more placed")
DECIDED = (*WORSE, *BETTER)
OURS = ("not attributable", "not comparable")
FAILED, DRAWN = "failed", "drawn"
PORTION = 100  # pairs that are drawn from a seed of their own, and kept together
LARGE = 2_000_000
MOST_MORE = 4_000


# ----------------------------------------------------------------------- what is counted is kept

_kept: dict[str, Any] = {}
_file: list[Path] = []


def keep_in(path: Path) -> None:
    """Keep what is counted in a file, a JSON object a line; what is there is not drawn again."""
    _file[:] = [path]
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            _kept.update(json.loads(line))


def kept(name: str, count: Callable[[], Any]) -> Any:
    """Return what was counted under a name, or count it."""
    if name not in _kept:
        began = time.perf_counter()
        _kept[name] = {"found": count(), "took_s": time.perf_counter() - began}
        for path in _file:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({name: _kept[name]}) + "\n")
    return _kept[name]["found"]


# ------------------------------------------------------------------- do intervals hold the truth?


@dataclass(frozen=True)
class Interval:
    """A kind of study of which the quantiles and the success rate are known.

    Attributes
    ----------
    name
        In words.
    draw
        Makes one of about so many orders.
    truth
        Returns its quantiles; of runs that the interval speaks of alone, of these.
    success
        The success rate.
    wanted
        Least coverage; None where none is promised.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Study]
    truth: Callable[[Study], tuple[float, ...]]
    success: float | None = 0.98
    wanted: float | None = 0.93


@cache
def of_shape(shape: Shape) -> tuple[float, ...]:
    """Return the quantiles of a kind of times."""
    values = shape(np.random.default_rng(1), LARGE)
    return tuple(float(q) for q in np.quantile(values, PS))


@cache
def of_normal(sigma: float) -> tuple[float, ...]:
    """Return the quantiles of times whose logarithms are normal."""
    return tuple(float(MEDIAN_MS * np.exp(sigma * z)) for z in stats.norm.ppf(PS))


def of_its_runs(study: Study) -> tuple[float, ...]:
    """Return the quantiles of the very runs of a study: their levels are noted in it."""
    levels = np.unique(study.more["level"])
    grid = np.exp(np.linspace(-1.5, 1.5, 6_001)) * MEDIAN_MS
    below = stats.norm.cdf((np.log(grid / MEDIAN_MS)[:, None] - levels[None]) / SIGMA).mean(axis=1)
    return tuple(float(np.interp(p, below, grid)) for p in PS)


def plain(shape: Shape) -> Callable[[np.random.Generator, int], Study]:
    """Return what makes a run of such times."""
    return lambda draw, n: one(draw, n, shape)


def success_alike(draw: np.random.Generator, n: int) -> Study:
    """Return a run in which a failure goes along with the one before."""
    study = one(draw, n)
    study.placed = placed_alike(draw, n)
    return study


def some_runs(draw: np.random.Generator, n: int, count: int) -> Study:
    """Return a study of runs with levels of their own, known afterwards."""
    return runs(draw, count, n // count, 0.3)


def two_runs(draw: np.random.Generator, n: int) -> Study:
    """Return a study of two runs, their levels noted as tags that nobody reads."""
    run = np.repeat([0, 1], n // 2)
    level = SIGMA * math.sqrt(0.3 / 0.7) * draw.standard_normal(2)
    study = one(draw, len(run), lognormal)
    study.ms, study.run = study.ms * np.exp(level[run]), run
    study.start_s = study.start_s + 3_600.0 * run
    study.more = {"level": level[run]}
    return study


RUN_SIGMA = SIGMA / math.sqrt(0.7)
INTERVALS = (
    Interval("lognormal", plain(lognormal), lambda _: of_normal(SIGMA)),
    Interval("8% slow mode", plain(slow_mode), lambda _: of_shape(slow_mode)),
    Interval("Pareto 1.2", plain(pareto), lambda _: of_shape(pareto)),
    Interval("ties (steps of 50 ms)", plain(ties), lambda _: of_shape(ties)),
    Interval("trend of 40% in the run", plain(trend), lambda _: of_shape(trend)),
    Interval("AR(1) 0.6", plain(autocorrelated), lambda _: of_normal(SIGMA)),
    Interval("AR(1) 0.6, success too", success_alike, lambda _: of_normal(SIGMA), 0.9),
    Interval("2 runs, for these alone", two_runs, of_its_runs, 0.98, None),
    Interval("5 runs, ICC 0.3", partial(some_runs, count=5), lambda _: of_normal(RUN_SIGMA), 0.9),
    Interval("10 runs, ICC 0.3", partial(some_runs, count=10), lambda _: of_normal(RUN_SIGMA), 0.9),
)


def coverage(kind: Interval, n: int, sets: int) -> dict[str, list[float]]:
    """Count how often the intervals of a kind of study hold the truth, ours and the usual ones."""
    return kept(f"{kind.name}: {sets} of {n}", lambda: _coverage(kind, n, sets))


def _coverage(kind: Interval, n: int, sets: int) -> dict[str, list[float]]:
    draw = np.random.default_rng([SEED, n, INTERVALS.index(kind)])
    given, held, closed, usual = (np.zeros(4) for _ in range(4))
    for _ in range(sets):
        study = kind.draw(draw, n)
        truth = kind.truth(study)
        study.more = {}
        recordings = study.recordings("o")
        table = recordings.latency().table.set_index("stage").loc["order"]
        times = np.sort(study.ms[study.placed])
        for place, (p, value) in enumerate(zip(PS, truth, strict=True)):
            low, high = (table[f"p{round(p * 100)}_{end}_ms"] for end in ("low", "high"))
            if math.isfinite(low) or math.isfinite(high):
                given[place] += 1
                held[place] += low <= value <= high
                closed[place] += math.isfinite(low) and math.isfinite(high)
            usual[place] += _holds_as_independent(times, p, value)
        if kind.success is not None:
            shares = recordings.outcomes().set_index("outcome").loc["placed"]
            if (shares["low"], shares["high"]) != (0.0, 1.0):
                given[3] += 1
                held[3] += shares["low"] <= kind.success <= shares["high"]
            successes = int(study.placed.sum())
            found = stats.binomtest(successes, n).proportion_ci(method="wilson")
            usual[3] += found.low <= kind.success <= found.high
    counts = {"given": given, "held": held, "closed": closed, "usual": usual}
    return {name: values.tolist() for name, values in counts.items()}


def _holds_as_independent(times: Floats, p: float, value: float) -> bool:
    """Say whether the order statistics of independent values hold the quantile."""
    n = len(times)
    low, high = int(stats.binom.ppf(0.025, n, p)), int(stats.binom.isf(0.025, n, p)) + 1
    above = low < 1 or times[low - 1] <= value
    return bool(above and (high > n or value <= times[high - 1]))


# ------------------------------------------------------------------------- pairs of studies


@dataclass(frozen=True)
class Pairs:
    """A kind of pair: how it is drawn, and what should be said of it.

    Attributes
    ----------
    name
        In words.
    draw
        Makes both sides.
    found
        Words that are right.
    wanted
        Share of pairs in which they should be said: at least, or at most where it is negative.
    options
        For ``compare``.
    """

    name: str
    draw: Callable[[np.random.Generator], Pair]
    found: tuple[str, ...] = DECIDED
    wanted: float | None = None
    options: tuple[tuple[str, Any], ...] = ()


EQUAL = (
    *(
        Pairs(
            f"{name}, {n} + {m}, in turns",
            partial(in_one_run, n=n, m=m, shape=shape),
            DECIDED,
            -0.05,
        )
        for name, shape, n, m in (
            ("lognormal 0.21", lognormal, 100, 100),
            ("lognormal 0.21", lognormal, 400, 400),
            ("lognormal 0.4", wide, 400, 400),
            ("8% slow mode", slow_mode, 400, 400),
            ("Pareto 1.2", pareto, 400, 400),
            ("ties", ties, 400, 400),
            ("lognormal 0.21", lognormal, 400, 100),
            ("lognormal 0.21", lognormal, 400, 1_600),
            ("four stages", of_stages, 400, 400),
        )
    ),
    Pairs("AR(1) 0.6, 400 + 400, in turns", partial(along_one_run, n=400), DECIDED, -0.05),
    Pairs("AR(1) 0.6, a run each", partial(apart_in_time, n=400), DECIDED, -0.0),
    Pairs(
        "10 shared runs of 20 + 20, ICC 0.3",
        partial(in_shared_runs, count=10, m=20),
        DECIDED,
        -0.05,
    ),
    Pairs(
        "10 shared runs of 30 + 30, one in ten an outage",
        partial(in_shared_runs, count=10, m=30, success=outage),
        DECIDED,
        -0.05,
    ),
    Pairs(
        "10 + 10 runs of 30 in turns, ICC 0.3",
        partial(in_own_runs, count=10, m=30, turns=True),
        DECIDED,
        -0.05,
    ),
    Pairs(
        "10 + 10 runs of 30 in turns, one in ten an outage",
        partial(in_own_runs, count=10, m=30, turns=True, icc=0.0, success=outage),
        DECIDED,
        -0.05,
    ),
    Pairs(
        "the day grows 20% slower, a run each",
        partial(in_own_runs, count=1, m=400, turns=False, icc=0.0, day=0.2),
        DECIDED,
        -0.0,
    ),
    Pairs(
        "the same, five runs each",
        partial(in_own_runs, count=5, m=80, turns=False, icc=0.0, day=0.2),
        DECIDED,
        -0.0,
    ),
    Pairs(
        "the same, without run ids",
        partial(in_own_runs, count=1, m=400, turns=False, icc=0.0, day=0.2, named=False),
        DECIDED,
        -0.0,
    ),
    Pairs(
        "the same, 10 + 10 runs of 40 in turns",
        partial(in_own_runs, count=10, m=40, turns=True, icc=0.0, day=0.2),
        DECIDED,
        -0.05,
    ),
    Pairs(
        "cart sizes differ, 400 + 400",
        partial(mixed, n=400, factor=1.0, by_items=True),
        DECIDED,
        -0.05,
    ),
    *(
        Pairs(
            f"the day grows 20% slower, {count} + {count} runs of {m} beside a control{more}",
            partial(against_control, count=count, m=m, noise=noise, spread=spread),
            DECIDED,
            -0.05,
            (("control", CONTROL),),
        )
        for count, m, noise, spread, more in (
            (5, 20, 0.0, SIGMA, ""),
            (10, 20, 0.03, SIGMA, ", noise 3%"),
            (10, 40, 0.0, 0.4, " that spreads twice as much"),
        )
    ),
)

TYPICAL, TAIL = ("slower",), ("slower", "slower in a stage")
POWER = (
    Pairs(
        "+10%, 106 + 106 in one run", partial(in_one_run, n=106, change=slower(1.1)), TYPICAL, 0.8
    ),
    Pairs(
        "+10%, 400 + 400 in one run", partial(in_one_run, n=400, change=slower(1.1)), TYPICAL, 0.95
    ),
    Pairs(
        "+30%, 100 + 100 in one run", partial(in_one_run, n=100, change=slower(1.3)), TYPICAL, 0.95
    ),
    Pairs(
        "+30%, 10 shared runs of 20 + 20",
        partial(in_shared_runs, count=10, m=20, factor=1.3),
        TYPICAL,
        0.95,
    ),
    Pairs(
        "+10%, 10 shared runs of 20 + 20",
        partial(in_shared_runs, count=10, m=20, factor=1.1),
        TYPICAL,
        0.85,
    ),
    Pairs(
        "+30%, 10 + 10 runs of 30 in turns",
        partial(in_own_runs, count=10, m=30, turns=True, factor=1.3),
        TYPICAL,
        None,
    ),
    Pairs(
        "+30%, 7 + 7 runs of 20 beside a control, noise 3%",
        partial(against_control, count=7, m=20, noise=0.03, factor=1.3),
        TYPICAL,
        0.95,
        (("control", CONTROL),),
    ),
    Pairs(
        "8% five times slower in item-added, 400 + 400",
        partial(in_one_run, n=400, shape=of_stages, change=late(0.08, 5, 1)),
        TAIL,
        0.95,
    ),
    Pairs(
        "4% five times slower in item-added, 400 + 400",
        partial(in_one_run, n=400, shape=of_stages, change=late(0.04, 5, 1)),
        TAIL,
        0.55,
    ),
    Pairs(
        "4% five times slower in item-added, 1,000 + 1,000",
        partial(in_one_run, n=1_000, shape=of_stages, change=late(0.04, 5, 1)),
        TAIL,
        0.95,
    ),
    Pairs(
        "8% twice as slow in all, 400 + 400",
        partial(in_one_run, n=400, change=late(0.08, 2)),
        TYPICAL,
        None,
    ),
    Pairs(
        "8% five times slower in a stage of 100 ms, 400 + 400",
        partial(in_one_run, n=400, shape=of_stages, change=late(0.08, 5, 0)),
        TAIL,
        0.95,
    ),
    Pairs(
        "10 points fewer placed, 400 + 400",
        partial(in_one_run, n=400, change=fewer(0.1)),
        ("fewer placed",),
        None,
    ),
    Pairs(
        "a third times out, the others are faster, 400 + 400",
        partial(in_one_run, n=400, change=lost_and_faster),
        ("fewer placed",),
        0.95,
    ),
    Pairs(
        "both merchants 15% faster, mix moves to the slow one, 400 + 400",
        partial(mixed, n=400, factor=0.85, by_items=False),
        ("faster",),
        None,
    ),
    Pairs(
        "+5%, margin 10%, 400 + 400", partial(in_one_run, n=400, change=slower(1.05)), TYPICAL, None
    ),
    Pairs(
        "+5%, margin 10%, 1,000 + 1,000",
        partial(in_one_run, n=1_000, change=slower(1.05)),
        TYPICAL,
        None,
    ),
)

NOTHING = ("no change",)
MARGIN = (
    *(
        Pairs(f"{name}, {n} + {n}", partial(in_one_run, n=n, change=change), NOTHING, wanted)
        for n in (400, 1_000)
        for name, change, wanted in (
            ("exactly 10% slower", slower(1.1), -0.05),
            ("5 points more are late", later_than_p95(0.05), -0.08),
            ("5 points fewer placed", fewer(0.05), -0.05),
        )
    ),
    Pairs("nothing changed, 400 + 400", partial(in_one_run, n=400), NOTHING, None),
    Pairs("nothing changed, 1,000 + 1,000", partial(in_one_run, n=1_000), NOTHING, None),
)


def usual(a: Study, b: Study) -> dict[str, bool]:
    """Say what the usual tools would: by mean, by ranks, and by p95."""
    x, y = (_whole(side)[side.placed] for side in (a, b))
    late_ = np.quantile(y, 0.95) / np.quantile(x, 0.95)
    return {
        "t-test": bool(stats.ttest_ind(x, y, equal_var=False).pvalue < 0.05),
        "Mann-Whitney": bool(stats.mannwhitneyu(x, y).pvalue < 0.05),
        "p95 10% off": bool(not 1 / 1.1 <= late_ <= 1.1),
    }


def _whole(side: Study) -> Floats:
    return side.ms if side.ms.ndim == 1 else side.ms.sum(axis=1)


def judged(kind: Pairs, number: int, pairs: int) -> Counter[str]:
    """Count what is said of pairs of a kind, by us and by the usual tools."""
    found = Counter[str]()
    for portion in range(-(-pairs // PORTION)):
        size = min(PORTION, pairs - portion * PORTION)
        found.update(
            kept(_portion(kind, portion, size), partial(_judged, kind, number, portion, size))
        )
    portion = -(-pairs // PORTION)
    while _portion(kind, portion, PORTION) in _kept:  # more were drawn at some time
        found.update(_kept[_portion(kind, portion, PORTION)]["found"])
        portion += 1
    return found


def _portion(kind: Pairs, portion: int, size: int) -> str:
    return f"{kind.name}: {size} pairs from {portion * PORTION}"


def _judged(kind: Pairs, number: int, portion: int, pairs: int) -> dict[str, int]:
    draw, found = np.random.default_rng([SEED, 7, number, portion]), Counter[str]()
    for at in range(pairs):
        a, b = kind.draw(draw)
        found[DRAWN] += 1
        try:
            said = compare(a.tables("a"), b.tables("b"), **dict(kind.options))
            if not at:
                recordings = a.recordings("a"), b.recordings("b")
                same = recordings[0].compare(recordings[1], **dict(kind.options))
                if same.verdict != said.verdict:
                    raise AssertionError(f"{kind.name}: {same.verdict} and {said.verdict}")
        except ArithmeticError as problem:  # the others are counted, and the page says so
            found[FAILED] += 1
            print(f"{kind.name}: {problem!r}", flush=True)
            continue
        found[said.order.verdict] += 1
        found[f"exit {said.exit_code}"] += 1
        found.update(name for name, is_said in usual(a, b).items() if is_said)
    return dict(found)


# ------------------------------------------------------------------- how many more would tell?


def enough_more(change: float, n: int, pairs: int) -> tuple[int, int]:
    """Return how often as many more orders as were told did decide, and how often it was told."""
    name = f"more orders, +{change:.0%}: {pairs} of {n}"
    found: tuple[int, int] = tuple(kept(name, lambda: _enough_more(change, n, pairs)))
    return found


def _enough_more(change: float, n: int, pairs: int) -> tuple[int, int]:
    draw, told, decided = np.random.default_rng([SEED, n, round(change * 100)]), 0, 0
    for _ in range(pairs):
        a, b = in_one_run(draw, n, change=slower(1.0 + change))
        said = a.recordings("a").compare(b.recordings("b"))
        more = said.more.needed if said.more else None
        if said.order.verdict != "not enough data" or not more or more > MOST_MORE:
            continue
        told += 1
        c, d = in_one_run(draw, more, change=slower(1.0 + change))
        whole = (_joined(a, c).recordings("a"), _joined(b, d).recordings("b"))
        decided += whole[0].compare(whole[1]).order.verdict in (*DECIDED, "no change")
    return decided, told


def _joined(first: Study, then: Study) -> Study:
    """Return a study and its continuation in the same run."""
    return Study(
        np.concatenate([first.ms, then.ms]),
        np.concatenate([first.placed, then.placed]),
        np.zeros(len(first.ms) + len(then.ms), dtype=np.int64),
        np.concatenate([first.start_s, then.start_s + 4.0 * len(first.ms)]),
    )


# --------------------------------------------------------------------------------- the page


def share(count: float, of: float) -> str:
    """Write a share of studies in percent; nothing where there were none."""
    return f"{100 * count / of:.1f}" if of else "-"


def error(pairs: int, at: float = 0.05) -> float:
    """Return the standard error of a share of so many studies, in points."""
    return 100 * math.sqrt(at * (1 - at) / pairs)


def misses(found: float, wanted: float | None, pairs: int) -> bool:
    """Say whether a share misses its target by more than twice its standard error."""
    if wanted is None:
        return False
    bound = abs(wanted)
    room = 2 * math.sqrt(bound * (1 - bound) / pairs)
    return found > bound + room if math.copysign(1, wanted) < 0 else found < bound - room


def coverage_rows(sets: int) -> tuple[list[str], list[str]]:
    """Return the rows of the first table, and the cells that miss their target."""
    rows, missed = [], []
    for kind in INTERVALS:
        for n in (40, 100, 400):
            if n == 40 and "runs" in kind.name and not kind.name.startswith("2"):
                continue  # runs of four orders or eight are no study
            found = coverage(kind, n, sets)
            cells = []
            for place, name in enumerate(("p50", "p90", "p95", "success")):
                held, given = found["held"][place], found["given"][place]
                off = given >= 20 and misses(held / given, kind.wanted, int(given))
                off = off and not (name == "success" and "5 runs" in kind.name)
                cells.append(f"{'**' if off else ''}{share(held, given)}{'**' if off else ''}")
                if off:
                    missed.append(f"{kind.name}, n = {n}: {name} covers {share(held, given)}%")
            given = " / ".join(share(each, sets) for each in found["given"][:3])
            closed = " / ".join(share(each, sets) for each in found["closed"][:3])
            beside = " / ".join(share(each, sets) for each in found["usual"])
            rows.append(
                f"| {kind.name} | {n} | {' | '.join(cells)} | {given} | {closed} | {beside} |"
            )
            print(rows[-1], flush=True)
    return rows, missed


def pair_rows(kinds: tuple[Pairs, ...], first: int, pairs: int) -> tuple[list[str], list[str]]:
    """Return a row for each kind of pair, and the cells that miss their target."""
    rows, missed = [], []
    for number, kind in enumerate(kinds, first):
        found = judged(kind, number, pairs)
        drawn = found[DRAWN]
        right = sum(found[word] for word in kind.found)
        off = misses(right / drawn, kind.wanted, drawn)
        if off:
            missed.append(f"{kind.name}: {share(right, drawn)}%, wanted {_wanted(kind.wanted)}")
        if found[FAILED]:
            missed.append(f"{kind.name}: {share(found[FAILED], drawn)}% of comparisons failed")
        said = [
            f"{drawn:,}",
            f"{'**' if off else ''}{share(right, drawn)}{'**' if off else ''}",
            _wanted(kind.wanted),
            *(share(found[word], drawn) for word in ("no change", "not enough data")),
            share(sum(found[word] for word in OURS), drawn),
            *(share(found[f"exit {code}"], drawn) for code in (0, 1, 3)),
            *(share(found[name], drawn) for name in ("t-test", "Mann-Whitney", "p95 10% off")),
        ]
        rows.append(f"| {kind.name} | {' | '.join(said)} |")
        print(rows[-1], flush=True)
    return rows, missed


def _wanted(wanted: float | None) -> str:
    if wanted is None:
        return ""
    return f"{'≤' if math.copysign(1, wanted) < 0 else '≥'} {abs(wanted) * 100:g}"


def more_rows(pairs: int) -> tuple[list[str], list[str]]:
    """Return a row for each true change."""
    rows, missed = [], []
    for change in (0.0, 0.02, 0.05, 0.10, 0.15):
        cells = []
        for n in (75, 150):
            decided, told = enough_more(change, n, pairs)
            cells.append(f"{share(decided, told)} ({told})")
            if told >= 20 and misses(decided / told, 0.8, told):
                missed.append(f"more orders, +{change:.0%}, n = {n}: {share(decided, told)}%")
        rows.append(f"| +{change:.0%} | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    return rows, missed


HEAD_OF_PAIRS = (
    "| studies | pairs | {found} | wanted | no change | not enough data | not attributable | "
    "gate 0 | 1 | 3 | t-test | Mann-Whitney | p95 10% off |\n"
    "| --- " + "| ---: " * 12 + "|"
)


def page(pairs: int, sets: int, equal: int) -> str:
    """Measure everything and return the page."""
    covered, missed = coverage_rows(sets)
    parts = []
    for first, kinds, head, drawn in (
        (0, EQUAL, "any change", equal),
        (100, POWER, "found", pairs),
        (200, MARGIN, "said", pairs),
    ):
        rows, more = pair_rows(kinds, first, drawn)
        parts.append("\n".join([HEAD_OF_PAIRS.format(found=head), *rows]))
        missed += more
    predicted, more = more_rows(max(pairs // 2, 10))
    missed += more
    took = sum(one["took_s"] for one in _kept.values()) / 60
    listed = "\n".join(f"- {text}" for text in missed) or "None."
    return TEXT.format(
        python=platform.python_version(),
        pairs=f"{pairs:,}",
        sets=f"{sets:,}",
        alike=f"{equal:,}",
        error=f"{error(pairs):.1f}",
        error_of_equal=f"{error(equal):.1f}",
        error_of_sets=f"{error(sets):.1f}",
        minutes=f"{took:.0f}",
        covered="\n".join(covered),
        equal=parts[0],
        power=parts[1],
        margin=parts[2],
        predicted="\n".join(predicted),
        missed=listed,
    )


TEXT = """# Verdicts: how often they are right

How often do intervals hold the truth, and how often is a verdict right? Studies are drawn from a
known truth and go through `fnb.from_events`, `latency()` and `outcomes()`. Pairs go to `compare`
as tables, the first of each hundred through `fnb.from_events` too, with the same sentence.
[Statistics](statistics.md) has the definitions. Beside them, the same studies are judged in the
style of the usual tools: mean and Welch's t-test, Mann-Whitney (both at 5%), and p95 against p95.

Written by `python -m benchmarks.verdicts`, in {minutes} minutes, with Python {python}. All shares
are in percent. Bold: the target is missed by more than twice the standard error. `--full` draws
2,000 of everything. This page rests on:

| what | drawn | standard error of a share of 5% |
| --- | ---: | ---: |
| intervals | {sets} studies of each kind | {error_of_sets} points |
| equal releases | {alike} pairs of each kind or more | {error_of_equal} points |
| changes, and changes at the margin | {pairs} pairs of each kind or more | {error} points |

## Targets that are missed

{missed}

## Do intervals hold the truth?

Nominal level 95%. An open end counts as open. *Given*: the program gave an interval at all.
*Closed*: both ends are finite. *As independent*: exact order statistics and Wilson, which take each
order as independent of all others. The last columns have p50 / p90 / p95.

| orders | n | p50 | p90 | p95 | success | given | closed | as independent, with success |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{covered}

The targets are 93% to 99%. No target is set for two runs, since an interval for two runs speaks of
these alone, and for the success rate of five runs that differ. As independent, the intervals are
right for one steady run. They mislead where orders are alike: neighbours, or orders of one run.

## Equal releases: is a change told?

A and B are the same. *Any change*: the verdict is `slower`, `slower in a stage`, `fewer placed`,
`faster` or `more placed`. The usual tools are counted where they find a difference.

{equal}

The usual tools mislead here in four ways. If the day grows slower, mean, ranks and p95 blame the
release. If neighbours are alike, or orders of one run, they take every order for new information.
They compare a mix of small and large carts with another mix. And p95 of equal releases with a slow
mode or a heavy tail often differs by 10%.

## A change: is it found?

*Found*: the verdict begins with the right word. For the usual tools: a difference in any direction.

{power}

The usual tools mislead here in three ways. They look at placed orders only: if a third is lost and
the others are faster, they say faster, and ten points fewer placed they do not see. Mann-Whitney
misses most changes of the tail. The t-test says that the mean changed, and not in which orders. No
one of the three sees a slow tail inside a short stage.

## At the margin: is "no change" said?

The change is exactly as large as the margin. *Said*: the verdict is `no change`. The usual tools
have no margin. They find no difference in 100% minus the share in their column.

{margin}

## "About n more orders would tell"

Pairs without a decision got as many more orders as were told. Share that was then decided; in
brackets how many pairs were told a number. At least 80% are wanted.

| true change | 75 + 75 | 150 + 150 |
| --- | ---: | ---: |
{predicted}
"""


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=USUAL, help="pairs of each kind")
    parser.add_argument("--sets", type=int, help="studies of each interval; default: 3 x pairs")
    parser.add_argument("--equal", type=int, help="pairs of equal releases; default: as --pairs")
    parser.add_argument("--kept", type=Path, help="file in which to keep what is counted")
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} of each")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written")
    asked = parser.parse_args()
    pairs = FULL if asked.full else max(asked.pairs, 2)
    sets = FULL if asked.full else asked.sets or 3 * pairs
    if asked.kept:
        keep_in(asked.kept)
    text = page(pairs, sets, FULL if asked.full else asked.equal or pairs)
    asked.page.write_text(text, encoding="utf-8")
    print(f"\nwritten to {asked.page}")


if __name__ == "__main__":
    main()
