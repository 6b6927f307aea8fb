// Two orders stage by stage: a table of both and of the difference.

import { h, milliseconds, replace } from "./dom.js";
import { compareStages } from "./timeline_state.js";
import { differenceWords, orderName } from "./timeline_words.js";

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
  const bound = row.uncertainty_ms > 1 ? ` ±${milliseconds(row.uncertainty_ms, 0)}` : "";
  const sure = row.difference_ms !== null && Math.abs(row.difference_ms) > (row.uncertainty_ms ?? 0);
  const tone = !sure ? "quiet" : row.difference_ms > 0 ? "slower" : "faster";
  return h(
    "tr",
    {},
    h("th", { scope: "row", class: "clipped", title: row.name }, h("bdi", {}, row.name)),
    h("td", { class: "number" }, milliseconds(row.own_ms)),
    h("td", { class: "number" }, milliseconds(row.other_ms)),
    h("td", { class: `number ${tone}` }, `${differenceWords(row.difference_ms)}${bound}`),
  );
}
