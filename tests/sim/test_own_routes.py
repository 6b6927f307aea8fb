"""What the simulator says about itself: page, OpenAPI, tables, truth, TLS and its access log."""

import ssl
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator

from firmly_nb import sim
from firmly_nb.sim.answers import calls
from firmly_nb.sim.behaviour import FAULTS, PROFILES
from firmly_nb.sim.merchants import merchants


def test_the_page_shows_merchants_routes_faults_and_recent_orders(client):
    order = client.place().json()
    answer = client.http.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for text in [
        *merchants(),
        *FAULTS,
        *PROFILES,
        "/api/v2/payment/domains/{domain}/place-order",
        order["platform_order_number"],
    ]:
        assert text in answer.text
    assert client.simulator.app_id not in answer.text


def test_the_page_shows_input_as_text(client):
    client.place(headers={"x-firmly-request-id": "<script>"})
    assert "<script" not in client.http.get("/").text


def test_the_tables_are_there_for_programs(client):
    faults = client.http.get("/sim/faults").json()
    assert {one["name"]: one["outcome"] for one in faults} == {
        name: fault.outcome for name, fault in FAULTS.items()
    }
    profiles = client.http.get("/sim/profiles").json()
    typical = next(one for one in profiles if one["name"] == "typical")
    assert typical["delays"]["item-added"]["median_ms"] == 400
    shops = client.http.get("/sim/merchants").json()
    assert {shop["domain"] for shop in shops} == set(merchants()) == client.simulator.domains


def test_the_truth_can_be_read_over_http(client):
    order = client.place(sse=False).json()
    number = order["platform_order_number"]
    (entry,) = client.http.get("/sim/truth", params={"order": number}).json()
    assert entry["order_number"] == number
    assert entry["mode"] == "plain"


def test_the_key_can_be_rotated_over_http(start):
    client = start()
    client.http.post("/sim/rotate-key")
    assert client.http.get("/api/v1/payment/key").json()["kid"] != client.key["kid"]
    assert client.place().status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", ""])
def test_a_page_of_another_origin_changes_nothing(start, origin):
    client = start()
    for path in ("/sim/rotate-key", "/sim/revoke-tokens"):
        refused = client.http.post(path, headers={"origin": origin})
        assert (refused.status_code, refused.json()["error"]) == (403, "Forbidden")
    assert client.http.get("/api/v1/payment/key").json()["kid"] == client.key["kid"]
    assert client.place().status_code == 200
    own = {"origin": f"http://{client.http.base_url.netloc.decode()}"}
    assert client.http.post("/sim/rotate-key", headers=own).status_code == 200


@pytest.fixture
def document(client):
    return client.http.get("/openapi.json").json()


def test_every_route_is_described(document):
    described = [
        operation for methods in document["paths"].values() for operation in methods.values()
    ]
    assert len(described) == len(list(calls())) == 39
    assert all(operation["summary"] for operation in described)
    ids = [operation["operationId"] for operation in described]
    assert len(set(ids)) == len(ids)


def schema(document, path, method="get"):
    content = document["paths"][path][method]["responses"]["200"]["content"]
    return {**content["application/json"]["schema"], "components": document["components"]}


def assert_valid(value, wanted):
    Draft202012Validator(wanted).validate(value)


def test_answers_are_as_the_document_says(client, document, address):
    cart_path = "/api/v2/domains/{domain}/cart"
    assert_valid(client.call("GET", "").json(), schema(document, cart_path))
    place = "/api/v2/payment/domains/{domain}/place-order"
    assert_valid(client.place().json(), schema(document, place, "post"))
    assert_valid(client.call("GET", "").json(), schema(document, cart_path))
    simple = "/api/v1/domains/{domain}/cart"
    assert_valid(client.call("GET", "", version=1).json(), schema(document, simple))
    product = "/api/v1/domains-products/{domain}/{handle}"
    path = "/api/v1/domains-products/staging.luma.gift/radiant-tee"
    answer = client.http.get(path, headers=client.auth)
    assert_valid(answer.json(), schema(document, product))
    body = document["components"]["schemas"]["PlaceOrder"]
    assert_valid(client.body(), {**body, "components": document["components"]})


def test_a_path_that_is_none_gets_the_apis_error(client):
    answer = client.http.get("/api/v3/nothing")
    assert (answer.status_code, answer.json()["error"]) == (404, "RouteNotFound")
    answer = client.http.delete("/api/v1/payment/key")
    assert (answer.status_code, answer.json()["error"]) == (405, "MethodNotAllowed")
    assert answer.headers["allow"] == "GET, HEAD"


PLACE = "/api/v2/payment/domains/staging.luma.gift/place-order"
PREFLIGHT = {
    "origin": "https://shop.example.test",
    "access-control-request-method": "POST",
    "access-control-request-headers": "x-firmly-authorization, content-type",
}


@pytest.mark.parametrize("origin", ["https://shop.example.test", "http://localhost:3000", "null"])
def test_any_web_page_may_call_it_with_credentials(client, origin):
    allowed = client.http.options(PLACE, headers={**PREFLIGHT, "origin": origin})
    assert allowed.status_code == 200
    assert "x-firmly-authorization" in allowed.headers["access-control-allow-headers"]
    answer = client.http.get("/api/v1/payment/key", headers={"origin": origin})
    for told in (allowed, answer):
        assert told.headers["access-control-allow-origin"] == origin
        assert told.headers["access-control-allow-credentials"] == "true"
    assert "x-firmly-kid" in answer.headers["access-control-expose-headers"]


def test_an_error_can_be_read_by_a_web_page_too(client):
    answer = client.http.post(PLACE, headers={"origin": "https://shop.example.test"}, json={})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.test"


def test_without_cors_no_other_origin_is_let_in():
    with sim.start(profile="instant", no_cors=True) as simulator:
        refused = httpx.options(simulator.url + PLACE, headers=PREFLIGHT)
        assert refused.status_code == 405
        answer = httpx.get(f"{simulator.url}/api/v1/payment/key", headers=PREFLIGHT)
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("LocalHost:1", 200),
        ("[::1]:8080", 200),
        ("evil.example.test", 403),
        ("evil.example.test:8080", 403),
        ("127.0.0.1.evil.test", 403),
        ("localhost.evil.test:80", 403),
        ("api.firmly.work", 403),
        ("127.0.0.1:80:80", 403),
        ("", 403),
    ],
)
def test_it_is_reached_by_its_own_name_only(client, host, status):
    """A page of anybody's can let its name resolve to loopback, and is of one origin with it."""
    answer = client.http.get("/api/v1/payment/key", headers={"host": host})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"] == "Forbidden"
        assert "--hosts" in answer.json()["description"]


def test_further_names_can_be_allowed():
    with sim.start(profile="instant", hosts="sim.internal, Other.test") as simulator:
        for host, status in (("sim.internal:99", 200), ("other.test", 200), ("third.test", 403)):
            answer = httpx.get(f"{simulator.url}/api/v1/payment/key", headers={"host": host})
            assert answer.status_code == status


@pytest.mark.parametrize(
    "hosts", ["*", "sim.internal:8080", "http://sim.internal", "a b", "a,,*.b"]
)
def test_a_further_name_that_is_none_is_refused(hosts):
    with pytest.raises(ValueError, match="hosts must be names such as"):
        sim.start(hosts=hosts)


def test_a_request_that_is_sent_twice_is_two_orders_and_is_told(start):
    client = start()
    first, again = ({"x-firmly-request-id": f"id-{i}"} for i in (1, 2))
    body = client.body()
    for headers in (first, again, again):
        client.http.post(PLACE, headers={**client.auth, **headers}, json=body)
    client.http.post(PLACE, headers={**client.auth, **again}, json=client.body())
    orders = {one["request_id"]: one for one in client.simulator.truth()}
    assert len({one["order"] for one in client.simulator.truth()}) == 4
    first_no = str(orders["id-1"]["order"])
    told = [one for one in client.simulator.truth() if "repeats" in one]
    assert {one["repeats_by"] for one in told} == {"encrypted_card", "request_id"}
    assert first_no in {one["repeats"] for one in told}
    page = client.http.get("/").text
    assert "<h2>Ordered twice</h2>" in page
    assert f"<td>{first_no}" in page


def repeats(client, request_id):
    told = [one for one in client.simulator.truth() if one["request_id"] == request_id]
    return [one for one in told if "repeats" in one]


def insist(client, path=PLACE, request_id="one", **headers):
    """Send one request again until that is told, as a client that does not know how it ended."""
    body = client.body()
    headers = {**client.auth, "x-firmly-request-id": request_id, **headers}
    while not (told := repeats(client, request_id)):
        with suppress(httpx.TransportError):
            client.http.post(path, headers=headers, json=body, timeout=0.2)
    return told


UNKNOWN_ENDS = [name for name, one in FAULTS.items() if one.plain_order_exists == "unknown"]


@pytest.mark.parametrize("fault", UNKNOWN_ENDS)
def test_a_second_try_is_told_however_the_first_one_ended(client, fault):
    told = insist(client, request_id=f"again after {fault}", **{"x-sim-fault": fault})
    assert {one["repeats_by"] for one in told} == {"encrypted_card"}
    page = client.http.get("/").text.partition("<h2>Ordered twice</h2>")[2].partition("<h2>")[0]
    assert f"<td>{told[0]['order']}" in page


def test_a_second_try_is_told_if_nobody_waits_for_its_answer(start):
    client = start(profile="slow-shipping")
    assert insist(client, f"{PLACE}?sse=true")


@pytest.mark.parametrize("fault", ["rate-limited", "token-expired", "invalid-input"])
def test_what_was_refused_may_be_sent_again(client, fault):
    body, headers = client.body(), {**client.auth, "x-firmly-request-id": f"refused by {fault}"}
    for _ in range(2):
        client.http.post(PLACE, headers={**headers, "x-sim-fault": fault}, json=body)
    assert client.http.post(PLACE, headers=headers, json=body).status_code == 200
    assert not repeats(client, headers["x-firmly-request-id"])


def test_orders_of_their_own_are_no_repeats(start):
    client = start()
    for _ in range(3):
        assert client.place().status_code == 200
    assert not [one for one in client.simulator.truth() if "repeats" in one]
    assert "Ordered twice" not in client.http.get("/").text


def test_tls_with_a_certificate_that_can_be_trusted():
    with sim.start(profile="instant", tls=True) as simulator:
        assert simulator.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=simulator.certificate)
        answer = httpx.get(f"{simulator.url}/api/v1/payment/key", verify=trusting)
        assert answer.status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{simulator.url}/api/v1/payment/key", verify=ssl.create_default_context())


def test_its_certificate_holds_where_python_verifies_strictly_as_it_does_from_3_13_on():
    with sim.start(profile="instant", tls=True) as simulator:
        trusting = ssl.create_default_context(cafile=simulator.certificate)
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        for host in ("127.0.0.1", "localhost"):
            url = simulator.url.replace("127.0.0.1", host)
            assert httpx.get(f"{url}/api/v1/payment/key", verify=trusting).status_code == 200


def test_the_key_of_its_certificate_is_in_no_file_once_it_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with sim.start(profile="instant", tls=True) as simulator:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert Path(simulator.certificate) in files
        assert not [path for path in files if b"PRIVATE KEY" in path.read_bytes()]


def test_the_access_log_has_a_line_for_each_request(start):
    client = start(access_log=True)
    client.place()
    client.http.get("/no%0Asuch")
    lines = client.simulator.logs().splitlines()
    assert any("200" in line and line.endswith("/place-order") for line in lines)
    assert any("404" in line and line.endswith("/no\\nsuch") for line in lines)
    assert len(lines) == 4
