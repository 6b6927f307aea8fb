// What forms are made of: the form that holds them together, fields with what is wrong beside them,
// parts that can be closed, and a text field with a list.

import { afterFocus, h, printable, replace, whenReleased } from "./dom.js";
import { draftOf } from "./draft.js";
import { KERNEL_GONE_FORM, listen, NO_ANSWER, watchKernel } from "./kernel.js";

const ANSWER_DUE_MS = 1500;
const BUSY = " The kernel is busy; it answers when it is free.";
const MOST_SHOWN = 60;

/**
 * Make what the parts of a form share: its draft, its fields by path, its kernel. `names` says how
 * the part of a path is called, `isRunning` whether something is on its way; `form.redraw` is
 * called whenever what the form says may differ.
 */
export function formOf(model, { kind, names, isRunning, attempted = false }) {
  const stops = [];
  const draft = draftOf(model);
  let isLate = false;
  let timer = 0;
  const form = {
    model,
    draft,
    attempted,
    id: `${kind}-${Math.random().toString(36).slice(2, 10)}`,
    fields: new Map(),
    sections: [],
    isRunning: () => !form.kernel.isGone() && isRunning(),
    redraw: () => {},
    on: (name, call) => stops.push(listen(model, { [name]: () => whenReleased(call) })),
    /** Draw once the draft is there: a kernel that computes sends it when it is free. */
    whenDrafted(place, draw) {
      const said = h("p", { class: "quiet" }, "Asking the kernel for the form …");
      replace(place, said);
      let isDrawn = false;
      draft.on(null, () => {
        if (!isDrawn) draw();
        isDrawn = true;
        form.showProblems();
        watchChecks();
        form.redraw();
      });
      const gone = () => (said.textContent = KERNEL_GONE_FORM);
      form.on("comm_live_update", gone);
      wait(() => (said.textContent = `${NO_ANSWER} The form comes when it answers; if it has stopped, run the cell again.`));
      if (!draft.ask()) gone();
    },
    showProblems() {
      const problems = draft.problems();
      for (const [path, one] of form.fields) one.show(problems[path] ?? "", form.attempted);
      const wrong = form.sections.filter((section) => section.isWrong(Object.keys(problems)));
      // One that is open already shows what to do; otherwise the first wrong one opens.
      if (wrong.length && !wrong.some((section) => section.isOpen())) wrong[0].open();
    },
    /** What is wrong in the draft, in a line; nothing if all is right. */
    problem: () => problemWords(Object.entries(draft.problems()), names),
    /** That the kernel has not seen all that was typed; nothing once it has. */
    checking: () => (draft.isChecked() ? "" : `Being checked …${isLate ? BUSY : ""}`),
    /** Show everything that is wrong, and go to the first, or to an input that is given. */
    goToProblem(other = null) {
      form.attempted = true;
      form.showProblems();
      const path = Object.keys(draft.problems()).find((one) => form.fields.has(one));
      const target = path ? form.fields.get(path).input : other;
      target?.closest("details")?.setAttribute("open", "");
      target?.focus();
    },
    close() {
      clearTimeout(timer);
      for (const stop of stops) stop();
      form.kernel.close();
      draft.close();
    },
  };

  function wait(call) {
    clearTimeout(timer);
    timer = setTimeout(() => whenReleased(call), ANSWER_DUE_MS);
  }

  /** A kernel that computes something else does not answer; say so if it takes long. */
  function watchChecks() {
    clearTimeout(timer);
    isLate = false;
    if (draft.isChecked()) return;
    wait(() => {
      isLate = !draft.isChecked();
      form.redraw();
    });
  }

  form.kernel = watchKernel(model, { isDue: isRunning, tell: () => whenReleased(() => form.redraw()) });
  return form;
}

/** The first thing that is wrong, and how many more there are. */
export function problemWords(found, names) {
  if (!found.length) return "";
  const [path, text] = found[0];
  const part = path.split(/[.[]/)[0];
  const last = path.match(/\.([a-z0-9_]+)$/)?.[1];
  const name = [names[part] ?? part, last?.replaceAll("_", " ")].filter(Boolean).join(", ");
  return `${name}: ${text}${found.length > 1 ? ` (and ${found.length - 1} more)` : ""}`;
}

/** An input of a line of text, or of what its attributes say; browsers offer and correct nothing. */
export function textInput(attributes) {
  return h("input", { type: "text", dir: "auto", autocomplete: "off", spellcheck: "false", ...attributes });
}

/** A whole number of the draft, from 1; what is no number yet is null there. */
export function numberInput(form, path, { value, read, change, ...attributes }) {
  const input = textInput({
    class: "number quantity", type: "number", dir: null, min: 1, step: 1, inputmode: "numeric", value: String(value ?? ""),
    oninput: () => change(read(input.value)),
    ...attributes,
  });
  return withMessage(form, path, input, { read: (typed) => String(read(typed) ?? "") });
}

/** A field of the draft: it is sent as it is typed, or chosen, and shows what Python says of it. */
export function field(form, { path, label, value, change, wide, optional, hint, choices, ...attributes }) {
  const id = `${form.id}-${path}`;
  const changed = () => change(input.value);
  const input = choices
    ? h("select", { id, onchange: changed }, choices.map(([one, words]) => h("option", { value: one }, words)))
    : textInput({ id, value: value ?? "", oninput: changed, ...attributes });
  if (choices) input.value = value;
  const note = hint ? h("div", { class: "hint quiet", id: `${id}-hint` }, hint) : null;
  const made = withMessage(form, path, input, { note });
  const more = optional ? h("span", { class: "quiet" }, " (optional)") : null;
  const classes = wide ? "field wide" : "field";
  made.element = h("div", { class: classes }, h("label", { for: input.id }, label, more), input, note, made.message);
  return made;
}

/**
 * Tie an input to the message beside it, and enter it as the field of a path. `read` says what the
 * draft makes of a text that is typed, so that "01" is not typed anew as "1"; `note` says how to
 * write it while nothing is wrong.
 */
export function withMessage(form, path, input, { read = (text) => text, note = null } = {}) {
  const message = messageLine(input);
  let touched = false;
  let known = read(input.value);
  const made = {
    input,
    message,
    /** Show what is wrong; an empty field that nobody was in yet is left in peace. */
    show(text, attempted) {
      const shown = text && (input.value || touched || attempted) ? text : "";
      message.textContent = shown;
      message.hidden = !shown;
      if (input.tagName !== "BUTTON") input.setAttribute("aria-invalid", String(Boolean(shown)));
      if (note) note.hidden = Boolean(shown);
      const described = shown ? message.id : note?.id;
      if (described) input.setAttribute("aria-describedby", described);
      else input.removeAttribute("aria-describedby");
    },
    /** Show the draft's value, where it is another one than what is typed here means. */
    put(value) {
      if (value === known) return;
      known = value;
      input.value = value;
    },
  };
  // Before the field's own listener, which changes the draft.
  for (const kind of ["input", "change"]) input.addEventListener(kind, () => (known = read(input.value)), { capture: true });
  input.addEventListener("blur", () => {
    touched = true;
    whenReleased(() => form.showProblems());
  });
  form.fields.set(path, made);
  return made;
}

/** A number by which a well-known test card is known again, as form_page.py makes it. */
export function markOf(digits) {
  return [...digits].reduce((mark, digit) => (mark * 31 + Number(digit)) % (2 ** 31 - 1), 0);
}

/** The line that says what is wrong with an input; its room is kept while there is nothing to say. */
function messageLine(input) {
  return h("div", { class: "message", id: `${input.id}-message`, hidden: true });
}

/** A field whose text never leaves the page but once, and is kept nowhere. */
export function secretField(form, { name, label, rule, taken, describe, double, ...attributes }) {
  const input = textInput({
    id: `${form.id}-secret-${name}`,
    dir: null,
    autocapitalize: "off",
    autocorrect: "off",
    "data-lpignore": "true",
    "data-1p-ignore": "true",
    oninput: () => form.secretsChanged(),
    ...attributes,
  });
  const message = messageLine(input);
  let touched = false;
  const pattern = rule ? new RegExp(`^(?:${rule[0]})$`) : null;
  const made = {
    name,
    label,
    input,
    /** What is wrong, in the model's words; the text itself is never looked at elsewhere. */
    problem() {
      const typed = input.value.replace(/[\s-]/g, "");
      if (typed === "") return "must be typed; it was kept nowhere";
      if (pattern && !pattern.test(typed)) return rule[1];
      return taken && !taken.includes(markOf(typed)) ? "not a well-known test card; only the simulator takes others." : "";
    },
    isEmpty: () => input.value.trim() === "",
    take() {
      const text = input.value;
      input.value = "";
      touched = false;
      show();
      return text;
    },
  };

  /** Say beside it what is wrong, as it is typed; of an empty one, once somebody was in it. */
  function show() {
    const isDue = pattern && (touched || !made.isEmpty());
    const text = isDue ? made.problem() : "";
    message.textContent = text;
    message.hidden = !text;
    input.setAttribute("aria-invalid", String(Boolean(text)));
  }

  input.addEventListener("input", show);
  input.addEventListener("blur", () => {
    touched = true;
    whenReleased(show);
  });
  input.setAttribute("aria-describedby", `${message.id}${describe ? ` ${describe}` : ""}`);
  made.element = h("div", { class: double ? "field double" : "field" }, h("label", { for: input.id }, label), input, message);
  return made;
}

/** A part that can be closed, with one line that says enough while it is. */
export function section(form, { title, prefixes, body, names }) {
  const text = h("span", { class: "summary-text", dir: "auto" });
  const edit = h("span", { class: "summary-edit", "aria-hidden": "true" }, "edit");
  const details = h(
    "details",
    { class: "section" },
    h("summary", {}, h("span", { class: "section-title" }, title), text, edit),
    h("div", { class: "section-body", role: "group", "aria-label": title }, body),
  );
  details.addEventListener("toggle", () => {
    edit.textContent = details.open ? "close" : "edit";
  });
  form.sections.push({
    isWrong: (paths) => paths.some((path) => prefixes.some((prefix) => path.startsWith(prefix))),
    isOpen: () => details.open,
    open: () => {
      details.open = true;
    },
  });
  return {
    element: details,
    details,
    names,
    say(words) {
      text.textContent = text.title = printable(words);
    },
  };
}

/**
 * Make a text field with a list below it, after the ARIA pattern for comboboxes: the list helps,
 * and any text can be typed. `choices` are [{ value, id, text }], and a `message` stands between field and list; `type` is called as
 * one types, `pick` with the choice that was taken, `commit` when the field is left or Enter is pressed without a choice.
 */
export function combobox({ id, label, placeholder, value, type, pick, commit }) {
  let choices = [];
  let active = -1;
  let typed = false;
  let awaited = false; // opened before there was anything to choose from
  const list = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": label, hidden: true });
  const input = textInput({
    id,
    role: "combobox",
    "aria-label": label,
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": list.id,
    placeholder,
    value,
    oninput: () => {
      typed = true;
      type(input.value);
      open();
    },
    onclick: () => (list.hidden ? open() : close()),
    onkeydown: onKey,
    onblur: () => {
      close();
      const text = input.value;
      // Later, when the focus is where it is going.
      if (typed) afterFocus(() => commit(text));
      typed = false;
    },
  });

  function shown() {
    const words = typed ? input.value.toLowerCase().split(/\s+/) : [];
    const fits = (choice) => words.every((word) => `${choice.id} ${choice.text}`.toLowerCase().includes(word));
    return choices.filter((choice) => choice.always || fits(choice)).slice(0, MOST_SHOWN);
  }

  function open() {
    const found = shown();
    active = -1;
    replace(list, found.map((choice, index) => option(choice, index)));
    setOpen(found.length > 0);
    awaited = found.length === 0;
  }

  function close() {
    setOpen(false);
    awaited = false;
  }

  function setOpen(isOpen) {
    list.hidden = !isOpen;
    input.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) input.removeAttribute("aria-activedescendant");
  }

  function option(choice, index) {
    return h(
      "li",
      {
        id: `${id}-${index}`,
        role: "option",
        "aria-selected": "false",
        title: words(choice).join(" "),
        onmousedown: (event) => {
          event.preventDefault();
          take(choice);
        },
      },
      words(choice).map((text, n) => h("bdi", { class: n ? "more quiet" : "id" }, text)),
    );
  }

  /** What a choice is known by, then how it is called. */
  function words({ id, text }) {
    return [...new Set([id, text].filter(Boolean).map(printable))];
  }

  function take(choice) {
    typed = false;
    input.value = choice.text;
    close();
    pick(choice);
  }

  function move(step) {
    if (list.hidden) open();
    const options = list.children;
    if (options.length === 0) return;
    options[active]?.setAttribute("aria-selected", "false");
    active = (active + step + options.length) % options.length;
    const now = options[active];
    now.setAttribute("aria-selected", "true");
    now.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", now.id);
  }

  function onKey(event) {
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Escape" && !list.hidden) close();
    else if (event.key === "Enter") {
      const choice = list.hidden ? null : shown()[active === -1 ? 0 : active];
      if (choice && (active !== -1 || typed)) take(choice);
      else if (typed) commit(input.value);
      if (!choice) typed = false;
    } else return;
    event.preventDefault();
  }

  const element = h("div", { class: "combobox" }, input, list);
  return {
    input,
    element,
    /** Put a message below the field; the list opens below both. */
    say: (message) => element.insertBefore(message, list),
    offer(found) {
      choices = found;
      if (!list.hidden || ((typed || awaited) && document.activeElement === input)) open();
    },
    /** Show a name, unless someone is typing here. */
    put(text) {
      if (document.activeElement !== input || !typed) input.value = text;
    },
    /** Show a value, whatever was typed here. */
    set(text) {
      typed = false;
      input.value = text;
    },
  };
}
