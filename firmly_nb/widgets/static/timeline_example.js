// What a timeline without an order shows: how one will look, greyed, and what to do.

import { h } from "./dom.js";
import { orderView } from "./timeline_order.js";
import { axisTicks } from "./timeline_state.js";

const EXAMPLE = [
  ["creating-cart", 0, 96],
  ["item-added", 96, 498],
  ["shipping-updated", 498, 987],
  ["order-placed", 987, 1204],
];

const INVITATION = "Place an order to see yours.";

/** Make the example; nothing in it can be used. */
export function emptyExample() {
  const view = orderView({ onPick: () => {} });
  const axis = { from: 0, to: 1250 };
  view.show(exampleOrder(), { ...axis, ticks: axisTicks(axis) }, 0, 0, null);
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

function exampleOrder() {
  const events = EXAMPLE.map(([event, , t_ms], index) => ({ seq: index + 1, event, t_ms, uncertainty_us: 50, clock: "kernel", bytes: 0 }));
  const stages = EXAMPLE.map(([stage, start_ms, end_ms], index) => ({
    stage,
    milestone: stage,
    seq: index + 1,
    start_ms,
    end_ms,
    duration_ms: end_ms - start_ms,
    uncertainty_us: 100,
  }));
  const end = { outcome: "placed", word: "placed", mark: "✓", tone: "quiet", t_ms: 1204, order_number: "", warnings: [], comments_ms: [] };
  return { recording_id: "example", number: 0, domain: "an example", events, stages, end };
}
