// Where it goes to, who pays, and with what.

import { h } from "./dom.js";
import { field, secretField, section } from "./order_form_fields.js";

const ADDRESS = [
  ["first_name", "First name"],
  ["last_name", "Last name"],
  ["address1", "Street", { wide: true }],
  ["address2", "Flat, floor", { optional: true }],
  ["company", "Company", { optional: true }],
  ["city", "City"],
  ["postal_code", "Postal code"],
  ["state_or_province", "State"],
  ["country", "Country", { maxlength: 60 }],
  ["email", "E-mail", { inputmode: "email" }],
  ["phone", "Phone", { inputmode: "tel" }],
];

/** An address: its fields, and in one line who and where. */
export function addressSection(form, name, path, title) {
  const { draft } = form;
  const fields = ADDRESS.map(([key, label, more]) => {
    const value = draft.get(name)[key];
    const change = (text) => draft.edit({ [name]: { ...draft.get(name), [key]: text } });
    return [key, field(form, { path: `${path}.${key}`, label, value, change, ...more })];
  });
  const body = h("div", { class: "fields" }, fields.map(([, one]) => one.element));
  const made = section(form, { title, prefixes: [path], body });
  function update() {
    const address = draft.get(name);
    for (const [key, one] of fields) one.put(address[key] ?? "");
    made.say(addressWords(address));
  }
  draft.on(name, update);
  update();
  return made.element;
}

/** Who and where, in one line. */
export function addressWords(address) {
  const who = [address.first_name, address.last_name].filter(Boolean).join(" ");
  return [who, address.city].filter(Boolean).join(", ") || "not filled in yet";
}

/** Who pays: as shipping, or an address of its own. */
export function billingSection(form) {
  const { draft } = form;
  const own = addressSection(form, "billing", "billing_info", "Bill to");
  const same = h("input", {
    type: "checkbox",
    id: `${form.id}-same-billing`,
    checked: draft.get("same_billing"),
    onchange: () => draft.edit({ same_billing: same.checked }),
  });
  const row = h(
    "div",
    { class: "row ticked" },
    h("div", { class: "row-title", "aria-hidden": "true" }, "Bill to"),
    h("label", { class: "tick" }, same, h("span", {}, h("span", { class: "visually-hidden" }, "Bill to: "), "same as shipping")),
  );
  function update() {
    same.checked = draft.get("same_billing");
    own.hidden = same.checked;
  }
  draft.on("same_billing", update);
  update();
  return h("div", {}, row, own);
}

/** The card: a test card by name, or one that is typed and leaves the page once. */
export function cardSection(form) {
  const { draft, model } = form;
  const { cards, rules } = model.get("facts");
  const known = [...cards, ["typed", "Type a card…"]];
  const select = h(
    "select",
    { id: `${form.id}-card`, onchange: () => draft.edit({ card_name: select.value }) },
    known.map(([name, label]) => h("option", { value: name }, label)),
  );
  const hint = h(
    "p",
    { class: "quiet hint wide", id: `${form.id}-card-hint` },
    "Number and CVV leave this page once, when you place, and are kept nowhere. Outside of the simulator only well-known test cards are taken.",
  );
  const secret = (name, label, more) =>
    secretField(form, { name, label, rule: rules[name], inputmode: "numeric", describe: hint.id, ...more });
  const secrets = [
    secret("number", "Card number", { maxlength: 32, double: true }),
    secret("verification_value", "CVV", { maxlength: 6 }),
  ];
  const plain = [
    ["month", "Month (two digits)"],
    ["year", "Year (four digits)"],
    ["name", "Name on the card", { wide: true }],
  ].map(([key, label, more]) => {
    const change = (text) => draft.edit({ card: { ...draft.get("card"), [key]: text } });
    return [key, field(form, { path: `card.${key}`, label, value: draft.get("card")[key], change, ...more })];
  });
  const typed = h(
    "div",
    { class: "fields indented", role: "group", "aria-label": "Typed card" },
    secrets.map((one) => one.element),
    plain.map(([, one]) => one.element),
    hint,
  );
  function update() {
    select.value = draft.get("card_name");
    typed.hidden = draft.get("card_name") !== "typed";
    for (const [key, one] of plain) one.put(draft.get("card")[key] ?? "");
  }
  form.cardSecrets = () => (draft.get("card_name") === "typed" ? secrets : []);
  draft.on("card_name", update);
  draft.on("card", update);
  update();
  return h(
    "div",
    {},
    h("div", { class: "row" }, h("label", { class: "row-title", for: select.id }, "Card"), h("div", {}, select)),
    typed,
  );
}

/** The captcha token: asked for where the merchant asks for one, possible everywhere. */
export function captchaSection(form) {
  const { draft, model } = form;
  const token = secretField(form, { name: "captcha_token", label: "Captcha token", maxlength: 4096 });
  const hint = h(
    "p",
    { class: "quiet hint wide" },
    "A token is good for one order. It leaves this page once, when you place, and is kept nowhere.",
  );
  const body = h("div", { class: "fields" }, token.element, hint);
  token.element.classList.add("wide");
  const made = section(form, { title: "Captcha", prefixes: [], body });
  form.captcha = token;
  form.needsCaptcha = () => model.get("captcha").includes(draft.get("merchant"));
  function update() {
    const needed = form.needsCaptcha();
    made.say(needed ? "this merchant asks for a token" : "not asked for here so far");
    if (needed) made.details.open = true;
  }
  form.on("change:captcha", update);
  draft.on("merchant", update);
  update();
  return made.element;
}
