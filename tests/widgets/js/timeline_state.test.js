import { alignedAt, axisFor, axisTicks, compareStages, dropOld, eventWords, groupEvents, kindOfEvent, newestFirst, niceCeiling, orderName, percent, precisionWords, spanOf, stageAwaited, stageInProgress, takeEvent, takeOrder } from "/static/timeline_state.js";
import { equal, ok, test } from "./harness.js";

const NAMES = ["creating-cart", "item-added", "shipping-updated", "order-placed"];

function event(seq, t_ms, changes = {}) {
  return { seq, event: NAMES[seq - 1] ?? "extra", t_ms, uncertainty_us: 20, clock: "kernel", coalesced: false, bytes: 800, rtt_us: 40, ...changes };
}

function stages(times) {
  return NAMES.map((name, index) => ({
    stage: name,
    milestone: name,
    seq: times[index] === undefined ? null : index + 1,
    start_ms: times[index] === undefined ? null : (times[index - 1] ?? 0),
    end_ms: times[index] ?? null,
    duration_ms: times[index] === undefined ? null : times[index] - (times[index - 1] ?? 0),
    uncertainty_us: 40,
    look: index + 1,
  }));
}

function order(times, changes = {}) {
  return { recording_id: "r1", number: 1, domain: "shop.example", events: times.map((t, n) => event(n + 1, t)), stages: stages(times), end: null, ...changes };
}

const END = { outcome: "placed", word: "placed", t_ms: 410, order_number: "1004", comments_ms: [] };

test("any order of arrival, any number of times, gives the same", () => {
  const messages = [1, 2, 3].map((n) => ({ recording_id: "r1", event: event(n, 100 * n), stages: stages([100, 200, 300].slice(0, n)) }));
  const state = order([100, 200]);
  const orders = [
    [() => state, ...messages],
    [...messages.toReversed(), () => state],
    [messages[2], () => state, messages[0], messages[2], messages[1], () => state],
  ].map((steps) => {
    const known = new Map();
    for (const step of steps) typeof step === "function" ? takeOrder(known, step()) : takeEvent(known, step);
    return known.get("r1");
  });
  for (const each of orders) {
    equal(each.events.map((e) => e.seq), [1, 2, 3]);
    equal(each.stages.map((stage) => stage.seq), [1, 2, 3, null]);
    equal(each.number, 1);
  }
});

test("an order that has ended stays so, whatever late state says", () => {
  const known = new Map();
  takeOrder(known, order([100, 200, 300, 400], { end: END }));
  takeOrder(known, order([100, 200]));
  equal(known.get("r1").end.word, "placed");
  equal(known.get("r1").events.length, 4);
  equal(known.get("r1").stages[3].seq, 4);
});

test("what the kernel shows no more is dropped, what it names is kept", () => {
  const known = new Map();
  for (const number of [1, 2, 3]) takeOrder(known, order([], { recording_id: `r${number}`, number }));
  dropOld(known, 3, [{ recording_id: "r1" }]);
  equal(newestFirst(known).map((each) => each.number), [3, 1]);
});

test("the stage in progress is the one after the last that was reached", () => {
  equal(stageInProgress(order([])), { index: 0, begin_ms: 0 });
  equal(stageInProgress(order([100, 250])), { index: 2, begin_ms: 250 });
  equal(stageInProgress(order([1, 2, 3, 4])), null);
  equal(stageInProgress(order([100], { end: END })), null);
  equal(stageAwaited(order([100], { end: END })), { index: 1, begin_ms: 100 });
});

test("a milestone that was missed is not waited for", () => {
  const missed = order([100]);
  missed.stages[2] = { ...missed.stages[2], seq: 2, start_ms: 100, end_ms: 300, duration_ms: 200 };
  equal(stageInProgress(missed), { index: 3, begin_ms: 300 });
});

test("events that one read brought share a tick", () => {
  const events = [event(1, 1), event(2, 2, { coalesced: true }), event(3, 2, { coalesced: true }), event(4, 9)];
  equal(groupEvents(events).map((group) => group.map((each) => each.seq)), [[1, 2, 3], [4]]);
  equal(groupEvents([event(1, 1, { coalesced: true })]).length, 1);
});

test("an event is a milestone, a repetition, an error or something else", () => {
  const own = order([100, 200]);
  const kinds = [event(2, 200), event(9, 150, { event: "item-added" }), event(9, 1, { event: "error" }), event(9, 1)];
  equal(kinds.map((each) => kindOfEvent(own, each)), ["milestone", "repeated", "error", "other"]);
});

test("the axis ends at a round number and has few round labels", () => {
  equal([0, 99, 101, 1204, 1501, 2000, 29999].map(niceCeiling), [100, 100, 125, 1250, 2000, 2000, 30000]);
  equal(axisTicks({ from: 0, to: 1250 }), [0, 250, 500, 750, 1000, 1250]);
  for (const to of [100, 125, 800, 1500, 6000, 125000]) {
    const ticks = axisTicks({ from: -to / 3, to });
    ok(ticks.length >= 3 && ticks.length <= 9, `${ticks} to be few`);
    ok(ticks.includes(0), "a label at zero");
  }
});

test("orders are lined up on a milestone; one that did not reach it is left out", () => {
  const orders = [order([100, 200, 300, 400], { end: END }), order([100], { recording_id: "r2" })];
  equal(orders.map((each) => alignedAt(each, "item-added")), [200, null]);
  equal(alignedAt(orders[1], "start"), 0);
  equal(axisFor(orders, orders[0], "item-added"), { from: -200, to: 250 });
});

test("an order that takes for ever does not make lines of the others, unless it is looked at", () => {
  const usual = Array.from({ length: 40 }, (_, n) => order([1000 + n], { recording_id: `r${n}` }));
  const slow = order([90000], { recording_id: "slow" });
  equal(axisFor([...usual, slow], usual[0], "start").to, 1500);
  equal(axisFor([...usual, slow], slow, "start").to, 100000);
});

test("places on the axis are in percent", () => {
  equal([-100, 0, 300].map((t) => percent(t, { from: -100, to: 300 })), [0, 25, 100]);
  equal(spanOf(order([5, 80]), 60), 80);
  equal(spanOf(order([5]), 60), 60);
  equal(spanOf(order([5], { end: END }), 9999), 410);
});

test("two orders are compared stage by stage", () => {
  const [own, other] = [order([100, 300, 350, 410], { end: END }), order([100, 200])];
  const rows = compareStages(own, other);
  equal(rows.map((row) => row.difference_ms), [0, 100, null, null, null]);
  equal(rows[1].uncertainty_ms, 0.08);
  equal(rows.at(-1).own_ms, 410);
});

test("how sure the times are is told in one line", () => {
  equal(precisionWords(order([100, 200])), "every time ±20.0\u00a0µs · kernel clock · rtt 0.04\u00a0ms");
  const worse = order([100]);
  worse.events.push(event(2, 150, { uncertainty_us: 3200, clock: "user", rtt_us: null }));
  equal(precisionWords(worse), "every time ±3.20\u00a0ms · kernel and user clock");
  equal(precisionWords(order([], { end: END })), "no events");
});

test("an event tells when, how sure, by which clock, how large, over what network", () => {
  equal(eventWords(event(2, 1498.31, { bytes: 1700 })), "1\u202f498\u00a0ms after the request ±20.0\u00a0µs · kernel clock · 1.70 kB · rtt 0.04\u00a0ms");
  ok(eventWords(event(2, 5, { coalesced: true, retransmits: 2 })).includes("came together with the one before"));
  ok(eventWords(event(2, 5, { retransmits: 2, reordered: 3 })).endsWith(" · 2 sent again by us · 3 received out of order"));
});

test("an order without a number is named by how it stands and which one it is", () => {
  equal([order([]), order([], { end: END }), order([], { number: 3, end: { word: "timeout", order_number: "" } })].map(orderName), [
    "under way (1)", "1004", "timeout (3)",
  ]);
});
