// The kernel: a slice for each pair of an output and an input channel, each tap in its colour.

import { bytesOf } from "../colors.js";
import { figure, place, say } from "../words.js";
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
      label: say("kernel.grid"),
      rows,
      columns,
      panels: scene.places.owner.map(([o, i]) => ({
        name: say("slice", { o: String(o), i: String(i) }),
        place: [o, i],
      })),
      text: (at) => figure(values[at]),
      describe: (at) =>
        say("tap.cell", {
          place: place(scene.places.coordinates("tap", at)),
          value: figure(values[at]),
        }),
      fill: (at) => [colors[at % colors.length]],
      paint: (context) => {
        const pixels = context.createImageData(columns, rows);
        colors.forEach((color, at) => pixels.data.set([...bytesOf(color), 255], 4 * at));
        context.putImageData(pixels, 0, 0);
      },
    });
  });
  whenPoint(({ scene, light }) => {
    cells.light(colored(light.tap, scene), aimed("tap"));
  });
}
