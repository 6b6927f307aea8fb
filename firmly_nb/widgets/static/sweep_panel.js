// A sweep: its form, its buttons, and what has become of its orders so far.

import { h, keepShortcutsOut, milliseconds, replace, svg } from "./dom.js";
import { KERNEL_SILENT, sendToKernel, watchKernel } from "./kernel.js";

const RUNNING = ["preparing", "running", "stopping"];

function render({ model, el }) {
  const id = `sweep-${Math.random().toString(36).slice(2, 10)}`;
  const page = { sent: "" };
  const fields = sweepFields(id, edit);
  const chart = latencyChart();
  const what = h("div", { class: "what" });
  const why = h("div", { class: "why quiet", id: `${id}-why` });
  const notice = h("div", { class: "notice bad", role: "alert", hidden: true });
  const status = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const start = h("button", { type: "button", class: "primary start", "aria-describedby": why.id, onclick: press }, "Start");
  const stop = h("button", { type: "button", onclick: () => send("stop", { let_finish: false }) }, "Stop");
  const finish = h("button", { type: "button", onclick: () => send("stop", { let_finish: true }) }, "Start no more");
  const resume = h("button", { type: "button", onclick: () => send("resume") }, "Resume");
  finish.title = "Orders in flight are followed to their end";
  stop.title = "The streams of orders in flight are closed; what is recorded is kept";
  resume.title = "Place what the last sweep has not sent; an order with an unknown end is not placed again";
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Orders that have ended", "aria-valuemin": 0 });
  const headline = h("div", { class: "headline" });
  const message = h("div", { class: "said warn" });
  const outcomes = h("ul", { class: "outcomes", "aria-label": "Outcomes" });
  const facts = h("dl", { class: "facts" });
  const percentiles = h("dl", { class: "percentiles" });
  let saidState = "";

  function edit(name, value) {
    model.set("_draft", { ...model.get("_draft"), [name]: value });
    model.save_changes();
    page.sent = "";
    drawForm();
  }

  function send(type, more = {}) {
    page.sent = type;
    sendToKernel(model, { type, ...more });
    drawForm();
  }

  function press() {
    if (start.getAttribute("aria-disabled") === "true") {
      fields.focusFirst(model.get("_problems"));
      return;
    }
    send("start");
  }

  const isRunning = () => RUNNING.includes(model.get("_shown").state);
  const kernel = watchKernel(model, { isDue: isRunning, tell: () => drawForm() });

  function reason() {
    if (kernel.isGone()) return "The kernel is gone. Run the cell again for a new panel; fnb.load() has what was recorded.";
    if (kernel.isSilent()) return `${KERNEL_SILENT} fnb.load() has what was recorded.`;
    if (isRunning()) return "A sweep is running.";
    if (page.sent === "start" || page.sent === "resume") return "Being started …";
    const found = Object.entries(model.get("_problems"));
    if (!found.length) return "";
    const [name, text] = found[0];
    const more = found.length > 1 ? ` (and ${found.length - 1} more)` : "";
    return `${NAMES[name] ?? name}: ${text}${more}`;
  }

  function drawForm() {
    const running = isRunning();
    const problems = model.get("_problems");
    fields.show(model.get("_draft"), problems, running || kernel.isGone());
    replace(what, h("b", {}, model.get("_environment").label), " ", h("bdi", {}, model.get("_orders_words")));
    what.dataset.environment = model.get("_environment").name;
    const text = reason();
    why.textContent = text;
    start.setAttribute("aria-disabled", String(text !== ""));
    const stopping = model.get("_shown").state === "stopping" || page.sent === "stop";
    stop.disabled = finish.disabled = !running || stopping || kernel.isGone();
    resume.disabled = !model.get("_shown").can_resume || running || kernel.isGone() || page.sent === "resume";
    notice.textContent = model.get("_notice");
    notice.hidden = !model.get("_notice");
  }

  function drawView() {
    const view = model.get("_shown");
    headline.textContent = view.headline || "Not started. The first press of Start places orders on the schedule above; each is recorded.";
    headline.classList.toggle("quiet", !view.headline);
    message.textContent = view.message;
    message.hidden = !view.message;
    drawBar(view);
    replace(outcomes, view.outcomes.map((one) => h("li", { class: one.tone },
      h("span", { "aria-hidden": "true" }, one.mark), " ", h("span", { class: "number" }, String(one.n)), ` ${one.words}`)));
    replace(facts, view.facts.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));
    replace(percentiles, view.percentiles.map((one) => h("div", {}, h("dt", {}, one.name),
      h("dd", { class: one.estimable ? "" : "quiet" }, one.text))));
    // Said when the state changes, not with every order.
    if (view.state !== saidState) status.textContent = [view.headline, view.message].filter(Boolean).join(". ");
    saidState = view.state;
  }

  function drawBar(view) {
    const total = Math.max(view.planned ?? view.ended, 1);
    bar.setAttribute("aria-valuemax", String(total));
    bar.setAttribute("aria-valuenow", String(view.ended));
    bar.setAttribute("aria-valuetext", view.headline || "not started");
    replace(bar, view.outcomes.map((one) => {
      const part = h("span", { class: one.tone });
      part.style.width = `${(100 * one.n) / total}%`;
      return part;
    }));
  }

  const changed = {
    _draft: drawForm,
    _problems: drawForm,
    _environment: drawForm,
    _orders_words: drawForm,
    _notice: () => {
      page.sent = "";
      drawForm();
    },
    _shown: () => {
      page.sent = "";
      kernel.look();
      drawForm();
      drawView();
    },
    _points: () => chart.draw(model.get("_points"), model.get("_looks")),
  };
  for (const [name, draw] of Object.entries(changed)) model.on(`change:${name}`, draw);

  const root = h("section", { class: "firmly sweep-panel", "aria-label": "Sweep" },
    what,
    fields.element,
    h("div", { class: "buttons" }, start, stop, finish, resume),
    why, notice, status,
    h("div", { class: "live" },
      headline, bar, message, outcomes, facts,
      h("div", { class: "title" }, "How long do orders take, over the run?"), chart.element,
      h("div", { class: "title" }, "Time to order-placed, placed orders only"), percentiles));
  el.append(root);
  keepShortcutsOut(root);
  drawForm();
  drawView();
  chart.draw(model.get("_points"), model.get("_looks"));
  return () => {
    for (const [name, draw] of Object.entries(changed)) model.off(`change:${name}`, draw);
    kernel.close();
  };
}

// How long the latest orders took, over the run: a dot for a placed one, a cross for another.

const WIDTH = 640;
const HEIGHT = 170;
const LEFT = 64;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 26;

/** Make the chart; draw(points, looks) draws it anew: looks has words and tone of each outcome. */
export function latencyChart() {
  const element = svg("svg", { class: "chart", role: "img", viewBox: `0 0 ${WIDTH} ${HEIGHT}` });
  return {
    element,
    draw(points, looks) {
      element.setAttribute("aria-label", points.length ? said(points) : "No order has ended yet.");
      replace(element, points.length ? drawn(points, looks) : empty());
    },
  };
}

/** Say what a reader who does not see the chart should know. */
export function said(points) {
  const placed = points.filter(([, , outcome]) => outcome === "placed").map(([, ms]) => ms);
  const others = points.length - placed.length;
  const span = placed.length
    ? `${placed.length} placed, from ${milliseconds(Math.min(...placed), 0)} to ${milliseconds(Math.max(...placed), 0)} ms`
    : "none placed";
  return `Time of the latest ${points.length} orders over the run: ${span}${others ? `, ${others} with another end` : ""}.`;
}

/** The next round number that is not smaller: 1, 2 or 5 times a power of ten. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 2, 5, 10].map((step) => step * power).find((limit) => limit >= value);
}

function empty() {
  return [
    axes(),
    svg("text", { x: WIDTH / 2, y: HEIGHT / 2, class: "quiet", "text-anchor": "middle" }, "each order will be a dot here: when it started, how long it took"),
  ];
}

function drawn(points, looks) {
  const start = Math.min(...points.map(([at]) => at), 0);
  const end = Math.max(...points.map(([at]) => at), start + 1);
  const most = roundUp(Math.max(...points.map(([, ms]) => ms), 1));
  const x = (at) => LEFT + 4 + ((at - start) / (end - start)) * (WIDTH - LEFT - RIGHT - 8);
  const y = (ms) => HEIGHT - BOTTOM - (ms / most) * (HEIGHT - TOP - BOTTOM);
  const lines = [0, 0.5, 1].map((part) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(most * part), y2: y(most * part) }),
    svg("text", { x: LEFT - 6, y: y(most * part) + 4, "text-anchor": "end" }, part ? `${milliseconds(most * part, most < 10 ? 1 : 0)} ms` : "0"),
  ]);
  return [
    lines,
    axes(),
    svg("text", { x: LEFT, y: HEIGHT - 8 }, `${milliseconds(start, 0)} s`),
    svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 8, "text-anchor": "end" }, `started ${milliseconds(end, 0)} s into the sweep`),
    points.map(([at, ms, outcome]) => mark(x(at), y(ms), ms, outcome, looks[outcome])),
  ];
}

function axes() {
  return svg("path", { class: "axis", d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}` });
}

function mark(x, y, ms, outcome, look = { words: outcome, tone: "bad" }) {
  const title = svg("title", {}, `${look.words}, ${milliseconds(ms)} ms`);
  if (outcome === "placed") return svg("circle", { class: "placed", cx: x, cy: y, r: 3 }, title);
  return svg("path", { class: `failed ${look.tone}`, d: `M${x - 3.5} ${y - 3.5}l7 7m0-7l-7 7` }, title);
}

// The form of a sweep: what, how often, and within which budget; beside each field what is wrong.

const FIELDS = [
  ["count", "Orders", { inputmode: "numeric" }, ""],
  ["arrival", "Starts", {}, ""],
  ["rate", "Rate", { placeholder: "30/min" }, "per second, or like 30/min"],
  ["concurrency", "In flight", { inputmode: "numeric" }, "at most; in a closed loop always"],
  ["duration", "For", { placeholder: "no limit" }, "seconds, or like 10 min"],
  ["name", "Name", { placeholder: "none" }, ""],
];
const BUDGET = [
  ["max_orders", "Orders", { inputmode: "numeric" }, ""],
  ["max_minutes", "Minutes", { inputmode: "decimal" }, ""],
  ["max_total", "Money", { placeholder: "no limit" }, "like 500.00 USD"],
];
const ARRIVALS = [
  ["constant", "evenly spaced"],
  ["poisson", "as shoppers come"],
  ["closed", "when one ends"],
];
export const NAMES = Object.fromEntries([
  ...FIELDS.map(([name, label]) => [name, label]),
  ...BUDGET.map(([name, label]) => [name, `Budget, ${label.toLowerCase()}`]),
  ["orders", "What"],
]);

/** Make both groups of fields; `show` puts values, messages and whether they can be changed. */
export function sweepFields(id, change) {
  const made = new Map();
  const group = (title, fields) =>
    h("fieldset", {}, h("legend", {}, title), h("div", { class: "fields" }, fields.map((field) => one(field))));

  function one([name, label, attributes, hint]) {
    const fieldId = `${id}-${name}`;
    const message = h("div", { class: "message", id: `${fieldId}-message`, hidden: true });
    const note = hint ? h("div", { class: "hint quiet", id: `${fieldId}-hint` }, hint) : null;
    const edited = () => change(name, input.value);
    const input = name === "arrival"
      ? h("select", { id: fieldId, onchange: edited }, ARRIVALS.map(([value, words]) => h("option", { value }, words)))
      : h("input", { id: fieldId, type: "text", autocomplete: "off", spellcheck: "false", dir: "auto", oninput: edited, ...attributes });
    made.set(name, { input, message, note });
    return h("div", { class: "field" }, h("label", { for: fieldId }, label), input, note, message);
  }

  const element = h("div", { class: "groups" }, group("Sweep", FIELDS), group("Budget: no order is started beyond it", BUDGET));
  return {
    element,
    show(draft, problems, locked) {
      for (const [name, { input, message, note }] of made) {
        if (document.activeElement !== input || locked) {
          if (input.value !== draft[name]) input.value = draft[name] ?? "";
        }
        const isMoot = name === "rate" && draft.arrival === "closed";
        input.disabled = locked || isMoot;
        const text = problems[name] ?? "";
        message.textContent = text;
        message.hidden = !text;
        // What is wrong says how to write it, too.
        if (note) note.hidden = Boolean(text);
        input.setAttribute("aria-invalid", String(Boolean(text)));
        const described = text ? message.id : note?.id;
        if (described) input.setAttribute("aria-describedby", described);
        else input.removeAttribute("aria-describedby");
      }
    },
    focusFirst(problems) {
      const name = [...made.keys()].find((key) => problems[key]);
      if (name) made.get(name).input.focus();
    },
  };
}

export default { render };
