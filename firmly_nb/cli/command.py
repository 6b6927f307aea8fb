"""The command itself: what goes before every command, and how each ends."""

from __future__ import annotations

import io
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from firmly_nb.cli import keeping, machine, placing, reading
from firmly_nb.cli.terminal import app, in_terminal_words, print_on
from firmly_nb.display.messages import code_of, with_code
from firmly_nb.outcomes import INTERRUPTED_EXIT, REFUSED_EXIT

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
            error.show()
            sys.exit(REFUSED_EXIT)
        if code_of(error):
            _fail(str(error))
        if isinstance(error, ValueError | OSError):
            _fail(with_code(str(error), "FNB802"))
        raise


def _fail(text: str) -> None:
    from rich.console import Console

    said = f"firmly-nb: {in_terminal_words(text)}"
    print_on(Console(stderr=True, highlight=False), said, "red")
    sys.exit(REFUSED_EXIT)
