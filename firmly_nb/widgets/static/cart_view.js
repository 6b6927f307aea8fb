// The cart of an order, event by event: a slider, the cart with what changed and what is wrong,
// and the JSON of the event, which is asked for when it is opened.

import { cartPair, cartSheet, findingWords } from "./cart_sheet.js";
import { duration, h, keepShortcutsOut, number, ownName, replace } from "./dom.js";
import { jsonTree } from "./json_tree.js";
import { KERNEL_GONE, listen, NO_ANSWER, saveToKernel, sendToKernel } from "./kernel.js";

const MOST_MARKS = 60;
const MOST_NAMES = 5;
const ANSWER_WITHIN_MS = 4000;

function render({ model, el }) {
  const view = cartView(model);
  el.append(view.element);
  keepShortcutsOut(view.element);
  // Several traits come with one message: they are drawn once.
  let waits = false;
  const drawSoon = () => {
    if (waits) return;
    waits = true;
    queueMicrotask(() => {
      waits = false;
      view.draw();
    });
  };
  const names = ["_steps", "_sheets", "_about", "_pairs", "seq"];
  const stop = listen(model, {
    ...Object.fromEntries(names.map((name) => [`change:${name}`, drawSoon])),
    "msg:custom": view.onMessage,
    comm_live_update: view.onGone,
  });
  view.draw();
  return () => {
    stop();
    view.leave();
  };
}

function cartView(model) {
  const parts = {
    slider: stepSlider((position) => choose(model, position)),
    body: h("div", { class: "cart-body" }),
    tree: jsonTree("JSON of the event"),
  };
  parts.json = jsonDetails(model, parts);
  parts.full = h("div", {}, parts.slider.element, parts.body, parts.json.element);
  parts.empty = emptyCart();
  parts.gone = h("p", { class: "cart-note warn", role: "status", hidden: true }, KERNEL_GONE);
  parts.empty.prepend(parts.gone);
  const element = h("section", { class: "firmly cart-view", dir: "ltr", "aria-label": ownName("Cart") }, parts.empty, parts.full);
  return {
    element,
    draw: () => drawCart(model, parts),
    onGone: () => {
      parts.isGone = true;
      drawCart(model, parts);
    },
    onMessage: parts.json.onMessage,
    leave: () => clearTimeout(parts.timer),
  };
}

function choose(model, position) {
  const step = model.get("_steps")[position];
  if (!step || step.seq === model.get("seq")) return;
  model.set("seq", step.seq);
  saveToKernel(model);
}

function drawCart(model, parts) {
  const steps = model.get("_steps") ?? [];
  const told = model.get("_about") ?? {};
  const about = parts.isGone ? { ...told, gone: KERNEL_GONE } : told;
  clearTimeout(parts.timer);
  const seq = model.get("seq");
  const position = steps.findIndex((step) => step.seq === seq);
  parts.empty.hidden = Boolean(steps.length) || Boolean(about.recording_id);
  parts.full.hidden = !parts.empty.hidden;
  parts.gone.hidden = !parts.isGone;
  parts.slider.draw(steps, position, about);
  const pairs = model.get("_pairs") ?? {};
  const isPair = Boolean(pairs.titles);
  const sheet = (isPair ? pairs.by_seq : (model.get("_sheets") ?? {}))[String(seq)];
  parts.body.setAttribute("aria-busy", String(position >= 0 && !sheet && !about.gone));
  const draw = () => (isPair ? cartPair(sheet, pairs, steps[position], about, steps) : cartSheet(sheet, steps[position], about, steps));
  replace(parts.body, position < 0 ? noCart(about) : draw());
  if (position >= 0 && !sheet && !about.gone) {
    const say = () => parts.body.append(h("p", { class: "cart-note warn", role: "status" }, NO_ANSWER));
    parts.timer = setTimeout(say, ANSWER_WITHIN_MS);
  }
  parts.json.draw(position < 0 ? null : steps[position], about.recording_id);
}

function noCart(about) {
  return h("p", { class: "cart-note" }, about.note || "No event so far, and no cart.");
}

/** A range over the events, named by event and time. */
function stepSlider(onChoose) {
  const title = h("p", { class: "cart-title" });
  const range = h("input", { type: "range", min: 0, step: 1, "aria-label": "Event", class: "cart-range" });
  const marks = h("div", { class: "cart-marks", "aria-hidden": "true" });
  const names = h("div", { class: "cart-names quiet", "aria-hidden": "true" });
  range.addEventListener("input", () => onChoose(Number(range.value)));
  // The notebook's own keys would move to another cell.
  range.addEventListener("keydown", (event) => event.stopPropagation());
  const rail = h("div", { class: "cart-rail" }, range, marks, names);
  const draw = (steps, position, about) => {
    const step = steps[position];
    rail.hidden = steps.length < 2;
    title.hidden = !step;
    if (!step) return;
    range.max = steps.length - 1;
    range.value = position;
    range.setAttribute("aria-valuetext", stepWords(step, position, steps.length));
    const left = about.steps_left_out ? ` (${about.steps_left_out} earlier ones are not listed)` : "";
    const time = step.t_ms === null ? "" : duration(step.t_ms);
    replace(
      title,
      "Cart after ",
      h("strong", {}, h("bdi", {}, step.event)),
      h("span", { class: "quiet" }, ` ${time} · event ${position + 1} of ${steps.length}${left}`),
    );
    drawMarks(marks, names, steps, position);
  };
  return { element: h("div", { class: "cart-head" }, title, rail), draw };
}

/** Say a step for those who do not see the slider. */
export function stepWords(step, position, count) {
  const time = step.t_ms === null ? "" : `, ${number(step.t_ms)} milliseconds`;
  const cart = step.unread ? ", its cart was not read" : step.has_cart ? "" : ", without a cart";
  const found = findingWords(step.findings);
  return `${step.event}${time}, event ${position + 1} of ${count}${cart}${found ? `, ${found}` : ""}`;
}

function drawMarks(marks, names, steps, position) {
  const many = steps.length - 1 || 1;
  const at = (index) => `left:calc(8px + ${index / many} * (100% - 16px))`;
  marks.hidden = steps.length > MOST_MARKS;
  replace(
    marks,
    marks.hidden
      ? []
      : steps.map((step, index) => {
          const { sign, kind } = markOf(step);
          return h("span", { class: `cart-mark ${kind}`, style: at(index) }, sign);
        }),
  );
  names.hidden = steps.length > MOST_NAMES;
  replace(
    names,
    names.hidden
      ? []
      : steps.map((step, index) => {
          const end = index === 0 ? "first" : index === many ? "last" : "";
          const chosen = index === position ? "chosen" : "";
          return h("span", { class: `${end} ${chosen}`, style: end ? null : at(index) }, h("bdi", {}, step.event));
        }),
  );
}

function markOf(step) {
  if (step.findings.error) return { sign: "✗", kind: "bad" };
  if (step.findings.warning) return { sign: "!", kind: "warn" };
  if (step.unread) return { sign: "?", kind: "warn" };
  return step.has_cart ? { sign: "●", kind: "quiet" } : { sign: "○", kind: "quiet" };
}

/** The JSON of the event: asked for when it is opened, and again when the event changes. */
function jsonDetails(model, parts) {
  let wanted = null;
  let shown = "";
  let timer = 0;
  const summary = h("summary", {}, "JSON of this event");
  const details = h("details", { class: "cart-json" }, summary, parts.tree.element);
  const key = () => JSON.stringify(wanted);
  const ask = () => {
    if (!wanted || !details.open || shown === key()) return;
    shown = key();
    parts.tree.say("Asking the kernel …");
    clearTimeout(timer);
    timer = setTimeout(
      () => parts.tree.say(`${NO_ANSWER} The JSON comes when it answers.`),
      ANSWER_WITHIN_MS,
    );
    if (sendToKernel(model, { ask: "json", seq: wanted.seq })) return;
    clearTimeout(timer);
    parts.tree.say(KERNEL_GONE);
  };
  details.addEventListener("toggle", ask);
  return {
    element: details,
    draw: (step, recording) => {
      details.hidden = step === null;
      wanted = step && { seq: step.seq, recording };
      ask();
    },
    onMessage: (message) => {
      if (message?.answer !== "json" || !wanted || message.seq !== wanted.seq || shown !== key()) return;
      if (message.recording_id !== wanted.recording) return;
      clearTimeout(timer);
      parts.tree.show(message.text, message.left_out);
    },
  };
}

function emptyCart() {
  return h(
    "div",
    { class: "cart-empty" },
    h("p", {}, h("strong", {}, "No cart yet.")),
    h("p", { class: "quiet" }, "Place an order, or show a recording, to see its cart after each event:"),
    h(
      "ul",
      { class: "quiet" },
      h("li", {}, "line items, shipping, tax and total, as a buyer sees them;"),
      h("li", {}, "what the event changed, with the value before: + added, − removed, → changed;"),
      h("li", {}, "what the checks found, beside the line or amount;"),
      h("li", {}, "the JSON as it was sent, with a search."),
    ),
  );
}

export default { render };
