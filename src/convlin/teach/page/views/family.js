// Other weights, same output: one fully connected neuron moved along its null space.

import { figure, place, say } from "../words.js";
import { offline } from "../scene.js";
import { change, point, whenPoint, whenScene } from "../store.js";
import { aimed, channelNames, colored } from "./input.js";
import { Cells } from "./cells.js";
import { greys, tints } from "./shade.js";

export function startFamily(host) {
  const slider = host.querySelector("input");
  const cells = new Cells(host.querySelector(".space"), {
    pointed: (at) => point(at === null ? null : { kind: "input", at }),
  });
  slider.addEventListener("input", () =>
    change({ along: slider.value === "0" ? null : slider.value }),
  );
  host.querySelector("button").addEventListener("click", () => change({ along: null }));
  whenScene(({ scene, wanted }) => {
    const { family, places, state, output } = scene;
    const [low, high, step = 1] = scene.limits.along;
    const along = Number(wanted.get("along") ?? state.along ?? 0);
    const still = family.dimension === 0;
    Object.assign(slider, { min: low, max: high, step });
    slider.value = along;
    slider.disabled = offline || still;
    slider.setAttribute(
      "aria-valuetext",
      say("family.along", { along: figure(along), changed: family.changed }),
    );
    host.querySelector("button").disabled = offline || along === 0;
    const at = family.row;
    put(
      host,
      ".which",
      say("family.which", {
        place: place(places.coordinates("output", at)),
        value: figure(output.values[at]),
      }),
    );
    put(host, ".value", figure(family.output));
    put(host, ".changed", say("family.changed", { n: family.changed, of: family.of }));
    put(host, ".sentence", family.sentence);
    const [channels, rows, columns] = scene.input.shape;
    const tint = tints(family.weights);
    cells.draw({
      label: say("family.grid"),
      rows,
      columns,
      panels: channelNames(channels),
      text: (cell) => figure(family.weights[cell]),
      describe: (cell) => describe(family, places, cell),
      shade: tint,
      paint: greys({ shape: scene.input.shape, values: family.weights }),
      changed: (cell) => family.weights[cell] !== family.base[cell],
    });
  });
  whenPoint(({ scene, light, thing }) => {
    if (thing && thing.kind !== "tap") cells.light(colored(light.input, scene), aimed("input"));
    else cells.light(new Map());
  });
}

function describe({ weights, base }, places, cell) {
  const values = {
    place: place(places.coordinates("input", cell)),
    value: figure(weights[cell]),
    base: figure(base[cell]),
  };
  return say(weights[cell] === base[cell] ? "family.same" : "family.other", values);
}

function put(host, selector, text) {
  host.querySelector(selector).textContent = text;
}
