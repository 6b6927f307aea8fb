import { findInJson, groupsOf, jsonTree, leafText, splitAtMatches } from "/static/json_tree.js";
import { test, equal, ok, until, stage } from "./harness.js";

const CART = { cart: { line_items: [{ sku: "TEE", note: "ground floor" }], method: "Ground" } };

function tree(value, leftOut) {
  const made = jsonTree("JSON");
  stage().append(made.element);
  made.show(JSON.stringify(value), leftOut);
  return made.element;
}

const items = (element) => [...element.querySelectorAll(".json-row")];
const rows = (element) => items(element).filter(isShown).map(rowText);
const rowText = (row) => row.textContent;
const isShown = (row) => row.checkVisibility();

/** Click a row and wait until it has opened or closed. */
function click(row) {
  const toggled = new Promise((done) => row.parentElement.addEventListener("toggle", done, { once: true }));
  row.click();
  return toggled;
}

const press = (element, key, more = {}) =>
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));

async function searchFor(element, text) {
  const input = element.querySelector("input");
  input.value = text;
  input.dispatchEvent(new Event("input"));
  await until(() => element.querySelector(".json-count").textContent || !text);
  return input;
}

test("a tree shows its first level and makes the next when it is opened", async () => {
  const element = tree(CART);
  equal(rows(element), ["{ 1 field }", "cart: { 2 fields }"]);
  equal(items(element).length, 2);
  await click(items(element)[1]);
  equal(rows(element).slice(2), ["line_items: [ 1 element ]", 'method: "Ground"']);
});

test("a field whose name is empty or odd has a name to be seen", async () => {
  const element = tree({ "": { "": 1 }, "a.b": 2, "\ue001": 3 });
  await click(items(element)[1]);
  equal(rows(element), ["{ 3 fields }", '"": { 1 field }', '"": 1', "a.b: 2", "3"]);
});

test("two trees of a page share no id, also where each widget has the module anew", async () => {
  const source = await (await fetch("/static/json_tree.js")).text();
  const whole = source.replaceAll('from "./', `from "${location.origin}/static/`);
  const again = await import(URL.createObjectURL(new Blob([whole], { type: "text/javascript" })));
  const ids = [jsonTree, again.jsonTree].flatMap((make) => {
    const made = make("JSON");
    made.show("[1, 2]");
    return [...made.element.querySelectorAll("[id]")].map((element) => element.id);
  });
  equal(ids.length, 2);
  equal(new Set(ids).size, ids.length);
});

test("a second click closes what the first opened", async () => {
  const element = tree(CART);
  await click(items(element)[1]);
  await click(items(element)[1]);
  equal(rows(element).length, 2);
  equal(items(element).length, 4, "what was made is kept");
});

test("arrows, Home and End move through the tree as in any tree", () => {
  const element = tree(CART);
  const root = items(element)[0];
  root.focus();
  const after = (key) => {
    press(document.activeElement, key);
    return rowText(document.activeElement);
  };
  equal(after("ArrowRight"), "cart: { 2 fields }");
  equal(after("ArrowRight"), "cart: { 2 fields }");
  equal(after("ArrowRight"), "line_items: [ 1 element ]");
  equal(after("ArrowDown"), 'method: "Ground"');
  equal(after("ArrowLeft"), "cart: { 2 fields }");
  equal(after("End"), 'method: "Ground"');
  equal(after("ArrowUp"), "line_items: [ 1 element ]");
  equal(after("Home"), "{ 1 field }");
  equal(items(element).filter((item) => item.tabIndex === 0).length, 1);
});

test("what is in what, and what is open, is told by native elements", async () => {
  const element = tree({ a: 1, b: [2] });
  const [root, a, b] = items(element);
  equal([root, a, b].map((row) => row.localName), ["summary", "span", "summary"]);
  equal([root, b].map((row) => row.parentElement.open), [true, false]);
  equal(root.nextElementSibling.localName, "ul");
  equal([...root.nextElementSibling.children].map((item) => item.localName), ["li", "li"]);
  equal(element.querySelectorAll("[role=treeitem], [aria-expanded]").length, 0);
});

test("a tree is one stop for the tab key, the row that had the focus last", async () => {
  const element = tree({ a: 1, b: [2] });
  const stops = () => items(element).filter((row) => row.tabIndex === 0).map(rowText);
  equal(stops(), ["{ 2 fields }"]);
  items(element)[1].focus();
  equal(stops(), ["a: 1"]);
});

test("what the browser's own search opens has its children, too", async () => {
  const element = tree(CART);
  const details = items(element)[1].parentElement;
  details.open = true;
  await until(() => details.querySelector("ul"), "the children");
  equal(rows(element).slice(2), ["line_items: [ 1 element ]", 'method: "Ground"']);
});

test("a list of a hundred thousand makes a hundred items at a time", async () => {
  const element = tree(Array.from({ length: 100000 }, (_, n) => n));
  equal(items(element).length, 11);
  equal(rows(element)[1], "0 … 9999");
  await click(items(element)[2]);
  equal(rows(element)[3], "10000 … 10099");
  await click(items(element)[3]);
  equal(rows(element)[4], "10000: 10000");
  ok(items(element).length < 320, "few items");
});

test("groups cover everything once, at most a hundred of them", () => {
  for (const count of [0, 1, 100, 101, 10000, 10001, 123456]) {
    const groups = groupsOf(0, count);
    ok(groups.length <= 100, `few groups of ${count}`);
    equal(groups.reduce((sum, { first, end }) => sum + end - first, 0), count);
  }
});

test("a search finds names and values, counts them and opens the way to the first", async () => {
  const element = tree(CART);
  await searchFor(element, "GROUND");
  equal(element.querySelector(".json-count").textContent, "1 of 2 matches");
  equal(rowText(element.querySelector(".current")), 'note: "ground floor"');
  equal([...element.querySelectorAll("mark")].map((mark) => mark.textContent), ["ground", "Ground"]);
});

test("Enter goes to the next match, with Shift to the one before, round and round", async () => {
  const element = tree(CART);
  const input = await searchFor(element, "ground");
  const at = (more) => {
    press(input, "Enter", more);
    return element.querySelector(".json-count").textContent;
  };
  equal([at(), at(), at({ shiftKey: true })], ["2 of 2 matches", "1 of 2 matches", "2 of 2 matches"]);
});

test("a search in a long list opens the ranges on the way", async () => {
  const element = tree(Array.from({ length: 5000 }, (_, n) => ({ sku: n === 4321 ? "needle" : "hay" })));
  await searchFor(element, "needle");
  equal(rowText(element.querySelector(".current")), 'sku: "needle"');
  ok(items(element).length < 400, "few items");
});

test("an empty search takes the marks away, and nothing found is said", async () => {
  const element = tree(CART);
  await searchFor(element, "ground");
  await searchFor(element, "nowhere");
  await until(() => element.querySelector(".json-count").textContent === "0 matches");
  ok(element.querySelector("button").disabled);
  await searchFor(element, "");
  await until(() => element.querySelector(".json-count").textContent === "");
  equal(element.querySelectorAll("mark").length, 0);
});

test("a search stops at its limit and says so", async () => {
  equal(findInJson(Array(2000).fill("a"), "a").whole, false);
  equal(findInJson(Array(999).fill("a"), "a").whole, true);
  const element = tree(Array(2000).fill("a"));
  await searchFor(element, "a");
  ok(element.querySelector(".json-count").textContent.endsWith("or more: the search stopped there"));
});

test("markup is only ever text", () => {
  const element = tree({ "<img src=x onerror=alert(1)>": "<script>alert(1)</script>" });
  equal(element.querySelectorAll("img, script").length, 0);
  ok(rows(element)[1].includes("<script>alert(1)</script>"));
});

test("what turns the line round or cannot be seen is written as an escape", () => {
  equal(leafText("a\u202eb\u200bc\u0007"), '"a\\u202eb\\u200bc\\u0007"');
  const element = tree({ "\u202ekey": 1 });
  equal(rows(element)[1], "\\u202ekey: 1");
  ok(element.querySelector("bdi.json-key"), "isolated");
});

test("numbers, notes and marked texts of the kernel are shown as what they are", () => {
  const element = tree({ a: "\ue00022.0", b: "\ue0015 more left out", c: "\ue002\ue000x" });
  equal(rows(element).slice(1), ["a: 22.0", "b: 5 more left out", 'c: "\ue000x"']);
});

test("a long text is shortened, whole in its tooltip, and shown where it matches", async () => {
  const text = `${"x".repeat(1000)}needle${"y".repeat(1000)}`;
  const element = tree([text]);
  ok(rows(element)[1].length < 320);
  equal(element.querySelector(".json-string").title, `"${text}"`);
  await searchFor(element, "needle");
  equal(element.querySelector("mark").textContent, "needle");
});

test("what is left out is said, and what is no JSON too", () => {
  const element = tree([1], "This JSON is not whole: 3 parts left out.");
  equal(element.querySelector(".json-said").textContent, "This JSON is not whole: 3 parts left out.");
  const broken = jsonTree("JSON");
  broken.show("{", "");
  equal(broken.element.querySelector(".json-said").textContent, "This cannot be read as JSON.");
  ok(broken.element.querySelector(".json-tree").hidden);
});

test("two thousand levels are opened one by one and searched at once", async () => {
  let deep = "needle";
  for (let level = 0; level < 2000; level += 1) deep = [deep];
  const element = tree(deep);
  equal(items(element).length, 2);
  equal(findInJson(deep, "needle").found.length, 1);
});

test("highlighting never changes a text", () => {
  for (const text of ["aXbxc", "xx", "", "İstanbul x"]) {
    equal(splitAtMatches(text, "x").map((part) => part.text).join(""), text);
  }
});
