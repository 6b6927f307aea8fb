// Talking to a kernel that may have stopped: then nothing can be sent, and the page is told so.

export const KERNEL_GONE = "The kernel is gone: what is shown stays as it was. Run the cell again.";

/** Send a message; false if the kernel is gone (its manager throws then). */
export function sendToKernel(model, content) {
  try {
    model.send(content);
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

/** Call something once the kernel has ended; returns how to stop listening. */
export function onKernelGone(model, call) {
  // The manager says so of every model when its kernel ends.
  model.on("comm_live_update", call);
  return () => model.off("comm_live_update", call);
}
