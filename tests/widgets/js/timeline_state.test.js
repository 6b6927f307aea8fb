import { addEvents, againstWords, alignedAt, axisFor, axisOfOne, axisTicks, compareStages, dropOld, eventOf, eventWords, kindOfEvent, lastEvent, median, nearestEvent, newestFirst, niceCeiling, orderName, percent, shareWords, spanOf, stageAwaited, stageInProgress, takeEvents, takeOrder } from "/static/timeline_state.js";
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
  const made = { recording_id: "r1", number: 1, domain: "shop.example", events: [], event_count: 0, last_ms: 0, inserted: 0, stages: stages(times), end: null, ...changes };
  addEvents(made, changes.events ? made.events.splice(0) : times.map((t, n) => event(n + 1, t)));
  return made;
}

const END = { outcome: "placed", word: "placed", t_ms: 410, order_number: "1004", comments_ms: [] };

test("any order of arrival, any number of times, gives the same", () => {
  const messages = [1, 2, 3].map((n) => ({ recording_id: "r1", events: [event(n, 100 * n)], stages: stages([100, 200, 300].slice(0, n)) }));
  const state = order([100, 200]);
  const orders = [
    [() => state, ...messages],
    [...messages.toReversed(), () => state],
    [messages[2], () => state, messages[0], messages[2], messages[1], () => state],
  ].map((steps) => {
    const known = new Map();
    for (const step of steps) typeof step === "function" ? takeOrder(known, step()) : takeEvents(known, step);
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

test("an event is a milestone, a repetition, an error or something else", () => {
  const own = order([100, 200]);
  const kinds = [event(2, 200), event(9, 150, { event: "item-added" }), event(9, 1, { event: "error" }), event(9, 1)];
  equal(kinds.map((each) => kindOfEvent(own, each)), ["milestone", "repeated", "error", "other"]);
});

test("all rows end at a round number; one order has an axis of its own that ends with it", () => {
  equal([0, 99, 101, 1204, 1501, 2000, 29999].map(niceCeiling), [100, 100, 125, 1250, 2000, 2000, 30000]);
  const ended = order([100, 200], { end: { ...END, t_ms: 10624 } });
  equal(axisOfOne(ended, 0, 0, 15000), { from: 0, to: 10624 });
  equal(axisOfOne(order([100, 200]), 0, 240, 100), { from: 0, to: 250 });
  equal(axisOfOne(order([100]), 0, 120, 600), { from: 0, to: 600 });
  equal(axisOfOne(ended, 200, 0, 0), { from: -200, to: 10424 });
});

test("an axis has three labels: begin, middle and end, or the milestone that all are lined up on", () => {
  equal(axisTicks({ from: 0, to: 562 }), [0, 281, 562]);
  equal(axisTicks({ from: -200, to: 362 }), [-200, 0, 362]);
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

test("an event tells which, when, how sure, how large, by which clock, over what network", () => {
  const own = order([100, 200]);
  equal(eventWords(own, event(2, 1498.31, { bytes: 1700 })), "event 2 of 2 · 1\u202f498\u00a0ms ±20.0\u00a0µs · 1.70 kB · kernel timestamp");
  equal(eventWords(own, event(2, 5, { clock: "external", uncertainty_us: 0, bytes: 0 })), "event 2 of 2 · 5.00\u00a0ms · time as told");
  ok(eventWords(own, event(2, 5, { coalesced: true, retransmits: 2 })).includes("coalesced with the one before"));
  ok(eventWords(own, event(2, 5, { retransmits: 2, reordered: 3 })).endsWith(" · 2 sent again by us · 3 received out of order"));
});

test("the count is true, however many events are at hand", () => {
  const known = new Map();
  takeOrder(known, order([], { event_count: 0 }));
  takeEvents(known, { recording_id: "r1", events: [event(1, 1), event(2, 2)], stages: null });
  takeEvents(known, { recording_id: "r1", events: [event(1603, 900)], stages: null });
  equal(known.get("r1").event_count, 1603);
  takeOrder(known, { ...order([100], { event_count: 1603 }), end: END });
  takeOrder(known, { ...order([100], { event_count: 1603 }), end: END });
  equal([known.get("r1").event_count, known.get("r1").events.length], [1603, 3]);
});

test("events that come late are put in their place, and one that is there is not doubled", () => {
  const own = order([], { events: [1, 5, 9].map((n) => event(n, n)) });
  addEvents(own, [event(7, 7), event(5, 5), event(3, 3)]);
  equal(own.events.map((each) => each.seq), [1, 3, 5, 7, 9]);
  equal([eventOf(own, 7).seq, eventOf(own, 8), eventOf(own, null)], [7, undefined, undefined]);
});

test("near a place the event that ends a stage comes before all others", () => {
  const own = order([100, 200], { events: [event(1, 100), event(2, 200), event(3, 204, { event: "tick" })] });
  equal([nearestEvent(own, 203, 5).seq, nearestEvent(own, 203.5, 1).seq, nearestEvent(own, 9999).seq, nearestEvent(own, -5).seq], [2, 3, 3, 1]);
  equal(nearestEvent(order([]), 5), undefined);
});

test("an order is told by the event of its last stage, or by its error", () => {
  equal(lastEvent(order([100, 200], { events: [event(1, 100), event(2, 200), event(3, 300)] })).seq, 2);
  equal(lastEvent(order([100], { events: [event(1, 100), event(2, 200, { event: "error" })] })).seq, 2);
  equal(lastEvent(order([], { events: [event(7, 1)] })).seq, 7);
});

test("the median is that of Python, and an order is told against it", () => {
  equal([median([]), median([5]), median([9, 1]), median([3, 1, 2])], [null, 5, 5, 2]);
  equal([againstWords(618, 562), againstWords(549, 562), againstWords(562, 562), againstWords(5, null)], ["+10\u00a0%", "\u22122\u00a0%", "0\u00a0%", ""]);
});

test("a stage tells its share of the order", () => {
  const words = (duration_ms, total) => shareWords({ duration_ms }, total);
  equal([words(193.8, 562), words(-20, 100), words(1, 0), words(1, 1000), words(0, 9)], ["34\u00a0%", "\u221220\u00a0%", "", "<1\u00a0%", "0\u00a0%"]);
});

test("a stage that has no time of its own is not compared", () => {
  const own = order([100, 100]);
  own.stages[1].duration_ms = null;
  equal(compareStages(own, order([90, 95]))[1].difference_ms, null);
});

test("an order without a number is named by how it stands and which one it is", () => {
  equal([order([]), order([], { end: END }), order([], { number: 3, end: { word: "timeout", order_number: "" } })].map(orderName), [
    "under way #1", "1004", "timeout #3",
  ]);
});
