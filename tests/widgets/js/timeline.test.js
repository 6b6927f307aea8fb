import timeline from "/static/timeline.js";
import { equal, model, ok, stage, test, until } from "./harness.js";

const NAMES = ["creating-cart", "item-added", "shipping-updated", "order-placed"];
const HOSTILE = '<script>window.hacked = true</script><img src=x onerror="window.hacked = true">\u202eevil\u{1f9e8}' + "x".repeat(300);

function stages(times) {
  return NAMES.map((name, index) => {
    const end_ms = times[index] ?? null;
    const start_ms = end_ms === null ? null : (times[index - 1] ?? 0);
    return { stage: name, milestone: name, seq: end_ms === null ? null : index + 1, start_ms, end_ms, duration_ms: end_ms === null ? null : end_ms - start_ms, uncertainty_us: 40, look: index + 1, is_across: false };
  });
}

function event(seq, t_ms, changes = {}) {
  return { seq, event: NAMES[seq - 1] ?? "extra", t_ms, uncertainty_us: 20, clock: "kernel", coalesced: false, bytes: 800, rtt_us: 40, retransmits: 0, reordered: 0, ...changes };
}

function end(changes = {}) {
  return { outcome: "placed", word: "placed", mark: "✓", tone: "good", t_ms: 410, order_number: "1004", verdict: "Placed: order 1004.", comments_ms: [], warnings: [], ...changes };
}

function order(number, times, changes = {}) {
  return { recording_id: `r${number}`, number, domain: "shop.example", environment: "simulator", started_at_ms: Date.now(), events: times.map((t, n) => event(n + 1, t)), events_left_out: 0, stages: stages(times), end: null, ...changes };
}

const LOOKS = { tiles: ["", "M0 6L6 0", "M3 3v1", "M0 0L6 6"], across: "M3 0V6", placed: { outcome: "placed", word: "geliefert", mark: "!" } };
const WHOLE = [100, 200, 300, 400];

function show(state = {}) {
  const made = model({ _orders: [], _recent: [], _live: [], _first: 1, _left_out: 0, _looks: LOOKS, align: "start", details: true, expecting: false, selected: null, compared: null, ...state });
  const el = stage();
  const leave = timeline.render({ model: made, el });
  return { model: made, el, leave, find: (what) => el.querySelector(what), all: (what) => [...el.querySelectorAll(what)] };
}

/** What messages bring is drawn with the next frame. */
function drawn() {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

function rows(page) {
  return page.all(".stage-row").map((row) => row.querySelector(".number").textContent);
}

test("without an order there is an example that cannot be used, and what to do", () => {
  const page = show();
  ok(page.find(".example").textContent.includes("Place an order to see yours."));
  equal(page.find(".example .order").inert, true);
  equal(page.find(".timeline > .order").hidden, true);
  page.leave();
});

test("each event is drawn when its message comes, and the state that follows changes nothing", async () => {
  const page = show();
  page.model.receive({ kind: "order", order: order(1, []) });
  await drawn();
  equal(page.find(".example"), null);
  equal(page.all(".stage-row.not-reached").length, 3);
  const row = page.find(".stage-row");
  page.model.receive({ kind: "event", recording_id: "r1", event: event(1, 100), stages: stages([100]), arrived_at_ms: Date.now() });
  await drawn();
  equal(page.find(".stage-row"), row);
  equal(rows(page)[0], "100");
  equal(page.all(".tick").length, 1);
  page.model.set("_live", [order(1, [100])]);
  await drawn();
  equal(page.all(".tick").length, 1);
  page.model.receive({ kind: "order", order: order(1, WHOLE, { end: end() }) });
  await drawn();
  equal(rows(page), ["100", "100", "100", "100"]);
  equal(page.find(".head .word").textContent, "✓ placed");
  equal(page.find("[role=status].visually-hidden").textContent, "Placed: order 1004.");
  page.leave();
});

test("the stage in progress grows and counts without a message", async () => {
  const page = show();
  page.model.receive({ kind: "order", order: order(1, []) });
  page.model.receive({ kind: "event", recording_id: "r1", event: event(1, 5), stages: stages([5]), arrived_at_ms: Date.now() });
  await drawn();
  const width = () => parseFloat(page.find(".stage-row.in-progress .bar.running").getAttribute("width"));
  const count = () => Number(page.find(".stage-row.in-progress .number").textContent);
  const [wide, long] = [width(), count()];
  await until(() => width() > wide + 1, "a wider bar");
  await until(() => count() > long + 20, "a higher count");
  page.leave();
});

test("the axis grows by itself when an order takes longer, and never shrinks while it runs", async () => {
  const page = show({ _live: [order(1, [5], { started_at_ms: Date.now() - 90 })] });
  const last = () => Number(page.all(".timeline > .order .axis-label").at(-1).textContent.replaceAll("\u202f", ""));
  let longest = last();
  for (let times = 0; times < 3; times += 1) {
    const before = longest;
    await until(() => {
      ok(last() >= longest, "an axis that does not shrink");
      longest = last();
      return longest > before;
    }, "a longer axis");
  }
  page.leave();
});

test("however often it is drawn anew, time passes once a frame", async () => {
  const { requestAnimationFrame: ask } = window;
  let turns = 0;
  window.requestAnimationFrame = (f) => ask((time) => ((turns += 1), f(time)));
  const page = show({ _live: [order(1, [5], { started_at_ms: Date.now() - 90 })] });
  const last = () => page.all(".timeline > .order .axis-label").at(-1).textContent;
  const before = last();
  await until(() => last() !== before, "a longer axis");
  page.model.set("_live", [order(1, [5, 50])]);
  await drawn();
  turns = 0;
  await new Promise((done) => ask(() => ask(() => ask(done))));
  ok(turns >= 2 && turns <= 4, `a turn a frame, not ${turns} in three frames`);
  page.leave();
  window.requestAnimationFrame = ask;
});

test("a page that is loaded later shows what the state has", () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })], _live: [order(2, [100])] });
  equal(page.all(".order-row").length, 2);
  equal(page.find(".head .word").textContent, "under way");
  page.leave();
});

test("time stops when the page is left and listeners are gone", async () => {
  const page = show({ _live: [order(1, [100])] });
  page.leave();
  equal(page.model.listening(), 0);
  const bar = page.find(".bar.running");
  const width = bar.getAttribute("width");
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  equal(bar.getAttribute("width"), width);
});

test("a click on a stage looks at its event and asks the kernel for what it carried", () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })] });
  page.all(".stage-row")[1].click();
  equal(page.model.get("selected"), { recording_id: "r1", seq: 2 });
  equal(page.model.sent, [{ kind: "details", recording_id: "r1", seq: 2 }]);
  ok(page.find(".details h3").textContent.startsWith("item-added"));
  page.model.receive({ kind: "json", recording_id: "r1", seq: 2, text: '{"cart": {"cart_id": "c-17"}}', left_out: "" });
  ok(page.find(".json-tree").textContent.includes("cart"));
  page.model.receive({ kind: "json", recording_id: "r1", seq: 3, text: '{"other": 1}', left_out: "" });
  ok(!page.find(".json-tree").textContent.includes("other"), "an answer for another event is not shown");
  page.find(".details .close").click();
  equal(page.find(".details").hidden, true);
  equal(page.model.get("selected"), { recording_id: "r1", seq: null });
  page.leave();
});

test("with the kernel gone a click still looks at an order", () => {
  const page = show({ _orders: [1, 2].map((n) => order(n, WHOLE, { end: end({ order_number: `N${n}` }) })) });
  page.model.save_changes = () => {
    throw new Error("Cannot send");
  };
  page.all(".look")[1].click();
  ok(page.find(".head .name").textContent.includes("N1"));
  page.leave();
});

test("where another view shows it, what an event carried is not asked for", () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })], details: false });
  page.all(".stage-row")[1].click();
  equal(page.model.get("selected"), { recording_id: "r1", seq: 2 });
  equal(page.model.sent, []);
  equal(page.find(".details").hidden, true);
  page.leave();
});

test("a stage that was not reached cannot be looked at", () => {
  const page = show({ _live: [order(1, [100])] });
  page.all(".stage-row")[2].click();
  equal(page.model.get("selected"), null);
  page.leave();
});

test("arrows go from event to event, and together there is one stop for the tab key", () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })] });
  const ticks = page.all(".tick");
  equal(ticks.map((tick) => tick.tabIndex), [0, -1, -1, -1]);
  ticks[0].focus();
  const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  press("ArrowRight");
  press("ArrowRight");
  equal(document.activeElement, ticks[2]);
  equal(ticks.map((tick) => tick.tabIndex), [-1, -1, 0, -1]);
  press("End");
  equal(document.activeElement, ticks[3]);
  press("ArrowRight");
  equal(document.activeElement, ticks[3]);
  page.leave();
});

test("a tooltip comes with the focus, describes the button, and goes with Escape", () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })] });
  const row = page.all(".stage-row")[1];
  const tip = page.find(".timeline > .order .tip");
  equal(tip.hidden, true);
  row.focus();
  equal(tip.hidden, false);
  equal(row.getAttribute("aria-describedby"), tip.id);
  ok(tip.textContent.includes("took 100\u00a0ms ±"));
  row.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  equal(tip.hidden, true);
  equal(row.hasAttribute("aria-describedby"), false);
  page.leave();
});

test("events that came together share a tick with a count; clicks go through them", () => {
  const events = [event(1, 100), event(2, 200, { coalesced: true }), event(3, 200, { coalesced: true })];
  const page = show({ _orders: [order(1, [100, 200, 200], { events, end: end() })] });
  equal(page.all(".tick").map((tick) => tick.textContent), ["3"]);
  const picked = [1, 2, 3, 4].map(() => {
    page.find(".tick").click();
    return page.model.get("selected").seq;
  });
  equal(picked, [1, 2, 3, 1]);
  page.leave();
});

test("unknown events are ticks, comments are dots, an unsure end fades", () => {
  const own = order(1, WHOLE, { end: end({ comments_ms: [20, 150] }) });
  own.events.push(event(9, 350));
  own.stages[2].uncertainty_us = 5000;
  const page = show({ _orders: [own] });
  equal(page.all(".tick.other").length, 1);
  equal(page.all(".timeline > .order .comment").length, 2);
  equal(page.all(".timeline > .order .stages .fading").length, 1);
  equal(rows(page)[2], "100");
  page.leave();
});

test("a failure says how, after what, and for how long the next stage was waited for", () => {
  const failed = end({ outcome: "timeout", word: "timeout", mark: "✕", tone: "bad", t_ms: 1500, order_number: "", verdict: "No end within 1.5 s." });
  const page = show({ _orders: [order(1, [100, 200], { end: failed })] });
  equal(page.find(".verdict").textContent, "No end within 1.5 s.");
  equal(page.all(".stages .bar.waited").length, 1);
  page.all(".stage-row")[2].focus();
  ok(page.find(".timeline > .order .tip").textContent.includes("waited for 1\u202f300\u00a0ms"));
  page.leave();
});

test("of several orders one is looked at and one compared", () => {
  const page = show({ _orders: [1, 2, 3].map((n) => order(n, WHOLE.map((t) => t + n), { end: end({ order_number: `N${n}` }) })) });
  const names = () => page.all(".order-row .look").map((look) => look.textContent);
  equal(names(), ["✓ placed N3", "✓ placed N2", "✓ placed N1"]);
  page.all(".look")[2].click();
  equal(page.model.get("selected"), { recording_id: "r1", seq: null });
  ok(page.find(".head .name").textContent.includes("N1"));
  equal(names(), ["✓ placed N3", "✓ placed N2", "✓ placed N1"]);
  page.all(".compare")[0].click();
  equal(page.model.get("compared"), "r3");
  const cells = page.all(".comparison tbody tr").map((row) => row.lastChild.textContent);
  equal(cells, ["\u22122.00", "0.00", "0.00", "0.00", "0.00"]);
  page.find(".comparison .close").click();
  equal(page.find(".comparison").hidden, true);
  page.leave();
});

test("in the list arrows go from order to order and to its compare button", () => {
  const page = show({ _orders: [1, 2, 3].map((n) => order(n, WHOLE, { end: end({ order_number: `N${n}` }) })) });
  const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  equal(page.all(".orders button").filter((button) => button.tabIndex === 0).length, 1);
  page.find(".look").focus();
  press("ArrowDown");
  press("ArrowRight");
  equal(document.activeElement.getAttribute("aria-label"), "compare order N2 with the one shown above");
  press("ArrowLeft");
  press("End");
  equal(document.activeElement, page.all(".look")[2]);
  equal(page.all(".orders button").filter((button) => button.tabIndex === 0).length, 1);
  page.leave();
});

test("a row keeps the focus when further orders come", async () => {
  const page = show({ _orders: [1, 2].map((n) => order(n, WHOLE, { end: end() })) });
  page.find(".look").focus();
  const focused = document.activeElement;
  page.model.receive({ kind: "order", order: order(3, []) });
  await drawn();
  equal(document.activeElement, focused);
  equal(page.all(".order-row").length, 3);
  page.leave();
});

test("lined up on a milestone, zero is where all have it", () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() }), order(2, [100], { end: end({ outcome: "timeout" }) })] });
  const choice = page.find("select");
  equal([...choice.options].map((option) => option.value), ["start", ...NAMES]);
  choice.value = "item-added";
  choice.dispatchEvent(new Event("change"));
  equal(page.model.get("align"), "item-added");
  ok(page.all(".timeline > .order .axis-label").some((label) => label.textContent.startsWith("\u2212")));
  equal(page.all(".order-row .lane")[0].textContent, "did not reach item-added");
  page.leave();
});

test("what is left out is said", () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })], _left_out: 9700 });
  ok(page.find(".note").textContent.startsWith("9\u202f700 older orders are not drawn"));
  page.leave();
});

test("an order that is sent and not recorded yet is said to be on its way, without an example", async () => {
  const page = show();
  page.model.set("expecting", true);
  await until(() => page.find(".invitation").textContent === "The order is on its way.");
  ok(page.find(".example").classList.contains("expecting"));
  page.model.set("expecting", false);
  await until(() => page.find(".invitation").textContent === "Place an order to see yours.");
  page.leave();
});

test("cleared, it shows the example again", async () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })] });
  page.model.set("_orders", []);
  page.model.set("_first", 2);
  await drawn();
  ok(page.find(".example"));
  equal(page.find(".timeline > .order").hidden, true);
  page.leave();
});

test("hostile names are only ever text", () => {
  const own = order(1, WHOLE, { domain: HOSTILE, end: end({ order_number: HOSTILE, verdict: HOSTILE, warnings: [HOSTILE], outcome: "error_event" }) });
  own.events.forEach((each) => (each.event = HOSTILE));
  own.stages.forEach((each) => Object.assign(each, { stage: HOSTILE, milestone: HOSTILE }));
  const page = show({ _orders: [own, order(2, WHOLE, { end: end() })], selected: { recording_id: "r1", seq: 2 }, compared: "r2" });
  page.find(".stage-row").focus();
  equal(page.all("script, img, a, iframe").length, 0);
  equal(window.hacked, undefined);
  ok(page.find(".verdict").textContent.includes("<script>"));
  ok(page.find(".tip bdi").textContent.includes("<script>"));
  ok(page.el.scrollWidth <= page.el.clientWidth, "nothing to stick out");
  for (const name of page.all(".stage-name")) {
    equal(name.title, HOSTILE);
    ok(name.closest("bdi"), "isolated");
  }
  page.leave();
});

test("when it was on the screen is left as a mark", async () => {
  performance.clearMeasures();
  const page = show();
  page.model.receive({ kind: "order", order: order(1, []) });
  const arrived_at_ms = performance.timeOrigin + performance.now() - 7;
  page.model.receive({ kind: "event", recording_id: "r1", event: event(1, 5), stages: stages([5]), arrived_at_ms });
  const mark = await until(() => performance.getEntriesByName("firmly-nb:drawn")[0], "a mark");
  equal([mark.detail.recording_id, mark.detail.seq], ["r1", 1]);
  ok(mark.detail.late_ms >= 7 && mark.detail.late_ms < 5000, "lateness from the arrival on");
  page.leave();
});

test("of three hundred orders those are drawn that can be seen, the others when they come into sight", async () => {
  const page = show({ _orders: Array.from({ length: 300 }, (_, n) => order(n + 1, WHOLE.map((t) => t + n), { end: end() })) });
  const lanes = page.all(".order-row .lane");
  const isDrawn = (n) => lanes[n].childElementCount > 0;
  equal(page.all(".order-row").length, 300);
  equal(page.all(".orders button").filter((button) => button.tabIndex === 0).length, 1);
  equal([isDrawn(0), isDrawn(10), isDrawn(200)], [true, true, false]);
  page.find(".orders").scrollTop = 200 * 24;
  await until(() => isDrawn(200) && isDrawn(210), "the rows in sight");
  page.leave();
});

test("for those who asked for less movement, the count goes on once a second", async () => {
  const { matchMedia } = window;
  window.matchMedia = () => ({ matches: true });
  const page = show({ _live: [order(1, [5])] });
  const count = () => page.find(".stage-row.in-progress .number").textContent;
  const before = count();
  for (let frame = 0; frame < 10; frame += 1) await drawn();
  equal(count(), before);
  await until(() => count() !== before, "the next second");
  page.leave();
  window.matchMedia = matchMedia;
});

test("the example of an empty timeline reads as Python's table of outcomes says", () => {
  const page = show();
  equal(page.find(".example .word").textContent, "! geliefert");
});

test("a stage has the colour and the pattern that the kernel says, across where it spans another", async () => {
  const made = stages(WHOLE).map((each, n) => ({ ...each, look: 4 - n, is_across: n === 1 }));
  const page = show({ _orders: [order(1, WHOLE, { stages: made, end: end() })] });
  await drawn();
  const [plain, across] = page.all(".timeline > .order .stage-row");
  ok(plain.classList.contains("stage-4"), plain.className);
  const pattern = (row) => getComputedStyle(row.querySelector(".hatch")).fill.match(/#([\w-]+)/)?.[1];
  const tile = (id) => page.find(`pattern[id="${id}"] path`).getAttribute("d");
  equal([tile(pattern(plain)), tile(pattern(across))], [LOOKS.tiles[3], LOOKS.across]);
});
