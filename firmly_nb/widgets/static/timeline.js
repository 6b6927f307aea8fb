// The timeline: puts the parts together, listens to the kernel, and lets time pass.

import { cartSheet } from "./cart_sheet.js";
import { followKey, h, isStill, keepShortcutsOut, number, replace, stated, stopTabAt, uncertainty } from "./dom.js";
import { jsonTree } from "./json_tree.js";
import { KERNEL_GONE, listen, saveToKernel, sendToKernel, watchKernel } from "./kernel.js";
import { drawLine, drawNothing, emptyLane, growBar, orderView, stagePatterns } from "./timeline_order.js";
import { alignedAt, axisFor, axisTicks, compareStages, differenceWords, dropOld, eventWords, newestFirst, orderName, takeEvent, takeOrder } from "./timeline_state.js";

const STILL_EVERY_MS = 1000;

function render({ model, el }) {
  const timeline = makeTimeline(model);
  el.append(timeline.element);
  keepShortcutsOut(timeline.element);
  const each = (names, call) => Object.fromEntries(names.map((name) => [`change:${name}`, () => call(timeline)]));
  const stop = listen(model, {
    ...each(["_orders", "_recent", "_live", "_first"], readState),
    ...each(["_left_out", "selected", "compared", "align", "details", "expecting"], redrawSoon),
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
  timeline.example = emptyExample(model.get("_looks").placed);
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
  timeline.element.append(stagePatterns(timeline.element, model.get("_looks")));
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

// Many orders as thin rows under one axis: click one to look at it, mark one to compare it.
// One stop for the tab key: up and down go from order to order, right to its compare button.

const ROW_HEIGHT = 24; // as in the style sheet
const ROWS_SEEN = 11;
const ROWS_AROUND = 8;

/** Make the list. */
export function orderList({ onLook, onCompare, onAlign }) {
  const list = {
    onLook,
    onCompare,
    rows: new Map(),
    running: [],
    scrolled: 0,
    count: h("span", { class: "count" }),
    choice: h("select", { onchange: (event) => onAlign(event.target.value) }),
    names: "",
    rowsElement: h("ol", { class: "orders", "aria-label": "orders, the newest first" }),
    note: h("p", { class: "quiet note" }),
  };
  const align = h("label", { class: "align" }, "aligned on ", list.choice);
  list.rowsElement.addEventListener("keydown", (event) => onListKey(list, event));
  list.rowsElement.addEventListener("scroll", () => {
    list.scrolled = list.rowsElement.scrollTop;
    drawVisibleLanes(list);
  });
  list.element = h("section", { class: "many", "aria-label": "all orders" }, h("div", { class: "bar-above" }, list.count, align), list.rowsElement, list.note);
  return {
    element: list.element,
    show: (...args) => showList(list, ...args),
    tick: (elapsed) => tickList(list, elapsed),
  };
}

function showList(list, orders, shown) {
  const { align, current, leftOut } = shown;
  list.element.hidden = orders.length < 2 && !leftOut;
  list.count.textContent = `${stated(orders.length)} orders`;
  list.note.hidden = !leftOut;
  list.note.textContent = leftOut ? `${stated(leftOut)} older orders are not drawn; make a timeline of those you want to see.` : "";
  drawChoice(list, orders, align);
  const ids = new Set(orders.map((order) => order.recording_id));
  for (const id of list.rows.keys()) if (!ids.has(id)) list.rows.delete(id);
  list.shown = { ...shown, orders };
  const rows = orders.map((order) => list.rows.get(order.recording_id) ?? newRow(list, order.recording_id));
  orders.forEach((order, n) => drawName(rows[n], order, shown));
  placeRows(list.rowsElement, rows.map((row) => row.element));
  drawVisibleLanes(list);
  ensureTabStop(list, current);
}

function newRow(list, id) {
  const look = h("button", { type: "button", class: "look clipped", tabindex: "-1", onclick: () => list.onLook(id) });
  const compare = h("button", { type: "button", class: "compare", tabindex: "-1", onclick: () => list.onCompare(id) }, "⇄");
  const lane = emptyLane();
  lane.addEventListener("click", () => list.onLook(id));
  const time = h("span", { class: "number" });
  const row = { look, compare, lane, time, drawn: "", element: h("li", { class: "row order-row" }, h("span", { class: "order-name" }, look, compare), lane, time) };
  list.rows.set(id, row);
  return row;
}

function drawName(row, order, { current, compared }) {
  const { end } = order;
  const isCurrent = order.recording_id === current;
  const isCompared = order.recording_id === compared;
  const name = orderName(order);
  const named = JSON.stringify([name, end?.mark, end?.t_ms, isCurrent, isCompared]);
  if (named === row.named) return;
  row.named = named;
  row.element.className = `row order-row${isCurrent ? " current" : ""}${isCompared ? " compared" : ""}`;
  row.look.setAttribute("aria-current", String(isCurrent));
  row.look.title = `${name} · ${order.domain}`;
  const word = end?.order_number ? h("span", { class: "visually-hidden" }, `${end.word} `) : null;
  replace(row.look, h("span", { class: end?.tone ?? "quiet", "aria-hidden": "true" }, end ? end.mark : "…"), " ", word, h("bdi", {}, name));
  row.compare.setAttribute("aria-pressed", String(isCompared));
  row.compare.disabled = isCurrent;
  row.compare.setAttribute("aria-label", `compare order ${name} with the one shown above`);
  row.compare.title = "compare with the order shown above";
  row.time.textContent = end ? number(end.t_ms) : "";
}

/** Of hundreds of rows ten can be seen; only they, and a few around them, are drawn. */
function drawVisibleLanes(list) {
  const first = Math.max(Math.floor(list.scrolled / ROW_HEIGHT) - ROWS_AROUND, 0);
  const visible = list.shown.orders.slice(first, first + ROWS_SEEN + 2 * ROWS_AROUND);
  list.running = [];
  for (const order of visible) drawLane(list, list.rows.get(order.recording_id), order);
}

function drawLane(list, row, order) {
  const { axis, align, elapsed } = list.shown;
  const zero = alignedAt(order, align);
  const drawn = JSON.stringify([order.stages, order.end?.outcome, axis.from, axis.to, zero]);
  if (order.end && drawn === row.drawn) return;
  row.drawn = drawn;
  if (zero === null) return void drawNothing(row.lane, `did not reach ${align}`);
  const running = drawLine(row.lane, order, axis, zero, elapsed(order));
  if (running) list.running.push({ ...running, row, order, zero, axis });
}

/** Put rows in their places and move none that is there already: a focused one keeps the focus. */
function placeRows(element, rows) {
  const wanted = new Set(rows);
  for (const child of [...element.children]) if (!wanted.has(child)) child.remove();
  rows.forEach((row, n) => {
    if (element.children[n] !== row) element.insertBefore(row, element.children[n] ?? null);
  });
}

function tickList(list, elapsed) {
  for (const { bar, begin_ms, row, order, zero, axis } of list.running) {
    growBar(bar, axis, begin_ms, elapsed(order) - zero);
    row.time.textContent = number(elapsed(order));
  }
}

function drawChoice(list, orders, align) {
  const names = new Set(["start"]);
  for (const order of orders) for (const stage of order.stages) names.add(stage.milestone);
  names.add(align);
  const joined = JSON.stringify([...names]);
  if (joined !== list.names) {
    list.names = joined;
    const words = (name) => (name === "start" ? "the request" : name);
    replace(list.choice, [...names].map((name) => h("option", { value: name }, words(name))));
  }
  list.choice.value = align;
}

function ensureTabStop(list, current) {
  const rows = [...list.rows.values()];
  if (rows.some((row) => row.look.tabIndex === 0)) return;
  const row = list.rows.get(current) ?? rows[0];
  if (row) row.look.tabIndex = 0;
}

function onListKey(list, event) {
  const column = document.activeElement.classList.contains("compare") ? "compare" : "look";
  const rows = [...list.rowsElement.children];
  const at = rows.indexOf(document.activeElement.closest(".order-row"));
  const to = (index, kind) => () => {
    const goal = rows[Math.min(Math.max(index, 0), rows.length - 1)];
    const target = goal.querySelector(`.${kind}:not(:disabled)`) ?? goal.querySelector(".look");
    stopTabAt(list.rowsElement.querySelectorAll("button"), target);
    goal.scrollIntoView({ block: "nearest" });
    return target;
  };
  followKey(event, {
    ArrowDown: to(at + 1, column),
    ArrowUp: to(at - 1, column),
    ArrowRight: to(at, "compare"),
    ArrowLeft: to(at, "look"),
    Home: to(0, column),
    End: to(rows.length - 1, column),
  });
}

// Two orders stage by stage: a table of both and of the difference.

/** Make the comparison; `onEnd` is called when it is closed. */
export function orderComparison({ onEnd }) {
  const table = h("table");
  const close = h("button", { type: "button", class: "close", onclick: onEnd }, "Stop comparing");
  const element = h("section", { class: "comparison", "aria-label": "two orders compared", hidden: true }, table, close);
  return { element, show: (order, other) => showComparison(element, table, order, other) };
}

function showComparison(element, table, order, other) {
  element.hidden = !other || other === order;
  if (element.hidden) return replace(table);
  const heads = ["stage", orderName(order), orderName(other), "difference"];
  return replace(
    table,
    h("caption", {}, "Where do they differ? Times in ms; the bound of a difference is that of both."),
    h("thead", {}, h("tr", {}, heads.map((words, n) => h("th", { scope: "col", class: n ? "number" : "" }, h("bdi", {}, words))))),
    h("tbody", {}, compareStages(order, other).map(comparedRow)),
  );
}

function comparedRow(row) {
  const bound = row.uncertainty_ms > 1 ? ` ±${uncertainty(1000 * row.uncertainty_ms)}` : "";
  const sure = row.difference_ms !== null && Math.abs(row.difference_ms) > (row.uncertainty_ms ?? 0);
  const tone = !sure ? "quiet" : row.difference_ms > 0 ? "slower" : "faster";
  return h(
    "tr",
    {},
    h("th", { scope: "row", class: "clipped", title: row.name }, h("bdi", {}, row.name)),
    h("td", { class: "number" }, number(row.own_ms)),
    h("td", { class: "number" }, number(row.other_ms)),
    h("td", { class: `number ${tone}` }, `${differenceWords(row.difference_ms)}${bound}`),
  );
}

// What one event carried. It can be large, so the kernel sends it only when it is asked for.

/** Make the panel; `ask(recording_id, seq)` asks the kernel, `onEnd` is called when it is closed. */
export function eventDetails({ ask, onEnd }) {
  const panel = { ask, key: "", asked: "" };
  panel.head = h("h3", { class: "clipped" });
  panel.words = h("p", { class: "quiet" });
  panel.cart = h("div", { class: "cart" });
  panel.tree = jsonTree("JSON of the event");
  const close = h("button", { type: "button", class: "close", onclick: onEnd }, "Close");
  panel.element = h(
    "section",
    { class: "details", "aria-label": "the event that is looked at", hidden: true },
    h("header", { class: "head" }, panel.head, close),
    panel.words,
    h("div", { class: "carried" }, panel.cart, panel.tree.element),
  );
  return {
    element: panel.element,
    show: (order, selected) => showDetails(panel, order, selected),
    receive: (message) => receiveDetails(panel, message),
  };
}

function showDetails(panel, order, selected) {
  const event = order?.events.find((each) => each.seq === selected?.seq);
  panel.element.hidden = !event;
  panel.key = event ? detailsKey(order.recording_id, event.seq) : "";
  if (!event || panel.asked === panel.key) return;
  panel.asked = panel.key;
  replace(panel.head, h("bdi", {}, event.event), ` · event ${event.seq} of ${order.events.length}`);
  panel.words.textContent = eventWords(event);
  replace(panel.cart);
  panel.tree.say("Asking the kernel for what it carried; a busy kernel answers when its cell is done.");
  if (panel.ask(order.recording_id, event.seq) === false) panel.tree.say(KERNEL_GONE);
}

function receiveDetails(panel, message) {
  if (detailsKey(message.recording_id, message.seq) !== panel.key) return;
  if (message.kind === "json") panel.tree.show(message.text, message.left_out);
  if (message.kind === "cart") replace(panel.cart, carriedCart(message));
}

function carriedCart({ seq, cart }) {
  if (!cart) return null;
  return cartSheet(cart.sheet, cart.steps.find((step) => step.seq === seq), cart.about, cart.steps);
}

function detailsKey(recording_id, seq) {
  return `${recording_id} ${seq}`;
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
  const axis = { from: 0, to: 1250 };
  view.show(exampleOrder(placed), { ...axis, ticks: axisTicks(axis) }, 0, 0, null);
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
  return { recording_id: "example", number: 0, domain: "an example", events, stages, end };
}

export default { render };
