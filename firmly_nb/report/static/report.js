// Draws the report's charts. Plotly is packed in the page; nothing is fetched.
const read = (id) => document.getElementById(id).textContent;
const turned = Object.entries(JSON.parse(read("turned")));
const night = matchMedia("(prefers-color-scheme: dark)");

const unpack = async (packed) => {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};

const figure = (plot, dark) => {
  let text = read(plot.dataset.figure);
  if (dark) for (const [day, after] of turned) text = text.replaceAll(`"${day}"`, `"${after}"`);
  const { data, layout } = JSON.parse(text);
  const { narrow, narrow_px: below } = layout.meta;
  // Paper is wide whatever the screen is.
  const isNarrow = plot.clientWidth < below && !matchMedia("print").matches;
  return { data, layout: isNarrow ? { ...layout, ...narrow } : layout };
};

const draw = async (plot, dark) => {
  const { data, layout } = figure(plot, dark);
  // Drawn beside the picture, which stays if anything goes wrong.
  const place = plot.querySelector(".drawn") ?? document.createElement("div");
  place.className = "drawn";
  plot.append(place);
  const config = JSON.parse(read("config"));
  try {
    await Plotly.react(place, data, layout, config);
    plot.querySelector("img")?.remove();
    plot.querySelector(".instead")?.remove();
    plot.dataset.state = "drawn";
  } catch (error) {
    place.remove();
    plot.dataset.state = "failed";
    console.error(error);
  }
};

const drawAll = async (dark) => {
  for (const plot of document.querySelectorAll(".plot")) {
    await draw(plot, dark);
    await new Promise((resume) => setTimeout(resume));
  }
  document.documentElement.dataset.drawn = dark ? "dark" : "light";
};

const start = async () => {
  const script = document.createElement("script");
  script.textContent = await unpack(read("plotly"));
  document.head.append(script);
  await drawAll(night.matches);
  night.addEventListener("change", () => drawAll(night.matches));
  // A telephone that is turned.
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) drawAll(night.matches);
    width = innerWidth;
  });
  // Paper is white.
  addEventListener("beforeprint", () => night.matches && drawAll(false));
  addEventListener("afterprint", () => night.matches && drawAll(true));
};
start();
