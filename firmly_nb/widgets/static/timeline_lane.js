// The lane of an order: its stages as bars on the axis, one below the other or all in one line.

import { h, replace, svg } from "./dom.js";
import { isReached, percent, stageAwaited, stageInProgress } from "./timeline_state.js";

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
export function drawLine(lane, order, axis, zero, elapsed, p50_ms = null) {
  const bars = order.stages.map((stage) => reachedBar(stage, axis, zero));
  const now = stageInProgress(order);
  const bar = now && svg("rect", { class: `bar running ${stageColour(order.stages[now.index])}`, y: "3", height: "10" });
  const span = order.end ? order.end.t_ms : elapsed;
  const failed = order.end && order.end.outcome !== "placed" && stageAwaited(order);
  const rest = failed ? [waitedBar(order, axis, zero), failureMark(order, axis, zero)] : null;
  const cut = percent(span - zero, axis) > 100.5;
  const middle = p50_ms === null ? null : svg("line", { class: "median", x1: `${percent(p50_ms, axis)}%`, x2: `${percent(p50_ms, axis)}%`, y1: "0", y2: "100%" });
  replace(lane, gridLines(axis), bars, bar, rest, middle, cut ? beyondMark() : null);
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

/** Make the labels of an axis: its begin, its end with the unit, and one between. */
export function axisLabels(axis, write) {
  return axis.ticks.map((t_ms, n) => {
    const left = percent(t_ms, axis);
    const isLast = n === axis.ticks.length - 1;
    // Where there is no room for the one between, it goes.
    const side = n === 0 ? "first" : isLast ? "last" : left < 15 || left > 75 ? "cramped" : "";
    return h("span", { class: `axis-label ${side}`, style: `left:${left}%` }, `${write(t_ms)}${isLast ? "\u00a0ms" : ""}`);
  });
}

function reachedBar(stage, axis, zero) {
  if (!isReached(stage)) return null;
  const [begin, end] = [stage.start_ms, stage.end_ms].sort((a, b) => a - b);
  const left = percent(begin - zero, axis);
  const width = percent(end - zero, axis) - left;
  if (stage.untimed) return svg("rect", { class: "bar waited", x: `${left}%`, width: `${width}%`, y: "3", height: "10", rx: "1" });
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
  if (!isReached(stage)) return null;
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
