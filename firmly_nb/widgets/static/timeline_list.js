// Many orders as thin rows under one axis: click one to look at it, mark one to compare it.
// One stop for the tab key: up and down go from order to order, right to its compare button.

import { h, milliseconds, replace } from "./dom.js";
import { drawLine, drawNothing, emptyLane, growBar } from "./timeline_lane.js";
import { alignedAt } from "./timeline_state.js";
import { orderName } from "./timeline_words.js";

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
  list.count.textContent = `${milliseconds(orders.length, 0)} orders`;
  list.note.hidden = !leftOut;
  list.note.textContent = leftOut ? `${milliseconds(leftOut, 0)} older orders are not drawn; make a timeline of those you want to see.` : "";
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
  row.time.textContent = end ? milliseconds(end.t_ms, 0) : "";
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
    row.time.textContent = milliseconds(elapsed(order), 0);
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
  const row = document.activeElement.closest(".order-row");
  const column = document.activeElement.classList.contains("compare") ? "compare" : "look";
  const rows = [...list.rowsElement.children];
  const at = rows.indexOf(row);
  const goals = {
    ArrowDown: [at + 1, column],
    ArrowUp: [at - 1, column],
    ArrowRight: [at, "compare"],
    ArrowLeft: [at, "look"],
    Home: [0, column],
    End: [rows.length - 1, column],
  };
  if (!(event.key in goals) || at < 0) return;
  event.preventDefault();
  event.stopPropagation();
  const [index, kind] = goals[event.key];
  const goal = rows[Math.min(Math.max(index, 0), rows.length - 1)];
  const target = goal.querySelector(`.${kind}:not(:disabled)`) ?? goal.querySelector(".look");
  for (const button of list.rowsElement.querySelectorAll("button")) button.tabIndex = button === target ? 0 : -1;
  target.focus();
  goal.scrollIntoView({ block: "nearest" });
}
