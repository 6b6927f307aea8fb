// The strip on top: where one is; the code and the presets open below it.

import { h, keepShortcutsOut, printable, replace, whenReleased } from "./dom.js";
import { listen, saveToKernel, sendToKernel } from "./kernel.js";

function render({ model, el }) {
  const id = `strip-${Math.random().toString(36).slice(2, 10)}`;
  const panel = h("div", { class: "panel", id: `${id}-panel`, hidden: true });
  const toggles = { code: toggle("code", "Show code"), presets: toggle("presets", "Presets") };
  const where = h("div", { class: "environment" });
  const bar = h("div", { class: "strip-bar" }, where, h("div", { class: "strip-buttons" }, toggles.code, toggles.presets));
  const notice = h("div", { class: "notice bad", role: "alert", hidden: true });
  let code = null; // it holds addresses, so it is in no state that is saved

  function toggle(name, label) {
    const attributes = { type: "button", "aria-expanded": "false", "aria-controls": panel.id };
    return h("button", { ...attributes, onclick: () => show(model.get("shown") === name ? "" : name) }, label);
  }

  function show(name) {
    model.set("shown", name);
    saveToKernel(model);
  }

  function draw() {
    const { name, label, text } = model.get("environment");
    bar.dataset.environment = name;
    replace(where, h("b", {}, label), h("bdi", { title: text }, text));
    const shown = model.get("shown");
    for (const [key, button] of Object.entries(toggles)) button.setAttribute("aria-expanded", String(key === shown));
    panel.hidden = !shown;
    notice.textContent = model.get("notice");
    notice.hidden = !model.get("notice");
  }

  function fill() {
    const shown = model.get("shown");
    const above = panel.querySelector("pre")?.scrollTop ?? 0;
    if (shown === "code") replace(panel, codePanel(code ?? ""));
    else if (shown === "presets") replace(panel, presetsPanel(model, id));
    else replace(panel);
    if (shown === "code") panel.querySelector("pre").scrollTop = above;
  }

  function receive(content, buffers) {
    if (content?.type !== "code") return;
    code = new TextDecoder().decode(buffers[0]);
    fill();
  }

  const later = (call) => (...said) => whenReleased(() => call(...said));
  const stop = listen(model, {
    "change:environment": later(draw),
    "change:notice": later(draw),
    "change:shown": later(() => (draw(), fill())),
    "change:presets": later(fill),
    "msg:custom": later(receive),
  });
  draw();
  fill();
  if (model.get("shown") === "code") sendToKernel(model, { type: "code" });
  const root = h("div", { class: "firmly strip" }, bar, panel, notice);
  keepShortcutsOut(root);
  el.append(root);
  return stop;
}

function codePanel(code) {
  const said = h("span", { class: "quiet", role: "status" });
  async function copy() {
    try {
      await navigator.clipboard.writeText(code);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser does not allow it: select the text and copy it.";
    }
  }
  return [
    h("div", { class: "panel-bar" }, h("span", {}, "The same in Python; secrets are asked for when it runs."), h("button", { type: "button", onclick: copy }, "Copy"), said),
    h("pre", { tabindex: "0", role: "group", "aria-label": "Python code" }, h("code", {}, code)),
  ];
}

function presetsPanel(model, id) {
  const send = (type, name) => sendToKernel(model, { type, name });
  const name = h("input", { id: `${id}-name`, type: "text", maxlength: 80, dir: "auto", autocomplete: "off" });
  const save = () => {
    send("save", name.value);
    name.value = "";
  };
  const names = model.get("presets");
  const rows = names.map((one) =>
    h(
      "li",
      {},
      h("bdi", { class: "preset-name", title: printable(one) }, printable(one)),
      h("button", { type: "button", "aria-label": `Load preset ${printable(one)}`, onclick: () => send("load", one) }, "Load"),
      h("button", { type: "button", "aria-label": `Delete preset ${printable(one)}`, onclick: () => send("delete", one) }, "Delete"),
    ),
  );
  return [
    h("div", { class: "panel-bar" }, h("label", { for: name.id }, "Save this form as"), name, h("button", { type: "button", onclick: save }, "Save"), h("span", { class: "quiet" }, "Addresses are saved as typed, secrets never.")),
    rows.length ? h("ul", { class: "presets" }, rows) : h("div", { class: "quiet" }, "No presets yet."),
  ];
}

export default { render };
