"""One table of outcomes and one judge: every screen says the same about whether an order exists."""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import get_args

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb import outcomes
from firmly_nb.api.errors import KINDS, LISTED_STATUSES, OWN_CODES, PLACE_ORDER_ERRORS
from firmly_nb.api.snapshots import order_number
from firmly_nb.cli import placing
from firmly_nb.outcomes import (
    ANSWERED,
    ANSWERS,
    INTERRUPTED_EXIT,
    JUDGED_BY,
    KNOWN,
    NO,
    REFUSALS,
    REFUSED_EXIT,
    ROWS,
    STAGE_LOOKS,
    TONES,
    UNKNOWN,
    YES,
    Facts,
    began,
    exit_code,
    judge,
    judge_rows,
    refuses,
    was_sent,
    word,
)
from firmly_nb.recorder.journal import Journal
from firmly_nb.recorder.recorder import SENDING, PhaseClock, record
from firmly_nb.recorder.records import End, Phases, Start
from firmly_nb.recorder.tables import ORDERS
from firmly_nb.recorder.worker import Lanes
from firmly_nb.recordings import stored
from firmly_nb.sim.behaviour import FAULTS
from firmly_nb.widgets.cart_view import CartView
from firmly_nb.widgets.order_form import OrderForm
from firmly_nb.widgets.timeline import Timeline
from tests.recorder.made_records import cart, event, start
from tests.recorder.order_server import event as sent_event
from tests.recorder.order_server import job, run
from tests.shown import whole
from tests.widgets.pages import fault as fault_order

ORDER = fnb.Order.example()
NUMBERED = {"order": {"cart_id": "c1", "platform_order_number": "100001"}}
HTML = b"<h1>no</h1>"


# ------------------------------------------------------------------------------------- the table


def test_there_is_a_row_for_each_outcome_and_nothing_else():
    assert get_args(outcomes.OutcomeName) == KNOWN
    assert {row.tone for row in ROWS.values()} <= set(TONES)
    for column in ("name", "word", "clause", "symbol", "sentence"):
        assert len({getattr(row, column) for row in ROWS.values()}) == len(KNOWN), column
    assert all(len(row.mark) == 1 for row in ROWS.values())


@given(st.text(max_size=30))
def test_an_outcome_of_a_newer_version_is_shown_as_it_is(name):
    assert outcomes.outcome(name).name == name


# ------------------------------------------------------------------------------------- the judge

ROWS_OF_THE_RULE = [
    # An order number, whatever else.
    (Facts("placed", has_number=True, success=True), YES, "order number"),
    (Facts("error_event", has_number=True, error_code="ErrorPaymentDeclined"), YES, "error event"),
    (Facts("http_error", has_number=True, http_status=201), YES, "order number"),
    (Facts("transport_error", has_number=True, sent=True), YES, "connection failed"),
    (Facts("cancelled", has_number=True, sent=False), YES, "cancelled"),
    # A success without one.
    (Facts("placed", success=True), UNKNOWN, "success without a readable order number"),
    (Facts("error_event", success=True, error_code="ErrorPaymentDeclined"), UNKNOWN, "success"),
    # Errors that the API lists.
    *((Facts("error_event", error_code=name), NO, name) for name in sorted(PLACE_ORDER_ERRORS)),
    *(
        (Facts("http_error", error_code=name, http_status=status), NO, name)
        for name in sorted(PLACE_ORDER_ERRORS)
        for status in (200, 400, 422, 500, 503)
    ),
    *(
        (Facts("http_error", error_code=name, http_status=status), NO, name)
        for name, status in LISTED_STATUSES.items()
        if status < 500
    ),
    (Facts("http_error", error_code="ServiceUnavailable", http_status=503), UNKNOWN, "HTTP 503"),
    (Facts("error_event", error_code="ServiceUnavailable"), UNKNOWN, "not listed"),
    (Facts("http_error", error_code="TokenExpired", http_status=502), UNKNOWN, "HTTP 502"),
    # Statuses of a gateway that refuses.
    *((Facts("http_error", http_status=status), NO, str(status)) for status in sorted(REFUSALS)),
    (Facts("timeout", http_status=429, sent=True), NO, "HTTP 429"),
    # Nothing left this machine.
    (Facts("transport_error", sent=False), NO, "nothing was sent"),
    (Facts("cancelled", sent=False), NO, "nothing was sent"),
    (Facts("timeout", sent=False), NO, "nothing was sent"),
    # Everything else.
    *(
        (Facts("error_event", error_code=name, http_status=200), UNKNOWN, "not listed")
        for name in ("InternalError", "GatewayTimeout", "BadGateway", "UnknownError", "", "New")
    ),
    *(
        (Facts("http_error", http_status=status), UNKNOWN, f"HTTP {status}")
        for status in (300, 301, 302, 307, 308, 402, 406, 408, 410, 418, 425, 451, 500, 502, 504)
    ),
    (Facts("http_error", error_code="UnexpectedAnswer", http_status=200), UNKNOWN, "cannot be"),
    (Facts("transport_error", sent=True), UNKNOWN, "after sending began"),
    (Facts("transport_error"), UNKNOWN, "connection failed"),
    (Facts("timeout", sent=True), UNKNOWN, "limit"),
    (Facts("cancelled", sent=True), UNKNOWN, "after sending began"),
    (Facts("incomplete", http_status=200), UNKNOWN, "neither success nor error"),
]


def test_counts_of_outcomes_are_grammatical():
    words = {row.word: (row.words(1), row.words(2)) for row in outcomes.ROWS.values()}
    assert words["timeout"] == ("timeout", "timeouts")
    assert words["HTTP error"] == ("HTTP error", "HTTP errors")
    assert words["placed"] == ("placed", "placed")


@pytest.mark.parametrize(("facts", "answer", "evidence"), ROWS_OF_THE_RULE)
def test_the_judge_knows_each_row_of_the_rule(facts, answer, evidence):
    found = judge(facts)
    assert (found.order_exists, evidence in found.evidence) == (answer, True), found


def test_every_status_is_judged_by_the_list_of_those_that_refuse():
    for status in range(100, 600):
        expected = NO if status in REFUSALS else UNKNOWN
        assert judge(Facts("http_error", http_status=status, sent=True)).order_exists == expected


def test_every_error_that_has_a_kind_is_listed():
    assert set(KINDS) <= set(LISTED_STATUSES)
    assert set(LISTED_STATUSES) >= PLACE_ORDER_ERRORS
    assert {name for name in LISTED_STATUSES if not refuses(name)} == {"ServiceUnavailable"}


ANY_FACTS = st.builds(
    Facts,
    outcome=st.sampled_from([*KNOWN, "half_placed"]),
    has_number=st.booleans(),
    success=st.booleans(),
    error_code=st.none() | st.sampled_from([*LISTED_STATUSES, "InternalError"]) | st.text(),
    http_status=st.none() | st.integers(100, 599),
    sent=st.sampled_from([True, False, None]),
)


@given(ANY_FACTS)
def test_there_is_one_answer_with_its_evidence(facts):
    found = judge(facts)
    assert found.order_exists in ANSWERS
    assert found.evidence
    assert judge(facts) == found


@given(ANY_FACTS)
def test_an_order_number_is_an_order_whatever_else_was_said(facts):
    assert judge(replace(facts, has_number=True)).order_exists == YES
    assert judge(replace(facts, has_number=False)).order_exists != YES


@given(ANY_FACTS)
def test_no_order_is_said_for_a_reason_only(facts):
    if judge(facts).order_exists == NO:
        listed = facts.error_code is not None and refuses(facts.error_code, facts.http_status)
        assert listed or facts.http_status in REFUSALS or facts.sent is False
        assert not facts.success


@given(ANY_FACTS)
def test_what_was_seen_of_a_refusal_does_not_depend_on_how_it_ended(facts):
    answers = {judge(replace(facts, outcome=name)).order_exists for name in KNOWN}
    assert len(answers) == 1


@given(st.lists(st.sampled_from([YES, NO, UNKNOWN])))
def test_the_exit_code_is_the_worst_of_the_orders(answers):
    worst = UNKNOWN if UNKNOWN in answers else NO if NO in answers else YES
    assert exit_code(answers) == {YES: 0, NO: 1, UNKNOWN: 3}[worst]


# ---------------------------------------------------------------------------------- order numbers


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (NUMBERED, "100001"),
        ({"platform_order_number": 100001}, "100001"),
        ({"cart": {"platform_order_number": "A-1"}}, "A-1"),
        ({"order": {}, "cart": {"platform_order_number": "A-1"}}, "A-1"),
        ({"error": {"code": 500, "order": {"platform_order_number": "7"}}}, "7"),
        ({"data": {"result": NUMBERED}}, "100001"),
        ({"platform_order_number": 0}, None),
        ({"platform_order_number": " "}, None),
        ({"platform_order_number": ""}, None),
        ({"platform_order_number": None}, None),
        ({"platform_order_number": True}, None),
        ({"platform_order_number": {"value": 7}}, None),
        ({"platform_order_number": ["7"]}, None),
        ({"line_items": [{"platform_order_number": "7"}]}, None),
        ("platform_order_number", None),
        (None, None),
        ([], None),
    ],
)
def test_an_order_number_is_found_wherever_objects_hold_it(data, number):
    assert order_number(data) == number


def test_an_order_number_in_endless_depth_is_not_looked_for_for_ever():
    data = {}
    data["deeper"] = data
    assert order_number(data) is None


def recording(*events, end=None, **changes):
    return fnb.Recording([start(1, **changes), *events, *([end] if end else [])])


def test_a_number_counts_whatever_follows_it_and_is_the_orders_number():
    placed = event(1, "order-placed", NUMBERED)
    failed = event(1, "error", {"error": "ErrorPaymentDeclined", **NUMBERED})
    for rec in (
        recording(placed, event(2, "item-added", cart()), end=End("placed", 9)),
        recording(failed, end=End("error_event", 9, error_code="ErrorPaymentDeclined")),
        recording(event(1, "loyalty", NUMBERED), end=End("transport_error", 9)),
        recording(event(1, "loyalty", NUMBERED)),
        recording(end=End("http_error", 9, http_status=202, confirmation=NUMBERED)),
    ):
        assert (rec.order_exists, rec.order_number) == (YES, "100001")
        row = rec.orders.iloc[0]
        assert (row["order_exists"], row["order_number"]) == (YES, "100001")
        assert row["evidence"] == rec.evidence
        assert "100001" in whole(rec)


# -------------------------------------------------------------------- what the recorder finds out


def answers(status, body=b"", kind="application/json"):
    async def behave(wire):
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        await wire.send(head.encode() + body)

    return behave


def streams(*events):
    async def behave(wire):
        await wire.stream(*events)
        await wire.finish()

    return behave


API_SHAPE = orjson.dumps({"code": 422, "error": "ErrorPaymentDeclined", "description": "no"})


@pytest.mark.anyio
@pytest.mark.parametrize("sse", [True, False])
@pytest.mark.parametrize(
    ("behave", "answer"),
    [
        *((answers(status, HTML, "text/html"), NO) for status in sorted(REFUSALS)),
        *((answers(status, HTML, "text/html"), UNKNOWN) for status in (408, 418, 500, 502, 504)),
        *((answers(status), UNKNOWN) for status in (301, 307, 500)),
        *((answers(status, API_SHAPE), NO) for status in (402, 422, 500, 503)),
        (answers(503, b'{"code": 503, "error": "ServiceUnavailable"}'), UNKNOWN),
        (answers(201, orjson.dumps(NUMBERED)), YES),
        (answers(202, orjson.dumps(NUMBERED["order"])), YES),
        (answers(200, orjson.dumps(NUMBERED["order"])), YES),
        (answers(500, orjson.dumps({"error": "InternalError", **NUMBERED})), YES),
        (answers(200, HTML, "text/html"), UNKNOWN),
        (answers(204), UNKNOWN),
    ],
)
async def test_answers_are_judged(behave, answer, sse):
    rec = await run(behave, sse=sse)
    assert rec.order_exists == answer, rec


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("data", "answer"),
    [
        *(({"error": name}, NO) for name in sorted(PLACE_ORDER_ERRORS)),
        ({"error": {"code": 422, "error": "ErrorPaymentDeclined"}}, NO),
        ({"error": "ErrorCountryNotSupported", "message": "no"}, NO),
        ({"error": "GatewayTimeout"}, UNKNOWN),
        ({"error": "BadGateway", "code": 502}, UNKNOWN),
        ({"error": "InternalError", "code": 500}, UNKNOWN),
        ({"error": "ServiceUnavailable", "code": 503}, UNKNOWN),
        ({"error": "ErrorOfTomorrow"}, UNKNOWN),
        ("the upstream timed out", UNKNOWN),
        ({}, UNKNOWN),
        ([], UNKNOWN),
        ({"error": "InternalError", **NUMBERED}, YES),
        ({"error": "ErrorPaymentDeclined", **NUMBERED}, YES),
    ],
)
async def test_error_events_are_judged(data, answer):
    rec = await run(streams(sent_event("error", data)))
    assert (rec.outcome, rec.order_exists) == ("error_event", answer)


@pytest.mark.anyio
async def test_a_success_without_a_number_is_placed_and_not_yet_known():
    rec = await run(streams(sent_event("order-placed")))
    assert (rec.outcome, rec.order_exists) == ("placed", UNKNOWN)
    assert "success without a readable order number" in whole(rec)
    assert "The order may exist" in whole(rec)


ORDERING = re.compile(r"(?i)\b(?:order|try|use) (?:a|again|another|later)\b|next order|slowly")
START_OF_ONE = Start("r", 0, "custom", "a.test", [], True, "warm", 9)


@pytest.mark.parametrize("found", [{"http_status": 502}, {"http_status": 200, "number": "T-1"}])
def test_no_error_alone_advises_to_order_again_where_there_may_be_an_order(found):
    """The recording said so of itself, and its error gave the advice all the same."""
    number = found.pop("number", None)
    answer = {"order": {"platform_order_number": number}} if number else None
    advised = set()
    for name in (*LISTED_STATUSES, *OWN_CODES, "HTTP 502", "ErrorOfTomorrow"):
        for outcome in ("http_error", "error_event", "transport_error", "timeout"):
            end = End(outcome, 9, error_code=name, confirmation=answer, sent=True, **found)
            rec = fnb.Recording([START_OF_ONE, end])
            error, exists = rec.error, rec.order_exists
            for said in (str(error), repr(error), error.advice):
                if exists == NO:
                    advised.update(ORDERING.findall(error.advice))
                else:
                    assert not ORDERING.search(said), (name, outcome, said)
            if error.judged is not None:
                told = "Order T-1 exists." if number else "may exist; lab.settle(rec) tells."
                assert str(error).endswith((told, f"{told} [{error.code}]")), str(error)
    assert bool(advised) != bool(number)  # of errors that refuse the advice stays


async def recorded_at(url, *, stop=None):
    """Record an order that goes to an address; ``stop`` cancels it once it has begun."""
    records = []
    lanes = Lanes(url)
    try:
        async with lanes.take(warm=False) as lane:
            placing = asyncio.create_task(record(job(), lane, records.append))
            if stop:
                await stop()
                placing.cancel()
            with suppress(asyncio.CancelledError):
                await placing
    finally:
        await lanes.aclose()
    return fnb.Recording(records)


@pytest.mark.anyio
async def test_where_nobody_listens_nothing_was_sent(unused_port):
    rec = await recorded_at(f"http://127.0.0.1:{unused_port}")
    assert (rec.outcome, rec.order_exists, rec.evidence) == (
        "transport_error",
        NO,
        "nothing was sent",
    )
    assert "Nothing was ordered." in whole(rec)


@pytest.mark.anyio
async def test_where_tls_is_not_agreed_on_nothing_was_sent():
    """The connection was there, so something had been sent; nothing of the order had."""
    asked = asyncio.Event()

    async def silent(reader, writer):
        asked.set()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        rec = await recorded_at(f"https://127.0.0.1:{port}", stop=asked.wait)
    assert (rec.outcome, rec.order_exists) == ("cancelled", NO)
    assert rec.evidence == "nothing was sent"
    assert "may exist" not in repr(rec)


@pytest.mark.anyio
async def test_a_request_to_a_proxy_for_a_tunnel_is_not_the_order():
    clock = PhaseClock()

    class Request:
        method = b"CONNECT"

    await clock.trace(SENDING, {"request": Request})
    assert not clock.sent
    Request.method = b"POST"
    await clock.trace(SENDING, {"request": Request})
    assert clock.sent


# ---------------------------------------------------------------- what the first edition has left

NS = st.none() | st.integers(0, 10**9)
FIRST_EDITION_ENDS = st.builds(
    End,
    outcome=st.sampled_from(KNOWN),
    t_end_ns=st.integers(0, 10**9),
    t_headers_ns=NS,
    http_status=st.none() | st.integers(100, 599),
    error_code=st.none()
    | st.sampled_from(["ErrorPaymentDeclined", "ConnectError", "ReadError", "InternalError"]),
    error_description=st.none()
    | st.just("cancelled by the analyst before it was sent; nothing was ordered"),
    phases=st.builds(Phases, NS, NS),
    connection=st.sampled_from(["warm", "cold"]),
    confirmation=st.none() | st.just(NUMBERED["order"]),
)
SEEN = st.lists(
    st.sampled_from([cart(), NUMBERED, {"error": "InternalError"}, None, {"note": NUMBERED}]),
    max_size=3,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(SEEN, FIRST_EDITION_ENDS), max_size=3))
def test_tables_are_judged_as_their_recordings_are(made):
    recs = fnb.Recordings(
        [
            recording(*(event(n, "step", one) for n, one in enumerate(seen, 1)), end=end)
            for seen, end in made
        ]
    )
    orders = recs.orders
    exists, evidence = judge_rows(orders[list(JUDGED_BY)])
    assert exists == orders["order_exists"].astype("object").tolist()
    assert evidence == orders["evidence"].astype("object").tolist()


def test_a_million_orders_are_judged_by_their_few_combinations(monkeypatch):
    asked = []
    real = outcomes.judge
    monkeypatch.setattr(outcomes, "judge", lambda facts: asked.append(facts) or real(facts))
    n = 1_000_000
    rows = [
        dict.fromkeys(ORDERS.names, 0) | {"outcome": name, "http_status": 500} for name in KNOWN
    ]
    some = ORDERS.frame([row | {"order_number": None, "error_code": None} for row in rows])
    orders = some[list(JUDGED_BY)].iloc[np.arange(n) % len(some)].reset_index(drop=True)
    exists, _ = judge_rows(orders)
    assert len(exists) == n
    assert len(asked) == len(KNOWN)


def first_edition_set(recs, folder):
    """Save recordings and take out what the first edition did not write."""
    recs.save(folder, keep_personal=True)
    shown = {rec.recording_id: last_cart_number(rec) for rec in recs}
    for path in (folder / "orders").rglob("*.parquet"):
        with pq.ParquetFile(path) as file:
            table = file.read()
        ends = table["end"].to_pylist()
        bare = [text and orjson.dumps(without_sent(orjson.loads(text))).decode() for text in ends]
        number = table.column_names.index("order_number")
        numbers = [shown[each] for each in table["recording_id"].to_pylist()]
        table = table.set_column(number, "order_number", [numbers])
        table = table.set_column(table.column_names.index("end"), "end", [bare])
        pq.write_table(table.drop_columns(["order_exists", "evidence"]), path)
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    saves = [{name: save[name] for name in save if name != "files"} for save in manifest["saves"]]
    bare = {name: manifest[name] for name in manifest if name != "sha256"} | {"saves": saves}
    (folder / "manifest.json").write_bytes(orjson.dumps(bare))
    return fnb.load(folder)


def last_cart_number(rec):
    return (rec.cart or {}).get("platform_order_number")


def without_sent(end):
    return {name: value for name, value in end.items() if name not in {"sent", "crc32"}}


def several():
    cases = [
        ([NUMBERED], End("placed", 9, http_status=200)),
        ([NUMBERED, cart()], End("placed", 9, http_status=200)),
        ([{"note": NUMBERED}, cart()], End("transport_error", 9, error_code="ReadError")),
        ([cart()], End("error_event", 9, error_code="ErrorNotEnoughStock", http_status=200)),
        ([cart()], End("error_event", 9, error_code="InternalError", http_status=200)),
        ([], End("http_error", 9, http_status=404, error_code="HTTP 404")),
        ([], End("http_error", 9, http_status=502, error_code="HTTP 502")),
        ([], End("transport_error", 9, error_code="ConnectError")),
        ([], End("timeout", 9, phases=Phases(blocked_ns=5), connection="cold")),
        ([], End("timeout", 9, phases=Phases(blocked_ns=5), connection="warm")),
        ([cart()], None),
    ]
    return fnb.Recordings(
        [
            fnb.Recording(
                [
                    start(number),
                    *(event(n, "step", one) for n, one in enumerate(seen, 1)),
                    *([end] if end else []),
                ]
            )
            for number, (seen, end) in enumerate(cases)
        ]
    )


SAID = ["outcome", "order_exists", "evidence", "order_number"]


def said(orders):
    return [tuple(None if x != x else x for x in row) for row in orders[SAID].to_numpy().tolist()]  # noqa: PLR0124 - NaN is not itself


def test_a_set_of_the_first_edition_is_judged_when_it_is_loaded(tmp_path):
    made = several()
    found = first_edition_set(made, tmp_path)
    assert said(found.orders) == said(made.orders)
    assert [rec.order_exists for rec in found] == [rec.order_exists for rec in made]
    assert said(found[::-1].orders) == said(made[::-1].orders)
    assert len(found.where(order_exists="unknown")) == len(made.where(order_exists="unknown")) > 0
    asked = found.relation("orders").project(", ".join(SAID)).df()
    assert sorted(map(str, said(asked))) == sorted(map(str, said(made.orders)))
    both = (found + made[:1]).orders
    assert said(both) == said(made.orders)
    # Saved anew, the answer is written down.
    found.save(tmp_path / "again")
    path = next((tmp_path / "again" / "orders").rglob("*.parquet"))
    assert {"order_exists", "evidence"} <= set(pq.read_schema(path).names)
    assert said(fnb.load(tmp_path / "again").orders) == said(made.orders)


def test_of_very_many_orders_events_are_not_searched_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "MOST_SEARCHED", 3)
    found = first_edition_set(several(), tmp_path)
    assert found.orders["order_exists"].notna().all()
    assert "order numbers were not looked for" in found.warnings[0]


def test_a_set_that_has_answers_is_not_judged_again(tmp_path, monkeypatch):
    several().save(tmp_path, keep_personal=True)
    monkeypatch.setattr(stored, "judge_rows", None)
    assert said(fnb.load(tmp_path).orders) == said(several().orders)


def test_a_journal_of_the_first_edition_is_judged_when_it_is_loaded(tmp_path):
    made = several()
    for rec in made:
        journal = Journal(tmp_path, keep_personal=True)
        for one in rec.records():
            journal.append(one)
        journal.close()
    for path in tmp_path.rglob("*.jsonl"):
        lines = [
            orjson.dumps(without_sent(orjson.loads(x))) for x in path.read_bytes().splitlines()
        ]
        path.write_bytes(b"\n".join([*lines, b""]))
    assert said(fnb.load(tmp_path).orders) == said(made.orders)


# ------------------------------------------------------------------------ everybody says the same

EXPECTED = {
    "internal-error": UNKNOWN,
    "bad-gateway": UNKNOWN,
    "empty-answer": UNKNOWN,
    "unavailable": UNKNOWN,
    "rate-limited": NO,
    "redirect": UNKNOWN,
    "cut": UNKNOWN,
    "content-type": UNKNOWN,
    "invalid-input": NO,
    "lost-confirmation": UNKNOWN,
}
SET_ASIDE = {"USD": 3352}  # for one tee, a tenth more than its cart says


@pytest.fixture(scope="module")
def shared(simulator, tmp_path_factory):
    options = {"app_id": simulator.app_id, "allow_domains": simulator.domains}
    journal = tmp_path_factory.mktemp("journals")
    with fnb.connect(api_url=simulator.url, journal=journal, **options) as lab:
        yield lab


def tells(text, answer):
    """Whether a text says of an order what the judge says, and does not say otherwise."""
    texts = {NO: "Nothing was ordered.", UNKNOWN: "may exist"}
    return {each for each, words in texts.items() if words in text} == {answer}


@pytest.mark.parametrize(("name", "answer"), EXPECTED.items())
def test_everybody_says_the_same_about_whether_an_order_may_exist(
    shared, tmp_path, command, monkeypatch, name, answer
):
    headers = {"x-sim-fault": name}
    # The recording, in text and in HTML.
    rec = shared.place(ORDER, progress=False, headers=headers)
    assert rec.order_exists == answer
    assert not (FAULTS[name].placed and answer == NO), "never no where there is an order"
    assert tells(whole(rec), answer)
    assert tells(rec._repr_html_(), answer)
    # The form: whether it lets one look, and what it advises; its timeline says the outcome.
    form = OrderForm(shared, fault_order(name))
    form.place().wait(30)
    result = form._form.result
    assert result["unsure"] == (answer == UNKNOWN)
    assert ("order twice" in result["next"]) == (answer == UNKNOWN)
    # The timeline and the cart view.
    end = Timeline(rec)._recent[0]["end"]
    assert end["order_exists"] == answer
    assert tells(end["verdict"], answer)
    assert (end["word"] == "refused") == (answer == NO)
    note = CartView(rec)._about["note"]
    assert note.startswith("Not placed" if answer == NO else "It is not known whether")
    # The sweep: what counts against the budget, now and when the run goes on.
    options = {"count": 1, "progress": False, "budget": {"total_minor": {"USD": 90_000}}}
    shared.sweep(ORDER, run_id=f"run-{name}", headers=headers, **options)
    spent = {} if answer == NO else SET_ASIDE
    assert shared.last_sweep.progress.spent_minor == spent
    (kept,) = shared.sweep(ORDER, resume=f"run-{name}", **options)
    assert shared.last_sweep.progress.spent_minor == spent
    assert kept.order_exists == answer
    # The report and its chart.
    page = fnb.report(fnb.Recordings([rec]), tmp_path / "page.html", pictures=False).read_text()
    counts = {NO: "0 yes, 1 no, 0 may exist", UNKNOWN: "0 yes, 0 no, 1 may exist"}
    assert f"Orders exist: {counts[answer]}" in page
    chart = fnb.Recordings([rec]).charts.funnel()
    assert ("1 may exist" in chart.sentence) == (answer == UNKNOWN)
    assert ("1 may exist" in repr(fnb.Recordings([rec]))) == (answer == UNKNOWN)
    # The command line.
    monkeypatch.setattr(placing, "open_lab", lambda *_, **__: nullcontext(shared))
    code, printed, _ = command("place", "--item", f"FAULT-{name.upper()}")
    assert code == {NO: 1, UNKNOWN: 3}[answer]
    assert tells(printed, answer)


def test_everybody_says_that_a_placed_order_exists(shared, tmp_path, command):
    rec = shared.place(ORDER, progress=False)
    assert (rec.order_exists, rec.evidence) == (YES, "order number")
    form = OrderForm(shared, ORDER)
    form.place().wait(30)
    assert (form._form.result["unsure"], form._form.result["next"]) == (False, "")
    assert Timeline(rec)._recent[0]["end"]["order_exists"] == YES
    page = fnb.report(fnb.Recordings([rec]), tmp_path / "page.html", pictures=False).read_text()
    assert "Orders exist: 1 yes, 0 no, 0 may exist" in page
    assert command("place")[0] == 0


def test_a_run_of_orders_ends_with_the_worst_of_their_answers(command):
    assert command("sweep", "--count", "2", "--item", "FAULT-PAYMENT-DECLINED")[0] == 1
    assert command("sweep", "--count", "2", "--item", "FAULT-INTERNAL-ERROR")[0] == 3


def test_the_order_of_an_error_event_with_a_number_is_not_called_none():
    rec = recording(
        event(1, "error", {"error": "InternalError", **NUMBERED}),
        end=End("error_event", 9, error_code="InternalError", http_status=200),
    )
    assert "Order 100001 exists." in whole(rec)
    assert CartView(rec)._about["note"].startswith("Order 100001 exists.")
    assert "Nothing was ordered" not in whole(rec)


def test_what_a_server_names_is_not_read_as_a_template():
    end = End("error_event", 9, error_code="{number.__class__}", error_description="{how}")
    rec = recording(event(1, "error", {"error": "{at}"}), end=end)
    assert "{number.__class__}" in whole(rec)


def test_nobody_else_has_a_table_of_outcomes():
    """Words, marks, tones and colours of outcomes stand in outcomes.py and nowhere else."""
    from pathlib import Path

    root = Path(fnb.__file__).parent
    rows = re.compile(r"""["']?(?:http_error|transport_error)["']?: *["']""")
    for path in [*root.rglob("*.py"), *root.rglob("*.js"), *root.rglob("*.css")]:
        if "sim" not in path.relative_to(root).parts:
            assert not rows.search(path.read_text("utf-8")), path
    assert len(ANSWERED) == 2


# --------------------------------------------------------------- written out, not read off the code


def test_these_statuses_refuse_an_order_whoever_answers_and_no_others():
    refusing = {400, 401, 403, 404, 405, 409, 413, 414, 415, 422, 429, 431}
    found = {
        status
        for status in range(100, 600)
        if judge(Facts("http_error", http_status=status, sent=True)).order_exists == "no"
    }
    assert found == refusing


@pytest.mark.parametrize(
    ("name", "exists", "code", "status", "said", "begun"),
    [
        ("error_event", "no", "ErrorPaymentDeclined", 200, "declined", "Declined by the merchant"),
        ("error_event", "no", "ErrorNotEnoughStock", 200, "refused", "Refused"),
        ("error_event", "unknown", "ErrorPaymentDeclined", 200, "error event", "Failed"),
        ("http_error", "no", None, 400, "refused", "Refused with"),
        (
            "http_error",
            "no",
            "ErrorPaymentDeclined",
            402,
            "declined",
            "Declined by the merchant with",
        ),
        ("http_error", "unknown", None, 500, "HTTP error", "Failed with"),
        # Settled: the cart says that there is no order, and the answer did not.
        ("http_error", "no", "HTTP 504", 504, "HTTP error", "Failed with"),
        ("error_event", "no", "InternalError", 200, "error event", "Failed"),
        ("http_error", "unknown", None, 200, "HTTP error", "Not understood:"),
        ("http_error", "unknown", None, 299, "HTTP error", "Not understood:"),
        ("http_error", "unknown", None, 300, "HTTP error", "Failed with"),
        ("timeout", "no", "ErrorPaymentDeclined", None, "timeout", "Declined by the merchant"),
    ],
)
def test_an_order_has_one_word_and_one_beginning(name, exists, code, status, said, begun):
    assert (word(name, exists, code, status), began(name, exists, code, status)) == (said, begun)


def test_a_listed_refusal_in_a_response_of_the_500s_is_none():
    assert refuses("TokenExpired", 499)
    assert not refuses("TokenExpired", 500)
    assert refuses("TokenExpired")


@pytest.mark.parametrize("cold", [True, False])
@pytest.mark.parametrize("blocked", [True, False])
@pytest.mark.parametrize("connecting", [True, False])
def test_a_first_edition_order_left_unless_it_never_connected(cold, blocked, connecting):
    known = {"cold": cold, "blocked": blocked, "connecting": connecting}
    never = cold and blocked and not connecting
    told = {"error_code": "ReadError", "cancelled_before": False}
    assert was_sent(**told, responded=False, **known) is (False if never else None)
    assert was_sent(**told, responded=True, **known) is True


def test_the_exit_codes_are_these():
    assert (REFUSED_EXIT, INTERRUPTED_EXIT) == (2, 130)
    assert [exit_code([answer]) for answer in ("yes", "no", "unknown")] == [0, 1, 3]


def test_stages_are_told_apart_by_colour_by_pattern_and_by_dash():
    for what in ("number", "colour", "pattern", "dash", "css"):
        assert len({getattr(look, what) for look in STAGE_LOOKS}) == len(STAGE_LOOKS)
    patterns = [*(look.pattern for look in STAGE_LOOKS), outcomes.ACROSS]
    for what in ("name", "tile", "css"):
        assert len({getattr(pattern, what) for pattern in patterns}) == len(patterns)


@pytest.mark.parametrize("stage", ["creating-cart", "b", "a->item-added", "->", "x->b", ""])
def test_every_stage_has_a_look_whatever_it_is_called(stage):
    look = outcomes.look_of_stage(stage, ["a", "b"])
    assert look.colour in {each.colour for each in STAGE_LOOKS}
    assert (look.pattern is outcomes.ACROSS) == (stage in {"a->item-added", "x->b"})
