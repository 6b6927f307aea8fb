"""What the simulator says about itself: page, OpenAPI, tables, truth, TLS and its access log."""

import ssl
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


def test_any_web_page_may_call_it(client):
    headers = {
        "origin": "https://shop.example.test",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-firmly-authorization, content-type",
    }
    path = "/api/v2/payment/domains/staging.luma.gift/place-order"
    allowed = client.http.options(path, headers=headers)
    assert allowed.status_code == 200
    assert "x-firmly-authorization" in allowed.headers["access-control-allow-headers"]
    answer = client.http.get("/api/v1/payment/key", headers={"origin": "https://a.test"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-firmly-kid" in answer.headers["access-control-expose-headers"]


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
