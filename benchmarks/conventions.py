"""Count how often carts tell how their merchant counts: ``python -m benchmarks.conventions``.

Sets of 20 orders are drawn from merchants whose way of counting is known. What ``conventions`` says
of each set is held against the truth. The table is printed and written to
``docs/benchmarks-conventions.md``.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmly_nb.carts.conventions import CANNOT, QUESTIONS, conventions
from tests.carts.conftest import events
from tests.carts.counting import order, tax_of
from tests.carts.test_conventions import COUNTINGS, WITH_MORE

if TYPE_CHECKING:
    from tests.carts.counting import Counting

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-conventions.md"
ORDERS = 20
WANTED = 0.99
FIRST_SEED = 20_261_129
UNITS, HALVES = ("by order", "by line", "by piece"), ("half up", "half to even")
RIGHT, OPEN, WRONG, UNSEEN = "right", "cannot be told", "wrong", "does not show"


def others(how: Counting, question: str) -> list[Counting]:
    """Return the same merchant with each other answer to a question about tax."""
    if question == "rounding of tax":
        return [replace(how, tax_unit=unit) for unit in UNITS if unit != how.tax_unit]
    if question == "halves":
        return [replace(how, halves=each) for each in HALVES if each != how.halves]
    return [replace(how, taxes_shipping=not how.taxes_shipping)]


def shows(question: str, how: Counting, carts: list[dict[str, Any]]) -> bool:
    """Return whether some amount of the carts would be another under each other answer."""

    def taxes(way: Counting) -> list[int]:
        return [
            tax_of(
                way,
                [line for line in cart["line_items"] if "recurring" not in line],
                cart["sub_total"]["number"],
                cart["shipping_total"]["number"],
            )
            for cart in carts
        ]

    return all(taxes(other) != taxes(how) for other in others(how, question))


def judge(name: str, how: Counting, seed: int) -> dict[str, str]:
    """Return for each question whether one set of orders tells it right."""
    draw = random.Random(seed)
    made = [order(draw.randint, how, number) for number in range(ORDERS)]
    table = conventions(events(*made))
    told = dict(zip(table["question"], table["answer"], strict=True))
    carts = [recording[2][1]["cart"] for recording in made]
    found = {}
    for question, answer in how.answers.items():
        truth = answer or CANNOT
        if told[question] == truth:
            found[question] = RIGHT if answer else UNSEEN
        elif told[question] != CANNOT:
            found[question] = WRONG
        elif question in {"halves", "rounding of tax", "tax on shipping"} and (
            name in WITH_MORE or not shows(question, how, carts)
        ):
            found[question] = UNSEEN
        else:
            found[question] = OPEN
    return found


def report(by_question: dict[str, Counter[str]], by_way: dict[str, Counter[str]], n: int) -> str:
    """Write the page."""

    def rows(counts: dict[str, Counter[str]], names: Any) -> str:
        return "\n".join(
            f"| `{name}` | {each[RIGHT] + each[OPEN] + each[WRONG]:,} | {share(each):.2%} "
            f"| {each[OPEN]:,} | {each[WRONG]:,} | {each[UNSEEN]:,} |"
            for name, each in ((name, counts[name]) for name in names)
        )

    head = "| answers | told right | cannot be told | wrong | does not show |\n"
    line = "| --- | ---: | ---: | ---: | ---: | ---: |"
    return f"""# Learning how merchants count: how often it is right

Written by `python -m benchmarks.conventions`. {n:,} sets of {ORDERS} orders from each of
{len(by_way)} merchants whose way of counting is known, {n * len(by_way):,} sets in all.
Python {platform.python_version()}; first seed {FIRST_SEED}.

Wanted: at least {WANTED:.0%} of the answers right, the others `cannot be told`, none wrong.

| question {head}{line}
{rows(by_question, QUESTIONS)}

| way of counting {head}{line}
{rows(by_way, by_way)}

- *Does not show*: the carts would be the same with another answer, or have nothing to which the
  question applies. Then `cannot be told` is the only right answer, which is counted apart.
- How tax is rounded is not asked of carts with discounts or add-ons, because their tax can be
  reckoned in many ways. `cannot be told` is the answer there.
- *Halves* show only where a tax ends on exactly half a cent.
"""


def share(counts: Counter[str]) -> float:
    """Return the share of right answers."""
    return counts[RIGHT] / max(1, counts[RIGHT] + counts[OPEN] + counts[WRONG])


def main() -> int:
    """Judge the sets, print the table and write the page; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conventions", description=__doc__)
    parser.add_argument("--sets", type=int, default=100, help="of each way of counting")
    parser.add_argument("--no-page", action="store_true", help="print only")
    options = parser.parse_args()
    by_question: dict[str, Counter[str]] = defaultdict(Counter)
    by_way: dict[str, Counter[str]] = defaultdict(Counter)
    for name, how in COUNTINGS.items():
        for seed in range(FIRST_SEED, FIRST_SEED + options.sets):
            for question, result in judge(name, how, seed).items():
                by_question[question][result] += 1
                by_way[name][result] += 1
    page = report(by_question, by_way, options.sets)
    print(page)
    if not options.no_page:
        PAGE.write_text(page, encoding="utf-8")
    missed = [each for each in by_question.values() if share(each) < WANTED or each[WRONG]]
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
