"""A JupyterLab of its own on loopback, and notebooks in it that a browser drives like a person.

The server has its own configuration, data, settings and home, saves widget state with the notebook
(the setting under which a secret would leak), and its log is kept.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

START_S = 250
CELL_MS = 250_000
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
CONNECTED = """() => {
    const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
    return kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""
# Read by JupyterLab at start: no news, no update check, the theme follows the browser's colour
# scheme (`page.emulate_media`), and widget state goes into saved notebooks.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    "@jupyterlab/apputils-extension/themes": {"adaptive-theme": True},
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
}


@dataclass(frozen=True)
class JupyterServer:
    """A running JupyterLab: where it is, and where it writes."""

    url: str
    token: str
    home: Path  # all that it and its kernels write to stay is below
    root: Path  # the notebooks
    log: Path

    def ask(self, path, method="GET", body=None):
        """Ask its own API."""
        request = urllib.request.Request(
            f"{self.url}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def begin_kernel(self, name):
        """Start a notebook's kernel, which its page then finds."""
        kernel = {"name": KERNEL["name"]}
        session = {"path": name, "name": name, "type": "notebook", "kernel": kernel}
        self.ask("api/sessions", "POST", session)

    def trust(self, name):
        """Sign a notebook, as "Trust Notebook" does."""
        self.ask(f"api/contents/{name}/trust", "POST")

    def end_kernels(self):
        """End every running kernel."""
        for session in self.ask("api/sessions"):
            with suppress(HTTPError):  # it can have ended meanwhile
                self.ask(f"api/sessions/{session['id']}", "DELETE")


@contextmanager
def running_jupyter(home):
    """Start a server that writes below a folder; it ends its kernels itself."""
    # The names of the kernels' sockets are at most a hundred characters long.
    with tempfile.TemporaryDirectory(prefix="jupyter-") as runtime:
        yield from _running(home, runtime)


def _running(home, runtime):
    server = JupyterServer(
        f"http://127.0.0.1:{free_port()}",
        secrets.token_urlsafe(24),
        home,
        home / "notebooks",
        home / "server.log",
    )
    server.root.mkdir()
    for name, values in SETTINGS.items():
        path = home / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with _process(_command(server), server, runtime) as process:
        _wait_until_up(process, lambda: server.ask("api/status"), server.log)
        yield server


@contextmanager
def running_voila(home, cells):
    """Serve a notebook of these cells with Voila, which runs it for each visit; give its address.

    Its page asks a CDN for an icon font, which a test had better refuse.
    """
    with tempfile.TemporaryDirectory(prefix="voila-") as runtime:
        server = JupyterServer(
            f"http://127.0.0.1:{free_port()}", "", home, home / "shown", home / "voila.log"
        )
        server.root.mkdir()
        write_notebook(server.root / "shown.ipynb", cells)
        command = [
            *(sys.executable, "-m", "voila", "shown.ipynb", "--no-browser"),
            *("--Voila.ip=127.0.0.1", f"--port={server.url.rpartition(':')[2]}"),
        ]
        with _process(command, server, runtime) as process:
            _wait_until_up(process, lambda: _answers(server.url), server.log)
            yield server.url


@contextmanager
def _process(command, server, runtime):
    with server.log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=os.environ | _environment(server, runtime),
            cwd=server.root,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(server, runtime):
    """Folders of its own; the token is here so that it is not in the process list."""
    return {
        "JUPYTER_TOKEN": server.token,
        "JUPYTER_CONFIG_DIR": str(server.home / "config"),
        "JUPYTER_DATA_DIR": str(server.home / "data"),
        "JUPYTER_RUNTIME_DIR": runtime,
        "JUPYTERLAB_SETTINGS_DIR": str(server.home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(server.home / "workspaces"),
        "IPYTHONDIR": str(server.home / "ipython"),
        "FIRMLY_NB_HOME": str(server.home / "firmly"),
    }


def _command(server):
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"),
        f"--port={server.url.rpartition(':')[2]}",
        "--ServerApp.port_retries=0",
        "--KernelManager.transport=ipc",  # for the same reason: no ports that can be taken
        f"--ServerApp.root_dir={server.root}",
        "--LabApp.expose_app_in_browser=True",  # window.jupyterapp, to run commands
        *root,
    ]


def _wait_until_up(process, ask, log):
    limit = time.monotonic() + START_S
    while True:
        assert process.poll() is None, f"the server ended at once:\n{log.read_text()}"
        try:
            return ask()
        except OSError:
            assert time.monotonic() < limit, f"no answer:\n{log.read_text()}"
            time.sleep(0.1)


def _answers(url):
    """Connect only: each page that Voila shows runs the notebook."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60):
        return True


def write_notebook(path, cells):
    """Write a notebook of code cells."""
    made = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = KERNEL
    nbformat.write(made, path)


class Notebook:
    """A notebook that is open in the browser."""

    def __init__(self, server, page, path):
        self.server = server
        self.page = page
        self.path = path

    def open(self):
        """Open it in single-document mode and wait for its kernel."""
        # Begun here, the kernel starts while the page loads; and a page that had begun its own was
        # seen, on a busy machine, to lose it at once ("No Kernel").
        self.server.begin_kernel(self.path.name)
        # The toolbar's circle says "idle" before the kernel is connected, and keys pressed then
        # are lost. The status bar's text is the one to wait for.
        self.page.goto(f"{self.server.url}/doc/tree/{self.path.name}?token={self.server.token}")
        self.wait_until_idle()
        return self

    def wait_until_idle(self):
        """Wait until the kernel is there and has nothing to do."""
        # What the page shows can be of before a restart; keys pressed then are lost.
        self.page.wait_for_function(CONNECTED, timeout=CELL_MS)
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=CELL_MS)

    def cell(self, index):
        """Return a code cell, by its place from 0."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def output(self, index):
        """Return what a cell shows; look only in here, since the code repeats the same words."""
        return self.cell(index).locator(".jp-Cell-outputArea")

    def run_cell(self, index, *, wait=True):
        """Run a cell by keyboard and return its output; unless told not to, wait for its end."""
        cell = self.cell(index)
        cell.locator(".cm-content").click()
        before = cell.locator(".jp-InputPrompt").inner_text()
        self.page.keyboard.press("Control+Enter")
        prompt = cell.locator(".jp-InputPrompt")
        expect(prompt).not_to_have_text(before, timeout=CELL_MS)
        if wait:
            expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=CELL_MS)
            self.wait_until_idle()
            assert not self.errors(), self.errors()
        return self.output(index)

    def execute(self, code):
        """Run code in the kernel without a cell, and wait for its end."""
        status = self.page.evaluate(
            "code => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
            ".requestExecute({ code, silent: true }).done.then(reply => reply.content.status)",
            code,
        )
        assert status == "ok", code

    def errors(self):
        """Return the errors that cells show, also those that callbacks raised."""
        return self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.widgets"
            ".flatMap(cell => cell.model.outputs?.toJSON() ?? [])"
            ".filter(output => output.output_type === 'error')"
            ".map(output => `${output.ename}: ${output.evalue}`)"
        )

    def run_all(self):
        """Run all cells as the menu does, and wait for the end."""
        self.command("notebook:run-all-cells")
        self.wait_until_idle()

    def command(self, name, **arguments):
        """Run one of JupyterLab's commands and wait for it."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)",
            [name, arguments],
        )

    def save(self):
        """Save and return what is in the file then."""
        self.command("docmanager:save")
        return json.loads(self.path.read_text())

    def reload(self, *, save=True):
        """Reload the page as a person does; the kernel stays."""
        if save:
            self.save()
        self.page.reload()
        self.wait_until_idle()

    def reopen(self, *, trusted=True):
        """Save and close it, end its kernel, and open it again; its cells are not run."""
        self.save()
        self.page.goto("about:blank")
        self.server.end_kernels()
        made = json.loads(self.path.read_text())
        # As with JupyterLab's own setting: the state of widgets is not saved.
        made["metadata"].pop("widgets", None)
        # What was saved by a page that trusts it is signed, unless it is changed.
        made["metadata"]["changed"] = secrets.token_hex()
        self.path.write_text(json.dumps(made))
        if trusted:
            self.server.trust(self.path.name)
        self.open()

    def is_trusted(self):
        """Return whether the page trusts all that its cells show."""
        return self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.widgets"
            ".every(cell => cell.model.type !== 'code' || cell.model.trusted)"
        )

    def restart_kernel(self):
        """Restart the kernel from the menu and say yes."""
        self.page.evaluate(
            "() => { window.restarting = window.jupyterapp.commands.execute("
            "'notebook:restart-kernel') }"
        )
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.evaluate("() => window.restarting.then(() => null)")
        self.wait_until_idle()

    def theme(self, scheme):
        """Switch to "light" or "dark"."""
        self.page.emulate_media(color_scheme=scheme)
        light = "true" if scheme == "light" else "false"
        expect(self.page.locator(f'body[data-jp-theme-light="{light}"]')).to_be_attached()

    def dom(self):
        """Return the page's whole HTML, with what stands in its fields (HTML has not that)."""
        values = self.page.evaluate(
            "() => [...document.querySelectorAll('input, textarea, select')].map(e => e.value)"
        )
        return "\n".join([self.page.content(), *values])
