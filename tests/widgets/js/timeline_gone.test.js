import timeline from "/static/timeline.js";
import { equal, model, ok, stage, test, until } from "./harness.js";

const NAMES = ["creating-cart", "item-added"];

function running() {
  const stages = NAMES.map((name, n) => ({ stage: name, milestone: name, seq: n ? null : 1, start_ms: n ? null : 0, end_ms: n ? null : 100, duration_ms: n ? null : 100, uncertainty_us: 40, look: n + 1, is_across: false }));
  const event = { seq: 1, event: NAMES[0], t_ms: 100, uncertainty_us: 20, clock: "kernel", coalesced: false, bytes: 800, rtt_us: 40, retransmits: 0, reordered: 0 };
  return { recording_id: "r1", number: 1, domain: "shop.example", environment: "simulator", started_at_ms: Date.now(), events: [event], event_count: 1, stages, end: null };
}

function show() {
  const made = model({ _orders: [], _recent: [], _live: [], _first: 1, _left_out: 0, _looks: { tiles: [], across: "", placed: {} }, align: "start", details: true, selected: null, compared: null, only: null, brush: null, _picked: null });
  const el = stage();
  const leave = timeline.render({ model: made, el });
  made.receive({ kind: "order", order: running() });
  return { made, el, leave };
}

const clock = window.setTimeout.bind(window); // some tests shorten the timers of what they test
const wait = (ms) => new Promise((done) => clock(done, ms));
const total = (el) => el.querySelector(".timeline .order").textContent;

test("with the kernel gone the time of a running order stands still, and it is said", async () => {
  const { made, el, leave } = show();
  await until(() => total(el).includes("under way"));
  const before = total(el);
  await until(() => total(el) !== before, "a later time");
  made.gone();
  ok(el.querySelector("[role=status].warn").checkVisibility());
  ok(el.querySelector("[role=status].warn").textContent.startsWith("The kernel is gone"));
  const stopped = total(el);
  await wait(60);
  equal(total(el), stopped);
  leave();
  equal(made.listening(), 0);
});

test("an event that is picked when the kernel is gone says so in place of its JSON", async () => {
  const { made, el, leave } = show();
  await until(() => total(el).includes("under way"));
  made.send = () => {
    throw new Error("Cannot send");
  };
  made.gone();
  made.set("selected", { recording_id: "r1", seq: 1 });
  await until(() => el.querySelector(".json-said")?.textContent.startsWith("The kernel is gone"));
  leave();
});

test("a kernel that is silent in the middle of an order stops its time, and a beat lets it go on", async () => {
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 100);
  try {
    const { made, el, leave } = show();
    const said = el.querySelector("[role=status].warn");
    await until(() => said.textContent.startsWith("There is no word from the kernel"));
    ok(said.checkVisibility());
    const stopped = total(el);
    await wait(60);
    equal(total(el), stopped);
    made.receive({ type: "beat" });
    equal(said.checkVisibility(), false);
    await until(() => total(el) !== stopped, "a later time");
    leave();
  } finally {
    window.setTimeout = real;
  }
});

test("where nothing is under way no word is waited for", async () => {
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 100);
  try {
    const { made, el, leave } = show();
    made.receive({ kind: "order", order: { ...running(), end: { outcome: "placed", word: "placed", mark: "✓", tone: "good", t_ms: 400, order_number: "7", warnings: [], comments_ms: [], verdict: "Placed." } } });
    await wait(120);
    equal(el.querySelector("[role=status].warn").checkVisibility(), false);
    leave();
  } finally {
    window.setTimeout = real;
  }
});
