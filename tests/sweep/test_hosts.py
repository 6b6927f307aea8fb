"""Sweeps from several machines: real Dask processes on loopback, real HTTP, real signals."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from time import monotonic_ns

import distributed
import pytest
import trustme

import firmly_nb as fnb
from firmly_nb import sim
from firmly_nb.sweep import cluster as cluster_module
from firmly_nb.sweep import fleet
from tests.dask_cluster import Cluster

ORDER = fnb.Order.example()
COUNT = 16
HOSTS = ("lima", "paris")
CHILD = """
    import os, signal, sys
    from pathlib import Path
    import distributed
    import firmly_nb as fnb
    from firmly_nb.sweep.cluster import Cluster
    url, app_id, journal, address, fatal = sys.argv[1:]
    call = Cluster.call

    async def call_or_die(self, actor, name, *args, **named):
        # The intent is on the disk by then, and nothing is lent yet.
        if name == "lend" and Path(fatal).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return await call(self, actor, name, *args, **named)

    Cluster.call = call_or_die
    lab = fnb.connect(api_url=url, app_id=app_id, journal=journal, allow_domains=[
        "staging.luma.gift"])
    with distributed.Client(address) as client:
        lab.sweep(
            fnb.Order.example(), count=1_000, rate=6, run_id="killed", on=client, progress=False,
            budget={"total_minor": {"USD": 1_000_000_000}},
        )
"""
HELD_ELSEWHERE = "is or was coordinated from elsewhere"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def calm():
    with sim.start(profile="calm") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def cluster(calm, tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("hosts"), calm.app_id, HOSTS, relays=True) as started:
        yield started


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster.address, set_as_default=False) as connected:
        connected.wait_for_workers(len(HOSTS))
        yield connected


@pytest.fixture
def lab(connect, calm, tmp_path):
    return connect(
        api_url=calm.url,
        app_id=calm.app_id,
        allow_domains=calm.domains,
        journal=tmp_path / "journals",
    )


@pytest.fixture
def nothing_twice(calm):
    """Hold recordings against what the simulator was sent meanwhile: each slot once."""
    before = {line["order"] for line in calm.truth()}

    def check(recs, planned):
        truth = [line for line in calm.truth() if line["order"] not in before]
        sent = {line["request_id"] for line in truth}
        slots = recs.orders["slot"]
        assert Counter(slots).most_common(1)[0][1] == 1
        assert set(slots) == set(range(1, planned + 1)), "each is there"
        assert sent <= set(recs.orders["request_id"]), "whatever was sent is known"
        placed = recs.where(outcome="placed")
        numbers = {line["order_number"] for line in truth if line["event"] == "order-placed"}
        assert set(placed.orders["order_number"]) <= numbers, "what is told is true"
        assert len(sent) <= planned

    return check


def test_orders_of_all_machines_arrive_as_one_set(lab, client, cluster, nothing_twice, tmp_path):
    budget = {"total_minor": {"USD": 100_000_000}}
    recs = lab.sweep(ORDER, count=8, rate=8, on=client, budget=budget, progress=False)

    assert recs.orders["outcome"].tolist() == ["placed"] * 8
    assert [said for said in recs.warnings if said.startswith("the plan moved back by")]
    nothing_twice(recs, 8)
    assert set(recs.orders["host"]) == {"lima", "paris"}
    assert recs.by("host").names == ["lima", "paris"]
    sweep = lab.last_sweep
    assert sweep.progress.spent_minor == {"USD": recs.orders["total_minor"].sum()}
    assert sweep.hosts["host"].tolist() == ["lima", "paris"]
    assert sweep.hosts["problem"].isna().all()
    assert (sweep.hosts["clock_error_ms"] > 0).all()
    # One machine has one clock.
    assert (sweep.hosts["clock_offset_ms"].abs() <= sweep.hosts["clock_error_ms"]).all()
    recs.save(tmp_path / "set")
    again = fnb.load(tmp_path / "set")
    assert again.orders[["host", "slot"]].equals(recs.orders[["host", "slot"]])
    known = dict(zip(sweep.hosts["host"], sweep.hosts["calibration_us"].round(), strict=True))
    for host in HOSTS:
        told = {rec.recorder["calibration_us"] for rec in again.where(host=host)}
        assert told == {f"{known[host]:.0f}"}
    assert {rec.recording_id for rec in fnb.load(lab.journal)} == set(recs.orders["recording_id"])


def test_orders_follow_one_another_and_no_argument_holds_a_secret(
    lab, client, cluster, calm, until, nothing_twice
):
    sweep = lab.start_sweep(ORDER, count=8, concurrency=2, on=client)
    until(lambda: sweep.done or sweep.progress.finished, "an order")
    held = client.run_on_scheduler(
        lambda dask_scheduler: repr(
            [
                (task.key, task.run_spec, getattr(task.run_spec, "args", None))
                for task in dask_scheduler.tasks.values()
            ]
        )
    )
    recs = sweep.wait()
    assert held.count("Host(...)") == len(HOSTS), held
    told = [held, *(cluster.log(name) for name in cluster.processes)]
    for secret in (calm.app_id, fnb.Card.test().number.get_secret_value(), "staging.luma.gift"):
        assert not [text for text in told if secret in text]
    nothing_twice(recs, 8)
    assert recs.orders["schedule_lag_ms"].isna().all()


def test_a_host_of_another_version_is_sent_nothing(lab, client, calm, monkeypatch):
    before = calm.truth()
    installed, ask = fleet.version("firmly-nb"), cluster_module.Cluster.version_at
    monkeypatch.setattr(fleet, "version", lambda _: "9.9.9")
    with pytest.raises(RuntimeError, match=r"The scheduler has firmly-nb .*, here is 9\.9\.9\."):
        lab.sweep(ORDER, count=1, on=client)

    async def asked(self, address):
        return "9.9.9" if address is None else await ask(self, address)

    monkeypatch.setattr(cluster_module.Cluster, "version_at", asked)
    sweep = lab.start_sweep(ORDER, count=1, concurrency=1, on=client)
    with pytest.raises(RuntimeError, match=f"lima: it has firmly-nb {installed}, here is 9.9.9"):
        sweep.wait()
    assert sweep.progress.notes == ("paris places nothing: concurrency=1 is less than 2 hosts",)
    assert calm.truth() == before


def begun(lab, until, **how):
    """A sweep that has placed some orders on each host, and has many to come."""
    sweep = lab.start_sweep(ORDER, count=COUNT, rate=4, **how)
    until(lambda: sweep.done or sweep.progress.finished >= 4, "four orders")
    assert not sweep.done, sweep.error
    return sweep


def test_a_host_that_is_killed_orders_nothing_twice(lab, client, cluster, until, nothing_twice):
    sweep = begun(lab, until, on=client)
    assert cluster.signal("paris", signal.SIGKILL)
    recs = sweep.wait()
    nothing_twice(recs, COUNT)
    # What was in flight there was cut off; whether it exists is not known, so it is not repeated.
    assert set(recs.orders["outcome"]) <= {"placed", "cancelled", "incomplete", "transport_error"}
    assert sweep.progress.state == "finished"


def test_a_host_that_is_told_to_end_gives_back_what_it_has_not_begun(
    lab, client, cluster, until, nothing_twice
):
    sweep = begun(lab, until, on=client)
    link = sweep._run.sender.links["paris"]
    until(lambda: sweep.done or link.outstanding, "something lent to it")
    assert cluster.signal("paris", signal.SIGTERM)
    recs = sweep.wait()
    nothing_twice(recs, COUNT)
    # Those in flight end; what takes longer than Dask waits is closed.
    assert set(recs.orders["outcome"]) <= {"placed", "cancelled"}
    assert "paris left orders to the others: its Dask worker is about to end" in recs.warnings


def test_a_host_that_is_frozen_past_its_leases_sends_none_of_them(
    lab, client, cluster, until, nothing_twice
):
    sweep = begun(lab, until, on=client)
    link = sweep._run.sender.links["paris"]
    until(lambda: sweep.done or link.outstanding, "something lent to it")
    frozen = [cluster.recorder("paris"), cluster.pid("paris")]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: sweep.done or not link.up, "that it is missed")
        over_ns = monotonic_ns() + round((fleet.LENT_AHEAD_S + fleet.LEASE_S) * 1e9)
        until(lambda: monotonic_ns() > over_ns, "the end of its leases")
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    recs = sweep.wait()
    nothing_twice(recs, COUNT)
    assert sweep.progress.state == "finished"


def test_a_host_that_cannot_be_reached_is_not_guessed_about(
    lab, client, cluster, until, nothing_twice, monkeypatch
):
    sweep = begun(lab, until, on=client)
    monkeypatch.setattr(fleet, "CALL_S", 2.0)
    link = sweep._run.sender.links["lima"]
    until(lambda: sweep.done or link.outstanding, "something lent to it")
    cluster.cut("lima")
    try:
        until(lambda: sweep.done or not link.up, "that it is missed")
    finally:
        cluster.mend("lima")
    recs = sweep.wait()
    nothing_twice(recs, COUNT)


def test_what_a_host_was_lent_and_cannot_be_asked_about_is_named(
    lab, client, cluster, until, nothing_twice, monkeypatch
):
    sweep = begun(lab, until, on=client, run_id="cut", budget={"total_minor": {"USD": 10**9}})
    monkeypatch.setattr(fleet, "CALL_S", 2.0)
    monkeypatch.setattr(fleet, "PATIENCE_S", 3.0)
    monkeypatch.setattr(cluster_module, "CONNECT_S", 2.0)
    link = sweep._run.sender.links["lima"]
    until(lambda: sweep.done or link.outstanding, "something lent to it")
    cluster.cut("lima")
    try:
        recs = sweep.wait()
    finally:
        cluster.mend("lima")
    left = [problem for problem in sweep.problems if problem.unknown]
    assert left
    assert {one.number for one in left}.isdisjoint(recs.orders["slot"])
    assert sweep.progress.unknown == len(left)
    assert "may exist; order" in " ".join(recs.warnings)
    with pytest.raises(ValueError, match="only other machines know the end"):
        lab.sweep(ORDER, resume="cut", count=COUNT, progress=False)

    monkeypatch.undo()
    again = lab.sweep(ORDER, resume="cut", count=COUNT, on=client, progress=False)
    nothing_twice(again, COUNT)
    placed = again.where(outcome="placed").orders["total_minor"].sum()
    assert lab.last_sweep.progress.spent_minor["USD"] >= placed


def test_a_cluster_that_is_gone_is_followed_by_another_one(
    calm, lab, until, nothing_twice, tmp_path, monkeypatch
):
    def cluster():
        return Cluster(tmp_path / "hosts", calm.app_id, ["paris"])

    with cluster() as first, distributed.Client(first.address, set_as_default=False) as client:
        sweep = begun(lab, until, on=client, run_id="gone")
        monkeypatch.setattr(fleet, "PATIENCE_S", 2.0)
        monkeypatch.setattr(cluster_module, "CALL_S", 2.0)
        first.processes["scheduler"].kill()
        sweep.wait()
    assert sweep.progress.state == "stopped"
    assert "no host is left: paris: " in sweep.progress.message
    monkeypatch.undo()
    with cluster() as second, distributed.Client(second.address, set_as_default=False) as client:
        client.wait_for_workers(1)
        recs = lab.sweep(ORDER, resume="gone", count=COUNT, on=client, progress=False)
    nothing_twice(recs, COUNT)


def planned_in(journal):
    """The last order that was lent, by a log of leases."""
    log = (journal / "sweeps" / "killed.leases.jsonl").read_text()
    return max(map(int, re.findall(r'"slot":(\d+)', log)))


def test_a_coordinator_that_was_killed_is_resumed_and_a_second_one_is_refused(
    calm, lab, client, cluster, connect, until, nothing_twice, tmp_path
):
    fatal, copy = tmp_path / "fatal", tmp_path / "copy"

    def elsewhere(journal):
        return connect(
            api_url=calm.url, app_id=calm.app_id, allow_domains=calm.domains, journal=journal
        )

    def recorded():
        return len(list(lab.journal.glob("*/*.jsonl")))

    words = [calm.url, calm.app_id, str(lab.journal), cluster.address, fatal]
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(CHILD), *words])
    try:
        until(lambda: recorded() >= 4, "four orders")
        with pytest.raises(RuntimeError, match=HELD_ELSEWHERE):
            elsewhere(tmp_path / "other").sweep(
                ORDER, count=5, rate=6, run_id="killed", on=client, progress=False
            )
        # A file that is being written has a hidden name until it is whole.
        shutil.copytree(lab.journal, copy, ignore=shutil.ignore_patterns(".*"))
        known = planned_in(copy)
        until(lambda: child.poll() is not None or recorded() > known, "what the copy does not know")
        fatal.touch()
        assert child.wait() == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()
    with pytest.raises(RuntimeError, match=HELD_ELSEWHERE):
        elsewhere(copy).sweep(ORDER, resume="killed", count=100, on=client, progress=False)
    planned = planned_in(lab.journal) + 3
    recs = lab.sweep(ORDER, resume="killed", count=planned, on=client, progress=False)
    nothing_twice(recs, planned)
    assert lab.last_sweep.progress.state == "finished"


def test_a_stopped_sweep_keeps_what_was_in_flight(lab, client, until, nothing_twice):
    sweep = begun(lab, until, on=client, run_id="stopped")
    sweep.stop()
    sweep.wait()
    recs = lab.sweep(ORDER, resume="stopped", count=COUNT, on=client, progress=False)
    nothing_twice(recs, COUNT)


@pytest.fixture
def certificates(tmp_path):
    authority = trustme.CA()
    made = authority.issue_cert("firmly-nb.internal")
    authority.cert_pem.write_to_path(tmp_path / "client.pem")
    made.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    made.private_key_pem.write_to_path(tmp_path / "server.key")
    names = {"--tls-ca-file": "client.pem", "--tls-cert": "server.pem", "--tls-key": "server.key"}
    return [word for option, name in names.items() for word in (option, tmp_path / name)]


def test_the_command_sends_orders_over_an_encrypted_cluster(
    command, certificates, tmp_path, monkeypatch
):
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path / "here"))
    more = ["--protocol", "tls", *certificates]
    with Cluster(tmp_path / "there", "of-no-use", ["paris"], more) as secure:
        asked = ("sweep", "--count", 2, "--profile", "instant", "--dask", secure.address)
        code, _, said = command(*asked)
        assert (code, "has no certificates" in said) == (2, True), said
        code, _, said = command(*asked, *certificates, "--save", tmp_path / "set")
    assert code == 0, said
    assert "paris" in said
    table = fnb.load(tmp_path / "set").orders
    assert table["host"].tolist() == ["paris", "paris"]


@pytest.mark.parametrize("address", ["tcp://192.0.2.1:8786", "192.0.2.1:8786"])
def test_an_unencrypted_address_beyond_this_machine_is_not_even_tried(
    command, address, monkeypatch
):
    monkeypatch.setattr(distributed, "Client", lambda *_, **__: pytest.fail("it was tried"))
    code, _, said = command("sweep", "--count", 2, "--dask", address)
    assert code == 2
    assert "tcp://192.0.2.1:8786 is not encrypted" in said


def test_what_would_carry_a_secret_is_refused(lab, client):
    own = fnb.Card.test(name="Grace Example")
    with pytest.raises(ValueError, match="A card of your own cannot be sent"):
        lab.sweep(ORDER, own, count=2, on=client)
    with pytest.raises(ValueError, match="A captcha token is a secret"):
        lab.sweep(fnb.Order.example(captcha_token="token-1"), count=2, on=client)
    with pytest.raises(ValueError, match="made call by call"):
        lab.sweep(fnb.Flow.example(), count=2, on=client)
    with pytest.raises(TypeError, match=r"on must be a distributed\.Client, got str"):
        lab.sweep(ORDER, count=2, on="tcp://127.0.0.1:8786")
