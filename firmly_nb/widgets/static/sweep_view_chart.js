// How long the latest orders took, over the run: a dot for a placed one, a cross for another.

import { milliseconds, replace, svg } from "./dom.js";

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
