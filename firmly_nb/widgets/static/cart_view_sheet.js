// One cart: lines, shipments, totals, each with what it was before and what the checks found.

import { h, milliseconds } from "./dom.js";

const SIGNS = { added: "+", removed: "−", changed: "→" };
const FINDING_SIGNS = { error: "✗", warning: "!", info: "i" };
const SEVERITIES = ["error", "warning", "info"];

/** Draw the cart at one step; ``sheet`` is undefined until the kernel has sent it. */
export function cartSheet(sheet, step, about, steps) {
  const note = about.note && h("p", { class: "cart-note warn" }, h("bdi", {}, about.note));
  if (!sheet) return [note, h("p", { class: "cart-note quiet" }, "Reading this cart …")];
  if (!sheet.lines) return [note, h("p", { class: "cart-note quiet" }, withoutCart(step, null))];
  const from = steps.find((each) => each.seq === sheet.from_seq);
  const isOwn = sheet.from_seq === sheet.seq;
  return [
    note,
    isOwn ? null : h("p", { class: "cart-note quiet" }, withoutCart(step, from)),
    cartName(sheet),
    cartTable(sheet),
    listOf("cart-findings", "Found elsewhere in this cart", sheet.findings.map(findingItem)),
    listOf("cart-notices", "What the merchant says", sheet.notices.map(noticeItem)),
    isOwn ? checksLine(sheet, about) : null,
    isOwn ? otherChanges(sheet) : null,
  ];
}

/** Count findings in words: "2 errors, 1 warning". */
export function findingWords(counts) {
  return SEVERITIES.filter((name) => counts[name])
    .map((name) => `${counts[name]} ${name}${counts[name] > 1 && name !== "info" ? "s" : ""}`)
    .join(", ");
}

function withoutCart(step, from) {
  const own = [h("bdi", {}, step.event), " carries no cart"];
  if (!from) return [...own, ", and none came before it."];
  const time = from.t_ms === null ? "" : ` (${milliseconds(from.t_ms)} ms)`;
  return [...own, "; this is the one of ", h("bdi", {}, from.event), `${time}.`];
}

function cartName(sheet) {
  const order = sheet.order_number && [" · order ", h("bdi", {}, sheet.order_number)];
  const status = sheet.status.now && [" · ", changed(sheet.status)];
  return h("p", { class: "cart-name" }, h("strong", {}, h("bdi", {}, sheet.shop)), h("span", { class: "quiet" }, order, status));
}

function cartTable(sheet) {
  const head = ["Item", "Qty", "Each", "Price"].map((name, place) =>
    h("th", { scope: "col", class: place ? "number" : "" }, name),
  );
  const change = h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Change"));
  const left = sheet.lines_left_out;
  const lines = sheet.lines.length ? sheet.lines.map(lineRow) : wideRow("The cart is empty.");
  return h(
    "table",
    { class: "cart-table" },
    h("caption", { class: "visually-hidden" }, `Cart of ${sheet.shop}`),
    h("thead", {}, h("tr", {}, change, head)),
    h("tbody", {}, lines, left ? wideRow(`… and ${left} more lines; the JSON has them all.`) : null),
    sheet.shipments.length || sheet.codes.length
      ? h("tbody", { class: "ruled" }, sheet.shipments.map((part) => amountRow(part, "")), sheet.codes.map(codeRow))
      : null,
    h("tbody", { class: "ruled" }, sheet.totals.map((row) => amountRow(row, sheet.currency))),
  );
}

function lineRow(line) {
  const gone = line.state === "removed";
  return h(
    "tr",
    { class: line.state },
    signCell(line.state),
    h(
      "th",
      { scope: "row" },
      h("div", { class: "cart-item", title: titleOf(line.name) }, gone ? h("s", {}, h("bdi", {}, line.name)) : h("bdi", {}, line.name)),
      line.detail && h("div", { class: "cart-detail quiet", title: titleOf(line.detail) }, h("bdi", {}, line.detail)),
      line.also.length ? h("ul", { class: "cart-also" }, line.also.map(changeItem)) : null,
      notes(line.findings),
    ),
    h("td", { class: "number" }, changed(line.quantity)),
    h("td", { class: "number quiet" }, changed(line.each)),
    h("td", { class: "number" }, changed(line.price), line.discount && h("div", { class: "quiet" }, `discount ${line.discount}`)),
  );
}

function amountRow(row, currency) {
  const isTotal = row.label === "total" && currency;
  return h(
    "tr",
    { class: [row.state, isTotal ? "cart-total" : ""].join(" ") },
    signCell(row.state),
    h("th", { scope: "row", colspan: 3 }, changed(row.words), notes(row.findings)),
    h("td", { class: "number" }, isTotal ? h("small", { class: "quiet" }, h("bdi", {}, currency), " ") : null, changed(row.amount)),
  );
}

function codeRow(code) {
  return h("tr", {}, signCell(""), h("th", { scope: "row", colspan: 4 }, "code ", h("bdi", {}, code)));
}

function wideRow(words) {
  return h("tr", {}, h("td", { colspan: 5, class: "quiet" }, words));
}

function signCell(state) {
  const word = state && h("span", { class: "visually-hidden" }, state);
  return h("td", { class: "cart-sign" }, h("span", { "aria-hidden": "true" }, SIGNS[state] ?? ""), word);
}

/** A value, after what it was where it changed. */
function changed(value) {
  const now = h("bdi", {}, value.now);
  if (value.was === null) return now;
  return [
    h("del", {}, h("span", { class: "visually-hidden" }, "was "), h("bdi", {}, value.was)),
    h("span", { "aria-hidden": "true" }, " → "),
    h("ins", {}, h("span", { class: "visually-hidden" }, " now "), now),
  ];
}

function notes(findings) {
  return findings.length ? h("ul", { class: "cart-notes" }, findings.map(findingItem)) : null;
}

function findingItem(finding) {
  return h(
    "li",
    { class: `cart-finding ${finding.severity}`, title: finding.path },
    h("span", { class: "cart-finding-sign", "aria-hidden": "true" }, FINDING_SIGNS[finding.severity] ?? "i"),
    h("span", { class: "visually-hidden" }, `${finding.severity}: `),
    h("bdi", {}, finding.sentence),
    h("span", { class: "cart-check quiet" }, ` ${finding.check}`),
  );
}

function noticeItem(words) {
  return h("li", { class: "cart-notice" }, h("bdi", {}, words));
}

function changeItem(change) {
  const sides = [change.was && h("del", {}, h("bdi", {}, change.was)), change.was && change.now && " → ", change.now && h("ins", {}, h("bdi", {}, change.now))];
  return h(
    "li",
    { title: change.path },
    h("span", { "aria-hidden": "true" }, `${SIGNS[change.kind]} `),
    h("bdi", {}, change.words),
    h("span", { class: "visually-hidden" }, ` ${change.kind}`),
    ": ",
    sides,
  );
}

function listOf(kind, label, items) {
  return items.length ? h("ul", { class: kind, "aria-label": label }, items) : null;
}

function checksLine(sheet, about) {
  const here = findingWords(sheet.severities);
  const clean = about.checks.startsWith("✓") || about.checks.startsWith("no ");
  if (clean) return h("p", { class: `cart-checks ${about.checks.startsWith("✓") ? "good" : "quiet"}` }, about.checks);
  const bad = sheet.severities.error ? "bad" : "warn";
  return h(
    "p",
    { class: "cart-checks" },
    here ? h("span", { class: bad }, `✗ ${here} in this cart`) : h("span", { class: "good" }, "✓ nothing found in this cart"),
    h("span", { class: "quiet" }, ` · whole order: ${about.checks}`),
  );
}

function otherChanges(sheet) {
  if (sheet.is_first) return h("p", { class: "cart-note quiet" }, "The first cart: there is none before it to compare with.");
  const { changes, changes_left_out: left } = sheet;
  if (!changes.length) return null;
  const more = left ? h("li", {}, `… and ${left} more`) : null;
  return h(
    "details",
    { class: "cart-changes", open: changes.length <= 6 },
    h("summary", {}, `Also changed: ${changes.length + left}`),
    h("ul", {}, changes.map(changeItem), more),
  );
}

function titleOf(text) {
  return text.length > 60 ? text : null;
}
