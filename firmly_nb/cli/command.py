"""The command itself: what goes before every command, and how each ends."""

from __future__ import annotations

import io
import re
import sys
from difflib import get_close_matches
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firmly_nb.cli import keeping, machine, placing, reading
from firmly_nb.cli.terminal import app, in_terminal_words, print_on
from firmly_nb.display.messages import NEAR, code_of, quoted, with_code
from firmly_nb.outcomes import INTERRUPTED_EXIT, REFUSED_EXIT

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

# The help lists the commands in the order of these files.
FILES = [module.__name__ for module in (placing, reading, keeping, machine)]
app.registered_commands.sort(key=lambda one: FILES.index(one.callback.__module__))


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"firmly-nb {version('firmly-nb')}\n")
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Take what goes before every command."""


def main() -> None:
    """Run the command line; what is foreseeable ends in a sentence, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # Where a terminal has no "✓", the words are still to be had.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        # Without its standalone mode typer returns the code that a command ended with.
        sys.exit(app(standalone_mode=False))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED_EXIT)
    except Exception as error:
        # typer's own words for a wrong option
        if hasattr(error, "show"):
            _fail(with_code(usage_words(error, sys.argv[1:]), "FNB801"))
        if code_of(error):
            _fail(str(error))
        if isinstance(error, ValueError | OSError):
            _fail(with_code(str(error), "FNB802"))
        raise


# What the reader of options says of a value, and what it means.
KINDS = {"valid integer": "must be a whole number", "valid number": "must be a number"}


def usage_words(error: Any, given: Sequence[str]) -> str:
    """Return typer's words for options that do not fit, with the value and what to do.

    Parameters
    ----------
    error
        Its error: for an option that does not exist, an argument that is missing, a wrong value.
    given
        What was written after the name of the program.
    """
    said = re.sub(r" ?\(Possible .*\)$| Did you mean .*$", "", error.format_message()).rstrip(".")
    command = getattr(error.ctx, "command", None)
    path = ["firmly-nb", error.ctx.info_name] if command and error.ctx.parent else ["firmly-nb"]
    known = [name for one in command.params for name in one.opts] if command else []
    wrong = getattr(error, "option_name", None)
    if command and said.startswith("No such command"):
        known, wrong = list(getattr(command, "commands", ())), given[0] if given else ""
    near = get_close_matches(str(wrong), known, 1, NEAR) if wrong not in known else []
    names: Sequence[str] = getattr(getattr(error, "param", None), "opts", [])
    value = next((b for a, b in pairwise(given) if a in names), None)
    words = next((ours for theirs, ours in KINDS.items() if theirs in said), None)
    if words and value is not None:
        said = f"Invalid value for {names[-1]!r}: {words}, got {quoted(value)}"
    said = said.replace("Value error, ", "")
    hint = f"Did you mean {near[0]}?" if near else f"See {' '.join(path)} --help."
    return f"{said}. {hint}"


def _fail(text: str) -> None:
    from rich.console import Console

    said = f"firmly-nb: {in_terminal_words(text)}"
    print_on(Console(stderr=True, highlight=False), said, "red")
    sys.exit(REFUSED_EXIT)
