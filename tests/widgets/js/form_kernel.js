// The kernel behind a form under test: it holds the draft and answers as shared_draft.py does.

const read = (buffer) => JSON.parse(new TextDecoder().decode(buffer));
const written = (value) => new DataView(new TextEncoder().encode(JSON.stringify(value)).buffer);

/** Make one for a model; `kernel.isBusy = true` holds answers back until `kernel.answer()`. */
export function formKernel(model, draft) {
  const held = [];
  const kernel = {
    draft,
    problems: {},
    isBusy: false,
    /** What Python sets. */
    put(changes) {
      kernel.draft = { ...kernel.draft, ...changes };
      kernel.tell();
    },
    /** What Python says is wrong. */
    find(problems) {
      kernel.problems = problems;
      kernel.tell();
    },
    tell({ view = "", number = 0 } = {}) {
      model.receive({ type: "draft", view, number, problems: kernel.problems }, [written(kernel.draft)]);
    },
    /** Take what waits, all of it or so many messages. */
    answer(count = held.length) {
      for (const message of held.splice(0, count)) take(message);
    },
    held,
  };

  function take(message) {
    if (message.type === "edit") kernel.draft = { ...kernel.draft, ...read(message.buffers[0]) };
    if (message.type === "place") kernel.draft = read(message.buffers[1]);
    if (["draft", "edit", "place"].includes(message.type)) kernel.tell(message);
  }

  model.send = (content, _, buffers = []) => {
    const message = { ...content, buffers };
    model.sent.push(message);
    if (kernel.isBusy) held.push(message);
    else take(message);
  };
  return kernel;
}
