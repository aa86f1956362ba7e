// The output map: one value a window and channel.

import { whenPoint, whenScene } from "../store.js";
import { Cells } from "./cells.js";
import { aimed, colored, pointing, valueMap } from "./input.js";

export function startOutput(host) {
  const cells = new Cells(host, pointing("output"));
  const keys = { grid: "views.output_grid", cell: "views.output_cell" };
  whenScene(({ scene }) => cells.draw(valueMap(scene, "output", keys)));
  whenPoint(({ scene, light, thing }) => {
    // An output that is pointed at reads many taps: it is ringed, not striped in all of them.
    const lit = thing?.kind === "output" ? new Map([[thing.at, []]]) : colored(light.output, scene);
    cells.light(lit, aimed("output"));
  });
}
