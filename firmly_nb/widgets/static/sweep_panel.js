// A sweep: its form, its buttons, and what has become of its orders so far.

import { duration, h, keepShortcutsOut, number, ownName, replace, stated, svg, whenReleased } from "./dom.js";
import { field, formOf, section } from "./fields.js";
import { KERNEL_SILENT, LAB_CLOSED, sendToKernel } from "./kernel.js";

const RUNNING = ["preparing", "running", "stopping"];
const ARRIVALS = [["constant", "evenly spaced"], ["poisson", "at random"], ["closed", "when one ends"]];
const FIELDS = [
  ["count", "Orders", { inputmode: "numeric" }],
  ["arrival", "Starts", { choices: ARRIVALS }],
  ["rate", "Rate", { placeholder: "30/min", hint: "per second, or like 30/min" }],
  ["concurrency", "In flight", { inputmode: "numeric", placeholder: "chosen for you", hint: "at most" }],
  ["duration", "For", { placeholder: "no limit", hint: "seconds, or like 10 min" }],
  ["name", "Name", { placeholder: "none" }],
];
const BUDGET = [
  ["max_orders", "Orders", { inputmode: "numeric" }],
  ["max_minutes", "Minutes", { inputmode: "decimal" }],
  ["max_total", "Money", { placeholder: "no limit", hint: "like 500.00 USD" }],
];
const NAMES = Object.fromEntries([
  ...FIELDS.map(([name, label]) => [name, label]),
  ...BUDGET.map(([name, label]) => [name, `Limits, ${label.toLowerCase()}`]),
  ["orders", "What"],
]);
const LONGEST_FIELD = 200;

function render({ model, el }) {
  const state = () => model.get("_shown").state;
  const form = formOf(model, {
    kind: "sweep",
    names: NAMES,
    isRunning: () => RUNNING.includes(state()),
    attempted: true,
  });
  const { draft, kernel, isRunning } = form;
  const view = sweepView(model);
  const what = h("div", { class: "what" });
  const groups = h("div", { class: "groups" });
  const why = h("div", { class: "why quiet", id: `${form.id}-why` });
  const notice = h("div", { class: "notice bad", role: "alert", hidden: true });
  const button = (words, call, title, more) => h("button", { type: "button", title, onclick: call, ...more }, words);
  const plan = h("p", { class: "plan" });
  const cannot = h("span", { class: "cannot quiet" });
  const warning = h("p", { class: "warning warn" });
  const start = button("Start", press, null, { class: "primary start", "aria-describedby": why.id });
  const stop = button("Stop", () => send("stop", { let_finish: false }), "The streams of orders in flight are closed; what is recorded is kept");
  const finish = button("Start no more", () => send("stop", { let_finish: true }), "Orders in flight are followed to their end");
  const resume = button("Resume", () => send("resume"), "Place what the last sweep has not sent; an order with an unknown end is not placed again");
  let sent = "";
  let limits = null;
  let isDrawn = false;

  function send(type, more = {}, buffers = []) {
    sent = type;
    sendToKernel(model, { type, ...more }, buffers);
    draw();
  }

  function press() {
    if (start.getAttribute("aria-disabled") === "true") return form.goToProblem();
    // What is started is what the one who pressed could see.
    const { about, buffer } = draft.whole();
    return send("start", about, [buffer]);
  }

  /** Why no sweep can be started now; nothing if one can. */
  function reason() {
    if (kernel.isGone()) return "The kernel is gone. Run the cell again for a new panel; fnb.load() has what was recorded.";
    if (kernel.isSilent()) return `${KERNEL_SILENT} fnb.load() has what was recorded.`;
    if (model.get("_closed")) return LAB_CLOSED;
    if (isRunning()) return "A sweep is running.";
    if (!isDrawn) return "Asking the kernel for the form …";
    if (sent === "start" || sent === "resume") return "Being started …";
    return form.problem() || form.checking();
  }

  const draw = () => whenReleased(drawNow);

  function drawNow() {
    const environment = model.get("_environment");
    replace(what, h("b", {}, environment.label), " ", h("bdi", {}, model.get("_orders_words")));
    what.dataset.environment = environment.name;
    why.textContent = reason();
    const { sentence = "", cannot: less = "", warning: late = "", limits: words, button: label = "Start" } = draft.about();
    plan.textContent = sentence;
    cannot.textContent = less;
    warning.textContent = late ? `! ${late}` : "";
    if (words) limits?.say(words);
    start.textContent = label;
    start.setAttribute("aria-disabled", String(why.textContent !== ""));
    const stopping = state() === "stopping" || sent === "stop";
    stop.disabled = finish.disabled = !isRunning() || stopping || kernel.isGone();
    // Before the first press there is nothing to stop, and nothing to be seen.
    for (const one of [stop, finish, resume, view.element]) one.hidden = state() === "idle";
    resume.disabled = !model.get("_shown").can_resume || isRunning() || kernel.isGone() || model.get("_closed") || sent === "resume";
    const locked = isRunning() || kernel.isGone();
    for (const { input } of form.fields.values()) input.disabled = locked;
    // In a closed loop the next order starts when one ends.
    if (isDrawn) form.fields.get("rate").input.disabled = locked || draft.get("arrival") === "closed";
    notice.textContent = model.get("_notice");
    notice.hidden = !model.get("_notice");
  }

  /** Whatever the kernel shows next answers the button that was pressed. */
  function answered() {
    sent = "";
    kernel.look();
    draw();
  }

  for (const name of ["_environment", "_orders_words", "_closed"]) form.on(`change:${name}`, draw);
  form.on("change:_notice", () => (model.get("_notice") ? answered() : draw()));
  form.on("change:_shown", answered);
  form.on("change:_shown", view.draw);
  form.on("change:_points", view.drawPoints);
  form.redraw = draw;
  draft.on(null, (isOwn) => {
    if (isOwn) sent = "";
  });
  const root = h("section", { class: "firmly sweep-panel", "aria-label": ownName("Sweep") },
    what, plan, groups, h("div", { class: "buttons" }, start, stop, finish, resume, cannot), why, warning, notice, view.element);
  el.append(root);
  keepShortcutsOut(root);
  form.whenDrafted(groups, () => {
    isDrawn = true;
    limits = section(form, { title: "Limits", prefixes: BUDGET.map(([name]) => name), body: fieldGroup(form, "No order is started beyond these", BUDGET) });
    replace(groups, fieldGroup(form, "Sweep", FIELDS), limits.element);
  });
  draw();
  return () => form.close();
}

function fieldGroup(form, title, fields) {
  const { draft } = form;
  const made = fields.map(([path, label, more]) => {
    const change = (text) => draft.edit({ [path]: text });
    const one = field(form, { path, label, value: draft.get(path), change, ...(more.choices ? {} : { maxlength: LONGEST_FIELD }), ...more });
    draft.on(path, () => one.put(draft.get(path)));
    return one.element;
  });
  return h("fieldset", {}, h("legend", {}, title), h("div", { class: "fields" }, made));
}

/** What has become of the orders so far. */
function sweepView(model) {
  const chart = latencyChart();
  const status = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Orders that have ended", "aria-valuemin": 0 });
  const headline = h("div", { class: "headline" });
  const message = h("div", { class: "said warn" });
  const outcomes = h("ul", { class: "outcomes", "aria-label": "Outcomes" });
  const facts = h("dl", { class: "facts" });
  const late = h("div", { class: "late warn" });
  const percentiles = h("table", { class: "percentiles" });
  const title = (words) => h("div", { class: "title" }, words);
  let saidState = "";

  function draw() {
    const view = model.get("_shown");
    headline.textContent = view.headline;
    late.textContent = view.late ? `! ${view.late}` : "";
    late.hidden = !view.late;
    message.textContent = view.message;
    message.hidden = !view.message;
    drawBar(view);
    replace(outcomes, view.outcomes.map((one) => h("li", { class: one.tone },
      h("span", { "aria-hidden": "true" }, one.mark), " ", h("span", { class: "number" }, stated(one.n)), ` ${one.words}`)));
    replace(facts, view.facts.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));
    replace(percentiles, percentileRows(view.percentiles));
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

  function percentileRows(rows) {
    const isPlanned = rows.some((one) => one.scheduled);
    const cells = (one) => [one.text, isPlanned ? one.scheduled : null].filter((text) => text !== null);
    return [
      h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, "from the request"), isPlanned ? h("th", { scope: "col" }, "from the planned start") : null)),
      h("tbody", {}, rows.map((one) => h("tr", {}, h("th", { scope: "row" }, one.name), cells(one).map((text) => h("td", { class: one.estimable ? "" : "quiet" }, text))))),
    ];
  }

  const drawPoints = () => chart.draw(model.get("_points"), model.get("_looks"));
  draw();
  drawPoints();
  const element = h("div", { class: "live" },
    status, headline, bar, message, late, outcomes, facts,
    title("How long do orders take, over the run?"), chart.element,
    title("Time to order placed, placed orders only"), percentiles);
  return { element, draw, drawPoints };
}

// How long the latest orders took, over the run: a dot for a placed one, a cross for another.

const WIDTH = 640; // as long as it is not in the page
const HEIGHT = 170;
const LEFT = 70; // room for "10 000 ms"
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 26;

/** Make the chart; draw(points, looks) draws it anew: looks has words and tone of each outcome. */
export function latencyChart() {
  const element = svg("svg", { class: "chart", role: "img" });
  let [shown, meaning] = [[], {}];

  /** Draw it as wide as its place is, so that its words are as large as all others. */
  function paint() {
    const width = element.clientWidth || WIDTH;
    element.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    replace(element, shown.length ? drawn(shown, meaning, width) : axes(width));
  }

  new ResizeObserver(paint).observe(element);
  return {
    element,
    draw(points, looks) {
      [shown, meaning] = [points, looks];
      element.setAttribute("aria-label", points.length ? said(points) : "No order has ended yet.");
      paint();
    },
  };
}

/** Say what a reader who does not see the chart should know. */
export function said(points) {
  const placed = points.filter(([, , outcome]) => outcome === "placed").map(([, ms]) => ms);
  const others = points.length - placed.length;
  const span = placed.length
    ? `${placed.length} placed, from ${number(Math.min(...placed))} to ${duration(Math.max(...placed))}`
    : "none placed";
  return `Time of the latest ${points.length} orders over the run: ${span}${others ? `, ${others} with another end` : ""}.`;
}

/** The next round number that is not smaller: 1, 2 or 5 times a power of ten. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 2, 5, 10].map((step) => step * power).find((limit) => limit >= value);
}

function drawn(points, looks, width) {
  const start = Math.min(...points.map(([at]) => at), 0);
  const end = Math.max(...points.map(([at]) => at), start + 1);
  const most = roundUp(Math.max(...points.map(([, ms]) => ms), 1));
  const x = (at) => LEFT + 4 + ((at - start) / (end - start)) * (width - LEFT - RIGHT - 8);
  const y = (ms) => HEIGHT - BOTTOM - (ms / most) * (HEIGHT - TOP - BOTTOM);
  const lines = [0, 0.5, 1].map((part) => [
    svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(most * part), y2: y(most * part) }),
    svg("text", { x: LEFT - 6, y: y(most * part) + 4, "text-anchor": "end" }, part ? `${stated(most * part)} ms` : "0"),
  ]);
  return [
    lines,
    axes(width),
    svg("text", { x: LEFT, y: HEIGHT - 8 }, `${stated(start)} s`),
    svg("text", { x: width - RIGHT, y: HEIGHT - 8, "text-anchor": "end" }, `started ${number(end)} s into the sweep`),
    points.map(([at, ms, outcome]) => mark(x(at), y(ms), ms, outcome, looks[outcome])),
  ];
}

function axes(width) {
  return svg("path", { class: "axis", d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${width - RIGHT}` });
}

function mark(x, y, ms, outcome, look = { words: outcome, tone: "bad" }) {
  const title = svg("title", {}, `${look.words}, ${duration(ms)}`);
  if (outcome === "placed") return svg("circle", { class: "placed", cx: x, cy: y, r: 3 }, title);
  return svg("path", { class: `failed ${look.tone}`, d: `M${x - 3.5} ${y - 3.5}l7 7m0-7l-7 7` }, title);
}

export default { render };
