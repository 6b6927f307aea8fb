// What the page asks of the catalogue; each answer is kept, so that nothing is asked twice.

import { sendToKernel } from "./kernel.js";

/** Make the asking side of one view. */
export function catalogueOf(model) {
  const known = new Map();
  const waiting = new Map();

  function ask(about, more, call) {
    const key = keyOf({ about, ...more });
    if (known.has(key)) {
      call(known.get(key));
      return;
    }
    const others = waiting.get(key) ?? [];
    waiting.set(key, [...others, call]);
    if (others.length === 0) sendToKernel(model, { type: "catalogue", about, ...more });
  }

  function take(answer) {
    if (answer.type !== "catalogue") return;
    const key = keyOf(answer);
    // A failure may pass: it is asked again the next time.
    if (!answer.problem) known.set(key, answer);
    const calls = waiting.get(key) ?? [];
    waiting.delete(key);
    for (const call of calls) call(answer);
  }

  model.on("msg:custom", take);
  return {
    merchants: (call) => ask("merchants", {}, call),
    products: (domain, call) => ask("products", { domain }, call),
    variants: (domain, handle, call) => ask("variants", { domain, handle }, call),
    search: (words, call) => ask("search", { words }, call),
    close: () => model.off("msg:custom", take),
  };
}

function keyOf({ about, domain = "", handle = "", words = "" }) {
  return JSON.stringify([about, domain, handle, words]);
}

/** The names of a product's options, in the order of its variants: ["Size", "Color"]. */
export function optionNames(variants) {
  return [...new Set(variants.flatMap((variant) => Object.keys(variant.options)))];
}

/** The values of one option, each once, in the order of the variants. */
export function optionValues(variants, name) {
  return [...new Set(variants.map((variant) => variant.options[name]).filter(Boolean))];
}

/** The variant that has this value, and otherwise as much as can be of what is chosen now. */
export function closestVariant(variants, chosen, name, value) {
  const having = variants.filter((variant) => variant.options[name] === value);
  const likeness = (variant) =>
    Object.entries(chosen).filter(([key, text]) => variant.options[key] === text).length +
    (variant.available ? 0.5 : 0);
  return having.sort((a, b) => likeness(b) - likeness(a))[0] ?? null;
}
