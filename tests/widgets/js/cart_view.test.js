import widget, { stepWords } from "/static/cart_view.js";
import { tellingLines } from "/static/cart_sheet.js";
import { test, equal, ok, until, stage, model } from "./harness.js";

const value = (now, was = null) => ({ now, was });
const amount = (label, now, was = null, more = {}) => ({
  label, words: value(label), amount: value(now, was), state: was ? "changed" : "", findings: [], ...more,
});
const line = (name, more = {}) => ({
  label: name, name, detail: "", quantity: value("1"), each: value(""), price: value("22.00"),
  discount: "", state: "", also: [], findings: [], ...more,
});
const sheet = (seq, more = {}) => ({
  seq, from_seq: seq, shop: "Luma", status: value("active"), order_number: "", currency: "USD",
  lines: [line("Tee")], lines_left_out: 0, shipments: [], codes: [], totals: [amount("total", "22.00")],
  notices: [], changes: [], changes_left_out: 0, findings: [], severities: {}, is_first: false, ...more,
});
const step = (seq, event, more = {}) => ({ seq, event, t_ms: seq * 100, has_cart: true, findings: {}, ...more });
const NOTE = { path: "p", severity: "error", check: "total", sentence: "The total is wrong." };

const STATE = {
  seq: 2,
  _steps: [step(1, "item-added"), step(2, "shipping-updated"), step(3, "order-placed")],
  _sheets: { 1: sheet(1, { is_first: true }), 2: sheet(2), 3: sheet(3) },
  _about: { recording_id: "r1", checks: "✓ 11 checks", note: "", steps_left_out: 0 },
};

function show(state = {}) {
  const kernel = model({ ...STATE, ...state });
  const el = stage();
  const end = widget.render({ model: kernel, el });
  return { kernel, el, end, view: el.querySelector(".cart-view"), slider: el.querySelector("input[type=range]") };
}

const drawn = () => new Promise((done) => queueMicrotask(() => queueMicrotask(done)));

test("without an order it says what will be here", () => {
  const { view } = show({ seq: null, _steps: [], _sheets: {}, _about: {} });
  ok(!view.querySelector(".cart-empty").hidden);
  ok(view.querySelector(".cart-empty").textContent.includes("Place an order"));
  ok(!view.querySelector("input[type=range]").checkVisibility());
});

test("an order that was refused has only its note", () => {
  const about = { ...STATE._about, note: "Not placed: refused. No cart was seen." };
  const { view } = show({ seq: null, _steps: [], _sheets: {}, _about: about });
  equal(view.querySelector(".cart-body").textContent, about.note);
  ok(view.querySelector(".cart-empty").hidden);
});

test("the slider says event, time and place, and what was found there", () => {
  const { slider } = show();
  equal(slider.getAttribute("aria-valuetext"), "shipping-updated, 200 milliseconds, event 2 of 3");
  equal([slider.min, slider.max, slider.value], ["0", "2", "1"]);
  equal(stepWords(step(2, "item-added", { unread: true }), 1, 4), "item-added, 200 milliseconds, event 2 of 4, its cart was not read");
  const odd = step(4, "error", { t_ms: null, has_cart: false, findings: { error: 2, warning: 1 } });
  equal(stepWords(odd, 3, 4), "error, event 4 of 4, without a cart, 2 errors, 1 warning");
});

test("moving the slider shows the other cart at once and tells the kernel", async () => {
  const { kernel, slider, view } = show();
  slider.value = 2;
  slider.dispatchEvent(new Event("input"));
  await drawn();
  equal(kernel.get("seq"), 3);
  equal(view.querySelector(".cart-title strong").textContent, "order-placed");
});

test("keys on the slider stay with it", () => {
  const { slider, el } = show();
  let heard = 0;
  el.addEventListener("keydown", () => (heard += 1));
  slider.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
  equal(heard, 0);
});

test("a cart that the kernel has not sent yet is waited for", async () => {
  const { kernel, view } = show({ _sheets: {} });
  equal(view.querySelector(".cart-body").getAttribute("aria-busy"), "true");
  kernel.set("_sheets", { 2: sheet(2) });
  await drawn();
  equal(view.querySelector(".cart-body").getAttribute("aria-busy"), "false");
  ok(view.querySelector("table"));
});

test("what changed has a sign, a word and the value before", () => {
  const rows = sheet(2, {
    lines: [line("Tee", { state: "added" }), line("Mug", { state: "removed" })],
    totals: [amount("tax", "2.22", "0.00")],
  });
  const { view } = show({ _sheets: { 2: rows } });
  const signs = [...view.querySelectorAll("tbody .cart-sign")].map((cell) => cell.textContent);
  equal(signs, ["+added", "−removed", "→changed"]);
  const tax = view.querySelector(".ruled:last-child tr");
  equal(tax.querySelector("del").textContent, "was 0.00");
  equal(tax.querySelector("ins").textContent, " now 2.22");
});

test("findings stand in the row after what they concern", () => {
  const rows = sheet(2, { totals: [amount("total", "22.01", null, { findings: [NOTE] })], severities: { error: 1 } });
  const about = { ...STATE._about, checks: "✗ 1 of 14 checks: 2 errors" };
  const { view } = show({ _sheets: { 2: rows }, _about: about });
  const total = view.querySelector(".cart-total");
  equal(total.nextElementSibling.querySelector(".cart-finding bdi").textContent, NOTE.sentence);
  ok(view.querySelector(".cart-checks").textContent.startsWith("✗ 1 error in this cart"));
});

test("findings without a place are listed under the total", () => {
  const { view } = show({ _sheets: { 2: sheet(2, { findings: [NOTE] }) } });
  equal(view.querySelector("table + ul .cart-finding bdi").textContent, NOTE.sentence);
});

test("a clean cart says how many checks there were", () => {
  equal(show().view.querySelector(".cart-checks").textContent, "✓ 11 checks");
});

test("an event without a cart names the one whose cart is shown", () => {
  const steps = [STATE._steps[0], step(2, "error", { has_cart: false })];
  const { view } = show({ _steps: steps, _sheets: { 2: sheet(2, { from_seq: 1 }) } });
  ok(view.querySelector(".cart-body").textContent.startsWith("error carries no cart; this is the one of item-added (100\u00a0ms)."));
  equal(view.querySelector(".cart-checks"), null);
});

test("an event before any cart says so", () => {
  const { view } = show({ _sheets: { 2: { seq: 2, lines: null } } });
  equal(view.querySelector(".cart-body").textContent, "shipping-updated carries no cart, and none came before it.");
});

test("a cart that was not read shows the reason and no other cart", () => {
  const { view } = show({ _sheets: { 2: { seq: 2, lines: null, unread: "its data is not whole JSON" } } });
  equal(view.querySelector(".cart-body").textContent, "The cart of shipping-updated was not read: its data is not whole JSON.");
  equal(view.querySelector("table"), null);
});

test("the table has headers for its columns and rows, and Each only where it says something", () => {
  const { view } = show();
  equal([...view.querySelectorAll("thead th")].map((cell) => cell.textContent), ["Change", "Item", "Qty", "Price"]);
  equal(view.querySelector("tbody th").scope, "row");
  const many = show({ _sheets: { 2: sheet(2, { lines: [line("Tee", { each: value("11.00") })] }) } });
  equal(many.view.querySelectorAll("thead th").length, 5);
});

test("of many lines those that are wrong or changed are shown, and all when asked for", () => {
  const lines = Array.from({ length: 250 }, (_, n) => line(`L${n}`, { state: n === 240 ? "added" : "" }));
  const { view } = show({ _sheets: { 2: sheet(2, { lines, lines_left_out: 7 }) } });
  const count = () => view.querySelectorAll(".cart-item").length;
  equal(count(), 30);
  ok([...view.querySelectorAll(".cart-item")].at(-1).textContent === "L240");
  const [button] = view.querySelectorAll("tbody button");
  equal(button.textContent, "Show all 250 lines");
  button.click();
  equal(count(), 250);
  ok(view.textContent.includes("… and 7 more lines"));
  ok(view.contains(document.activeElement) && document.activeElement.tagName === "TH", "focus stays in the cart");
  const wrong = Array.from({ length: 9 }, (_, n) => line(`L${n}`, { findings: n > 3 ? [NOTE] : [] }));
  equal(tellingLines(wrong, 3).map((each) => each.label), ["L4", "L5", "L6"]);
});

test("texts of a merchant make no markup, no link and no picture", () => {
  const evil = '<img src="http://x.test/x" onerror="alert(1)"><a href="javascript:alert(1)">x</a>';
  const rows = sheet(2, { shop: evil, lines: [line(evil, { detail: evil })], notices: [evil], codes: [evil] });
  const { view } = show({ _sheets: { 2: rows } });
  equal(view.querySelectorAll("img, a, script, iframe").length, 0);
  equal(view.querySelector(".cart-item bdi").textContent, evil);
  equal(view.querySelector(".cart-item").title, evil);
});

test("an element of a list is not named twice", () => {
  const change = { path: "p", words: "lines MUG", kind: "removed", was: "MUG", now: "" };
  const { view } = show({ _sheets: { 2: sheet(2, { changes: [change] }) } });
  equal(view.querySelector(".cart-changes li").textContent, "− lines MUG removed");
});

test("JSON is asked for when it is opened, not before, and again for another event", async () => {
  const { kernel, view, slider } = show();
  equal(kernel.sent, []);
  view.querySelector(".cart-json").open = true;
  await until(() => kernel.sent.length);
  equal(kernel.sent, [{ ask: "json", seq: 2 }]);
  equal(view.querySelector(".json-said").textContent, "Asking the kernel …");
  const answer = { answer: "json", recording_id: "r1", text: '{"a":1}', left_out: "" };
  kernel.receive({ ...answer, seq: 3 });
  kernel.receive({ ...answer, seq: 2, recording_id: "r0" });
  ok(view.querySelector(".json-tree").hidden, "answers for others are passed over");
  kernel.receive({ ...answer, seq: 2 });
  equal(view.querySelectorAll(".json-row").length, 2);
  slider.value = 2;
  slider.dispatchEvent(new Event("input"));
  await until(() => kernel.sent.length === 2);
  equal(kernel.sent[1], { ask: "json", seq: 3 });
});

test("a kernel that is gone is said, in the cart and where JSON was asked for", async () => {
  const { kernel, view } = show({ _sheets: {} });
  kernel.send = () => {
    throw new Error("Cannot send");
  };
  kernel.gone();
  ok(view.querySelector(".cart-body").textContent.startsWith("The kernel is gone"));
  equal(view.querySelector(".cart-body").getAttribute("aria-busy"), "false");
  view.querySelector(".cart-json").open = true;
  await until(() => view.querySelector(".json-said").textContent.startsWith("The kernel is gone"));
});

test("a view that is taken down listens no more", () => {
  const { kernel, end } = show();
  ok(kernel.listening() > 0);
  end();
  equal(kernel.listening(), 0);
});

test("a cart that nobody sends is said to be waited for, and an empty view says that its kernel is gone", async () => {
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 100);
  try {
    const { view, end } = show({ _sheets: {} });
    ok(view.textContent.includes("Reading this cart"), "what is waited for");
    await until(() => view.textContent.includes("No answer yet: the kernel is busy, or it has stopped."));
    end();
    const empty = show({ seq: null, _steps: [], _sheets: {}, _about: {} });
    equal(empty.view.querySelector(".cart-empty [role=status]").checkVisibility(), false);
    empty.kernel.gone();
    equal(empty.view.querySelector(".cart-empty [role=status]").checkVisibility(), true);
  } finally {
    window.setTimeout = real;
  }
});
