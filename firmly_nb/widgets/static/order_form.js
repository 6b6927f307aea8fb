// The order form. It shows what Python holds, sends what is typed, and decides
// nothing: what is wrong, and whether an order may go, is Python's to say.

import { h } from "./dom.js";
import { catalogueOf } from "./order_form_catalogue.js";
import { itemsSection } from "./order_form_items.js";
import { merchantSection } from "./order_form_merchant.js";
import { placeSection } from "./order_form_place.js";
import { addressSection, billingSection, cardSection, captchaSection } from "./order_form_sections.js";
import { keepShortcutsOut } from "./shortcuts.js";

const DRAFT = [
  "merchant", "items", "shipping", "same_billing", "billing", "card_name", "card", "sse", "warm",
  "times",
];

function render({ model, el }) {
  const form = formOf(model);
  const root = h(
    "div",
    { class: "firmly order-form", role: "group", "aria-label": "Order form" },
    merchantSection(form),
    itemsSection(form),
    addressSection(form, "shipping", "shipping_info", "Ship to"),
    billingSection(form),
    cardSection(form),
    captchaSection(form),
    placeSection(form),
  );
  keepShortcutsOut(root);
  el.append(root);
  form.showProblems();
  return () => form.close();
}

/** What the sections share: the model, the fields by path, and how something is changed. */
function formOf(model) {
  const listeners = [];
  const form = {
    model,
    id: `order-form-${Math.random().toString(36).slice(2, 10)}`,
    fields: new Map(),
    sections: [],
    attempted: false,
    live: true,
    catalogue: catalogueOf(model),
    on(name, call) {
      model.on(name, call);
      listeners.push([name, call]);
    },
    edit(changes) {
      for (const [name, value] of Object.entries(changes)) model.set(name, value);
      model.set("edit", model.get("edit") + 1);
      // At once: until it is sent, an answer to the edit before would overwrite this one. The
      // manager itself holds back what comes while a message is under way, and sends the last.
      model.save_changes();
    },
    draft: () => Object.fromEntries(DRAFT.map((name) => [name, model.get(name)])),
    isChecked: () => model.get("edit") === model.get("checked"),
    showProblems: () => showProblems(form),
    close() {
      for (const [name, call] of listeners) model.off(name, call);
      form.catalogue.close();
    },
  };
  form.on("change:problems", form.showProblems);
  return form;
}

function showProblems(form) {
  const problems = form.model.get("problems");
  for (const [path, field] of form.fields) field.show(problems[path] ?? "", form.attempted);
  const wrong = form.sections.filter((section) => section.isWrong(Object.keys(problems)));
  // One that is open already shows what to do; otherwise the first wrong one opens.
  if (wrong.length && !wrong.some((section) => section.isOpen())) wrong[0].open();
}

export default { render };
