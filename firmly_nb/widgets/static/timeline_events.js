// The lane of all events of an order as they came: a tick each, one for those that came together,
// a dot for each comment. One stop for the tab key; arrows go from tick to tick.

import { h, replace, svg } from "./dom.js";
import { emptyLane, gridLines, stageColour } from "./timeline_lane.js";
import { groupEvents, kindOfEvent, percent } from "./timeline_state.js";
import { eventWords } from "./timeline_words.js";

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
  const stage = order.stages.findIndex((each) => group.some((event) => event.seq === each.seq));
  const picked = group.some((event) => event.seq === selected?.seq);
  button.className = `tick ${kind} ${stage >= 0 ? stageColour(stage) : ""}${picked ? " picked" : ""}`;
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
  const tell = () => lane.tip(button, tickWords(button.events));
  for (const kind of ["mouseenter", "focus"]) button.addEventListener(kind, tell);
  for (const kind of ["mouseleave", "blur"]) button.addEventListener(kind, () => lane.tip(null));
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
  const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 };
  if (!(event.key in moves) || at < 0) return;
  event.preventDefault();
  event.stopPropagation();
  const target = buttons[Math.min(Math.max(moves[event.key], 0), buttons.length - 1)];
  for (const button of buttons) button.tabIndex = button === target ? 0 : -1;
  target.focus();
}

function countWords(order, comments) {
  const count = order.events.length + (order.events_left_out ?? 0);
  return comments ? `${count} + ${comments}•` : String(count);
}

function sameChildren(element, children) {
  return element.children.length === children.length && children.every((child, n) => element.children[n] === child);
}
