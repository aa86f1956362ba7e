// The output map: one value a window and channel.

import { figure, say } from "../words.js";
import { whenPoint, whenScene } from "../store.js";
import { Cells } from "./cells.js";
import { aimed, channelNames, colored, pointing } from "./input.js";
import { shaded, tints } from "./shade.js";

export function startOutput(host) {
  const cells = new Cells(host, pointing("output"));
  whenScene(({ scene }) => {
    const [channels, rows, columns] = scene.output.shape;
    cells.draw({
      label: say("views.output_grid"),
      rows,
      columns,
      panels: channelNames(channels),
      text: (at) => figure(scene.output.values[at]),
      describe: (at) =>
        say("views.output_cell", {
          place: scene.places.said("output", at),
          value: figure(scene.output.values[at]),
        }),
      shade: tints(scene.output.values),
      paint: shaded(scene.output),
    });
  });
  whenPoint(({ scene, light, thing }) => {
    // An output that is pointed at reads many taps: it is ringed, not striped in all of them.
    const lit = thing?.kind === "output" ? new Map([[thing.at, []]]) : colored(light.output, scene);
    cells.light(lit, aimed("output"));
  });
}
