"""What runs in the simulator's own process: uvicorn on a loopback socket, and when to end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from firmly_nb.sim.app import build_app
from firmly_nb.sim.wire import SimProtocol
from firmly_nb.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmly_nb.sim.settings import Settings

HOST = "127.0.0.1"
BACKLOG = 2048


def serve(settings: Settings, *, held: bool) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    held
        A parent process holds the other end of stdin: commands come from there, and the server ends
        when the parent does. If that one did not say goodbye, its folder is removed, too.
    """
    world = World(settings)
    parent = Parent(world) if held else None
    with listening_socket(settings.port) as sock, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(world, sock, parent))
    world.close()
    if parent and not parent.said_stop and settings.folder:
        shutil.rmtree(settings.folder, ignore_errors=True)


def listening_socket(port: int) -> socket.socket:
    """Return a socket on loopback; the only place where an address is chosen."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sys.stderr.write(
            f"firmly-nb sim: cannot listen on port {port}: {error.strerror}. "
            "--port 0 takes a free one.\n"
        )
        sys.exit(2)
    sock.listen(BACKLOG)
    return sock


class Server(uvicorn.Server):
    """uvicorn, saying when it answers."""

    def __init__(self, config: uvicorn.Config, say_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_ready = say_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        gc.freeze()
        self._say_ready()


def make_server(world: World, port: int) -> Server:
    """Return the uvicorn server, which will say its URL and the app id that it accepts."""
    settings = world.settings
    config = uvicorn.Config(
        build_app(world),
        http=type("Protocol", (SimProtocol,), {"patience_s": settings.patience_s}),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        backlog=BACKLOG,
    )
    config.load()
    scheme = "https" if settings.tls else "http"
    facts: dict[str, object] = {
        "url": f"{scheme}://{HOST}:{port}",
        "app_id": world.app_id,
        "pid": os.getpid(),
        "domains": list(world.merchants),
    }
    if settings.tls:
        facts["certificate"] = str(_use_tls(config, settings.folder))
    return Server(config, lambda: _say(facts))


def _use_tls(config: uvicorn.Config, folder: str) -> Path:
    """Make a certificate, serve with it, and return where clients find it."""
    from firmly_nb.sim.certificate import make_certificate, server_context

    certificate, private = make_certificate()
    config.ssl = server_context(certificate, private)
    path = Path(folder or tempfile.mkdtemp(prefix="firmly-sim-")) / "certificate.pem"
    path.write_bytes(certificate)
    return path


async def _serve(world: World, sock: socket.socket, parent: Parent | None) -> None:
    server = make_server(world, sock.getsockname()[1])

    def stop() -> None:
        server.should_exit = server.force_exit = True

    if parent is None:
        await server.serve(sockets=[sock])
        return
    watching = parent.watch(stop)
    await server.serve(sockets=[sock])
    watching.cancel()


class Parent:
    """The process that started this one: its commands, and whether it is still there."""

    def __init__(self, world: World) -> None:
        self.said_stop = False
        self._world = world
        self._pid = os.getppid()

    def watch(self, stop: Callable[[], None]) -> asyncio.Task[None]:
        """Obey what comes over stdin, and stop when the parent is gone, however it went."""
        loop = asyncio.get_running_loop()
        reader = threading.Thread(target=self._read, args=(loop, stop), daemon=True)
        reader.start()
        return asyncio.create_task(self._look(stop))

    def _read(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(self._obey, line.strip(), stop)
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(stop)

    def _obey(self, command: str, stop: Callable[[], None]) -> None:
        if command == "flush":
            self._world.truth.flush()
            _say({"done": command})
        elif command == "rotate":
            _say({"done": command, "kid": self._world.keys.rotate()})
        elif command == "stop":
            self.said_stop = True
            stop()

    async def _look(self, stop: Callable[[], None]) -> None:
        while os.getppid() == self._pid:  # noqa: ASYNC110 - nobody tells when a parent dies
            await asyncio.sleep(1)
        stop()


def _say(message: dict[str, object]) -> None:
    """Say something to the parent as a line of JSON, or to a person in words."""
    words = json.dumps(message)
    if sys.stdout.isatty():
        words = "".join(f"{name:12} {value}\n" for name, value in message.items())
    sys.stdout.write(words + "\n")
    sys.stdout.flush()
