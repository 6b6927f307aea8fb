// The form of a sweep: what, how often, and within which budget; beside each field what is wrong.

import { h } from "./dom.js";

const FIELDS = [
  ["count", "Orders", { inputmode: "numeric" }, ""],
  ["arrival", "Starts", {}, ""],
  ["rate", "Rate", { placeholder: "30/min" }, "per second, or like 30/min"],
  ["concurrency", "In flight", { inputmode: "numeric" }, "at most; in a closed loop always"],
  ["duration", "For", { placeholder: "no limit" }, "seconds, or like 10 min"],
  ["name", "Name", { placeholder: "none" }, ""],
];
const BUDGET = [
  ["max_orders", "Orders", { inputmode: "numeric" }, ""],
  ["max_minutes", "Minutes", { inputmode: "decimal" }, ""],
  ["max_total", "Money", { placeholder: "no limit" }, "like 500.00 USD"],
];
const ARRIVALS = [
  ["constant", "evenly spaced"],
  ["poisson", "as shoppers come"],
  ["closed", "when one ends"],
];
export const NAMES = Object.fromEntries([
  ...FIELDS.map(([name, label]) => [name, label]),
  ...BUDGET.map(([name, label]) => [name, `Budget, ${label.toLowerCase()}`]),
  ["orders", "What"],
]);

/** Make both groups of fields; `show` puts values, messages and whether they can be changed. */
export function sweepFields(id, change) {
  const made = new Map();
  const group = (title, fields) =>
    h("fieldset", {}, h("legend", {}, title), h("div", { class: "fields" }, fields.map((field) => one(field))));

  function one([name, label, attributes, hint]) {
    const fieldId = `${id}-${name}`;
    const message = h("div", { class: "message", id: `${fieldId}-message`, hidden: true });
    const note = hint ? h("div", { class: "hint quiet", id: `${fieldId}-hint` }, hint) : null;
    const edited = () => change(name, input.value);
    const input = name === "arrival"
      ? h("select", { id: fieldId, onchange: edited }, ARRIVALS.map(([value, words]) => h("option", { value }, words)))
      : h("input", { id: fieldId, type: "text", autocomplete: "off", spellcheck: "false", dir: "auto", oninput: edited, ...attributes });
    made.set(name, { input, message, note });
    return h("div", { class: "field" }, h("label", { for: fieldId }, label), input, note, message);
  }

  const element = h("div", { class: "groups" }, group("Sweep", FIELDS), group("Budget: no order is started beyond it", BUDGET));
  return {
    element,
    show(draft, problems, locked) {
      for (const [name, { input, message, note }] of made) {
        if (document.activeElement !== input || locked) {
          if (input.value !== draft[name]) input.value = draft[name] ?? "";
        }
        const isMoot = name === "rate" && draft.arrival === "closed";
        input.disabled = locked || isMoot;
        const text = problems[name] ?? "";
        message.textContent = text;
        message.hidden = !text;
        // What is wrong says how to write it, too.
        if (note) note.hidden = Boolean(text);
        input.setAttribute("aria-invalid", String(Boolean(text)));
        const described = text ? message.id : note?.id;
        if (described) input.setAttribute("aria-describedby", described);
        else input.removeAttribute("aria-describedby");
      }
    },
    focusFirst(problems) {
      const name = [...made.keys()].find((key) => problems[key]);
      if (name) made.get(name).input.focus();
    },
  };
}
