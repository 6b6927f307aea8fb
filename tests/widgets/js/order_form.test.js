import { closestVariant, handlesOf, optionNames, optionValues, reference } from "/static/order_form_items.js";
import { combobox, markOf, problemWords } from "/static/fields.js";
import { addressWords } from "/static/order_form.js";
import orderForm from "/static/order_form.js";
import { keepShortcutsOut } from "/static/dom.js";
import { formKernel } from "./form_kernel.js";
import { equal, model, ok, stage, test, until } from "./harness.js";

const variant = (size, color, available = true) => ({
  variant_id: `${size}-${color}`, product_id: "P", variant_handles: ["tee"], title: "Tee",
  options: { Size: size, Color: color }, price: "22.00 USD", available,
});
const VARIANTS = [variant("XS", "Orange"), variant("XS", "Blue", false), variant("S", "Blue")];
const ADDRESS = { first_name: "Ada", last_name: "Example", city: "Seattle" };

const DRAFT = {
  merchant: "a.test",
  items: [{ variant_id: "XS-Orange", product_id: "P", variant_handles: ["tee"], quantity: 1, handle: "tee", title: "Tee", raw: false }],
  shipping: ADDRESS, same_billing: true, billing: {}, card_name: "visa",
  card: { name: "", month: "", year: "" }, sse: true, warm: true, times: 1,
};
const FACTS = {
  cards: [["visa", "Visa test, ends in 1111"]], most_times: 100,
  rules: { number: ["[0-9]{12,19}", "must be 12 to 19 digits"], verification_value: ["[0-9]{3,4}", "must be 3 or 4 digits"] },
};

/** A form in the page and the kernel behind it; sent messages keep their buffers. */
function form(changes = {}, traits = {}) {
  const state = model({ captcha: [], run: { state: "idle" }, result: {}, runs: [], notice: "", looked: "", turn: 0, facts: FACTS, ...traits });
  const kernel = formKernel(state, { ...DRAFT, ...changes });
  const el = stage();
  orderForm.render({ model: state, el });
  return { state, kernel, el, button: el.querySelector("button.place"), find: (what) => el.querySelector(what) };
}

const sent = (state, type) => state.sent.filter((message) => message.type === type);
const secretsIn = (message) => JSON.parse(new TextDecoder().decode(message.buffers[0]));
const draftIn = (message) => JSON.parse(new TextDecoder().decode(message.buffers[1]));
const told = (name, value, state) => state.set(name, value);

function type(input, text) {
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

test("options come in the order of the variants, each value once", () => {
  equal(optionNames(VARIANTS), ["Size", "Color"]);
  equal(optionValues(VARIANTS, "Size"), ["XS", "S"]);
  equal(optionValues(VARIANTS, "Nothing"), []);
});

test("changing one option keeps as much of the others as there is", () => {
  const chosen = { Size: "XS", Color: "Orange" };
  equal(closestVariant(VARIANTS, chosen, "Color", "Blue").variant_id, "XS-Blue");
  equal(closestVariant(VARIANTS, chosen, "Size", "S").variant_id, "S-Blue");
  equal(closestVariant(VARIANTS, chosen, "Size", "XXL"), null);
});

test("a whole add_to_cart_ref that is pasted is taken apart", () => {
  equal(reference(" WS12 "), { variant_id: "WS12", add_to_cart_ref: null });
  const pasted = { add_to_cart_ref: { variant_id: 7, product_id: null, variant_handles: ["a", 1] } };
  equal(reference(JSON.stringify(pasted)), { variant_id: "7", product_id: "", variant_handles: ["a", "1"], ...pasted });
  const further = { variant_id: "7", plan: 3, variant_handles: [{ type: "Size" }] };
  const taken = reference(JSON.stringify(further));
  equal([taken.variant_handles, taken.add_to_cart_ref], [['{"type":"Size"}'], further]);
  equal(reference("{no json"), { variant_id: "{no json", add_to_cart_ref: null });
  equal(handlesOf(" a, b ,,"), ["a", "b"]);
  equal(handlesOf(" "), null);
});

test("what is wrong is named by its part, the first thing and how many more", () => {
  const names = { shipping_info: "Ship to", items: "Items", domain: "Merchant" };
  const words = (...found) => problemWords(found, names);
  equal(words(["shipping_info.postal_code", "must not be empty"]), "Ship to, postal code: must not be empty");
  equal(words(["items[0].quantity", "x"], ["times", "y"]), "Items, quantity: x (and 1 more)");
  equal([words(["domain", "is none"]), words()], ["Merchant: is none", ""]);
});

test("an address in one line is who and where", () => {
  equal(addressWords(ADDRESS), "Ada Example, Seattle");
  equal(addressWords({}), "not filled in yet");
});

test("a combobox is moved through by keys and takes any text", () => {
  const calls = [];
  const box = combobox({
    id: "b", label: "Fruit", placeholder: "", value: "",
    type: () => {}, pick: (choice) => calls.push(["pick", choice.value]), commit: (text) => calls.push(["commit", text]),
  });
  stage().append(box.element);
  box.offer(["apple", "pear"].map((value) => ({ value, text: value })));
  const key = (name) => box.input.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  box.input.focus();
  key("ArrowDown");
  key("ArrowDown");
  equal(box.input.getAttribute("aria-expanded"), "true");
  const active = document.getElementById(box.input.getAttribute("aria-activedescendant"));
  equal([active.textContent, active.getAttribute("aria-selected")], ["pear", "true"]);
  key("Enter");
  equal([box.input.value, box.input.getAttribute("aria-expanded")], ["pear", "false"]);
  type(box.input, "quince");
  key("Enter");
  equal(calls, [["pick", "pear"], ["commit", "quince"]]);
  key("Escape");
  equal(box.element.querySelector("ul").hidden, true);
});

test("a list that is opened before the catalogue has answered opens with the answer", () => {
  const box = combobox({ id: "b", label: "Fruit", placeholder: "", value: "", type: () => {}, pick: () => {}, commit: () => {} });
  stage().append(box.element);
  const offer = () => box.offer([{ value: "apple", text: "apple" }]);
  box.input.focus();
  box.input.click();
  equal(box.input.getAttribute("aria-expanded"), "false");
  offer();
  equal(box.input.getAttribute("aria-expanded"), "true");
  box.input.blur();
  offer();
  equal(box.input.getAttribute("aria-expanded"), "false");
});

test("a list names the id first, whole, and what it is called after it", () => {
  const box = combobox({ id: "b", label: "Fruit", placeholder: "", value: "", type: () => {}, pick: () => {}, commit: () => {} });
  const place = stage();
  place.classList.add("order-form");
  place.style.width = "260px";
  place.append(box.element);
  const domain = "harbor.example.test";
  box.offer([{ value: 1, id: domain, text: `paddle \u202e ${"long ".repeat(60)}` }, { value: 2, id: "same", text: "same" }]);
  box.input.click();
  const [first, second] = box.element.querySelectorAll("li");
  const [id, title] = first.children;
  equal([id.textContent, second.textContent], [domain, "same"]);
  ok(title.textContent.startsWith("paddle · long"), "a title that does not turn");
  ok(id.scrollWidth <= id.clientWidth && id.getBoundingClientRect().height < 30, "an id in one line");
  ok(title.scrollWidth > title.clientWidth, "a title that is cut");
});

test("the reason of a refused merchant stands above the list that is open", () => {
  const { state, kernel, find } = form();
  state.receive({ type: "catalogue", about: "merchants", found: ["a.test", "b.test"] });
  const merchant = find('[role="combobox"]');
  merchant.focus();
  type(merchant, "test");
  kernel.find({ domain: `not on the allow-list ${"long ".repeat(30)}` });
  const list = document.getElementById(merchant.getAttribute("aria-controls"));
  const message = document.getElementById(merchant.getAttribute("aria-describedby"));
  equal([list.hidden, message.hidden], [false, false]);
  ok(message.getBoundingClientRect().bottom <= list.getBoundingClientRect().top, "nothing hidden");
});

test("a typed card is checked as it is typed, each part beside its field", () => {
  const { find, el } = form({ card_name: "typed" });
  const said = (name) => {
    const input = find(`[id$="-secret-${name}"]`);
    return document.getElementById(input.getAttribute("aria-describedby").split(" ")[0]).textContent;
  };
  equal([said("number"), said("verification_value")], ["", ""]);
  type(find('[id$="-secret-verification_value"]'), "1");
  equal([said("number"), said("verification_value")], ["", "must be 3 or 4 digits"]);
  type(find('[id$="-secret-number"]'), "4111 1111 1111 111x");
  equal(said("number"), "must be 12 to 19 digits");
  type(find('[id$="-secret-number"]'), "4111 1111 1111 1111");
  type(find('[id$="-secret-verification_value"]'), "123");
  equal([said("number"), said("verification_value")], ["", ""]);
  equal(el.outerHTML.includes("4111 1111"), false);
});

test("where only test cards are taken another number is said to be refused as it is typed", () => {
  const { find } = form({ card_name: "typed" }, { facts: { ...FACTS, marks: [markOf("4111111111111111")] } });
  const number = find('[id$="-secret-number"]');
  type(number, "4242 4242 4242 4241");
  ok(find(".why").textContent.includes("not a well-known test card"));
  type(number, "4111-1111-1111-1111");
  ok(!find(".why").textContent.includes("Card number"));
});

test("two rows are added by two presses, whatever the first one makes be said", () => {
  const { kernel, el } = form();
  const [more] = el.querySelectorAll("button.link");
  for (const count of [2, 3]) {
    const top = more.getBoundingClientRect().top;
    more.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }));
    document.activeElement.blur();
    kernel.find({ "items[1].variant_id": "pick a product", domain: "is none", "shipping_info.city": "must not be empty" });
    equal(more.getBoundingClientRect().top, top, "where it was pressed");
    more.click();
    equal(kernel.draft.items.length, count);
  }
});

test("a press sends the draft and the turn once, also for a double click", () => {
  const { state, button } = form();
  button.click();
  button.dispatchEvent(new MouseEvent("click", { detail: 2, bubbles: true }));
  button.click();
  const [message, ...more] = sent(state, "place");
  equal(more, []);
  equal([message.turn, draftIn(message)], [0, DRAFT]);
  equal("draft" in message, false, "a draft that is logged");
  equal(secretsIn(message), {});
  equal(sent(state, "cancel"), []);
  equal(button.getAttribute("aria-disabled"), "true");
});

test("after a quick order the next press is a press", () => {
  const { state, button } = form();
  button.click();
  told("turn", 1, state);
  told("run", { state: "running", number: 1, of: 1, doing: "", told: "" }, state);
  told("run", { state: "idle", told: "" }, state);
  button.click();
  equal(sent(state, "place").map(({ turn }) => turn), [0, 1]);
});

test("a key that is held down does not press again", () => {
  const { button } = form();
  const held = new KeyboardEvent("keydown", { key: "Enter", repeat: true, cancelable: true });
  button.dispatchEvent(held);
  equal(held.defaultPrevented, true);
});

test("a press that comes just when the button has become Cancel does not cancel", async () => {
  const { state, button } = form();
  told("run", { state: "running", number: 1, of: 1, doing: "", told: "" }, state);
  equal(button.textContent, "Cancel");
  button.click();
  equal(sent(state, "cancel"), []);
});

test("the button becomes Cancel and cancels", async () => {
  const { state, button } = form({}, { run: { state: "running", number: 2, of: 3, doing: "after item-added", told: "1 placed" } });
  equal(button.textContent, "Cancel (2 of 3)");
  button.click();
  equal(sent(state, "cancel").length, 1);
  told("run", { state: "cancelling" }, state);
  equal([button.textContent, button.getAttribute("aria-disabled")], ["Cancelling …", "true"]);
});

test("secrets leave in a buffer and are cleared at once", () => {
  const { state, el, button, find } = form({ card_name: "typed", card: { name: "A", month: "12", year: "2030" } });
  const number = find('[id$="-secret-number"]');
  const cvv = find('[id$="-secret-verification_value"]');
  equal(button.getAttribute("aria-disabled"), "true");
  ok(find(".why").textContent.startsWith("Card number: must be typed"));
  type(number, "4111");
  equal(find(".why").textContent, "Card number: must be 12 to 19 digits");
  type(number, "4111 1111 1111 1111");
  type(cvv, "917");
  equal(button.getAttribute("aria-disabled"), "false");
  button.click();
  const [message] = sent(state, "place");
  equal(secretsIn(message), { number: "4111 1111 1111 1111", verification_value: "917" });
  equal([number.value, cvv.value], ["", ""]);
  const rest = JSON.stringify([draftIn(message), state.sent.map(({ buffers, ...one }) => one), el.outerHTML]);
  equal(/4111 1111|917/.test(rest), false);
});

test("secret fields keep browsers from remembering them", () => {
  const { el } = form({ card_name: "typed" });
  for (const input of el.querySelectorAll('input[id*="-secret-"]')) {
    equal([input.autocomplete, input.spellcheck, input.type], ["off", false, "text"]);
  }
});

test("a captcha token is asked for where the merchant wants one, and is good for one order", () => {
  const { state, kernel, button, find } = form({}, { captcha: ["a.test"] });
  equal(find(".why").textContent, "Captcha token: this merchant asks for one");
  const token = find('[id$="-secret-captcha_token"]');
  ok(token.closest("details").open, "an open section");
  type(token, "a token");
  equal(button.getAttribute("aria-disabled"), "false");
  kernel.put({ times: 2 });
  ok(find(".why").textContent.includes("good for one order"));
  kernel.put({ times: 1 });
  button.click();
  equal([secretsIn(sent(state, "place")[0]), token.value], [{ captcha_token: "a token" }, ""]);
});

test("the first wrong section opens itself and the button says why it cannot be pressed", () => {
  const { state, kernel, button, find } = form();
  const section = find('[id$="-shipping_info.city"]').closest("details");
  equal(section.open, false);
  kernel.find({ "shipping_info.city": "must not be empty" });
  equal(section.open, true);
  equal(find(".why").textContent, "Ship to, city: must not be empty");
  equal(button.getAttribute("aria-describedby"), find(".why").id);
  button.click();
  equal(sent(state, "place"), []);
  equal(document.activeElement.id.endsWith("shipping_info.city"), true);
});

test("a message stands beside its field and belongs to it", () => {
  const { kernel, find } = form();
  const email = find('[id$="-shipping_info.email"]');
  type(email, "ada");
  kernel.find({ "shipping_info.email": "is no e-mail address" });
  const message = document.getElementById(email.getAttribute("aria-describedby"));
  equal([message.textContent, message.hidden, email.getAttribute("aria-invalid")], ["is no e-mail address", false, "true"]);
  kernel.find({});
  equal([message.hidden, email.getAttribute("aria-invalid")], [true, "false"]);
});

test("an edit is not placed before it was checked", () => {
  const { kernel, button, find } = form();
  kernel.isBusy = true;
  type(find('[id$="-shipping_info.city"]'), "Tacoma");
  equal([button.getAttribute("aria-disabled"), find(".why").textContent], ["true", "Being checked …"]);
  kernel.answer();
  equal(kernel.draft.shipping.city, "Tacoma");
  equal(button.getAttribute("aria-disabled"), "false");
});

test("options are picked from what the catalogue answers", async () => {
  const { state, kernel, el } = form();
  const asked = sent(state, "catalogue").map(({ about }) => about);
  equal(asked, ["merchants", "products", "variants"]);
  state.receive({ type: "catalogue", about: "variants", domain: "a.test", handle: "tee", found: VARIANTS });
  const [size, color] = el.querySelectorAll(".options select");
  equal([size.value, color.value], ["XS", "Orange"]);
  color.value = "Blue";
  color.dispatchEvent(new Event("change"));
  equal(kernel.draft.items[0].variant_id, "XS-Blue");
  await until(() => el.textContent.includes("22.00 USD · XS-Blue"));
});

test("leaving a merchant that was typed keeps the focus where it went", async () => {
  const { kernel, find } = form();
  const merchant = find('[role="combobox"]');
  merchant.focus();
  type(merchant, "b.test");
  find('[id$="-item-0-product"]').focus();
  await until(() => kernel.draft.items[0].handle === "", "the other merchant's empty row");
  equal(document.activeElement === find('[id$="-item-0-product"]'), true);
  equal(kernel.draft.merchant, "b.test");
  // Whoever comes back finds the rows of before.
  merchant.focus();
  type(merchant, "a.test");
  find('[id$="-item-0-product"]').focus();
  await until(() => kernel.draft.items[0].handle === "tee", "the rows of before");
});

test("a merchant that Python set brings its own products", async () => {
  const { state, kernel } = form();
  kernel.put({ merchant: "c.test" });
  const asked = () => sent(state, "catalogue").filter((one) => one.about === "products");
  await until(() => asked().length === 2);
  equal(asked().at(-1).domain, "c.test");
});

test("a kernel that does not answer is said to be busy", async () => {
  const { kernel, find } = form();
  kernel.isBusy = true;
  type(find('[id$="-shipping_info.city"]'), "Tacoma");
  await until(() => find(".why").textContent.includes("The kernel is busy"));
});

test("a kernel that ended without a word is noticed, and heard again if it speaks", async () => {
  const run = { state: "running", number: 1, of: 1, doing: "after item-added", told: "" };
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 100);
  try {
    const { state, find } = form({}, { run });
    await until(() => find(".status").textContent.includes("no word from the kernel"));
    ok(find(".status").textContent.includes("fnb.load()"), "what to do");
    state.receive({ type: "beat" });
    equal(find(".status").textContent, "The order is on its way: after item-added");
  } finally {
    window.setTimeout = real;
  }
});

test("an order is spoken of once while it takes long, and no stage of it", async () => {
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 100);
  try {
    const { state, find } = form();
    const said = [];
    const live = find("[role=status]");
    new MutationObserver(() => said.push(live.textContent)).observe(live, { childList: true });
    for (const doing of ["sent", "after creating-cart", "after item-added"]) {
      told("run", { state: "running", number: 1, of: 1, doing, told: "" }, state);
    }
    await until(() => said.length);
    told("run", { state: "running", number: 1, of: 1, doing: "after shipping-updated", told: "" }, state);
    await new Promise((done) => real(done, 250));
    equal(said, ["The order is on its way: after item-added"]);
  } finally {
    window.setTimeout = real;
  }
});

test("an order that was not sent is told; one that was recorded is told by the timeline", () => {
  const { state, find } = form();
  const result = { outcome: "not_sent", tone: "bad", mark: "x", headline: "Nothing was ordered.", facts: [], next: "", recording_id: "" };
  told("result", result, state);
  equal(find("[role=status]").textContent, "Nothing was ordered.");
  told("result", { outcome: "placed", next: "", recording_id: "r" }, state);
  equal(find("[role=status]").textContent, "");
});

test("the last runs are listed, and a press shows the orders of one beside the form", () => {
  const run = { at_ms: new Date(2026, 0, 2, 14, 3, 5).getTime(), ends: [["good", "✓", "placed"]], about: "order 7", took: "501 ms", how: "a.test · visa card", recording_id: "r7" };
  const unsent = { ...run, ends: [["bad", "✕", "not sent"]], about: "", took: "", recording_id: "" };
  const { state, el } = form();
  equal(el.querySelector(".runs").hidden, true);
  told("runs", [unsent, run], state);
  const rows = [...el.querySelectorAll(".runs li")];
  equal(rows.map((row) => [...row.firstElementChild.children].map((part) => part.textContent)), [["✕ not sent", "", "14:03:05 · a.test · visa card"], ["✓ placed order 7", "501 ms", "14:03:05 · a.test · visa card"]]);
  equal(rows[0].querySelector("button"), null);
  rows[1].querySelector("button").click();
  equal(sent(state, "show").map((message) => message.recording_id), ["r7"]);
});

test("two forms in a page have names of their own", () => {
  const names = [form(), form()].map(({ el }) => el.querySelector(".order-form").getAttribute("aria-label"));
  ok(new Set(names).size === 2 && names.every((name) => name.startsWith("Order form")));
});

test("rows are added, typed by hand and removed", () => {
  const { kernel, el, find } = form();
  const [more, raw] = el.querySelectorAll("button.link");
  raw.click();
  type(find('[id$="-item-1-variant_id"]'), "SKU-1");
  equal(kernel.draft.items[1].variant_id, "SKU-1");
  el.querySelector('[aria-label="Remove item 1"]').click();
  equal(kernel.draft.items.map((item) => item.variant_id), ["SKU-1"]);
  el.querySelector('[aria-label="Remove item 1"]').click();
  equal([kernel.draft.items, document.activeElement === more], [[], true]);
});

test("shortcuts are kept out of what has the focus, but for Ctrl", () => {
  const root = stage();
  const button = document.createElement("button");
  root.append(button);
  keepShortcutsOut(root);
  button.focus();
  const mark = () => button.getAttribute("data-lm-suppress-shortcuts");
  equal(mark(), "true");
  button.dispatchEvent(new KeyboardEvent("keydown", { key: "Control", bubbles: true }));
  equal(mark(), null);
  button.dispatchEvent(new KeyboardEvent("keyup", { key: "s", bubbles: true }));
  equal(mark(), "true");
});

test("while the kernel computes the form says so, and is there when it is free", async () => {
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 100);
  try {
    const state = model({ captcha: [], run: { state: "idle" }, result: {}, runs: [], notice: "", looked: "", turn: 0, facts: FACTS });
    const kernel = formKernel(state, DRAFT);
    kernel.isBusy = true;
    const el = stage();
    const leave = orderForm.render({ model: state, el });
    ok(el.textContent.startsWith("Asking the kernel"), "what is waited for");
    await until(() => el.textContent.startsWith("No answer yet: the kernel is busy, or it has stopped."));
    kernel.answer();
    equal(el.querySelector("button.place").textContent, "Place order");
    leave();
    equal(state.listening(), 0);
  } finally {
    window.setTimeout = real;
  }
});

test("without a kernel there is no form, and it is said what to do", () => {
  const state = model({ captcha: [], run: { state: "idle" }, result: {}, runs: [], notice: "", looked: "", turn: 0, facts: FACTS });
  state.send = () => {
    throw new Error("Cannot send");
  };
  const el = stage();
  orderForm.render({ model: state, el });
  equal(el.textContent, "The kernel is gone. Run the cell again for a new form.");
});

test("a whole reference that is pasted into a row is shown taken apart", () => {
  const { kernel, el, find } = form();
  el.querySelectorAll("button.link")[1].click();
  const id = find('[id$="-item-1-variant_id"]');
  id.focus();
  type(id, '{"variant_id": "V7", "product_id": "P7", "variant_handles": ["a", "b"]}');
  equal(kernel.draft.items[1].variant_id, "V7");
  equal([id.value, find('[id$="-item-1-product_id"]').value, find('[id$="-item-1-variant_handles"]').value], ["V7", "P7", "a, b"]);
});

test("what Python sets is shown, also in the field that has the focus", () => {
  const { kernel, find } = form();
  const city = find('[id$="-shipping_info.city"]');
  city.closest("details").open = true;
  city.focus();
  type(city, "Taco");
  kernel.put({ shipping: { ...ADDRESS, city: "Spokane" } });
  equal([city.value, find(".summary-text").textContent], ["Spokane", "Ada Example, Spokane"]);
});
