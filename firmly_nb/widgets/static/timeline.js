// The timeline: puts the parts together, listens to the kernel, and lets time pass.

import { h, isStill, keepShortcutsOut, duration } from "./dom.js";
import { KERNEL_GONE, listen, saveToKernel, sendToKernel, watchKernel } from "./kernel.js";
import { eventDetails, eventSearch } from "./timeline_details.js";
import { stagePatterns } from "./timeline_lane.js";
import { orderComparison, orderList } from "./timeline_list.js";
import { orderView } from "./timeline_order.js";
import { addEvents, alignedAt, axisFor, axisOfOne, axisTicks, dropOld, isReached, newestFirst, orderName, takeEvents, takeOrder } from "./timeline_state.js";

const STILL_EVERY_MS = 1000;
const LONG_MS = 10000; // a running order is told of once more after this
const SHORTEST_ZOOM_MS = 0.05;
const COUNTED = Symbol.for("firmly-nb timelines");

function render({ model, el }) {
  const timeline = makeTimeline(model);
  el.append(timeline.element);
  keepShortcutsOut(timeline.element);
  const each = (names, call) => Object.fromEntries(names.map((name) => [`change:${name}`, () => call(timeline)]));
  const stop = listen(model, {
    ...each(["_orders", "_recent", "_live", "_first", "_picked"], readState),
    ...each(["_left_out", "selected", "compared", "align", "details", "expecting", "only", "brush"], redrawSoon),
    "msg:custom": (content) => onMessage(timeline, content),
  });
  timeline.kernel = watchKernel(model, {
    isDue: () => [...timeline.orders.values()].some((order) => !order.end),
    tell: () => kernelChanged(timeline),
  });
  readState(timeline);
  redraw(timeline);
  return () => {
    timeline.kernel.close();
    stop();
    cancelAnimationFrame(timeline.due);
    stopTime(timeline);
  };
}

function makeTimeline(model) {
  const timeline = { model, orders: new Map(), read: new Map(), floors: new Map(), asked: new Set(), told: new Map(), zoom: null, frame: 0, timer: 0, due: 0 };
  const ask = (question) => sendToKernel(model, question);
  const setState = (name, value) => {
    model.set(name, value);
    saveToKernel(model);
    redraw(timeline);
  };
  timeline.ask = ask;
  timeline.look = (recording_id, seq = null) => setState("selected", { recording_id, seq });
  timeline.tools = lineTools(timeline);
  timeline.order = orderView({
    onPick: (seq) => timeline.look(timeline.current.recording_id, seq),
    onZoom: (zoom) => zoomTo(timeline, zoom),
    tools: timeline.tools.elements,
  });
  timeline.list = orderList({
    onLook: (id) => timeline.look(id),
    onCompare: (id) => setState("compared", model.get("compared") === id ? null : id),
    onAlign: (name) => setState("align", name),
    onOnly: (word) => setState("only", word),
    onBrush: (brush) => setState("brush", brush),
  });
  timeline.comparison = orderComparison({ onEnd: () => setState("compared", null) });
  timeline.details = eventDetails({ ask, onEnd: () => timeline.look(timeline.current.recording_id), onTools: () => timeline.tools.show() });
  timeline.search = eventSearch({
    ask: (text, everywhere) => ask({ kind: "find", text, recording_id: everywhere ? null : timeline.current?.recording_id }),
    onPick: (recording_id, seq) => timeline.look(recording_id, seq),
  });
  timeline.live = h("p", { class: "visually-hidden", role: "status" });
  timeline.gone = h("p", { class: "warn", role: "status", hidden: true });
  timeline.example = emptyExample(model.get("_looks").placed);
  document[COUNTED] = (document[COUNTED] ?? 0) + 1;
  const number = document[COUNTED] > 1 ? ` (${document[COUNTED]})` : "";
  timeline.element = h(
    "div",
    { class: "firmly timeline", dir: "ltr", role: "region", "aria-label": `Timeline of orders${number}` },
    timeline.gone,
    timeline.example.element,
    timeline.order.element,
    timeline.tools.copied,
    timeline.details.element,
    timeline.search.element,
    timeline.list.element,
    timeline.comparison.element,
    timeline.live,
  );
  timeline.element.append(stagePatterns(timeline.element, model.get("_looks")));
  return timeline;
}

/** Make the buttons of the line about an event: what it carried, and the order as a command. */
function lineTools(timeline) {
  const names = { cart: "cart", changes: "changes", json: "JSON", bytes: "bytes" };
  const parts = Object.keys(names).map((name) => h("button", { type: "button", "aria-pressed": "false", onclick: () => openPart(timeline, name) }, names[name]));
  const curl = h("button", { type: "button", onclick: () => askForCurl(timeline) }, "copy as curl");
  const copied = h("div", { class: "copied", hidden: true });
  const show = () => {
    const { details, model } = timeline;
    Object.keys(names).forEach((name, n) => {
      parts[n].hidden = !model.get("details");
      parts[n].setAttribute("aria-pressed", String(details.isShown(name)));
    });
    const changes = details.changes();
    parts[1].textContent = changes === undefined ? "changes" : `changes (${changes})`;
  };
  return { elements: [...parts, curl], copied, show };
}

function openPart(timeline, name) {
  const { current, details, model, order } = timeline;
  const event = order.looked();
  details.toggle(name);
  const selected = model.get("selected");
  const isPicked = selected?.recording_id === current?.recording_id && Number.isInteger(selected?.seq);
  if (current && event && !isPicked) timeline.look(current.recording_id, event.seq);
  timeline.tools.show();
}

function askForCurl(timeline) {
  if (timeline.ask({ kind: "curl", recording_id: timeline.current.recording_id }) === false) showCurl(timeline, { text: "", note: KERNEL_GONE });
}

/** Put the command on the clipboard; where the browser has none, show it to be copied. */
async function showCurl(timeline, { text, note }) {
  const { copied } = timeline.tools;
  let words = note;
  try {
    await navigator.clipboard.writeText(text);
    words = `Copied. ${note}`;
  } catch {
    if (text) words = `Copy this. ${note}`;
  }
  const close = h("button", { type: "button", class: "close", onclick: () => (copied.hidden = true) }, "Close");
  copied.replaceChildren(h("div", { class: "head" }, h("p", { role: "status" }, words), close), h("pre", { tabindex: "0", role: "group", "aria-label": "the order as a command" }, text));
  copied.hidden = false;
}

/** Take what the kernel's state has; lists that did not change are not read again. */
function readState(timeline) {
  const { model, orders, read } = timeline;
  const lists = ["_orders", "_recent", "_live"].map((name) => [name, model.get(name)]);
  dropOld(orders, model.get("_first"), lists.flatMap(([, list]) => list));
  for (const [name, list] of lists) {
    const isNew = read.get(name) !== list;
    read.set(name, list);
    for (const order of list) if (isNew || !orders.has(order.recording_id)) setOrigin(takeOrder(orders, order));
  }
  const picked = model.get("_picked");
  const order = picked && orders.get(picked.recording_id);
  if (order) addEvents(order, [picked.event]);
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
  if (["json", "cart", "bytes", "differences"].includes(content.kind)) return timeline.details.receive(content);
  if (content.kind === "curl") return void showCurl(timeline, content);
  if (content.kind === "found") {
    for (const { recording_id, event } of content.rows) if (orders.has(recording_id)) addEvents(orders.get(recording_id), [event]);
    timeline.search.receive(content);
    timeline.order.mark(content.rows.filter((row) => row.recording_id === timeline.current?.recording_id).map((row) => row.event.seq));
  }
  if (content.kind === "part" && orders.has(content.recording_id)) addEvents(orders.get(content.recording_id), content.events);
  if (content.kind === "order") {
    const order = takeOrder(orders, content.order);
    if (!order.end) setOrigin(order, 0);
    tellOutcome(timeline, order);
  }
  if (content.kind === "events") {
    setOrigin(takeEvents(orders, content), content.events.at(-1).t_ms);
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
  order.origin ??= now - Math.max(order.last_ms, Date.now() - order.started_at_ms);
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
  if (timeline.current !== current) timeline.zoom = null;
  timeline.current = current;
  timeline.sorted = orders;
  timeline.example.expect(model.get("expecting") === true);
  if (current) timeline.example.element.remove();
  else timeline.gone.after(timeline.example.element);
  timeline.order.element.hidden = timeline.search.element.hidden = !current;
  const own = selected?.recording_id === current?.recording_id ? selected : null;
  if (current) drawCurrent(timeline, current, orders, own);
  else timeline.list.element.hidden = true;
  const compared = current && timeline.orders.get(model.get("compared"));
  timeline.comparison.show(current, compared);
  timeline.details.show(current, model.get("details") ? own : null, compared?.recording_id);
  timeline.tools.show();
  letTimePass(timeline);
}

function drawCurrent(timeline, current, orders, selected) {
  const { model } = timeline;
  const align = model.get("align");
  const axis = axisOf(timeline, current);
  timeline.drawnTo = axis.to;
  askForEvents(timeline, current, axis);
  timeline.order.show(current, axis, zeroOf(timeline, current), elapsedOf(current), selected, Boolean(timeline.zoom));
  timeline.listAxis = axisOfList(timeline, current, orders, align);
  timeline.list.show(orders, {
    axis: timeline.listAxis,
    align,
    brush: model.get("brush"),
    only: model.get("only"),
    current: current.recording_id,
    compared: model.get("compared"),
    leftOut: model.get("_left_out"),
    elapsed: elapsedOf,
  });
}

function zeroOf(timeline, order) {
  return alignedAt(order, timeline.model.get("align")) ?? 0;
}

/** The axis of the order that is looked at: its own, or the part that was zoomed to. */
function axisOf(timeline, current) {
  const zero = zeroOf(timeline, current);
  const { zoom } = timeline;
  // An order that runs begins with the length that the others lead to expect.
  if (!current.end && !timeline.floors.has(current.recording_id)) {
    const others = timeline.sorted.filter((order) => order !== current && order.end);
    timeline.floors.set(current.recording_id, axisFor(others, null, "start").to);
  }
  const own = axisOfOne(current, zero, elapsedOf(current), timeline.floors.get(current.recording_id) ?? 0);
  const axis = zoom ?? own;
  return { ...axis, ticks: axisTicks(axis) };
}

/** The axis of all rows only grows while an order is under way; once it has ended, it fits them. */
function axisOfList(timeline, current, orders, align) {
  const key = `list ${current.recording_id} ${align}`;
  const axis = axisFor(orders, current, align, elapsedOf, current.end ? 0 : timeline.floors.get(key) ?? 0);
  if (!current.end) timeline.floors.set(key, axis.to);
  return { ...axis, ticks: axisTicks(axis) };
}

/** Of a long stream the state has some events; ask once for more, and once for each part zoomed to. */
function askForEvents(timeline, order, axis) {
  if (!order.end || order.events.length >= order.event_count) return;
  const zero = zeroOf(timeline, order);
  const [from_ms, to_ms] = [axis.from + zero, axis.to + zero];
  const key = JSON.stringify([order.recording_id, from_ms, to_ms]);
  if (timeline.asked.has(key)) return;
  timeline.asked.add(key);
  timeline.ask({ kind: "events", recording_id: order.recording_id, from_ms, to_ms });
}

function zoomTo(timeline, zoom) {
  const zero = zeroOf(timeline, timeline.current);
  const whole = axisOfOne(timeline.current, zero, elapsedOf(timeline.current), timeline.floors.get(timeline.current.recording_id) ?? 0);
  const from = zoom && Math.max(zoom.from, whole.from);
  const to = zoom && Math.min(zoom.to, whole.to);
  const isWhole = !zoom || to - from < SHORTEST_ZOOM_MS || to - from >= whole.to - whole.from;
  // A part that is too short to tell anything is not gone to.
  if (zoom && to - from < SHORTEST_ZOOM_MS) return;
  timeline.zoom = isWhole ? null : { from, to };
  redraw(timeline);
}

function letTimePass(timeline) {
  stopTime(timeline);
  if (timeline.kernel.words() || !timeline.sorted.some((order) => !order.end)) return;
  const step = () => {
    // First the next turn, since drawing may begin all turns anew.
    letTimePass(timeline);
    passTime(timeline);
  };
  if (isStill()) timeline.timer = setTimeout(step, STILL_EVERY_MS);
  else timeline.frame = requestAnimationFrame(step);
}

function passTime(timeline) {
  const { current, sorted } = timeline;
  for (const order of sorted) if (!order.end) tellLong(timeline, order);
  const align = timeline.model.get("align");
  const isLonger = axisOf(timeline, current).to !== timeline.drawnTo || axisOfList(timeline, current, sorted, align).to !== timeline.listAxis.to;
  if (isLonger) return redraw(timeline);
  timeline.order.tick(elapsedOf(current));
  timeline.list.tick(elapsedOf);
  return undefined;
}

function stopTime(timeline) {
  cancelAnimationFrame(timeline.frame);
  clearTimeout(timeline.timer);
}

/** Say once how an order ended. */
function tellOutcome(timeline, order) {
  if (!order.end || timeline.told.get(order.recording_id) === "ended") return;
  timeline.told.set(order.recording_id, "ended");
  timeline.live.textContent = order.end.verdict;
}

/** Say once of an order that it takes long, and where it is. */
function tellLong(timeline, order) {
  if (elapsedOf(order) < LONG_MS || timeline.told.has(order.recording_id)) return;
  timeline.told.set(order.recording_id, "long");
  const last = order.stages.findLast(isReached)?.milestone;
  timeline.live.textContent = `Order ${orderName(order)} for ${duration(elapsedOf(order))}, ${last ? `after ${last}` : "before any milestone"}.`;
}

/** Leave marks in the browser's own record of how late events were on the screen. */
function markDrawn({ recording_id, events }) {
  const start = performance.now();
  const mark = () => {
    const end = performance.now();
    for (const { seq, arrived_at_ms } of events) {
      const late_ms = performance.timeOrigin + end - arrived_at_ms;
      performance.measure("firmly-nb:drawn", { start, end, detail: { recording_id, seq, late_ms } });
    }
  };
  // The first frame paints it, the second comes after the paint.
  requestAnimationFrame(() => requestAnimationFrame(mark));
}

// What a timeline without an order shows: how one will look, greyed, and what to do.

const EXAMPLE = [
  ["creating-cart", 0, 96],
  ["item-added", 96, 498],
  ["shipping-updated", 498, 987],
  ["order-placed", 987, 1204],
];

const INVITATION = "Place an order to see yours.";

/** Make the example; nothing in it can be used. */
export function emptyExample(placed) {
  const view = orderView({ onPick: () => {} });
  const axis = { from: 0, to: 1204 };
  view.show(exampleOrder(placed), { ...axis, ticks: axisTicks(axis) }, 0, 0, null, false);
  view.element.inert = true;
  view.element.setAttribute("aria-hidden", "true");
  const words = h("p", { class: "invitation" }, INVITATION);
  const element = h("div", { class: "example" }, view.element, words);
  return {
    element,
    /** Say that an order was sent of which nothing is recorded yet; an example would mislead now. */
    expect(isExpecting) {
      element.classList.toggle("expecting", isExpecting);
      words.textContent = isExpecting ? "The order is on its way." : INVITATION;
    },
  };
}

function exampleOrder(placed) {
  const events = EXAMPLE.map(([event, , t_ms], index) => ({ seq: index + 1, event, t_ms, uncertainty_us: 50, clock: "kernel", bytes: 0 }));
  const stages = EXAMPLE.map(([stage, start_ms, end_ms], index) => ({
    stage,
    milestone: stage,
    seq: index + 1,
    start_ms,
    end_ms,
    duration_ms: end_ms - start_ms,
    uncertainty_us: 100,
    look: index + 1,
  }));
  const end = { ...placed, tone: "quiet", t_ms: 1204, order_number: "", warnings: [], comments_ms: [] };
  return { recording_id: "example", number: 0, domain: "an example", events, event_count: events.length, inserted: 0, stages, end };
}

export default { render };
