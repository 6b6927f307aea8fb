"""What a ledger claims about arrivals, against a kernel that is simulated byte by byte."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.recording.arrivals import (
    QUEUEING_SLACK_NS,
    ArrivalLedger,
    SocketRead,
    TcpCounters,
    event_uncertainty_us,
)

US = 1_000
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
    assert [read.retransmits for read in reads] == [0, 1, 1]
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
def test_without_counters_that_make_sense_one_segment_is_not_claimed(counters):
    read = ledger_of(0).record(RAW._replace(counters=counters))
    assert read.segments is None
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
