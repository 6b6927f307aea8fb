"""The tables of a recording, declared once (design.md, section 6)."""

from __future__ import annotations

from firmly_nb.outcomes import KNOWN
from firmly_nb.schema import Column, Table

EVENTS = Table(
    "events",
    "one row a server-sent event",
    (
        Column("recording_id", "str", "", "which recording"),
        Column("seq", "int64", "", "place in the stream, from 1"),
        Column("event", "category", "", "name of the event as it was sent"),
        Column("milestone", "category", "", "the milestone it stands for; null if none"),
        Column("t_ms", "float64", "ms", "arrival after t_start"),
        Column("gap_ms", "float64", "ms", "since the event before; null for the first"),
        Column("at", "datetime64[ns, UTC]", "", "arrival by the wall clock"),
        Column("clock", "category", "", "kernel: receive stamp; user: time right after the read"),
        Column("uncertainty_us", "float64", "µs", "it came at most this much before t_ms"),
        Column("coalesced", "bool", "", "shares its read with the event before"),
        Column("read_no", "Int64", "", "number of the socket read that brought its last byte"),
        Column("bytes", "int64", "bytes", "size of its data"),
        Column("rtt_us", "Float64", "µs", "the connection's round-trip time then, by the kernel"),
        Column("retransmits", "Int64", "", "packets lost on the connection so far, by the kernel"),
        Column("cart_id", "str", "", "the cart in its data"),
        Column("total_minor", "Int64", "minor units", "the cart's total"),
        Column("currency", "category", "", "ISO 4217"),
        Column("data", "object", "", "the decoded JSON, secrets taken out"),
        Column("raw", "object", "", "exact text; null unless keep_raw=True"),
    ),
)

WIDE = ("data", "raw")  # what came in an event; all else is small
EVENT_TIMES = Table(
    "event_times",
    "one row a server-sent event, without what came in it",
    tuple(column for column in EVENTS.columns if column.name not in WIDE),
)

ORDERS = Table(
    "orders",
    "one row an attempted order",
    (
        Column("recording_id", "str", "", "which recording"),
        Column("run_id", "str", "", "the run it belongs to"),
        Column("started_at", "datetime64[ns, UTC]", "", "t_start by the wall clock"),
        Column("environment", "category", "", "simulator, staging or custom"),
        Column("domain", "category", "", "the merchant"),
        Column("n_items", "int64", "", "lines asked for"),
        Column("quantity", "int64", "", "pieces asked for"),
        Column("outcome", "category", "", f"how it ended: {', '.join(KNOWN)}"),
        Column("order_exists", "category", "", "whether there is an order: yes, no or unknown"),
        Column("evidence", "category", "", "what decided order_exists"),
        Column("error_code", "category", "", "the API's name of the error"),
        Column("error_description", "str", "", "its words"),
        Column("order_number", "str", "", "the merchant's order number"),
        Column("http_status", "Int64", "", "status of the answer"),
        Column("last_milestone", "category", "", "the last milestone reached"),
        Column("time_to_headers_ms", "float64", "ms", "response headers complete"),
        Column("time_to_first_event_ms", "float64", "ms", "first event"),
        Column("time_to_order_placed_ms", "float64", "ms", "order-placed; null unless placed"),
        Column("order_latency_ms", "float64", "ms", "end of the answer, or of the attempt"),
        Column("scheduled_order_latency_ms", "float64", "ms", "the same from the planned start"),
        Column("schedule_lag_ms", "float64", "ms", "start after the planned start"),
        Column("blocked_ms", "float64", "ms", "before connecting or sending"),
        Column("connecting_ms", "float64", "ms", "TCP connection; null if it was open"),
        Column("tls_ms", "float64", "ms", "TLS handshake; null if none"),
        Column("sending_ms", "float64", "ms", "sending the request"),
        Column("waiting_ms", "float64", "ms", "request sent to headers complete"),
        Column("total_minor", "Int64", "minor units", "total of the last cart or order seen"),
        Column("currency", "category", "", "ISO 4217"),
        Column("connection", "category", "", "warm: was open before; cold: opened for it"),
        Column("tags", "object", "", "what the analyst noted, by name"),
    ),
)
