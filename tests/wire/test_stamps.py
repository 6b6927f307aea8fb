"""What a ledger claims about arrivals, against a kernel that is simulated byte by byte."""

from __future__ import annotations

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.wire import stamps as clocks
from firmly_nb.wire.stamps import (
    ArrivalLedger,
    Read,
    SocketRead,
    TcpCounters,
    event_uncertainty_us,
    sample_offset,
    wall_clock_offset,
)

US = 1_000
QUEUEING_SLACK_NS = 1_000_000
OFFSET_NS = 1_700_000_000_000_000_000
ERROR_NS = 100


def ledger_of(opened_ns: int) -> ArrivalLedger:
    return ArrivalLedger(opened_ns, (OFFSET_NS, ERROR_NS))


class Kernel:
    """A receive queue with the rules of Linux: one stamp for a run of segments, the last one's.

    It knows when each byte really arrived; `read` looks at nothing else than a reader can.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self.ledger = ledger_of(0)
        self.arrivals: list[int] = []  # of each byte not yet read
        self.stamps: list[int] = []
        self.early: list[int] = []  # sizes of segments that wait for the one before them
        self.early_stamps: list[int] = []
        self.received = self.segments = self.out_of_order = 0
        self.offset_ns = OFFSET_NS
        self.claims: list[tuple[object, list[int]]] = []

    def pass_time(self, microseconds: int) -> None:
        self.now_ns += microseconds * US

    def deliver(self, size: int, *, coalesce: bool) -> None:
        """Receive a segment in order, and with it those that waited for it."""
        self.pass_time(1)
        self.segments += 1
        wall_ns = self.now_ns + self.offset_ns
        if coalesce and self.stamps:
            self.stamps = [wall_ns] * len(self.stamps)
        self._queue(size, wall_ns)
        for early_size, stamp in zip(self.early, self.early_stamps, strict=True):
            self._queue(early_size, stamp)
        self.early, self.early_stamps = [], []

    def _queue(self, size: int, stamp: int) -> None:
        self.arrivals += [self.now_ns] * size
        self.stamps += [stamp] * size
        self.received += size

    def deliver_early(self, size: int) -> None:
        """Receive a segment ahead of one that is missing."""
        self.pass_time(1)
        self.segments += 1
        self.out_of_order += 1
        self.early.append(size)
        self.early_stamps.append(self.now_ns + self.offset_ns)

    def step_wall_clock(self, microseconds: int) -> None:
        self.offset_ns += microseconds * US

    def read(self, room: int, *, intruder: int) -> None:
        """Read once; a segment of `intruder` bytes comes before the counters are taken."""
        asked_ns = self.now_ns
        self.pass_time(1)
        if not self.arrivals:
            self.ledger.found_empty(asked_ns)
            return
        taken, self.arrivals = self.arrivals[:room], self.arrivals[room:]
        stamps, self.stamps = self.stamps[:room], self.stamps[room:]
        read_ns = self.now_ns
        self.pass_time(1)
        counted_ns = self.now_ns
        if intruder:
            self.deliver(intruder, coalesce=False)
        raw = SocketRead(
            asked_ns=asked_ns,
            read_ns=read_ns,
            counted_ns=counted_ns,
            offset_ns=self.offset_ns,
            offset_error_ns=ERROR_NS,
            stamp_ns=stamps[-1],
            size=len(taken),
            limited=len(taken) == room,
            counters=TcpCounters(50, 0, self.received, self.segments, self.out_of_order),
        )
        self.claims.append((self.ledger.record(raw), taken))
        if self.ledger.disordered and not (self.arrivals or self.early):
            self.ledger.settled()


sizes = st.integers(1, 6)
steps = st.one_of(
    st.tuples(st.just("pass_time"), st.integers(1, 5_000)),
    st.tuples(st.just("deliver"), sizes, st.booleans()),
    st.tuples(st.just("deliver_early"), sizes),
    st.tuples(st.just("read"), st.integers(1, 20), st.sampled_from([0, 0, 3])),
    st.tuples(st.just("step_wall_clock"), st.sampled_from([-3_000, 700, 50_000])),
)


def run(script) -> Kernel:
    kernel = Kernel()
    for name, *arguments in script:
        match name:
            case "deliver":
                kernel.deliver(arguments[0], coalesce=arguments[1])
            case "read":
                kernel.read(arguments[0], intruder=arguments[1])
            case _:
                getattr(kernel, name)(*arguments)
    return kernel


@given(st.lists(steps, max_size=40))
def test_every_byte_arrived_within_the_interval_whatever_the_network_does(script):
    for read, arrivals in run(script).claims:
        assert read.earliest_ns - ERROR_NS <= min(arrivals)
        assert max(arrivals) <= read.arrived_ns + ERROR_NS
        assert read.arrived_ns <= read.read_ns


@given(st.lists(steps, max_size=40))
def test_the_last_byte_is_as_old_as_its_uncertainty_says(script):
    for read, arrivals in run(script).claims:
        uncertainty_ns = event_uncertainty_us(read, last_in_read=True) * US
        assert read.arrived_ns - arrivals[-1] <= uncertainty_ns + ERROR_NS


@given(st.lists(steps, max_size=40))
def test_a_read_of_one_segment_is_never_claimed_of_two(script):
    for read, arrivals in run(script).claims:
        if read.segments == 1:
            assert len(set(arrivals)) == 1


def test_an_orderly_stream_is_dated_exactly_event_by_event():
    kernel = run([("pass_time", 5_000), ("deliver", 5, True), ("read", 20, 0), ("read", 20, 0)] * 9)
    assert len(kernel.claims) == 9
    for read, _ in kernel.claims:
        assert (read.clock, read.segments, read.emptied) == ("kernel", 1, True)
        assert event_uncertainty_us(read, last_in_read=False) < 2


def test_a_segment_that_comes_just_after_a_read_is_still_known_to_be_one():
    script = [("deliver", 5, True), ("pass_time", 900), ("read", 20, 3), ("read", 20, 0)]
    reads = [read for read, _ in run(script).claims]
    assert [read.segments for read in reads] == [None, 1]
    assert reads[0].earliest_ns == 0
    assert reads[1].arrived_ns - reads[1].earliest_ns == US


def test_loss_is_counted_and_distrusts_stamps_until_the_queue_is_whole_again():
    lost = [("deliver_early", 4), ("pass_time", 40_000), ("deliver", 4, True), ("read", 20, 0)]
    orderly = [("pass_time", 10), ("deliver", 4, True), ("read", 20, 0)]
    reads = [read for read, _ in run(orderly + lost + orderly).claims]
    assert [read.clock for read in reads] == ["kernel", "user", "kernel"]
    assert [read.reordered for read in reads] == [0, 1, 1]
    assert [read.retransmits for read in reads] == [0, 0, 0]
    assert [read.segments for read in reads] == [1, None, 1]


def test_a_stepped_wall_clock_costs_one_stamp_and_not_the_truth():
    orderly = [("pass_time", 100), ("deliver", 4, True)]
    script = [*orderly, ("read", 9, 0), *orderly, ("step_wall_clock", 700), ("read", 9, 0)]
    reads = [read for read, _ in run([*script, *orderly, ("read", 9, 0)]).claims]
    assert [read.clock for read in reads] == ["kernel", "user", "kernel"]


RAW = SocketRead(
    asked_ns=10_000_000,
    read_ns=10_010_000,
    counted_ns=10_011_000,
    offset_ns=OFFSET_NS,
    offset_error_ns=ERROR_NS,
    stamp_ns=OFFSET_NS + 9_000_000,
    size=100,
    limited=False,
    counters=TcpCounters(50, 2, 100, 2, 0),
)


def test_between_two_segments_only_the_interval_is_known():
    ledger = ledger_of(1_000_000)
    ledger.found_empty(8_000_000)
    read = ledger.record(RAW)
    assert (read.arrived_ns, read.earliest_ns) == (9_000_000, 8_000_000 - QUEUEING_SLACK_NS)
    assert (read.segments, read.rtt_us, read.retransmits) == (2, 50, 2)
    assert event_uncertainty_us(read, last_in_read=False) == pytest.approx(2_000.1)
    assert event_uncertainty_us(read, last_in_read=True) == pytest.approx(1.1)


@pytest.mark.parametrize(
    "counters", [None, TcpCounters(50, 0, 0, 0, 0), TcpCounters(50, 0, 99, 1, 0)]
)
def test_without_counters_that_make_sense_nothing_is_claimed_from_them(counters):
    read = ledger_of(0).record(RAW._replace(counters=counters))
    assert (read.segments, read.rtt_us, read.retransmits, read.reordered) == (None,) * 4
    assert (read.clock, read.arrived_ns, read.earliest_ns) == ("kernel", 9_000_000, 0)


@pytest.mark.parametrize("stamp_ns", [None, OFFSET_NS + 10_200_000])
def test_a_missing_or_impossible_stamp_gives_the_time_of_the_read(stamp_ns):
    read = ledger_of(4_000_000).record(RAW._replace(stamp_ns=stamp_ns))
    assert (read.clock, read.arrived_ns) == ("user", RAW.read_ns)
    assert event_uncertainty_us(read, last_in_read=True) == pytest.approx(6_010.1)


def test_counters_that_wrap_around_still_count():
    ledger = ledger_of(0)
    first = TcpCounters(50, 0, 100, 0xFFFF_FFFF, 0)
    ledger.record(RAW._replace(counters=first))
    later = RAW._replace(counters=TcpCounters(50, 0, 200, 0, 0))
    assert ledger.record(later).segments == 1


def test_a_read_cannot_be_changed():
    read = ledger_of(0).record(RAW)
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.arrived_ns = 0


# As fine as the wall clock of any system that the toolkit runs on.
RESOLUTION_NS = max(1, round(time.get_clock_info("time").resolution * 1e9))


@pytest.mark.parametrize(
    ("widths", "tries", "best"),
    [
        ([1_000], 1, 0),
        ([2_000], 1, 0),
        ([2_001, 7_000, 9_000], 3, 0),
        ([9_000, 3_000, 5_000], 3, 1),
        ([9_000, 8_000, 5_001], 3, 2),
        ([9_000, 2_000], 2, 1),
        ([3_000, 3_000, 3_000], 3, 0),
        ([0], 1, 0),
    ],
)
def test_of_three_samples_of_the_clocks_the_closest_counts(monkeypatch, widths, tries, best):
    """Each is bracketed by two looks at the monotonic clock; a close one needs no other."""
    begins = [50_000 + sum(widths[:n]) for n in range(len(widths) + 1)]
    looks, walls = iter(begins[1:]), iter([1_000_000 * (n + 1) for n in range(len(widths))])
    monkeypatch.setattr(clocks, "monotonic_ns", lambda: next(looks))
    monkeypatch.setattr(time, "time_ns", lambda: next(walls))
    offset_ns, error_ns, after_ns = sample_offset(begins[0])
    assert offset_ns == 1_000_000 * (best + 1) - (begins[best] + begins[best + 1]) // 2
    assert error_ns == widths[best] // 2 + RESOLUTION_NS
    assert after_ns == begins[tries]


def test_the_offset_leads_from_one_clock_to_the_other():
    offset_ns, error_ns = wall_clock_offset()
    before_ns = clocks.monotonic_ns()
    assert abs(before_ns + offset_ns - time.time_ns()) < 10_000_000_000
    assert error_ns > 0


READ = Read(
    read_no=1,
    arrived_ns=10_000_000,
    earliest_ns=3_000_000,
    read_ns=10_020_000,
    clock="kernel",
    wall_offset_ns=OFFSET_NS,
    wall_offset_error_ns=500,
    size=10,
    segments=None,
    rtt_us=None,
    retransmits=None,
    reordered=None,
    emptied=True,
)


@pytest.mark.parametrize(
    ("last_in_read", "changes", "microseconds"),
    [
        (True, {}, 1.5),
        (True, {"emptied": False}, 7_000.5),
        (True, {"clock": "user"}, 7_000.5),
        (False, {}, 7_000.5),
        (True, {"earliest_ns": 9_999_400}, 1.1),
        (True, {"earliest_ns": 9_999_000}, 1.5),
        (True, {"earliest_ns": 9_998_999}, 1.5),
        (True, {"earliest_ns": 9_999_900}, 1.0),
        (False, {"earliest_ns": 10_000_000, "wall_offset_error_ns": 1_001}, 1.001),
        (False, {"earliest_ns": 10_000_000, "wall_offset_error_ns": 0}, 1.0),
    ],
)
def test_only_the_end_of_a_stamped_read_that_took_all_is_dated_exactly(
    last_in_read, changes, microseconds
):
    read = dataclasses.replace(READ, **changes)
    assert event_uncertainty_us(read, last_in_read=last_in_read) == microseconds


def counted(received: int, segments: int, out_of_order: int = 0) -> TcpCounters:
    return TcpCounters(50, 2, received, segments, out_of_order)


def test_a_read_says_all_that_was_seen():
    ledger = ledger_of(0)
    assert (ledger.count, ledger.last) == (0, None)
    read = ledger.record(RAW._replace(counters=counted(100, 1, 0)))
    assert ledger.last is read
    assert read == Read(
        read_no=1,
        arrived_ns=9_000_000,
        earliest_ns=8_999_000,
        read_ns=10_010_000,
        clock="kernel",
        wall_offset_ns=OFFSET_NS,
        wall_offset_error_ns=ERROR_NS,
        size=100,
        segments=1,
        rtt_us=50,
        retransmits=2,
        reordered=0,
        emptied=True,
    )
    later = ledger.record(RAW._replace(size=7, counters=None, limited=True))
    assert (later.read_no, later.size, later.emptied, later.rtt_us) == (2, 7, False, None)
    assert (later.retransmits, later.reordered) == (None, None)


def test_what_we_sent_again_and_what_came_out_of_order_are_counted_apart():
    read = ledger_of(0).record(RAW._replace(counters=counted(100, 1, 3)))
    assert (read.retransmits, read.reordered) == (2, 3)


@pytest.mark.parametrize(
    ("limited", "received", "emptied"),
    [(False, 100, True), (False, 150, True), (True, 100, True), (True, 150, False)],
)
def test_a_read_took_everything_if_it_had_room_or_the_counters_say_so(limited, received, emptied):
    raw = RAW._replace(limited=limited, counters=counted(received, 2))
    assert ledger_of(0).record(raw).emptied == emptied


@pytest.mark.parametrize(
    ("opened_ns", "looked_ns", "earliest_ns"),
    [
        (0, 8_000_000, 7_000_000),
        (7_500_000, 8_000_000, 7_500_000),
        (0, 9_900_000, 8_900_000),
        (0, 10_000_000, 9_000_000),
        (0, 10_009_000, 9_000_000),
        (4_000_000, None, 4_000_000),
    ],
)
def test_no_byte_is_older_than_a_millisecond_before_the_queue_was_empty(
    opened_ns, looked_ns, earliest_ns
):
    """Nor older than the connection, nor younger than the stamp."""
    ledger = ledger_of(opened_ns)
    if looked_ns is not None:
        ledger.found_empty(looked_ns)
    read = ledger.record(RAW._replace(counters=counted(100, 3)))
    assert (read.earliest_ns, read.arrived_ns) == (earliest_ns, 9_000_000)


def next_read(ledger: ArrivalLedger, **changes: object) -> Read:
    """Read 100 bytes more, one millisecond after the read before."""
    last = ledger.last
    shift = 1_000_000 * ledger.count
    times = {name: getattr(RAW, name) + shift for name in ("asked_ns", "read_ns", "counted_ns")}
    stamp = {"stamp_ns": OFFSET_NS + 9_000_000 + shift}
    assert last is not None
    return ledger.record(RAW._replace(**{**times, **stamp, **changes}))


@pytest.mark.parametrize(
    ("first", "earliest_ns"),
    [
        # Emptied: nothing of the next read came before the stamp of this one.
        ({"limited": False, "counters": None}, 9_000_000),
        ({"limited": True, "counters": counted(100, 3)}, 9_011_000),
        # Something was left behind, and is as old as what was read.
        ({"limited": True, "counters": None}, 3_000_000),
        ({"limited": True, "counters": counted(150, 3)}, 3_000_000),
        # Without a stamp only the moment before the read is known to have found the queue empty.
        ({"limited": False, "counters": None, "stamp_ns": None}, 8_500_000),
    ],
)
def test_what_a_read_left_behind_decides_how_old_the_next_one_can_be(first, earliest_ns):
    ledger = ledger_of(3_000_000)
    ledger.record(RAW._replace(asked_ns=9_500_000, **first))
    read = next_read(ledger, counters=None, stamp_ns=OFFSET_NS + 10_900_000)
    assert read.earliest_ns == earliest_ns


@pytest.mark.parametrize(
    ("arrived_late_ns", "clock", "arrived_ns"),
    [
        (-1, "kernel", 10_009_999),
        (0, "kernel", 10_010_000),
        (1, "kernel", 10_010_000),
        (ERROR_NS, "kernel", 10_010_000),
        (ERROR_NS + 1, "user", 10_010_000),
    ],
)
def test_a_stamp_after_the_read_is_taken_within_the_error_of_the_clocks(
    arrived_late_ns, clock, arrived_ns
):
    read = ledger_of(0).record(RAW._replace(stamp_ns=OFFSET_NS + RAW.read_ns + arrived_late_ns))
    assert (read.clock, read.arrived_ns) == (clock, arrived_ns)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("by_ns", "clock"), [(ERROR_NS + 70, "kernel"), (ERROR_NS + 71, "user")])
def test_a_wall_clock_is_stepped_if_it_moved_by_more_than_both_errors(sign, by_ns, clock):
    ledger = ledger_of(0)
    moved = RAW._replace(offset_ns=OFFSET_NS + sign * by_ns, offset_error_ns=70)
    assert ledger.record(moved).clock == clock


STEPPED = OFFSET_NS + 5_000_000


def step(ledger: ArrivalLedger, **changes: object) -> Read:
    return ledger.record(RAW._replace(offset_ns=STEPPED, **changes))


@pytest.mark.parametrize(
    ("what_was_seen", "clock"),
    [
        (lambda ledger: step(ledger, limited=True, counters=counted(100, 2)), "kernel"),
        (lambda ledger: step(ledger, limited=True, counters=counted(150, 2)), "user"),
        (lambda ledger: step(ledger, limited=False, counters=None), "user"),
        (
            lambda ledger: (
                step(ledger, limited=True, counters=None),
                ledger.found_empty(10_500_000),
            ),
            "kernel",
        ),
    ],
)
def test_stamps_are_trusted_again_once_the_queue_was_seen_empty(what_was_seen, clock):
    """What was stamped before the step may wait in the kernel until then."""
    ledger = ledger_of(0)
    what_was_seen(ledger)
    assert ledger.last.clock == "user"
    later = next_read(
        ledger, offset_ns=STEPPED, stamp_ns=STEPPED + 10_000_000, counters=None, limited=False
    )
    assert later.clock == clock


def test_stamps_are_distrusted_from_disorder_until_nothing_waits():
    ledger = ledger_of(0)
    assert not ledger.disordered
    assert ledger.record(RAW._replace(counters=counted(100, 3, 1))).clock == "user"
    assert ledger.disordered
    assert next_read(ledger, counters=counted(200, 4, 1)).clock == "user"
    ledger.settled()
    assert not ledger.disordered
    assert next_read(ledger, counters=counted(300, 5, 1)).clock == "kernel"
    assert next_read(ledger, counters=None).clock == "kernel"
    assert next_read(ledger, counters=counted(500, 9, 2)).clock == "user"


@pytest.mark.parametrize(
    ("counters", "segments"),
    [
        ([(100, 1)], [1]),
        ([(100, 2)], [2]),
        ([(100, 0)], [None]),
        ([(150, 2)], [None]),
        ([(150, 1)], [1]),
        ([(99, 1)], [None]),
        ([(100, 1), (200, 2)], [1, 1]),
        ([(100, 1), (200, 4)], [1, 3]),
        # The second read did not see the queue empty: the third may have some of its segments.
        ([(100, 1), (250, 3), (300, 4)], [1, None, None]),
        ([(100, 1), (250, 3), (300, 3)], [1, None, 1]),
        ([(100, 1), (250, 3), (300, 3), (400, 4)], [1, None, 1, 1]),
        # Two reads before this one had at least a segment each.
        ([(100, 1), (250, 3), (350, 4), (400, 4)], [1, None, None, 1]),
    ],
)
def test_segments_are_counted_where_no_other_read_can_have_had_them(counters, segments):
    ledger = ledger_of(0)
    reads = []
    for received, in_all in counters:
        raw = RAW._replace(counters=counted(received, in_all), limited=False)
        reads.append(ledger.record(raw))
    assert [read.segments for read in reads] == segments


def test_a_read_that_left_bytes_behind_does_not_take_a_segment_from_the_next_one():
    ledger = ledger_of(0)
    ledger.record(RAW._replace(counters=counted(150, 1), limited=True))
    rest = next_read(ledger, size=50, counters=counted(150, 1))
    assert (rest.segments, rest.emptied) == (1, True)
