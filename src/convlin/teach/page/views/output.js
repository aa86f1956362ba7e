// The output map: one value a window and channel.

import { figure, place, say } from "../words.js";
import { whenPoint, whenScene } from "../store.js";
import { Cells } from "./cells.js";
import { aimed, channelNames, colored, pointing } from "./input.js";
import { greys, tints } from "./shade.js";

export function startOutput(host) {
  const cells = new Cells(host, pointing("output"));
  whenScene(({ scene }) => {
    const [channels, rows, columns] = scene.output.shape;
    cells.draw({
      label: say("output.grid"),
      rows,
      columns,
      panels: channelNames(channels),
      text: (at) => figure(scene.output.values[at]),
      describe: (at) =>
        say("output.cell", {
          place: place(scene.places.coordinates("output", at)),
          value: figure(scene.output.values[at]),
        }),
      shade: tints(scene.output.values),
      paint: greys(scene.output),
    });
  });
  whenPoint(({ scene, light, thing }) => {
    // An output that is pointed at reads many taps: it is ringed, not striped in all of them.
    const lit = thing?.kind === "output" ? new Map([[thing.at, []]]) : colored(light.output, scene);
    cells.light(lit, aimed("output"));
  });
}
