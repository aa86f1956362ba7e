// The line that says in words what is pointed at, and the field that edits a value.

import { figure, place, refused, say } from "./words.js";
import { offline } from "./scene.js";
import { VALUES, change, shown, whenPoint, whenRefused, whenScene } from "./store.js";

const MOST_TERMS = 12; // longer sums are cut
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
    const { field: name, values } = BY_KIND[kind];
    const value = field.valueAsNumber;
    if (!Number.isFinite(value) || shown.scene[values].values[at] === value) return;
    const before = shown.refusal ? shown.scene.state[name] : shown.wanted.get(name);
    change({ [name]: edited(before, at, value) });
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
    document.getElementById("title").textContent = scene.title;
    fresh = true;
  });
}

// What a slider has changed, for those who do not see it.
function whole({ title, counts }) {
  const { conv, local, linear } = counts.parameters;
  return say("read.scene", { title, conv, local, linear });
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
  const can = !offline && thing && thing.kind in BY_KIND;
  box.hidden = !can;
  const field = box.querySelector("input");
  if (!can) return;
  const where = place(scene.places.coordinates(thing.kind, thing.at));
  field.setAttribute("aria-label", say(`${thing.kind}.value`, { place: where }));
  if (document.activeElement !== field) field.value = valueOf(thing, scene);
}

// Pin a pixel or a tap and put the caret into its value; a digit typed on it begins a new one.
export function edit(thing, key) {
  if (offline) return;
  const field = document.getElementById("value");
  shown.pinned = thing;
  change({ at: shown.scene.places.name(thing) }).then(() => {
    field.focus();
    if (/^[0-9]$/.test(key ?? "")) field.value = key;
    else field.select();
  });
}

// One sentence, and for an output the sum it is.
function sentences(thing, light, scene) {
  const { places, input, kernel, output, matrix, counts } = scene;
  if (thing.kind === "output") {
    const words = {
      place: place(places.coordinates("output", thing.at)),
      value: figure(output.values[thing.at]),
      n: light.input.size,
      taps: say("some.wires", { n: light.wires.length }),
      all: counts.wires_per_output.linear,
    };
    return [say("read.output", words), sum(light.wires, input, kernel)];
  }
  if (thing.kind === "tap") {
    const words = {
      place: place(places.coordinates("tap", thing.at)),
      value: figure(kernel.values[thing.at]),
    };
    const wires = light.wires.length;
    return [
      say("read.tap", {
        ...words,
        n: light.output.size,
        wires: say("some.wires", { n: wires }),
      }),
      wires > 1 ? say("read.tap.more") : "",
    ];
  }
  if (thing.kind === "input") {
    const words = {
      place: place(places.coordinates("input", thing.at)),
      value: figure(input.values[thing.at]),
    };
    const taps = say("some.taps", { n: light.tap.size });
    return [say("read.input", { ...words, n: light.output.size, taps }), ""];
  }
  const words = {
    r: String(thing.row),
    k: String(thing.column),
    output: place(places.coordinates("output", thing.row)),
    pixel: place(places.coordinates("input", thing.column)),
  };
  const taps = light.wires.map(([, , tap]) => tap);
  if (!taps.length) return [say("read.zero", { ...words, n: matrix.stored }), ""];
  const weight = taps.map((tap) => figure(kernel.values[tap])).join(" + ");
  return [
    say("read.entry", {
      ...words,
      n: taps.length,
      tap: taps.map((tap) => place(places.coordinates("tap", tap))).join(", "),
      weight,
    }),
    "",
  ];
}

// 1·1 + (−1)·0 + …, the factors as they stand in the maps.
function sum(wires, input, kernel) {
  const terms = wires.slice(0, MOST_TERMS).map(([, pixel, tap]) => {
    const [weight, value] = [kernel.values[tap], input.values[pixel]].map((number) =>
      number < 0 ? `(${figure(number)})` : figure(number),
    );
    return `${weight}·${value}`;
  });
  return terms.join(" + ") + (wires.length > MOST_TERMS ? " + …" : "");
}
