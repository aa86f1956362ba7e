// What each form of the layer costs, as the engine counts it.

import { say } from "./words.js";
import { whenScene } from "./store.js";
import { child } from "./elements.js";

const FORMS = ["conv", "local", "linear", "matrix"];

export function startCounts(host) {
  whenScene(({ scene }) => {
    const { parameters, multiply_adds: work, bytes, wires_per_output: wires } = scene.counts;
    host.replaceChildren();
    for (const form of FORMS) {
      const unit = form === "matrix" ? "counts.stored" : "counts.weights";
      const group = tile(host, say(`form.${form}`), parameters[form], unit, `parameters.${form}`);
      child(group, "dd", "", { "data-count": `multiply_adds.${form}` }).textContent = say(
        "counts.work",
        { n: work[form] },
      );
      child(group, "dd", "", { "data-count": `bytes.${form}` }).textContent = say("counts.bytes", {
        n: bytes[form],
      });
    }
    const group = tile(host, say("counts.wires"), wires.conv, "counts.read", "wires.conv");
    child(group, "dd", "", { "data-count": "wires.linear" }).textContent = say("counts.of", {
      all: wires.linear,
    });
  });
}

function tile(host, name, count, unit, key) {
  const group = child(host, "div", "tile");
  child(group, "dt").textContent = name;
  const line = child(group, "dd", "count");
  child(line, "b", "", { "data-count": key }).textContent = say("number", { n: count });
  line.append(` ${say(unit, { n: count })}`);
  return group;
}
