// What is ordered: rows with pickers from the catalogue, and rows for what it does not know.

import { h, printable, replace, whenReleased } from "./dom.js";
import { combobox, numberInput, textInput, withMessage } from "./fields.js";
import { listen, sendToKernel } from "./kernel.js";

/** A row in which nothing is picked yet. */
export function blankItem(raw = false) {
  return {
    variant_id: "", product_id: "", variant_handles: null, add_to_cart_ref: null, quantity: 1, handle: "", title: "", raw,
  };
}

/** Make the rows and the buttons below them. */
export function itemsSection(form) {
  const { draft } = form;
  const list = h("div", { class: "items" });
  let rows = [];

  const items = () => draft.get("items");
  const put = (index, changes) =>
    draft.edit({ items: items().map((item, n) => (n === index ? { ...item, ...changes } : item)) });

  function add(raw) {
    draft.edit({ items: [...items(), blankItem(raw)] });
    build();
    rows.at(-1).focus();
  }

  function remove(index) {
    draft.edit({ items: items().filter((_, n) => n !== index) });
    build();
    (rows[Math.min(index, rows.length - 1)] ?? { focus: () => more.focus() }).focus();
  }

  function build() {
    const focused = list.contains(document.activeElement) ? document.activeElement.id : "";
    for (const path of form.fields.keys()) if (path.startsWith("items[")) form.fields.delete(path);
    rows = items().map((item, index) => {
      const tools = { index, put: (changes) => put(index, changes), remove: () => remove(index) };
      return item.raw ? rawRow(form, item, tools) : catalogueRow(form, item, tools);
    });
    replace(list, rows.map((row) => row.element));
    if (focused) document.getElementById(focused)?.focus();
    form.showProblems();
  }

  function update() {
    const now = items();
    const same = rows.length === now.length && rows.every((row, n) => row.raw === now[n].raw);
    if (same) rows.forEach((row, n) => row.update(now[n]));
    else build();
  }

  const more = h("button", { type: "button", class: "link", onclick: () => add(false) }, "+ Add item");
  const raw = h(
    "button",
    { type: "button", class: "link", onclick: () => add(true) },
    "+ Raw reference",
  );
  const message = withMessage(form, "items", more).message;
  form.merchantChanged = build;
  draft.on("items", update);
  build();
  return h(
    "div",
    { class: "row" },
    h("div", { class: "row-title", "aria-hidden": "true" }, "Items"),
    h("div", { role: "group", "aria-label": "Items" }, list, h("div", { class: "links" }, more, raw, message)),
  );
}

/** A row whose product and options are picked. */
function catalogueRow(form, first, { index, put, remove }) {
  let item = first;
  let products = [];
  let variants = [];
  let takeFirst = false;
  let drawn = "";
  const domain = () => form.draft.get("merchant");
  const options = h("span", { class: "options" });
  const about = h("div", { class: "about quiet", hidden: true });
  const note = h("div", { class: "message quiet", hidden: true });
  const box = combobox({
    id: `${form.id}-item-${index}-product`,
    label: `Product of item ${index + 1}`,
    placeholder: "pick a product",
    value: nameOf(item),
    type: () => {},
    pick: (choice) => {
      takeFirst = true;
      const none = { variant_id: "", product_id: "", variant_handles: null, add_to_cart_ref: null };
      put({ ...none, handle: choice.value, title: choice.text });
    },
    commit: () => box.put(nameOf(item)),
  });
  const quantity = quantityField(form, index, item, put);
  const product = withMessage(form, `items[${index}].variant_id`, box.input);

  function nameOf(one) {
    const known = products.find((product) => product.handle === one.handle);
    return printable(one.title || known?.title || one.handle || one.variant_id);
  }

  function say(text) {
    note.textContent = text;
    note.hidden = !text;
  }

  function load() {
    const { handle } = item;
    if (!handle) return draw();
    form.catalogue.variants(domain(), handle, (answer) => {
      if (handle !== item.handle) return;
      variants = answer.found ?? [];
      say(answer.problem ? `Its variants are not known: ${answer.problem}` : "");
      if (takeFirst && variants.length) choose(variants.find((one) => one.available) ?? variants[0]);
      takeFirst = false;
      draw();
    });
  }

  function choose(variant) {
    const { variant_id, product_id, variant_handles, add_to_cart_ref = null } = variant;
    put({ variant_id, product_id, variant_handles, add_to_cart_ref });
  }

  function draw() {
    const now = variants.find((variant) => variant.variant_id === item.variant_id);
    const chosen = now?.options ?? {};
    about.textContent = now ? [now.price, printable(now.variant_id)].filter(Boolean).join(" · ") : "";
    about.hidden = !now;
    drawOptions(chosen);
    if (!now && item.variant_id && variants.length) say(`Variant ${printable(item.variant_id)} is not in the catalogue.`);
  }

  /** Draw the pickers where they differ: one that is open would close. */
  function drawOptions(chosen) {
    const shown = JSON.stringify([chosen, variants]);
    if (shown === drawn) return;
    drawn = shown;
    const focused = options.contains(document.activeElement) ? document.activeElement.name : null;
    replace(options, optionNames(variants).map((name) => picker(name, chosen)));
    if (focused) options.querySelector(`[name="${CSS.escape(focused)}"]`)?.focus();
  }

  function picker(name, chosen) {
    const values = optionValues(variants, name);
    const select = h(
      "select",
      {
        name,
        "aria-label": `${printable(name)} of item ${index + 1}`,
        title: printable(name),
        onchange: () => choose(closestVariant(variants, chosen, name, select.value)),
      },
      chosen[name] ? null : h("option", { value: "", disabled: true, selected: true }, printable(name)),
      values.map((value) => {
        const variant = closestVariant(variants, chosen, name, value);
        const text = variant?.available ? "" : " (sold out)";
        return h("option", { value, selected: value === chosen[name] }, `${printable(value)}${text}`);
      }),
    );
    return select;
  }

  form.catalogue.products(domain(), (answer) => {
    products = answer.found ?? [];
    box.offer(products.map(({ handle, title }) => ({ value: handle, id: handle, text: printable(title || handle) })));
    box.put(nameOf(item));
    if (answer.problem) say(`Use a raw reference: this merchant's catalogue cannot be read. ${answer.problem}`);
  });
  load();
  const line = [box.element, options, amount(quantity, index, remove)];
  return {
    raw: false,
    element: h("div", { class: "item" }, h("div", { class: "item-line" }, line), h("div", { class: "under" }, about, product.message, quantity.message, note)),
    focus: () => box.input.focus(),
    update(next) {
      const other = next.handle !== item.handle;
      item = next;
      box.put(nameOf(item));
      quantity.put(String(item.quantity ?? ""));
      if (other) {
        variants = [];
        draw();
        load();
      } else draw();
    },
  };
}

/** A row in which an add_to_cart_ref is typed. */
function rawRow(form, first, { index, put, remove }) {
  const text = (name, label, value, change, read) => {
    const input = textInput({
      id: `${form.id}-item-${index}-${name}`,
      "aria-label": `${label} of item ${index + 1}`,
      placeholder: label,
      title: label,
      value,
      oninput: () => change(input.value),
    });
    return withMessage(form, `items[${index}].${name}`, input, { read });
  };
  const trimmed = (typed) => typed.trim();
  const fields = {
    variant_id: text("variant_id", "Variant id", first.variant_id ?? "", (typed) => put(reference(typed)), trimmed),
    product_id: text("product_id", "Product id", first.product_id ?? "", (typed) => put({ product_id: typed.trim(), add_to_cart_ref: null }), trimmed),
    variant_handles: text(
      "variant_handles",
      "Handles, with commas",
      handlesText(first),
      (typed) => put({ variant_handles: handlesOf(typed), add_to_cart_ref: null }),
      (typed) => handlesText({ variant_handles: handlesOf(typed) }),
    ),
  };
  const quantity = quantityField(form, index, first, put);
  const made = Object.values(fields);
  return {
    raw: true,
    element: h(
      "div",
      { class: "item raw" },
      h(
        "div",
        { class: "item-line" },
        [fields.variant_id.input, amount(quantity, index, remove)],
        h("span", { class: "break" }),
        [fields.product_id.input, fields.variant_handles.input],
      ),
      h("div", { class: "under" }, made.map((one) => one.message), quantity.message),
    ),
    focus: () => fields.variant_id.input.focus(),
    update(next) {
      fields.variant_id.put(next.variant_id ?? "");
      fields.product_id.put(next.product_id ?? "");
      fields.variant_handles.put(handlesText(next));
      quantity.put(String(next.quantity ?? ""));
    },
  };
}

function oneHandle(handle) {
  return typeof handle === "object" ? JSON.stringify(handle) : String(handle);
}

/** What was typed as a variant id; a whole add_to_cart_ref that was pasted is taken apart. */
export function reference(typed) {
  const plain = { variant_id: typed.trim(), add_to_cart_ref: null };
  if (!typed.trim().startsWith("{")) return plain;
  try {
    const pasted = JSON.parse(typed);
    const found = pasted.add_to_cart_ref ?? pasted;
    const handles = Array.isArray(found.variant_handles) ? found.variant_handles.map(oneHandle) : null;
    const text = (value) => (value === null || value === undefined ? "" : String(value));
    return { variant_id: text(found.variant_id), product_id: text(found.product_id), variant_handles: handles, add_to_cart_ref: found };
  } catch {
    return plain;
  }
}

/** Handles out of a text with commas; none at all if there is nothing in it. */
export function handlesOf(typed) {
  const handles = typed.split(",").map((one) => one.trim()).filter(Boolean);
  return handles.length ? handles : null;
}

function handlesText(item) {
  return (item.variant_handles ?? []).join(", ");
}

function quantityField(form, index, item, put) {
  return numberInput(form, `items[${index}].quantity`, {
    id: `${form.id}-item-${index}-quantity`,
    "aria-label": `Quantity of item ${index + 1}`,
    title: "Quantity",
    value: item.quantity,
    read: (typed) => (typed === "" ? null : Number(typed)),
    change: (quantity) => put({ quantity }),
  });
}

/** How many, and the button that removes the row; they stay side by side. */
function amount(quantity, index, remove) {
  return h("span", { class: "amount" }, quantity.input, removeButton(index, remove));
}

function removeButton(index, remove) {
  const label = `Remove item ${index + 1}`;
  return h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick: remove }, "×");
}

// The merchant: those that may be ordered from, products found over all of them, or any name.

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
    commit: (text) => moveTo(text.trim(), null),
  });

  function search(words) {
    if (words.length < SHORTEST_SEARCH || allowed.includes(words)) offer([]);
    else form.catalogue.search(words, (answer) => offer(answer.found ?? []));
  }

  function offer(found) {
    const merchants = allowed.map((domain) => ({ value: domain, id: domain, text: domain }));
    const hits = found.map((hit) => ({
      value: hit.domain,
      id: hit.domain,
      text: hit.title || hit.handle,
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
  // A list below the message never hides why a merchant is refused.
  box.say(withMessage(form, "domain", box.input).message);
  return h(
    "div",
    { class: "row" },
    h("label", { class: "row-title", for: box.input.id }, "Merchant"),
    h("div", {}, box.element),
  );
}

// What the page asks of the catalogue; each answer is kept, so that nothing is asked twice.

/** Make the asking side of one view. */
export function catalogueOf(model) {
  const known = new Map();
  const waiting = new Map();

  function ask(about, more, call) {
    const key = keyOf({ about, ...more });
    if (known.has(key)) {
      call(known.get(key));
      return;
    }
    const others = waiting.get(key) ?? [];
    waiting.set(key, [...others, call]);
    if (others.length === 0) sendToKernel(model, { type: "catalogue", about, ...more });
  }

  function take(answer) {
    if (answer.type !== "catalogue") return;
    const key = keyOf(answer);
    // A failure may pass: it is asked again the next time.
    if (!answer.problem) known.set(key, answer);
    const calls = waiting.get(key) ?? [];
    waiting.delete(key);
    for (const call of calls) call(answer);
  }

  const stop = listen(model, { "msg:custom": (answer) => whenReleased(() => take(answer)) });
  return {
    merchants: (call) => ask("merchants", {}, call),
    products: (domain, call) => ask("products", { domain }, call),
    variants: (domain, handle, call) => ask("variants", { domain, handle }, call),
    search: (words, call) => ask("search", { words }, call),
    close: stop,
  };
}

function keyOf({ about, domain = "", handle = "", words = "" }) {
  return JSON.stringify([about, domain, handle, words]);
}

/** The names of a product's options, in the order of its variants: ["Size", "Color"]. */
export function optionNames(variants) {
  return [...new Set(variants.flatMap((variant) => Object.keys(variant.options)))];
}

/** The values of one option, each once, in the order of the variants. */
export function optionValues(variants, name) {
  return [...new Set(variants.map((variant) => variant.options[name]).filter(Boolean))];
}

/** The variant that has this value, and otherwise as much as can be of what is chosen now. */
export function closestVariant(variants, chosen, name, value) {
  const having = variants.filter((variant) => variant.options[name] === value);
  const likeness = (variant) =>
    Object.entries(chosen).filter(([key, text]) => variant.options[key] === text).length +
    (variant.available ? 0.5 : 0);
  return having.sort((a, b) => likeness(b) - likeness(a))[0] ?? null;
}
