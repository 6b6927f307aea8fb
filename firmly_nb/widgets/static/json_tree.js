// A tree of JSON that can be searched, for JSON that nobody has vouched for. It is lists of native
// <details>, which tell everybody what is open, what is in what and how much. Children are made when
// their parent is opened, at most a hundred under one parent (more are grouped into ranges): so the
// browser's own search finds, and opens, what was opened before, and the search above the tree all.
// That one stops at limits and says so. Text is only ever text.
//
// const tree = jsonTree("JSON of the event");  tree.element goes into the page;
// tree.show(text, leftOut) with what Python's event_json wrote;  tree.say(words) instead of a tree.

import { followKey, h, replace, stopTabAt } from "./dom.js";

const LONGEST_TITLE = 3000;
const SEARCH_AFTER_MS = 150;
const MOST_CHILDREN = 100;
const MOST_SEARCHED = 200000;
const MOST_MATCHES = 1000;
const LONGEST_SHOWN = 300;
// The marks of cart_view.py: a number as it was sent, words of ours, a text that begins so itself.
const NUMBER_MARK = "\ue000";
const NOTE_MARK = "\ue001";
const TEXT_MARK = "\ue002";
// What would turn the line round, or not be seen at all.
const UNSEEN =
  /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Make a tree with a search field above it. */
export function jsonTree(label) {
  // Each widget has this module anew, so counting would give two trees of a page one id.
  const id = `firmly-tree-${Math.random().toString(36).slice(2)}`;
  const tree = { id, label, value: undefined, query: "", matches: [], at: -1, items: new WeakMap() };
  tree.list = h("ul", { class: "json-tree", "aria-label": label });
  tree.list.addEventListener("keydown", (event) => onTreeKey(tree, event));
  tree.list.addEventListener("focusin", (event) => stopTab(tree, event.target.closest(".json-row")));
  // Whoever opens it: a click, a key, the browser's search. The event does not bubble.
  tree.list.addEventListener("toggle", (event) => event.target.open && addChildren(tree, event.target), true);
  tree.words = h("p", { class: "json-said quiet", role: "status" });
  tree.bar = searchBar(tree);
  tree.element = h("div", { class: "json" }, tree.bar, tree.words, tree.list);
  sayInstead(tree, "");
  return {
    element: tree.element,
    show: (text, leftOut = "") => showJson(tree, text, leftOut),
    say: (words) => sayInstead(tree, words),
  };
}

function showJson(tree, text, leftOut) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    sayInstead(tree, "This cannot be read as JSON.");
    return;
  }
  tree.value = value;
  tree.words.textContent = leftOut;
  tree.words.hidden = !leftOut;
  tree.list.hidden = false;
  tree.bar.hidden = false;
  const root = makeItem(tree, { name: null, value, first: 0, end: 1 });
  replace(tree.list, root);
  stopTab(tree, rowOf(root));
  openItem(tree, root);
  searchTree(tree, false);
}

function sayInstead(tree, words) {
  tree.value = undefined;
  tree.words.textContent = words;
  tree.words.hidden = !words;
  tree.list.hidden = true;
  tree.bar.hidden = true;
  replace(tree.list);
}

function searchBar(tree) {
  const name = `${tree.id}-search`;
  tree.input = h("input", { type: "search", id: name, autocomplete: "off", spellcheck: "false" });
  tree.count = h("span", { class: "json-count", role: "status" });
  let waiting = 0;
  tree.input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => searchTree(tree, true), SEARCH_AFTER_MS);
  });
  tree.input.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook has keys of its own
    if (event.key !== "Enter") return;
    event.preventDefault();
    clearTimeout(waiting);
    if (tree.input.value !== tree.query) searchTree(tree, true);
    else goToMatch(tree, tree.at + (event.shiftKey ? -1 : 1));
  });
  const step = (words, sign, by) =>
    h("button", { type: "button", "aria-label": words, title: words, onclick: () => goToMatch(tree, tree.at + by) }, sign);
  return h(
    "div",
    { class: "json-bar", role: "search", "aria-label": tree.label },
    h("label", { for: name }, "Search in the JSON"),
    tree.input,
    step("Previous match", "↑", -1),
    step("Next match", "↓", 1),
    tree.count,
  );
}

function searchTree(tree, goes) {
  tree.query = tree.input.value;
  const { found, whole } = findInJson(tree.value, tree.query);
  tree.matches = found;
  tree.whole = whole;
  tree.at = -1;
  for (const row of tree.list.querySelectorAll(".json-row")) drawRow(tree, row);
  if (goes && found.length) goToMatch(tree, 0);
  else sayCount(tree);
}

function sayCount(tree) {
  const { matches, whole, at, query } = tree;
  const more = whole ? "" : " or more: the search stopped there";
  const count = `${matches.length} ${matches.length === 1 ? "match" : "matches"}${more}`;
  tree.count.textContent = !query ? "" : at < 0 ? count : `${at + 1} of ${count}`;
  for (const button of tree.bar.querySelectorAll("button")) button.disabled = !matches.length;
}

function goToMatch(tree, position) {
  const many = tree.matches.length;
  if (!many) return;
  tree.list.querySelector(".current")?.classList.remove("current");
  tree.at = (position + many) % many;
  const row = rowOf(reachItem(tree, tree.matches[tree.at]));
  row.classList.add("current");
  stopTab(tree, row);
  row.scrollIntoView({ block: "nearest" });
  sayCount(tree);
}

/** The arrow keys go from row to row; the tab key stops at one. */
function stopTab(tree, row) {
  stopTabAt(tree.list.querySelectorAll('[tabindex="0"]'), null);
  row.tabIndex = 0;
}

/** Open all that holds a position in the JSON, and return its list item. */
function reachItem(tree, path) {
  const positions = [];
  for (let step = path; step; step = step.up) positions.push(step.index);
  let item = tree.list.firstElementChild;
  for (const position of positions.reverse()) {
    do {
      openItem(tree, item);
      item = [...childList(item).children].find((child) => holds(tree.items.get(child), position));
    } while (tree.items.get(item).isRange);
  }
  return item;
}

function holds({ first, end }, position) {
  return first <= position && position < end;
}

/** Make a list item: a leaf, or one with children that are made when it is opened. */
function makeItem(tree, item) {
  item.count = item.isRange ? item.end - item.first : countOfJson(item.value);
  const row = h(item.count ? "summary" : "span", { class: "json-row", tabindex: "-1" });
  const element = h("li", {}, item.count ? h("details", {}, row) : row);
  tree.items.set(element, item);
  drawRow(tree, row);
  return element;
}

const itemOf = (row) => row.closest("li");
const rowOf = (item) => item.querySelector(".json-row");
const childList = (item) => item.firstElementChild.lastElementChild;

function drawRow(tree, row) {
  const item = tree.items.get(itemOf(row));
  replace(row, item.isRange ? h("span", { class: "quiet" }, `${item.first} … ${item.end - 1}`) : rowParts(tree, item));
}

function rowParts(tree, item) {
  const name = kindOfJson(item.name) === "note" ? "" : nameOfItem(item);
  const key = name && h("bdi", { class: "json-key" }, highlighted(clipText(name), tree.query));
  return [key, name ? ": " : "", item.count !== null ? sizeWords(item) : leafOf(tree, item)];
}

/** Write the name of an item; a field without one is not mistaken for the whole, which has none. */
function nameOfItem({ name }) {
  return name === null ? "" : visibleText(plainText(name)) || '""';
}

function leafOf(tree, item) {
  const whole = leafText(item.value);
  const shown = clipTextAround(whole, tree.query);
  const title = shown === whole ? null : whole.slice(0, LONGEST_TITLE);
  return h("bdi", { class: `json-${kindOfJson(item.value)}`, title }, highlighted(shown, tree.query));
}

function sizeWords(item) {
  const isList = Array.isArray(item.value);
  const noun = isList ? (item.count === 1 ? "element" : "elements") : item.count === 1 ? "field" : "fields";
  return h("span", { class: "quiet" }, `${isList ? "[" : "{"} ${item.count} ${noun} ${isList ? "]" : "}"}`);
}

function highlighted(text, query) {
  return splitAtMatches(text, query).map((part) => (part.match ? h("mark", {}, part.text) : part.text));
}

function openItem(tree, item) {
  const details = item.firstElementChild;
  addChildren(tree, details);
  details.open = true;
}

/** Make the children of a parent, the first time that it is opened. */
function addChildren(tree, details) {
  if (details.children.length > 1) return;
  details.append(h("ul", {}, childrenOfItem(tree.items.get(details.parentElement)).map((child) => makeItem(tree, child))));
}

function childrenOfItem({ value, isRange, first, end, count, keys }) {
  const names = keys ?? (Array.isArray(value) ? null : Object.keys(value));
  return groupsOf(isRange ? first : 0, isRange ? end : count).map((group) => {
    const { first: at } = group;
    if (group.end - at > 1) return { ...group, name: null, value, keys: names, isRange: true };
    return { ...group, name: names ? names[at] : String(at), value: value[names ? names[at] : at] };
  });
}

/** Enter and the space bar open and close a <summary> by themselves. */
function onTreeKey(tree, event) {
  const row = event.target.closest(".json-row");
  const details = row.matches("summary") ? row.parentElement : null;
  const rows = [...tree.list.querySelectorAll(".json-row")].filter(isSeen);
  const at = rows.indexOf(row);
  followKey(event, {
    ArrowDown: () => rows[at + 1],
    ArrowUp: () => rows[at - 1],
    ArrowRight: () => (details?.open ? rows[at + 1] : details && openItem(tree, itemOf(row))),
    ArrowLeft: () => (details?.open ? void (details.open = false) : parentOf(row)),
    Home: () => rows[0],
    End: () => rows.at(-1),
  });
}

function parentOf(row) {
  return itemOf(row).parentElement.closest("details")?.firstElementChild;
}

function isSeen(row) {
  return !itemOf(row).parentElement.closest("details:not([open])");
}

/** Find where a text occurs: paths of positions, in the order of the document, and if it is all. */
export function findInJson(value, query, most = MOST_MATCHES) {
  const wanted = query.toLowerCase();
  const found = [];
  const stack = [{ value, name: "", path: null }];
  let searched = 0;
  while (stack.length && wanted) {
    const { value: here, name, path } = stack.pop();
    searched += 1;
    if (searched > MOST_SEARCHED || found.length >= most) return { found, whole: false };
    if (isJsonMatch(here, name, wanted)) found.push(path);
    for (const child of childrenOf(here).reverse()) {
      stack.push({ value: child.value, name: child.name, path: { up: path, index: child.index } });
    }
  }
  return { found, whole: true };
}

/** Group the children of a value: themselves, or ranges where they are more than a hundred. */
export function groupsOf(first, end) {
  const count = end - first;
  let size = 1;
  while (count / size > MOST_CHILDREN) size *= MOST_CHILDREN;
  const groups = [];
  for (let at = first; at < end; at += size) {
    groups.push({ first: at, end: Math.min(at + size, end) });
  }
  return groups;
}

/** Write a leaf as JSON, with what cannot be seen as escapes. */
export function leafText(value) {
  if (typeof value !== "string") return String(value);
  if (value.startsWith(NUMBER_MARK) || value.startsWith(NOTE_MARK)) return value.slice(1);
  return visibleText(JSON.stringify(plainText(value)));
}

/** Split a text at what is searched for, for highlighting. */
export function splitAtMatches(text, query) {
  if (!query) return [{ text, match: false }];
  const parts = [];
  const lower = text.toLowerCase();
  // Lower case can be longer than the text (in Turkish): then nothing is highlighted.
  if (lower.length !== text.length) return [{ text, match: false }];
  const wanted = query.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    if (at > from) parts.push({ text: text.slice(from, at), match: false });
    parts.push({ text: text.slice(at, at + wanted.length), match: true });
    from = at + wanted.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from), match: false });
  return parts;
}

/** Count the children of a value; null where it cannot have any. */
export function countOfJson(value) {
  if (!isBranch(value)) return null;
  return Array.isArray(value) ? value.length : Object.keys(value).length;
}

/** Name the kind of a leaf, for its looks. */
export function kindOfJson(value) {
  if (value === null) return "null";
  if (typeof value !== "string") return typeof value;
  if (value.startsWith(NUMBER_MARK)) return "number";
  return value.startsWith(NOTE_MARK) ? "note" : "string";
}

/** Take off the mark of a text that begins like a mark. */
export function plainText(text) {
  return text.startsWith(TEXT_MARK) ? text.slice(1) : text;
}

/** Write what cannot be seen, or turns the line round, as escapes. */
export function visibleText(text) {
  return text.replace(UNSEEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Shorten a long text. */
export function clipText(text) {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/** Shorten a long text, to the part that is searched for. */
export function clipTextAround(text, query) {
  const at = query ? text.toLowerCase().indexOf(query.toLowerCase()) : -1;
  if (at < LONGEST_SHOWN / 2) return clipText(text);
  return `…${clipText(text.slice(at - LONGEST_SHOWN / 4))}`;
}

function childrenOf(value) {
  if (Array.isArray(value)) return value.map((each, index) => ({ value: each, name: "", index }));
  if (!isBranch(value)) return [];
  return Object.keys(value).map((name, index) => ({ value: value[name], name, index }));
}

function isJsonMatch(value, name, wanted) {
  if (plainText(name).toLowerCase().includes(wanted)) return true;
  if (isBranch(value)) return false;
  const text = typeof value === "string" ? value.replace(/^[\ue000-\ue002]/, "") : String(value);
  return text.toLowerCase().includes(wanted);
}

function isBranch(value) {
  return typeof value === "object" && value !== null;
}
