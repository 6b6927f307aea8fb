import widget from "/static/sweep_panel.js";
import { latencyChart, roundUp, said } from "/static/sweep_panel.js";
import { test, equal, ok, stage, model, until } from "./harness.js";

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

function show(state = {}) {
  const kernel = model({
    _draft: DRAFT, _problems: {}, _environment: { name: "simulator", label: "SIMULATOR" },
    _orders_words: "1 x tee", _shown: IDLE, _points: [], _looks: {}, _notice: "", ...state,
  });
  const { on } = kernel;
  const ends = [];
  kernel.on = (name, f) => (name === "comm_live_update" ? ends.push(f) : on(name, f));
  const el = stage();
  const end = widget.render({ model: kernel, el });
  const button = (name) => [...el.querySelectorAll("button")].find((one) => one.textContent === name);
  const die = () => ends.forEach((f) => f());
  return { kernel, el, end, die, button, input: (name) => el.querySelector(`[id$="-${name}"]`) };
}

test("every field has a label", () => {
  const { el } = show();
  const inputs = [...el.querySelectorAll("input, select")];
  equal(inputs.length, 9);
  ok(inputs.every((one) => one.labels.length === 1 && one.labels[0].textContent));
});

test("what is typed goes to the kernel as text", () => {
  const { kernel, input } = show();
  input("rate").value = "30/min";
  input("rate").dispatchEvent(new Event("input"));
  equal(kernel.get("_draft"), { ...DRAFT, rate: "30/min" });
});

test("what is wrong is said at the field and by the button, which then does nothing", () => {
  const { kernel, el, button, input } = show({ _problems: { rate: "type a rate", count: "type a number" } });
  equal(input("rate").getAttribute("aria-invalid"), "true");
  equal(el.querySelector(`#${input("rate").getAttribute("aria-describedby")}`).textContent, "type a rate");
  equal(button("Start").getAttribute("aria-disabled"), "true");
  equal(el.querySelector(".why").textContent, "Rate: type a rate (and 1 more)");
  button("Start").click();
  equal(kernel.sent, []);
  equal(document.activeElement, input("count"), "the first wrong field");
});

test("one press starts one sweep", () => {
  const { kernel, button } = show();
  button("Start").click();
  button("Start").click();
  equal(kernel.sent, [{ type: "start" }]);
});

test("while it runs fields are locked, and it can be stopped in two ways", () => {
  const { kernel, el, button, input } = show({ _shown: RUNNING });
  ok(input("count").disabled && button("Resume").disabled);
  const bar = el.querySelector("[role=progressbar]");
  equal([bar.getAttribute("aria-valuenow"), bar.getAttribute("aria-valuemax")], ["5", "20"]);
  equal([...bar.children].map((part) => part.style.width), ["20%", "5%"]);
  button("Start no more").click();
  equal(kernel.sent, [{ type: "stop", let_finish: true }]);
  ok(button("Stop").disabled);
});

test("a closed loop needs no rate", () => {
  const { input } = show({ _draft: { ...DRAFT, arrival: "closed" } });
  ok(input("rate").disabled && !input("count").disabled);
});

test("a sweep that stopped can be resumed", () => {
  const { kernel, button } = show({ _shown: { ...RUNNING, state: "stopped", can_resume: true } });
  button("Resume").click();
  equal(kernel.sent, [{ type: "resume" }]);
});

test("the state is announced when it changes, not with every order", () => {
  const { kernel, el } = show({ _shown: RUNNING });
  const status = el.querySelector("[role=status]");
  equal(status.textContent, RUNNING.headline);
  kernel.set("_shown", { ...RUNNING, headline: "Running: 6 of 20 orders ended", ended: 6 });
  equal(status.textContent, RUNNING.headline);
  kernel.set("_shown", { ...RUNNING, state: "finished", headline: "Finished" });
  equal(status.textContent, "Finished");
});

test("words from elsewhere are text", () => {
  const evil = "<img src=x onerror=alert(1)>";
  const { el } = show({ _orders_words: evil, _notice: evil, _shown: { ...RUNNING, headline: evil, message: evil } });
  equal(el.querySelectorAll("img").length, 0);
  ok(el.textContent.includes(evil));
});

test("a kernel that is gone is said, and nothing can be pressed", () => {
  const { el, button, die, input } = show({ _shown: RUNNING });
  ok(!button("Stop").disabled);
  die();
  ok(el.querySelector(".why").textContent.startsWith("The kernel is gone."));
  ok(button("Stop").disabled && input("count").disabled);
  equal(button("Start").getAttribute("aria-disabled"), "true");
});

test("after its end it listens no more", () => {
  const { kernel, el, end } = show();
  end();
  kernel.set("_shown", RUNNING);
  ok(!el.textContent.includes("Running"));
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
  ok(said([[0, 400, "placed"]]).includes("1 placed, from 400 to 400 ms"));
});

test("axes end at round numbers", () => {
  equal([3, 12, 480, 520, 0.7, 1000].map(roundUp), [5, 20, 500, 1000, 1, 1000]);
});

test("a sweep of which the kernel says no word any more is not shown as running", async () => {
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 100);
  try {
    const { kernel, el, end } = show({ _shown: RUNNING });
    equal(el.querySelector(".why").textContent, "A sweep is running.");
    await until(() => el.querySelector(".why").textContent.startsWith("There is no word from the kernel"));
    kernel.receive({ type: "beat" });
    equal(el.querySelector(".why").textContent, "A sweep is running.");
    end();
  } finally {
    window.setTimeout = real;
  }
});
