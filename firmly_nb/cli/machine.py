"""Commands about this machine: ``lab``, ``sim``, ``explain``, ``doctor``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firmly_nb.cli.reading import loaded
from firmly_nb.cli.terminal import (
    Allowed,
    CaFile,
    app,
    console_of,
    in_terminal_words,
    print_json,
    say,
)
from firmly_nb.disk import write_whole
from firmly_nb.display.messages import coded_error
from firmly_nb.display.messages import explain as explanation
from firmly_nb.display.paths import expanded
from firmly_nb.display.text import count, printable
from firmly_nb.outcomes import INTERRUPTED_EXIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmly_nb.reach import Reach

QUICKSTART = "01-quickstart.ipynb"
WORKSPACE = "firmly-nb"  # in the user's home folder
COPIED = ".copied.json"  # in a workspace: the SHA-256 of each notebook as it was copied


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    workspace: Annotated[
        Path | None, typer.Option(help="Your folder of notebooks; by default ~/firmly-nb.")
    ] = None,
) -> None:
    """Copy the notebooks into your folder and open it; further arguments go to JupyterLab.

    Notebooks that are there are never overwritten.
    """
    folder = expanded(workspace) if workspace else Path.home() / WORKSPACE
    raise typer.Exit(_run_jupyter(folder.absolute(), context.args))


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def sim(context: typer.Context) -> None:
    """Run the simulator by itself, for a client of your own; see sim --help."""
    from firmly_nb.sim.__main__ import main as run_simulator

    with _tape_of(context.args) as arguments:
        sys.argv = ["firmly-nb sim", *arguments]
        run_simulator()


@contextmanager
def _tape_of(arguments: list[str]) -> Iterator[list[str]]:
    """Give a simulator's arguments; recordings that it is to replay are written to a tape."""
    from argparse import ArgumentParser
    from tempfile import NamedTemporaryFile

    from firmly_nb.exchange.tape import write_tape
    from firmly_nb.sim.settings import factors_of

    parser = ArgumentParser(prog="firmly-nb sim", add_help=False, allow_abbrev=False)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--slow", default="")
    given, others = parser.parse_known_args(arguments)
    if given.replay is None:
        yield arguments
        return
    try:
        slow = factors_of(given.slow)
    except ValueError as error:
        raise coded_error(ValueError, "FNB041", f"{error}. Write --slow STAGE=FACTOR.") from None
    recs = loaded(given.replay)
    with NamedTemporaryFile(prefix="firmly-nb-", suffix=".tape", delete=False) as file:
        tape = Path(file.name)
    try:
        taped = write_tape((rec.recorded for rec in recs), tape, slow)
        for problem in taped.problems:
            print(f"! {problem}", file=sys.stderr)
        of = f"{count(taped.orders, 'recorded order')} of {given.replay}"
        print(f"replays {of}", file=sys.stderr)
        yield [*others, "--replay", str(tape), *(["--slow", given.slow] if slow else [])]
    finally:
        tape.unlink(missing_ok=True)


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="Code at the end of a message, such as FNB010.")],
) -> None:
    """Say the cause and the fix of a message, by its code."""
    say(explanation(code))


@app.command()
def doctor(
    environment: Annotated[
        str | None,
        typer.Option("--environment", "--env", help="Look at the way to simulator or staging."),
    ] = None,
    api_url: Annotated[str | None, typer.Option(help="Look at the way to this API.")] = None,
    card_url: Annotated[
        str | None, typer.Option(help="Where cards go; by default api. becomes cc.")
    ] = None,
    allow: Allowed = None,
    ca_file: CaFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Say what is wrong on this machine; with an environment, on the way of an order to it.

    Nothing is ordered. The exit code is 0 if nothing needs to be done, else 1.
    """
    if environment or api_url or card_url:
        from firmly_nb.connect import diagnose

        urls = {"api_url": api_url, "card_url": card_url}
        found = diagnose(environment, allow_domains=allow or [], ca_file=ca_file, **urls)
        if as_json:
            print_json(found.as_dict())
        else:
            _print_reach(found)
        raise typer.Exit(found.exit_code)
    from firmly_nb.doctor import run

    raise typer.Exit(run(console_of(), as_json=as_json))


def _print_reach(found: Reach) -> None:
    from firmly_nb.reach import STATE_WIDTH, STYLES

    say(in_terminal_words(found.sentence), "bold")
    for step in found.steps:
        say(in_terminal_words(str(step)), STYLES[step.state], STATE_WIDTH + 2)


# JupyterLab, opened on the user's own copies of the notebooks.


def _shipped() -> dict[str, bytes]:
    """Return the notebooks of this version, by name; their links lead into the workspace."""
    return {
        path.name: path.read_bytes().replace(b"](../docs/", b"](docs/")
        for path in sorted(_beside("notebooks").glob("*.ipynb"))
    }


def _beside(name: str) -> Path:
    """Return a folder that stands beside the package in a checkout, and inside it in a wheel."""
    here = Path(__file__).resolve().parents[1]
    return next(f for f in (here / name, here.parent / name) if f.is_dir())


def copy_notebooks(workspace: Path) -> list[str]:
    """Copy the notebooks into a workspace, and return the names of the files that are new.

    The pages that they link to come with them. What a user wrote is never written over: a notebook
    that a newer version changed is put beside the user's with the version in its name. One that the
    user removed stays away.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    noted = workspace / COPIED
    before: dict[str, str] = json.loads(noted.read_text()) if noted.is_file() else {}
    copied, new = dict(before), []
    for name, content in _shipped().items():
        digest = sha256(content).hexdigest()
        if before.get(name) == digest:
            continue
        copied[name] = digest
        target = workspace / name
        if target.exists():
            target = workspace / f"{target.stem} ({version('firmly-nb')}).ipynb"
        elif name in before:
            continue
        if not target.exists() and content != _content(workspace / name):
            write_whole(target, content)
            new.append(target.name)
    for page in sorted(_beside("docs").rglob("*.*")):
        target = workspace / "docs" / page.relative_to(_beside("docs"))
        name, content = target.relative_to(workspace).as_posix(), page.read_bytes()
        # A page is for reading: it is replaced, but not one that the user wrote into.
        if not target.exists() or before.get(name) == sha256(target.read_bytes()).hexdigest():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, content)
            copied[name] = sha256(content).hexdigest()
    write_whole(noted, json.dumps(copied, indent=1).encode())
    return new


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _run_jupyter(workspace: Path, arguments: list[str]) -> int:
    """Run JupyterLab on a workspace until it ends; return its exit code."""
    find_spec("jupyterlab")  # where it is missing, the error says what to install
    try:
        new = copy_notebooks(workspace)
    except (OSError, ValueError) as error:
        text = f"The workspace {workspace} cannot be used: {printable(error)}."
        raise coded_error(
            OSError, "FNB804", f"{text} Choose another folder with --workspace."
        ) from error
    say(f"Your notebooks are in {workspace}. " + (f"New: {', '.join(new)}." if new else ""))
    command = [sys.executable, "-m", "jupyterlab", *arguments]
    command += [f"--ServerApp.root_dir={workspace}"]
    if (workspace / QUICKSTART).is_file():
        # The address leads to the notebook also where it is printed and not opened.
        command += [f"--LabApp.default_url=/lab/tree/{QUICKSTART}"]
    # As root JupyterLab refuses to start; in containers one usually is root.
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in arguments:
        command.append("--allow-root")
    try:
        return subprocess.call(command)  # noqa: S603 - our own interpreter
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
