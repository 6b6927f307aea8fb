"""The decision of a gate as files: JUnit for build servers, Markdown for people who read the build.

A build server shows a skipped test as green. What cannot be told is an error there, and so is a
gate that ended by a mistake or did not end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from firmly_nb.display.table import grid_markdown
from firmly_nb.display.text import as_markdown, count, printable
from firmly_nb.latency.compare import questions_grid
from firmly_nb.latency.gate import Gate
from firmly_nb.latency.verdict import FAILS, PASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.latency.compare import Comparison

SUITE = "firmly-nb gate"
MISTAKE = "mistake"
MISTAKE_EXIT = 2
UNFINISHED = "The gate did not come to its end."
STATES = {PASSES: None, FAILS: "failure"}  # all others are errors
MARKS = {PASSES: "\u2705", FAILS: "\u274c"}
UNKNOWN_MARK = "\u26a0\ufe0f"


def as_json(found: Gate | str, warnings: Sequence[str] = ()) -> dict[str, Any]:
    """Return the decision for machines, or what ended the gate; tables are DataFrames.

    Examples
    --------
    >>> as_json("No such path: 'runs/new'.")["exit_code"]
    2
    """
    if isinstance(found, Gate):
        return {**found.as_dict(), "warnings": list(warnings)}
    said = {"verdict": MISTAKE, "exit_code": MISTAKE_EXIT, "why": printable(found)}
    return {**said, "baseline": None, "slo": None, "beside": None, "warnings": list(warnings)}


def as_junit(found: Gate | str, warnings: Sequence[str] = ()) -> bytes:
    """Return the decision as JUnit XML: a test case for each thing that was asked.

    Examples
    --------
    >>> b'<error type="mistake"' in as_junit("No such path: 'runs/new'.")
    True
    """
    if isinstance(found, Gate):
        said = [(part.name, part.code, part.word, part.said) for part in found.parts]
        output = "\n".join([repr(found), *map(printable, warnings)])
    else:
        said, output = [("gate", MISTAKE_EXIT, MISTAKE, found)], ""
    states = [STATES.get(code, "error") for _, code, _, _ in said]
    counts = {"tests": len(said), "failures": states.count("failure")}
    counts |= {"errors": states.count("error"), "skipped": 0}
    numbers = {name: str(number) for name, number in counts.items()}
    root = ET.Element("testsuites", {"name": SUITE, **numbers, "time": "0"})
    suite = ET.SubElement(root, "testsuite", {"name": SUITE, **numbers, "time": "0"})
    for (name, _, word, why), state in zip(said, states, strict=True):
        case = {"name": name, "classname": "firmly-nb.gate", "time": "0"}
        element = ET.SubElement(suite, "testcase", case)
        if state:
            line = printable(why)
            ET.SubElement(element, state, {"type": word, "message": line}).text = line
    if output:
        ET.SubElement(suite, "system-out").text = output
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def as_page(found: Gate | str, warnings: Sequence[str] = ()) -> str:
    r"""Return the decision as Markdown, for the summary of a build or a comment.

    Examples
    --------
    >>> as_page("No such path: 'runs/new'.").splitlines()[0]
    '### ⚠️ Gate: mistake'
    """
    if not isinstance(found, Gate):
        return f"### {UNKNOWN_MARK} Gate: {MISTAKE}\n\n{as_markdown(found)}\n"
    parts = [f"### {MARKS.get(found.exit_code, UNKNOWN_MARK)} Gate: {found.verdict}"]
    parts += [as_markdown(part.said) for part in found.parts]
    if found.comparison is not None:
        parts += [_questions(found.comparison, "A: baseline")]
    if found.beside is not None:
        parts += [as_markdown(found.beside_line), _questions(found.beside, "A: earlier orders")]
    parts += ["\n".join(f"- {as_markdown(one)}" for one in warnings)] if warnings else []
    return "\n\n".join(parts) + "\n"


def _questions(found: Comparison, a: str) -> str:
    n_a, n_b = (count(side.of, "order") for side in (found.success.a, found.success.b))
    return f"{grid_markdown(questions_grid(found))}\n\n{a}, {n_a}. B: new runs, {n_b}."
