// The page's texts. They come with the scene, in the language asked for; none is written here.

let dictionary = {};
let numbers = new Intl.NumberFormat("en");
let decimals = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });

export function learn(words, language) {
  dictionary = words;
  numbers = new Intl.NumberFormat(language);
  decimals = new Intl.NumberFormat(language, { maximumSignificantDigits: 6, useGrouping: false });
}

// The text of a key with its {names} filled in; "key.one" where n is 1 and the language has it.
export function say(key, values = {}) {
  const text = (values.n === 1 && dictionary[`${key}.one`]) || dictionary[key] || key;
  return text.replace(/\{(\w+)\}/g, (hole, name) => {
    const value = values[name];
    if (value === undefined) return hole;
    return typeof value === "number" ? numbers.format(value).replace("-", "−") : String(value);
  });
}

// A value as it stands in a cell or a sentence: a true minus, no grouping.
export function figure(value) {
  return decimals.format(value).replace("-", "−");
}

export function place(coordinates) {
  return `(${coordinates.join(", ")})`;
}

// What the engine refuses, and what would fit.
export function refused({ field, value, allowed, reason }) {
  if (!field) return say("unreachable", { reason });
  const name = say(`field.${field}`);
  return say(reason ? "refused.why" : "refused", {
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
