import { afterFocus, printable, whenReleased } from "/static/dom.js";
import { equal, stage, test, until } from "./harness.js";

/** Press a button of a widget as a pointer does, up to the release or also with it. */
function pointer(kind, target, more = {}) {
  target.dispatchEvent(new PointerEvent(kind, { bubbles: true, ...more }));
}

function button() {
  const one = document.createElement("button");
  stage().append(one);
  return one;
}

test("while a pointer is pressed a change waits, and is made before the click is heard", () => {
  const pressed = button();
  const said = [];
  pressed.addEventListener("click", () => said.push("click"));
  whenReleased(() => said.push("at once"));
  pointer("pointerdown", pressed);
  whenReleased(() => said.push("first"));
  whenReleased(() => said.push("second"));
  equal(said, ["at once"]);
  pressed.click();
  equal(said, ["at once", "first", "second", "click"]);
  whenReleased(() => said.push("again at once"));
  equal(said.at(-1), "again at once");
});

test("what ends with the focus is done before the click that moved the focus", () => {
  const pressed = button();
  const said = [];
  pressed.addEventListener("click", () => said.push("click"));
  pointer("pointerdown", pressed);
  afterFocus(() => said.push("typed"));
  pressed.click();
  equal(said, ["typed", "click"]);
});

test("without a press it is done once the focus is where it goes", async () => {
  const said = [];
  afterFocus(() => said.push("typed"));
  equal(said, []);
  await until(() => said.length === 1);
});

test("a press that ends elsewhere holds nothing back", async () => {
  const said = [];
  pointer("pointerdown", button());
  whenReleased(() => said.push("done"));
  pointer("pointerup", document.body);
  await until(() => said.length === 1);
});

test("a press whose end nobody told ends when the pointer moves without it", () => {
  const said = [];
  pointer("pointerdown", button());
  whenReleased(() => said.push("done"));
  pointer("pointermove", document.body, { buttons: 1 });
  equal(said, []);
  pointer("pointermove", document.body, { buttons: 0 });
  equal(said, ["done"]);
});

test("a press outside of all widgets holds nothing back", () => {
  const said = [];
  button();
  pointer("pointerdown", document.body);
  whenReleased(() => said.push("done"));
  equal(said, ["done"]);
});

test("text of strangers is one line that does not turn", () => {
  equal(printable("red\u001b[31m"), "red·[31m");
  equal([printable(" a\n b "), printable("mug\u202e"), printable(null)], ["a b", "mug·", ""]);
});
