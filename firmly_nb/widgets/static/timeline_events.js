// The lane of all events of an order as they came: a tick for each place where one came, a dot for
// each comment. Its cost is that of its width: ten thousand events make as many ticks as the lane
// has places. It is one control: arrows go from event to event, Enter picks one, + and - zoom.

import { duration, followKey, h, replace, stated, svg } from "./dom.js";
import { gridLines, stageColour } from "./timeline_lane.js";
import { eventOf, eventsAround, kindOfEvent, lastEvent, nearestEvent, percent } from "./timeline_state.js";

const PLACES = 1000;
const NEAR_PX = 4;
const MOST_COUNTED = 40; // marks with a number beside them; more would lie on one another
const KINDS = ["other", "repeated", "milestone", "error"]; // the later ones lie on the earlier
const FEW_STEPS = 50;

/** Make the lane: `onOver(event)`, `onPick(seq)`, `onZoom(factor, t_ms)`, factor 0 for all. */
export function eventLane({ onOver, onPick, onZoom }) {
  const lane = {
    onOver,
    onPick,
    onZoom,
    key: "",
    places: new Map(),
    taken: 0,
    picture: svg("svg", { class: "lane ticks", viewBox: `0 0 ${PLACES} 24`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }),
    counts: h("div", { class: "counts", "aria-hidden": "true" }),
    count: h("span", { class: "number quiet" }),
  };
  lane.control = h("div", { class: "lane-box event-lane", role: "slider", tabindex: "0", "aria-label": "events as they came", "aria-orientation": "horizontal" }, lane.picture, lane.counts);
  lane.control.addEventListener("pointermove", (event) => over(lane, atPointer(lane, event)));
  lane.control.addEventListener("pointerleave", () => over(lane, null));
  lane.control.addEventListener("blur", () => over(lane, null));
  lane.control.addEventListener("focus", () => go(lane, lane.at ?? lane.order?.events[0]?.seq));
  lane.control.addEventListener("click", (event) => pickAt(lane, event));
  lane.control.addEventListener("keydown", (event) => onLaneKey(lane, event));
  lane.element = h("div", { class: "row events" }, h("span", { class: "quiet" }, "events"), lane.control, lane.count, h("span"));
  return {
    element: lane.element,
    show: (...args) => showEvents(lane, ...args),
    /** Mark events, e.g. those that were found. */
    mark(seqs) {
      lane.found = new Set(seqs);
      drawMarks(lane);
    },
  };
}

function showEvents(lane, order, axis, zero, selected) {
  if (lane.order?.recording_id !== order.recording_id) Object.assign(lane, { at: undefined, found: new Set() });
  Object.assign(lane, { order, axis, zero, selected: selected?.seq ?? undefined });
  if (lane.selected !== undefined) lane.at = lane.selected;
  takePlaces(lane);
  drawTicks(lane);
  drawMarks(lane);
  const comments = order.end?.comments_ms.length ?? 0;
  lane.count.textContent = comments ? `${stated(order.event_count)} + ${comments}•` : stated(order.event_count);
  lane.count.title = comments ? `${order.event_count} events and ${comments} heartbeats` : `${order.event_count} events`;
  sayWhere(lane);
}

/** Find the place of each event; while nothing moves, only of those that came since. */
function takePlaces(lane) {
  const { order, axis, zero } = lane;
  const told = order.stages.map((stage) => stage.seq);
  const key = JSON.stringify([order.recording_id, order.inserted, axis.from, axis.to, zero, told]);
  if (key !== lane.key) {
    Object.assign(lane, { key, taken: 0, places: new Map() });
    lane.colours = new Map(order.stages.map((stage) => [stage.seq, stageColour(stage)]));
    lane.drawn = -1;
  }
  for (; lane.taken < order.events.length; lane.taken += 1) {
    const event = order.events[lane.taken];
    const place = Math.round((PLACES * percent(event.t_ms - zero, axis)) / 100);
    const kind = kindOfEvent(order, event);
    const known = lane.places.get(place);
    const at = known ?? { kind, colour: "", count: 0 };
    at.count += 1;
    if (KINDS.indexOf(kind) >= KINDS.indexOf(at.kind)) Object.assign(at, { kind, colour: lane.colours.get(event.seq) ?? "" });
    if (!known) lane.places.set(place, at);
  }
}

/** One path for all ticks that look alike: what is drawn does not grow with the number of events. */
function drawTicks(lane) {
  const { axis, zero, order } = lane;
  const comments = order.end?.comments_ms ?? [];
  const drawn = JSON.stringify([lane.key, lane.taken, comments.length]);
  if (lane.drawn === drawn) return;
  lane.drawn = drawn;
  const alike = new Map();
  for (const [place, { kind, colour }] of lane.places) {
    if (place < 0 || place > PLACES) continue;
    const look = `tick ${kind} ${colour}`;
    alike.set(look, `${alike.get(look) ?? ""}M${place} 5v14`);
  }
  const looks = [...alike].sort(([a], [b]) => KINDS.indexOf(a.split(" ")[1]) - KINDS.indexOf(b.split(" ")[1]));
  const dots = [...new Set(comments.map((t_ms) => Math.round(10 * percent(t_ms - zero, axis))))].map((place) => `M${place} 12h0`).join("");
  lane.marks = svg("g");
  replace(
    lane.picture,
    gridLines(axis),
    looks.map(([look, d]) => svg("path", { class: look, d })),
    dots ? svg("path", { class: "comment", d: dots }) : null,
    lane.marks,
  );
  drawCounts(lane);
}

/** Say where few marks stand for several events. */
function drawCounts(lane) {
  const several = [...lane.places].filter(([place, { count }]) => count > 1 && place >= 0 && place <= PLACES);
  const few = several.length <= MOST_COUNTED ? several.sort(([a], [b]) => a - b) : [];
  // Beside its tick, where the next one leaves room for it.
  const free = few.filter(([place], n) => (few[n + 1]?.[0] ?? Infinity) - place > 25);
  replace(lane.counts, free.map(([place, { count }]) => h("span", { class: place > 950 ? "together last" : "together", style: `left:${place / 10}%` }, stated(count))));
}

function drawMarks(lane) {
  if (!lane.order || !lane.marks) return;
  const line = (seq, look) => {
    const event = eventOf(lane.order, seq);
    const place = event && Math.round(10 * percent(event.t_ms - lane.zero, lane.axis));
    return event && place >= 0 && place <= PLACES ? svg("path", { class: look, d: `M${place} 1v22` }) : null;
  };
  const found = [...(lane.found ?? [])].slice(0, PLACES).map((seq) => line(seq, "found"));
  replace(lane.marks, found, line(lane.selected, "picked-mark"), lane.isFocused ? line(lane.at, "focus-mark") : null);
}

function over(lane, event) {
  lane.isFocused = document.activeElement === lane.control;
  lane.onOver(event ?? (lane.isFocused ? (eventOf(lane.order, lane.at) ?? null) : null));
  drawMarks(lane);
}

function timeAt(lane, { clientX }) {
  const box = lane.control.getBoundingClientRect();
  const ms = (lane.axis.to - lane.axis.from) / (box.width || 1);
  return { t_ms: lane.axis.from + (clientX - box.left) * ms + lane.zero, near_ms: NEAR_PX * ms };
}

function atPointer(lane, event) {
  if (!lane.order?.events.length) return null;
  const { t_ms, near_ms } = timeAt(lane, event);
  return nearestEvent(lane.order, t_ms, near_ms) ?? null;
}

/** Pick the event at the pointer; of several there, each click takes the next. */
function pickAt(lane, click) {
  const nearest = atPointer(lane, click);
  if (!nearest) return;
  const { t_ms, near_ms } = timeAt(lane, click);
  const there = eventsAround(lane.order, t_ms, near_ms);
  const at = there.findIndex((event) => event.seq === lane.selected);
  const picked = at < 0 ? nearest : there[(at + 1) % there.length];
  lane.at = picked.seq;
  lane.onPick(picked.seq);
}

function go(lane, seq) {
  lane.at = seq;
  sayWhere(lane);
  over(lane, eventOf(lane.order, seq) ?? null);
}

function sayWhere(lane) {
  const { order, control } = lane;
  const event = eventOf(order, lane.at) ?? lastEvent(order);
  control.setAttribute("aria-valuemin", "0");
  control.setAttribute("aria-valuemax", String(order.event_count));
  control.setAttribute("aria-valuenow", String(event ? event.seq : 0));
  control.setAttribute("aria-valuetext", event ? `${event.event}, event ${event.seq} of ${order.event_count}, ${duration(event.t_ms)}` : "no events");
}

function onLaneKey(lane, key) {
  const { events } = lane.order;
  if (!events.length) return;
  const now = Math.max(events.findIndex((event) => event.seq === lane.at), 0);
  const to = (at) => () => go(lane, events[Math.min(Math.max(at, 0), events.length - 1)].seq);
  const zoom = (factor) => () => lane.onZoom(factor, events[now].t_ms);
  followKey(key, {
    ArrowRight: to(now + 1),
    ArrowLeft: to(now - 1),
    ArrowUp: to(now + 1),
    ArrowDown: to(now - 1),
    PageUp: to(now + FEW_STEPS),
    PageDown: to(now - FEW_STEPS),
    Home: to(0),
    End: to(events.length - 1),
    Enter: () => lane.onPick(events[now].seq),
    " ": () => lane.onPick(events[now].seq),
    "+": zoom(0.5),
    "=": zoom(0.5),
    "-": zoom(2),
    0: zoom(0),
  });
}
