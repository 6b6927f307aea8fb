import { draftOf } from "/static/draft.js";
import { withMessage } from "/static/fields.js";
import { formKernel } from "./form_kernel.js";
import { equal, model, ok, stage, test, until } from "./harness.js";

/** Views of one form, as they are in a page: each hears whatever the kernel sends. */
function views(count, isBusy = false) {
  const state = model();
  const kernel = formKernel(state, { merchant: "a.test", shipping: { city: "Seattle" }, times: 1 });
  const made = Array.from({ length: count }, () => draftOf(state));
  for (const one of made) one.ask();
  kernel.isBusy = isBusy;
  return { state, kernel, made };
}

/** Words of a number, always the same ones. */
function dice(seed) {
  let now = seed;
  return (faces) => {
    now = (now * 1103515245 + 12345) % 2147483648;
    return now % faces;
  };
}

test("a view has nothing until the kernel has told it", () => {
  const state = model();
  const draft = draftOf(state);
  equal(draft.isThere(), false);
  formKernel(state, { merchant: "a.test" });
  ok(draft.ask(), "a question that is sent");
  equal([draft.isThere(), draft.get("merchant")], [true, "a.test"]);
});

test("nothing of a draft is in the model, whose state is saved, or in a message's content", () => {
  const { state, made } = views(1);
  made[0].edit({ shipping: { city: "canary" } });
  const { about } = made[0].whole();
  equal(JSON.stringify([about, state.sent.map(({ buffers, ...content }) => content)]).includes("canary"), false);
  equal(state.get("shipping"), undefined);
});

test("an edit is sent at once and shows in every other view", () => {
  const { kernel, made: [one, other] } = views(2);
  one.edit({ shipping: { city: "T" } });
  equal(kernel.draft.shipping.city, "T");
  equal(other.get("shipping").city, "T");
});

test("an answer that comes late is never put over newer typing", () => {
  const { kernel, made: [draft] } = views(1, true);
  const seen = [];
  draft.on("shipping", () => seen.push(draft.get("shipping").city));
  for (const city of ["T", "Ta", "Tac"]) draft.edit({ shipping: { city } });
  equal([draft.isChecked(), kernel.held.length], [false, 3]);
  kernel.answer(1);
  kernel.answer(1);
  equal([draft.get("shipping").city, draft.isChecked()], ["Tac", false]);
  kernel.answer();
  equal([draft.get("shipping").city, draft.isChecked()], ["Tac", true]);
  equal(seen, ["T", "Ta", "Tac"]);
});

test("what Python sets while one types in another field is there at once", () => {
  const { kernel, made: [draft] } = views(1, true);
  draft.edit({ shipping: { city: "Tacoma" } });
  kernel.put({ merchant: "b.test", shipping: { city: "Spokane" } });
  equal([draft.get("merchant"), draft.get("shipping").city], ["b.test", "Tacoma"]);
  kernel.answer();
  equal([draft.get("shipping").city, kernel.draft.shipping.city], ["Tacoma", "Tacoma"]);
});

test("whatever overtakes what, kernel and views end with the same, and nothing typed last is lost", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const roll = dice(seed);
    const { kernel, made } = views(3, true);
    const names = ["merchant", "shipping", "times"];
    let last = null;
    for (let step = 0; step < 30; step += 1) {
      const what = roll(4);
      const name = names[roll(3)];
      if (what === 0) kernel.answer(1 + roll(2));
      else if (what === 1) kernel.put({ [name]: `python ${step}` });
      else made[roll(3)].edit({ [name]: `typed ${step}` });
    }
    kernel.answer();
    made[roll(3)].edit({ times: "the last" });
    last = "the last";
    kernel.answer();
    for (const draft of made) {
      equal(names.map((name) => draft.get(name)), names.map((name) => kernel.draft[name]), `seed ${seed}:`);
      equal([draft.isChecked(), draft.get("times")], [true, last], `seed ${seed}:`);
    }
  }
});

test("an answer that was overtaken by a later one tells nothing any more", () => {
  const { kernel, made: [draft] } = views(1);
  const late = [];
  kernel.deliver = (...answer) => late.push(answer);
  draft.edit({ times: 2 });
  kernel.put({ times: 3 });
  for (const answer of late.reverse()) kernel.receive(...answer);
  equal([draft.get("times"), draft.isChecked()], [3, true]);
});

test("edits and answers that overtake each other or are lost take nothing back", async () => {
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 1000);
  try {
    for (let seed = 1; seed <= 100; seed += 1) {
      const roll = dice(seed);
      const { kernel, made: [draft, other] } = views(2, true);
      const late = [];
      kernel.deliver = (...answer) => late.push(answer);
      const some = (list) => list.splice(roll(list.length), 1)[0];
      const names = ["merchant", "shipping", "times"];
      const last = {};
      for (let step = 0; step < 30; step += 1) {
        const what = roll(5);
        const name = names[roll(3)];
        if (what === 0 && kernel.held.length) kernel.held.unshift(some(kernel.held)), kernel.answer(1);
        else if (what === 1 && late.length) kernel.receive(...some(late));
        else if (what === 2) some([kernel.held, late]).splice(0, 1); // lost
        else draft.edit({ [name]: (last[name] = `typed ${step}`) });
      }
      kernel.isBusy = false;
      kernel.deliver = kernel.receive;
      for (const answer of late) kernel.receive(...answer);
      kernel.answer();
      await until(() => draft.isChecked(), "every answer");
      for (const name of Object.keys(last)) {
        equal([draft.get(name), other.get(name), kernel.draft[name]], Array(3).fill(last[name]), `seed ${seed}, ${name}:`);
      }
      draft.close();
      other.close();
    }
  } finally {
    window.setTimeout = real;
  }
});

test("what is typed is not typed anew by its own answer, but what Python sets is shown", () => {
  const form = { fields: new Map(), showProblems() {} };
  const input = document.createElement("input");
  stage().append(input);
  const field = withMessage(form, "times", input, { read: (text) => String(Number(text)) });
  input.focus();
  input.value = "01";
  input.dispatchEvent(new Event("input"));
  field.put("1");
  equal(input.value, "01");
  field.put("7");
  equal([input.value, document.activeElement === input], ["7", true]);
});

test("a view that is gone hears nothing any more", () => {
  const { state, made } = views(2);
  made[0].close();
  equal(state.listening(), 1);
});

test("a question or an edit that was lost is sent again, until it is answered and no longer", async () => {
  const real = window.setTimeout;
  window.setTimeout = (call, ms) => real(call, ms / 100);
  try {
    const state = model();
    const kernel = formKernel(state, { shipping: { city: "Seattle" }, times: 1 });
    const { send } = state;
    const lose = () => (state.send = (content) => state.sent.push(content));
    lose();
    const draft = draftOf(state);
    draft.ask();
    await until(() => state.sent.length === 2, "the question once more");
    state.send = send;
    await until(() => draft.isThere(), "an answer");
    lose();
    draft.edit({ times: 2 });
    draft.edit({ shipping: { city: "Tacoma" } });
    state.send = send;
    await until(() => draft.isChecked(), "the answer to the edit");
    equal([kernel.draft.shipping.city, kernel.draft.times], ["Tacoma", 2]);
    const count = state.sent.length;
    await new Promise((done) => real(done, 100));
    equal(state.sent.length, count);
    draft.close();
  } finally {
    window.setTimeout = real;
  }
});
