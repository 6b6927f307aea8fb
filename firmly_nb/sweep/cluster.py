"""Dask's cluster, as far as a sweep from several machines needs it: workers, actors, calls.

Dask is asked on the client's own loop. Whatever goes wrong there is a host that is lost, and may
come back.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from firmly_nb.display.messages import coded_error, quoted, wrong_type
from firmly_nb.display.text import printable
from firmly_nb.environments import is_loopback
from firmly_nb.sweep.host import Host
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from distributed import Client
    from distributed.actor import Actor


CALL_S = 10.0  # for what a host does at once
OPEN_S = 120.0  # for a recorder that starts, and a calibration
CONNECT_S = 30.0
CLOSED_S = 1.0
PINGS = 40
PACKAGE = "firmly-nb"
NO_CERTIFICATES = (
    "The cluster is encrypted, and the client has no certificates. Pass --tls-ca-file, --tls-cert "
    "and --tls-key; in Python, Client(..., security=distributed.Security(...))."
)

Result = TypeVar("Result")


class FleetError(RuntimeError):
    """Cluster that cannot place anything: no host, a plain network, another coordinator."""


class HostLost(Exception):  # noqa: N818 - it may come back
    """Host that did not answer."""


class HostSlow(HostLost):
    """Host that has not answered yet: it, or a machine on the way, may be busy."""


class ClientClosed(HostLost):
    """Client that was closed: no host will answer through it."""


def check_client(client: Any) -> None:
    """Check that something is a connected client of a Dask cluster.

    Raises
    ------
    TypeError
        If it is something else than a ``distributed.Client``.
    FleetError
        If it is not connected.
    """
    if not isinstance(client, _distributed().Client):
        example = 'distributed.Client("tls://10.0.0.7:8786", security=...)'
        raise wrong_type("on", "a distributed.Client", client, example)
    if client.status != "running":
        text = f"The Dask client is {client.status}. Connect another."
        raise coded_error(FleetError, "FNB542", text)


def check_loop(client: Any) -> None:
    """Refuse to wait in the thread that the client needs: neither would ever go on.

    Raises
    ------
    RuntimeError
        If the client was made on the loop that runs in this thread.
    """
    loop = getattr(getattr(client, "loop", None), "asyncio_loop", None)
    with suppress(RuntimeError):
        if loop is not None and asyncio.get_running_loop() is loop:
            text = "This Dask client lives on the loop that runs here. Use await lab.sweep_async"
            raise coded_error(WaitingError, "FNB549", f"{text}(..., on=client).")


class WaitingError(TypeError):
    """Call that would wait for itself."""


def connect(address: str, ca_file: str | None, cert: str | None, key: str | None) -> Client:
    """Return a client of the cluster at an address.

    Raises
    ------
    FleetError
        If it is not reached, or not encrypted.
    """
    distributed = _distributed()
    files = {"tls_ca_file": ca_file, "tls_client_cert": cert, "tls_client_key": key}
    if "://" not in address:
        # Dask would connect, and not say what it takes it for.
        default = distributed.config.get("distributed.comm.default-scheme", "tcp")
        address = f"{'tls' if any(files.values()) else default}://{address}"
    _check_address(address)
    for name, file in files.items():
        if file is not None and not os.access(file, os.R_OK):
            option = name.replace("tls_client_", "tls-").replace("_", "-")
            text = f"{quoted(file)} cannot be read. Check --{option}."
            raise coded_error(FleetError, "FNB548", text)
    how: dict[str, Any] = {}
    if any(files.values()):
        how["security"] = distributed.Security(require_encryption=True, **files)
    known = how.get("security") or distributed.Security()
    if is_encrypted(address) and known.get_connection_args("client").get("ssl_context") is None:
        # Dask would say that it expects an ssl_context, and leave a client half open.
        raise coded_error(FleetError, "FNB548", NO_CERTIFICATES)
    why, code = "", "FNB542"
    try:
        client: Client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False, **how)
    except TypeError:
        why, code = NO_CERTIFICATES, "FNB548"
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
            code = "FNB548"
        where = printable(address, 100)
        why = f"The scheduler {where} is not reached: {_first_line(error)}. Check the address."
    else:
        return client
    raise coded_error(FleetError, code, why)


def _first_line(error: BaseException) -> str:
    said = str(error) or type(error).__name__
    return printable(said.strip().splitlines()[0], 200).rstrip(".:")


def _distributed() -> Any:
    try:
        import distributed
    except ModuleNotFoundError:
        text = "distributed is not installed. Run pip install 'firmly-nb[dask]'."
    else:
        return distributed
    raise coded_error(ModuleNotFoundError, "FNB026", text)


class Worker(NamedTuple):
    """Address of a host, and its state as Dask's scheduler knows it."""

    address: str
    state: str

    @property
    def why_not(self) -> str:
        """Say why it begins nothing; empty if it does."""
        if self.state == "paused":
            text = "Dask paused it, as its memory is nearly full"
            return f"{text}: free memory there, or start it with a larger --memory-limit"
        return "" if self.state == "running" else f"it is about to end ({self.state})"


class Cluster:
    """Dask's client, as far as a fleet needs it; its calls run on the client's own loop."""

    def __init__(self, client: Client, run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        self._kept: dict[str, Any] = {}  # futures of actors: without them the actors would go

    async def workers(self) -> dict[str, Worker]:
        """Return each host by its name.

        Raises
        ------
        FleetError
            If the network is plain, or if two hosts have one name.
        """

        async def ask() -> Any:
            scheduler: Any = self.client.scheduler
            return await scheduler.identity(n_workers=-1)

        known = await self._on_loop(ask, CONNECT_S)
        addresses = [known["address"], *known["workers"]]
        for address in addresses:
            _check_address(address)
        found: dict[str, Worker] = {}
        for address, worker in known["workers"].items():
            name = _name_of(worker["name"], address)
            if name in found:
                raise coded_error(
                    FleetError,
                    "FNB541",
                    f"Two workers are named {quoted(name)}. Start each with a name of its own, "
                    "like dask worker --name paris.",
                )
            found[name] = Worker(address, worker["status"])
        return found

    async def version_at(self, address: str | None) -> str:
        """Return the version of this package at a worker, or at the scheduler (None); "no": none.

        Asked before anything of this package is sent there: a worker that cannot load it ends.
        """

        async def ask() -> Any:
            client: Any = self.client
            with suppress(PackageNotFoundError):
                if address is None:
                    return await client.run_on_scheduler(version, PACKAGE)
                return (await client.run(version, PACKAGE, workers=[address]))[address]
            return "no"

        return str(await self._on_loop(ask, CONNECT_S))

    async def actor(self, name: str, address: str) -> Actor:
        """Return a new actor, pinned to a worker; its constructor places nothing."""

        async def make() -> Any:
            with self.client.as_current():
                future = self.client.submit(
                    Host,
                    self.run_id,
                    name,
                    actor=True,
                    workers=[address],
                    allow_other_workers=False,
                    pure=False,
                    # Shown everywhere: it has nothing in it that is anybody's.
                    key=f"firmly-nb-{self.run_id}-{secrets.token_hex(4)}",
                )
                self._kept[address] = future
                return await future

        return await self._on_loop(make, CONNECT_S)

    async def call(self, actor: Actor, name: str, *args: Any, within_s: float, **named: Any) -> Any:
        """Call a method of an actor."""

        async def ask() -> Any:
            with self.client.as_current():
                return await getattr(actor, name)(*args, **named)

        return await self._on_loop(ask, within_s)

    async def offset(self, actor: Actor) -> tuple[int, int]:
        """Return by how much a host's clock is ahead, and how far off that may be, in ns."""

        async def measure() -> tuple[int, int]:
            best = (0, 2**62)
            with self.client.as_current():
                for _ in range(PINGS):
                    before = monotonic_ns()
                    there = await actor.clock()
                    after = monotonic_ns()
                    if after - before < 2 * best[1]:
                        best = there - (before + after) // 2, (after - before) // 2
            return best

        return await self._on_loop(measure, CONNECT_S)

    def forget(self) -> None:
        """Let Dask forget the actors."""
        self._kept.clear()

    async def _on_loop(
        self, make: Callable[[], Coroutine[Any, Any, Result]], within_s: float | None = None
    ) -> Result:
        """Run something on the client's loop; whatever goes wrong there is a lost host."""
        within_s = CALL_S if within_s is None else within_s

        async def bounded() -> Result:
            async with asyncio.timeout(within_s):
                return await make()

        if self.client.status in {"closing", "closed"}:
            raise ClientClosed("the Dask client was closed")
        if self.client.status not in {"running", "connecting"} or self.client.scheduler is None:
            raise HostLost("the scheduler is not reached any more")
        try:
            loop: Any = self.client.loop
            running = asyncio.run_coroutine_threadsafe(bounded(), loop.asyncio_loop)
            # A client that is closed meanwhile takes its loop with it.
            async with asyncio.timeout(within_s + CLOSED_S):
                return await asyncio.wrap_future(running)
        except TimeoutError:
            raise HostSlow(f"no answer within {within_s:g} s") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            raise HostLost("the connection was closed") from None
        except FleetError:
            raise
        except Exception as error:
            raise HostLost(printable(str(error) or type(error).__name__, 200)) from error


def is_encrypted(address: str) -> bool:
    """Return whether what goes to an address is encrypted.

    Examples
    --------
    >>> is_encrypted("tls://10.0.0.7:8786"), is_encrypted("tcp://127.0.0.1:8786")
    (True, False)
    """
    return address.partition("://")[0] in {"tls", "wss"}


def _check_address(address: str) -> None:
    """Refuse a network that anyone can read, and so place orders on."""
    scheme, _, rest = address.partition("://")
    if is_encrypted(address) or scheme == "inproc":
        return
    if is_loopback(urlsplit(f"//{rest}").hostname or ""):
        return
    raise coded_error(
        FleetError,
        "FNB540",
        f"{address} is not encrypted: whoever reaches it can place orders. Start scheduler and "
        "workers with --protocol tls, or on this machine alone with --host 127.0.0.1.",
    )


def _name_of(name: Any, address: str) -> str:
    """Return the name of a host: that of its worker, which stays when the worker is restarted."""
    host = urlsplit(f"//{address.partition('://')[2]}").hostname or address
    if isinstance(name, int):
        return f"{host}-{name}"
    return host if str(name) == address else str(name)
