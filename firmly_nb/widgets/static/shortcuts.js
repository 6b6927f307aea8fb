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
