// The timeline's words: times with as many digits as they deserve, and what a tooltip says.

import { milliseconds } from "./dom.js";

/** Write a time; where it can be off by more than a millisecond, without a decimal. */
export function timeWords(value_ms, uncertainty_us = 0) {
  return milliseconds(value_ms, uncertainty_us > 1000 ? 0 : 1);
}

/** Write a time of the axis, before or after zero. */
export function axisWords(t_ms) {
  return `${t_ms < 0 ? "\u2212" : ""}${milliseconds(Math.abs(t_ms), 0)}`;
}

/** Write how far off a time can be. */
export function boundWords(uncertainty_us) {
  const ms = uncertainty_us / 1000;
  return `±${ms <= 0.1 ? "0.1" : milliseconds(ms, ms < 10 ? 1 : 0)} ms`;
}

/** Say all about an event in one line. */
export function eventWords(event) {
  const parts = [
    `${timeWords(event.t_ms, event.uncertainty_us)} ms after the request ${boundWords(event.uncertainty_us)}`,
    `${event.clock} clock`,
    sizeOfData(event.bytes),
    event.coalesced ? "came together with the one before" : "",
    networkWords(event),
  ];
  return parts.filter(Boolean).join(" · ");
}

/** Say how far the times of an order can be trusted. */
export function precisionWords(order) {
  const { events } = order;
  if (!events.length) return order.end ? "no events" : "";
  const clocks = [...new Set(events.map((event) => event.clock))].sort().join(" and ");
  const worst_us = Math.max(...events.map((event) => event.uncertainty_us));
  return [`every time ${boundWords(worst_us)}`, `${clocks} clock`, networkWords(events.at(-1))]
    .filter(Boolean)
    .join(" · ");
}

/** Name an order for a list: its number at the merchant, or how it stands and which one it is. */
export function orderName(order) {
  const which = Number.isFinite(order.number) ? ` (${order.number})` : "";
  if (!order.end) return `under way${which}`;
  return order.end.order_number || `${order.end.word}${which}`;
}

/** Write a difference with its sign. */
export function differenceWords(value_ms, digits = 1) {
  if (value_ms === null) return "-";
  const sign = value_ms > 0 ? "+" : value_ms < 0 ? "\u2212" : "";
  return sign + milliseconds(Math.abs(value_ms), digits);
}

function networkWords(event) {
  if (event.rtt_us === null || event.rtt_us === undefined) return "";
  const again = event.retransmits ? ` · ${event.retransmits} sent again` : "";
  return `rtt ${(event.rtt_us / 1000).toFixed(2)} ms${again}`;
}

function sizeOfData(bytes) {
  return bytes < 1000 ? `${bytes} bytes` : `${milliseconds(bytes / 1000)} kB`;
}
