"""Recordings as OpenTelemetry spans, sent to a collector.

One span an order, as clients of HTTP write them, and an event of the span for each SSE event. The
ids come from the request id of the order: what is sent again has the same ids, and an order that
was placed with ``traceparent=True`` told them to the merchant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from firmly_nb.api.headers import trace_ids, user_agent
from firmly_nb.display.messages import coded_error, quoted
from firmly_nb.display.text import count
from firmly_nb.exchange.curl import order_path
from firmly_nb.exchange.har import origin, started_ns
from firmly_nb.outcomes import PLACED
from firmly_nb.recorder.records import Recorded, shareable
from firmly_nb.recorder.tables import order_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.sdk.trace.export import SpanExporter

    from firmly_nb.recorder.records import Event

SERVICE = "firmly-nb"
SPANS = "/v1/traces"
MOST_AT_ONCE = 512
TEMPLATE = "/api/v2/payment/domains/{domain}/place-order"
# Of an order's row, besides the attributes that OpenTelemetry names.
OF_ORDERS = (
    *("recording_id", "run_id", "request_id", "environment", "domain", "outcome", "order_exists"),
    *("order_number", "last_milestone", "total_minor", "currency", "connection"),
    *("blocked_ms", "connecting_ms", "tls_ms", "sending_ms", "waiting_ms", "schedule_lag_ms"),
)


class Sent(NamedTuple):
    """Result of sending: number of spans, and of orders without a start, which have none."""

    endpoint: str
    spans: int
    without_start: int

    def __repr__(self) -> str:
        left = count(self.without_start, "order")
        also = f"; {left} without a start left out" if self.without_start else ""
        return f"sent {count(self.spans, 'span')} to {self.endpoint}{also}"


def send_spans(
    orders: Iterable[Recorded], endpoint: str, headers: Mapping[str, str] | None = None
) -> Sent:
    """Send recordings to a collector; see ``Recordings.otlp``."""
    url = _url(endpoint)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        text = "OpenTelemetry is not installed. Run pip install 'firmly-nb[otlp]'."
        raise coded_error(ImportError, "FNB443", text) from None
    exporter = OTLPSpanExporter(endpoint=url, headers=dict(headers or {}), timeout=10)
    spans = without = 0
    try:
        batch: list[Any] = []
        for order in map(shareable, orders):
            begin = started_ns(order)
            if begin is None:
                without += 1
                continue
            batch.append(_span(order, begin))
            if len(batch) == MOST_AT_ONCE:
                _export(exporter, batch, url)
                spans, batch = spans + len(batch), []
        if batch:
            _export(exporter, batch, url)
        return Sent(url, spans + len(batch), without)
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no types


def _url(endpoint: str) -> str:
    parts = urlsplit(endpoint) if isinstance(endpoint, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        text = f"endpoint must be a URL of a collector, got {quoted(endpoint)}."
        raise coded_error(ValueError, "FNB444", f"{text} Try 'http://127.0.0.1:4318'.")
    return endpoint if parts.path.strip("/") else f"{endpoint.rstrip('/')}{SPANS}"


def _export(exporter: SpanExporter, batch: list[Any], url: str) -> None:
    from opentelemetry.sdk.trace.export import SpanExportResult

    if exporter.export(batch) is not SpanExportResult.SUCCESS:
        text = f"{url} did not take the spans. Check that a collector listens there."
        raise coded_error(ConnectionError, "FNB445", text)


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
