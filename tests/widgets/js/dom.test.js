import { duration, h, number, replace, stated, svg, uncertainty } from "/static/dom.js";
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

test("a measured value has three digits that count, decided after rounding", () => {
  equal([1204.31, 287.6, 12.34, 9.996, 5.678, 0, -0.001, null, NaN].map(number), [
    "1\u202f204", "288", "12.3", "10.0", "5.68", "0.00", "0.00", "-", "-",
  ]);
});

test("a time stays on one line with its unit", () => {
  equal([1204.31, null].map(duration), ["1\u202f204\u00a0ms", "-"]);
});

test("a value that was counted or chosen has all its digits, and an uncertainty its unit", () => {
  equal([12345678, 0.5, 500].map(stated), ["12\u202f345\u202f678", "0.5", "500"]);
  equal([34.21, 999.7, 2920].map(uncertainty), ["34.2\u00a0µs", "1.00\u00a0ms", "2.92\u00a0ms"]);
});
