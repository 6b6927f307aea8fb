// One cart: lines, shipments, totals, each with what it was before and what the checks found.

import { duration, h, replace } from "./dom.js";

const SIGNS = { added: "+", removed: "−", changed: "→" };
const FINDING_SIGNS = { error: "✗", warning: "!", info: "i" };
const MOST_AT_ONCE = 30;
const SEVERITIES = ["error", "warning", "info"];

/** Draw two orders' carts side by side; the second marks what differs from the first. */
export function cartPair(pair, { titles, about: other }, step, about, steps) {
  if (!pair) return cartSheet(undefined, step, about, steps);
  const beside = pair.step ? [pair.step, pair.from].filter(Boolean) : [];
  const second = pair.step
    ? cartSheet(pair.second, pair.step, other, beside, { isPair: true })
    : h("p", { class: "cart-note quiet" }, "It has no event.");
  return [
    h("p", { class: "cart-note", role: "status" }, h("bdi", {}, pair.words)),
    h(
      "div",
      { class: "cart-pair" },
      side(titles[0], step, cartSheet(pair.first, step, about, steps, { isPair: true })),
      side(titles[1], pair.step, second),
    ),
  ];
}

function side(title, step, content) {
  const after = step && [" · after ", h("bdi", {}, step.event), step.t_ms === null ? "" : ` ${duration(step.t_ms)}`];
  return h("section", { "aria-label": title }, h("p", { class: "cart-side" }, h("strong", {}, h("bdi", {}, title)), h("span", { class: "quiet" }, after)), content);
}

/** Draw the cart at one step; ``sheet`` is undefined until the kernel has sent it. */
export function cartSheet(sheet, step, about, steps, { isPair = false } = {}) {
  const note = [[about.note, sheet?.last_words].filter(Boolean).join(" "), about.gone]
    .filter(Boolean)
    .map((words) => h("p", { class: "cart-note warn" }, h("bdi", {}, words)));
  if (!sheet) return [note, about.gone ? null : h("p", { class: "cart-note quiet" }, "Reading this cart …")];
  if (sheet.unread) return [note, h("p", { class: "cart-note warn" }, notRead(step, sheet.unread))];
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
    isOwn || isPair ? otherChanges(sheet, isPair) : null,
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
  const time = from.t_ms === null ? "" : ` (${duration(from.t_ms)})`;
  return [...own, "; this is the one of ", h("bdi", {}, from.event), `${time}.`];
}

function notRead(step, reason) {
  return ["The cart of ", h("bdi", {}, step.event), " was not read: ", h("bdi", {}, reason), "."];
}

function cartName(sheet) {
  const order = sheet.order_number && [" · order ", h("bdi", {}, sheet.order_number)];
  const status = sheet.status.now && [" · ", changed(sheet.status)];
  return h("p", { class: "cart-name" }, h("strong", {}, h("bdi", {}, sheet.shop)), h("span", { class: "quiet" }, order, status));
}

function cartTable(sheet) {
  const each = sheet.lines.some((line) => line.each.now);
  const names = ["Item", "Qty", each ? "Each" : null, "Price"].filter(Boolean);
  const head = names.map((name, index) => h("th", { scope: "col", class: index ? "number" : "" }, name));
  const columns = names.length + 1;
  const change = h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Change"));
  const lines = sheet.lines.length ? h("tbody", {}, lineGroup(sheet, each)) : h("tbody", {}, wideRow("The cart is empty.", columns));
  return h(
    "table",
    { class: "cart-table" },
    h("caption", { class: "visually-hidden" }, `Cart of ${sheet.shop}`),
    h("thead", {}, h("tr", {}, change, head)),
    lines,
    sheet.shipments.length || sheet.codes.length
      ? h("tbody", { class: "ruled" }, sheet.shipments.map((part) => amountRows(part, "", columns)), sheet.codes.map((code) => codeRow(code, columns)))
      : null,
    h("tbody", { class: "ruled" }, sheet.totals.map((row) => amountRows(row, sheet.currency, columns))),
  );
}

/** The lines; of many only the telling ones, until all are asked for. */
function lineGroup(sheet, each) {
  const columns = each ? 5 : 4;
  const left = sheet.lines_left_out;
  const end = left ? wideRow(`… and ${left} more lines; the JSON has them all.`, columns) : null;
  const shown = tellingLines(sheet.lines, MOST_AT_ONCE);
  const rows = shown.map((line) => lineRows(line, each));
  if (shown.length === sheet.lines.length) return [rows, end];
  const all = (event) => {
    const body = event.target.closest("tbody");
    replace(body, sheet.lines.map((line) => lineRows(line, each)), end);
    body.querySelector("th").focus();
  };
  const found = (lines) => lines.filter((line) => line.findings.length).length;
  const hidden = found(sheet.lines) - found(shown);
  const words = `Show all ${sheet.lines.length} lines${hidden ? `, ${hidden} more with findings` : ""}`;
  return [rows, wideRow(h("button", { type: "button", onclick: all }, words), columns), end];
}

/** Choose lines: those with findings, then those that changed, then the first of the others. */
export function tellingLines(lines, most) {
  const rank = (line) => (line.findings.length ? 0 : line.state ? 1 : 2);
  const ranked = lines.map((line, index) => ({ line, index }));
  ranked.sort((a, b) => rank(a.line) - rank(b.line) || a.index - b.index);
  const kept = ranked.slice(0, most).sort((a, b) => a.index - b.index);
  return kept.map(({ line }) => line);
}

function lineRows(line, each) {
  const name = h("bdi", {}, line.name);
  const detail = line.detail && h("div", { class: "cart-detail quiet", title: titleOf(line.detail) }, h("bdi", {}, line.detail));
  const also = line.also.length ? h("ul", { class: "cart-also" }, line.also.map(changeItem)) : null;
  const discount = line.discount && h("div", { class: "quiet" }, `discount ${line.discount}`);
  const row = h(
    "tr",
    { class: line.state },
    signCell(line.state),
    h(
      "th",
      { scope: "row", tabindex: "-1" },
      h("div", { class: "cart-item", title: titleOf(line.name) }, line.state === "removed" ? h("s", {}, name) : name),
      detail,
      also,
    ),
    h("td", { class: "number" }, changed(line.quantity)),
    each ? h("td", { class: "number quiet" }, changed(line.each)) : null,
    h("td", { class: "number" }, changed(line.price), discount),
  );
  return [row, findingsRow(line, each ? 5 : 4)];
}

function amountRows(row, currency, columns) {
  const isTotal = row.label === "total" && currency;
  const code = isTotal ? h("small", { class: "quiet" }, h("bdi", {}, currency), " ") : null;
  const shown = h(
    "tr",
    { class: `${row.state} ${isTotal ? "cart-total" : ""}` },
    signCell(row.state),
    h("th", { scope: "row" }, changed(row.words)),
    // As wide as all numbers of a line, since a changed amount is twice as long.
    h("td", { class: "number", colspan: columns - 2 }, code, changed(row.amount)),
  );
  return [shown, findingsRow(row, columns)];
}

/** What the checks found, under the row that it concerns and as wide as the cart. */
function findingsRow({ state, findings }, columns) {
  if (!findings.length) return null;
  const list = h("ul", { class: "cart-notes" }, findings.map(findingItem));
  return h("tr", { class: `${state} cart-found` }, signCell(""), h("td", { colspan: columns - 1 }, list));
}

function codeRow(code, columns) {
  return h("tr", {}, signCell(""), h("th", { scope: "row", colspan: columns - 1 }, "code ", h("bdi", {}, code)));
}

function wideRow(words, columns) {
  return h("tr", {}, h("td", { colspan: columns, class: "quiet" }, words));
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
  const was = change.was && h("del", {}, h("bdi", {}, change.was));
  const now = change.now && h("ins", {}, h("bdi", {}, change.now));
  // An element of a list of texts is named by its value already.
  const isNamed = change.kind !== "changed" && change.words.endsWith(` ${change.was || change.now}`);
  return h(
    "li",
    { title: change.path },
    h("span", { "aria-hidden": "true" }, `${SIGNS[change.kind]} `),
    h("bdi", {}, change.words),
    h("span", { class: "visually-hidden" }, ` ${change.kind}`),
    isNamed ? null : [": ", was, was && now ? " → " : null, now],
  );
}

function listOf(kind, label, items) {
  return items.length ? h("ul", { class: kind, "aria-label": label }, items) : null;
}

function checksLine(sheet, about) {
  const here = findingWords(sheet.severities);
  const clean = about.checks.startsWith("✓") || about.checks.startsWith("no ");
  // The mark of this cart counts the checks that looked at it; that of the order, those of any cart.
  const mark = sheet.mark ?? (clean ? about.checks : "✓ nothing found in this cart");
  if (clean && !about.unread) return h("p", { class: `cart-checks ${mark.startsWith("✓") ? "good" : "quiet"}` }, mark);
  const bad = sheet.severities.error ? "bad" : "warn";
  return h(
    "p",
    { class: "cart-checks" },
    here ? h("span", { class: bad }, `${bad === "bad" ? "✗" : "!"} ${here} in this cart`) : h("span", { class: "good" }, mark),
    h("span", { class: "quiet" }, ` · whole order: ${about.checks}`),
  );
}

function otherChanges(sheet, isPair) {
  if (sheet.is_first && isPair) return null;
  if (sheet.is_first) return h("p", { class: "cart-note quiet" }, "The first cart: there is none before it to compare with.");
  const { changes, changes_left_out: left } = sheet;
  if (!changes.length) return null;
  const more = left ? h("li", {}, `… and ${left} more`) : null;
  return h(
    "details",
    { class: "cart-changes", open: changes.length <= 6 },
    h("summary", {}, `${isPair ? "Also different" : "Also changed"}: ${changes.length + left}`),
    h("ul", {}, changes.map(changeItem), more),
  );
}

function titleOf(text) {
  return text.length > 60 ? text : null;
}
