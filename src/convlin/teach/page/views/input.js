// The input map: pixels, the padding around them and the window over them.

import { figure, place, say } from "../words.js";
import { current, pin, point, whenPoint, whenScene } from "../store.js";
import { edit } from "../readout.js";
import { Cells } from "./cells.js";
import { outline } from "./marks.js";
import { greys, tints } from "./shade.js";

export function startInput(host) {
  const cells = new Cells(host, pointing("input", edit));
  whenScene(({ scene }) => {
    const [channels, rows, columns] = scene.input.shape;
    cells.draw({
      label: say("input.grid"),
      rows,
      columns,
      panels: channelNames(channels),
      pad: reach(scene.reads.window, rows, columns),
      text: (at) => figure(scene.input.values[at]),
      describe: (at) =>
        say("input.cell", {
          place: place(scene.places.coordinates("input", at)),
          value: figure(scene.input.values[at]),
        }),
      shade: tints(scene.input.values),
      paint: greys(scene.input),
    });
  });
  whenPoint(({ scene, light }) => {
    cells.light(colored(light.input, scene), aimed("input"));
    outline(
      cells,
      light.windows.map(({ channel, window: [top, left, bottom, right] }) => ({
        panel: channel,
        top,
        left,
        height: bottom - top,
        width: right - left,
      })),
    );
  });
}

// How far windows reach over the edges: [top, left, bottom, right].
function reach(windows, rows, columns) {
  const pad = [0, 0, 0, 0];
  for (const [top, left, bottom, right] of windows ?? []) {
    [-top, -left, bottom - rows, right - columns].forEach((over, side) => {
      pad[side] = Math.max(pad[side], over);
    });
  }
  return pad;
}

export function channelNames(count) {
  return Array.from({ length: count }, (_, at) => ({ name: say("channel", { c: String(at) }) }));
}

// What a map of this kind does when it is pointed at.
export function pointing(kind, edited = null) {
  return {
    pointed: (at) => point(at === null ? null : { kind, at }),
    pinned: (at) => pin({ kind, at }),
    edited: edited && ((at, key) => edited({ kind, at }, key)),
  };
}

export function aimed(kind) {
  const thing = current();
  return thing?.kind === kind ? thing.at : null;
}

// Taps to colours.
export function colored(map, scene) {
  return new Map([...map].map(([at, taps]) => [at, taps.map((tap) => scene.kernel.colors[tap])]));
}
