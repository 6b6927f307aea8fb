"""Recordings as OpenTelemetry spans, sent to a collector.

One span an order, as clients of HTTP write them, and an event of the span for each SSE event. The
ids come from the request id of the order: what is sent again has the same ids, and an order that
was placed with ``traceparent=True`` told them to the merchant.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from firmly_nb.api.headers import trace_ids, user_agent
from firmly_nb.display.messages import coded_error, quoted
from firmly_nb.display.text import count, printable
from firmly_nb.exchange.curl import order_path
from firmly_nb.exchange.har import origin, started_ns
from firmly_nb.outcomes import PLACED
from firmly_nb.recorder.masking import shareable
from firmly_nb.recorder.tables import order_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.sdk.trace.export import SpanExporter

    from firmly_nb.recorder.records import Event, Recorded

SERVICE = "firmly-nb"
SPANS = "/v1/traces"
MOST_AT_ONCE = 512
TIMEOUT_S = 10
LONGEST = 200
TEMPLATE = "/api/v2/payment/domains/{domain}/place-order"
# Of an order's row, besides the attributes that OpenTelemetry names.
OF_ORDERS = (
    *("recording_id", "run_id", "request_id", "environment", "domain", "outcome", "order_exists"),
    *("order_number", "last_milestone", "total_minor", "currency", "connection"),
    *("blocked_ms", "connecting_ms", "tls_ms", "sending_ms", "waiting_ms", "schedule_lag_ms"),
)


class Sent(NamedTuple):
    """Result of sending.

    Attributes
    ----------
    endpoint
        URL of the collector, without user, password and query.
    spans
        How many it took.
    without_start
        How many orders have no start, so they have no span.
    refused
        How many spans it received and did not keep.
    why
        What it said of these.
    """

    endpoint: str
    spans: int
    without_start: int
    refused: int = 0
    why: str = ""

    def __repr__(self) -> str:
        left = count(self.without_start, "order")
        also = f"; {left} without a start left out" if self.without_start else ""
        if self.refused:
            also += f"; it refused {count(self.refused, 'span')}{self.why and f': {self.why}'}"
        return f"sent {count(self.spans, 'span')} to {self.endpoint}{also}"


def send_spans(
    orders: Iterable[Recorded], endpoint: str, headers: Mapping[str, str] | None = None
) -> Sent:
    """Send recordings to a collector; see ``Recordings.otlp``."""
    url, shown = _urls(endpoint)
    told = _checked(headers or {})
    try:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        text = "OpenTelemetry is not installed. Run pip install 'firmly-nb[otlp]'."
        raise coded_error(ImportError, "FNB443", text) from None
    answers: list[Any] = []
    session = requests.Session()
    # The exporter says only yes or no; and yes where it was sent elsewhere, or nothing was kept.
    session.hooks["response"].append(lambda answer, **_: answers.append(answer))
    exporter = OTLPSpanExporter(endpoint=url, headers=told, timeout=TIMEOUT_S, session=session)
    found = Sent(shown, 0, 0)
    try:
        batch: list[Any] = []
        for order in map(shareable, orders):
            begin = started_ns(order)
            if begin is None or begin < 0:  # a span has no time before 1970
                found = found._replace(without_start=found.without_start + 1)
                continue
            batch.append(_span(order, begin))
            if len(batch) == MOST_AT_ONCE:
                found, batch = _export(exporter, batch, answers, found), []
        return _export(exporter, batch, answers, found) if batch else found
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no types


def _urls(endpoint: str) -> tuple[str, str]:
    """Return where spans go, and the same without what may be a secret."""
    parts = port = None
    with suppress(ValueError, TypeError, AttributeError):
        parts = urlsplit(endpoint)
        port = f":{parts.port}" if parts.port else ""
    if parts is None or port is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        text = f"endpoint must be a URL of a collector, got {quoted(endpoint)}."
        raise coded_error(ValueError, "FNB444", f"{text} Try 'http://127.0.0.1:4318'.")
    path = parts.path if parts.path.strip("/") else SPANS
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = parts._replace(netloc=f"{host}{port}", path=path, query="", fragment="")
    return parts._replace(path=path).geturl(), shown.geturl()


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not all(
            isinstance(one, str) and one.isascii() and one.isprintable() for one in (name, value)
        ):
            text = (
                f"headers must be texts of printable ASCII, and {quoted(name)} is not. Correct it."
            )
            raise coded_error(ValueError, "FNB444", text)
    return dict(headers)


def _export(exporter: SpanExporter, batch: list[Any], answers: list[Any], found: Sent) -> Sent:
    """Send spans; return what was sent with them.

    Raises
    ------
    ConnectionError
        If the collector did not take them.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no types
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
    from opentelemetry.sdk.trace.export import SpanExportResult

    answers.clear()
    is_sent = exporter.export(batch) is SpanExportResult.SUCCESS
    status = answers[-1].status_code if answers else None
    if not is_sent or status is None or not 200 <= status < 300:
        before = f" {count(found.spans, 'span')} were sent before." if found.spans else ""
        text = f"{found.endpoint} did not take the spans: {_why(status, found.endpoint)}{before}"
        raise coded_error(ConnectionError, "FNB445", text)
    refused, why = 0, ""
    with suppress(DecodeError):
        told = ExportTraceServiceResponse.FromString(answers[-1].content).partial_success
        refused = min(max(told.rejected_spans, 0), len(batch))
        why = printable(told.error_message, LONGEST)
    return found._replace(
        spans=found.spans + len(batch) - refused,
        refused=found.refused + refused,
        why=why or found.why,
    )


def _why(status: int | None, shown: str) -> str:
    """Say what a collector answered, and what to do."""
    if status is None:
        grpc = " Port 4317 is for gRPC; the port for HTTP is 4318." if ":4317/" in shown else ""
        return f"nothing answered within {TIMEOUT_S} s. Check that a collector listens there.{grpc}"
    do = {
        401: "Pass what it asks for in headers.",
        403: "Pass what it asks for in headers.",
        404: f"Check the path; most collectors take spans at {SPANS}.",
        405: f"Check the path; most collectors take spans at {SPANS}.",
        413: "Send fewer orders at once.",
    }
    other = "Try again later." if status == 429 or status >= 500 else "Check the URL."
    return f"it answered {status}. {do.get(status, other)}"


def _span(order: Recorded, begin_ns: int) -> Any:
    """Return the span of an order, as the SDK's exporters take it."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    start, events, end = order[:3]
    trace_id, span_id = trace_ids(start.request_id or start.recording_id)
    is_placed = end.outcome == PLACED
    status = Status() if is_placed else Status(StatusCode.ERROR, end.error_description or "")
    name, _, software = user_agent().partition("/")
    # Not through a tracer: its limits on events and lengths would cut what was recorded.
    return ReadableSpan(
        name=f"POST {TEMPLATE}",
        context=SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(1)),
        kind=SpanKind.CLIENT,
        resource=Resource({"service.name": SERVICE, "service.version": software}),
        instrumentation_scope=InstrumentationScope(name, software),
        attributes=_known(_attributes(order)),
        events=[_event(event, begin_ns) for event in events],
        status=status,
        start_time=begin_ns,
        end_time=begin_ns + end.t_end_ns,
    )


def _attributes(order: Recorded) -> dict[str, Any]:
    start, events, end = order[:3]
    row = order_row(start, events, end)
    path, query = order_path(start)
    where = urlsplit(f"{origin(start)}{path}{query}")
    port = where.port or {"http": 80, "https": 443}.get(where.scheme)
    known = {
        "url.full": where.geturl(),
        "server.address": where.hostname,
        "server.port": port,
    }
    return {
        "http.request.method": "POST",
        **(known if start.server else {}),
        "url.template": TEMPLATE,
        "http.response.status_code": end.http_status,
        "network.protocol.name": "http",
        "network.protocol.version": "1.1" if start.server else None,
        "error.type": None if end.outcome == PLACED else end.error_code or end.outcome,
        **{f"firmly.{name}": row[name] for name in OF_ORDERS},
        **{f"firmly.tag.{name}": value for name, value in start.tags.items()},
    }


def _event(event: Event, begin_ns: int) -> Any:
    from opentelemetry.sdk.trace import Event as SpanEvent

    attributes = {
        "firmly.sse.seq": event.seq,
        "firmly.sse.bytes": event.size,
        "firmly.sse.id": event.id or None,
        "firmly.t_ms": event.t_ns / 1e6,
        "firmly.uncertainty_us": event.uncertainty_us,
        "firmly.clock": event.clock,
        "firmly.coalesced": event.coalesced,
    }
    at_ns = begin_ns + event.t_ns if event.wall_ns is None else event.wall_ns
    return SpanEvent(event.event, attributes=_known(attributes), timestamp=at_ns)


def _known(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
