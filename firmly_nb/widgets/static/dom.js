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

/** Write milliseconds as the Python side does: thin spaces in thousands, a dash if unknown. */
export function milliseconds(value, digits = 1) {
  if (value === null || value === undefined || Number.isNaN(value)) return "-";
  const [whole, part] = value.toFixed(digits).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u2009");
  return part ? `${grouped}.${part}` : grouped;
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
