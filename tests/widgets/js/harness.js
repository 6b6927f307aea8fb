// What a front-end test needs: test(), equal(), ok(), a place in the page and a model.

const tests = [];

/** Declare a test; the line begins with it and a plain name, since pytest reads names from there. */
export function test(name, run) {
  tests.push({ name, run });
}

/** Fail unless both are the same, by value. */
export function equal(actual, expected, what = "") {
  const [found, wanted] = [actual, expected].map((value) => JSON.stringify(value, undefined, 1));
  if (found !== wanted) throw new Error(`${what} expected ${wanted}, got ${found}`);
}

/** Fail unless something holds. */
export function ok(value, what = "a true value") {
  if (!value) throw new Error(`expected ${what}, got ${value}`);
}

/** Wait for a condition and return its value; fail if it never holds. */
export async function until(condition, what = "the condition") {
  const limit = performance.now() + 20000;
  for (;;) {
    const value = condition();
    if (value) return value;
    if (performance.now() > limit) throw new Error(`${what} did not come`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** Make an empty element that is in the page; what the test before made is gone. */
export function stage() {
  const element = document.createElement("div");
  element.className = "firmly";
  document.body.replaceChildren(element);
  return element;
}

/** Make a model as anywidget gives one: state, listeners, and what was sent in `sent`. */
export function model(state = {}) {
  const listeners = {};
  const call = (name, ...args) => (listeners[name] ?? []).slice().forEach((f) => f(...args));
  return {
    sent: [],
    get: (name) => state[name],
    set(name, value) {
      state[name] = value;
      call(`change:${name}`);
    },
    save_changes: () => {},
    on: (name, f) => (listeners[name] ??= []).push(f),
    off(name, f) {
      listeners[name] = (listeners[name] ?? []).filter((g) => f && g !== f);
    },
    send(content) {
      this.sent.push(content);
    },
    /** As if the kernel had sent a custom message. */
    receive: (content, buffers = []) => call("msg:custom", content, buffers),
    /** As if the kernel had ended. */
    gone: () => call("comm_live_update"),
    listening: () => Object.values(listeners).flat().length,
  };
}

/** Run all; pytest calls it. Returns what went wrong by name, null where nothing did. */
export async function runAll() {
  const outcomes = {};
  for (const { name, run } of tests) {
    try {
      await run();
      outcomes[name] = null;
    } catch (error) {
      outcomes[name] = String(error.stack ?? error);
    }
  }
  return outcomes;
}
