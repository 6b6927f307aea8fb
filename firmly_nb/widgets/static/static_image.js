// Runs in a trusted notebook, in an output of its own behind that of a widget (frontend.py). There
// JupyterLab prefers the widget to its static image, also where the widget's kernel is gone and
// nothing but an error is left of it. Then the image takes the error's place.

(image, element) => {
  let [widget, patience, tries] = [null, 0, 0];
  const observer = new MutationObserver(() => look());
  begin();

  /** Begin once the output is in the page: JupyterLab runs this a little before. */
  function begin() {
    if (!element.isConnected && tries++ < 100) return setTimeout(begin, 50);
    const own = element.closest(".jp-OutputArea-child");
    widget = own?.previousElementSibling;
    if (!widget) return;
    own.style.display = "none";
    patience = setTimeout(() => look(true), 3000);
    observer.observe(widget, { childList: true, characterData: true, subtree: true });
    look();
  }

  function look(isLate = false) {
    if (widget.querySelector(".firmly")) {
      clearTimeout(patience);
      return observer.disconnect();
    }
    const output = widget.querySelector(".jp-OutputArea-output");
    const said = output?.textContent ?? "";
    // Without any kernel it is waited for without end; a widget that comes late replaces the image.
    if (!said.startsWith("Error displaying widget") && !(isLate && said.startsWith("Loading widget"))) return;
    // Written by Python, with all texts escaped.
    output.innerHTML = image;
    output.classList.add("jp-RenderedHTMLCommon");
  }
}
