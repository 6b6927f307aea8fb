// What one event carried. It can be large, so the kernel sends it only when it is asked for.

import { cartSheet } from "./cart_view_sheet.js";
import { h, replace } from "./dom.js";
import { jsonTree } from "./json_tree.js";
import { KERNEL_GONE } from "./kernel.js";
import { eventWords } from "./timeline_words.js";

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
