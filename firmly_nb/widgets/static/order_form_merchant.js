// The merchant: those that may be ordered from, products found over all of them, or any name.

import { h } from "./dom.js";
import { combobox } from "./order_form_combobox.js";
import { blankItem } from "./order_form_items.js";
import { withMessage } from "./order_form_fields.js";

const SEARCH_AFTER_MS = 250;
const SHORTEST_SEARCH = 3;

/** Make the merchant's row. */
export function merchantSection(form) {
  const { draft } = form;
  const kept = new Map(); // each merchant's rows, for whoever comes back to it
  let allowed = [];
  let before = draft.get("merchant");
  let timer = null;

  const box = combobox({
    id: `${form.id}-merchant`,
    label: "Merchant",
    placeholder: "a merchant, or what you look for",
    value: before,
    type: (text) => {
      draft.edit({ merchant: text.trim() });
      clearTimeout(timer);
      timer = setTimeout(() => search(text.trim()), SEARCH_AFTER_MS);
    },
    pick: (choice) => moveTo(choice.value, choice.product),
    // Later, when the focus has moved on to where it is going.
    commit: (text) => setTimeout(() => moveTo(text.trim(), null)),
  });

  function search(words) {
    if (words.length < SHORTEST_SEARCH || allowed.includes(words)) offer([]);
    else form.catalogue.search(words, (answer) => offer(answer.found ?? []));
  }

  function offer(found) {
    const merchants = allowed.map((domain) => ({ value: domain, text: domain, note: "" }));
    const hits = found.map((hit) => ({
      value: hit.domain,
      text: hit.title || hit.handle,
      note: hit.domain,
      product: hit,
      always: true,
    }));
    box.offer([...merchants, ...hits]);
  }

  function moveTo(domain, product) {
    clearTimeout(timer);
    offer([]);
    box.input.value = domain;
    if (domain === before && !product) return draft.edit({ merchant: domain });
    const changes = { merchant: domain };
    if (domain !== before) {
      kept.set(before, draft.get("items"));
      changes.items = kept.get(domain) ?? [blankItem()];
      before = domain;
    }
    if (product) {
      changes.items = [{ ...blankItem(), handle: product.handle, title: product.title }];
    }
    draft.edit(changes);
    form.merchantChanged();
  }

  /** Follow a merchant that Python, a preset or another view of this form has set. */
  function follow() {
    box.set(draft.get("merchant"));
    clearTimeout(timer);
    // In another view someone may be typing it: its products are asked for when it stands.
    timer = setTimeout(() => {
      if (draft.get("merchant") === before) return;
      before = draft.get("merchant");
      form.merchantChanged();
    }, SEARCH_AFTER_MS);
  }

  form.catalogue.merchants((answer) => {
    allowed = answer.found ?? [];
    offer([]);
  });
  draft.on("merchant", (isOwn) => isOwn || follow());
  const message = withMessage(form, "domain", box.input).message;
  return h(
    "div",
    { class: "row" },
    h("label", { class: "row-title", for: box.input.id }, "Merchant"),
    h("div", {}, box.element, message),
  );
}
