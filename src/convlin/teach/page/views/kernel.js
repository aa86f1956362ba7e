// The kernel: a slice for each pair of an output and an input channel, each tap in its colour.

import { bytesOf } from "../colors.js";
import { figure, say } from "../words.js";
import { whenPoint, whenScene } from "../store.js";
import { edit } from "../readout.js";
import { Cells } from "./cells.js";
import { aimed, colored, pointing } from "./input.js";

export function startKernel(host) {
  const cells = new Cells(host, pointing("tap", edit));
  whenScene(({ scene }) => {
    const [, , rows, columns] = scene.kernel.shape;
    const { colors, values } = scene.kernel;
    cells.draw({
      label: say("views.kernel_grid"),
      rows,
      columns,
      panels: scene.places.owner.map(([o, i]) => ({
        name: say("views.slice", { o: o + 1, i: i + 1 }),
        place: [o, i],
      })),
      text: (at) => figure(values[at]),
      describe: (at) =>
        say("views.tap_cell", {
          place: scene.places.said("tap", at),
          value: figure(values[at]),
        }),
      fill: (at) => [colors[at]],
      paint: (context, panel) => {
        const pixels = context.createImageData(columns, rows);
        const own = colors.slice(panel * rows * columns, (panel + 1) * rows * columns);
        own.forEach((color, at) => pixels.data.set([...bytesOf(color), 255], 4 * at));
        context.putImageData(pixels, 0, 0);
      },
    });
  });
  whenPoint(({ scene, light }) => {
    cells.light(colored(light.tap, scene), aimed("tap"));
  });
}
