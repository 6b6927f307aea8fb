// A sweep: its form, its buttons, and what has become of its orders so far.

import { h, replace } from "./dom.js";
import { KERNEL_SILENT, sendToKernel, watchKernel } from "./kernel.js";
import { keepShortcutsOut } from "./shortcuts.js";
import { latencyChart } from "./sweep_view_chart.js";
import { NAMES, sweepFields } from "./sweep_view_fields.js";

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

  const root = h("section", { class: "firmly sweep-view", "aria-label": "Sweep" },
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

export default { render };
