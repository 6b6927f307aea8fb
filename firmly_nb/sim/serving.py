"""What runs in the simulator's own process: uvicorn on a loopback socket, and when to end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import sys
import threading
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
        A parent process holds the other end of stdin: commands come from there, and the server
        ends when the parent does.
    """
    world = World(settings)
    with listening_socket(settings.port) as sock:
        server = make_server(world, sock.getsockname()[1])
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(world, server, sock, held=held))
    world.close()


def listening_socket(port: int) -> socket.socket:
    """Return a socket on loopback; the only place where an address is chosen."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
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
    config = uvicorn.Config(
        build_app(world),
        http=SimProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        backlog=BACKLOG,
    )
    facts = {
        "url": f"http://{HOST}:{port}",
        "app_id": world.app_id,
        "pid": os.getpid(),
        "domains": list(world.merchants),
    }
    return Server(config, lambda: _say(facts))


async def _serve(world: World, server: Server, sock: socket.socket, *, held: bool) -> None:
    def stop() -> None:
        server.should_exit = server.force_exit = True

    if held:
        loop = asyncio.get_running_loop()
        obey = _commands(world, stop)
        reader = threading.Thread(target=_read_commands, args=(loop, obey), daemon=True)
        reader.start()
        watching = asyncio.create_task(_watch_parent(os.getppid(), stop))
        await server.serve(sockets=[sock])
        watching.cancel()
    else:
        await server.serve(sockets=[sock])


def _commands(world: World, stop: Callable[[], None]) -> Callable[[str], None]:
    """Return what a command of the parent does; each but ``stop`` answers with a line."""

    def obey(command: str) -> None:
        if command == "flush":
            world.truth.flush()
            _say({"done": command})
        elif command == "rotate":
            _say({"done": command, "kid": world.keys.rotate()})
        else:
            stop()

    return obey


def _read_commands(loop: asyncio.AbstractEventLoop, obey: Callable[[str], None]) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(obey, line.strip())
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(obey, "stop")


async def _watch_parent(parent: int, stop: Callable[[], None]) -> None:
    """Stop when the process that started this one is gone, however it went."""
    while os.getppid() == parent:  # noqa: ASYNC110 - nobody tells when a parent dies
        await asyncio.sleep(1)
    stop()


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
