"""Count how often a study that may stop early is wrong, and whether plans reach their power.

``python -m benchmarks.deciding`` draws studies from a known truth. Their blocks are looked at as
``lab.compare`` does, by the functions that it uses; a part goes through ``compare`` as well, and
has to give the same words. The tables are printed and written to ``docs/benchmarks-deciding.md``.
By default 100 pairs of each kind are drawn, with ``--full`` 2,000.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.studies import BEGIN, MEDIAN_MS, NO_EVENTS, SIGMA, Study, alike, one, outage, wide
from benchmarks.verdicts import DECIDED, error, share
from firmly_nb.display.text import count
from firmly_nb.latency.answers import _both, _decision, _typical
from firmly_nb.latency.compare import compare
from firmly_nb.latency.design import ENOUGH_RUNS
from firmly_nb.latency.effect import Sample, log_factors, pairs_of
from firmly_nb.latency.looks import BLOCK, block_id, planned_looks
from firmly_nb.latency.planning import A_RUN, StudyPlan, plan
from firmly_nb.latency.questions import (
    NARROW,
    NEEDED_FOR_TAIL,
    NO_CHANGE,
    WIDE,
    WORSE,
    Group,
    Levels,
    Margins,
    Method,
    difference_of_shares,
    is_faster_with_failures,
    of_runs,
    tail,
    typical,
)
from firmly_nb.latency.stages import STAGES
from firmly_nb.latency.verdict import verdict_of
from firmly_nb.sweep.study import turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from firmly_nb.latency.questions import Decision

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Draw = np.random.Generator

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-deciding.md"
SEED = 20_261_130
USUAL, FULL = 100, 2_000
MOST_OF_PLANS = 500  # studies that try a row of a plan
COUNT, SUCCESS = 600, 0.98
BLOCKS = COUNT // BLOCK
LOOKS = planned_looks(BLOCKS)
MARGINS = Margins(0.10, 0.05, 0.05, None)
AT_ONCE = 25  # studies whose factors are found together
ALONE = np.zeros(1, dtype=bool), np.zeros(1, dtype=np.intp)


# ------------------------------------------------------------------- studies in blocks


@dataclass(frozen=True)
class Kind:
    """A kind of study in blocks.

    Attributes
    ----------
    name
        In words.
    logs
        Draws the logarithms of the times of orders in order of start, a row a block.
    success
        Draws the share of placed orders of each block.
    change
        Changes the logarithms and what is placed of B; None: A and B are equal.
    wanted
        Words that are right.
    """

    name: str
    logs: Callable[[Draw], Floats]
    success: Callable[[Draw], Floats] = lambda _: np.full(BLOCKS, SUCCESS)
    change: Callable[[Draw, Floats, Flags], tuple[Floats, Flags]] | None = None
    wanted: tuple[str, ...] = ("no change",)


def independent(draw: Draw) -> Floats:
    """Return orders that do not go along with one another."""
    return SIGMA * draw.standard_normal((BLOCKS, 2 * BLOCK))


def one_after_another(draw: Draw) -> Floats:
    """Return orders of which each goes along with the one before: AR(1) 0.6."""
    return SIGMA * alike(draw, BLOCKS * 2 * BLOCK).reshape(BLOCKS, -1)


def levels(draw: Draw) -> Floats:
    """Return blocks with levels of their own: ICC 0.3."""
    level = SIGMA * math.sqrt(0.3 / 0.7) * draw.standard_normal((BLOCKS, 1))
    return independent(draw) + level


def outages(draw: Draw) -> Floats:
    """Return shares of placed orders: one block in ten has an outage."""
    return outage(draw, BLOCKS)


def noisy(draw: Draw, logs: Floats, placed: Flags) -> tuple[Floats, Flags]:
    """Let B differ from A in each block by chance, and on the whole not at all."""
    return logs + 0.05 * draw.standard_normal((BLOCKS, 1)), placed


def slower(by: float, _: Draw, logs: Floats, placed: Flags) -> tuple[Floats, Flags]:
    """Let every order of B take longer."""
    return logs + math.log1p(by), placed


def very_late(part: float, draw: Draw, logs: Floats, placed: Flags) -> tuple[Floats, Flags]:
    """Let some orders of B take three times as long."""
    return logs + math.log(3.0) * (draw.random(logs.shape) < part), placed


def fewer(points: float, draw: Draw, logs: Floats, placed: Flags) -> tuple[Floats, Flags]:
    """Let further orders of B time out."""
    return logs, placed & (draw.random(placed.shape) >= points / SUCCESS)


EQUAL = (
    Kind("independent", independent),
    Kind("AR(1) 0.6", one_after_another),
    Kind("blocks at ICC 0.3", levels),
    Kind("outage in one block of ten", independent, outages),
    Kind("B differs by 5% from block to block", independent, change=noisy),
)
CHANGED = (
    Kind("+5%", independent, change=partial(slower, 0.05), wanted=("slower",)),
    Kind("+10%", independent, change=partial(slower, 0.10), wanted=("slower",)),
    Kind("+30%", independent, change=partial(slower, 0.30), wanted=("slower",)),
    Kind("+10%, blocks at ICC 0.3", levels, change=partial(slower, 0.10), wanted=("slower",)),
    Kind("8% very late", independent, change=partial(very_late, 0.08), wanted=("slower",)),
    Kind(
        "10 points fewer placed", independent, change=partial(fewer, 0.1), wanted=("fewer placed",)
    ),
)


@dataclass(frozen=True)
class Drawn:
    """A study: times of A and of B by block, infinite if not placed; the places of each side."""

    a: Floats
    b: Floats
    at_a: NDArray[np.intp]
    at_b: NDArray[np.intp]
    factors: Floats  # of each block, as a logarithm; not a number without a pair


def drawn(kind: Kind, draw: Draw, studies: int) -> Iterator[Drawn]:
    """Draw studies, some at once, and find the factor of each block."""
    while studies > 0:
        some = [_one(kind, draw) for _ in range(min(studies, AT_ONCE))]
        unit = np.arange(len(some) * BLOCKS).repeat(BLOCK)
        samples = []
        for times in (np.stack([each[side] for each in some]).ravel() for side in (0, 1)):
            came = np.isfinite(times)
            samples.append(Sample(np.log(times[came]), unit[came], unit[came]))
        found = np.full(len(some) * BLOCKS, np.nan)
        found[np.intersect1d(samples[0].units, samples[1].units)] = log_factors(pairs_of(*samples))
        factors = found.reshape(len(some), BLOCKS)
        yield from (Drawn(*each, row) for each, row in zip(some, factors, strict=True))
        studies -= len(some)


def _one(kind: Kind, draw: Draw) -> tuple[Floats, Floats, Any, Any]:
    seed = int(draw.integers(1 << 30))
    is_b = np.array([turns(seed, block) for block in range(1, BLOCKS + 1)], dtype=bool)
    logs, success = kind.logs(draw), kind.success(draw)[:, None]
    placed = draw.random(logs.shape) < success
    at = [np.nonzero(mask)[1].reshape(BLOCKS, BLOCK) for mask in (~is_b, is_b)]
    sides = [
        (logs[mask].reshape(BLOCKS, BLOCK), placed[mask].reshape(BLOCKS, BLOCK))
        for mask in (~is_b, is_b)
    ]
    if kind.change:
        sides[1] = kind.change(draw, *sides[1])
    times = [np.where(came, MEDIAN_MS * np.exp(values), np.inf) for values, came in sides]
    return times[0], times[1], at[0], at[1]


def word_at(study: Drawn, blocks: int) -> str:
    """Return the word at a look, by the functions of ``compare`` and without its tables."""
    looks = tuple(look for look in LOOKS if look <= blocks)
    level = Levels(looks, BLOCKS)
    method = Method("interleaved", True, *ALONE, level)
    run = np.arange(blocks).repeat(BLOCK)
    a, b = (
        Group(side[:blocks].ravel(), np.zeros(len(run), np.intp), run)
        for side in (study.a, study.b)
    )
    times = of_runs(study.factors[:blocks], (level.wide, level.narrow))
    faster = times.high < 0 and is_faster_with_failures(a, b, method, level.wide)
    lost = [np.isinf(group.ms) for group in (a, b)]
    failed = difference_of_shares(a, lost[0], b, lost[1], method, (level.wide, level.narrow))
    decisions = (
        _typical(times, math.log1p(MARGINS.typical), is_faster=faster),
        _both(tail(a, b, method, level.wide), MARGINS.tail),
        _decision(failed, MARGINS.placed),
    )
    return word_of_all(decisions)


def word_of_all(decisions: tuple[Decision, Decision, Decision]) -> str:
    """Return the word of the whole order."""
    found: Any = SimpleNamespace(decisions=decisions, stages=(), unlike="", why_not="")
    return verdict_of(found)


def by_compare(study: Drawn, blocks: int) -> str:
    """Return the word at a look by ``compare``."""
    sides = [
        tables_of(side[:blocks], at[:blocks], name)
        for side, at, name in ((study.a, study.at_a, "a"), (study.b, study.at_b, "b"))
    ]
    return compare(*sides).order.verdict


def tables_of(times: Floats, at: NDArray[np.intp], name: str) -> Any:
    """Return the tables of a side."""
    blocks = len(times)
    n = blocks * BLOCK
    ids = [block_id("study", block + 1, BLOCKS, early=True) for block in range(blocks)]
    ms = times.ravel()
    seconds = np.repeat(np.arange(blocks) * 2 * BLOCK, BLOCK) + at.ravel()
    orders = pd.DataFrame(
        {
            "recording_id": [f"{name}{i}" for i in range(n)],
            "run_id": np.repeat(ids, BLOCK),
            "domain": "a.test",
            "n_items": 1,
            "outcome": np.where(np.isfinite(ms), "placed", "timeout"),
            "started_at": BEGIN + pd.to_timedelta(seconds, unit="s"),
            "time_to_order_placed_ms": np.where(np.isfinite(ms), ms, np.nan),
        }
    )
    return NO_EVENTS.assign(coalesced=False), STAGES.empty(), orders


@dataclass
class Ended:
    """How studies of a kind ended: words, orders a side, and words that ``compare`` denies."""

    words: Counter[str]
    orders: list[int]
    checked: int = 0
    denied: int = 0


def ended(kind: Kind, number: int, studies: int, checked: int) -> Ended:
    """Let studies of a kind stop as soon as they are decided."""
    draw, found = np.random.default_rng([SEED, number]), Ended(Counter(), [])
    for nth, study in enumerate(drawn(kind, draw, studies)):
        for blocks in LOOKS:
            word = word_at(study, blocks)
            if nth < checked:
                found.checked += 1
                found.denied += by_compare(study, blocks) != word
            if word in {*DECIDED, "no change"}:
                break
        found.words[word] += 1
        found.orders.append(blocks * BLOCK)
    return found


# ------------------------------------------------------------------- plans


@dataclass(frozen=True)
class Present:
    """Recordings that a study is planned from."""

    name: str
    sigma: float
    success: float


PRESENT = (
    Present("log sd 0.21, 98% placed", SIGMA, 0.98),
    Present("log sd 0.4, 95% placed", 0.4, 0.95),
    Present("log sd 0.21, 90% placed", SIGMA, 0.90),
)
PILOT = 20_000


def planned(now: Present, draw: Draw, orders: int) -> StudyPlan:
    """Return the plan from so many recorded orders."""
    shape = wide if now.sigma == 0.4 else None
    study = (
        one(draw, orders, shape, now.success) if shape else one(draw, orders, success=now.success)
    )
    return plan(_pilot(study), 0.10, 0.8)


def _pilot(study: Study) -> Any:
    orders = pd.DataFrame(
        {
            "recording_id": [f"p{i}" for i in range(len(study.ms))],
            "outcome": np.where(study.placed, "placed", "timeout"),
            "time_to_order_placed_ms": np.where(study.placed, study.ms, np.nan),
        }
    )
    return NO_EVENTS, STAGES.empty(), orders


@dataclass(frozen=True)
class Question:
    """A row of a plan, and the studies that try it."""

    question: str
    change: str
    shift: float = 0.0
    slow: float = 0.0
    says: str = WORSE


QUESTIONS = (
    Question("typical", "+5%", shift=0.05),
    Question("typical", "+10%", shift=0.10),
    Question("typical", "+20%", shift=0.20),
    Question("typical", "+30%", shift=0.30),
    Question("tail", "4% take twice as long", slow=0.04),
    Question("tail", "8% take twice as long", slow=0.08),
    Question("typical", "same within 10%", says=NO_CHANGE),
    Question("tail", "same within 5 points", says=NO_CHANGE),
    Question("placed", "same within 5 points", says=NO_CHANGE),
)


def power(now: Present, asked: Question, runs: int, n: int, studies: int) -> float:
    """Return the share of studies in which the question says what it should.

    One run has n orders of each side; several have the noise that plans allow for.
    """
    draw = np.random.default_rng([SEED, runs, n, round(100 * now.sigma)])
    said = sum(_says(now, asked, runs, n, draw) == asked.says for _ in range(studies))
    return said / studies


def _says(now: Present, asked: Question, runs: int, n: int, draw: Draw) -> str:
    method = Method("interleaved", runs > 1, *ALONE)
    run, kind = np.arange(runs).repeat(n), np.zeros(runs * n, np.intp)
    sides = []
    for is_b in (False, True):
        logs = now.sigma * draw.standard_normal(runs * n)
        if is_b:
            logs = logs + math.log1p(asked.shift)
            logs = logs + math.log(2.0) * (draw.random(runs * n) < asked.slow)
            logs = logs + (0.03 * draw.standard_normal(runs)[run] if runs > 1 else 0.0)
        came = draw.random(runs * n) < now.success
        sides.append(Group(np.where(came, MEDIAN_MS * np.exp(logs), np.inf), kind, run))
    a, b = sides
    if asked.question == "typical":
        return _decision(typical(a, b, method, (WIDE, NARROW)).ends, math.log1p(0.10)).says
    if asked.question == "tail":
        return _both(tail(a, b, method, WIDE), MARGINS.tail).says
    lost = np.isinf(a.ms), np.isinf(b.ms)
    return _decision(
        difference_of_shares(a, lost[0], b, lost[1], method, (WIDE, NARROW)), MARGINS.placed
    ).says


# ------------------------------------------------------------------- what no test can save

AT_LEAST = ((0.05, 0.8), (0.05, 0.73), (0.10, 0.99))


def least_orders(by: float, power: float, studies: int = FULL) -> tuple[float, float]:
    """Return median and mean orders a side of Wald's test, which knows the change.

    His sequential probability ratio test needs the fewest orders on average of all tests with its
    errors. It looks after each order of both sides, and errs as often as one wide interval may.
    """
    shift, wrong = math.log1p(by), (1 - WIDE) / 2
    upper, lower = math.log(power / wrong), math.log((1 - power) / (1 - wrong))
    draw, most = np.random.default_rng([SEED, 900]), 8 * math.ceil(upper * (SIGMA / shift) ** 2)
    gaps = shift + math.sqrt(2.0) * SIGMA * draw.standard_normal((studies, most))
    ratios = np.cumsum(shift / (2 * SIGMA**2) * (gaps - shift / 2), axis=1)
    is_over = (ratios >= upper) | (ratios <= lower)
    ends = np.where(is_over.any(axis=1), is_over.argmax(axis=1) + 1, most)
    return float(np.median(ends)), float(ends.mean())


def least_rows(fixed: int) -> list[str]:
    """Return a row for each change and power."""
    found = [(by, power, *least_orders(by, power)) for by, power in AT_LEAST]
    return [
        f"| +{by:.0%} | {power:.0%} | {middle:.0f} | {mean:.0f} | {1 - middle / fixed:.0%} |"
        for by, power, middle, mean in found
    ]


# ------------------------------------------------------------------- the page


def equal_rows(studies: int, checked: int) -> tuple[list[str], list[str], int, int]:
    """Return a row for each kind of equal pair, the targets missed, and what was checked."""
    rows, missed, seen, denied = [], [], 0, 0
    for number, kind in enumerate(EQUAL):
        found = ended(kind, number, studies, checked)
        seen, denied = seen + found.checked, denied + found.denied
        wrong = sum(found.words[word] for word in DECIDED)
        if wrong / studies > 0.05 + 2 * error(studies) / 100:
            missed.append(f"{kind.name}: {share(wrong, studies)}% false verdicts")
        rows.append(
            f"| {kind.name} | {share(wrong, studies)} | {share(found.words['no change'], studies)} "
            f"| {share(found.words['not enough data'], studies)} | {np.median(found.orders):.0f} |"
        )
        print(rows[-1], flush=True)
    return rows, missed, seen, denied


def changed_rows(studies: int, fixed: int, checked: int) -> tuple[list[str], list[str], int, int]:
    """Return a row for each kind of change, the targets missed, and what was checked."""
    rows, missed, seen, denied = [], [], 0, 0
    for number, kind in enumerate(CHANGED, 100):
        found = ended(kind, number, studies, checked)
        seen, denied = seen + found.checked, denied + found.denied
        right = sum(found.words[word] for word in kind.wanted)
        middle = float(np.median(found.orders))
        low, high = np.quantile(found.orders, [0.1, 0.9])
        saved = 1 - middle / fixed
        if saved < 0.5:
            missed.append(f"{kind.name}: {saved:.0%} of the orders saved, half are wanted")
        rows.append(
            f"| {kind.name} | {share(right, studies)} | {share(found.words['no change'], studies)} "
            f"| {share(found.words['not enough data'], studies)} | {middle:.0f} | "
            f"{low:.0f} to {high:.0f} | {100 * saved:.0f}% |"
        )
        print(rows[-1], flush=True)
    return rows, missed, seen, denied


def plan_rows(studies: int) -> tuple[list[str], list[str]]:
    """Return a row for each question of each plan, and the targets missed."""
    rows, missed = [], []
    for number, now in enumerate(PRESENT):
        found = planned(now, np.random.default_rng([SEED, 500, number]), PILOT)
        needs = found.needs.set_index(["question", "change"])
        for asked in QUESTIONS:
            need = needs.loc[(asked.question, asked.change)]
            n, runs = int(need["orders"]), int(need["runs"])
            reached = [
                power(now, asked, 1, n, studies),
                power(now, asked, runs, A_RUN, studies) if runs <= 100 else math.nan,
            ]
            # More than asked for is right where one run less would not do.
            fewer = power(now, asked, runs - 1, A_RUN, studies) if reached[1] > 0.85 else 1.0
            least = n <= NEEDED_FOR_TAIL, runs <= ENOUGH_RUNS or fewer < 0.8
            for got, is_least, size in zip(
                reached, least, (count(n, "order"), count(runs, "run")), strict=True
            ):
                if got < 0.75 or (got > 0.85 and not is_least):
                    told = f"{now.name}, {asked.question} {asked.change}, {size}: {got:.1%}"
                    missed.append(f"{told} in place of 80%")
            in_runs = "-" if math.isnan(reached[1]) else f"{100 * reached[1]:.1f}"
            rows.append(
                f"| {now.name} | {asked.question} | {asked.change} | {n:,} | "
                f"{100 * reached[0]:.1f} | {runs} | {in_runs} |"
            )
            print(rows[-1], flush=True)
    return rows, missed


def page(studies: int, checked: int) -> str:
    """Measure everything and return the page."""
    began = time.perf_counter()
    drawn = min(studies, MOST_OF_PLANS)
    powers, missed = plan_rows(drawn)
    fixed = planned(PRESENT[0], np.random.default_rng(SEED), PILOT).orders or 0
    equal, more, seen, denied = equal_rows(studies, checked)
    changed, unsaved, seen_too, denied_too = changed_rows(studies, fixed, checked)
    missed += more + unsaved
    if denied + denied_too:
        missed.append(f"{denied + denied_too} looks differ from what compare says")
    return TEXT.format(
        python=platform.python_version(),
        studies=f"{studies:,}",
        drawn=drawn,
        of_power=f"{error(drawn, 0.8):.1f}",
        full=" --full" if studies == FULL else "",
        error=f"{error(studies):.1f}",
        minutes=f"{(time.perf_counter() - began) / 60:.0f}",
        checked=f"{seen + seen_too:,}",
        fixed=fixed,
        count=COUNT,
        equal="\n".join(equal),
        changed="\n".join(changed),
        least="\n".join(least_rows(fixed)),
        powers="\n".join(powers),
        missed="\n".join(f"- {text}" for text in missed) or "None.",
    )


TEXT = """# Deciding early: how often it is right

How often is a study wrong that may stop at any look, how many orders does it save, and does a plan
reach the power that it states? Studies are drawn from a known truth. [Statistics](statistics.md)
has the definitions.

Written by `python -m benchmarks.deciding{full}`: {studies} studies of each kind, in {minutes}
minutes. Python {python}. The standard error of a share of 5% is {error} points.
Studies are judged by the functions of `compare`, on arrays.
{checked} of their looks went through `compare` as well. All shares are in percent.

## Targets that are missed

{missed}

## Equal sides: is a change told?

A and B are the same. Each study has 60 blocks of 10 + 10 orders, and 12 looks. A false verdict is
any of `slower`, `fewer placed`, `faster` and `more placed`, at any look. At most 5% are wanted.

| studies | false verdicts | no change | not enough data | median orders a side |
| --- | ---: | ---: | ---: | ---: |
{equal}

Stages are a family of their own, with 5% for all of them together. They are not in this table.

## A change: how soon is it told?

*Saved*: median orders a side against a plan that is looked at once, {fixed} a side. At most {count}
are placed.

| change of B | right word | no change | not enough data | median a side | 10% to 90% | saved |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{changed}

Deciding early saves orders where something changed. It saves none where nothing did: to show that
needs as many orders as ever, and a few more, since each look takes a part of the error.

At +5% half is the limit even of the best test. Let it know the size and the spread of the change,
ask for the typical time alone, and look after each order. The one of
[Wald](https://doi.org/10.1214/aoms/1177731118) needs the fewest orders on average. With the errors
of one wide interval it gives:

| change | found | median a side | mean a side | saved |
| --- | ---: | ---: | ---: | ---: |
{least}

`compare` knows none of that, asks three questions, and looks after each 50 orders a side.

## Plans: is the stated power reached?

A plan is made from 20,000 recorded orders for a power of 80%. Then {drawn} studies of exactly that
size are drawn; the standard error is {of_power} points. Within 5 points are wanted. A row with the
least number that there is (72 orders, 5 runs) may reach more, and so may one where one run less
would not reach 80%. Runs have 20 orders of each side, and a release that varies by 3% from run to
run. Runs above 100 are not drawn.

| recorded orders | question | tells | orders a side | power | runs | power |
| --- | --- | --- | ---: | ---: | ---: | ---: |
{powers}
"""


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=USUAL, help="pairs of each kind")
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} of each")
    parser.add_argument("--checked", type=int, default=2, help="pairs that compare judges as well")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written")
    asked = parser.parse_args()
    text = page(FULL if asked.full else max(asked.pairs, 2), asked.checked)
    asked.page.write_text(text, encoding="utf-8")
    print(f"\nwritten to {asked.page}")


if __name__ == "__main__":
    main()
