// What the timeline knows of its orders, and where things go on its axis. Data in, data out.
//
// Orders come twice, as messages the moment something happens and as the kernel's state some ten
// times a second. Both are merged by recording and event number: any order of arrival, any number
// of times, gives the same.

import { duration, number, stated, uncertainty } from "./dom.js";

const NICE = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
const NICE_STEPS = [1, 2, 2.5, 5, 10];

/** Merge an order as the kernel describes it into what is known; returns what is known of it. */
export function takeOrder(orders, order) {
  const known = orders.get(order.recording_id);
  const merged = { ...order, events: mergeEvents(known?.events ?? [], order.events) };
  if (known?.end && !order.end) merged.end = known.end;
  merged.stages = furtherStages(known?.stages, order.stages);
  merged.origin = known?.origin ?? null;
  merged.stopped = known?.stopped;
  orders.set(order.recording_id, merged);
  return merged;
}

/** Merge one event, with the stages as they are with it. */
export function takeEvent(orders, { recording_id, event, stages }) {
  const known = orders.get(recording_id) ?? nothingKnown(recording_id);
  const merged = {
    ...known,
    events: mergeEvents(known.events, [event]),
    stages: furtherStages(known.stages, stages),
  };
  orders.set(recording_id, merged);
  return merged;
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
  const reached = order.stages.map((stage) => stage.end_ms !== null && stage.end_ms !== undefined);
  const index = reached.lastIndexOf(true) + 1;
  if (index >= order.stages.length) return null;
  return { index, begin_ms: index ? order.stages[index - 1].end_ms : 0 };
}

/** Say how far an order came in time: to its end, or until now. */
export function spanOf(order, elapsed_ms = 0) {
  const last = Math.max(0, ...order.events.map((event) => event.t_ms));
  return Math.max(last, order.end ? order.end.t_ms : elapsed_ms);
}

/** Put events that one read brought together; each group is drawn as one tick. */
export function groupEvents(events) {
  const groups = [];
  for (const event of events) {
    if (event.coalesced && groups.length) groups.at(-1).push(event);
    else groups.push([event]);
  }
  return groups;
}

/** Say what an event is to the order: "milestone", "repeated", "error" or "other". */
export function kindOfEvent(order, event) {
  if (order.stages.some((stage) => stage.seq === event.seq)) return "milestone";
  if (order.stages.some((stage) => stage.milestone === event.event)) return "repeated";
  return event.event === "error" ? "error" : "other";
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

/** Return round numbers to label an axis with. */
export function axisTicks({ from, to }, most = 6) {
  const raw = (to - from) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = NICE_STEPS.find((nice) => nice * power >= raw) * power;
  const ticks = [];
  for (let n = Math.ceil(from / step); n * step <= to * 1.0001; n += 1) ticks.push(n * step);
  return ticks;
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
  return { recording_id, number: Infinity, domain: "", environment: "", events: [], stages: [], end: null, origin: null };
}

function mergeEvents(known, more) {
  const bySeq = new Map([...known, ...more].map((event) => [event.seq, event]));
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
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

/** Write a time of the axis, before or after zero. */
export function axisWords(t_ms) {
  return `${t_ms < 0 ? "\u2212" : ""}${stated(Math.abs(t_ms))}`;
}

/** Say all about an event in one line. */
export function eventWords(event) {
  const parts = [
    `${duration(event.t_ms)} after the request ±${uncertainty(event.uncertainty_us)}`,
    `${event.clock} clock`,
    sizeOfData(event.bytes),
    event.coalesced ? "came together with the one before" : "",
    networkWords(event),
  ];
  return parts.filter(Boolean).join(" · ");
}

/** Say how far the times of an order can be trusted. */
export function precisionWords(order) {
  const { events } = order;
  if (!events.length) return order.end ? "no events" : "";
  const clocks = [...new Set(events.map((event) => event.clock))].sort().join(" and ");
  const reached = (order.stages ?? []).filter((stage) => stage.end_ms !== null && stage.end_ms !== undefined);
  if (reached.length && reached.every((stage) => stage.untimed)) return `no stage has a known time · ${clocks} clock`;
  const worst_us = Math.max(...events.map((event) => event.uncertainty_us));
  return [`every time ±${uncertainty(worst_us)}`, `${clocks} clock`, networkWords(events.at(-1))]
    .filter(Boolean)
    .join(" · ");
}

/** Name an order for a list: its number at the merchant, or how it stands and which one it is. */
export function orderName(order) {
  const which = Number.isFinite(order.number) ? ` (${order.number})` : "";
  if (!order.end) return `under way${which}`;
  return order.end.order_number || `${order.end.word}${which}`;
}

/** Write a difference with its sign. */
export function differenceWords(value_ms) {
  if (value_ms === null) return "-";
  const sign = value_ms > 0 ? "+" : value_ms < 0 ? "\u2212" : "";
  return sign + number(Math.abs(value_ms));
}

function networkWords(event) {
  if (event.rtt_us === null || event.rtt_us === undefined) return "";
  const again = event.retransmits ? ` · ${event.retransmits} sent again by us` : "";
  const ahead = event.reordered ? ` · ${event.reordered} received out of order` : "";
  return `rtt ${duration(event.rtt_us / 1000)}${again}${ahead}`;
}

function sizeOfData(bytes) {
  return bytes < 1000 ? `${bytes} bytes` : `${number(bytes / 1000)} kB`;
}
