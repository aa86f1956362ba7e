// The line that says in words what is pointed at, and the field that edits a value.

import { figure, refused, say, title } from "./words.js";
import { VALUES, change, shown, tellPoint, whenPoint, whenRefused, whenScene } from "./store.js";

const CALM = 150; // milliseconds before a screen reader hears what is pointed at

const BY_KIND = {
  input: { field: "image", values: "input" },
  tap: { field: "weights", values: "kernel" },
};

export function startReadout(host) {
  const spoken = document.getElementById("spoken");
  let wait;
  let fresh = true;
  const tell = (thing, light, scene) => {
    const text = thing ? sentences(thing, light, scene) : [say("read.nothing"), ""];
    host.querySelector(".line").textContent = text[0];
    host.querySelector(".sum").textContent = text[1];
    host.classList.toggle("pinned", Boolean(shown.pinned));
    host.querySelector(".pin").hidden = !shown.pinned;
    clearTimeout(wait);
    const news = thing ? text.join(" ") : fresh && whole(scene);
    if (news && !shown.playing) wait = setTimeout(() => (spoken.textContent = news), CALM);
    fresh = false;
    editable(host, scene);
  };
  whenPoint(({ thing, light, scene }) => tell(thing, light, scene));
  const field = document.getElementById("value");
  const give = () => {
    if (!(shown.pinned?.kind in BY_KIND)) return; // unpinned while typing
    const { kind, at } = shown.pinned;
    const value = field.valueAsNumber;
    if (!Number.isFinite(value) || shown.scene[BY_KIND[kind].values].values[at] === value) return;
    put(kind, new Map([[at, value]]));
  };
  whenRefused(({ refusal, cause }) => {
    const mine = Boolean(refusal?.field) && VALUES.includes(cause);
    document.getElementById("value-error").textContent = mine ? refused(refusal) : "";
    field.setAttribute("aria-invalid", mine);
  });
  field.addEventListener("change", give);
  field.addEventListener("keydown", (event) => {
    if ((event.key !== "Enter" && event.key !== "Escape") || !shown.pinned) return;
    event.stopPropagation();
    if (event.key === "Enter") give();
    else field.value = valueOf(shown.pinned, shown.scene);
    document.querySelector(`#${shown.pinned.kind} [tabindex="0"]`)?.focus();
  });
  whenScene(({ scene }) => {
    document.getElementById("title").textContent = title(scene);
    fresh = true;
  });
}

// What a slider has changed, for those who do not see it.
function whole(scene) {
  const { conv, local, linear } = scene.counts.parameters;
  return say("read.scene", { title: title(scene), conv, local, linear });
}

// Ask for new values, by their flat indices, of pixels or of kernel weights.
export function put(kind, values) {
  const { field } = BY_KIND[kind];
  const before = shown.refusal ? shown.scene.state[field] : shown.wanted.get(field);
  const text = [...values].reduce((link, [at, value]) => edited(link, at, value), before);
  return change({ [field]: text });
}

// A link's values with one of them changed: a list of all, or place:value for those that differ.
function edited(values, at, value) {
  if (!values) return `${at}:${value}`;
  if (values.includes(":")) return `${values},${at}:${value}`;
  return values.split(",").with(at, value).join(",");
}

function valueOf({ kind, at }, scene) {
  return scene[BY_KIND[kind].values].values[at];
}

function editable(host, scene) {
  const box = host.querySelector(".edit");
  const thing = shown.pinned;
  const can = thing && thing.kind in BY_KIND;
  box.hidden = !can;
  const field = box.querySelector("input");
  if (!can) return;
  const place = scene.places.said(thing.kind, thing.at);
  field.setAttribute("aria-label", say(`views.${thing.kind}_value`, { place }));
  if (document.activeElement !== field) field.value = valueOf(thing, scene);
}

// Pin a pixel or a kernel weight and put the caret into its value; a digit or a minus typed on it
// begins a new one.
export function edit(thing, key) {
  const field = document.getElementById("value");
  shown.pinned = thing;
  tellPoint(); // shows the field: what is typed next must not wait for the engine
  field.focus();
  field.select();
  if (/^[0-9]$/.test(key ?? "")) field.value = key;
  else if (key === "-") begin(field, key);
  change({ at: shown.scene.places.name(thing) });
}

// A number field takes no lone minus: what is typed next gets it.
function begin(field, sign) {
  field.value = "";
  const next = (event) => {
    field.removeEventListener("keydown", next);
    if (!/^[0-9]$/.test(event.key)) return;
    event.preventDefault();
    field.value = sign + event.key;
  };
  field.addEventListener("keydown", next);
}

// One sentence, and for an output the sum it is.
function sentences(thing, light, scene) {
  const { places } = scene;
  if (thing.kind === "output") return outputSentences(thing, light, scene);
  if (thing.kind === "tap") return tapSentences(thing, light, scene);
  if (thing.kind === "input") {
    const taps = say("read.taps", { n: light.tap.size });
    const place = places.said("input", thing.at);
    const value = figure(scene.input.values[thing.at]);
    // Upside down: only where the outputs that it reaches show the kernel as a whole.
    const whole = light.tap.size > 1 && light.output.size === light.tap.size;
    const key = whole ? "read.input" : "read.input_short";
    return [say(key, { place, value, n: light.output.size, taps }), ""];
  }
  return entrySentences(thing, light, scene);
}

function outputSentences({ at }, light, { places, input, kernel, output, matrix }) {
  const place = places.said("output", at);
  const value = figure(output.values[at]);
  const wires = say("read.wires", { n: light.wires.length });
  const words = { place, value, wires, n: light.input.size, all: matrix.columns };
  return [say("read.output", words), sum(light.wires, input, kernel, output.values[at], places)];
}

function tapSentences({ at }, light, { places, kernel, counts, output }) {
  const n = light.wires.length;
  const place = places.said("tap", at);
  const words = { place, value: figure(kernel.values[at]), n: light.output.size };
  const first = say("read.tap", { ...words, wires: say("read.wires", { n }) });
  const all = output.shape[1] * output.shape[2]; // positions, and each would have one of its own
  if (n < 2) return [first, ""];
  return [first, n === all ? say("read.tap_more", { n }) : say("read.tap_padding", { all, idle: all - n })];
}

function entrySentences({ row, column }, light, { places, kernel }) {
  const words = {
    r: row + 1,
    k: column + 1,
    number: column + 1,
    output: places.said("output", row),
    pixel: places.said("input", column),
  };
  const taps = light.wires.map(([, , tap]) => tap);
  if (!taps.length) return [say("read.zero", words), ""];
  const weight = taps.map((tap) => figure(kernel.values[tap])).join(" + ");
  const tap = taps.map((one) => places.said("tap", one)).join(" / ");
  return [say("read.entry", { ...words, tap, weight }), ""];
}

// 1·1 + (−1)·0 + … = 3, channel after channel, the factors as they stand in the maps.
function sum(wires, input, kernel, value, places) {
  const inOrder = [...wires].sort((one, other) => one[1] - other[1]);
  const terms = (places.owner.length > 1 ? inOrder : wires).map(([, pixel, tap]) => {
    const [weight, factor] = [kernel.values[tap], input.values[pixel]].map((number) =>
      number < 0 ? `(${figure(number)})` : figure(number),
    );
    return `${weight}·${factor}`;
  });
  return terms.length ? `${terms.join(" + ")} = ${figure(value)}` : "";
}
