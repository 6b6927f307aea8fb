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
  return { outcome: "placed", word: "placed", reason: "", mark: "✓", tone: "good", t_ms: 410, order_number: "1004", verdict: "Placed: order 1004.", comments_ms: [], warnings: [], ...changes };
}

function order(number, times, changes = {}) {
  return { recording_id: `r${number}`, number, domain: "shop.example", environment: "simulator", started_at_ms: Date.now(), events: times.map((t, n) => event(n + 1, t)), event_count: times.length, stages: stages(times), end: null, ...changes };
}

const LOOKS = { tiles: ["", "M0 6L6 0", "M3 3v1", "M0 0L6 6"], across: "M3 0V6", placed: { outcome: "placed", word: "geliefert", mark: "!" } };
const WHOLE = [100, 200, 300, 400];

function show(state = {}) {
  const made = model({ _orders: [], _recent: [], _live: [], _first: 1, _left_out: 0, _looks: LOOKS, align: "start", details: true, expecting: false, selected: null, compared: null, only: null, brush: null, _picked: null, ...state });
  const el = stage();
  const leave = timeline.render({ model: made, el });
  return { model: made, el, leave, find: (what) => el.querySelector(what), all: (what) => [...el.querySelectorAll(what)] };
}

/** What messages bring is drawn with the next frame. */
function drawn() {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

function rows(page) {
  return page.all(".stage-row").map((row) => row.querySelector(".number").textContent.replace("\u00a0ms", ""));
}

/** Count the marks of the events, of one kind or of all. */
function marks(page, kind = "") {
  const paths = page.all(`.timeline > .order .ticks .tick${kind}`).map((path) => path.getAttribute("d"));
  return paths.join("").split("M").length - 1;
}

function press(key) {
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
}

function looked(page) {
  return page.find(".timeline > .order .event-words").textContent;
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
  page.model.receive({ kind: "events", recording_id: "r1", events: [{ ...event(1, 100), arrived_at_ms: Date.now() }], stages: stages([100]) });
  await drawn();
  equal(page.find(".stage-row"), row);
  equal(rows(page)[0], "100");
  equal(marks(page), 1);
  page.model.set("_live", [order(1, [100])]);
  await drawn();
  equal(marks(page), 1);
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
  page.model.receive({ kind: "events", recording_id: "r1", events: [{ ...event(1, 5), arrived_at_ms: Date.now() }], stages: stages([5]) });
  await drawn();
  const width = () => parseFloat(page.find(".stage-row.in-progress .bar.running").getAttribute("width"));
  const count = () => parseFloat(page.find(".stage-row.in-progress .number").textContent.replaceAll("\u202f", ""));
  const [wide, long] = [width(), count()];
  await until(() => width() > wide + 1, "a wider bar");
  await until(() => count() > long + 20, "a higher count");
  page.leave();
});

test("the axis grows by itself when an order takes longer, and never shrinks while it runs", async () => {
  const page = show({ _live: [order(1, [5], { started_at_ms: Date.now() - 90 })] });
  const last = () => parseFloat(page.all(".timeline > .order .axis-label").at(-1).textContent.replaceAll("\u202f", ""));
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
  ok(page.find(".details-name").textContent.startsWith("item-added"));
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

test("all events are one control: arrows go from event to event, Enter picks one", () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })] });
  const lane = page.find(".event-lane");
  equal(lane.tabIndex, 0);
  lane.focus();
  ok(looked(page).startsWith("creating-cart · event 1 of 4"), looked(page));
  press("ArrowRight");
  press("ArrowRight");
  ok(lane.getAttribute("aria-valuetext").startsWith("shipping-updated, event 3 of 4, 300"));
  press("End");
  press("ArrowRight");
  ok(looked(page).startsWith("order-placed · event 4 of 4"), looked(page));
  press("Enter");
  equal(page.model.get("selected"), { recording_id: "r1", seq: 4 });
  page.leave();
});

test("one line tells of the event that is looked at, with its own uncertainty, and moves nothing", () => {
  const own = order(1, WHOLE, { end: end() });
  own.events[1].uncertainty_us = 5000;
  const page = show({ _orders: [own] });
  ok(looked(page).startsWith("order-placed · event 4 of 4 · 400\u00a0ms ±20.0\u00a0µs"), looked(page));
  const height = page.el.offsetHeight;
  page.all(".stage-row")[1].focus();
  ok(looked(page).startsWith("item-added · event 2 of 4 · 200\u00a0ms ±5.00\u00a0ms"), looked(page));
  equal(page.el.offsetHeight, height);
  page.all(".stage-row")[1].blur();
  ok(looked(page).startsWith("order-placed"));
  page.leave();
});

test("a stage shows its time and its share; one whose ends came together shows neither", () => {
  const made = stages(WHOLE);
  Object.assign(made[2], { no_time: "gathered", untimed: "not known: read at once", duration_ms: null });
  const page = show({ _orders: [order(1, WHOLE, { stages: made, end: end({ t_ms: 400 }) })] });
  equal(rows(page), ["100", "100", "gathered", "100"]);
  equal(page.all(".stage-row .share").map((share) => share.textContent), ["25\u00a0%", "25\u00a0%", "", "25\u00a0%"]);
  page.leave();
});

test("events that came together share a mark with a count; clicks go through them", () => {
  const events = [event(1, 100), event(2, 200, { coalesced: true }), event(3, 200, { coalesced: true }), event(4, 200, { coalesced: true })];
  const page = show({ _orders: [order(1, [100, 200, 200, 200], { events, end: end() })] });
  equal(marks(page), 2);
  equal(page.find(".timeline > .order .together").textContent, "3");
  const lane = page.find(".event-lane").getBoundingClientRect();
  const at = { bubbles: true, clientX: lane.left + (lane.width * 200) / 410 };
  const picked = [1, 2, 3, 4].map(() => {
    page.find(".event-lane").dispatchEvent(new MouseEvent("click", at));
    return page.model.get("selected").seq;
  });
  equal(picked.toSorted(), [2, 2, 3, 4]);
  page.leave();
});

test("unknown events are ticks, comments are dots, an unsure end fades", () => {
  const own = order(1, WHOLE, { end: end({ comments_ms: [20, 150] }) });
  own.events.push(event(9, 350));
  own.stages[2].uncertainty_us = 5000;
  const page = show({ _orders: [own] });
  equal([marks(page, ".other"), marks(page, ".milestone")], [1, 4]);
  equal(page.find(".timeline > .order .comment").getAttribute("d").split("M").length - 1, 2);
  equal(page.all(".timeline > .order .stages .fading").length, 1);
  equal(rows(page)[2], "100");
  page.leave();
});

test("a hundred thousand events make as many marks as the picture has places", async () => {
  const page = show();
  page.model.receive({ kind: "order", order: order(1, []) });
  const many = Array.from({ length: 100000 }, (_, n) => event(n + 1, n / 250, { event: "tick", arrived_at_ms: Date.now() }));
  for (let n = 0; n < many.length; n += 1000) page.model.receive({ kind: "events", recording_id: "r1", events: many.slice(n, n + 1000), stages: null });
  await drawn();
  ok(marks(page) > 400 && marks(page) <= 1001, marks(page));
  ok(page.find(".events .number").textContent === "100\u202f000");
  ok(page.all(".timeline > .order *").length < 200, "few elements");
  page.leave();
});

test("of a long stream the kernel is asked for more than the state has, once", async () => {
  const page = show({ _orders: [order(1, WHOLE, { event_count: 1603, end: end() })] });
  const asked = () => page.model.sent.filter((each) => each.kind === "events");
  equal(asked(), [{ kind: "events", recording_id: "r1", from_ms: 0, to_ms: 410 }]);
  page.model.receive({ kind: "part", recording_id: "r1", events: [event(7, 111, { event: "tick" })] });
  await drawn();
  equal([marks(page), asked().length], [5, 1]);
  equal(page.find(".events .number").textContent, "1\u202f603");
  page.leave();
});

test("keys and drags zoom, a button and 0 lead back", async () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })] });
  const labels = () => page.all(".timeline > .order .axis-label").map((label) => parseFloat(label.textContent));
  equal(labels(), [0, 205, 410]);
  page.find(".event-lane").focus();
  press("ArrowRight");
  press("+");
  equal([labels()[0] > 50, labels()[2] < 350], [true, true]);
  press("0");
  equal(labels(), [0, 205, 410]);
  const box = page.find(".timeline > .order .axis-lane").getBoundingClientRect();
  const drag = (kind, share) => page.find(".event-lane").dispatchEvent(new PointerEvent(kind, { bubbles: true, button: 0, pointerId: 1, clientX: box.left + share * box.width }));
  const { setPointerCapture } = Element.prototype;
  Element.prototype.setPointerCapture = () => {};
  drag("pointerdown", 0.25);
  drag("pointermove", 0.5);
  drag("pointerup", 0.5);
  Element.prototype.setPointerCapture = setPointerCapture;
  ok(Math.abs(labels()[0] - 102.5) < 2 && Math.abs(labels()[2] - 205) < 2, labels());
  await drawn();
  page.find(".whole").click();
  equal(labels(), [0, 205, 410]);
  page.leave();
});

test("an event that was picked is there, even if the state left it out", () => {
  const page = show({ _orders: [order(1, WHOLE, { event_count: 5, end: end() })], selected: { recording_id: "r1", seq: 5 }, _picked: { recording_id: "r1", event: event(5, 405, { event: "tick" }) } });
  ok(looked(page).startsWith("tick · event 5 of 5"), looked(page));
  ok(page.find(".ticks .picked-mark"));
  page.leave();
});

test("the order as a command goes to the clipboard, or is shown to be copied", async () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })] });
  page.all(".tools button").at(-1).click();
  equal(page.model.sent.at(-1), { kind: "curl", recording_id: "r1" });
  page.model.receive({ kind: "curl", text: "curl -N https://example.test", note: "Set TOKEN." });
  const said = await until(() => page.find(".copied p")?.textContent);
  ok(/^Cop(y this|ied)\. Set TOKEN\.$/.test(said), said);
  equal(page.find(".copied pre").textContent, "curl -N https://example.test");
  page.leave();
});

test("parts of what an event carried open and close from the line", () => {
  const page = show({ _orders: [order(1, WHOLE, { end: end() })] });
  const [cart, changes, json, bytes] = page.all(".timeline > .order .tools button");
  bytes.click();
  equal(page.model.get("selected"), { recording_id: "r1", seq: 4 });
  equal(page.model.sent.map((each) => each.kind), ["details", "bytes"]);
  equal([cart, changes, json, bytes].map((each) => each.getAttribute("aria-pressed")), ["false", "false", "false", "true"]);
  page.model.receive({ kind: "bytes", recording_id: "r1", seq: 4, text: '{"a": 1}', note: "" });
  equal(page.find(".bytes pre").textContent, '{"a": 1}');
  page.model.receive({ kind: "cart", recording_id: "r1", seq: 4, cart: null, changes: [{ path: "tax", before: "0.00", after: "2.22" }] });
  equal(changes.textContent, "changes (1)");
  changes.click();
  ok(page.find(".changes table").textContent.includes("2.22"));
  page.leave();
});

test("events are found by name and text, in one order or in all", async () => {
  const page = show({ _orders: [1, 2].map((n) => order(n, WHOLE, { end: end({ order_number: `N${n}` }) })) });
  const [text, everywhere] = page.all(".find input");
  text.value = "item";
  text.dispatchEvent(new Event("input"));
  const asked = () => page.model.sent.filter((each) => each.kind === "find");
  equal(await until(() => asked()[0]), { kind: "find", text: "item", recording_id: "r2" });
  everywhere.click();
  equal(asked()[1], { kind: "find", text: "item", recording_id: null });
  page.model.receive({ kind: "found", text: "item", total: 2, rows: [2, 1].map((n) => ({ recording_id: `r${n}`, order: `N${n}`, event: event(2, 200) })) });
  await drawn();
  ok(page.find(".find [role=status]").textContent.startsWith("2 found"));
  equal(page.all(".ticks .found").length, 1);
  page.all(".found-events button")[1].click();
  equal(page.model.get("selected"), { recording_id: "r1", seq: 2 });
  page.leave();
});

test("an event is compared with the same event of the other order", () => {
  const page = show({ _orders: [1, 2].map((n) => order(n, WHOLE, { end: end() })), selected: { recording_id: "r1", seq: 2 }, compared: "r2" });
  ok(page.model.sent.some((each) => each.kind === "differences" && each.other === "r2" && each.seq === 2));
  page.model.receive({ kind: "differences", recording_id: "r1", seq: 2, other_seq: 2, name: "N2", note: "1 difference.", rows: [{ path: "total", before: "1", after: "2" }] });
  equal(page.all(".other-event tbody tr").length, 1);
  page.leave();
});

test("chips filter by outcome, the order of the rows can be chosen, each row tells the difference from the median", async () => {
  const failed = end({ outcome: "error_event", word: "declined", reason: "PaymentDeclined", mark: "✕", tone: "bad", order_number: "" });
  const ends = [end({ t_ms: 500, order_number: "A" }), end({ t_ms: 618, order_number: "B" }), { ...failed, t_ms: 549 }, end({ t_ms: 600, order_number: "D" })];
  const rows = ends.map((each, n) => order(n + 1, WHOLE, { end: each }));
  const page = show({ _orders: rows.slice(0, 3) });
  const chips = () => page.all(".chips:first-child .chip").map((chip) => chip.textContent);
  const names = () => page.all(".order-row .look bdi").map((name) => name.textContent);
  // First the declined one is the newest: a chip stays where it is while orders end.
  equal(chips(), ["all 3", "✓ placed 2", "✕ declined 1"]);
  page.model.set("_orders", rows);
  await drawn();
  equal(chips(), ["all 4", "✓ placed 3", "✕ declined 1"]);
  equal(page.all(".against").map((each) => each.textContent), ["0\u00a0%", "PaymentDeclined", "+3\u00a0%", "\u221217\u00a0%"]);
  page.all(".chip").find((chip) => chip.textContent === "slowest").click();
  equal(names(), ["B", "D", "declined #3", "A"]);
  page.all(".chip").find((chip) => chip.textContent.includes("declined")).click();
  equal([page.model.get("only"), names()], ["declined", ["declined #3"]]);
  page.leave();
});

test("the brush on the histogram selects orders, by key and by pointer, and goes with Escape", () => {
  const page = show({ _orders: [100, 200, 300, 400].map((t_ms, n) => order(n + 1, [50], { end: end({ t_ms, order_number: `N${n}` }) })) });
  const names = () => page.all(".order-row .look bdi").map((name) => name.textContent);
  equal(page.all(".count-bar").length, 4);
  page.find(".handle.from").focus();
  press("PageUp");
  press("PageUp");
  press("PageUp");
  press("PageUp");
  equal([page.model.get("brush"), names()], [[160, 400], ["N3", "N2", "N1"]]);
  press("Escape");
  equal([page.model.get("brush"), names().length], [null, 4]);
  page.leave();
});

test("two timelines have names of their own", () => {
  const [one, other] = [show(), show()];
  const name = (page) => page.find(".timeline").getAttribute("aria-label");
  ok(name(one) !== name(other), name(one));
  equal(other.all("[role=region], section:not([role])").filter((each) => each.hasAttribute("aria-label")).length, 1);
  one.leave();
  other.leave();
});

test("a long order is told of once, and its end once", async () => {
  const page = show({ _live: [order(1, [5], { started_at_ms: Date.now() - 10500 })] });
  const told = () => page.find("[role=status].visually-hidden").textContent;
  await until(() => told().startsWith("Order under way #1 for 10"));
  ok(told().endsWith("after creating-cart."), told());
  const before = told();
  await new Promise((done) => setTimeout(done, 50));
  equal(told(), before);
  page.leave();
});

test("a failure says how, after what, and for how long the next stage was waited for", () => {
  const failed = end({ outcome: "timeout", word: "timeout", mark: "✕", tone: "bad", t_ms: 1500, order_number: "", verdict: "No end within 1.5 s." });
  const page = show({ _orders: [order(1, [100, 200], { end: failed })] });
  equal(page.find(".verdict").textContent, "No end within 1.5 s.");
  equal(page.all(".stages .bar.waited").length, 1);
  page.all(".stage-row")[2].focus();
  ok(looked(page).includes("waited for 1\u202f300\u00a0ms"), looked(page));
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
  const choice = page.find(".align select");
  equal([...choice.options].map((option) => option.value), ["start", ...NAMES]);
  choice.value = "item-added";
  choice.dispatchEvent(new Event("change"));
  equal(page.model.get("align"), "item-added");
  ok(page.all(".many .axis-label").some((label) => label.textContent.startsWith("\u2212")));
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
  ok(page.find(".event-words bdi").textContent.includes("<script>"));
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
  page.model.receive({ kind: "events", recording_id: "r1", events: [{ ...event(1, 5), arrived_at_ms }], stages: stages([5]) });
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
