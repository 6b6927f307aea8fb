"""A sweep from several machines that go through trouble: Dask's workers in this process."""

from __future__ import annotations

import errno
import time
from collections import Counter

import distributed
import orjson
import pytest
from distributed.core import Status

import firmly_nb as fnb
from firmly_nb.api.client import session_clock_ns
from firmly_nb.api.secrets import SecretStr
from firmly_nb.background import follow, submit
from firmly_nb.disk import write_whole
from firmly_nb.sweep import cluster as cluster_module
from firmly_nb.sweep import fleet, host
from firmly_nb.sweep.leases import Intents

ORDER = fnb.Order.example()
COUNT, RATE = 60, 8  # some are not lent yet, also where this machine is busy


@pytest.fixture
def client(tmp_path, simulator, monkeypatch):
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path / "there"))
    monkeypatch.setenv("FIRMLY_APP_ID", simulator.app_id)
    with (
        distributed.LocalCluster(
            n_workers=2, processes=False, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as connected,
    ):
        yield connected
        end_recorders()


def end_recorders():
    """Let the hosts do what they do after ten minutes in which they heard of nobody."""
    for station in stations():
        follow(submit(station.leave))


def begun(lab, client, until, **how):
    """A sweep that has placed some of its orders."""
    sweep = lab.start_sweep(ORDER, count=COUNT, run_id="r", on=client, **how)
    until(lambda: sweep.done or sweep.progress.finished >= 2, "two orders")
    assert not sweep.done, sweep.error
    return sweep


def resumed(lab, client):
    recs = lab.sweep(ORDER, count=COUNT, resume="r", on=client, progress=False)
    assert Counter(recs.orders["slot"]) == Counter(range(1, COUNT + 1))
    return recs


def test_hosts_that_are_slow_to_answer_are_asked_again(lab, client, monkeypatch):
    """A busy machine that loaded the package failed the sweep, though everything was right."""
    actor, seen = cluster_module.Cluster.actor, set()

    async def slow_at_first(self, name, address):
        if name not in seen:
            seen.add(name)
            raise cluster_module.HostSlow("no answer within 30 s")
        return await actor(self, name, address)

    monkeypatch.setattr(cluster_module.Cluster, "actor", slow_at_first)
    recs = lab.sweep(ORDER, count=2, concurrency=2, on=client, progress=False)
    assert recs.orders["outcome"].tolist() == ["placed"] * 2
    asked = "is asked again: no answer within 30 s"
    assert recs.warnings == [f"{name} {asked}" for name in sorted(seen)]
    assert lab.last_sweep.hosts["problem"].isna().all()


def test_a_host_that_ended_its_recorder_is_opened_again(lab, client, until):
    sweep = begun(lab, client, until, rate=RATE)
    end_recorders()
    recs = sweep.wait()
    assert sweep.progress.state == "finished", sweep.progress.message
    assert Counter(recs.orders["slot"]).most_common(1)[0][1] == 1
    assert all("calibration_us" in rec.recorder for rec in recs)


@pytest.mark.parametrize(
    "names", [["leases.append_whole"], ["leases.append_whole", "fleet.write_whole"]]
)
def test_a_full_disk_of_the_coordinator_stops_the_sweep_and_loses_nothing(
    lab, client, until, monkeypatch, names
):
    def full(path, _content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    sweep = begun(lab, client, until, rate=RATE)
    with monkeypatch.context() as disk:
        for name in names:
            disk.setattr(f"firmly_nb.sweep.{name}", full)
        recs = sweep.wait()
    assert not sweep.problems
    [why] = recs.warnings
    assert "cannot be written: No space left on device. Free space" in why
    resumed(lab, client)


def test_a_host_beyond_the_orders_in_flight_is_only_asked_for_what_it_was_lent(lab, client, until):
    sweep = begun(lab, client, until, concurrency=1)
    sweep.stop()
    [used] = sweep.wait().orders["host"].unique()
    first, second = sorted(client.scheduler_info()["workers"].values(), key=lambda one: one["id"])
    assert used.endswith(f"-{first['id']}")
    idle = used.removesuffix(str(first["id"])) + str(second["id"])
    lease = {"kind": "lease", "lease": "x", "slot": COUNT, "host": idle, "epoch": 0}
    log = lab.journal / "sweeps" / "r.leases.jsonl"
    log.write_bytes(log.read_bytes() + orjson.dumps(lease) + b"\n")
    recs = lab.sweep(ORDER, count=COUNT, resume="r", on=client, progress=False)
    few = f"{idle} places nothing: concurrency=1 is less than 2 hosts"
    assert lab.last_sweep.progress.notes == (few,)
    assert set(recs.orders["host"]) == {used}


def test_hosts_of_which_nobody_expected_this_are_not_waited_for(lab, client, until, monkeypatch):
    def unreadable(_line):
        raise ValueError("not a record")

    sweep = begun(lab, client, until, rate=RATE)
    with monkeypatch.context() as damaged:
        damaged.setattr(fleet, "decode", unreadable)
        sweep.wait()
    assert all(one.unknown for one in sweep.problems)
    assert "no host is left" in sweep.progress.message
    assert "ValueError: not a record" in sweep.problems[0].error


def test_a_host_that_joins_over_a_plain_network_is_not_asked_for_anything(
    lab, client, until, monkeypatch
):
    def plain(address):
        raise cluster_module.FleetError("tcp://10.0.0.7:1 is not encrypted")

    sweep = begun(lab, client, until, rate=RATE)
    with monkeypatch.context() as network:
        network.setattr(cluster_module, "_check_address", plain)
        end_recorders()
        links = sweep._run.sender.links.values()
        until(lambda: sweep.done or all("encrypted" in link.why for link in links), "the refusal")
    assert sweep.wait()
    assert sweep.progress.state == "finished"


def test_a_host_that_joins_later_is_told_of_and_takes_part(lab, client, until, monkeypatch):
    monkeypatch.setattr(fleet, "LOOKED_EVERY_S", 0.05)
    sweep = lab.start_sweep(ORDER, count=1_000, rate=RATE, concurrency=7, on=client)
    until(lambda: sweep.done or sweep.progress.finished >= 2, "two orders")
    before = set(sweep.hosts["host"])
    client.cluster.scale(3)
    until(lambda: sweep.done or len(sweep.hosts) == 3, "the third host")
    [name] = set(sweep.hosts["host"]) - before
    assert sweep.hosts["calibration_us"].notna().all()
    assert sorted(sweep.hosts["orders"]) == [2, 2, 3], "together as many as before"
    assert sorted(station.sender.pace.schedule.concurrency for station in stations()) == [2, 2, 3]
    until(lambda: sweep.done or name in set(sweep.recordings.orders["host"]), "an order of it")
    sweep.stop(let_finish=True)
    recs = sweep.wait()
    assert recs.orders["slot"].is_unique
    assert f"{name} joined, and has orders from now on" in recs.warnings


def test_the_others_get_the_room_of_a_host_that_is_gone(lab, client, until, monkeypatch):
    for name, seconds in {"LOOKED_EVERY_S": 0.05, "PATIENCE_S": 0.2, "LEASE_S": 1.0}.items():
        monkeypatch.setattr(fleet, name, seconds)
    limits = {"concurrency": 7, "timeout_s": 1.0}
    sweep = lab.start_sweep(ORDER, count=1_000, rate=RATE, on=client, **limits)
    until(lambda: sweep.done or sweep.progress.finished >= 2, "two orders")
    with pytest.raises(TimeoutError, match="still running after 0 s"):
        sweep.wait(0)
    for worker in client.cluster.workers.values():
        worker.plugins.clear()  # as one that is killed, it ends without a word
    client.cluster.scale(1)
    until(lambda: sweep.done or 7 in set(sweep.hosts["orders"]), "the room of the other")
    assert sorted(sweep.hosts["orders"]) == [0, 7]
    assert 7 in [station.sender.pace.schedule.concurrency for station in stations()]
    [gone] = sweep.hosts.query("orders == 0")["host"]
    assert f"{gone} is gone, and the others have its room" in sweep.progress.notes
    sweep.stop(let_finish=True)
    assert sweep.wait().orders["slot"].is_unique


def test_a_host_that_is_closed_gives_back_what_it_has_not_begun(lab, client, until, monkeypatch):
    """All that it was lent was of unknown end a minute later, though it could have been asked."""
    monkeypatch.setattr(fleet, "LOOKED_EVERY_S", 0.05)
    slow = {"x-sim-profile": "calm"}
    sweep = lab.start_sweep(
        ORDER, count=1_000, rate=RATE, concurrency=7, headers=slow, on=client, run_id="r"
    )
    until(lambda: sweep.done or sweep.progress.running >= 4, "orders in flight")
    client.cluster.scale(1)
    until(lambda: sweep.done or 7 in set(sweep.hosts["orders"]), "the room of the other")
    [gone] = sweep.hosts.query("orders == 0")["host"]
    sweep.stop(let_finish=True)
    recs = sweep.wait()
    assert sweep.problems == []
    assert set(recs.orders["outcome"]) == {"placed"}
    assert recs.orders["slot"].is_unique
    assert f"{gone} left orders to the others: its Dask worker is about to end" in recs.warnings
    assert Intents(lab.journal, "r").open == {}, "nothing is left to be asked"


def test_a_host_whose_app_id_is_refused_leaves_its_orders_to_the_others(
    lab, client, until, monkeypatch
):
    """One such host ended the whole sweep."""
    monkeypatch.setattr(fleet, "LOOKED_EVERY_S", 0.05)
    fit, unfit = hosts_of(client)
    sweep = lab.start_sweep(ORDER, count=1_000, rate=RATE, concurrency=7, on=client)
    until(lambda: sweep.done or sweep.progress.finished >= 2, "two orders")
    [devices] = [one.bench.devices() for one in stations() if one.key[1] == unfit]
    devices.app_id, devices.refused_ns = SecretStr("of nobody"), session_clock_ns()
    until(lambda: sweep.done or 7 in set(sweep.hosts["orders"]), "its room for the other")
    before = sweep.progress.finished
    until(lambda: sweep.done or sweep.progress.finished >= before + 4, "orders of the other")
    sweep.stop(let_finish=True)
    recs = sweep.wait()
    assert sweep.problems == []
    assert set(recs.orders["outcome"]) == {"placed"}
    assert recs.orders["slot"].is_unique
    refused = "nothing can be ordered with this app id: InvalidAppId"
    [note] = [said for said in recs.warnings if "left orders" in said]
    assert note.startswith(f"{unfit} left orders to the others: {refused}")
    hosts = sweep.hosts.set_index("host")
    assert hosts["orders"].to_dict() == {fit: 7, unfit: 0}
    assert hosts["problem"][unfit].startswith(refused)


def test_a_sweep_whose_hosts_are_all_refused_ends_and_says_why(lab, client):
    sweep = lab.start_sweep(
        ORDER, count=1_000, concurrency=2, headers={"x-sim-fault": "token-expired"}, on=client
    )
    sweep.wait()
    message = sweep.progress.message
    assert message.startswith("no host is left: ")
    assert message.count("5 failures in a row, the last: TokenExpired (HTTP 401)") == 2
    assert sweep.progress.outcomes == {"http_error": 10}
    assert sweep.hosts["problem"].str.startswith("5 failures in a row").all()


def test_a_lease_that_is_over_says_nothing_of_its_host(lab, client, monkeypatch):
    """A busy host that came too late with two leases of one order was taken for unfit."""
    monkeypatch.setattr(fleet, "LEASE_S", -0.3)
    monkeypatch.setattr(fleet, "MOST_LEASES", 1)
    late = property(lambda _: {1, 2}, lambda *_: None)
    monkeypatch.setattr(host.LeasedSender, "_lost_once", late, raising=False)
    sweep = lab.start_sweep(ORDER, count=2, rate=RATE, on=client)
    assert len(sweep.wait()) == 0
    assert ["lease was over" in one.error for one in sweep.problems] == [True, True]
    assert sweep.progress.notes == ()
    assert sweep.hosts["problem"].isna().all()


def test_a_host_that_joins_later_and_has_no_room_is_named(lab, client, until, monkeypatch):
    monkeypatch.setattr(fleet, "LOOKED_EVERY_S", 0.05)
    sweep = begun(lab, client, until, concurrency=2)
    client.cluster.scale(3)
    until(lambda: sweep.done or sweep.progress.notes, "a word about it")
    sweep.stop()
    sweep.wait()
    [note] = sweep.progress.notes
    assert note.endswith("-2 places nothing: concurrency=2 is less than 3 hosts")
    assert len(sweep.hosts) == 2


def test_a_host_that_cannot_write_its_journals_leaves_its_orders_to_the_others(
    lab, client, tmp_path, monkeypatch
):
    fit, unfit = hosts_of(client)
    folder = tmp_path / "there" / "workers" / unfit / "r"
    folder.mkdir(parents=True)
    for day in (time.time(), time.time() + 3600):  # where there was to be a folder of the day
        (folder / time.strftime("%Y-%m-%d", time.gmtime(day))).touch()
    recs = lab.sweep(ORDER, count=8, rate=RATE, run_id="r", on=client, progress=False)
    assert recs.orders["outcome"].tolist() == ["placed"] * 8
    assert set(recs.orders["host"]) == {fit}
    [note] = recs.warnings
    assert note.startswith(f"{unfit} left orders to the others: The journal ")


def test_a_host_whose_disk_fills_up_is_heard_until_all_that_it_was_lent_has_ended(
    lab, client, until, tmp_path, monkeypatch
):
    """It was opened again at once, in vain, and its orders in flight were of unknown end."""
    monkeypatch.setattr(fleet, "PATIENCE_S", 0.2)
    _, unfit = hosts_of(client)
    slow = {"x-sim-profile": "calm"}
    sweep = lab.start_sweep(ORDER, count=24, rate=RATE, run_id="r", headers=slow, on=client)
    folder = tmp_path / "there" / "workers" / unfit / "r"
    until(lambda: sweep.done or len([*folder.glob("2*/*")]) >= 2, "two orders of it")

    def full(path, content):
        if path.name == "room" and path.parent == folder:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_whole(path, content)

    monkeypatch.setattr(host, "write_whole", full)
    for day in [*folder.glob("2*")]:
        day.rename(folder / "before")
        day.touch()  # no order can be begun there
    recs = sweep.wait()
    assert Counter(recs.orders["slot"]) == Counter(range(1, 25))
    assert sweep.problems == []


def test_a_host_whose_disk_is_full_is_lent_nothing(lab, client, monkeypatch):
    def full(path, content):
        if path.name == "room":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_whole(path, content)

    monkeypatch.setattr(host, "write_whole", full)
    with pytest.raises(RuntimeError, match=r"cannot be written: No space left on device\. Free"):
        lab.sweep(ORDER, count=2, on=client, progress=False)


def test_a_host_that_is_paused_by_its_memory_limit_is_named(lab, client, until):
    paused, other = hosts_of(client)
    worker = client.cluster.workers[0]
    worker.memory_manager.memory_limit = 1
    known = client.cluster.scheduler.workers[worker.address]
    until(lambda: known.status == Status.paused, "that the scheduler knows of it")
    recs = lab.sweep(ORDER, count=4, concurrency=2, on=client, progress=False)
    assert set(recs.orders["host"]) == {other}
    [note] = recs.warnings
    assert note.startswith(f"{paused} places nothing: Dask paused it, as its memory is nearly full")
    hosts = lab.last_sweep.hosts
    assert dict(zip(hosts["host"], hosts["orders"], strict=True)) == {paused: 0, other: 2}


def test_a_host_whose_wall_clock_is_an_hour_ahead_is_named(lab, client, monkeypatch):
    async def ahead(_self):
        return time.time_ns() + 3600 * 10**9

    monkeypatch.setattr(host.Host, "wall_clock", ahead)
    recs = lab.sweep(ORDER, count=2, concurrency=1, on=client, progress=False)
    [_, note] = recs.warnings
    assert note.startswith("The wall clock of ")
    assert " is 3\u202f600 s ahead, and so is started_at of its orders." in note


def test_a_client_that_is_closed_ends_the_sweep_at_once_and_another_goes_on(lab, client, until):
    closed = distributed.Client(client.cluster, set_as_default=False)
    sweep = begun(lab, closed, until, rate=RATE)
    closed.close()
    sweep.wait()
    assert sweep.progress.state == "stopped"
    assert sweep.progress.message.count("the Dask client was closed") == 2
    assert all("the Dask client was closed" in one.error for one in sweep.problems)
    resumed(lab, client)


def hosts_of(client):
    """The names of the two hosts."""
    workers = [client.cluster.workers[number] for number in (0, 1)]
    return [cluster_module._name_of(one.name, one.address) for one in workers]


def stations():
    return list(host._stations.values())
