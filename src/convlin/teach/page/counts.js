// What each form of the layer costs, as the engine counts it.

import { say } from "./words.js";
import { whenScene } from "./store.js";
import { child } from "./elements.js";

const FORMS = ["conv", "local", "linear", "matrix"];

export function startCounts(host) {
  whenScene(({ scene }) => {
    const { parameters, multiply_adds: work, bytes, wires } = scene.counts;
    host.replaceChildren();
    for (const form of FORMS) {
      const unit = form === "matrix" ? "counts.stored" : "counts.weights";
      const group = tile(host, say(`form.${form}`), parameters[form], unit, `parameters.${form}`);
      line(group, `multiply_adds.${form}`, say("counts.work", { n: work[form] }));
      line(group, `bytes.${form}`, say("counts.bytes", { n: bytes[form] }));
    }
    const { least, most } = wires;
    const group = tile(host, say("counts.wires"), most, "counts.read", "wires.conv");
    if (least !== most)
      group.querySelector("b").textContent = say("counts.between", { least, most });
    line(group, "wires.linear", say("counts.of", { all: scene.matrix.columns }));
  });
}

function line(group, key, text) {
  child(group, "dd", "", { "data-count": key }).textContent = text;
}

function tile(host, name, count, unit, key) {
  const group = child(host, "div", "tile");
  child(group, "dt").textContent = name;
  const first = child(group, "dd", "count");
  child(first, "b", "", { "data-count": key }).textContent = say("{n}", { n: count });
  first.append(` ${say(unit, { n: count })}`);
  return group;
}
