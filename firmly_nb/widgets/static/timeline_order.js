// One order, large: how it stands, a row for each stage from the start on, and every event.
//
// const view = orderView({ onPick });  view.show(order, axis, zero, elapsed) when anything is new;
// view.tick(elapsed) while a stage is in progress: it moves the bar and counts, nothing else.

import { duration, followKey, h, number, replace, stopTabAt, svg, uncertainty, whileOn } from "./dom.js";
import { axisWords, eventWords, groupEvents, kindOfEvent, percent, precisionWords, stageAwaited, stageInProgress } from "./timeline_state.js";

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
  view.running = null;
  order.stages.forEach((stage, index) => {
    const row = view.rows[index];
    const runs = now?.index === index;
    const picked = selected?.seq !== null && selected?.seq !== undefined && selected.seq === stage.seq;
    drawStageRow(row, stage, index, { order, axis, zero, runs, picked });
    if (!runs) return;
    const bar = drawRunning(row.lane, stage, axis, now.begin_ms - zero, elapsed - zero);
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
  whileOn(button, (isOn) => (isOn ? showTip(view, button, stageWords(view.order, index)) : showTip(view, null)));
  return row;
}

function drawStageRow(row, stage, index, { order, axis, zero, runs, picked }) {
  const reached = stage.end_ms !== null && stage.end_ms !== undefined;
  const waited = !reached && order.end && order.end.outcome !== "placed" && stageAwaited(order)?.index === index;
  const state = reached ? "reached" : runs ? "in-progress" : "not-reached";
  row.button.className = `row stage-row ${state} ${stageColour(stage)}${picked ? " picked" : ""}`;
  row.button.setAttribute("aria-disabled", String(!reached));
  if (picked) row.button.setAttribute("aria-current", "true");
  else row.button.removeAttribute("aria-current");
  row.name.textContent = stage.stage;
  row.name.title = stage.stage;
  row.time.textContent = reached ? number(stage.duration_ms) : order.end ? "-" : "";
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
  row.time.textContent = number(elapsed - begin_ms);
}

function stageWords(order, index) {
  const stage = order.stages[index];
  const name = h("bdi", {}, stage.stage);
  const event = order.events.find((each) => each.seq === stage.seq);
  if (event) {
    if (stage.untimed) return [[name, `: time ${stage.untimed}`], eventWords(event)];
    const took = `${duration(stage.duration_ms)} ±${uncertainty(stage.uncertainty_us)}`;
    return [[name, ` took ${took}`], eventWords(event)];
  }
  const awaited = stageAwaited(order);
  const runs = awaited?.index === index;
  if (order.end) {
    const waited = runs ? `; it was waited for ${duration(order.end.t_ms - awaited.begin_ms)}` : "";
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

// The lane of all events of an order as they came: a tick each, one for those that came together,
// a dot for each comment. One stop for the tab key; arrows go from tick to tick.

const MOST_NAMED = 5;

/** Make the lane of events. */
export function eventLane({ tip, onPick }) {
  const lane = {
    tip,
    onPick,
    name: h("span", { class: "quiet" }, "events"),
    picture: emptyLane(),
    ticks: h("div", { class: "ticks", role: "group", "aria-label": "events as they came" }),
    count: h("span", { class: "number quiet" }),
    known: new Map(),
  };
  lane.ticks.addEventListener("keydown", (event) => onTickKey(lane, event));
  lane.element = h("div", { class: "row events" }, lane.name, h("div", { class: "lane-box" }, lane.picture, lane.ticks), lane.count);
  return { element: lane.element, show: (...args) => showEvents(lane, ...args) };
}

function showEvents(lane, order, axis, zero, selected) {
  const comments = order.end?.comments_ms ?? [];
  const dots = comments.map((t_ms) => svg("circle", { class: "comment", cx: `${percent(t_ms - zero, axis)}%`, cy: "8", r: "2" }));
  replace(lane.picture, gridLines(axis), dots);
  if (lane.recording !== order.recording_id) lane.known.clear();
  lane.recording = order.recording_id;
  lane.selected = selected?.seq;
  const focused = lane.ticks.contains(document.activeElement) ? document.activeElement : null;
  const buttons = groupEvents(order.events).map((group) => tickOf(lane, order, group, axis, zero, selected));
  if (!sameChildren(lane.ticks, buttons)) replace(lane.ticks, buttons);
  if (focused && buttons.includes(focused)) focused.focus();
  if (buttons.length && !buttons.some((button) => button.tabIndex === 0)) buttons[0].tabIndex = 0;
  lane.count.textContent = countWords(order, comments.length);
}

function tickOf(lane, order, group, axis, zero, selected) {
  const [first] = group;
  const button = lane.known.get(first.seq) ?? newTick(lane, first.seq);
  button.events = group;
  const kinds = group.map((event) => kindOfEvent(order, event));
  const kind = ["error", "milestone", "repeated", "other"].find((each) => kinds.includes(each));
  const stage = order.stages.find((each) => group.some((event) => event.seq === each.seq));
  const picked = group.some((event) => event.seq === selected?.seq);
  button.className = `tick ${kind} ${stage ? stageColour(stage) : ""}${picked ? " picked" : ""}`;
  button.style.left = `${percent(first.t_ms - zero, axis)}%`;
  button.setAttribute("aria-label", `${group.map((event) => event.event).join(" and ")}, event ${first.seq}`);
  if (picked) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  replace(button, h("i"), group.length > 1 ? h("span", { class: "together" }, String(group.length)) : null);
  return button;
}

function newTick(lane, seq) {
  const button = h("button", { type: "button", tabindex: "-1" });
  lane.known.set(seq, button);
  button.addEventListener("click", () => lane.onPick(nextOf(button.events, lane.selected)));
  whileOn(button, (isOn) => (isOn ? lane.tip(button, tickWords(button.events)) : lane.tip(null)));
  return button;
}

function tickWords(events) {
  const named = events.slice(0, MOST_NAMED).map((event) => [`event ${event.seq}: `, h("bdi", {}, event.event)]);
  const more = events.length > MOST_NAMED ? [`and ${events.length - MOST_NAMED} more with them`] : [];
  return [...named, ...more, eventWords(events[0])];
}

/** Of events that share a tick, each click takes the next. */
function nextOf(events, selected) {
  const at = events.findIndex((event) => event.seq === selected);
  return events[(at + 1) % events.length].seq;
}

function onTickKey(lane, event) {
  const buttons = [...lane.ticks.children];
  const at = buttons.indexOf(document.activeElement);
  const to = (index) => () => {
    const target = buttons[Math.min(Math.max(index, 0), buttons.length - 1)];
    stopTabAt(buttons, target);
    return target;
  };
  followKey(event, { ArrowRight: to(at + 1), ArrowLeft: to(at - 1), Home: to(0), End: to(buttons.length - 1) });
}

function countWords(order, comments) {
  const count = order.events.length + (order.events_left_out ?? 0);
  return comments ? `${count} + ${comments}•` : String(count);
}

function sameChildren(element, children) {
  return element.children.length === children.length && children.every((child, n) => element.children[n] === child);
}

// The lane of an order: its stages as bars on the axis, one below the other or all in one line.

let gradientsMade = 0;

/** Return the class that gives a stage its colour; Python's table says which, as for charts. */
export function stageColour(stage) {
  return `stage-${stage.look}`;
}

/** Make the patterns that tell stages apart without their colours, for all that is in an element. */
export function stagePatterns(element, { tiles = [], across = "" }) {
  const id = `firmly-hatch-${Math.random().toString(36).slice(2, 10)}`;
  const made = [...tiles.map((tile, n) => [n + 1, tile]), ["across", across]].map(([name, tile]) => {
    element.style.setProperty(`--firmly-hatch-${name}`, tile ? `url("#${id}-${name}")` : "none");
    const lines = svg("path", { d: tile, class: "hatch-lines" });
    return svg("pattern", { id: `${id}-${name}`, width: "6", height: "6", patternUnits: "userSpaceOnUse" }, lines);
  });
  return svg("svg", { class: "visually-hidden", "aria-hidden": "true", focusable: "false" }, svg("defs", {}, made));
}

/** Draw one stage into a lane of its own. */
export function drawStage(lane, stage, axis, zero) {
  replace(lane, gridLines(axis), reachedBar(stage, axis, zero), boundsOf(stage, axis, zero));
}

/** Draw the stage in progress; `growBar` moves its end. */
export function drawRunning(lane, stage, axis, begin_ms, end_ms) {
  const bar = svg("rect", { class: `bar running ${stageColour(stage)}`, y: "3", height: "10", rx: "1" });
  replace(lane, gridLines(axis), bar);
  return growBar(bar, axis, begin_ms, end_ms);
}

/** Draw for how long a stage was waited for that never came. */
export function drawWaited(lane, order, axis, zero) {
  replace(lane, gridLines(axis), waitedBar(order, axis, zero), failureMark(order, axis, zero));
}

/** Move the end of a running bar; returns it. */
export function growBar(bar, axis, begin_ms, end_ms) {
  const left = percent(begin_ms, axis);
  bar.setAttribute("x", `${left}%`);
  bar.setAttribute("width", `${Math.max(percent(end_ms, axis) - left, 0)}%`);
  return bar;
}

/** Draw all stages of an order in one line; returns the running bar and its begin, if any. */
export function drawLine(lane, order, axis, zero, elapsed) {
  const bars = order.stages.map((stage) => reachedBar(stage, axis, zero));
  const now = stageInProgress(order);
  const bar = now && svg("rect", { class: `bar running ${stageColour(order.stages[now.index])}`, y: "3", height: "10" });
  const span = order.end ? order.end.t_ms : elapsed;
  const failed = order.end && order.end.outcome !== "placed" && stageAwaited(order);
  const rest = failed ? [waitedBar(order, axis, zero), failureMark(order, axis, zero)] : null;
  const cut = percent(span - zero, axis) > 100.5;
  replace(lane, gridLines(axis), bars, bar, rest, cut ? beyondMark() : null);
  if (bar) growBar(bar, axis, now.begin_ms - zero, elapsed - zero);
  return bar ? { bar, begin_ms: now.begin_ms - zero } : null;
}

/** Say that an order did not reach what the others are lined up on. */
export function drawNothing(lane, words) {
  replace(lane, svg("text", { class: "mark quiet", x: "0", y: "12" }, words));
}

/** Draw the lines that help the eye from the axis down. */
export function gridLines(axis) {
  const lines = axis.ticks.map((t_ms) => {
    const x = `${percent(t_ms, axis)}%`;
    return svg("line", { class: t_ms === 0 ? "grid zero" : "grid", x1: x, x2: x, y1: "0", y2: "100%" });
  });
  return lines;
}

/** Make an empty lane; what is in it is told in words elsewhere. */
export function emptyLane() {
  return svg("svg", { class: "lane", "aria-hidden": "true", focusable: "false" });
}

/** Make the axis: round numbers over the lanes. */
export function axisLabels(axis, write) {
  return axis.ticks.map((t_ms) => {
    const left = percent(t_ms, axis);
    const side = left < 4 ? "first" : left > 96 ? "last" : "";
    return h("span", { class: `axis-label ${side}`, style: `left:${left}%` }, write(t_ms));
  });
}

function reachedBar(stage, axis, zero) {
  if (stage.end_ms === null || stage.end_ms === undefined) return null;
  const [begin, end] = [stage.start_ms, stage.end_ms].sort((a, b) => a - b);
  const left = percent(begin - zero, axis);
  const width = percent(end - zero, axis) - left;
  if (stage.untimed) {
    return svg("rect", { class: "bar waited", x: `${left}%`, width: `${width}%`, y: "3", height: "10", rx: "1" });
  }
  const bar = (name) => svg("rect", { class: `${name} ${stageColour(stage)}`, x: `${left}%`, width: `${width}%`, y: "3", height: "10", rx: "1" });
  return [
    bar("bar"),
    bar(stage.is_across ? "hatch across" : "hatch"),
    // A stage of no length is still there.
    svg("rect", { class: `edge ${stageColour(stage)}`, x: `${percent(stage.end_ms - zero, axis)}%`, width: "2", y: "3", height: "10", transform: "translate(-1.5)" }),
    stage.uncertainty_us > 1000 ? fadingEdge(stage, axis, zero) : null,
  ];
}

/** An end that is not sure within a millisecond fades over the time in which it can be. */
function fadingEdge(stage, axis, zero) {
  const bound_ms = stage.uncertainty_us / 1000;
  const id = `firmly-fade-${(gradientsMade += 1)}`;
  const stop = (offset, opacity) =>
    svg("stop", { offset, "stop-color": "var(--firmly-back)", "stop-opacity": opacity });
  const left = percent(Math.max(stage.end_ms - bound_ms, stage.start_ms) - zero, axis);
  return [
    svg("linearGradient", { id }, stop("0", "0"), stop("1", "0.9")),
    svg("rect", {
      class: "fading",
      fill: `url(#${id})`,
      x: `${left}%`,
      width: `${percent(stage.end_ms - zero, axis) - left}%`,
      y: "2",
      height: "12",
    }),
  ];
}

function boundsOf(stage, axis, zero) {
  if (stage.end_ms === null || stage.end_ms === undefined) return null;
  const bound_ms = stage.uncertainty_us / 1000;
  const x1 = `${percent(stage.end_ms - bound_ms - zero, axis)}%`;
  const x2 = `${percent(stage.end_ms + bound_ms - zero, axis)}%`;
  const line = (from, to, y1, y2) => svg("line", { x1: from, x2: to, y1, y2 });
  return svg("g", { class: "bounds" }, line(x1, x2, 8, 8), line(x1, x1, 1, 15), line(x2, x2, 1, 15));
}

function waitedBar(order, axis, zero) {
  const { begin_ms } = stageAwaited(order);
  const bar = svg("rect", { class: "bar waited", y: "3", height: "10", rx: "1" });
  return growBar(bar, axis, begin_ms - zero, order.end.t_ms - zero);
}

function failureMark(order, axis, zero) {
  const left = percent(order.end.t_ms - zero, axis);
  // Beside the end of the bar, before it where there is no room behind.
  const anchor = left > 94 ? { "text-anchor": "end", dx: "-3" } : { dx: "3" };
  return svg("text", { class: `mark ${order.end.tone}`, x: `${left}%`, y: "12", ...anchor }, order.end.mark);
}

function beyondMark() {
  return svg("text", { class: "mark quiet", x: "100%", y: "12", "text-anchor": "end" }, "▸");
}
