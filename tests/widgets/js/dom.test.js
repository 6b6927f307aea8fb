import { h, milliseconds, replace, svg } from "/static/dom.js";
import { equal, stage, test } from "./harness.js";

test("text becomes text and never markup", () => {
  const hostile = "<img src=x onerror=alert(1)>";
  const element = stage();
  element.append(h("p", { title: hostile }, hostile));
  equal(element.querySelector("p").textContent, hostile);
  equal(element.querySelector("p").title, hostile);
  equal(element.querySelectorAll("img").length, 0);
});

test("what is null, undefined or false is left out", () => {
  const button = h("button", { disabled: false, title: null, hidden: true }, null, [0, false, ["a"]]);
  equal(button.hasAttribute("disabled"), false);
  equal(button.hasAttribute("title"), false);
  equal(button.getAttribute("hidden"), "");
  equal(button.textContent, "0a");
});

test("listeners and values are set as such", () => {
  let clicks = 0;
  const box = h("input", { type: "checkbox", checked: true, onclick: () => (clicks += 1) });
  stage().append(box);
  box.click();
  equal([clicks, box.checked], [1, false]);
});

test("an svg element is one", () => {
  equal(svg("rect", { x: 1 }).namespaceURI, "http://www.w3.org/2000/svg");
});

test("replace leaves nothing of before", () => {
  const element = stage();
  replace(element, "a", [h("b"), null]);
  replace(element, h("i"));
  equal(element.children.length, 1);
});

test("milliseconds are written as in Python", () => {
  equal([1204.31, 0, 12345678, null, NaN].map((value) => milliseconds(value)), [
    "1\u2009204.3", "0.0", "12\u2009345\u2009678.0", "-", "-",
  ]);
  equal(milliseconds(1204.5, 0), "1\u2009205");
});
