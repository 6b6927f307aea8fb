"""Recordings as OpenTelemetry spans, taken by a small receiver of the protocol."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

import firmly_nb as fnb
from firmly_nb.display.messages import code_of
from tests.exchange.test_har import made  # noqa: F401 - a fixture
from tests.merchant_server import Merchant
from tests.servers import Handler, Server, serving


@contextmanager
def collector(status=200, refused=0):
    """Listen on loopback; yields its URL and what it was sent."""
    requests = []

    class Receiver(Handler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            requests.append(
                (self.path, dict(self.headers), ExportTraceServiceRequest.FromString(body))
            )
            said = ExportTraceServiceResponse()
            said.partial_success.rejected_spans = refused
            said.partial_success.error_message = "quota" if refused else ""
            answer = said.SerializeToString()
            kind = {"location": "http://127.0.0.1:9/", "content-type": "application/x-protobuf"}
            self.give(status, kind, answer)

    with serving(Server(Receiver)) as server:
        yield server.url, requests


def spans_of(requests):
    return [
        span
        for _, _, request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def values(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@pytest.fixture(scope="module")
def taken(made):  # noqa: F811
    with collector() as (url, requests):
        sent = made.otlp(url)
    return sent, spans_of(requests), requests


def test_each_order_is_a_span_with_the_conventions_of_http(taken, made):  # noqa: F811
    sent, spans, requests = taken
    assert sent.spans == len(spans) == len(made)
    assert requests[0][0] == "/v1/traces"
    for span, rec in zip(spans, made, strict=True):
        row, held = rec.summary(), values(span.attributes)
        assert span.name == "POST /api/v2/payment/domains/{domain}/place-order"
        assert span.kind == Span.SPAN_KIND_CLIENT
        assert held["http.request.method"] == "POST"
        assert held["url.full"].startswith("http://127.0.0.1:")
        assert held["server.port"] == int(held["url.full"].split(":")[2].split("/")[0])
        assert held.get("http.response.status_code") == row["http_status"]
        assert held["firmly.outcome"] == rec.outcome
        assert held.get("firmly.order_number") == rec.order_number
        assert ("error.type" in held) == (rec.outcome != "placed")
        wanted = Status.STATUS_CODE_UNSET if rec.outcome == "placed" else Status.STATUS_CODE_ERROR
        assert span.status.code == wanted
        took_ns = span.end_time_unix_nano - span.start_time_unix_nano
        assert took_ns == rec.recorded.end.t_end_ns


def test_each_event_has_its_time_to_the_nanosecond_and_its_bound(taken, made):  # noqa: F811
    for span, rec in zip(taken[1], made, strict=True):
        assert [one.name for one in span.events] == rec.events["event"].tolist()
        assert [one.time_unix_nano for one in span.events] == rec.events["at"].astype(
            "int64"
        ).tolist()
        held = [values(one.attributes) for one in span.events]
        assert [one["firmly.uncertainty_us"] for one in held] == rec.events[
            "uncertainty_us"
        ].tolist()
        assert [one["firmly.coalesced"] for one in held] == rec.events["coalesced"].tolist()


def test_sent_again_the_ids_are_the_same(taken, made):  # noqa: F811
    with collector() as (url, requests):
        made.otlp(f"{url}/v1/traces", headers={"x-key": "7"})
    again = spans_of(requests)
    assert [(one.trace_id, one.span_id) for one in again] == [
        (one.trace_id, one.span_id) for one in taken[1]
    ]
    assert len({one.trace_id for one in again}) == len(made)
    assert {name.lower(): value for name, value in requests[0][1].items()}["x-key"] == "7"


def test_no_event_of_500_is_dropped(made):  # noqa: F811
    start, first, *_, end = next(rec for rec in made if len(rec.events)).records()
    events = [replace(first, seq=n, t_ns=n * 1000, wall_ns=None) for n in range(1, 501)]
    with collector() as (url, requests):
        fnb.Recording([start, *events, end]).otlp(url)
    (span,) = spans_of(requests)
    assert [values(one.attributes)["firmly.sse.seq"] for one in span.events] == [*range(1, 501)]
    assert span.dropped_events_count == 0


def test_a_thousand_orders_are_sent_in_parts(made):  # noqa: F811
    start, *rest = made[0].records()
    many = [
        fnb.Recording([replace(start, recording_id=str(n), request_id=None), *rest])
        for n in range(1030)
    ]
    with collector() as (url, requests):
        sent = fnb.Recordings(many).otlp(url)
    assert sent.spans == len(spans_of(requests)) == 1030
    assert len(requests) == 3
    assert len({one.span_id for one in spans_of(requests)}) == 1030


def test_the_merchant_is_told_the_ids_where_asked_for(connect):
    order, told = fnb.Order.example(domain="a.test"), []
    with serving(Merchant()) as merchant:
        merchant.events = [("order-placed", "{}")]
        own = connect(api_url=merchant.url, app_id="a", allow_domains=["a.test"])
        for asked in (True, False):
            rec = own.place(order, progress=False, traceparent=asked)
            path, headers = merchant.asked[-1]
            assert "place-order" in path
            told.append((rec, headers.get("traceparent")))
    (with_it, header), (_, none) = told
    assert none is None
    with collector() as (url, requests):
        with_it.otlp(url)
    (span,) = spans_of(requests)
    assert header == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-03"


def test_orders_without_a_start_are_counted():
    events = pd.DataFrame({"recording_id": ["a"], "event": "order-placed", "t_ms": 5.0})
    with collector() as (url, requests):
        sent = fnb.from_events(events).otlp(url)
    assert (sent.spans, sent.without_start, requests) == (0, 1, [])
    assert "1 order without a start left out" in repr(sent)


def test_nothing_planted_is_in_a_span(made):  # noqa: F811
    start, first, *_, end = next(rec for rec in made if len(rec.events)).records()
    told = replace(first, event="for planted@example.test", data={"email": "planted@example.test"})
    private = replace(start, personal=["planted@example.test"])
    failed = replace(end, outcome="error_event", error_description="no way to planted@example.test")
    with collector() as (url, requests):
        fnb.Recording([private, told, failed]).otlp(url)
    assert "planted" not in str(requests[0][2])
    assert "no way to ***" in str(requests[0][2])


@pytest.mark.parametrize(
    "endpoint", ["", "127.0.0.1:4318", "grpc://a:4317", "http://a:b", "http://[a"]
)
def test_an_endpoint_that_is_none_says_what_one_is(made, endpoint):  # noqa: F811
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:4318") as refused:
        made.otlp(endpoint)
    assert code_of(refused.value) == "FNB444"


@pytest.mark.parametrize(
    ("status", "do"),
    [
        (302, "Check the URL"),
        (400, "Check the URL"),
        (401, "Pass what it asks for in headers"),
        (404, "most collectors take spans at /v1/traces"),
        (413, "Send fewer orders at once"),
        (501, "Try again later"),
    ],
)
def test_a_collector_that_refuses_is_an_error_with_its_status(made, status, do):  # noqa: F811
    with (
        collector(status=status) as (url, _),
        pytest.raises(ConnectionError, match=f"did not take .* it answered {status}. .*{do}") as no,
    ):
        made.otlp(url)
    assert code_of(no.value) == "FNB445"


def test_spans_that_were_received_and_not_kept_are_told(made):  # noqa: F811
    with collector(refused=2) as (url, _):
        sent = made.otlp(url)
    assert (sent.spans, sent.refused) == (len(made) - 2, 2)
    assert repr(sent).endswith("; it refused 2 spans: quota")


def test_what_may_be_secret_in_an_endpoint_is_sent_and_not_shown(made):  # noqa: F811
    with collector() as (url, requests):
        sent = made.otlp(f"{url.replace('//', '//user:planted@')}?key=planted")
    path, headers, _ = requests[0]
    assert path == "/v1/traces?key=planted"
    assert {name.lower() for name in headers} >= {"authorization"}
    assert sent.endpoint == f"{url}/v1/traces"
    assert "planted" not in repr(sent)


@pytest.mark.parametrize("headers", [{"a\nb": "c"}, {"a": "b\r\nc: d"}, {"a": 1}, {"a": "\u8ba2"}])
def test_headers_that_cannot_be_sent_are_named_without_their_value(made, headers):  # noqa: F811
    with pytest.raises(ValueError, match="headers must be texts of printable ASCII") as refused:
        made.otlp("http://127.0.0.1:9", headers)
    assert code_of(refused.value) == "FNB444"
    assert "c: d" not in str(refused.value)


def test_an_order_before_1970_has_no_span():
    events = pd.DataFrame({"recording_id": ["a"], "event": "order-placed", "t_ms": 5.0})
    orders = pd.DataFrame(
        {"recording_id": ["a"], "started_at": pd.to_datetime(["1960-01-01"], utc=True)}
    )
    with collector() as (url, requests):
        sent = fnb.from_events(events, orders).otlp(url)
    assert (sent.spans, sent.without_start, requests) == (0, 1, [])


def test_a_missing_library_says_what_to_install(made, monkeypatch):  # noqa: F811
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ImportError, match=r"pip install 'firmly-nb\[otlp\]'") as refused:
        made.otlp("http://127.0.0.1:1")
    assert code_of(refused.value) == "FNB443"
