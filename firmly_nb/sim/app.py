"""The simulator's own process: all routes on a loopback socket, and when to end."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import json
import os
import re
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Match, Route
from typing_extensions import override

# The first three fill OPERATIONS.
from firmly_nb.sim import cart_routes, catalogue_routes, order_routes, own_routes  # noqa: F401
from firmly_nb.sim.answers import ApiError, calls, error_answer
from firmly_nb.sim.bodies import OPERATIONS, build_models
from firmly_nb.sim.replay import NOT_RECORDED, not_recorded
from firmly_nb.sim.settings import host_names
from firmly_nb.sim.wire import SimProtocol
from firmly_nb.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from starlette.responses import Response
    from starlette.types import ASGIApp

    from firmly_nb.sim.settings import Settings
    from firmly_nb.sim.wire import Receive, Scope, Send


HOST = "127.0.0.1"
BACKLOG = 2048
CERTIFICATE_DAYS = 7
LONGEST_PATH = 300


class AccessLog:
    """A middleware that logs each request to stderr.

    The line is written just before the response is complete, or when it has broken off:
    time, status, duration, method and path; no headers, no bodies.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and write the line."""
        begin = time.monotonic()
        status: str | None = "-"

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            elif not message.get("more_body") and status:
                _write(scope, status, begin)
                status = None
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if status:
                _write(scope, status, begin)


def _write(scope: Scope, status: str, begin: float) -> None:
    took_ms = (time.monotonic() - begin) * 1000
    path = scope["path"].encode("unicode_escape").decode()[:LONGEST_PATH]
    at = time.strftime("%H:%M:%S")
    sys.stderr.write(f"{at} {status} {took_ms:8.1f} ms {scope['method']} {path}\n")
    sys.stderr.flush()


class KnownHost:
    """A middleware that serves only those who call this machine by its own name.

    A web page of anybody's can give its name the address of loopback once it is loaded. Its
    requests would then be none of another origin; only the name in ``Host`` tells.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], refuse: Callable[[], Response]) -> None:
        self._app = app
        self._hosts = hosts
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or refuse."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        known = all(PORT.sub("", host).lower() in self._hosts for host in hosts)
        await (self._app if known else self._refuse())(scope, receive, send)


PORT = re.compile(r":\d*$")
OWN_NAMES = frozenset({HOST, "localhost", "[::1]"})
# Any origin, with its cookies: firmly's own front end sends its requests with credentials, and a
# browser refuses them where the response names no origin.
ANY_ORIGIN = Middleware(
    CORSMiddleware,
    allow_origin_regex=".*",
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
    expose_headers=["x-firmly-kid", "retry-after"],
)


def build_app(world: World) -> Starlette:
    """Return the application that serves a world; errors have the API's form whatever happens."""
    api_routes = [
        Route(
            path.replace("{handle}", "{handle:path}"),
            not_recorded
            if world.tape and endpoint["id"] in NOT_RECORDED
            else OPERATIONS[endpoint["id"]].answer,
            methods=[method],
        )
        for endpoint, method, path, _ in calls()
    ]
    settings = world.settings
    names = host_names(settings.hosts) | OWN_NAMES
    unknown = ApiError(
        "Forbidden",
        "the Host header names no host of the simulator; see --hosts",
        headers={"connection": "close"},  # what else it sends is not read
    )
    known_host = Middleware(KnownHost, names, lambda: error_answer(unknown, settings))
    app = Starlette(
        routes=[*api_routes, *own_routes.ROUTES],
        middleware=[
            *([Middleware(AccessLog)] if settings.access_log else []),
            known_host,
            *([] if settings.no_cors else [ANY_ORIGIN]),
        ],
        exception_handlers={
            ApiError: _api_error,
            HTTPException: _http_error,
            ClientDisconnect: _nobody_there,
            Exception: _own_error,
        },
    )
    app.router.redirect_slashes = False
    app.state.world = world
    return app


def _answer(request: Request, error: ApiError) -> Response:
    world: World = request.app.state.world
    return error_answer(error, world.settings)


async def _api_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return _answer(request, error)


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer a request that has no route (``RouteNotFound``)."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = {"allow": ", ".join(_methods(request))}
        refused = ApiError("MethodNotAllowed", "this path has no such method", headers=allowed)
        return _answer(request, refused)
    return _answer(request, ApiError("RouteNotFound", "there is no such route"))


def _methods(request: Request) -> list[str]:
    """Return the methods of a path, which several routes may share."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [one for one in routes if one.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for one in fitting for method in one.methods or ()})


async def _nobody_there(request: Request, error: Exception) -> Response:
    """End the handling of a request whose sender went away before it was complete."""
    del error
    return _answer(request, ApiError("ErrorInvalidInputBody", "the request was not completed"))


async def _own_error(request: Request, error: Exception) -> Response:
    """Answer a mistake of the simulator's own; uvicorn logs where it happened."""
    del error
    return _answer(request, ApiError("InternalError", "the simulator made a mistake; see its log"))


def serve(settings: Settings, *, held: bool) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    held
        A parent process holds the other end of stdin: commands come from there, and the server ends
        when the parent does. If the parent did not say goodbye, its folder is removed as well.
    """
    world = World(settings)
    parent = Parent(world) if held else None
    with listening_socket(settings.port) as sock, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(world, sock, parent))
    world.close()
    if parent and not parent.said_stop and settings.folder:
        shutil.rmtree(settings.folder, ignore_errors=True)


def listening_socket(port: int) -> socket.socket:
    """Return a socket on loopback; no other address is ever listened on."""
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
    """uvicorn, which says when it is ready."""

    def __init__(self, config: uvicorn.Config, say_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_ready = say_ready

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._say_ready()
        build_models()
        gc.freeze()
        gc.enable()


def make_server(world: World, port: int) -> Server:
    """Return the uvicorn server; once ready it says its URL and the app id that it accepts."""
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
    if world.tape:
        facts["recorded_orders"] = world.tape.n_orders
    if settings.tls:
        facts["certificate"] = str(_use_tls(config, settings.folder))
    return Server(config, lambda: _say(facts))


def _use_tls(config: uvicorn.Config, folder: str) -> Path:
    """Make a certificate, serve with it, and return the file for clients."""
    import trustme

    authority = trustme.CA(path_length=0)
    now = dt.datetime.now(dt.UTC)
    certificate = authority.issue_cert(
        "127.0.0.1",
        "localhost",
        not_before=now - dt.timedelta(hours=1),
        not_after=now + dt.timedelta(days=CERTIFICATE_DAYS),
    )
    config.ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(config.ssl)  # the key is in a file for that moment only
    path = Path(folder or tempfile.mkdtemp(prefix="firmly-sim-")) / "certificate.pem"
    authority.cert_pem.write_to_path(path)
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
    """The process that started this one, whose commands it obeys while it exists."""

    def __init__(self, world: World) -> None:
        self.said_stop = False
        self._world = world
        self._pid = os.getppid()

    def watch(self, stop: Callable[[], None]) -> asyncio.Task[None]:
        """Obey the commands from stdin, and stop when the parent is gone, however it ended."""
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
        elif command == "revoke":
            self._world.tokens.revoke()
            _say({"done": command})
        elif command == "stop":
            self.said_stop = True
            stop()

    async def _look(self, stop: Callable[[], None]) -> None:
        while os.getppid() == self._pid:  # noqa: ASYNC110 - nobody tells when a parent dies
            await asyncio.sleep(1)
        stop()


def _say(message: dict[str, object]) -> None:
    """Say something to the parent as a line of JSON, or to a person in words."""
    text = json.dumps(message)
    if sys.stdout.isatty():
        text = "".join(f"{name:12} {value}\n" for name, value in message.items())
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
