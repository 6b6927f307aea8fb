"""A Dask cluster of real processes on loopback, each host with a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.ports import free_port

DASK = Path(sys.executable).with_name("dask")
RELAY = Path(__file__).with_name("dask_relay.py")
# What an order on a host runs. Imported for the first order instead, it may take longer on a busy
# machine than a sweep waits for a host that was never asked before (``cluster.CONNECT_S``).
RUNS = "firmly_nb.sweep.host"
WAIT_S = 240.0
NAMES = ("lima", "paris", "tokyo")


class Cluster:
    """A scheduler and some Dask workers; the app id is in their environment, and nowhere else."""

    def __init__(self, folder, app_id, names=NAMES, more=(), env=None, relays=False):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.more = [str(word) for word in more]
        self.environment = {
            **os.environ,
            "FIRMLY_APP_ID": app_id,
            "FIRMLY_NB_HOME": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "",
            **(env or {}),
        }
        self.file = self.folder / "scheduler.json"
        self.file.unlink(missing_ok=True)  # of a cluster that was there before
        self.processes = {}
        self.relays = {}
        self._start(
            "scheduler", "scheduler", "--scheduler-file", self.file, *self.at(None), "--port", "0"
        )
        self._until(self.file.exists, "the scheduler")
        if relays:
            port = int(self.address.rpartition(":")[2])
            self.relays = {name: Relays(port, free_port()) for name in names}
        for name in names:
            self.add(name)
        for name in names:
            self._until(lambda name=name: "Registered to" in self.log(name), f"the host {name}")

    def at(self, _name):
        """The words that say where a host listens; None: the scheduler."""
        return ["--host", "127.0.0.1"]

    def before(self, _name):
        """The words before the command of a host."""
        return []

    def cut(self, name):
        """Cut the network between a host and the cluster."""
        self.relays[name].cut()

    def mend(self, name):
        self.relays[name].mend()

    @property
    def address(self):
        return json.loads(self.file.read_text())["address"]

    def add(self, name):
        """Start a host."""
        # Its own nanny starts it again when it is killed, as in real clusters.
        words = ["--scheduler-file", self.file, *self.at(name)]
        if relay := self.relays.get(name):
            # Both ways between it and the others can be cut.
            words = [f"tcp://127.0.0.1:{relay.out}"]
            words += ["--listen-address", f"tcp://127.0.0.1:{relay.own}"]
            words += ["--contact-address", f"tcp://127.0.0.1:{relay.back}"]
        words += ["--name", name, "--nthreads", "1", "--preload", RUNS]
        self._start(name, "worker", *words)

    def pid(self, name):
        """The process that drives the orders of a host: the nanny's child."""
        nanny = self.processes[name].pid
        # Listed by the thread that started them.
        threads = Path(f"/proc/{nanny}/task").glob("*/children")
        found = " ".join(thread.read_text() for thread in threads).split()
        workers = [pid for pid in found if b"spawn_main" in _command_of(pid)]
        return int(workers[0]) if workers else None

    def recorder(self, name):
        """The recorder's process of a host, while it has one."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and b"firmly_nb.recorder.worker" in _command_of(entry.name):
                with suppress(OSError):
                    parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                    if int(parent) == self.pid(name):
                        return int(entry.name)
        return None

    def signal(self, name, number, *, recorder=False):
        """Send a signal to the process of a host, or to its recorder."""
        pid = self.recorder(name) if recorder else self.pid(name)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid

    def end(self, name):
        """End a host for good: nobody starts it again."""
        pid = self.pid(name)
        self.processes[name].kill()
        self.processes[name].wait()
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self):
        for name in self.processes:
            if name != "scheduler":
                self.end(name)
        self.processes["scheduler"].kill()
        self.processes["scheduler"].wait()
        for relay in self.relays.values():
            relay.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self, name, kind, *words):
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*self.before(name), DASK, kind, *map(str, words), "--no-dashboard", *self.more],
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.folder,
            )

    def _until(self, condition, what):
        late = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < late, f"{what} did not start:\n{self.logs()}"
            time.sleep(0.05)

    def logs(self):
        return "\n".join(f"{name}:\n{self.log(name)[-2000:]}" for name in self.processes)


class Relays:
    """Connections to two ports, say of scheduler and host, which can be cut: nothing passes then.

    ``own`` is the second port; ``out`` and ``back`` lead to the two.
    """

    def __init__(self, port, own, address="127.0.0.1"):
        self.own = own
        self._process = subprocess.Popen(
            [sys.executable, RELAY, address, str(port), str(own)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.out, self.back = map(int, self._process.stdout.readline().split())

    def cut(self):
        self._say("cut")

    def mend(self):
        self._say("mend")

    def close(self):
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()

    def _say(self, word):
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()


def _command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
