"""Order once with clients of other people's, and count the orders: ``... other_clients``.

Needs Node 20, npm and pip. Each library sends one POST whose answer is a stream, and is then left
alone. The simulator counts how many orders came of it. The result is printed and written to
``docs/benchmarks-other-clients.md``.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from firmly_nb import sim
from tests.sim.conftest import Client

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-other-clients.md"
SCRIPT = Path(__file__).with_suffix(".mjs")
VERSIONS = {
    "fetch": "",
    "eventsource": "4.1.1",
    "eventsource-client": "1.2.0",
    "@microsoft/fetch-event-source": "2.0.1",
    "launchdarkly-eventsource": "2.2.0",
    "extended-eventsource": "2.1.0",
}
PYTHON = Path(__file__).with_name("other_clients_python.py")
OF_PYTHON = {
    "httpx-sse": "0.4.3",
    "sseclient-py": "1.9.0",
    "requests-sse": "0.5.3",
    "aiohttp-sse-client2": "0.3.0",
}
LIBRARIES = VERSIONS | OF_PYTHON
ENDS = {"": "whole stream", "cut": "connection cut", "stall": "stream stalls"}
PATH = "/api/v2/payment/domains/staging.luma.gift/place-order?sse=true"
TEXT = """# Which clients order twice

A browser's EventSource connects again whenever a stream ends. With Place Order, each connection is
an order. Each library here sent **one** order to the simulator by POST and was left alone for
{seconds} seconds. Orders that the simulator received:

| library | {heads}
| --- |{rule}
{rows}

A library that orders again after a *whole* stream places a second order after every success. One
that does so after a cut connection does not know whether the first order exists; it may.

The first six are for JavaScript, with Node {node} and an empty handler for errors. The others are
for Python {python}. Each has its defaults, but those for Python connect again after one second.
EventSource of browsers cannot POST and is not listed.
[Clients in other languages](other-clients.md) says what to do instead.

## How to reproduce

```sh
pip install -e '.[dev]'
python -m benchmarks other_clients --seconds {seconds}
```
"""


def orders(simulator: sim.Simulator, folder: Path, seconds: float) -> dict[tuple[str, str], int]:
    """Let each library order once for each end of the stream, all at the same time."""
    client, running = Client(simulator), []
    known = {**os.environ, "PYTHONPATH": str(folder / "python")}
    for number, library in enumerate(LIBRARIES):
        for end in ENDS:
            headers = {**client.auth, "x-firmly-request-id": f"{library}/{end}"}
            headers |= {"x-sim-fault": end} if end else {}
            file = folder / f"{number}{end}.json"
            file.write_text(json.dumps({"headers": headers, "body": client.body()}))
            url, last = simulator.url + PATH, str(seconds)
            by = [sys.executable, str(PYTHON)] if library in OF_PYTHON else ["node", SCRIPT.name]
            command = [*by, library, url, str(file), last]
            quiet = {"stderr": subprocess.DEVNULL, "env": known}
            running.append(subprocess.Popen(command, cwd=folder, **quiet))
    for process in running:
        process.wait()
    found = defaultdict(set)
    for one in simulator.truth():
        found[one["request_id"]].add(one["order"])
    return {(lib, end): len(found[f"{lib}/{end}"]) for lib in LIBRARIES for end in ENDS}


def main() -> None:
    """Install the libraries, order, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12)
    seconds = parser.parse_args().seconds
    if not (shutil.which("node") and shutil.which("npm")):
        sys.exit("Needs node and npm.")
    with tempfile.TemporaryDirectory() as name, sim.start(profile="instant") as simulator:
        folder = Path(name)
        shutil.copy(SCRIPT, folder)
        wanted = [f"{library}@{version}" for library, version in VERSIONS.items() if version]
        subprocess.run(["npm", "install", "--silent", *wanted], cwd=folder, check=True)
        pinned = [f"{library}=={version}" for library, version in OF_PYTHON.items()]
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder / "python")]
        subprocess.run([*pip, *pinned], check=True)
        counted = orders(simulator, folder, seconds)
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    rows = [
        f"| {library} {version}".rstrip()
        + " | "
        + " | ".join(str(counted[library, end]) for end in ENDS)
        + " |"
        for library, version in LIBRARIES.items()
    ]
    text = TEXT.format(
        seconds=f"{seconds:g}",
        heads=" | ".join(ENDS.values()) + " |",
        rule=" ---: |" * len(ENDS),
        rows="\n".join(rows),
        python=platform.python_version(),
        node=node.stdout.strip().lstrip("v"),
    )
    PAGE.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
