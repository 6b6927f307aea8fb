// What the timeline knows of its orders, and where things go on its axis. Data in, data out.
//
// Orders come twice, as messages the moment something happens and as the kernel's state some ten
// times a second. Both are merged by recording and event number: any order of arrival, any number
// of times, gives the same. The state has only some events of a long stream, and their true number.

import { duration, number, stated, uncertainty } from "./dom.js";

const NICE = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** Merge an order as the kernel describes it into what is known; returns what is known of it. */
export function takeOrder(orders, order) {
  const known = orders.get(order.recording_id) ?? nothingKnown(order.recording_id);
  const stages = furtherStages(known.stages, order.stages);
  addEvents(known, order.events);
  const count = Math.max(known.event_count, order.event_count ?? 0);
  Object.assign(known, order, { events: known.events, event_count: count, stages, end: order.end ?? known.end });
  orders.set(order.recording_id, known);
  return known;
}

/** Merge some events, with the stages as they are with them where they changed. */
export function takeEvents(orders, { recording_id, events, stages }) {
  const known = orders.get(recording_id) ?? nothingKnown(recording_id);
  addEvents(known, events);
  if (stages) known.stages = furtherStages(known.stages, stages);
  orders.set(recording_id, known);
  return known;
}

/** Return the orders as they are listed, the newest first. */
export function newestFirst(orders) {
  return [...orders.values()].sort((a, b) => b.number - a.number);
}

/** Drop what the kernel shows no more: orders before the first, unless they are named in a list. */
export function dropOld(orders, first, listed) {
  const kept = new Set(listed.map((order) => order.recording_id));
  for (const [id, order] of orders) {
    if (order.number < first && !kept.has(id)) orders.delete(id);
  }
}

/** Say which stage is in progress and since when; null where nothing is. */
export function stageInProgress(order) {
  return order.end ? null : stageAwaited(order);
}

/** Say which stage would come next, also where an order ended without it. */
export function stageAwaited(order) {
  const index = order.stages.findLastIndex(isReached) + 1;
  if (index >= order.stages.length) return null;
  return { index, begin_ms: index ? order.stages[index - 1].end_ms : 0 };
}

/** Whether a stage came to its end. */
export function isReached(stage) {
  return stage.end_ms !== null && stage.end_ms !== undefined;
}

/** Say how far an order came in time: to its end, or until now. */
export function spanOf(order, elapsed_ms = 0) {
  return Math.max(order.last_ms ?? 0, order.end ? order.end.t_ms : elapsed_ms);
}

/** Say what an event is to the order: "milestone", "repeated", "error" or "other". */
export function kindOfEvent(order, event) {
  if (order.stages.some((stage) => stage.seq === event.seq)) return "milestone";
  if (order.stages.some((stage) => stage.milestone === event.event)) return "repeated";
  return event.event === "error" ? "error" : "other";
}

/** Find an event by its number, or undefined. */
export function eventOf(order, seq) {
  const at = placeOf(order.events, seq);
  return order.events[at]?.seq === seq ? order.events[at] : undefined;
}

/** Return the event that an order is told by where none is picked: of its last stage, else its last. */
export function lastEvent(order) {
  const seq = order.stages.findLast(isReached)?.seq;
  return order.events.findLast((event) => event.event === "error" || event.seq === seq) ?? order.events.at(-1);
}

/** Return the event nearest to a time; within `near_ms` those that tell a stage or an error first. */
export function nearestEvent(order, t_ms, near_ms = 0) {
  const distance = (event) => Math.abs(event.t_ms - t_ms);
  const nearest = (events) => events.reduce((a, b) => (a && distance(a) <= distance(b) ? a : b), undefined);
  const told = order.stages.map((stage) => eventOf(order, stage.seq)).filter((event) => event && distance(event) <= near_ms);
  return nearest(told) ?? nearest(eventsAround(order, t_ms, near_ms)) ?? nearest(neighbours(order.events, t_ms));
}

/** Return the events of a moment, at most a hundred. */
export function eventsAround(order, t_ms, near_ms) {
  const first = placeByTime(order.events, t_ms - near_ms);
  const some = order.events.slice(first, first + 100);
  return some.filter((event) => Math.abs(event.t_ms - t_ms) <= near_ms);
}

function neighbours(events, t_ms) {
  const at = placeByTime(events, t_ms);
  return events.slice(Math.max(at - 1, 0), at + 1);
}

/** Return the time that is put at zero; null where the order did not come so far. */
export function alignedAt(order, align) {
  if (align === "start") return 0;
  return order.stages.find((stage) => stage.milestone === align)?.end_ms ?? null;
}

/** Return the axis for orders that are shown under one another: {from, to} in ms around zero. */
export function axisFor(orders, current, align, elapsed = () => 0, floor_ms = 0) {
  const spans = orders
    .map((order) => ({ order, zero: alignedAt(order, align) }))
    .filter(({ zero }) => zero !== null)
    .map(({ order, zero }) => ({ order, zero, after: spanOf(order, elapsed(order)) - zero }));
  const own = spans.find(({ order }) => order === current);
  const after = withoutOutliers(spans.map((span) => span.after), own?.after);
  const before = withoutOutliers(spans.map((span) => span.zero), own?.zero);
  return { from: align === "start" ? 0 : -niceCeiling(before), to: niceCeiling(Math.max(after, floor_ms)) };
}

/** Return the axis of one order: while it runs a round number, then it ends with the order. */
export function axisOfOne(order, zero, elapsed_ms, floor_ms) {
  const span = spanOf(order, elapsed_ms);
  if (!order.end) return { from: -zero, to: niceCeiling(Math.max(span, floor_ms)) - zero };
  // An order without a time still has an axis.
  return { from: -zero, to: Math.max(span, 0.1) - zero };
}

/** Return where an axis has its labels: at its begin, its end, and between them. */
export function axisTicks({ from, to }) {
  // Lined up on a milestone, the moment of that milestone is the one to name.
  return [from, from < 0 && to > 0 ? 0 : (from + to) / 2, to];
}

/** Return the next round number at or above a time; 100 at least. */
export function niceCeiling(value) {
  if (!(value > 100)) return 100;
  const power = 10 ** Math.floor(Math.log10(value));
  return NICE.find((nice) => nice * power >= value * 0.999999) * power;
}

/** Return a place on the axis in percent, not cut off. */
export function percent(t_ms, axis) {
  return (100 * (t_ms - axis.from)) / (axis.to - axis.from);
}

/** Return the median of numbers as Python does (type 7); null without any. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return sorted.length ? (sorted[Math.floor(half)] + sorted[Math.ceil(half)]) / 2 : null;
}

/** Compare two orders stage by stage. Uncertainties add up. */
export function compareStages(order, other) {
  const rows = order.stages.map((stage) => {
    const twin = other.stages.find((each) => each.milestone === stage.milestone && each.stage === stage.stage);
    return comparison(stage.stage, stage.duration_ms, twin?.duration_ms, stage.uncertainty_us, twin?.uncertainty_us);
  });
  const total = comparison("whole order", order.end?.t_ms, other.end?.t_ms, 0, 0);
  return [...rows, total];
}

function comparison(name, own_ms = null, other_ms = null, own_us = 0, other_us = 0) {
  const both = own_ms !== null && other_ms !== null;
  return {
    name,
    own_ms,
    other_ms,
    difference_ms: both ? own_ms - other_ms : null,
    uncertainty_ms: both ? ((own_us ?? 0) + (other_us ?? 0)) / 1000 : null,
  };
}

function nothingKnown(recording_id) {
  // Its number comes with the state; until then it is the newest.
  return { recording_id, number: Infinity, domain: "", environment: "", events: [], event_count: 0, last_ms: 0, inserted: 0, stages: [], end: null, origin: null };
}

/** Add events to those of an order: at the end where they are later, as nearly all are. */
export function addEvents(order, more) {
  const { events } = order;
  for (const event of more) {
    order.last_ms = Math.max(order.last_ms, event.t_ms);
    if (!events.length || event.seq > events.at(-1).seq) {
      events.push(event);
      continue;
    }
    const at = placeOf(events, event.seq);
    if (events[at].seq === event.seq) continue;
    events.splice(at, 0, event);
    order.inserted += 1;
  }
  order.event_count = Math.max(order.event_count, order.end ? events.length : (events.at(-1)?.seq ?? 0));
}

function placeOf(events, seq) {
  return firstPlace(events, (event) => event.seq >= seq);
}

function placeByTime(events, t_ms) {
  return firstPlace(events, (event) => event.t_ms >= t_ms);
}

function firstPlace(events, isBehind) {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBehind(events[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

function furtherStages(known, other) {
  if (!known?.length) return other;
  const far = (stages) => Math.max(0, ...stages.map((stage) => stage.seq ?? 0));
  return far(known) > far(other) ? known : other;
}

function withoutOutliers(values, own = 0) {
  const sorted = values.toSorted((a, b) => a - b);
  const usual = sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0;
  const most = sorted.at(-1) ?? 0;
  // A single order that takes for ever would make lines of all others.
  return Math.max(own, most > 3 * usual ? usual * 1.25 : most);
}

// The timeline's words.

// As `CLOCKS` of display/text.py.
const CLOCKS = { kernel: "kernel timestamp", user: "time after the read", external: "time as told" };

/** Write a time of the axis, before or after zero. */
export function axisWords(t_ms) {
  return t_ms === 0 ? "0" : `${t_ms < 0 ? "\u2212" : ""}${number(Math.abs(t_ms))}`;
}

/** Say which event it is, when it came and how sure that is. */
export function eventWords(order, event) {
  const isAsTold = event.clock === "external" && !event.uncertainty_us;
  const parts = [
    `event ${stated(event.seq)} of ${stated(order.event_count)}`,
    duration(event.t_ms) + (isAsTold ? "" : ` ±${uncertainty(event.uncertainty_us)}`),
    event.coalesced ? "coalesced with the one before" : "",
    event.bytes ? sizeOfData(event.bytes) : "",
    CLOCKS[event.clock],
    event.retransmits || event.reordered ? networkWords(event) : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** Say what share of an order a stage took. */
export function shareWords(stage, total_ms) {
  const share = (100 * stage.duration_ms) / total_ms;
  if (share > 0 && share < 0.5) return "<1\u00a0%";
  return total_ms > 0 && Number.isFinite(share) ? `${share.toFixed(0).replace("-", "\u2212")}\u00a0%` : "";
}

/** Name an order for a list: its number at the merchant, or how it stands and which one it is. */
export function orderName(order) {
  const which = Number.isFinite(order.number) ? ` #${order.number}` : "";
  if (!order.end) return `under way${which}`;
  return order.end.order_number || `${order.end.word}${which}`;
}

/** Write a difference with its sign. */
export function differenceWords(value_ms) {
  return value_ms === null ? "-" : signOf(value_ms) + number(Math.abs(value_ms));
}

/** Write how much longer or shorter an order took than the median, in percent. */
export function againstWords(t_ms, median_ms) {
  if (!(median_ms > 0)) return "";
  const share = Math.round((100 * (t_ms - median_ms)) / median_ms);
  return `${signOf(share)}${stated(Math.abs(share))}\u00a0%`;
}

function signOf(value) {
  return value > 0 ? "+" : value < 0 ? "\u2212" : "";
}

/** Say what the kernel knows of the network. */
export function networkWords(event) {
  if (event.rtt_us === null || event.rtt_us === undefined) return "";
  const again = event.retransmits ? ` · ${event.retransmits} sent again by us` : "";
  const ahead = event.reordered ? ` · ${event.reordered} received out of order` : "";
  return `rtt ${duration(event.rtt_us / 1000)}${again}${ahead}`;
}

function sizeOfData(bytes) {
  return bytes < 1000 ? `${bytes} bytes` : `${number(bytes / 1000)} kB`;
}
