// A text field with a list below it, after the ARIA pattern for comboboxes: the list helps, and any
// text can be typed.

import { h, replace } from "./dom.js";

const MOST_SHOWN = 60;

/**
 * Make one. `choices` are [{ value, text, note }]; `type` is called as one types, `pick` with the
 * choice that was taken, `commit` when the field is left or Enter is pressed without a choice.
 */
export function combobox({ id, label, placeholder, value, type, pick, commit }) {
  let choices = [];
  let active = -1;
  let typed = false;
  let awaited = false; // opened before there was anything to choose from
  const list = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": label, hidden: true });
  const input = h("input", {
    id,
    type: "text",
    role: "combobox",
    dir: "auto",
    "aria-label": label,
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": list.id,
    autocomplete: "off",
    spellcheck: "false",
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
      if (typed) commit(input.value);
      typed = false;
    },
  });

  function shown() {
    const words = typed ? input.value.toLowerCase().split(/\s+/) : [];
    const fits = (choice) => words.every((word) => `${choice.text} ${choice.note}`.toLowerCase().includes(word));
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
        title: choice.text,
        onmousedown: (event) => {
          event.preventDefault();
          take(choice);
        },
      },
      h("bdi", {}, choice.text),
      choice.note ? h("bdi", { class: "quiet" }, choice.note) : null,
    );
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

  return {
    input,
    element: h("div", { class: "combobox" }, input, list),
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
