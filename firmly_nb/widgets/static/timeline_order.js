// One order, large: how it stands, a row for each stage from the start on, every event, and one
// line about the event that is looked at.
//
// const view = orderView(calls);  view.show(order, axis, zero, elapsed, selected) when anything is
// new; view.tick(elapsed) while a stage is in progress: it moves the bar and counts, nothing else.

import { duration, h, number, replace, whileOn } from "./dom.js";
import { eventLane } from "./timeline_events.js";
import { axisLabels, drawRunning, drawStage, drawWaited, emptyLane, growBar, stageColour } from "./timeline_lane.js";
import { axisWords, eventOf, eventWords, isReached, lastEvent, networkWords, shareWords, stageAwaited, stageInProgress } from "./timeline_state.js";

const DRAG_PX = 6;

/** Make the view of one order: `onPick(seq)`, `onZoom({from, to} or null)`, `tools` for the line. */
export function orderView({ onPick, onZoom = () => {}, tools = [] }) {
  const view = {
    onZoom,
    onPick,
    rows: [],
    shape: "",
    running: null,
    over: null,
    head: h("header", { class: "head" }),
    verdict: h("p", { class: "verdict" }),
    axis: h("div", { class: "axis-lane", "aria-hidden": "true" }),
    list: h("ol", { class: "stages" }),
    notes: h("ul", { class: "notes" }),
    words: h("span", { class: "event-words" }),
    band: h("div", { class: "band", hidden: true }),
  };
  view.total = h("span", { class: "total number" });
  view.events = eventLane({
    onOver: (event) => lookOver(view, event),
    onPick,
    onZoom: (factor, t_ms) => zoomAround(view, factor, t_ms),
  });
  view.whole = h("button", { type: "button", class: "whole", hidden: true, onclick: () => onZoom(null) }, "Whole order");
  const axisRow = h("div", { class: "row axis" }, h("span", { class: "quiet" }, view.whole), h("div", { class: "lane-box" }, view.axis, view.band), h("span"), h("span"));
  view.bars = h("div", { class: "bars" }, view.list, view.events.element, axisRow);
  view.line = h("div", { class: "event-line" }, view.words, h("span", { class: "tools" }, tools));
  view.element = h("section", { class: "order" }, view.head, view.verdict, view.bars, view.line, view.notes);
  listenToDrag(view);
  return {
    element: view.element,
    show: (order, axis, zero, elapsed, selected, isZoomed) => showOrder(view, order, axis, zero, elapsed, selected, isZoomed),
    tick: (elapsed) => tickOrder(view, elapsed),
    mark: (seqs) => view.events.mark(seqs),
    /** The event that the line is about. */
    looked: () => view.looked,
  };
}

function showOrder(view, order, axis, zero, elapsed, selected, isZoomed) {
  if (view.order?.recording_id !== order.recording_id) view.over = null;
  Object.assign(view, { order, selected, elapsed, drawn: { axis, zero } });
  drawHead(view, order, elapsed);
  replace(view.axis, axisLabels(axis, axisWords));
  view.whole.hidden = !isZoomed;
  drawStages(view, order, axis, zero, elapsed, selected);
  view.events.show(order, axis, zero, selected);
  drawLookedAt(view);
  const warnings = order.end?.warnings ?? [];
  replace(view.notes, warnings.map((words) => h("li", { class: "warn" }, h("bdi", {}, `! ${words}`))));
  view.notes.hidden = !warnings.length;
}

function drawHead(view, order, elapsed) {
  const { end } = order;
  const word = end ? [h("span", { "aria-hidden": "true" }, `${end.mark} `), end.word] : "under way";
  const known = end?.order_number ? ["order ", h("bdi", {}, end.order_number), " · "] : null;
  const name = [known, h("bdi", { class: known ? "quiet" : "" }, order.domain)];
  view.total.textContent = duration(end ? end.t_ms : elapsed);
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
  const drawn = JSON.stringify([order.recording_id, order.stages, order.end?.t_ms, axis, zero, selected?.seq]);
  if (drawn !== view.drawnStages || !view.running === Boolean(now)) {
    view.drawnStages = drawn;
    view.running = null;
    order.stages.forEach((stage, index) => {
      const row = view.rows[index];
      const runs = now?.index === index;
      const picked = Number.isInteger(selected?.seq) && selected.seq === stage.seq;
      drawStageRow(row, stage, index, { order, axis, zero, runs, picked });
      if (!runs) return;
      const bar = drawRunning(row.lane, stage, axis, now.begin_ms - zero, elapsed - zero);
      view.running = { bar, row, begin_ms: now.begin_ms };
    });
  }
  tickOrder(view, elapsed);
}

function newStageRow(view, index) {
  const name = h("bdi", { class: "stage-name clipped" });
  const lane = emptyLane();
  const [time, share] = [h("span", { class: "number" }), h("span", { class: "number quiet share" })];
  const button = h("button", { type: "button", class: "row stage-row" }, name, lane, time, share);
  const row = { element: h("li", {}, button), button, name, lane, time, share };
  button.addEventListener("click", () => {
    const { seq } = view.order.stages[index];
    if (seq !== null) view.onPick(seq);
  });
  whileOn(button, (isOn) => lookOver(view, isOn ? { stage: index } : null));
  return row;
}

function drawStageRow(row, stage, index, { order, axis, zero, runs, picked }) {
  const reached = isReached(stage);
  const waited = !reached && order.end && order.end.outcome !== "placed" && stageAwaited(order)?.index === index;
  const state = reached ? "reached" : runs ? "in-progress" : "not-reached";
  row.button.className = `row stage-row ${state} ${stageColour(stage)}${picked ? " picked" : ""}`;
  row.button.setAttribute("aria-disabled", String(!reached));
  if (picked) row.button.setAttribute("aria-current", "true");
  else row.button.removeAttribute("aria-current");
  row.name.textContent = stage.stage;
  row.name.title = stage.stage;
  row.time.textContent = stage.no_time ? stage.no_time : reached ? duration(stage.duration_ms) : order.end ? "-" : "";
  row.share.textContent = reached && !stage.no_time && order.end ? shareWords(stage, order.end.t_ms) : "";
  if (waited) drawWaited(row.lane, order, axis, zero);
  else if (!runs) drawStage(row.lane, stage, axis, zero);
}

function tickOrder(view, elapsed) {
  if (!view.order || view.order.end) return;
  view.total.textContent = duration(elapsed);
  if (!view.running) return;
  const { bar, row, begin_ms } = view.running;
  const { axis, zero } = view.drawn;
  growBar(bar, axis, begin_ms - zero, elapsed - zero);
  row.time.textContent = duration(elapsed - begin_ms);
}

// The line about the event that is looked at: the one under the pointer or the focus, else the one
// that was picked, else the one that tells most.

function lookOver(view, over) {
  view.over = over;
  if (view.order) drawLookedAt(view);
}

function drawLookedAt(view) {
  const { order, over, selected } = view;
  const stage = over && "stage" in over ? order.stages[over.stage] : null;
  const event = stage ? eventOf(order, stage.seq) : (over ?? eventOf(order, selected?.seq) ?? lastEvent(order));
  if (event) view.looked = event;
  const untimed = event && order.stages.find((each) => each.seq === event.seq)?.untimed;
  const words = event ? [h("bdi", { class: "event-name" }, event.event), ` · ${eventWords(order, event)}`, untimed ? ` · time of the stage ${untimed}` : ""] : stage ? notReached(order, over.stage) : order.end ? "no events" : "no event yet";
  replace(view.words, words);
  view.words.title = event ? [view.words.textContent, networkWords(event)].filter(Boolean).join(" · ") : "";
  view.line.classList.toggle("none", !event);
}

function notReached(order, index) {
  const name = h("bdi", {}, order.stages[index].stage);
  const awaited = stageAwaited(order);
  const runs = awaited?.index === index;
  if (!order.end) return runs ? ["waiting for ", name] : [name, " comes later"];
  const waited = runs ? `; it was waited for ${duration(order.end.t_ms - awaited.begin_ms)}` : "";
  return [name, ` was not reached${waited}`];
}

// Zoom: drag over the bars, or + and - on the events; a button and 0 lead back.

function listenToDrag(view) {
  let begin = null;
  let isDragged = false;
  const at = (event) => {
    const box = view.axis.getBoundingClientRect();
    return { share: (event.clientX - box.left) / box.width, px: event.clientX, isIn: event.clientX >= box.left && event.clientX <= box.right };
  };
  view.bars.addEventListener("pointerdown", (event) => {
    const place = at(event);
    begin = event.button === 0 && place.isIn && view.order ? place : null;
    isDragged = false;
  });
  view.bars.addEventListener("pointermove", (event) => {
    if (!begin || (!isDragged && Math.abs(at(event).px - begin.px) < DRAG_PX)) return;
    if (!isDragged) view.bars.setPointerCapture(event.pointerId);
    isDragged = true;
    const [low, high] = ends(begin, at(event));
    Object.assign(view.band.style, { left: `${100 * low}%`, width: `${100 * (high - low)}%` });
    view.band.hidden = false;
  });
  const stop = (event) => {
    view.band.hidden = true;
    const from = begin;
    begin = null;
    // Where no click follows, the next one is meant.
    setTimeout(() => (isDragged = false));
    if (!isDragged || event.type === "pointercancel") return;
    const [low, high] = ends(from, at(event));
    const { axis } = view.drawn;
    const time = (share) => axis.from + share * (axis.to - axis.from);
    if (high > low) view.onZoom({ from: time(low), to: time(high) });
  };
  view.bars.addEventListener("pointerup", stop);
  view.bars.addEventListener("pointercancel", stop);
  // A drag ends with a click on what it began on; that was not meant.
  view.bars.addEventListener("click", (event) => isDragged && event.stopPropagation(), true);
}

function ends(one, other) {
  return [one.share, other.share].map((share) => Math.min(Math.max(share, 0), 1)).sort((a, b) => a - b);
}

function zoomAround(view, factor, t_ms) {
  if (!factor) return view.onZoom(null);
  const { axis, zero } = view.drawn;
  const length = (axis.to - axis.from) * factor;
  const from = t_ms - zero - length / 2;
  return view.onZoom({ from, to: from + length });
}
