// Talking to a kernel that may have stopped: then nothing can be sent, and the page is told so.

export const KERNEL_GONE = "The kernel is gone: what is shown stays as it was. Run the cell again.";
export const KERNEL_GONE_FORM = "The kernel is gone. Run the cell again for a new form.";
export const LAB_CLOSED = "The lab is closed. Run its cell again, and this one for a new form.";
export const NO_ANSWER = "No answer yet: the kernel is busy, or it has stopped.";
export const KERNEL_SILENT = "There is no word from the kernel: it is gone, or cannot answer.";

// Beats come every two seconds (frontend.py).
const SILENT_AFTER_MS = 8000;

/** Send a message; false if the kernel is gone (its manager throws then). */
export function sendToKernel(model, content, buffers = []) {
  try {
    model.send(content, undefined, buffers);
    return true;
  } catch {
    return false;
  }
}

/** Tell the kernel what was set; without one the page goes on by itself. */
export function saveToKernel(model) {
  try {
    model.save_changes();
  } catch {
    // The manager throws when the kernel is gone, and the page says that already.
  }
}

/** Listen to a model, to each name with a call; returns how to stop. */
export function listen(model, calls) {
  const pairs = Object.entries(calls);
  for (const [name, call] of pairs) model.on(name, call);
  return () => pairs.forEach(([name, call]) => model.off(name, call));
}

/** Call something once the kernel has ended; returns how to stop listening. */
export function onKernelGone(model, call) {
  // The manager says so of every model when its kernel ends.
  return listen(model, { comm_live_update: call });
}

/**
 * Watch for a kernel that is gone, told or untold: while something runs (`isDue`) it beats, and one
 * that does not is gone, cannot answer, or cannot be reached. `tell` is called when that changes.
 */
export function watchKernel(model, { isDue, tell }) {
  const state = { isGone: false, isSilent: false, timer: 0 };

  /** Begin to wait for the next beat, or cease to. */
  function look() {
    clearTimeout(state.timer);
    state.timer = isDue() && !state.isGone ? setTimeout(() => setSilent(true), SILENT_AFTER_MS) : 0;
    if (!isDue()) setSilent(false);
  }

  function setSilent(isSilent) {
    if (isSilent === state.isSilent) return;
    state.isSilent = isSilent;
    tell();
  }

  function heard() {
    setSilent(false);
    look();
  }

  const stop = onKernelGone(model, () => {
    state.isGone = true;
    look();
    tell();
  });
  model.on("msg:custom", heard);
  look();
  return {
    isGone: () => state.isGone,
    isSilent: () => state.isSilent,
    /** Why nothing comes any more, in words; nothing if all is well. */
    words: () => (state.isGone ? KERNEL_GONE : state.isSilent ? KERNEL_SILENT : ""),
    look,
    close() {
      stop();
      clearTimeout(state.timer);
      model.off("msg:custom", heard);
    },
  };
}
