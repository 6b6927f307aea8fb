"""Check what holds of every message: a code with a cause and a fix, a next step, plain words.

``make check`` runs it. The texts are read from the source: what ``coded_error`` is given, with what
was put together before it. Values that are filled in are written as ``{...}``.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmly_nb.display.messages import MESSAGES  # noqa: E402 - of this checkout

PACKAGE = ROOT / "firmly_nb"
PAGE = ROOT / "docs" / "messages.md"
# A next step begins with one of these, or names what is there.
STEPS = (
    "Add|Ask|Begin|Calibrate|Call|Change|Check|Choose|Compare|Connect|Continue|Convert|Copy|Correct|Delete|Drop|"
    "Export|For|Free|Give|Install|Keep|Leave|Load|Make|Measure|Mend|Move|Name|Narrow|Open|Order|Pass|Place|"
    "Press|Reload|Remove|Rename|Resume|Run|See|Set|Shorten|Start|Stop|Sweep|To|Try|Upgrade|Use|Wait|Write"
)
NEXT_STEP = re.compile(
    rf"(?:^|[.?:}}] |, |\bor )(?:{STEPS}) |, (?:use|set|pass) |(?i:example): |Did you mean|"
    r"Events(?: with one)?: |\bneeds --|firmly-nb \w+|help\("
)
# The words are made by what is called there: those were judged where they are made.
MAKERS = (
    r"unknown|without_code|hint|there|capital\(there_are|so|do|said|text|error|MADE_BY|RESTORE|"
    "NO_[A-Z]+"
)
MADE_ELSEWHERE = re.compile(rf"\{{(?:{MAKERS}|_\w+)\b")
# It ends with what is allowed.
ALLOWED = {"connect._no_simulator"}
FORMS = {
    r"\bis no\b(?! longer)": "say 'is not a'",
    r", too\b": "say 'and'",
    r";.*;": "split it",
    r"(?<![\w{.-])_[A-Za-z]\w+": "a private name",
    r"\b(?:pydantic|ValidationError|traitlets|TraitError|dataclass|NoneType)\b": "a library's name",
    r"__\w+__": "a private name",
}


class Said(NamedTuple):
    """Text of a message, and where it is made."""

    file: str
    line: int
    function: str
    text: str


def written(node: ast.expr, known: dict[str, str]) -> str:
    """Return a text as far as the source has it.

    Examples
    --------
    >>> node = ast.parse('f"{name} must be 1, got {x:g}." + hint', mode="eval").body
    >>> written(node, {"hint": " Pass 1."})
    '{name} must be 1, got {x}. Pass 1.'
    """
    match node:
        case ast.Constant(value):
            text = str(value)
        case ast.JoinedStr(values):
            text = "".join(written(one, known) for one in values)
        case ast.FormattedValue(ast.Name(name)) | ast.Name(name) if name in known:
            text = known[name]
        case ast.BinOp(left, ast.Add(), right):
            text = written(left, known) + written(right, known)
        case ast.IfExp(body=body):
            text = written(body, known)
        case _:
            text = f"{{{ast.unparse(getattr(node, 'value', node))}}}"
    return text


def texts_of(source: str, file: str) -> Iterator[Said]:
    r"""Give out the text of each message of a module.

    Examples
    --------
    >>> source = 'def f():\n    text = "No."\n    raise coded_error(E, "FNB001", f"{text} Go.")'
    >>> [said.text for said in texts_of(source, "a.py")]
    ['No. Go.']
    """
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        known: dict[str, str] = {}
        nodes = [n for n in ast.walk(function) if isinstance(n, ast.Assign | ast.Call)]
        for node in sorted(nodes, key=lambda n: (n.lineno, n.col_offset)):
            if isinstance(node, ast.Assign):
                match node.targets:
                    case [ast.Name(name)]:
                        known[name] = written(node.value, known)
            elif isinstance(node.func, ast.Name) and node.func.id == "coded_error":
                text = written(node.args[2], known)
                yield Said(file, node.lineno, function.name, text)


def all_texts() -> Iterator[Said]:
    """Give out the text of each message; the simulator speaks as firmly's API does."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        if name.parts[0] != "sim":
            yield from texts_of(path.read_text("utf-8"), name.with_suffix("").as_posix())


def text_problems(said: Said) -> Iterator[str]:
    """Find what is wrong with a text.

    Examples
    --------
    >>> list(text_problems(Said("a", 1, "f", "{x} must be 1, got {y}.")))
    ['no next step']
    >>> list(text_problems(Said("a", 1, "f", "_plan is no plan. Pass one.")))
    ["'is no' (say 'is not a')", "'_plan' (a private name)"]
    """
    where = f"{said.file}.{said.function}"
    plain = re.sub(r"\{[^{}]*\}", "{}", said.text)
    elsewhere = MADE_ELSEWHERE.search(said.text) or ("{" not in said.text and not said.text)
    if where not in ALLOWED and not NEXT_STEP.search(said.text) and not elsewhere:
        yield "no next step"
    for form, advice in FORMS.items():
        if found := re.search(form, plain):
            yield f"{found[0]!r} ({advice})"


SECTION = re.compile(r"^### (FNB\d{3}): [^\n]*\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


def page_problems(page: str) -> Iterator[str]:
    """Find codes without a section that has a cause and a fix, and sections without a code.

    Examples
    --------
    >>> next(page_problems("### FNB001: Unknown environment"))
    'FNB001 has no cause or no fix'
    """
    sections = dict(
        re.findall(
            r"^### (FNB\d{3}): [^\n]*\n(.*?)(?=^##|\Z)", page + "\n", re.MULTILINE | re.DOTALL
        )
    )
    for code, section in sections.items():
        if not all(re.search(rf"^{name}: \S", section, re.MULTILINE) for name in ("Cause", "Fix")):
            yield f"{code} has no cause or no fix"
    for code in MESSAGES:
        if code not in sections or f'<a id="{code.lower()}"></a>' not in page:
            yield f"{code} has no section in {PAGE.name} with its code as anchor"
    yield from (f"{code} is the code of no message" for code in sections if code not in MESSAGES)


def main() -> None:
    """Print what is wrong; exit code 1 if anything is."""
    found = [
        f"{said.file}.py:{said.line}: {one}: {said.text}"
        for said in all_texts()
        for one in text_problems(said)
    ]
    found += [f"{PAGE.name}: {one}" for one in page_problems(PAGE.read_text("utf-8"))]
    if found:
        print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
