// Runs in a trusted notebook, in an output of its own behind that of a widget (frontend.py). There
// JupyterLab prefers the widget to its static image, also where the widget's kernel is gone and
// nothing but an error is left of it. Then the image takes the error's place.

(image) => {
  const own = document.currentScript?.closest(".jp-OutputArea-child");
  const widget = own?.previousElementSibling;
  if (!widget) return;
  own.style.display = "none";

  const patience = setTimeout(() => look(true), 3000);
  const observer = new MutationObserver(() => look());
  observer.observe(widget, { childList: true, characterData: true, subtree: true });
  look();

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
