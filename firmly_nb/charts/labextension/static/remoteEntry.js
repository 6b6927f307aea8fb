// Charts of firmly-nb follow the theme of JupyterLab, Notebook and Voila.
//
// Plotly's renderer draws them for the day. On a dark page a style sheet exchanges their colours, so
// that saved pictures stay light and nothing is drawn twice. A saved picture gets its alternative
// text; on a dark page it is drawn anew. Where it is narrow, a chart is laid out as on a telephone.
// There is nothing to build: the file is what Module Federation would make of such a plugin.
const TURNED = {
  "#fefefe": "#17181b",
  "#1c1c1e": "#ececf0",
  "#5a5d63": "#a9acb4",
  "#e4e5e8": "#34363c",
  "#b3261e": "#ff8a80",
  "#e3eef7": "#1d3146",
  "#9cc5e3": "#22537f",
  "#4a94c8": "#2f83bd",
  "#0b5d98": "#79b8e4",
  "#03294a": "#d9edfb",
  "#2e7d32": "#81c784",
  "#a06000": "#ffb74d",
  "#c62828": "#ff8a80",
  "#6b6b6b": "#b8b8b8"
};
const MIME = "application/vnd.plotly.v1+json";
const PAPER = "#fefefe"; // no other chart has it: it tells ours
const DARK = 'body[data-jp-theme-light="false"]';

const rgb = (hex) => {
  const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgb(${parts.join(", ")})`;
};

const sheet = () => {
  const ours = `${DARK} .js-plotly-plot:has(.main-svg[style*="background: ${rgb(PAPER)}"])`;
  const rules = Object.entries(TURNED).flatMap(([day, night]) =>
    ["fill", "stroke", "background"].map(
      (name) => `${ours} [style*="${name}: ${rgb(day)}"] { ${name}: ${night} !important; }`,
    ),
  );
  // Cells are one image, and the colours of their scale a gradient: light becomes dark.
  const turn = "{ filter: invert(1) hue-rotate(180deg); }";
  rules.push(`${ours} .heatmaplayer image, ${ours} .cbfills ${turn}`);
  return rules.join("\n");
};

function* all(widget) {
  yield widget;
  for (const child of widget.children?.() ?? []) yield* all(child);
}

// What nbconvert shows: its usual template has no place for the alternative text of a picture.
const withAlternative = (model, alternative) => {
  const png = model.data["image/png"];
  if (!png || String(model.data["text/html"] ?? "").includes(png)) return;
  const image = document.createElement("img");
  image.setAttribute("alt", alternative);
  image.setAttribute("style", "max-width:100%");
  const html = image.outerHTML.replace("<img ", `<img src="data:image/png;base64,${png}" `);
  model.setData({ data: { ...model.data, "text/html": html } });
};

// Each chart brings along what of its layout is different where it is narrow, and its title, answer
// and caption broken for several widths.
const isNarrow = ({ node }, { narrow_px: below }) => node.clientWidth > 0 && node.clientWidth < below;

const fitFor = (width, { fits }) => fits.find(({ from_px: from }) => from <= width) ?? fits.at(-1);

const laidOut = (layout, { from_px, title, caption, margin, height }) => {
  const base = from_px < layout.meta.narrow_px ? { ...layout, ...layout.meta.narrow } : layout;
  return {
    ...base,
    title,
    height,
    margin: { ...base.margin, ...margin },
    annotations: [...base.annotations.filter(({ name }) => name !== caption.name), caption],
    meta: { ...layout.meta, from_px },
  };
};

const fittedTo = new WeakMap();
const fit = (widget, { data, layout, config }) => {
  const { node } = widget;
  const { Plotly } = widget.constructor;
  const { fits } = layout.meta;
  if (!Plotly || !fits || !node.clientWidth || !node.querySelector(".plot-container")) return;
  const right = fitFor(node.clientWidth, layout.meta);
  // What is drawn, not what was once asked for: JupyterLab may draw it anew, as for a wide window.
  if (right.from_px !== (node.layout?.meta?.from_px ?? fits[0].from_px)) {
    // Anew: Plotly writes into the layout that it is given.
    Plotly.react(node, data, structuredClone(laidOut(layout, right)), config);
  } else if (node._fullLayout && fittedTo.get(node) !== node.clientWidth) {
    // JupyterLab does so at each new width, except where it has put the output away meanwhile.
    fittedTo.set(node, node.clientWidth);
    if (Math.abs(node._fullLayout.width - node.clientWidth) > 1) Plotly.Plots.resize(node);
  }
};

const watched = new WeakSet();
const watch = (widget, look) => {
  if (watched.has(widget)) return;
  watched.add(widget);
  new ResizeObserver(look).observe(widget.node);
};

// Names of Plotly's renderer: if they change, pictures stay as they are.
const attend = (widget, look) => {
  if (!widget.hasClass?.("jp-RenderedPlotly")) return;
  const drawing = widget._model?.data?.[MIME];
  const meta = drawing?.layout?.meta;
  if (!meta?.question) return;
  watch(widget, look);
  fit(widget, drawing);
  const image = widget.node.querySelector(".plot-img");
  const alternative = `${meta.question} ${meta.sentence}`;
  if (image) image.alt = alternative;
  withAlternative(widget._model, alternative);
  widget.node.setAttribute("role", "group");
  widget.node.setAttribute("aria-label", meta.question);
  const isPicture = image?.src && !widget.node.querySelector(".plot-container");
  const isDark = document.body.dataset.jpThemeLight === "false";
  if (isPicture && (isDark || isNarrow(widget, meta))) {
    image.dispatchEvent(new MouseEvent("mouseenter"));
  }
};

const activate = (app) => {
  const style = document.createElement("style");
  style.textContent = sheet();
  document.head.append(style);
  let waits = false;
  const look = () => {
    waits = false;
    if (!document.querySelector(".jp-RenderedPlotly")) return;
    for (const widget of app.shell.widgets("main")) {
      for (const each of all(widget)) attend(each, later);
    }
  };
  const later = () => {
    if (waits) return;
    waits = true;
    setTimeout(look, 200);
  };
  new MutationObserver(later).observe(document.body, {
    childList: true,
    subtree: true,
    attributeFilter: ["data-jp-theme-light"],
  });
};

const plugin = { id: "firmly-nb:charts", autoStart: true, activate };
window._JUPYTERLAB = window._JUPYTERLAB ?? {};
window._JUPYTERLAB["firmly-nb"] = {
  init: () => {},
  get: async () => () => ({ __esModule: true, default: plugin }),
};
