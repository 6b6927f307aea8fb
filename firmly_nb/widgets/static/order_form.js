// The order form. It shows the draft that Python holds, sends what is typed, and decides
// nothing: what is wrong, and whether an order may go, is Python's to say.

import { h, keepShortcutsOut, ownName, printable, replace, whenReleased } from "./dom.js";
import { packed } from "./draft.js";
import { field, formOf, numberInput, secretField, section } from "./fields.js";
import { KERNEL_GONE_FORM, KERNEL_SILENT, LAB_CLOSED, sendToKernel } from "./kernel.js";
import { catalogueOf, itemsSection, merchantSection } from "./order_form_items.js";

const RUNS = ["running", "cancelling"];
const DOUBLE_CLICK_MS = 500;
const BUSY_AFTER_MS = 1500;
// An order that takes longer than this is spoken of once while it runs.
const LONG_MS = 10000;
const NAMES = {
  domain: "Merchant", items: "Items", shipping_info: "Ship to", billing_info: "Bill to",
  card: "Card", card_name: "Card", times: "Orders",
};

function render({ model, el }) {
  const form = formOf(model, {
    kind: "order-form",
    names: NAMES,
    isRunning: () => RUNS.includes(model.get("run").state),
  });
  form.catalogue = catalogueOf(model);
  form.on("change:run", form.kernel.look);
  const root = h("div", { class: "firmly order-form waiting", role: "group", "aria-label": ownName("Order form") });
  keepShortcutsOut(root);
  el.append(root);
  form.whenDrafted(root, () => {
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
  });
  return () => {
    form.catalogue.close();
    form.onClose?.();
    form.close();
  };
}

// The one button, why it cannot be pressed, and how the last order ended.

/** Make the lowest part of the form. */
export function placeSection(form) {
  const { model, draft, isRunning } = form;
  const state = { pressedAt: 0, becameCancelAt: 0, wasRunning: false, sentTurn: -1, slow: false };
  const why = h("div", { class: "why", id: `${form.id}-why` });
  const status = h("div", { class: "status" });
  const live = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const notice = h("div", { class: "notice bad", role: "alert", hidden: true });
  const button = h("button", {
    type: "button",
    class: "place primary",
    "aria-describedby": why.id,
    onclick: (event) => press(event),
    // A key that is held down must not place and cancel in turn.
    onkeydown: (event) => event.repeat && event.key === "Enter" && event.preventDefault(),
  });

  function press(event) {
    // Whoever presses again because nothing happened yet does not mean to cancel.
    const since = Date.now() - Math.max(state.pressedAt, state.becameCancelAt);
    if (event.detail > 1 || (isRunning() && since < DOUBLE_CLICK_MS)) return;
    state.pressedAt = Date.now();
    if (isRunning()) sendToKernel(model, { type: "cancel" });
    else if (reason()) showFirstProblem();
    else send();
  }

  function send() {
    const secrets = {};
    for (const one of form.cardSecrets()) secrets[one.name] = one.take();
    if (!form.captcha.isEmpty()) secrets.captcha_token = form.captcha.take().trim();
    state.sentTurn = model.get("turn");
    const { about, buffer } = draft.whole();
    // In buffers, because what logs messages does not log those.
    sendToKernel(model, { type: "place", turn: state.sentTurn, ...about }, [packed(secrets), buffer]);
    setTimeout(() => {
      state.slow = isSent();
      draw();
    }, BUSY_AFTER_MS);
    draw();
  }

  function showFirstProblem() {
    form.goToProblem(wrongSecret()?.input);
  }

  const isSent = () => state.sentTurn === model.get("turn") && !isRunning();

  function secretProblem(secret) {
    if (secret !== form.captcha) return secret.problem();
    return form.needsCaptcha() && secret.isEmpty() ? "this merchant asks for one" : "";
  }

  const wrongSecret = () => [...form.cardSecrets(), form.captcha].find((one) => secretProblem(one));

  /** Why no order can be placed now; nothing if one can. */
  function reason() {
    if (form.kernel.isGone()) return KERNEL_GONE_FORM;
    if (model.get("closed")) return LAB_CLOSED;
    if (isSent()) return state.slow ? "The kernel is busy; the order goes out when it is free." : "Sending …";
    if (form.problem()) return form.problem();
    const secret = wrongSecret();
    if (secret) return `${secret.label}: ${secretProblem(secret)}`;
    if (!form.captcha.isEmpty() && draft.get("times") > 1) {
      return "Orders: a captcha token is good for one order, so place 1.";
    }
    return form.checking();
  }

  const draw = () => whenReleased(drawNow);

  function drawNow() {
    const run = model.get("run");
    if (isRunning() && !state.wasRunning) state.becameCancelAt = Date.now();
    state.wasRunning = isRunning();
    const text = isRunning() ? "" : reason();
    why.textContent = text;
    button.textContent = buttonWords(run);
    button.classList.toggle("primary", !isRunning());
    const blocked = text !== "" || run.state === "cancelling";
    button.setAttribute("aria-disabled", String(blocked));
    notice.textContent = model.get("notice");
    notice.hidden = !model.get("notice");
    replace(status, statusParts(run));
  }

  function buttonWords(run) {
    if (isRunning() && run.state === "cancelling") return "Cancelling …";
    if (isRunning()) return run.of > 1 ? `Cancel (${run.number} of ${run.of})` : "Cancel";
    const times = draft.get("times");
    const again = model.get("result").outcome ? "again" : "";
    if (times > 1) return `Place ${times} ${again || "orders"}`;
    return again ? "Place again" : "Place order";
  }

  function statusParts(run) {
    if (form.kernel.isGone()) return gone("The kernel is gone.");
    if (form.kernel.isSilent()) return gone(KERNEL_SILENT);
    if (isRunning()) return [h("div", {}, runWords(run)), run.told ? h("div", { class: "told" }, run.told) : null];
    // What the last order came to is no longer what one waits for.
    if (isSent()) return h("div", {}, "The order is handed to the kernel.");
    const result = model.get("result");
    return result.outcome ? resultParts(result) : model.get("runs").length ? [] : emptyParts();
  }

  function emptyParts() {
    if (model.get("closed")) return h("div", { class: "headline" }, "✕ The lab of this form is closed.");
    const domain = draft.problems().domain ? "the merchant" : draft.get("merchant");
    return h(
      "div",
      { class: "quiet" },
      `The first press places one order at ${domain}: a cart is made, the items are added, shipping is chosen, the card is charged. Each event appears beside this form when it happens, with its time.`,
    );
  }

  /** What to do next; how a recorded order ended is said by the timeline, and in the list below. */
  function resultParts(result) {
    const looked = model.get("looked");
    return [
      result.headline ? h("div", { class: `headline ${result.tone}` }, h("span", { "aria-hidden": "true" }, result.mark), " ", h("bdi", {}, result.headline)) : null,
      result.facts?.length ? h("dl", {}, result.facts.map(([name, text]) => [h("dt", {}, name), h("dd", { dir: "auto", title: text }, text)])) : null,
      result.next ? h("div", { class: "next" }, `→ ${result.next}`) : null,
      result.unsure ? h("button", { type: "button", onclick: () => sendToKernel(model, { type: "look" }) }, result.asked ? "Look again" : "Look at the cart") : null,
      looked ? h("div", { class: "looked" }, looked) : null,
    ];
  }

  // Said to those who do not see it: once that an order takes long, and that none was sent.

  let patience = 0;
  let saidNumber = 0;

  function announceRun() {
    const { number } = model.get("run");
    if (!isRunning()) clearTimeout(patience);
    if (!isRunning() || number === saidNumber) {
      if (!isRunning()) saidNumber = 0;
      return;
    }
    saidNumber = number;
    clearTimeout(patience);
    patience = setTimeout(() => (live.textContent = runWords(model.get("run"))), LONG_MS);
  }

  function announceEnd() {
    const { outcome, headline, recording_id } = model.get("result");
    if (!outcome) return;
    clearTimeout(patience);
    // The timeline beside the form says how a recorded order ended; twice is once too often.
    live.textContent = recording_id ? "" : printable(headline);
  }

  form.on("change:run", announceRun);
  form.on("change:result", announceEnd);
  form.onClose = () => clearTimeout(patience);
  announceRun();
  for (const name of ["run", "result", "notice", "looked", "turn", "captcha", "closed"]) form.on(`change:${name}`, draw);
  form.redraw = form.secretsChanged = draw;
  state.wasRunning = isRunning();
  draw();
  return h("div", { class: "place-area" }, howRow(form, button), why, notice, status, runsList(form), live);
}

/** The last presses, newest first; one that has a recording is a button that shows it beside the form. */
function runsList(form) {
  const { model } = form;
  const list = h("ol", { "aria-label": "last runs" });
  const element = h("div", { class: "runs" }, h("div", { class: "quiet", "aria-hidden": "true" }, "Last runs"), list);
  function draw() {
    const runs = model.get("runs");
    element.hidden = !runs.length;
    replace(list, runs.map((run) => h("li", {}, runRow(form, run))));
  }
  form.on("change:runs", () => whenReleased(draw));
  draw();
  return element;
}

function runRow({ model }, run) {
  const ends = run.ends.map(([tone, mark, words], n) => [n ? ", " : "", h("span", { class: tone }, h("span", { "aria-hidden": "true" }, `${mark} `), words)]);
  const parts = [
    h("span", { class: "ends" }, ends, run.about ? [" ", h("bdi", {}, run.about)] : null),
    h("span", { class: "number" }, run.took),
    h("span", { class: "quiet" }, `${clock(run.at_ms)} · `, h("bdi", {}, run.how)),
  ];
  if (!run.recording_id) return h("div", { class: "run" }, parts);
  const show = () => sendToKernel(model, { type: "show", recording_id: run.recording_id });
  return h("button", { type: "button", class: "run", title: "Show it beside the form", onclick: show }, parts);
}

/** A time of day where the reader is: "14:03:22". */
function clock(at_ms) {
  return new Date(at_ms).toTimeString().slice(0, 8);
}

function gone(words) {
  return [
    h("div", { class: "headline bad" }, `✕ ${words}`),
    h("div", {}, "What was recorded is in the journal: ", h("code", {}, "fnb.load()"), " brings it back. Whether the last order went through, only the merchant knows."),
  ];
}

function runWords(run) {
  const which = run.of > 1 ? `Order ${run.number} of ${run.of}` : "The order is on its way";
  return run.doing ? `${which}: ${run.doing}` : which;
}

/** How it is placed: the button, how many, with events, over a warm connection. */
function howRow(form, button) {
  const { draft, model } = form;
  const tick = (name, label, title) => {
    const box = h("input", {
      type: "checkbox",
      checked: draft.get(name),
      onchange: () => draft.edit({ [name]: box.checked }),
    });
    draft.on(name, () => {
      box.checked = draft.get(name);
    });
    return h("label", { class: "tick", title }, box, label);
  };
  const read = (typed) => {
    const number = Math.trunc(Number(typed));
    return typed === "" || !Number.isSafeInteger(number) ? null : number;
  };
  const made = numberInput(form, "times", {
    id: `${form.id}-times`,
    max: model.get("facts").most_times,
    value: draft.get("times"),
    read,
    change: (times) => draft.edit({ times }),
  });
  draft.on("times", () => made.put(String(draft.get("times") ?? "")));
  const row = h(
    "div",
    { class: "how" },
    button,
    h(
      "span",
      { class: "amount" },
      h("label", { class: "tick", for: made.input.id, title: "One after another" }, "×", h("span", { class: "visually-hidden" }, "Number of orders")),
      made.input,
    ),
    tick("sse", "Events", "Ask for an event at each milestone (SSE); without, there is one response at the end"),
    tick("warm", "Warm", "Open the connection beforehand; a cold one is measured, too"),
  );
  return h("div", {}, row, made.message);
}

// Where it goes to, who pays, and with what.

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
  return printable([who, address.city].filter(Boolean).join(", ")) || "not filled in yet";
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
  const { cards, rules, marks } = model.get("facts");
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
    secret("number", "Card number", { maxlength: 32, double: true, taken: marks }),
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

export default { render };
