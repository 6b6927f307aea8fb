// The kernel behind a form under test: it holds the draft and answers as draft.py does.

const read = (buffer) => JSON.parse(new TextDecoder().decode(buffer));
const written = (value) => new DataView(new TextEncoder().encode(JSON.stringify(value)).buffer);

/** Make one for a model; `kernel.isBusy = true` holds answers back until `kernel.answer()`. */
export function formKernel(model, draft) {
  const held = [];
  const newest = {};
  let revision = 0;
  const kernel = {
    draft,
    problems: {},
    about: {},
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
    tell({ view = "", number = 0 } = {}, fields = []) {
      revision += 1;
      const answer = { type: "draft", revision, view, number, fields, problems: kernel.problems, about: kernel.about };
      kernel.deliver(answer, [written(kernel.draft)]);
    },
    /** Replaced where answers are late or lost. */
    deliver: (...answer) => model.receive(...answer),
    receive: (...answer) => model.receive(...answer),
    /** Take what waits, all of it or so many messages. */
    answer(count = held.length) {
      for (const message of held.splice(0, count)) take(message);
    },
    held,
  };

  function take(message) {
    const sent = { edit: 0, place: 1, start: 0 }[message.type];
    const fields = sent === undefined ? [] : changed(message, read(message.buffers[sent]));
    if (message.type === "draft" || sent !== undefined) kernel.tell(message, fields);
  }

  function changed({ view, number }, changes) {
    newest[view] ??= {};
    for (const [name, value] of Object.entries(changes)) {
      if (number < (newest[view][name] ?? 0)) continue;
      newest[view][name] = number;
      kernel.draft = { ...kernel.draft, [name]: value };
    }
    return Object.keys(changes);
  }

  model.send = (content, _, buffers = []) => {
    const message = { ...content, buffers };
    model.sent.push(message);
    if (kernel.isBusy) held.push(message);
    else take(message);
  };
  return kernel;
}
