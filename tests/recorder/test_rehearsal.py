"""Before its first order a recorder records one of its own: no order pays for loading code."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from firmly_nb.recorder import worker


@pytest.fixture
def kept(monkeypatch):
    """What the rehearsal told, record by record."""
    told = []
    monkeypatch.setattr(worker, "frame", lambda message: told.append(message["r"]) or b"")
    return told


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"])
def test_it_is_a_whole_order_over_loopback_whatever_proxy_is_set(kept, proxy, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    asyncio.run(worker.rehearse())
    assert [type(record).__name__ for record in kept] == ["Start", *["Event"] * 4, "End"]
    assert kept[-1].outcome == "placed"
    assert not kept[-1].warnings


def test_it_writes_no_file(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    asyncio.run(worker.rehearse())
    assert kept
    assert not list(tmp_path.iterdir())
    assert not list(Path(worker.__file__).parent.glob("**/*.jsonl"))
