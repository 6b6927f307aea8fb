"""Find in pages, notebooks and docstrings what a program can find: ``make check``.

Cited pages and sections that do not exist, long sentences, forms and words that CONTRIBUTING.md
("Text") rules out, and code blocks that cannot run as pasted. Whether they do run is for
``tests/test_docs.py``. No network.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
import shlex
import sys
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
MOST_WORDS = 30


class Problem(NamedTuple):
    """One thing that is wrong, and where."""

    page: str
    line: int
    said: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.said}"


# ------------------------------------------------------------------------- the parts of a page


class Part(NamedTuple):
    """A paragraph, list item, table cell or heading: its first line and its text."""

    kind: str
    line: int
    text: str


@dataclass(frozen=True)
class Block:
    """A fenced code block: the line of its first code, its language and its code."""

    line: int
    language: str
    code: str


FENCE = re.compile(r"^ {0,3}(```+|~~~+) *([\w-]*)[^`]*$")
MARKER = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def read_page(text: str) -> tuple[list[Part], list[Block]]:
    r"""Return the parts of a Markdown page and its code blocks.

    Examples
    --------
    >>> parts, blocks = read_page("# A\n\nOne\ntwo.\n- three\n\n```py\nx\n```\n")
    >>> [(part.kind, part.text) for part in parts], blocks[0].code
    ([('heading', 'A'), ('paragraph', 'One two.'), ('item', 'three')], 'x\n')
    """
    text = COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    parts: list[Part] = []
    blocks: list[Block] = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        fence = FENCE.match(line)
        if fence:
            code = []
            for _, inside in lines:
                if inside.strip() == fence[1]:
                    break
                code.append(f"{inside}\n")
            blocks.append(Block(number + 1, fence[2], "".join(code)))
            parts.append(NOTHING)
        else:
            _add(parts, number, line)
    return [part for part in parts if part is not NOTHING], blocks


NOTHING = Part("nothing", 0, "")  # between two parts: a line after it begins a new one


def _add(parts: list[Part], number: int, line: str) -> None:
    text = line.strip()
    if line.startswith("#"):
        parts += [Part("heading", number, line.lstrip("# ")), NOTHING]
    elif text.startswith("|"):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", text.strip("|"))]
        if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            parts += [Part("cell", number, cell) for cell in cells if cell]
        parts.append(NOTHING)
    elif MARKER.match(line):
        parts.append(Part("item", number, MARKER.sub("", line).strip()))
    elif not text:
        parts.append(NOTHING)
    elif parts and parts[-1] is not NOTHING:
        parts[-1] = parts[-1]._replace(text=f"{parts[-1].text} {line.strip('> ')}")
    else:
        parts.append(Part("paragraph", number, line.strip("> ")))


def plain(text: str) -> str:
    """Return a part without markup; code counts as one word.

    Examples
    --------
    >>> plain("See **[carts](https://a.test)** and `a b`.")
    'See carts and CODE.'
    """
    text = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "CODE", text)
    text = re.sub(r"!?\[([^\]]*)\]\((?:<[^>]*>|[^()\s]*)\)", r"\1", text)
    return re.sub(r"\*\*|(?<!\w)[*_]|[*_](?!\w)|</?\w+>", "", text)


END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[^a-z\s])")


def sentences(text: str) -> list[str]:
    """Split a part without markup into sentences.

    Examples
    --------
    >>> sentences("It takes 2.5 s. Then it ends, e.g. here (why?). Good")
    ['It takes 2.5 s.', 'Then it ends, e.g. here (why?).', 'Good']
    """
    return [sentence.strip() for sentence in END.split(text) if sentence.strip()]


def word_count(sentence: str) -> int:
    """Count words; signs alone are none."""
    return sum(any(letter.isalnum() for letter in word) for word in sentence.split())


# ------------------------------------------------------------------------- sentences and words

FORMS = {
    r"^(Of|Where|Who|What)\b(?!.*\?[\"')\]]*$)": "a statement that starts so: begin with who acts",
    r"\b(is|are|was|were) no\b(?! longer)": "write has no, or is not a",
    r", too\b": 'write "and", or leave it out',
    r"(, |\()also\b|\balso (where|if|when|while|after|before|those|from|in|with|of|one)\b": (
        "write including"
    ),
}
# What is written instead; only words that hardly mean anything else here.
WORDS = {
    r"\bshops?\b": "merchant",
    r"\bguard\b": "allow-list, or what is checked",
    r"\bkernel clock\b|(?<!-)\bstamps?\b": "kernel timestamp",
    r"\bhow far off\b": "uncertainty",
    r"\bcame together\b": "coalesced",
    r"\b(HTTP|\d00|plain) answers?\b": "response",
    r"\bpieces?\b": "quantity",
    r"\blateness\b": "schedule lag",
    r"\bhold together\b": "family-wise level",
    r"(?<!Plotly )\bfigures?\b": "statistic",
    r"(?<![Dd]ask )\bworkers?\b": "recorder",
    r"\btaken out\b": "redacted",
    r"\bstill pictures?\b": "static image",
    r"\battempts?\b": "order",
    r"\b(bench|hill|lanes?|stands?|goes? with)\b|\b(is|are) told\b": "the thing, no metaphor",
}


# Tables of these pages hold a program's own words; tests compare the two.
QUOTING = frozenset({"docs/carts.md", "docs/simulator.md", "docs/tables.md"})


def prose_problems(page: str, parts: Iterable[Part]) -> Iterator[Problem]:
    """Find long sentences, and forms and words that are ruled out."""
    for part in parts:
        quotes = part.kind == "cell" and page in QUOTING
        for sentence in sentences(plain(part.text)):
            words = word_count(sentence)
            shown = sentence if len(sentence) < 60 else f"{sentence[:57]}..."
            if words > MOST_WORDS:
                yield Problem(page, part.line, f"{words} words, {MOST_WORDS} at most: {shown}")
            for form, advice in FORMS.items() if part.kind != "heading" and not quotes else ():
                found = re.search(form, sentence)
                if found:
                    yield Problem(page, part.line, f"{found[0]!r} ({advice}): {shown}")
            for word, better in WORDS.items() if not quotes else ():
                found = re.search(word, sentence, re.IGNORECASE)
                if found:
                    yield Problem(page, part.line, f"{found[0]!r} ({better}): {shown}")


BEGINNINGS = re.compile(
    r"(What|How|Whether|Where|Who|When|Those|Of|Something)\b|(It|This|There)? ?(is|are) no\b"
)


def docstring_problems(path: Path) -> Iterator[Problem]:
    """Find docstrings that do not begin with their subject; a question may be one."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        said = ast.get_docstring(node)
        is_question = bool(said and "?" in said.partition("\n")[0])
        found = BEGINNINGS.match(said) if said and not is_question else None
        if said and (found or re.search(r"\bis no\b(?! longer)", said.partition("\n")[0])):
            shown = said.partition("\n")[0]
            line = getattr(node.body[0], "lineno", 1)
            yield Problem(_name(path), line, f"docstring: subject first, not {shown!r}")


# ------------------------------------------------------------------------- what is cited


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading.

    Examples
    --------
    >>> slug("What is `in` it, and [why](#y)?"), slug("Set up & test")
    ('what-is-in-it-and-why', 'set-up--test')
    """
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Return the anchors of a page; of equal headings the later ones are numbered."""
    seen: Counter[str] = Counter()
    found = set()
    for part in read_page(text)[0]:
        if part.kind == "heading":
            name = slug(part.text)
            found.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return found


LINK = re.compile(r"\]\(\s*<?(?!(?:https?|mailto|data):)([^)\s>]*)")
HREF = re.compile(r"""(?:href|src)=\\?["'](?!(?:https?|data|mailto):|/)([^"'\\]+)""")
NAMED = re.compile(r"(?<![\w/.*$-])((?:\.\./)?(?:[\w.-]+/)*[\w-]+\.md\b(?:#[\w-]+)?)")
NUMBERED = re.compile(r"\bsections? \d", re.IGNORECASE)
# A section of a book, an article or a standard is named with its year or number.
ELSEWHERE = re.compile(r"RFC|\b(19|20)\d\d\b|edition|HTML|https?:")
TABLE = re.compile(r"`([A-Za-z_]+)`{1,2} in docs/tables\.md")


def citation_problems(text: str, where: str, folder: Path) -> Iterator[Problem]:
    """Find what a text cites that does not exist.

    Parameters
    ----------
    text
        A page, a module, a notebook, or what a program answered.
    where
        Its name, for the message; its suffix says whether it has links.
    folder
        The folder that its links start from.
    """
    links = [*LINK.finditer(text)] if where.endswith(LINKING) else []
    links += HREF.finditer(text) if where.endswith(".html") else []
    for found in links:
        yield from _target_problems(text, where, found, [folder])
    within = [found.span() for found in links]
    for found in NAMED.finditer(text):
        if not any(begin <= found.start() < end for begin, end in within):
            yield from _target_problems(text, where, found, [folder, ROOT, ROOT / "docs"])
    for found in NUMBERED.finditer(text):
        if not ELSEWHERE.search(text[max(found.start() - 160, 0) : found.end()]):
            said = f"{found[0]!r}...: no page here numbers its sections"
            yield Problem(where, _line(text, found), said)
    for found in TABLE.finditer(text):
        name = found[1].lower()
        page = (ROOT / "docs" / "tables.md").read_text("utf-8")
        if name not in anchors(page) and f"| `{name}` |" not in page:
            yield Problem(where, _line(text, found), f"docs/tables.md has no {name}")


def _target_problems(
    text: str, where: str, found: re.Match[str], folders: list[Path]
) -> Iterator[Problem]:
    file, _, anchor = found[1].partition("#")
    page = next((each / file for each in folders if file and (each / file).exists()), None)
    if file and page is None:
        yield Problem(where, _line(text, found), f"{file} does not exist")
    elif anchor and (page is None or page.suffix == ".md"):
        cited = page.read_text("utf-8") if page else text
        if anchor not in anchors(cited):
            said = f"{file or 'this page'} has no section #{anchor}"
            yield Problem(where, _line(text, found), said)


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1


LINKING = (".md", ".ipynb")


def citing_files() -> Iterator[Path]:
    """Return every file of the repository that can cite a page."""
    suffixes = {".py", ".js", ".css", ".md", ".ipynb", ".json", ".toml", ".yml", ".html"}
    # The last one plants citations of what does not exist.
    skipped = {"node_modules", "data", "test-artefacts", "build", "dist", "test_check_pages.py"}
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if path.suffix not in suffixes or any(p in skipped or p[0] == "." for p in parts):
            continue
        yield path


# ------------------------------------------------------------------------- code blocks

NOT_RUN = re.compile(r"\A# Not run by the tests: \S.*staging")
OBJECTS = {"lab": "Lab", "rec": "Recording", "recs": "Recordings", "order": "Order"}


def snippet_problems(page: str, blocks: Iterable[Block]) -> Iterator[Problem]:
    """Find blocks that cannot run after the earlier blocks of their page."""
    known = {*dir(builtins), "__name__", "__file__"}
    for block in blocks:
        if block.language in {"sh", "bash", "console"}:
            yield from _command_problems(page, block)
        if block.language != "python":
            continue
        try:
            tree = ast.parse(block.code)
        except SyntaxError as error:
            yield Problem(page, block.line + (error.lineno or 1) - 1, f"not Python: {error.msg}")
            continue
        if "staging" in _texts(tree) and not NOT_RUN.match(block.code):
            yield Problem(page, block.line, 'begin with "# Not run by the tests: ... staging ..."')
        known |= _bound(tree)
        for node in ast.walk(tree):
            line = block.line + getattr(node, "lineno", 1) - 1
            yield from (Problem(page, line, said) for said in _unknown(node, known))


def _unknown(node: ast.AST, known: set[str]) -> Iterator[str]:
    match node:
        case ast.Name(name) if name not in known:
            yield f"{name} is defined in no block before"
        case ast.Attribute(ast.Name(name), attribute) if not _has(name, attribute):
            yield f"{name} has no {attribute}"
        case ast.ImportFrom(str(module), names) if module.startswith("firmly_nb"):
            shown = import_module(module).__all__
            for name in (alias.name for alias in names):
                if name not in shown and not _is_package(module, name):
                    yield f"{module} shows no {name}"


def _is_package(module: str, name: str) -> bool:
    return (ROOT.joinpath(*module.split(".")) / name / "__init__.py").exists()


def _texts(tree: ast.AST) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _bound(tree: ast.AST) -> set[str]:
    """Return every name that a block gives a meaning."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


def _has(name: str, attribute: str) -> bool:
    import firmly_nb

    if name == "fnb":
        return hasattr(firmly_nb, attribute)
    # Fields of models and dataclasses are no attributes of their class.
    owner = getattr(firmly_nb, OBJECTS[name]) if name in OBJECTS else None
    fields = getattr(owner, "model_fields", {}) if owner else {}
    return owner is None or hasattr(owner, attribute) or attribute in fields


def commands_of(code: str) -> list[str]:
    r"""Return the ``firmly-nb`` commands of a shell block, each in one line.

    Examples
    --------
    >>> commands_of("$ firmly-nb demo\nok\nfirmly-nb load \\\n  --save x  # why\n")
    ['firmly-nb demo', 'firmly-nb load   --save x  # why']
    """
    whole = re.sub(r"\\\n", "", code)
    lines = (line.removeprefix("$ ").strip() for line in whole.splitlines())
    return [line for line in lines if line.startswith("firmly-nb ")]


def _command_problems(page: str, block: Block) -> Iterator[Problem]:
    for command in commands_of(block.code):
        words = shlex.split(command, comments=True)[1:]
        wrong = _unknown_option(words)
        if wrong:
            yield Problem(page, block.line, f"firmly-nb {words[0]}: {wrong}")


def _unknown_option(words: list[str]) -> str | None:
    """Say what of a command's words it does not know; it is not run."""
    import typer.main

    from firmly_nb.cli.command import app

    group: Any = typer.main.get_command(app)
    if words[0].startswith("-"):
        return None
    command = group.commands.get(words[0])
    if command is None:
        return "there is no such command"
    if command.context_settings.get("ignore_unknown_options"):
        return None
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    known.add("--help")
    given = (word.partition("=")[0] for word in words[1:] if word.startswith("-") and word != "-")
    return next((f"{word} is not an option" for word in given if word not in known), None)


# ------------------------------------------------------------------------- all of it


def markdown_pages() -> list[Path]:
    """Return the pages of the repository."""
    tops = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
    return [*(ROOT / name for name in tops), *sorted((ROOT / "docs").glob("*.md"))]


def notebook_parts(path: Path) -> list[Part]:
    """Return the parts of a notebook's Markdown cells; each line is that of its cell's number."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [
        part._replace(line=number)
        for number, cell in enumerate(cells)
        if cell["cell_type"] == "markdown"
        for part in read_page("".join(cell["source"]))[0]
    ]


def problems() -> Iterator[Problem]:
    """Return everything that is wrong in the repository."""
    for path in markdown_pages():
        parts, blocks = read_page(path.read_text("utf-8"))
        yield from prose_problems(_name(path), parts)
        yield from snippet_problems(_name(path), blocks)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        yield from prose_problems(_name(path), notebook_parts(path))
    for path in citing_files():
        yield from citation_problems(path.read_text("utf-8"), _name(path), path.parent)
    for path in sorted((ROOT / "firmly_nb").rglob("*.py")):
        yield from docstring_problems(path)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def main() -> None:
    """Print what is wrong; exit code 1 if anything is."""
    found = list(problems())
    for problem in found:
        print(problem)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
