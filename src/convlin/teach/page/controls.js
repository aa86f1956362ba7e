// The sliders. Each asks the engine; what the engine refuses is said beside the slider.

import { figure, refused, say } from "./words.js";
import { offline } from "./given.js";
import { VALUES, change, shown, whenRefused } from "./store.js";
import { child } from "./elements.js";

const PAIRS = ["size", "kernel", "stride", "padding", "dilation"]; // height × width
const SLIDERS = ["size", "kernel", "stride", "padding", "dilation", "in", "out", "groups"];
const MODES = ["zeros", "reflect", "replicate", "circular"];

export function startControls(host) {
  const rows = new Map();
  let apart = false;
  for (const field of SLIDERS) rows.set(field, row(host, field));
  rows.set("mode", choice(host));
  rows.set(
    "transposed",
    tick(host, "transposed", (on) => change({ transposed: on ? "1" : "0" })),
  );
  const loose = tick(host, "apart", (on) => {
    apart = on;
    show(shown);
  });
  host.querySelector(".apart").after(child(host, "p", "note offline"));

  const show = ({ scene, wanted, refusal, cause }) => {
    if (!scene) return;
    // Beside the control that was moved; where none was, as with a link, beside the field's own.
    const blamed = refusal && (rows.has(cause) && refusal.field ? cause : refusal.field);
    const asked = (field) => String(wanted.get(field) ?? scene.state[field]);
    const both = apart || PAIRS.some((field) => new Set(asked(field).split("x")).size > 1);
    loose.input.checked = both;
    for (const [field, { element, label, error, inputs, now }] of rows) {
      label.textContent = say(`field.${field}`);
      element.title = say(`field.${field}_help`);
      const mine = blamed === field;
      error.textContent = mine ? refused(refusal) : "";
      if (field === "mode") fillChoice(inputs[0], asked(field));
      else if (field === "transposed") inputs[0].checked = asked(field) === "1";
      else fill(field, inputs, now, asked(field), scene, both);
      for (const input of inputs) {
        // Without an engine, what it alone could change stands still.
        input.disabled = offline && (input.type !== "range" || input.min === input.max);
        input.setAttribute("aria-invalid", mine);
      }
    }
    loose.label.textContent = say("field.apart");
    loose.input.disabled = offline;
    const elsewhere = refusal && !rows.has(blamed) && !(refusal.field && VALUES.includes(cause));
    const banner = document.getElementById("refusal");
    banner.textContent = elsewhere ? refused(refusal) : "";
    banner.hidden = !elsewhere;
    host.querySelector(".offline").textContent = offline ? say("views.offline") : "";
  };
  whenRefused(show); // told after every scene, too
}

function row(host, field) {
  const element = child(host, "div", "control");
  const label = child(element, "label", "", { for: `${field}-0` });
  const now = child(element, "span", "now", { "aria-hidden": "true" }); // the slider says it
  const inputs = [0, 1].slice(0, PAIRS.includes(field) ? 2 : 1).map((axis) =>
    child(element, "input", "", {
      type: "range",
      id: `${field}-${axis}`,
      "aria-describedby": `${field}-error`,
    }),
  );
  const error = child(element, "p", "error", { id: `${field}-error`, role: "alert" });
  for (const input of inputs) {
    input.addEventListener("input", () => {
      const both = inputs[1]?.hidden ? [input.value, input.value] : inputs.map((one) => one.value);
      const asked =
        inputs.length === 2 ? both : [stops(shown.scene, field)?.[input.value] ?? input.value];
      now.textContent = asked.join(" × ");
      change({ [field]: asked.join("x") });
    });
  }
  return { element, label, now, inputs, error };
}

// The numbers of a slider that cannot stand at every one: it moves over their places.
function stops(scene, field) {
  return field === "groups" ? scene.divisors : null;
}

function fill(field, inputs, now, asked, scene, apart) {
  const values = asked.split("x").map(Number);
  const list = stops(scene, field);
  const [low, high, step = 1] = list ? [0, list.length - 1] : scene.limits[field];
  inputs.forEach((input, axis) => {
    const number = values[axis] ?? values[0];
    const value = list ? list.indexOf(number) : number;
    if (list) input.setAttribute("aria-valuetext", number);
    input.min = Math.min(low, value);
    input.max = Math.max(high, value);
    input.step = step;
    input.value = value;
    input.setAttribute("aria-label", axisName(field, axis, inputs.length === 2 && apart));
  });
  if (inputs[1]) inputs[1].hidden = !apart;
  now.textContent = values.map(figure).join(" × ");
}

function axisName(field, axis, apart) {
  const name = say(`field.${field}`);
  return apart ? say(axis === 0 ? "field.height" : "field.width", { field: name }) : name;
}

function choice(host) {
  const element = child(host, "div", "control mode");
  const label = child(element, "label", "", { for: "mode-0" });
  const select = child(element, "select", "", { id: "mode-0", "aria-describedby": "mode-error" });
  const error = child(element, "p", "error", { id: "mode-error", role: "alert" });
  for (const mode of MODES) child(select, "option", "", { value: mode });
  select.addEventListener("change", () => change({ mode: select.value }));
  return { element, label, inputs: [select], error };
}

function fillChoice(select, asked) {
  for (const option of select.options) option.textContent = say(`field.${option.value}`);
  select.value = asked;
}

function tick(host, field, changed) {
  const element = child(host, "div", `control tick ${field}`);
  const input = child(element, "input", "", { type: "checkbox", id: `${field}-0` });
  const label = child(element, "label", "", { for: `${field}-0` });
  const error = child(element, "p", "error", { role: "alert" });
  input.addEventListener("change", () => changed(input.checked));
  return { element, label, input, inputs: [input], error };
}
