"""Records survive the pipe and the journal, whatever is in them."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pickle
import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import asdict, replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.beside import error_beside, status_beside
from firmly_nb.api.secrets import Secret
from firmly_nb.recorder import process
from firmly_nb.recorder.job import Job
from firmly_nb.recorder.masking import masked, tellable
from firmly_nb.recorder.process import LENGTH, PipeError, frame, job_message, read_frame, read_job
from firmly_nb.recorder.records import (
    LARGE_BYTES,
    End,
    Event,
    Phases,
    Recorded,
    Settled,
    Start,
    decode,
    encode,
    encode_line,
    outline,
)
from firmly_nb.recordings.recording import Recording

text = st.text(st.characters(codec="utf-8"), max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | int64 | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
starts = st.builds(
    Start,
    recording_id=text,
    started_at_ns=int64,
    environment=text,
    domain=text,
    items=st.lists(st.dictionaries(text, json_values, max_size=2), max_size=2),
    sse=st.booleans(),
    connection=st.sampled_from(["warm", "cold"]),
    timeout_s=numbers,
    milestones=st.none() | st.lists(text, max_size=3),
    run_id=st.none() | text,
    schedule_lag_ns=st.none() | int64,
    tags=st.dictionaries(text, text, max_size=2),
    recorder=st.dictionaries(text, text, max_size=2),
)
events = st.builds(
    Event,
    seq=int64,
    event=text,
    data=json_values,
    t_ns=int64,
    wall_ns=int64,
    clock=st.sampled_from(["kernel", "user"]),
    uncertainty_us=numbers,
    read_no=int64,
    coalesced=st.booleans(),
    read_delay_us=numbers,
    size=int64,
    rtt_us=st.none() | numbers,
    retransmits=int64,
    reordered=st.none() | int64,
    id=text,
    raw=st.none() | text,
).map(lambda event: event if event.reordered is not None else replace(event, retransmits=None))
ns = st.none() | int64
ends = st.builds(
    End,
    outcome=st.sampled_from(["placed", "timeout", "cancelled"]),
    t_end_ns=int64,
    t_headers_ns=ns,
    http_status=ns,
    error_code=st.none() | text,
    error_description=st.none() | text,
    phases=st.builds(Phases, ns, ns, ns, ns, ns),
    connection=st.sampled_from(["warm", "cold"]),
    confirmation=json_values,
    comments_ns=st.lists(int64, max_size=3),
    unfinished_bytes=int64,
    clock_step_us=numbers,
    warnings=st.lists(text, max_size=3),
)
jobs = st.builds(
    Job,
    start=starts,
    body=st.dictionaries(text, json_values, max_size=3),
    token=text.map(Secret),
    headers=st.dictionaries(text, text, max_size=2),
    keep_raw=st.booleans(),
    max_event_bytes=int64,
    max_stream_bytes=int64,
)


@given(starts | events | ends)
def test_a_record_survives_its_line(record):
    line = encode(record)
    assert b"\n" not in line
    assert decode(line) == record


@given(starts | events | ends)
def test_fields_that_a_newer_version_added_are_passed_over(record):
    assert decode(orjson.dumps({**asdict(record), "added_later": [1]})) == record


@given(starts | events | ends, st.data())
def test_a_line_that_was_cut_is_no_record(record, data):
    line = encode(record)
    with pytest.raises(ValueError, match=r".*"):
        decode(line[: data.draw(st.integers(0, len(line) - 1))])


@given(json_values)
def test_json_of_another_kind_is_no_record(value):
    with pytest.raises(ValueError, match="record"):
        decode(orjson.dumps(value))
    with pytest.raises(ValueError, match="incomplete start record"):
        decode(orjson.dumps({"kind": "start", "x": value}))


def read(data, *, cut=()):
    async def feed():
        reader = asyncio.StreamReader(limit=16)
        for begin, end in zip([0, *cut], [*cut, len(data)], strict=True):
            reader.feed_data(data[begin:end])
        reader.feed_eof()
        found = []
        while (message := await read_frame(reader)) is not None:
            found.append(message)
        return found

    return asyncio.run(feed())


@given(st.lists(st.dictionaries(text, json_values, max_size=3), max_size=3))
def test_messages_survive_the_pipe(messages):
    assert read(b"".join(map(frame, messages))) == messages


@given(jobs)
def test_a_job_survives_the_pipe_with_its_secrets(job):
    [message] = read(frame({"job": job_message(job)}))
    assert read_job(message["job"]) == job


@given(st.dictionaries(text, text, max_size=2), st.data())
def test_a_message_that_was_cut_is_the_end(message, data):
    raw = frame(message)
    assert read(raw[: data.draw(st.integers(0, len(raw) - 1))]) == []


@pytest.mark.parametrize(
    "data", [b"Traceback (most recent call last):\n", b"hello world", b"\xff" * 9]
)
def test_text_is_not_waited_for_as_if_it_were_a_long_message(data):
    """What something printed to the pipe was once taken for the length of a frame of a gigabyte."""
    with pytest.raises(PipeError, match="no message"):
        read(data)


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"null", b'"x"'])
def test_a_frame_that_is_no_object_is_refused(body):
    with pytest.raises(PipeError):
        read(LENGTH.pack(len(body)) + body)


def test_a_message_that_is_too_long_is_refused_before_it_is_sent(monkeypatch):
    monkeypatch.setattr(process, "MAX_FRAME_BYTES", 100)
    with pytest.raises(PipeError, match="too long for the pipe"):
        frame({"a": "x" * 100})


def test_the_secrets_of_a_job_are_in_no_repr():
    job = Job(
        replace(START, recording_id="r"),
        {"encrypted_card": "planted-1", "captcha_token": "planted-2"},
        Secret("planted-3"),
        {"x-secret": "planted-4"},
    )
    assert "planted" not in repr(job)


START = Start("r", 0, "custom", "a.test", [], True, "warm", 1.0)


def large_cart(lines=10_000):
    line = {"sku": "WS12", "quantity": 1, "price": {"currency": "USD", "number": 1299}}
    return {"order": {"cart_id": "c", "line_items": [{**line, "id": str(n)} for n in range(lines)]}}


def large_event():
    cart = large_cart()
    size = len(orjson.dumps(cart))
    return Event(1, "item-added", cart, 5, None, "user", 0.0, 1, False, 0.0, size)


def kept_bytes(make):
    """Return what is kept in memory of what is made, in bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        return tracemalloc.get_traced_memory()[0], made
    finally:
        tracemalloc.stop()


def test_large_json_is_kept_in_less_than_twice_its_text():
    """Decoded, a cart takes five times its text or more."""
    line, answer = encode(large_event()), encode(End("placed", 9, confirmation=large_cart()))
    for each, name in ((line, "data"), (answer, "confirmation")):
        decode(each)  # what is cached once is no part of it
        kept, record = kept_bytes(lambda each=each: decode(each))
        assert kept < 2 * len(each)
        assert getattr(record, name) == large_cart()
    decoded, _ = kept_bytes(lambda: orjson.loads(line))
    assert decoded > 3 * len(line)


def test_tables_of_large_events_are_not_kept():
    event = large_event()
    text = encode(event)

    def look():
        start = Start("r", 0, "simulator", "a.test", [], True, "warm", 9)
        rec = Recording([start, decode(text), End("incomplete", 9)])
        assert rec.events["data"][0] == rec.cart_events["data"][0] == large_cart()
        assert rec.cart == large_cart()["order"]
        assert rec.orders["outcome"][0] == "incomplete"
        return rec

    look()  # what is imported and cached once is no part of it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("firmly_nb.recordings.recording.LARGEST_KEPT_BYTES", len(text) // 2)
        kept, _ = kept_bytes(look)
    assert kept < 3 * len(text)


def test_a_record_that_keeps_its_json_as_text_is_like_any_other():
    plain = large_event()
    kept = decode(encode(plain))
    assert kept.packed_bytes > 0 == plain.packed_bytes
    assert (kept, repr(kept)) == (plain, repr(plain))
    for other in (copy.copy(kept), copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
        assert other == plain
        assert other.packed_bytes == kept.packed_bytes
    assert replace(kept, seq=2) == replace(plain, seq=2)
    assert replace(kept, data=None).data is None
    assert encode(kept) == encode(plain)
    with pytest.raises(TypeError, match="not JSON serializable"):
        orjson.dumps(kept)  # by itself it would read what is gone already, and crash
    kept.data["order"] = "changed by whoever asked"
    assert kept == plain
    with pytest.raises(AttributeError, match="Event has no dta"):
        _ = kept.dta
    with pytest.raises(TypeError, match="unhashable"):
        hash(kept)


LINES = [{"line_item_id": f"l{n}", "sku": "WS12", "quantity": 1} for n in range(3_000)]
LARGE = {
    "a cart": {"cart": {"cart_id": "c", "line_items": LINES, "cart_status": "active"}},
    "an order without a frame": {"line_items": LINES, "platform_order_number": "T-1"},
    "two orders": {"order": {"platform_order_number": 1, "line_items": LINES},
                   "cart": {"platform_order_number": 2, "line_items": LINES}},
    "lines by their id": {"order": {"cart_id": "c", "line_items": {str(n): one for n, one in
                                                                  enumerate(LINES)}}},
    "many fields": {**{f"f{n}": n for n in range(9_000)}, "order": {"platform_order_number": 7}},
    "a cart elsewhere": {"data": {"order": {"line_items": LINES}}},
    "a cart in another spelling": {"order": {"lineItems": LINES}},
    "a cart in a text": {"text": json.dumps({"cart": {"line_items": LINES}})},
    "a list of carts": [{"line_items": LINES}],
    "an error with lines": {"error": "ErrorPaymentDeclined", "line_items": LINES},
    "a list of errors": {"errors": [{"error": "ErrorNotEnoughStock"}] * 2_000, "at": LINES},
    "no cart at all": {"done": LINES},
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_the_outline_of_large_json_is_small_and_comes_with_it(name):
    made = Event(1, "x", LARGE[name], 9, 9, "user", 0.0, 1, False, 0.0, 9).packed()
    line = encode(made)
    assert len(line) > LARGE_BYTES
    assert orjson.loads(line)["data"] == made.data == LARGE[name]  # as any other program reads it
    read = decode(line + b"\n")
    assert (read, read.outline) == (made, made.outline)
    assert read.outline == outline(LARGE[name])
    assert len(orjson.dumps(read.outline)) < LARGE_BYTES / 10


def test_a_list_of_which_the_first_value_tells_less_has_no_outline():
    assert outline({"data": [{}, *LARGE["a list of carts"]]}) is None


PLACED = {"order": {"platform_order_number": "T-1", "line_items": LINES}}
LARGE_EVENT = Event(1, "x", PLACED, 9, 9, "user", 0.0, 1, False, 0.0, 9)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"T-1", b"T-2"), (b"WS12", b"WS13"), (b'"seq":1', b'"seq":2'), (b"crc32", b"crc33")],
)
def test_a_large_record_of_an_older_version_that_was_changed_tells_what_stands_in_it(old, new):
    """Where the line is not as it was written, its outline may tell of another order."""
    values, text = LARGE_EVENT.changed().packed().parts()
    head = orjson.dumps(values)[:-1]
    line = b'%b,"crc32":%d,"data":%b}' % (head, zlib.crc32(text, zlib.crc32(head)), text)
    assert decode(line) == LARGE_EVENT
    last = line.rindex(old)
    changed = line[:last] + new + line[last + len(old) :]
    for each in (line.replace(old, new, 1), changed, line.replace(old, new)):
        assert decode(each).data == orjson.loads(each)["data"]
        assert decode(each).outline == outline(orjson.loads(each)["data"])


@pytest.mark.parametrize(
    "record",
    [
        Start("r", 0, "simulator", "a.test", [{"quantity": 2}], True, "warm", 9),
        Event(1, "x", {"cart": {"total": 500}}, 9, 9, "user", 0.0, 1, False, 0.0, 9),
        LARGE_EVENT,
        End("placed", 9, confirmation={"order": "T-1"}),
    ],
)
def test_a_turned_bit_of_any_line_is_told_or_changes_nothing(record):
    line = encode_line(record)
    assert (decode(line), orjson.loads(line)["kind"]) == (record, record.kind)
    bits = range(8 * len(line))
    for bit in {*bits[:160], *bits[-480:], *bits[:: len(bits) // 100]}:
        turned = bytearray(line)
        turned[bit // 8] ^= 1 << bit % 8
        with suppress(ValueError):
            assert decode(bytes(turned)) == record


@pytest.mark.parametrize("cut", [1, 2, 100, 100_000, -30])
def test_a_large_record_that_is_torn_is_no_record(cut):
    line = encode(Event(1, "x", LARGE["a cart"], 9, 9, "user", 0.0, 1, False, 0.0, 9))
    with pytest.raises(ValueError, match="line 1 column"):
        decode(line[:-cut])


@pytest.mark.parametrize("size", [0, 1, 70_000, 200_000])
@pytest.mark.anyio
async def test_json_beside_a_message_is_read_whole_and_not_decoded(size):
    reader, text = asyncio.StreamReader(), b"{" * size
    reader.feed_data(frame({"type": "record"}, text) + frame({"type": "next"}))
    reader.feed_eof()
    assert await read_frame(reader) == {"type": "record", "text": text}
    assert await read_frame(reader) == {"type": "next"}
    assert await read_frame(reader) is None


@pytest.mark.parametrize("told", [-1, 2**40, "9", None, True, 1.0])
@pytest.mark.anyio
async def test_a_size_that_is_none_ends_the_pipe(told):
    reader = asyncio.StreamReader()
    reader.feed_data(frame({"type": "record", "text": told}))
    with pytest.raises(PipeError, match="that is no message"):
        await read_frame(reader)


@pytest.mark.anyio
async def test_a_pipe_that_ends_within_json_has_ended():
    reader = asyncio.StreamReader()
    reader.feed_data(frame({"type": "record"}, b"x" * 100_000)[:-1])
    reader.feed_eof()
    assert await read_frame(reader) is None


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"payment_status": "declined"}, "payment_status is declined"),
        ({"financial_status": "partially_refunded"}, "financial_status is partially_refunded"),
        ({"order_status": "on_hold"}, "order_status is on_hold"),
        ({"payment": {"status": "failed"}}, "status is failed"),
        ({"payment_summary": {"status": "VOIDED"}}, "status is VOIDED"),
        ({"canceled": True}, "canceled is true"),
        ({"refunded": "True"}, "refunded is true"),
        ({"cancelled_at": "2026-11-30T07:00:00Z"}, "cancelled_at is 2026-11-30T07:00:00Z"),
        ({"cancelled_at": 1_796_025_600}, "cancelled_at is 1796025600"),
        ({"payment_status": "pending", "order_status": "processing", "status": "open"}, None),
        ({"payment_status": "authorized", "fulfillment_status": "unfulfilled"}, None),
        ({"cancelled": False, "refunded": "false", "cancelled_at": None, "voided_at": ""}, None),
        ({"payment_summary": {"payment_type": "CreditCard"}, "payment": None}, None),
    ],
)
def test_a_field_of_an_order_that_says_otherwise_is_found(beside, said):
    order = {"platform_order_number": "7", **beside}
    for data in (order, {"order": order}, {"data": {"cart": order}}):
        assert status_beside(data) == said


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"line_items": [{"sku": "a"}, {"error": "ErrorNotEnoughStock"}]}, "ErrorNotEnoughStock"),
        ({"failedItems": [{"error": {"message": "sold out"}}]}, "sold out"),
        ({"results": [{"status": 201}, {"errors": ["no"]}]}, "no"),
        ({"line_items": [{"error": None, "errors": []}, 7]}, None),
        ({"previous_orders": [{"error": "ErrorNotEnoughStock"}]}, None),
    ],
)
def test_a_part_of_an_order_that_failed_is_found_and_is_no_failure_of_the_order(beside, said):
    data = {"order": {"platform_order_number": "7", **beside}}
    assert error_beside(data, parts=True) == said
    assert error_beside(data) is None


OF_ADA = Start(
    "r", 0, "simulator", "a.test", [], True, "warm", 9, personal=["Ada Li", "ada@li.test"]
)


def test_what_a_cart_said_afterwards_names_nobody_on_disk():
    unknown = Settled("unknown", "HTTP 504; the cart is 'held for Ada Li', asked afterwards")
    end = masked(End("http_error", 9, settled=unknown), OF_ADA)
    assert end.settled.evidence == "HTTP 504; the cart is 'held for ***', asked afterwards"
    exists = Settled("yes", "cart submitted with order ADA-LI-1, asked afterwards", "ADA-LI-1")
    assert masked(End("http_error", 9, settled=exists), OF_ADA).settled == exists


def test_what_is_told_of_an_event_names_nobody_where_its_data_does():
    data = {"ada@li.test": {"order": {"line_items": []}}}
    event = Event(1, "order-placed", data, 1, 1, "user", 0.0, 1, False, 0.0, 9)
    told = tellable(Recorded(OF_ADA, [event], End("placed", 9)))
    assert told.events[0].data == {"***": {"order": {"line_items": []}}}
    usual = event.changed(data={"cart": {"notice": "for Ada Li", "line_items": []}})
    assert tellable(Recorded(OF_ADA, [usual], End("placed", 9))).events[0].data == usual.data
