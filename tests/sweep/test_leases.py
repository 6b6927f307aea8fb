"""A lease: checked right before the request, and a start on the disk before that."""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

import firmly_nb as fnb
from firmly_nb.background import follow, submit
from firmly_nb.disk import append_whole, raise_number, read_number
from firmly_nb.options import Options
from firmly_nb.recorder.job import Lease
from firmly_nb.recorder.journal import JournalError
from firmly_nb.recorder.process import RecorderError
from firmly_nb.recorder.records import Start
from firmly_nb.sweep import leases
from firmly_nb.sweep.cluster import Cluster, FleetError, is_encrypted
from firmly_nb.sweep.host import Host, Opening, _stations
from firmly_nb.sweep.leases import Intents
from firmly_nb.sweep.pace import Schedule
from firmly_nb.wire.stamps import monotonic_ns

ORDER = fnb.Order.example()
MINUTE_NS = 60_000_000_000


@pytest.fixture
def epoch(tmp_path):
    path = tmp_path / "epoch"
    raise_number(path, 3)
    return path


def place(lab, lease, on_record=lambda _: None, **options):
    """Place an order under a lease, with the lab's own recorder."""

    async def placed():
        bench = lab._open()
        async with bench.prepared(ORDER, fnb.Card.test(), Options(**options)) as job:
            return await bench.record(replace(job, lease=lease), on_record)

    return follow(submit(placed))


def lease_of(path, epoch=3, for_ns=MINUTE_NS):
    return Lease(quote(os.fsencode(path)), epoch, monotonic_ns() + for_ns)


@pytest.mark.parametrize("isolated", [True, False])
def test_an_order_whose_lease_holds_is_sent(lab, epoch, isolated):
    assert place(lab, lease_of(epoch), isolated=isolated).outcome == "placed"


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"epoch": 2}, "the run was taken over"), ({"for_ns": -1}, "the lease was over")],
)
def test_an_order_whose_lease_is_over_leaves_nothing(lab, epoch, isolated, wrong, why):
    before = list(lab.journal.glob("*/*"))
    with pytest.raises(Exception, match=why):
        place(lab, lease_of(epoch, **wrong), isolated=isolated)
    assert list(lab.journal.glob("*/*")) == before


def test_a_run_that_is_taken_over_between_start_and_request_sends_nothing(lab, simulator, epoch):
    def take_over(record):
        if isinstance(record, Start):
            raise_number(epoch, 4)

    rec = place(lab, lease_of(epoch), take_over, isolated=False)
    assert (rec.outcome, rec.order_exists) == ("cancelled", "no")
    assert "the run was taken over before it was sent" in rec.recorded.end.error_description
    assert rec.request_id not in {line["request_id"] for line in simulator.truth()}


def opening_of(lab, simulator, **more):
    return Opening(
        "c",
        "paris",
        lab._bench.environment,
        milestones=None,
        keep_personal=False,
        ca_file=None,
        schedule=Schedule("constant", 1, rate_per_s=1.0),
        app_id=simulator.app_id,
        **more,
    )


def test_a_host_of_whose_coordinator_nothing_is_heard_ends_its_recorder(
    lab, simulator, tmp_path, monkeypatch, until
):
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    monkeypatch.setattr("firmly_nb.sweep.host.FORGOTTEN_CHECK_S", 0.01)
    asyncio.run(Host("r", "lima").open(1, opening_of(lab, simulator)))
    station = _stations["r", "lima"]
    recorder = station.bench.worker().pid
    monkeypatch.setattr("firmly_nb.sweep.host.FORGOTTEN_NS", 0)
    until(lambda: not Path(f"/proc/{recorder}").exists(), "the end of the recorder")
    assert ("r", "lima") not in _stations
    with pytest.raises(LookupError, match="it has ended its recorder"):
        asyncio.run(Host("r", "lima").news(1, 0, 0.0))


@pytest.mark.parametrize(
    ("heard_of", "boot", "kind", "why"),
    [
        (1, "this", "not sent", "it was not begun before"),
        (1, "other", "unknown", "its machine may have been started again"),
        (1, None, "unknown", "its machine may have been started again"),
        (0, "this", "unknown", "its journals of before are gone"),
    ],
)
def test_a_host_that_lost_what_it_wrote_does_not_say_that_nothing_was_sent(
    lab, simulator, tmp_path, monkeypatch, heard_of, boot, kind, why
):
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    folder = tmp_path / "workers" / "paris" / "r"
    folder.mkdir(parents=True)
    raise_number(folder / "epoch", heard_of)
    monkeypatch.setattr("firmly_nb.sweep.host.BOOT", tmp_path / "boot_id")
    if boot:  # not so on macOS, where another process may be of another start of the machine
        (tmp_path / "boot_id").write_text("this\n")
    (folder / "boot").write_text(f"{boot or 'another process'} 1")
    opening = opening_of(lab, simulator, outstanding=((7, "lease", 1),))
    host = Host("r", "paris")

    async def told():
        await host.open(2, opening)
        try:
            return await host.news(2, 0, 0.0)
        finally:
            await host.leave(2)

    [(_, entry)] = asyncio.run(told())
    assert (entry["number"], entry["kind"], entry["why"]) == (7, kind, why)


def test_the_number_of_an_epoch_only_grows(tmp_path, monkeypatch):
    path = tmp_path / "epoch"
    assert read_number(path) == 0
    # Windows has neither.
    monkeypatch.delattr(os, "pread", raising=False)
    monkeypatch.delattr(os, "pwrite", raising=False)
    assert raise_number(path, 7)
    assert not raise_number(path, 7)
    assert not raise_number(path, 6)
    assert read_number(path) == 7


def test_a_torn_line_of_the_log_was_never_acted_upon(tmp_path):
    (tmp_path / "sweeps").mkdir()
    log = Intents(tmp_path, "r")
    lent = {"kind": "lease", "lease": "a-1", "slot": 1, "host": "paris", "epoch": 1}

    async def write(log, *entries):
        assert await log.next_epoch("paris") > 0
        await log.write(entries)

    asyncio.run(write(log, lent, {**lent, "slot": 2}, {"kind": "fate", "slot": 2}))
    with log.path.open("ab") as file:
        file.write(b'{"kind":"lease","slot":3,"ho')
    again = Intents(tmp_path, "r")
    assert set(again.open) == {1}
    assert again.epoch == 1
    asyncio.run(write(again, {**lent, "slot": 4}))
    last = Intents(tmp_path, "r")
    assert set(last.open) == {1, 4}
    assert last.epoch == 2


def test_nothing_counts_as_written_once_a_write_of_the_log_has_failed(tmp_path, monkeypatch):
    (tmp_path / "sweeps").mkdir()
    log = Intents(tmp_path, "r")
    lent = {"kind": "lease", "lease": "a-1", "host": "paris", "epoch": 1}

    async def written():
        several = (log.write([{**lent, "slot": number}]) for number in (1, 2, 3))
        return await asyncio.gather(*several, log.write([]), return_exceptions=True)

    full = iter([False, True])

    def torn(path, content):
        if not next(full):
            return append_whole(path, content)
        append_whole(path, content[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(leases, "append_whole", torn)
    first, *others = asyncio.run(written())
    assert first is None
    assert all("No space left" in str(one) and isinstance(one, JournalError) for one in others)
    assert set(Intents(tmp_path, "r").open) == {1}


class Scheduler:
    """As much of a Dask client as tells its addresses."""

    def __init__(self, address, workers):
        self.known = {"address": address, "workers": workers}

    async def identity(self, **_):
        return self.known


def hosts_of(address, workers):
    """What a cluster says of its hosts, asked on the loop that runs."""

    class Client:
        status = "running"
        scheduler = Scheduler(
            address, {a: {"name": name, "status": "running"} for a, name in workers.items()}
        )

    async def ask():
        Client.loop = type("Loop", (), {"asyncio_loop": asyncio.get_running_loop()})
        return await Cluster(Client, "r").workers()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("tcp://10.0.0.7:8786", "tcp://127.0.0.1:1"),
        ("tcp://127.0.0.1:8786", "tcp://10.0.0.8:1"),
        ("ws://scheduler.test:8786", "tls://10.0.0.8:1"),
        ("ucx://10.0.0.7:8786", "ucx://10.0.0.8:1"),
        ("tcp://[2001:db8::1]:8786", "tcp://[::1]:1"),
    ],
)
def test_a_network_that_others_can_read_is_refused(address, host):
    with pytest.raises(FleetError, match="is not encrypted: whoever reaches it can place orders"):
        hosts_of(address, {host: "paris"})


def test_hosts_go_by_the_names_of_their_workers():
    found = hosts_of(
        "tls://10.0.0.7:8786",
        {
            "tls://10.0.0.8:1": "paris",
            "tls://10.0.0.9:2": 4,
            "tls://10.0.0.10:3": "tls://10.0.0.10:3",
        },
    )
    assert sorted(found) == ["10.0.0.10", "10.0.0.9-4", "paris"]
    assert is_encrypted("tls://10.0.0.8:1")


def test_two_hosts_of_one_name_are_refused():
    with pytest.raises(FleetError, match="Two workers are named 'paris'"):
        hosts_of("tls://a:1", {"tls://b:1": "paris", "tls://c:1": "paris"})


def test_the_recorder_of_a_folder_keeps_others_out(lab, connect, tmp_path):
    lab._bench.lock = tmp_path / "held"
    follow(submit(lab._bench.worker().ready))
    other = connect(journal=tmp_path / "other")
    other._bench.lock = tmp_path / "held"
    with pytest.raises(RecorderError, match="another recorder still holds"):
        follow(submit(other._bench.worker().ready))
    lab.close()
    follow(submit(other._bench.worker().ready))
