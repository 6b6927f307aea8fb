// Elements made from plain data. Text only ever becomes text: there is no innerHTML here or
// anywhere in this folder, so that nothing a merchant sends can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an HTML element: h("button", { class: "x", onclick: f, disabled: true }, "Place", child). */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element in the same way. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Replace everything inside an element. */
export function replace(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(isShown));
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter(isShown));
  return element;
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

const THIN_SPACE = "\u202f"; // as in display/text.py
const [SIGNIFICANT, MOST_DECIMALS] = [3, 2];

/** Write a measured value as Python does: three digits that count, at most two decimals. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "-";
  for (let decimals = MOST_DECIMALS; ; decimals -= 1) {
    const written = fixed(value, decimals);
    // Decided after rounding: 9.996 is 10.0, and not 10.00.
    if (decimals === 0 || Math.abs(Number(written)) < 10 ** (SIGNIFICANT - decimals)) return grouped(written);
  }
}

/** Write a time with its unit; both stay on one line. */
export function duration(value_ms) {
  const written = number(value_ms);
  return written === "-" ? written : `${written}\u00a0ms`;
}

/** Write a value that somebody chose or counted, with the digits that it has. */
export function stated(value) {
  return grouped(String(value));
}

/** Write an uncertainty as Python does: in µs, and in ms where it is that large. */
export function uncertainty(value_us) {
  return Math.round(value_us) >= 1000 ? duration(value_us / 1000) : `${number(value_us)}\u00a0µs`;
}

function fixed(value, decimals) {
  const scaled = value * 10 ** decimals;
  // Only eighths can lie in the middle of two; there Python takes the even one, toFixed the larger.
  const isMiddle = Number.isInteger(value * 8) && Math.abs(scaled % 1) === 0.5;
  const rounded = isMiddle ? (2 * Math.round(scaled / 2)) / 10 ** decimals : value;
  return rounded.toFixed(decimals).replace(/^-(?=[0.]+$)/, "");
}

function grouped(written) {
  const [whole, part] = written.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
  return part ? `${spaced}.${part}` : spaced;
}

/** Whether the reader has asked for less movement. */
export function isStill() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

// Keys that are meant for a widget are no commands to the notebook around it: in JupyterLab's
// command mode a typed "m" would turn the cell into Markdown, and the form with it.

const MARK = "data-lm-suppress-shortcuts";

/** Keep JupyterLab's shortcuts away from whatever has the focus inside an element. */
export function keepShortcutsOut(root) {
  // JupyterLab looks for the mark on the focused element itself before it looks further up.
  const mark = (event) => event.target.setAttribute(MARK, "true");
  root.addEventListener("focusin", mark);
  root.addEventListener("keyup", mark);
  // Ctrl+S still saves the notebook: while such a key is down, shortcuts go through.
  root.addEventListener("keydown", (event) => {
    if (event.key === "Control" || event.key === "Meta") event.target.removeAttribute(MARK);
  });
}

/** Say something while the pointer or the focus is on an element. */
export function whileOn(element, say) {
  for (const kind of ["mouseenter", "focus"]) element.addEventListener(kind, () => say(true));
  for (const kind of ["mouseleave", "blur"]) element.addEventListener(kind, () => say(false));
}

/** Of many elements one is where the tab key stops. */
export function stopTabAt(all, element) {
  for (const other of all) other.tabIndex = other === element ? 0 : -1;
}

/** Go where a key leads, if it leads anywhere: `goals` has what to call by key. */
export function followKey(event, goals) {
  if (!(event.key in goals) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  goals[event.key]()?.focus();
}
