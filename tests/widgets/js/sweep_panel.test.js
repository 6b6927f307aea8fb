import widget from "/static/sweep_panel.js";
import { latencyChart, roundUp, said } from "/static/sweep_panel.js";
import { formKernel } from "./form_kernel.js";
import { equal, model, ok, stage, test, until } from "./harness.js";

const DRAFT = {
  count: "20", arrival: "constant", rate: "1/s", concurrency: "4", duration: "", max_orders: "25",
  max_minutes: "15", max_total: "", name: "",
};
const IDLE = {
  state: "idle", headline: "", ended: 0, planned: null, outcomes: [], facts: [], message: "",
  percentiles: [], run_id: "", can_resume: false,
};
const RUNNING = {
  ...IDLE, state: "running", headline: "Running: 5 of 20 orders ended", ended: 5, planned: 20,
  outcomes: [{ outcome: "placed", words: "placed", mark: "✓", tone: "good", n: 4 }, { outcome: "timeout", words: "timeout", mark: "✕", tone: "bad", n: 1 }],
};

/** A panel in the page and the kernel behind it. */
function show({ traits = {}, draft = {}, problems = {} } = {}) {
  const state = model({
    _environment: { name: "simulator", label: "SIMULATOR" },
    _orders_words: "1 x tee", _shown: IDLE, _points: [], _looks: {}, _notice: "", ...traits,
  });
  const kernel = formKernel(state, { ...DRAFT, ...draft });
  kernel.problems = problems;
  const el = stage();
  const end = widget.render({ model: state, el });
  const button = (name) => [...el.querySelectorAll("button")].find((one) => one.textContent === name);
  const pressed = () => state.sent.filter(({ type }) => !["draft", "edit"].includes(type));
  return { state, kernel, el, end, button, pressed, input: (name) => el.querySelector(`[id$="-${name}"]`) };
}

function type(input, text) {
  input.value = text;
  input.dispatchEvent(new Event("input"));
}

test("every field has a label", () => {
  const { el } = show();
  const inputs = [...el.querySelectorAll("input, select")];
  equal(inputs.length, 9);
  ok(inputs.every((one) => one.labels.length === 1 && one.labels[0].textContent));
});

test("what is typed goes to the kernel as text, in no state and in no content of a message", () => {
  const { state, kernel, input } = show();
  type(input("name"), "canary");
  equal(kernel.draft, { ...DRAFT, name: "canary" });
  equal(state.get("name"), undefined);
  equal(JSON.stringify(state.sent.map(({ buffers, ...content }) => content)).includes("canary"), false);
});

test("an answer that comes late is never put over newer typing, and the button waits for the last", () => {
  const { kernel, el, button, input } = show();
  kernel.isBusy = true;
  for (const text of ["3", "30", "30/min"]) type(input("rate"), text);
  kernel.answer(1);
  equal([input("rate").value, el.querySelector(".why").textContent], ["30/min", "Being checked …"]);
  equal(button("Start").getAttribute("aria-disabled"), "true");
  kernel.answer();
  equal([input("rate").value, kernel.draft.rate], ["30/min", "30/min"]);
  equal(button("Start").getAttribute("aria-disabled"), "false");
});

test("what Python sets is shown, also in the field that has the focus", () => {
  const { kernel, input } = show();
  input("rate").focus();
  kernel.put({ rate: "9/s", arrival: "closed" });
  equal([input("rate").value, input("arrival").value, input("rate").disabled], ["9/s", "closed", true]);
});

test("what is wrong is said at the field and by the button, which then does nothing", () => {
  const { el, button, input, pressed } = show({ problems: { count: "type a number", rate: "type a rate" } });
  equal(input("rate").getAttribute("aria-invalid"), "true");
  equal(el.querySelector(`#${input("rate").getAttribute("aria-describedby")}`).textContent, "type a rate");
  equal(button("Start").getAttribute("aria-disabled"), "true");
  equal(el.querySelector(".why").textContent, "Orders: type a number (and 1 more)");
  button("Start").click();
  equal(pressed(), []);
  equal(document.activeElement, input("count"), "the first wrong field");
});

test("what a press would do is said before it, and the button names the orders", () => {
  const { state, kernel, el, button } = show();
  const about = { sentence: "7 orders, one each second", cannot: "This sweep will not give a p95", warning: "Orders will start late", limits: "Limits: none", button: "Start 7 orders" };
  kernel.about = about;
  kernel.tell();
  equal(button("Start 7 orders").getAttribute("aria-disabled"), "false");
  for (const words of Object.values(about)) ok(el.textContent.includes(words), words);
  ok(el.querySelector(".warning").classList.contains("warn"), "a warning in colour");
  equal(el.querySelector("details").open, false, "limits are folded");
  equal([el.querySelector(".live").hidden, button("Stop").hidden], [true, true]);
  state.set("_shown", RUNNING);
  equal([el.querySelector(".live").hidden, button("Stop").hidden], [false, false]);
});

test("percentiles from the planned start stand beside the others, where there is a plan", () => {
  const row = { name: "p50", text: "600 ms", estimable: true, scheduled: "" };
  const { state, el } = show({ traits: { _shown: { ...RUNNING, percentiles: [row] } } });
  const cells = () => [...el.querySelectorAll(".percentiles tbody tr > *")].map((one) => one.textContent);
  equal(cells(), ["p50", "600 ms"]);
  state.set("_shown", { ...RUNNING, percentiles: [{ ...row, scheduled: "3 600 ms" }] });
  equal(cells(), ["p50", "600 ms", "3 600 ms"]);
});

test("one press starts one sweep, of what the page shows", () => {
  const { button, pressed, input } = show();
  type(input("count"), "7");
  button("Start").click();
  button("Start").click();
  const [start, ...more] = pressed();
  equal([start.type, more], ["start", []]);
  equal(JSON.parse(new TextDecoder().decode(start.buffers[0])), { ...DRAFT, count: "7" });
});

test("a start that was refused can be tried again, also when it is refused in the same words", () => {
  const { state, button, pressed } = show();
  for (const count of [1, 2]) {
    button("Start").click();
    equal(pressed().length, count);
    state.set("_notice", "");
    state.set("_notice", "not today");
  }
});

test("while it runs fields are locked, and it can be stopped in two ways", () => {
  const { pressed, el, button, input } = show({ traits: { _shown: RUNNING } });
  ok(input("count").disabled && button("Resume").disabled);
  const bar = el.querySelector("[role=progressbar]");
  equal([bar.getAttribute("aria-valuenow"), bar.getAttribute("aria-valuemax")], ["5", "20"]);
  equal([...bar.children].map((part) => part.style.width), ["20%", "5%"]);
  button("Start no more").click();
  equal(pressed(), [{ type: "stop", let_finish: true, buffers: [] }]);
  ok(button("Stop").disabled);
});

test("a closed loop needs no rate", () => {
  const { input } = show({ draft: { arrival: "closed" } });
  ok(input("rate").disabled && !input("count").disabled);
});

test("a sweep that stopped can be resumed", () => {
  const { button, pressed } = show({ traits: { _shown: { ...RUNNING, state: "stopped", can_resume: true } } });
  button("Resume").click();
  equal(pressed(), [{ type: "resume", buffers: [] }]);
});

test("the state is announced when it changes, not with every order", () => {
  const { state, el } = show({ traits: { _shown: RUNNING } });
  const status = el.querySelector("[role=status]");
  equal(status.textContent, RUNNING.headline);
  state.set("_shown", { ...RUNNING, headline: "Running: 6 of 20 orders ended", ended: 6 });
  equal(status.textContent, RUNNING.headline);
  state.set("_shown", { ...RUNNING, state: "finished", headline: "Finished" });
  equal(status.textContent, "Finished");
});

test("words from elsewhere are text", () => {
  const evil = "<img src=x onerror=alert(1)>";
  const { el } = show({
    traits: { _orders_words: evil, _notice: evil, _shown: { ...RUNNING, headline: evil, message: evil } },
    draft: { name: evil },
    problems: { name: evil },
  });
  equal(el.querySelectorAll("img").length, 0);
  ok(el.textContent.includes(evil));
});

test("a kernel that is gone is said, and nothing can be pressed", () => {
  const { state, el, button, input } = show({ traits: { _shown: RUNNING } });
  ok(!button("Stop").disabled);
  state.gone();
  ok(el.querySelector(".why").textContent.startsWith("The kernel is gone."));
  ok(button("Stop").disabled && input("count").disabled);
  equal(button("Start").getAttribute("aria-disabled"), "true");
});

test("after its end it listens no more", () => {
  const { state, el, end } = show();
  end();
  equal(state.listening(), 0);
  state.set("_shown", RUNNING);
  ok(!el.textContent.includes("Running"));
});

test("the chart is drawn as wide as its place, so that its words keep their size", async () => {
  const chart = latencyChart();
  const place = stage();
  place.classList.add("sweep-panel");
  place.append(chart.element);
  chart.draw([[0, 400, "placed"], [1, 800, "placed"]], {});
  for (const width of [280, 900]) {
    Object.assign(chart.element.style, { display: "block", width: `${width}px` });
    await until(() => chart.element.viewBox.baseVal.width === width, "a picture of that width");
  }
});

test("the chart has a dot for each placed order and a cross for others", () => {
  const chart = latencyChart();
  stage().append(chart.element);
  chart.draw([], {});
  equal(chart.element.getAttribute("aria-label"), "No order has ended yet.");
  chart.draw([[0, 400, "placed"], [1, 800, "placed"], [2, 90, "error_event"], [3, 50, "cancelled"]], {
    placed: { words: "placed", tone: "good" }, error_event: { words: "error event", tone: "bad" }, cancelled: { words: "cancelled", tone: "quiet" },
  });
  const count = (what) => chart.element.querySelectorAll(what).length;
  equal([count("circle.placed"), count("path.bad"), count("path.quiet")], [2, 1, 1]);
  const [first, second] = [...chart.element.querySelectorAll("circle")].map((one) => Number(one.getAttribute("cy")));
  ok(second < first, "the slower one higher up");
  ok(said([[0, 400, "placed"]]).includes("1 placed, from 400 to 400\u00a0ms"));
});

test("axes end at round numbers", () => {
  equal([3, 12, 480, 520, 0.7, 1000].map(roundUp), [5, 20, 500, 1000, 1, 1000]);
});

test("a sweep of which the kernel says no word any more is not shown as running", async () => {
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 100);
  try {
    const { state, el, end } = show({ traits: { _shown: RUNNING } });
    equal(el.querySelector(".why").textContent, "A sweep is running.");
    await until(() => el.querySelector(".why").textContent.startsWith("There is no word from the kernel"));
    state.receive({ type: "beat" });
    equal(el.querySelector(".why").textContent, "A sweep is running.");
    end();
  } finally {
    window.setTimeout = real;
  }
});
