// One order, large: how it stands, a row for each stage from the start on, and every event.
//
// const view = orderView({ onPick });  view.show(order, axis, zero, elapsed) when anything is new;
// view.tick(elapsed) while a stage is in progress: it moves the bar and counts, nothing else.

import { h, milliseconds, replace } from "./dom.js";
import { axisLabels, drawRunning, drawStage, drawWaited, emptyLane, growBar, stageColour } from "./timeline_lane.js";
import { eventLane } from "./timeline_events.js";
import { stageAwaited, stageInProgress } from "./timeline_state.js";
import { axisWords, boundWords, eventWords, precisionWords, timeWords } from "./timeline_words.js";

let orderViewsMade = 0;

/** Make the view of one order. */
export function orderView({ onPick }) {
  const tip = h("div", { class: "tip", role: "tooltip", id: `firmly-tip-${(orderViewsMade += 1)}`, hidden: true });
  const view = {
    tip,
    onPick,
    rows: [],
    shape: "",
    running: null,
    head: h("header", { class: "head" }),
    verdict: h("p", { class: "verdict" }),
    axis: h("div", { class: "axis-lane", "aria-hidden": "true" }),
    list: h("ol", { class: "stages" }),
    notes: h("ul", { class: "notes" }),
    foot: h("p", { class: "foot quiet" }),
  };
  view.total = h("span", { class: "total number" });
  view.events = eventLane({ tip: (button, words) => showTip(view, button, words), onPick });
  const axisRow = h("div", { class: "row axis" }, h("span"), view.axis, h("span", { class: "number quiet" }, "ms"));
  view.element = h(
    "section",
    { class: "order" },
    view.head,
    view.verdict,
    axisRow,
    view.list,
    view.events.element,
    view.notes,
    view.foot,
    tip,
  );
  view.element.addEventListener("keydown", (event) => onOrderKey(view, event));
  return {
    element: view.element,
    show: (order, axis, zero, elapsed, selected) => showOrder(view, order, axis, zero, elapsed, selected),
    tick: (elapsed) => tickOrder(view, elapsed),
  };
}

function showOrder(view, order, axis, zero, elapsed, selected) {
  view.order = order;
  view.drawn = { axis, zero };
  drawHead(view, order, elapsed);
  replace(view.axis, axisLabels(axis, axisWords));
  drawStages(view, order, axis, zero, elapsed, selected);
  view.events.show(order, axis, zero, selected);
  const warnings = order.end?.warnings ?? [];
  replace(view.notes, warnings.map((words) => h("li", { class: "warn" }, h("bdi", {}, `! ${words}`))));
  view.notes.hidden = !warnings.length;
  view.foot.textContent = precisionWords(order) || "\u00a0";
}

function drawHead(view, order, elapsed) {
  const { end } = order;
  const word = end ? [h("span", { "aria-hidden": "true" }, `${end.mark} `), end.word] : "under way";
  const number = end?.order_number ? ["order ", h("bdi", {}, end.order_number), " · "] : null;
  const name = [number, h("bdi", { class: number ? "quiet" : "" }, order.domain)];
  view.total.textContent = `${milliseconds(end ? end.t_ms : elapsed, 0)} ms`;
  replace(
    view.head,
    h("span", { class: `word ${end ? end.tone : "quiet"}` }, word),
    h("span", { class: "name clipped", title: order.domain }, name),
    view.total,
  );
  const failed = end && end.outcome !== "placed";
  view.verdict.textContent = failed ? end.verdict : "";
  view.verdict.hidden = !failed;
}

function drawStages(view, order, axis, zero, elapsed, selected) {
  const shape = JSON.stringify(order.stages.map((stage) => stage.milestone));
  if (shape !== view.shape) {
    view.shape = shape;
    view.rows = order.stages.map((_, index) => newStageRow(view, index));
    replace(view.list, view.rows.map((row) => row.element));
  }
  const now = stageInProgress(order);
  view.running = null;
  order.stages.forEach((stage, index) => {
    const row = view.rows[index];
    const runs = now?.index === index;
    const picked = selected?.seq !== null && selected?.seq !== undefined && selected.seq === stage.seq;
    drawStageRow(row, stage, index, { order, axis, zero, runs, picked });
    if (!runs) return;
    const bar = drawRunning(row.lane, index, axis, now.begin_ms - zero, elapsed - zero);
    view.running = { bar, row, begin_ms: now.begin_ms };
  });
  tickOrder(view, elapsed);
}

function newStageRow(view, index) {
  const name = h("bdi", { class: "stage-name clipped" });
  const lane = emptyLane();
  const time = h("span", { class: "number" });
  const button = h("button", { type: "button", class: "row stage-row" }, name, lane, time);
  const row = { element: h("li", {}, button), button, name, lane, time };
  button.addEventListener("click", () => {
    const { seq } = view.order.stages[index];
    if (seq !== null) view.onPick(seq);
  });
  const tell = () => showTip(view, button, stageWords(view.order, index));
  for (const kind of ["mouseenter", "focus"]) button.addEventListener(kind, tell);
  for (const kind of ["mouseleave", "blur"]) button.addEventListener(kind, () => showTip(view, null));
  return row;
}

function drawStageRow(row, stage, index, { order, axis, zero, runs, picked }) {
  const reached = stage.end_ms !== null && stage.end_ms !== undefined;
  const waited = !reached && order.end && order.end.outcome !== "placed" && stageAwaited(order)?.index === index;
  const state = reached ? "reached" : runs ? "in-progress" : "not-reached";
  row.button.className = `row stage-row ${state} ${stageColour(index)}${picked ? " picked" : ""}`;
  row.button.setAttribute("aria-disabled", String(!reached));
  if (picked) row.button.setAttribute("aria-current", "true");
  else row.button.removeAttribute("aria-current");
  row.name.textContent = stage.stage;
  row.name.title = stage.stage;
  row.time.textContent = reached ? timeWords(stage.duration_ms, stage.uncertainty_us) : order.end ? "-" : "";
  if (waited) drawWaited(row.lane, order, axis, zero);
  else if (!runs) drawStage(row.lane, stage, index, axis, zero);
}

function tickOrder(view, elapsed) {
  if (!view.order || view.order.end) return;
  view.total.textContent = `${milliseconds(elapsed, 0)} ms`;
  if (!view.running) return;
  const { bar, row, begin_ms } = view.running;
  const { axis, zero } = view.drawn;
  growBar(bar, axis, begin_ms - zero, elapsed - zero);
  row.time.textContent = milliseconds(elapsed - begin_ms, 0);
}

function stageWords(order, index) {
  const stage = order.stages[index];
  const name = h("bdi", {}, stage.stage);
  const event = order.events.find((each) => each.seq === stage.seq);
  if (event) {
    const took = `${timeWords(stage.duration_ms, stage.uncertainty_us)} ms ${boundWords(stage.uncertainty_us)}`;
    return [[name, ` took ${took}`], eventWords(event)];
  }
  const awaited = stageAwaited(order);
  const runs = awaited?.index === index;
  if (order.end) {
    const waited = runs ? `; it was waited for ${milliseconds(order.end.t_ms - awaited.begin_ms, 0)} ms` : "";
    return [[name, ` was not reached${waited}`]];
  }
  return [runs ? ["waiting for ", name] : [name, " comes later"]];
}

function showTip(view, button, lines = []) {
  view.described?.removeAttribute("aria-describedby");
  view.described = button;
  view.tip.hidden = !button;
  if (!button) return;
  replace(view.tip, lines.map((line) => h("div", {}, line)));
  button.setAttribute("aria-describedby", view.tip.id);
  const [target, own] = [button.getBoundingClientRect(), view.element.getBoundingClientRect()];
  view.tip.style.top = `${target.bottom - own.top + 2}px`;
  const room = own.width - view.tip.offsetWidth;
  view.tip.style.left = `${Math.max(0, Math.min(target.left - own.left + 16, room))}px`;
}

function onOrderKey(view, event) {
  if (event.key === "Escape" && !view.tip.hidden) {
    event.stopPropagation();
    showTip(view, null);
  }
}
