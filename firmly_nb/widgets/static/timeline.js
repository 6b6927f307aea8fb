// The timeline: puts the parts together, listens to the kernel, and lets time pass.

import { h, isStill } from "./dom.js";
import { saveToKernel, sendToKernel, watchKernel } from "./kernel.js";
import { keepShortcutsOut } from "./shortcuts.js";
import { orderComparison } from "./timeline_compare.js";
import { eventDetails } from "./timeline_details.js";
import { emptyExample } from "./timeline_example.js";
import { orderList } from "./timeline_list.js";
import { orderView } from "./timeline_order.js";
import { alignedAt, axisFor, axisTicks, dropOld, newestFirst, takeEvent, takeOrder } from "./timeline_state.js";

const STILL_EVERY_MS = 1000;

function render({ model, el }) {
  const timeline = makeTimeline(model);
  el.append(timeline.element);
  keepShortcutsOut(timeline.element);
  const listeners = {
    "change:_orders": () => readState(timeline),
    "change:_recent": () => readState(timeline),
    "change:_live": () => readState(timeline),
    "change:_first": () => readState(timeline),
    "change:_left_out": () => redrawSoon(timeline),
    "change:selected": () => redrawSoon(timeline),
    "change:compared": () => redrawSoon(timeline),
    "change:align": () => redrawSoon(timeline),
    "change:details": () => redrawSoon(timeline),
    "change:expecting": () => redrawSoon(timeline),
    "msg:custom": (content) => onMessage(timeline, content),
  };
  for (const [name, listen] of Object.entries(listeners)) model.on(name, listen);
  timeline.kernel = watchKernel(model, {
    isDue: () => [...timeline.orders.values()].some((order) => !order.end),
    tell: () => kernelChanged(timeline),
  });
  readState(timeline);
  redraw(timeline);
  return () => {
    timeline.kernel.close();
    for (const [name, listen] of Object.entries(listeners)) model.off(name, listen);
    cancelAnimationFrame(timeline.due);
    stopTime(timeline);
  };
}

function makeTimeline(model) {
  const timeline = { model, orders: new Map(), floors: new Map(), frame: 0, timer: 0, told: "" };
  const setState = (name, value) => {
    model.set(name, value);
    saveToKernel(model);
    redraw(timeline);
  };
  timeline.look = (recording_id, seq = null) => setState("selected", { recording_id, seq });
  timeline.order = orderView({ onPick: (seq) => timeline.look(timeline.current.recording_id, seq) });
  timeline.list = orderList({
    onLook: (id) => timeline.look(id),
    onCompare: (id) => setState("compared", model.get("compared") === id ? null : id),
    onAlign: (name) => setState("align", name),
  });
  timeline.comparison = orderComparison({ onEnd: () => setState("compared", null) });
  timeline.details = eventDetails({
    ask: (recording_id, seq) => sendToKernel(model, { kind: "details", recording_id, seq }),
    onEnd: () => timeline.look(timeline.current.recording_id),
  });
  timeline.live = h("p", { class: "visually-hidden", role: "status" });
  timeline.gone = h("p", { class: "warn", role: "status", hidden: true });
  timeline.example = emptyExample();
  timeline.element = h(
    "div",
    { class: "firmly timeline", dir: "ltr", role: "region", "aria-label": "Timeline of orders" },
    timeline.gone,
    timeline.example.element,
    timeline.order.element,
    timeline.list.element,
    timeline.comparison.element,
    timeline.details.element,
    timeline.live,
  );
  return timeline;
}

function readState(timeline) {
  const { model, orders } = timeline;
  const listed = ["_orders", "_recent", "_live"].flatMap((name) => model.get(name));
  dropOld(orders, model.get("_first"), listed);
  for (const order of listed) setOrigin(takeOrder(orders, order));
  timeline.kernel.look();
  redrawSoon(timeline);
}

/** Draw with the next frame, once for all that comes before it; it could not be seen sooner. */
function redrawSoon(timeline) {
  timeline.due ||= requestAnimationFrame(() => redraw(timeline));
}

function onMessage(timeline, content) {
  const { orders } = timeline;
  if (content.type === "beat") return undefined;
  if (content.kind === "json" || content.kind === "cart") return timeline.details.receive(content);
  if (content.kind === "order") {
    const order = takeOrder(orders, content.order);
    if (!order.end) setOrigin(order, 0);
    tellOutcome(timeline, order);
  }
  if (content.kind === "event") {
    setOrigin(takeEvent(orders, content), content.event.t_ms);
    markDrawn(content);
  }
  return redrawSoon(timeline);
}

/** Say where the request lies on the browser's own clock, the better the sooner a message came. */
function setOrigin(order, t_ms = null) {
  if (order.end) return;
  const now = performance.now();
  if (t_ms !== null) order.origin = Math.min(order.origin ?? Infinity, now - t_ms);
  // After a reload only the wall clock tells, and it can be off: never before the last event.
  const last = order.events.at(-1)?.t_ms ?? 0;
  order.origin ??= now - Math.max(last, Date.now() - order.started_at_ms);
}

/** Stop the time of orders while nothing comes of them, and let it go on with the next word. */
function kernelChanged(timeline) {
  const words = timeline.kernel.words();
  for (const order of timeline.orders.values()) order.stopped = words ? elapsedOf(order) : undefined;
  timeline.gone.textContent = words;
  timeline.gone.hidden = !words;
  redraw(timeline);
}

function elapsedOf(order) {
  if (order.stopped !== undefined) return order.stopped;
  return order.end || order.origin === null ? 0 : Math.max(0, performance.now() - order.origin);
}

function redraw(timeline) {
  const { model } = timeline;
  cancelAnimationFrame(timeline.due);
  timeline.due = 0;
  const orders = newestFirst(timeline.orders);
  const selected = model.get("selected");
  const current = timeline.orders.get(selected?.recording_id) ?? orders[0];
  timeline.current = current;
  timeline.example.expect(model.get("expecting") === true);
  if (current) timeline.example.element.remove();
  else timeline.gone.after(timeline.example.element);
  timeline.order.element.hidden = !current;
  if (current) drawCurrent(timeline, current, orders, selected);
  else timeline.list.element.hidden = true;
  timeline.comparison.show(current, current && timeline.orders.get(model.get("compared")));
  const looksAtEvent = model.get("details") && selected?.recording_id === current?.recording_id;
  timeline.details.show(current, looksAtEvent ? selected : null);
  letTimePass(timeline);
}

function drawCurrent(timeline, current, orders, selected) {
  const align = timeline.model.get("align");
  const axis = axisOf(timeline, current, orders, align);
  timeline.drawnTo = axis.to;
  const zero = alignedAt(current, align) ?? 0;
  timeline.order.show(current, axis, zero, elapsedOf(current), selected);
  timeline.list.show(orders, {
    axis,
    align,
    current: current.recording_id,
    compared: timeline.model.get("compared"),
    leftOut: timeline.model.get("_left_out"),
    elapsed: elapsedOf,
  });
}

/** The axis only grows while an order is under way, and stays so when it has ended. */
function axisOf(timeline, current, orders, align) {
  const others = orders.filter((order) => order !== current && order.end);
  const key = `${current.recording_id} ${align}`;
  const before = timeline.floors.get(key) ?? (current.end ? 0 : axisFor(others, null, align).to);
  const axis = axisFor(orders, current, align, elapsedOf, before);
  if (!current.end) timeline.floors.set(key, axis.to);
  return { ...axis, ticks: axisTicks(axis), key };
}

function letTimePass(timeline) {
  stopTime(timeline);
  if (timeline.kernel.words() || ![...timeline.orders.values()].some((order) => !order.end)) return;
  const step = () => {
    // First the next turn, since drawing may begin all turns anew.
    letTimePass(timeline);
    passTime(timeline);
  };
  if (isStill()) timeline.timer = setTimeout(step, STILL_EVERY_MS);
  else timeline.frame = requestAnimationFrame(step);
}

function passTime(timeline) {
  const { current } = timeline;
  const axis = axisOf(timeline, current, newestFirst(timeline.orders), timeline.model.get("align"));
  if (axis.to !== timeline.drawnTo) return redraw(timeline);
  timeline.order.tick(elapsedOf(current));
  timeline.list.tick(elapsedOf);
}

function stopTime(timeline) {
  cancelAnimationFrame(timeline.frame);
  clearTimeout(timeline.timer);
}

function tellOutcome(timeline, order) {
  if (!order.end || timeline.told === order.recording_id) return;
  timeline.told = order.recording_id;
  timeline.live.textContent = order.end.verdict;
}

/** Leave a mark in the browser's own record of how late an event was on the screen. */
function markDrawn({ recording_id, event, arrived_at_ms }) {
  const start = performance.now();
  const mark = () => {
    const end = performance.now();
    const late_ms = performance.timeOrigin + end - arrived_at_ms;
    performance.measure("firmly-nb:drawn", { start, end, detail: { recording_id, seq: event.seq, late_ms } });
  };
  // The first frame paints it, the second comes after the paint.
  requestAnimationFrame(() => requestAnimationFrame(mark));
}

export default { render };
