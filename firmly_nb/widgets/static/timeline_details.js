// What an event carried, how it differs from the same event of another order, and finding events.
// It can be large, so the kernel sends it only when it is asked for.

import { cartSheet } from "./cart_sheet.js";
import { duration, h, replace, stated } from "./dom.js";
import { jsonTree } from "./json_tree.js";
import { KERNEL_GONE } from "./kernel.js";
import { eventOf } from "./timeline_state.js";

const ASKING = "Asking the kernel for what it carried; a busy kernel answers when its cell is done.";
const FIND_AFTER_MS = 200;

/** Make the panel; `ask(question)` asks the kernel, `onEnd` is called when it is closed. */
export function eventDetails({ ask, onEnd, onTools }) {
  const panel = { ask, onTools, key: "", asked: "", shown: new Set(["cart", "json"]) };
  panel.head = h("p", { class: "details-name clipped" });
  panel.parts = { cart: h("div", { class: "cart" }), changes: h("div", { class: "changes" }), json: h("div", { class: "json-part" }), bytes: h("div", { class: "bytes" }) };
  panel.tree = jsonTree("JSON of the event");
  panel.parts.json.append(panel.tree.element);
  panel.other = h("div", { class: "other-event", hidden: true });
  const close = h("button", { type: "button", class: "close", onclick: onEnd }, "Close");
  panel.element = h(
    "section",
    { class: "details", role: "group", "aria-label": "the event that is looked at", hidden: true },
    h("header", { class: "head" }, panel.head, close),
    h("div", { class: "carried" }, Object.values(panel.parts)),
    panel.other,
  );
  return {
    element: panel.element,
    show: (order, selected, compared) => showDetails(panel, order, selected, compared),
    receive: (message) => receiveDetails(panel, message),
    /** Open or close a part; of a panel that is closed, only that part opens. */
    toggle: (name) => togglePart(panel, name),
    isShown: (name) => !panel.element.hidden && panel.shown.has(name),
    changes: () => panel.changes,
  };
}

function togglePart(panel, name) {
  if (panel.element.hidden) panel.shown = new Set([name]);
  else if (!panel.shown.delete(name)) panel.shown.add(name);
  drawParts(panel);
}

function drawParts(panel) {
  for (const [name, element] of Object.entries(panel.parts)) element.hidden = !panel.shown.has(name);
  if (panel.event && panel.shown.has("bytes") && panel.askedBytes !== panel.key) {
    panel.askedBytes = panel.key;
    replace(panel.parts.bytes, h("p", { class: "quiet" }, ASKING));
    panel.ask({ kind: "bytes", ...panel.event });
  }
}

function showDetails(panel, order, selected, compared) {
  const event = order && eventOf(order, selected?.seq);
  panel.element.hidden = !event;
  panel.key = event ? detailsKey(order.recording_id, event.seq) : "";
  if (!event) panel.changes = undefined;
  if (!event) return;
  panel.event = { recording_id: order.recording_id, seq: event.seq };
  if (panel.asked !== panel.key) {
    panel.asked = panel.key;
    panel.changes = undefined;
    replace(panel.head, h("bdi", {}, event.event), ` · event ${stated(event.seq)} of ${stated(order.event_count)}`);
    replace(panel.parts.cart);
    replace(panel.parts.changes);
    panel.tree.say(ASKING);
    if (panel.ask({ kind: "details", ...panel.event }) === false) panel.tree.say(KERNEL_GONE);
  }
  drawParts(panel);
  askForOther(panel, compared && compared !== order.recording_id ? compared : null);
}

/** The same event of the order that is compared. */
function askForOther(panel, other) {
  const asked = other && `${panel.key} ${other}`;
  panel.other.hidden = !other;
  if (!other || panel.askedOther === asked) return;
  panel.askedOther = asked;
  replace(panel.other);
  panel.ask({ kind: "differences", ...panel.event, other });
}

function receiveDetails(panel, message) {
  if (detailsKey(message.recording_id, message.seq) !== panel.key) return;
  if (message.kind === "json") panel.tree.show(message.text, message.left_out);
  if (message.kind === "bytes") replace(panel.parts.bytes, carriedBytes(message));
  if (message.kind === "differences") replace(panel.other, differencesTable(message));
  if (message.kind !== "cart") return;
  replace(panel.parts.cart, carriedCart(message));
  panel.changes = message.changes.length;
  replace(panel.parts.changes, changesList(message.changes));
  panel.onTools();
}

function carriedCart({ seq, cart }) {
  if (!cart) return h("p", { class: "quiet" }, "This event has no cart.");
  return cartSheet(cart.sheet, cart.steps.find((step) => step.seq === seq), cart.about, cart.steps);
}

function carriedBytes({ text, note }) {
  const shown = text === null ? null : h("pre", { tabindex: "0", role: "group", "aria-label": "bytes of the event" }, text);
  return [note ? h("p", { class: "quiet" }, note) : null, shown];
}

function changesList(changes) {
  if (!changes.length) return h("p", { class: "quiet" }, "No change since the cart before.");
  return table("Changes since the cart before", ["field", "before", "after"], changes);
}

function differencesTable({ other_seq, rows, note, name }) {
  if (other_seq === null) return h("p", { class: "quiet" }, note);
  const words = ["The same event of ", h("bdi", {}, name), ` (event ${stated(other_seq)}). `, note];
  return rows.length ? table(words, ["field", "this order", "the other"], rows) : h("p", { class: "quiet" }, words);
}

function table(caption, heads, rows) {
  const cell = (words) => h("td", {}, h("bdi", {}, words));
  return h(
    "table",
    {},
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, heads.map((words) => h("th", { scope: "col" }, words)))),
    h("tbody", {}, rows.map(({ path, before, after }) => h("tr", {}, h("th", { scope: "row" }, h("bdi", {}, path)), cell(before), cell(after)))),
  );
}

function detailsKey(recording_id, seq) {
  return `${recording_id} ${seq}`;
}

// Finding events by name and by text, in the order that is looked at or in all.

/** Make the search: `ask(text, everywhere)`, `onPick(recording_id, seq)`. */
export function eventSearch({ ask, onPick }) {
  const search = { ask, onPick, timer: 0, asked: "" };
  search.input = h("input", { type: "search", "aria-label": "find events by name or text", placeholder: "find events by name or text", oninput: () => soon(search) });
  search.all = h("input", { type: "checkbox", onchange: () => askNow(search) });
  search.said = h("span", { class: "quiet", role: "status" });
  search.list = h("ul", { class: "found-events", "aria-label": "found events" });
  search.everywhere = h("label", { class: "everywhere" }, search.all, " in all orders");
  search.element = h("div", { class: "find", role: "group", "aria-label": "find events" }, h("div", { class: "find-bar" }, search.input, search.everywhere, search.said), search.list);
  return { element: search.element, receive: (message) => showFound(search, message), again: () => askNow(search) };
}

function soon(search) {
  clearTimeout(search.timer);
  search.timer = setTimeout(() => askNow(search), FIND_AFTER_MS);
}

function askNow(search) {
  search.asked = search.input.value.trim();
  if (!search.asked) return showFound(search, { text: "", rows: [], total: 0 });
  search.said.textContent = search.ask(search.asked, search.all.checked) === false ? KERNEL_GONE : "searching …";
  return undefined;
}

function showFound(search, { text, rows, total }) {
  if (text !== search.asked) return;
  const more = total > rows.length ? `, the first ${stated(rows.length)} are listed` : "";
  search.said.textContent = text ? `${stated(total)} found${more}` : "";
  const item = ({ recording_id, order, event }) => {
    const words = [h("bdi", {}, event.event), ` · event ${stated(event.seq)} · ${duration(event.t_ms)}`, search.all.checked ? [" · ", h("bdi", {}, order)] : null];
    return h("li", {}, h("button", { type: "button", class: "clipped", onclick: () => search.onPick(recording_id, event.seq) }, words));
  };
  replace(search.list, rows.map(item));
}
