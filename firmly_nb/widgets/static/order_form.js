// The order form. It shows the draft that Python holds, sends what is typed, and decides
// nothing: what is wrong, and whether an order may go, is Python's to say.

import { h, replace } from "./dom.js";
import { NO_ANSWER, watchKernel } from "./kernel.js";
import { catalogueOf } from "./order_form_catalogue.js";
import { draftOf } from "./order_form_draft.js";
import { itemsSection } from "./order_form_items.js";
import { merchantSection } from "./order_form_merchant.js";
import { placeSection } from "./order_form_place.js";
import { addressSection, billingSection, cardSection, captchaSection } from "./order_form_sections.js";
import { keepShortcutsOut } from "./shortcuts.js";

const RUNS = ["running", "cancelling"];
const ANSWER_DUE_MS = 1500;

function render({ model, el }) {
  const form = formOf(model);
  const root = h("div", { class: "firmly order-form waiting", role: "group", "aria-label": "Order form" });
  keepShortcutsOut(root);
  el.append(root);
  const said = h("p", { class: "quiet" }, "Asking the kernel for the form …");
  replace(root, said);
  form.whenDrafted(said, () => {
    replace(
      root,
      merchantSection(form),
      itemsSection(form),
      addressSection(form, "shipping", "shipping_info", "Ship to"),
      billingSection(form),
      cardSection(form),
      captchaSection(form),
      placeSection(form),
    );
    root.classList.remove("waiting");
    form.showProblems();
  });
  return () => form.close();
}

/** What the sections share: the draft, the fields by path, the model, and whether all is well. */
function formOf(model) {
  const listeners = [];
  const draft = draftOf(model);
  let timer = 0;
  const form = {
    model,
    draft,
    id: `order-form-${Math.random().toString(36).slice(2, 10)}`,
    fields: new Map(),
    sections: [],
    attempted: false,
    catalogue: catalogueOf(model),
    isRunning: () => !form.kernel.isGone() && RUNS.includes(model.get("run").state),
    kernelChanged: () => {},
    on(name, call) {
      model.on(name, call);
      listeners.push([name, call]);
    },
    showProblems: () => showProblems(form),
    /** Draw the form once its draft is there; a kernel that computes sends it when it is free. */
    whenDrafted(said, draw) {
      const begin = () => {
        if (form.isDrawn || !draft.isThere()) return;
        form.isDrawn = true;
        clearTimeout(timer);
        draw();
      };
      draft.on(null, begin);
      const gone = () => {
        if (!form.isDrawn) said.textContent = "The kernel is gone. Run the cell again for a new form.";
      };
      form.on("comm_live_update", gone);
      timer = setTimeout(() => {
        said.textContent = `${NO_ANSWER} The form comes when it answers; if it has stopped, run the cell again.`;
      }, ANSWER_DUE_MS);
      if (!draft.ask()) gone();
    },
    close() {
      clearTimeout(timer);
      for (const [name, call] of listeners) model.off(name, call);
      form.catalogue.close();
      form.kernel.close();
      draft.close();
    },
  };
  form.kernel = watchKernel(model, { isDue: () => RUNS.includes(model.get("run").state), tell: () => form.kernelChanged() });
  form.on("change:run", form.kernel.look);
  draft.on(null, () => form.isDrawn && form.showProblems());
  return form;
}

function showProblems(form) {
  const problems = form.draft.problems();
  for (const [path, field] of form.fields) field.show(problems[path] ?? "", form.attempted);
  const wrong = form.sections.filter((section) => section.isWrong(Object.keys(problems)));
  // One that is open already shows what to do; otherwise the first wrong one opens.
  if (wrong.length && !wrong.some((section) => section.isOpen())) wrong[0].open();
}

export default { render };
