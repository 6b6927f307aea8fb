// Many orders as thin rows under one axis: click one to look at it, mark one to compare it. Chips
// filter by outcome; a histogram of the orders' times stands over the rows, and a brush on it
// selects some. In the rows there is one stop for the tab key: up and down go from order to order,
// right to its compare button.

import { duration, followKey, h, number, replace, stated, stopTabAt, svg, uncertainty } from "./dom.js";
import { axisLabels, drawLine, drawNothing, emptyLane, growBar } from "./timeline_lane.js";
import { againstWords, alignedAt, axisWords, compareStages, differenceWords, median, orderName, percent } from "./timeline_state.js";

const ROW_HEIGHT = 24; // where there is no row to measure
const ROWS_SEEN = 11;
const ROWS_AROUND = 8;
const BINS = 80;
const SORTS = { newest: (a, b) => b.number - a.number, slowest: (a, b) => (b.end?.t_ms ?? Infinity) - (a.end?.t_ms ?? Infinity) };

/** Make the list. */
export function orderList({ onLook, onCompare, onAlign, onOnly, onBrush }) {
  const list = {
    onLook,
    onCompare,
    onOnly,
    rows: new Map(),
    running: [],
    scrolled: 0,
    sort: "newest",
    chips: h("div", { class: "chips", role: "group", "aria-label": "filter by outcome" }),
    choice: h("select", { onchange: (event) => onAlign(event.target.value) }),
    names: "",
    axis: h("div", { class: "axis-lane", "aria-hidden": "true" }),
    rowsElement: h("ol", { class: "orders", "aria-label": "orders" }),
    note: h("p", { class: "quiet note" }),
  };
  list.sorts = Object.keys(SORTS).map((name) => h("button", { type: "button", class: "chip", onclick: () => sortBy(list, name) }, name));
  const sort = h("div", { class: "chips", role: "group", "aria-label": "sort by" }, h("span", { class: "quiet" }, "sort"), list.sorts);
  const align = h("label", { class: "align" }, "aligned on ", list.choice);
  list.histogram = histogram({ onBrush });
  list.rowsElement.addEventListener("keydown", (event) => onListKey(list, event));
  list.rowsElement.addEventListener("scroll", () => {
    list.scrolled = list.rowsElement.scrollTop;
    drawVisibleLanes(list);
  });
  const axisRow = h("div", { class: "row axis" }, h("span"), h("div", { class: "lane-box" }, list.axis), h("span"), h("span"));
  list.element = h("section", { class: "many", role: "group", "aria-label": "all orders" }, h("div", { class: "bar-above" }, list.chips, sort, align), list.histogram.element, list.rowsElement, axisRow, list.note);
  return {
    element: list.element,
    show: (...args) => showList(list, ...args),
    tick: (elapsed) => tickList(list, elapsed),
  };
}

function sortBy(list, name) {
  list.sort = name;
  showList(list, list.shown.all, list.shown);
}

function showList(list, all, shown) {
  const { align, axis, brush, current, leftOut, only } = shown;
  list.element.hidden = all.length < 2 && !leftOut;
  if (list.element.hidden) return;
  drawChips(list, all, only);
  drawChoice(list, all, align);
  list.sorts.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === list.sort)));
  replace(list.axis, axisLabels(axis, axisWords));
  const placed = all.filter((order) => order.end?.outcome === "placed");
  const p50 = median(placed.map((order) => order.end.t_ms));
  const endsAt = placed.map((order) => endOf(order, align)).filter((t_ms) => t_ms !== null);
  const p50At = median(endsAt);
  const filtered = all.filter((order) => !only || wordOf(order) === only);
  list.histogram.show(filtered.filter((order) => order.end).map((order) => endOf(order, align)).filter((t_ms) => t_ms !== null), { axis, brush, p50At, longest: endsAt.length ? Math.max(...endsAt) : null });
  const orders = filtered.filter((order) => isBrushed(order, align, brush)).sort(SORTS[list.sort]);
  const words = [orders.length ? "" : "No order was selected.", leftOut ? `${stated(leftOut)} older orders are not drawn; make a timeline of those you want to see.` : ""];
  list.note.textContent = words.filter(Boolean).join(" ");
  list.note.hidden = !list.note.textContent;
  const ids = new Set(orders.map((order) => order.recording_id));
  for (const id of list.rows.keys()) if (!ids.has(id)) list.rows.delete(id);
  list.shown = { ...shown, all, orders, p50, p50At };
  const rows = orders.map((order) => list.rows.get(order.recording_id) ?? newRow(list, order.recording_id));
  orders.forEach((order, n) => drawName(rows[n], order, list.shown));
  placeRows(list.rowsElement, rows.map((row) => row.element));
  drawVisibleLanes(list);
  ensureTabStop(list, current);
}

function wordOf(order) {
  return order.end?.word ?? "under way";
}

function endOf(order, align) {
  const zero = alignedAt(order, align);
  return order.end && zero !== null ? order.end.t_ms - zero : null;
}

function isBrushed(order, align, brush) {
  if (!brush) return true;
  const end_ms = endOf(order, align);
  return end_ms !== null && end_ms >= brush[0] && end_ms <= brush[1];
}

function rankOf([, { order }]) {
  if (!order?.end) return 2;
  return order.end.tone === "good" ? 0 : 1;
}

function drawChips(list, all, only) {
  const counts = new Map();
  for (const order of all) counts.set(wordOf(order), { order, count: (counts.get(wordOf(order))?.count ?? 0) + 1 });
  if (only && !counts.has(only)) counts.set(only, { count: 0 });
  // Placed orders first and the rest by name: a chip stays where it is while orders end.
  const shown = [...counts].sort((a, b) => rankOf(a) - rankOf(b) || (a[0] < b[0] ? -1 : 1));
  const drawn = JSON.stringify([all.length, only, shown.map(([word, { count }]) => [word, count])]);
  if (drawn === list.drawnChips) return;
  list.drawnChips = drawn;
  const chip = (word, count, end) => {
    const mark = end && h("span", { class: end.tone, "aria-hidden": "true" }, `${end.mark} `);
    return h("button", { type: "button", class: "chip", "data-word": word ?? "", "aria-pressed": String((only ?? null) === word), onclick: () => list.onOnly(word) }, mark, `${word ?? "all"} ${stated(count)}`);
  };
  const focused = list.chips.contains(document.activeElement) ? document.activeElement.dataset.word : null;
  replace(list.chips, chip(null, all.length), shown.map(([word, { count, order }]) => chip(word, count, order?.end)));
  if (focused !== null) [...list.chips.children].find((button) => button.dataset.word === focused)?.focus();
}

function newRow(list, id) {
  const look = h("button", { type: "button", class: "look clipped", tabindex: "-1", onclick: () => list.onLook(id) });
  const compare = h("button", { type: "button", class: "compare", tabindex: "-1", onclick: () => list.onCompare(id) }, "⇄");
  const lane = emptyLane();
  lane.addEventListener("click", () => list.onLook(id));
  const [time, against] = [h("span", { class: "number" }), h("span", { class: "against clipped" })];
  const row = { look, compare, lane, time, against, drawn: "", element: h("li", { class: "row order-row" }, h("span", { class: "order-name" }, look, compare), lane, time, against) };
  list.rows.set(id, row);
  return row;
}

function drawName(row, order, { current, compared, p50 }) {
  const { end } = order;
  const isCurrent = order.recording_id === current;
  const isCompared = order.recording_id === compared;
  const name = orderName(order);
  const named = JSON.stringify([name, end?.mark, end?.t_ms, isCurrent, isCompared, p50]);
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
  row.time.textContent = end ? duration(end.t_ms) : "";
  const placed = end?.outcome === "placed";
  const said = placed ? againstWords(end.t_ms, p50) : (end?.reason ?? "");
  row.against.title = placed && said ? `${said} against the median of the placed orders` : said;
  row.against.className = `against clipped ${placed ? "quiet" : "reason"}`;
  // A code is one word to a browser; here are the places where it may be broken.
  const parts = said.split(/(?<=[a-z])(?=[A-Z])/);
  replace(row.against, h("bdi", {}, parts.map((part, n) => [n > 0 && h("wbr"), part])));
}

/** Of hundreds of rows ten can be seen; only they, and a few around them, are drawn. */
function drawVisibleLanes(list) {
  const height = list.rowsElement.firstElementChild?.offsetHeight || ROW_HEIGHT;
  const first = Math.max(Math.floor(list.scrolled / height) - ROWS_AROUND, 0);
  const visible = list.shown.orders.slice(first, first + ROWS_SEEN + 2 * ROWS_AROUND);
  list.running = [];
  for (const order of visible) drawLane(list, list.rows.get(order.recording_id), order);
}

function drawLane(list, row, order) {
  const { axis, align, elapsed, p50At } = list.shown;
  const zero = alignedAt(order, align);
  const drawn = JSON.stringify([order.stages, order.end?.outcome, axis.from, axis.to, zero, p50At]);
  if (order.end && drawn === row.drawn) return;
  row.drawn = drawn;
  if (zero === null) return void drawNothing(row.lane, `did not reach ${align}`);
  const running = drawLine(row.lane, order, axis, zero, elapsed(order), p50At);
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
    row.time.textContent = duration(elapsed(order));
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

// The histogram of the orders' times, on the axis of the rows. Dragging over it, or the arrow keys on
// its two handles, brush some of them.

function histogram({ onBrush }) {
  const view = { onBrush, brush: null, drawn: "" };
  view.words = h("span", { class: "quiet" });
  view.picture = svg("svg", { class: "lane histogram", viewBox: `0 0 ${BINS} 1`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
  view.handles = ["from", "to"].map((end, n) => {
    const handle = h("div", { class: `handle ${end}`, role: "slider", tabindex: "0", "aria-label": `orders ${end}` });
    handle.addEventListener("keydown", (event) => onHandleKey(view, event, n));
    return handle;
  });
  view.clear = h("button", { type: "button", class: "chip", hidden: true, onclick: () => onBrush(null) }, "show all");
  view.box = h("div", { class: "lane-box histogram-box" }, view.picture, view.handles);
  view.element = h("div", { class: "row histogram-row" }, view.words, view.box, view.clear, h("span"));
  listenToBrush(view);
  return { element: view.element, show: (times, shown) => showHistogram(view, times, shown) };
}

function showHistogram(view, times, { axis, brush, p50At, longest }) {
  Object.assign(view, { axis, brush });
  const drawn = JSON.stringify([times, axis.from, axis.to, brush, p50At, longest]);
  if (drawn === view.drawn) return;
  view.drawn = drawn;
  const counts = Array(BINS).fill(0);
  const bin = (t_ms) => Math.min(Math.max(Math.floor((BINS * percent(t_ms, axis)) / 100), 0), BINS - 1);
  for (const t_ms of times) counts[bin(t_ms)] += 1;
  const most = Math.max(...counts, 1);
  const isOut = (n) => brush && (n < bin(brush[0]) || n > bin(brush[1]));
  const bars = counts.map((count, n) => count && svg("rect", { class: isOut(n) ? "count-bar out" : "count-bar", x: n, width: 0.9, y: 1 - count / most, height: count / most }));
  const middle = p50At === null ? null : svg("line", { class: "median", x1: `${percent(p50At, axis)}%`, x2: `${percent(p50At, axis)}%`, y1: "0", y2: "1" });
  replace(view.picture, bars.filter(Boolean), middle);
  // Of placed orders both, and from where the rows are lined up: the longest is never below the median.
  const said = longest === null ? [] : ["placed: ", h("span", {}, `p50 ${duration(p50At)},`), " ", h("span", {}, `max ${duration(longest)}`)];
  replace(view.words, said);
  view.clear.hidden = !brush;
  const ends = brush ?? [axis.from, axis.to];
  view.box.classList.toggle("brushed", Boolean(brush));
  view.handles.forEach((handle, n) => {
    handle.style.left = `${Math.min(Math.max(percent(ends[n], axis), 0), 100)}%`;
    handle.setAttribute("aria-valuemin", String(Math.round(axis.from)));
    handle.setAttribute("aria-valuemax", String(Math.round(axis.to)));
    handle.setAttribute("aria-valuenow", String(Math.round(ends[n])));
    handle.setAttribute("aria-valuetext", duration(ends[n]));
  });
}

function onHandleKey(view, event, n) {
  const { axis, brush } = view;
  const step = (axis.to - axis.from) / 100;
  const move = (by) => () => {
    const ends = [...(brush ?? [axis.from, axis.to])];
    ends[n] = Math.min(Math.max(ends[n] + by * step, axis.from), axis.to);
    view.onBrush(ends.sort((a, b) => a - b));
  };
  followKey(event, {
    ArrowRight: move(1),
    ArrowLeft: move(-1),
    ArrowUp: move(1),
    ArrowDown: move(-1),
    PageUp: move(10),
    PageDown: move(-10),
    Home: move(-100),
    End: move(100),
    ...(brush ? { Escape: () => view.onBrush(null) } : {}),
  });
}

function listenToBrush(view) {
  let begin = null;
  const timeAt = ({ clientX }) => {
    const box = view.box.getBoundingClientRect();
    const share = Math.min(Math.max((clientX - box.left) / box.width, 0), 1);
    return view.axis.from + share * (view.axis.to - view.axis.from);
  };
  const brushTo = (event) => {
    const ends = [begin, timeAt(event)].sort((a, b) => a - b);
    view.onBrush(ends[0] === ends[1] ? null : ends);
  };
  view.box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    view.box.setPointerCapture(event.pointerId);
    // A handle moves its own end of the brush.
    const n = view.handles.indexOf(event.target);
    begin = n >= 0 && view.brush ? view.brush[1 - n] : timeAt(event);
  });
  view.box.addEventListener("pointermove", (event) => begin !== null && brushTo(event));
  for (const kind of ["pointerup", "pointercancel"]) view.box.addEventListener(kind, () => (begin = null));
}

// Two orders stage by stage: a table of both and of the difference.

/** Make the comparison; `onEnd` is called when it is closed. */
export function orderComparison({ onEnd }) {
  const table = h("table");
  const close = h("button", { type: "button", class: "close", onclick: onEnd }, "Stop comparing");
  const element = h("section", { class: "comparison", role: "group", "aria-label": "two orders compared", hidden: true }, table, close);
  return { element, show: (order, other) => showComparison(element, table, order, other) };
}

function showComparison(element, table, order, other) {
  element.hidden = !other || other === order;
  if (element.hidden) return replace(table);
  const heads = ["stage", orderName(order), orderName(other), "difference"];
  return replace(
    table,
    h("caption", {}, "Where do they differ? Times in ms; the uncertainty of a difference is that of both."),
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

