"""The simulator's process: it starts quickly, ends surely, tells the truth and no secrets."""

import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from firmly_nb import sim


def test_it_answers_as_soon_as_start_returns():
    with sim.start() as simulator:
        assert httpx.get(f"{simulator.url}/api/v1/payment/key", timeout=60).status_code == 200


def test_stopping_twice_is_fine_and_ends_the_process(gone):
    simulator = sim.start(profile="instant")
    assert simulator.url in repr(simulator)
    simulator.stop()
    simulator.stop()
    assert gone(simulator.pid)
    assert not simulator.running
    assert "stopped" in repr(simulator)
    with pytest.raises(httpx.ConnectError):
        httpx.get(simulator.url)


def test_it_ends_and_leaves_nothing_when_its_parent_is_killed(gone, until):
    code = (
        "from firmly_nb import sim; s = sim.start(); print(s.pid, s._folder, flush=True); "
        "import signal; signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        pid, folder = parent.stdout.readline().decode().split()
        assert not gone(int(pid))
        assert Path(folder).exists()
        parent.send_signal(signal.SIGKILL)
    until(lambda: gone(int(pid)), "the end of the simulator")
    assert not Path(folder).exists()


def test_it_stops_while_a_client_waits_for_ever(start, monkeypatch):
    # Whoever waits this long has a server that does not end by itself.
    monkeypatch.setattr("firmly_nb.sim.server.STOP_TIMEOUT_S", 60.0)
    client = start(fault="silent")
    with pytest.raises(httpx.ReadTimeout):
        client.http.post(
            "/api/v2/payment/domains/staging.luma.gift/place-order",
            headers=client.auth,
            json=client.body(),
            timeout=httpx.Timeout(60, read=0.2),
        )
    client.simulator.stop()
    assert client.simulator._process.returncode == 0, "ended by itself, not killed"


def test_it_listens_on_loopback_only(simulator):
    assert simulator.url.startswith("http://127.0.0.1:")
    port = int(simulator.url.rpartition(":")[2])
    table = Path("/proc/net/tcp").read_text().splitlines()
    listening = [row.split()[1] for row in table if row.split()[3] == "0A"]
    assert [local for local in listening if int(local.partition(":")[2], 16) == port] == [
        f"0100007F:{port:04X}"
    ]


def test_the_truth_tells_of_every_event(start):
    client = start(profile="calm")
    before = time.time_ns()
    told = client.stream(headers={"x-firmly-request-id": "req-1"})
    truth = client.simulator.truth()
    assert [one["event"] for one in truth] == [name for name, _ in told]
    assert {one["request_id"] for one in truth} == {"req-1"}
    assert {one["cart_id"] for one in truth} == {told[-1][1]["order"]["cart_id"]}
    assert truth[-1]["order_number"] == told[-1][1]["order"]["platform_order_number"]
    sent = [one["sent_wall_ns"] for one in truth]
    assert before < sent[0]
    assert sent == sorted(sent)
    assert sent[-1] < time.time_ns()
    # From event to event, the monotonic clock tells the drawn delay, but for what each was late.
    for earlier, later in itertools.pairwise(truth):
        gap_ms = (later["sent_mono_ns"] - earlier["sent_mono_ns"]) / 1e6
        late_ms = (later["late_us"] - earlier["late_us"]) / 1000
        assert gap_ms - late_ms == pytest.approx(later["drawn_ms"], abs=0.01)
        assert later["late_us"] >= 0
    assert (sent[-1] - before) / 1e6 >= sum(one["drawn_ms"] for one in truth)
    client.simulator.stop()
    assert client.simulator.truth() == truth


def test_delays_are_the_same_for_the_same_seed(start):
    def drawn(seed):
        client = start(profile="calm", seed=seed)
        client.stream()
        return [one["drawn_ms"] for one in client.simulator.truth()]

    assert drawn(3) == drawn(3) != drawn(4)


def test_a_profile_is_chosen_for_one_order_by_header(client):
    client.stream(headers={"x-sim-profile": "calm"})
    assert client.simulator.truth()[-1]["profile"] == "calm"
    answer = client.place(headers={"x-sim-profile": "hurried"})
    assert answer.json()["error"] == "ErrorInvalidInputBody"


def test_wrong_settings_are_refused_before_anything_starts():
    with pytest.raises(ValueError, match="no latency profile 'fast'; there are bimodal"):
        sim.start(profile="fast")
    with pytest.raises(ValueError, match="no fault"):
        sim.start(fault="nonsense")
    with pytest.raises(ValueError, match="event_names must be one of reference, guide"):
        sim.start(event_names="other")
    with pytest.raises(TypeError):
        sim.start(colour="red")


def test_a_port_that_is_taken_is_said_to_be(simulator):
    port = int(simulator.url.rpartition(":")[2])
    with pytest.raises(sim.SimulatorError, match="ddress already in use"):
        sim.start(port=port)


def test_no_secret_is_in_logs_or_truth(start, card):
    client = start(access_log=True)
    body = client.body()
    client.place(encrypted_card=body["encrypted_card"])
    client.place(card={**card, "number": "4111111111111112"})
    client.place(headers={"x-firmly-authorization": "planted-token"})
    written = client.simulator.logs() + str(client.simulator.truth())
    planted = [
        card["number"],
        card["verification_value"] + '"',
        client.token,
        client.simulator.app_id,
        body["encrypted_card"],
        "planted-token",
    ]
    for secret in planted:
        assert secret not in written


def test_the_handle_imports_no_server():
    code = "import sys, firmly_nb.sim; print('starlette' in sys.modules, 'uvicorn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
