"""A HAR that DevTools' own code wrote, of orders that a page of Chromium placed."""

from __future__ import annotations

import json
import socket

import pytest

import firmly_nb as fnb
from firmly_nb import sim
from tests.exchange.devtools import export

MOST_LATE_MS = 5.0  # what is stated of Chrome's times


@pytest.fixture(scope="module")
def devtools(unused_port_of_module):
    """Chromium with a port for DevTools, and the port."""
    from playwright.sync_api import sync_playwright

    from tests.conftest import _chromium

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=_chromium(playwright.chromium.executable_path),
            args=[
                *("--no-sandbox", "--disable-dev-shm-usage", "--remote-allow-origins=*"),
                f"--remote-debugging-port={unused_port_of_module}",
            ],
        )
        yield chromium, unused_port_of_module
        chromium.close()


@pytest.fixture(scope="module")
def unused_port_of_module():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def test_an_export_of_devtools_themselves_is_read(devtools, until, tmp_path):
    # Of a stream that is over within a few ms DevTools keep no times.
    with sim.start(profile="calm", seed=5) as slow:
        full, sanitized, asked = export(*devtools, slow, fnb.Order.example(), until, orders=3)
        sent = [entry for entry in slow.truth() if entry["event"]]
    found = []
    for name, har in (("full", full), ("sanitized", sanitized)):
        path = tmp_path / f"{name}.har"
        path.write_text(json.dumps(har))
        recs = fnb.load(path)
        assert recs.orders["outcome"].tolist() == ["placed"] * 3
        assert recs.events["event"].tolist() == [entry["event"] for entry in sent]
        # DevTools that are late to look give the first events of a stream no time of their own.
        assert (recs.events["uncertainty_us"] >= 1000 * MOST_LATE_MS).all()
        late_ms = (recs.events["at"].astype("int64") - [e["sent_wall_ns"] for e in sent]) / 1e6
        # Beside other tests some events are late; that all are would be a wrong start.
        assert late_ms.min() < MOST_LATE_MS
        assert late_ms.min() > -1.0
        said = path.read_text()
        assert asked[0][1] in said, "the token is in the export"
        assert not [
            secret for one in asked for secret in one[1:2] if secret in str(recs[0].records())
        ]
        found.append(recs)
    assert found[0].orders["recording_id"].tolist() == found[1].orders["recording_id"].tolist()
