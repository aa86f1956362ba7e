// The page's texts. They come with the page, in its language; none is written here.

import { given } from "./given.js";

const numbers = new Intl.NumberFormat(given.lang);
const decimals = new Intl.NumberFormat(given.lang, {
  maximumSignificantDigits: 6,
  useGrouping: false,
});

// The text of a key with its {names} filled in; {name:one|many} is the word that goes with it.
export function say(key, values = {}) {
  const text = given.words[key] ?? key;
  return text.replace(/\{(\w+)(?::([^{}|]*)\|([^{}]*))?\}/g, (hole, name, one, many) => {
    const value = values[name];
    if (value === undefined) return hole;
    if (many !== undefined) return value === 1 ? one : many;
    return typeof value === "number" ? numbers.format(value).replace("-", "−") : String(value);
  });
}

// A value as it stands in a cell or a sentence: a true minus, no grouping.
export function figure(value) {
  return decimals.format(value).replace("-", "−");
}

// A share in percent, with one digit behind the point.
export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

// What is refused, and what would fit.
export function refused({ field, value, allowed, reason, here }) {
  if (here) return say("views.needs_engine");
  if (!field) return say("views.unreachable", { reason });
  const name = say(`field.${field}`);
  return say(reason ? "views.refused_why" : "views.refused", {
    field: name.startsWith("field.") ? field : name,
    value,
    allowed,
    reason,
  });
}

export function translate(root) {
  for (const element of root.querySelectorAll("[data-word]")) {
    element.textContent = say(element.dataset.word);
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
}

// What a scene shows, in a few words: "3×3 convolution, 6×6 input".
export function title({ input, kernel, state }) {
  const [channels, height, width] = input.shape;
  const size = kernel.shape.slice(2).join("×");
  const kind = say(state.transposed === "1" ? "views.kind_transposed" : "views.kind", {
    kernel: size,
  });
  let text = say("views.layer", { kind, size: `${height}×${width}` });
  const outputs = Number(state.out);
  if (channels > 1 || outputs > 1)
    text += say("views.channels", { in: String(channels), out: String(outputs) });
  if (state.groups !== "1") text += say("views.groups", { groups: state.groups });
  return text;
}
