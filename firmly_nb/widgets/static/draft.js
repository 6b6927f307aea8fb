// What stands in the form. The kernel holds it; each view of the form has a copy: it asks for it
// when it is drawn, sends what is typed, and follows what Python or another view changes.
//
// It is never in the model, since a model's state is saved with the notebook, and it travels in
// the buffers of messages, since logs of messages leave those out.

import { whenReleased } from "./dom.js";
import { listen, sendToKernel } from "./kernel.js";

// Messages can be lost (in a page that was just loaded) and overtake each other (in a kernel that
// takes them on several threads). An edit carries the whole field, an answer says which fields it
// answers and which state it tells; what has no answer is sent again, each time after a longer wait.
const REPEATED_AFTER_MS = 2000;
const REPEATED_AT_MOST_AFTER_MS = 60000;

/** Make a view's copy. */
export function draftOf(model) {
  const view = Math.random().toString(36).slice(2, 12);
  const unanswered = new Map(); // by field: the number of its last edit that has no answer yet
  const listeners = [];
  let values = null;
  let told = {}; // what the kernel said last, and as which state
  let revision = -1;
  let problems = {};
  let about = {};
  let number = 0;
  let patience_ms = REPEATED_AFTER_MS;
  let timer = 0;

  /** Send once more what has no answer: to do so twice changes nothing. */
  function repeat() {
    patience_ms = Math.min(2 * patience_ms, REPEATED_AT_MOST_AFTER_MS);
    const edited = Object.fromEntries([...unanswered.keys()].map((name) => [name, values[name]]));
    if (values === null) send("draft");
    else send("edit", [packed(edited)]);
  }

  function send(type, buffers = []) {
    clearTimeout(timer);
    timer = setTimeout(repeat, patience_ms);
    return sendToKernel(model, { type, view, number }, buffers);
  }

  function tell(names, isOwn) {
    for (const [name, call] of [...listeners]) if (name === null || names.includes(name)) call(isOwn);
  }

  function take(content, buffers) {
    if (content?.type !== "draft") return;
    patience_ms = REPEATED_AFTER_MS;
    if (content.view === view) {
      for (const name of content.fields) if (unanswered.get(name) <= content.number) unanswered.delete(name);
    }
    if (unanswered.size === 0) clearTimeout(timer);
    if (content.revision > revision) {
      ({ revision, problems, about = {} } = content);
      told = unpacked(buffers[0]);
    }
    // What was typed since is on its way, and its own answer follows.
    const names = Object.keys(told).filter((name) => !unanswered.has(name) && !isSame(values?.[name], told[name]));
    values = { ...values, ...Object.fromEntries(names.map((name) => [name, told[name]])) };
    tell(names, false);
  }

  const stop = listen(model, { "msg:custom": (...answer) => whenReleased(() => take(...answer)) });
  return {
    isThere: () => values !== null,
    get: (name) => values[name],
    problems: () => problems,
    /** What the kernel says about the draft, by name. */
    about: () => about,
    isChecked: () => unanswered.size === 0,
    /** Ask for it; false if there is no kernel. */
    ask: () => send("draft"),
    /** Change fields here and in the kernel. It is sent at once, so that a reload loses nothing. */
    edit(changes) {
      number += 1;
      values = { ...values, ...changes };
      for (const name of Object.keys(changes)) unanswered.set(name, number);
      send("edit", [packed(changes)]);
      tell(Object.keys(changes), true);
    },
    /** What goes with a press: all as it is seen here. */
    whole: () => ({ about: { view, number }, buffer: packed(values) }),
    /** Call something when a field changes, or with null at every change and answer. */
    on: (name, call) => listeners.push([name, call]),
    close() {
      clearTimeout(timer);
      stop();
    },
  };
}

/** Write JSON into a buffer. */
export function packed(value) {
  return new TextEncoder().encode(JSON.stringify(value)).buffer;
}

function unpacked(buffer) {
  return JSON.parse(new TextDecoder().decode(buffer));
}

function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
