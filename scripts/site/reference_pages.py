"""Write the pages of the reference that come from the code: the Python API and the commands."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pkgutil import iter_modules
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import typer.main
from names import Described, described, names

import firmly_nb
from firmly_nb.cli.command import app

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {
    "python-lab": ("Lab", "Open a lab and place orders.", ("connect", "Lab")),
    "python-orders": (
        "Orders, addresses and cards",
        "Say what to order, for whom and with which card.",
        ("Order", "Item", "Address", "Card", "Flow"),
    ),
    "python-recording": ("Recording", "Read one order.", ("Recording",)),
    "python-recordings": (
        "Recordings",
        "Read, count, compare, save and export many orders.",
        ("load", "from_events", "Recordings", "report"),
    ),
    "python-sweeps": (
        "Sweeps and plans",
        "Plan and place many orders.",
        ("grid", "Budget", "Sweep", "plan"),
    ),
    "python-widgets": (
        "Forms and live views",
        "Place and watch orders in a notebook.",
        ("OrderForm", "Timeline", "CartView", "SweepPanel"),
    ),
    "python-errors": (
        "Exceptions and helpers",
        "Catch what can go wrong.",
        ("FirmlyError", "GuardError", "InvalidOrder", "allow_nested_loops"),
    ),
}


def write(folder: Path) -> None:
    """Write the pages into the folder of the site's pages, and list them in its reference."""
    for file, (title, purpose, shown) in PAGES.items():
        (folder / f"{file}.md").write_text(python_page(title, purpose, shown), "utf-8")
    for file, made in FURTHER.items():
        (folder / f"{file}.md").write_text(made(), "utf-8")
    titles = {file: title for file, (title, *_) in PAGES.items()}
    titles |= {"python-packages": "Packages", "commands": "Commands"}
    listed = "\n".join(f"- [{title}]({file}.md)" for file, title in titles.items())
    reference = folder / "reference.md"
    text = reference.read_text("utf-8")
    reference.write_text(text.replace("<!-- pages from the code -->", listed), "utf-8")


def python_page(title: str, purpose: str, shown: tuple[str, ...]) -> str:
    """Return the page of some public names and of the members of those that are classes."""
    parts = [f"# {title}\n\n{purpose}"]
    parts += [
        section(described(path))
        for name in shown
        for path in names()
        if path.partition(".")[0] == name
    ]
    return "\n\n".join(parts) + "\n"


def section(one: Described) -> str:
    """Return one name: purpose, signature, parameters, returns, raises, example."""
    path = one.name.path
    level = "###" if "." in path else "##"
    parts = [f"{level} {path}", markdown(one.text)]
    if one.name.signature is not None:
        parts.append(f"```python\n{_call(one)}\n```")
    if one.parameters:
        parts.append("| parameter | default | meaning |\n| --- | --- | --- |\n" + _rows(one))
    if one.returns and one.name.kind != "class":
        label = "Type" if one.name.kind == "property" else "Returns"
        parts.append(f"**{label}**: {markdown(one.returns)}")
    if one.name.kind in {"function", "method"} and not one.raises:
        parts.append("**Raises**: nothing of its own.")
    if one.raises:
        parts.append(f"**Raises**:\n\n{_raises(one.raises)}")
    if one.example:
        parts.append(_example(dedent(one.example)))
    return "\n\n".join(parts)


def _example(code: str) -> str:
    if ">>> " not in code:
        return f"```python\n{code}\n```"
    said, _, session = code.partition(">>> ")
    return f"{markdown(said)}\n\n```pycon\n>>> {session}\n```".strip()


def _call(one: Described) -> str:
    """Return how it is called, without types: one line, or one parameter a line."""
    path, seen = one.name.path, one.name.signature
    short = path if one.name.kind != "method" else f"{_held(path)}.{path.rpartition('.')[2]}"
    shown, star = [], False
    for each in seen.parameters.values() if seen else ():
        if each.name in {"self", "cls"}:
            continue
        if each.kind is each.KEYWORD_ONLY and not star:
            shown.append("*")
        star = star or each.kind in {each.KEYWORD_ONLY, each.VAR_POSITIONAL}
        mark = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        default = "" if each.default is each.empty else f"={_default(each)}"
        shown.append(f"{mark}{each.name}{default}")
    line = f"{short}({', '.join(shown)})"
    return line if len(line) < 80 else f"{short}(\n    " + ",\n    ".join(shown) + ",\n)"


def _held(path: str) -> str:
    return {"Lab": "lab", "Recording": "rec", "Recordings": "recs", "Sweep": "sweep"}.get(
        path.partition(".")[0], path.partition(".")[0]
    )


def _default(each: inspect.Parameter) -> str:
    text = repr(each.default)
    return "..." if text.startswith("<") or "PydanticUndefined" in text else text


def _rows(one: Described) -> str:
    seen = one.name.signature
    return "\n".join(
        f"| `{name}` | {_cell_default(seen, name)} | {_cell(meaning)} |"
        for name, meaning in one.parameters.items()
    )


def _cell_default(seen: inspect.Signature | None, name: str) -> str:
    each = seen.parameters[name] if seen else None
    if each is None or each.default is each.empty:
        return "" if each and each.kind in {each.VAR_KEYWORD, each.VAR_POSITIONAL} else "required"
    return f"`{_cell(_default(each))}`"


def _cell(text: str) -> str:
    return markdown(text).replace("|", "\\|").replace("\n", " ")


def _raises(text: str) -> str:
    """Return the errors of a docstring's section as a list."""
    entries = []
    for entry in re.split(r"\n(?=\S)", text):
        head, _, rest = entry.partition("\n")
        said = " ".join(inspect.cleandoc(rest).split())
        entries.append(f"- {head}: {said}" if said else f"- {head}")
    joined = "\n".join(entries)
    return markdown(re.sub(r"\b(\w+(?:Error|Order|Interrupt)|duckdb\.Error)(?=:)", r"`\1`", joined))


def markdown(text: str) -> str:
    """Return a docstring's text as Markdown: code, names and blocks of code."""
    text = re.sub(r":\w+:`~?([^`<]+)(?: <[^>]*>)?`", r"`\1`", text)
    text = text.replace("``", "`")
    lines, block = [], False
    for line in text.splitlines():
        if block and line and not line.startswith("    "):
            lines += ["```", ""]
            block = False
        lines.append(line[4:] if block else line)
        if line.endswith("::"):
            lines[-1] = line[:-1]
            lines += ["", "```python"]
            block = True
    lines += ["```"] if block else []
    return re.sub(r"```python\n\n", "```python\n", "\n".join(lines))


def packages_page() -> str:
    """Return the names that the packages show to those who write checks, charts or clients."""
    parts = [
        (
            "# Packages\n\nUse these for checks, statistics, charts and simulators of your own. "
            "`help(NAME)` shows all of a name."
        )
    ]
    for module in iter_modules(firmly_nb.__path__):
        if module.ispkg:
            package = import_module(f"firmly_nb.{module.name}")
            rows = "".join(_package_row(package, name) for name in package.__all__)
            first = markdown((package.__doc__ or "").partition("\n")[0])
            head = "| name | purpose |\n| --- | --- |"
            parts.append(f"## firmly_nb.{module.name}\n\n{first}\n\n{head}\n{rows}")
    return "\n\n".join(parts)


def _package_row(package: Any, name: str) -> str:
    value = getattr(package, name)
    if name.isupper():
        found = re.search(rf"``{name}``,?:?\s+([^;\n]+)", package.__doc__ or "")
        return f"| `{name}` | {_cell(found[1] if found else 'A constant.')} |\n"
    said = (inspect.getdoc(value) or "").partition("\n")[0]
    call = "()" if inspect.isfunction(value) else ""
    return f"| `{name}{call}` | {_cell(said)} |\n"


COMMANDS = """\
# Commands

Use `firmly-nb` in a terminal, in cron and in CI. `firmly-nb COMMAND --help` shows the same.

| exit code | meaning |
| --- | --- |
| 0 | done; each order exists; the gate passed |
| 1 | an order does not exist; a gate or a look found something wrong |
| 2 | refused before anything was sent |
| 3 | cannot tell: an order may exist, or the gate needs more orders |
| 130 | you pressed Ctrl-C |
"""


def commands_page() -> str:
    """Return every command with its arguments and options."""
    group: Any = typer.main.get_command(app)
    return "\n".join([COMMANDS, *(_command(name, one) for name, one in group.commands.items())])


def _command(name: str, command: Any) -> str:
    rows = "".join(_option(each) for each in command.params if each.name != "help")
    arguments = [one.name.upper() for one in command.params if one.param_type_name == "argument"]
    takes = "".join(f" {argument}" for argument in arguments)
    head = "| option | default | meaning |\n| --- | --- | --- |\n" if rows else ""
    text = re.sub(r"\n +", "\n", command.help or "").strip()
    return f"## firmly-nb {name}\n\n{text}\n\n```sh\nfirmly-nb {name}{takes}\n```\n\n{head}{rows}"


def _option(each: Any) -> str:
    flags = " ".join(f"`{flag}`" for flag in (*each.opts, *each.secondary_opts))
    shown = f"`{each.name.upper()}`" if each.param_type_name == "argument" else flags
    default = "required" if each.required else "" if each.default in {None, ()} else each.default
    return f"| {shown} | {default} | {_cell(getattr(each, 'help', None) or '')} |\n"


FURTHER = {"python-packages": packages_page, "commands": commands_page}
