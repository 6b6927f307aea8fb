// The one button, why it cannot be pressed, and how the last order ended.

import { h, replace } from "./dom.js";
import { KERNEL_SILENT, sendToKernel } from "./kernel.js";
import { packed } from "./order_form_draft.js";
import { withMessage } from "./order_form_fields.js";

const DOUBLE_CLICK_MS = 500;
const BUSY_AFTER_MS = 1500;
const BUSY = " The kernel is busy; it answers when it is free.";
const NAMES = {
  domain: "Merchant", items: "Items", shipping_info: "Ship to", billing_info: "Bill to",
  card: "Card", card_name: "Card", times: "Orders",
};

/** Make the lowest part of the form. */
export function placeSection(form) {
  const { model, draft, isRunning } = form;
  const state = { pressedAt: 0, becameCancelAt: 0, wasRunning: false, sentTurn: -1, slow: false, busy: false, checkTimer: null };
  const why = h("div", { class: "why", id: `${form.id}-why` });
  const status = h("div", { class: "status", role: "status", "aria-live": "polite" });
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
    form.attempted = true;
    form.showProblems();
    const path = Object.keys(draft.problems()).find((one) => form.fields.has(one));
    const secret = [...form.cardSecrets(), form.captcha].find((one) => secretProblem(one));
    const target = (path ? form.fields.get(path).input : secret?.input) ?? null;
    target?.closest("details")?.setAttribute("open", "");
    target?.focus();
  }

  const isSent = () => state.sentTurn === model.get("turn") && !isRunning();

  function secretProblem(secret) {
    if (secret !== form.captcha) return secret.problem();
    return form.needsCaptcha() && secret.isEmpty() ? "this merchant asks for one" : "";
  }

  /** Why no order can be placed now; nothing if one can. */
  function reason() {
    if (form.kernel.isGone()) return "The kernel is gone. Run the cell again for a new form.";
    if (isSent()) return state.slow ? "The kernel is busy; the order goes out when it is free." : "Sending …";
    const found = Object.entries(draft.problems());
    if (found.length) return problemWords(found);
    const secret = [...form.cardSecrets(), form.captcha].find((one) => secretProblem(one));
    if (secret) return `${secret.label}: ${secretProblem(secret)}`;
    if (!form.captcha.isEmpty() && draft.get("times") > 1) {
      return "Orders: a captcha token is good for one order, so place 1.";
    }
    return draft.isChecked() ? "" : `Being checked …${state.busy ? BUSY : ""}`;
  }

  /** A kernel that computes something else does not answer; say so if it takes long. */
  function watchChecks() {
    clearTimeout(state.checkTimer);
    state.busy = false;
    if (draft.isChecked()) return;
    state.checkTimer = setTimeout(() => {
      state.busy = !draft.isChecked();
      draw();
    }, BUSY_AFTER_MS);
  }

  function draw() {
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
    const told = run.told ? h("div", { class: "told" }, run.told) : null;
    if (isRunning()) return [h("div", {}, runWords(run)), told];
    // What the last order came to is no longer what one waits for.
    if (isSent()) return h("div", {}, "The order is handed to the kernel.");
    const result = model.get("result");
    return [result.outcome ? resultParts(result) : emptyParts(), told];
  }

  function emptyParts() {
    const domain = draft.problems().domain ? "the merchant" : draft.get("merchant");
    return h(
      "div",
      { class: "quiet" },
      `The first press places one order at ${domain}: a cart is made, the items are added, shipping is chosen, the card is charged. Each step appears beside this form when it happens, with its time.`,
    );
  }

  function resultParts(result) {
    const looked = model.get("looked");
    return [
      h("div", { class: `headline ${result.tone}` }, h("span", { "aria-hidden": "true" }, result.mark), " ", h("bdi", {}, result.headline)),
      result.facts.length ? h("dl", {}, result.facts.map(([name, text]) => [h("dt", {}, name), h("dd", { dir: "auto", title: text }, text)])) : null,
      result.next ? h("div", { class: "next" }, `→ ${result.next}`) : null,
      result.warnings.map((text) => h("div", { class: "warn" }, `! ${text}`)),
      result.unsure ? h("button", { type: "button", onclick: () => sendToKernel(model, { type: "look" }) }, "Look at the cart") : null,
      looked ? h("div", { class: "looked" }, looked) : null,
    ];
  }

  function watch() {
    for (const name of ["run", "result", "notice", "looked", "turn", "captcha"]) form.on(`change:${name}`, draw);
    draft.on(null, () => {
      watchChecks();
      draw();
    });
    form.kernelChanged = draw;
  }

  form.secretsChanged = draw;
  state.wasRunning = isRunning();
  watch();
  draw();
  return h("div", { class: "place-area" }, howRow(form, button), why, notice, status);
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

/** The first thing that is wrong, and how many more there are. */
export function problemWords(found) {
  const [path, text] = found[0];
  const part = path.split(/[.[]/)[0];
  const last = path.match(/\.([a-z0-9_]+)$/)?.[1];
  const name = [NAMES[part] ?? part, last?.replaceAll("_", " ")].filter(Boolean).join(", ");
  const more = found.length > 1 ? ` (and ${found.length - 1} more)` : "";
  return `${name}: ${text}${more}`;
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
  const times = h("input", {
    id: `${form.id}-times`,
    class: "number quantity",
    type: "number",
    min: 1,
    max: model.get("facts").most_times,
    step: 1,
    inputmode: "numeric",
    autocomplete: "off",
    value: String(draft.get("times") ?? ""),
    oninput: () => draft.edit({ times: read(times.value) }),
  });
  const made = withMessage(form, "times", times, (typed) => String(read(typed) ?? ""));
  draft.on("times", () => made.put(String(draft.get("times") ?? "")));
  const row = h(
    "div",
    { class: "how" },
    button,
    h("label", { class: "tick", for: times.id, title: "One after another" }, "×", h("span", { class: "visually-hidden" }, "Number of orders")),
    times,
    tick("sse", "Events", "Ask for an event at each step (SSE); without, there is one answer at the end"),
    tick("warm", "Warm", "Open the connection beforehand; a cold one is measured, too"),
  );
  return h("div", {}, row, made.message);
}
