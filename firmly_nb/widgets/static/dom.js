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

const HIDDEN = "·";
const KEPT = " \u202f\u00a0"; // the two others are ours: no line ends at them
// What Python takes for white space.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]{2,}|(?![${KEPT}])[${SPACE}]`, "gu");
const OUTER = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "gu");

/** Make a stranger's text harmless as display/text.py does: one line that steers nothing. */
export function printable(text) {
  const line = String(text ?? "").replace(SPACES, " ").replace(OUTER, "");
  return line.replace(/[\p{C}\p{Z}]/gu, (char) => (KEPT.includes(char) ? char : HIDDEN));
}

const NAMED = Symbol.for("firmly-nb names");

/** A name that no other widget of the page has: "Sweep", and for the next one "Sweep 2". */
export function ownName(name) {
  const given = (document[NAMED] ??= new Map());
  given.set(name, (given.get(name) ?? 0) + 1);
  return given.get(name) > 1 ? `${name} ${given.get(name)}` : name;
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

// What moves under a pressed pointer loses the press: its release, and so the click, meets something
// else. While a pointer is down in a widget, whatever would change a form waits. A press moves the
// focus as well, and so ends what was typed before; that is done before the click is heard.

const PRESS = Symbol.for("firmly-nb press");

/** Call something at once, or once no pointer is pressed any more. */
export function whenReleased(call) {
  const press = pressOf();
  if (press.isDown) press.waiting.push(call);
  else call();
}

/** Call something when the focus has moved on, but before the click that moved it is heard. */
export function afterFocus(call) {
  const press = pressOf();
  press.waiting.push(call);
  setTimeout(() => press.isDown || press.release());
}

/** The page's one press, which all widgets share; each of their modules is loaded by itself. */
function pressOf() {
  document[PRESS] ??= watchPress();
  return document[PRESS];
}

function watchPress() {
  const press = { isDown: false, waiting: [], release };

  function release() {
    press.isDown = false;
    while (press.waiting.length) press.waiting.shift()();
  }

  const on = (kind, call) => document.addEventListener(kind, call, { capture: true, passive: true });
  on("pointerdown", (event) => {
    release();
    press.isDown = Boolean(event.target.closest?.(".firmly"));
  });
  on("click", release);
  // A press that ends elsewhere has no click.
  for (const kind of ["pointerup", "pointercancel"]) on(kind, () => setTimeout(release));
  // Where a list of choices was open, or a scroll bar was held, nobody tells of the end.
  on("pointermove", (event) => press.isDown && !event.buttons && release());
  on("keydown", release);
  on("change", (event) => event.target.tagName === "SELECT" && release());
  return press;
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
