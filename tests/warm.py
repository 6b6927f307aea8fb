"""Programs that begin with much imported: each a process of its own, forked from a warm one.

Most of a page's, a script's or a command's second is for what it imports. A warm interpreter has
imported that and does nothing with it. It forks for each program, which gets a working directory,
an environment and files of its own, and ends as every program does.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = (
    *("firmly_nb.lab", "firmly_nb.cli.command", "pandas", "scipy.special", "jwcrypto.jwe"),
    *("firmly_nb.exchange.har", "firmly_nb.recordings.stored", "firmly_nb.latency.summary"),
    *("firmly_nb.report.report", "firmly_nb.sweep.sweep", "firmly_nb.carts.report"),
)
COMMAND = "firmly-nb"
FILES = 3  # input, output, errors
PIECE_BYTES = 1 << 16


@contextmanager
def warm(*options: str) -> Iterator[str]:
    """Start a warm interpreter with these options of Python; give the address of its door."""
    # The name of a socket is at most a hundred characters long; pytest's folders have longer ones.
    with TemporaryDirectory(prefix="warm-") as folder:
        address = str(Path(folder) / "door")
        command = [sys.executable, *options, __file__, address]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline(), "it did not start"
            yield address
            process.stdin.close()


def run(
    address: str,
    words: list[str],
    files: tuple[int, int, int] = (0, 1, 2),
    folder: str | Path = ".",
    environment: dict[str, str] | None = None,
    timeout: float | None = None,
) -> int:
    """Run a script (``page.py``) or a command (``firmly-nb orders``); return its exit code.

    In a script this function is ``run_command``.
    """
    told = {
        "words": words,
        "folder": str(Path(folder).resolve()),
        "environment": dict(os.environ) if environment is None else environment,
    }
    with socket.socket(socket.AF_UNIX) as peer, peer.makefile("r") as said:
        peer.settimeout(timeout)
        peer.connect(address)
        socket.send_fds(peer, [f"{json.dumps(told)}\n".encode()], files)
        pid = int(said.readline())
        try:
            return int(said.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise


def asked(address: str) -> dict[str, Any]:
    """Open the door and fork for each who asks; return what is asked in the new process."""
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        print("ready", flush=True)
        while door in select.select([door, sys.stdin], [], [])[0]:
            with door.accept()[0] as peer:
                if not os.fork():
                    return _told(peer)
            _reap(os.WNOHANG)
    _reap(0)
    sys.exit()


def _reap(options: int) -> None:
    """Take leave of who has ended: what they cost is counted then."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _told(peer: socket.socket) -> dict[str, Any]:
    """Fork the program, and say its number and how it ended in the process that waits for it."""
    text, files, _, _ = socket.recv_fds(peer, PIECE_BYTES, FILES)
    while not text.endswith(b"\n"):
        text += peer.recv(PIECE_BYTES)
    if pid := os.fork():
        peer.sendall(f"{pid}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        peer.sendall(f"{code}\n".encode())
        os._exit(0)
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    return json.loads(text)  # type: ignore[no-any-return]


def main(address: str) -> None:
    """Be warm; then, in the process of a program, be that program."""
    for module in MODULES:
        import_module(module)
    told = asked(address)
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv, sys.path[0] = told["words"], told["folder"]
    if sys.argv[0] == COMMAND:
        sys.modules["firmly_nb.cli"].main()
    script = sys.modules["__main__"] = ModuleType("__main__")
    vars(script).update(__file__=sys.argv[0], run_command=partial(run, address))
    exec(compile(Path(sys.argv[0]).read_bytes(), sys.argv[0], "exec"), vars(script))


if __name__ == "__main__":
    main(sys.argv[1])
