// The input map: pixels, the padding around them and the window over them.

import { figure, say } from "../words.js";
import { current, pin, point, shown, whenPoint, whenScene } from "../store.js";
import { shape } from "../elements.js";
import { edit, put } from "../readout.js";
import { Cells } from "./cells.js";
import { outline } from "./marks.js";
import { shaded, tints } from "./shade.js";

const GHOSTS = 400; // cells of padding that get their values written

export function startInput(host) {
  const cells = new Cells(host, { ...pointing("input", edit), painted: painting() });
  whenScene(({ scene }) => {
    const [, rows, columns] = scene.input.shape;
    cells.draw({
      ...valueMap(scene, "input", { grid: "views.input_grid", cell: "views.input_cell" }),
      pad: overhang(scene.reads.window, rows, columns),
      fitted: (map) => ghosts(map, scene),
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

// A painter of pixels: while the brush is on, what the pointer moves over takes the brush's value.
function painting() {
  let waiting = null;
  const strokes = new Map();
  const flush = () => {
    waiting = null;
    if (strokes.size) put("input", new Map(strokes));
    strokes.clear();
  };
  return (at) => {
    if (!document.getElementById("paint").checked) return false;
    const value = document.getElementById("brush").valueAsNumber;
    if (at !== null && Number.isFinite(value) && shown.scene.input.values[at] !== value) {
      strokes.set(at, value);
      waiting ??= setTimeout(flush, 60);
    }
    return true;
  };
}

// What padding repeats of the image, faintly where it is read: else nothing says why a window that
// lies beside the image lights pixels at its other edge.
function ghosts(map, { state, input }) {
  map.panels.forEach(({ over }) => over.querySelector(".ghosts")?.remove());
  if (state.mode === "zeros" || map.spec.few === false) return;
  const [, rows, columns] = input.shape;
  const [top, left, bottom, right] = map.spec.pad;
  if ((rows + top + bottom) * (columns + left + right) - rows * columns > GHOSTS) return;
  map.panels.forEach(({ over }, channel) => {
    const group = shape(over, "g", { class: "ghosts" });
    over.prepend(group);
    for (let y = -top; y < rows + bottom; y++) {
      for (let x = -left; x < columns + right; x++) {
        if (y >= 0 && y < rows && x >= 0 && x < columns) continue;
        const source = [repeated(y, rows, state.mode), repeated(x, columns, state.mode)];
        const value = input.values[(channel * rows + source[0]) * columns + source[1]];
        shape(group, "text", { x: x + 0.5, y: y + 0.5 }).textContent = figure(value);
      }
    }
  });
}

// The pixel that stands at a place beside the image.
function repeated(at, size, mode) {
  if (mode === "replicate") return Math.min(Math.max(at, 0), size - 1);
  if (mode === "circular") return ((at % size) + size) % size;
  const period = 2 * (size - 1) || 1;
  const folded = ((at % period) + period) % period;
  return folded < size ? folded : period - folded;
}

// How far windows reach over the edges: [top, left, bottom, right].
function overhang(windows, rows, columns) {
  const pad = [0, 0, 0, 0];
  for (const [top, left, bottom, right] of windows ?? []) {
    [-top, -left, bottom - rows, right - columns].forEach((over, side) => {
      pad[side] = Math.max(pad[side], over);
    });
  }
  return pad;
}

// What a map of values is drawn from: the input's, or the output's. keys: of the words for the map
// and for one of its cells.
export function valueMap(scene, kind, keys) {
  const { shape, values } = scene[kind];
  const [channels, rows, columns] = shape;
  return {
    label: say(keys.grid),
    rows,
    columns,
    panels: channelNames(channels),
    text: (at) => figure(values[at]),
    describe: (at) =>
      say(keys.cell, { place: scene.places.said(kind, at), value: figure(values[at]) }),
    shade: tints(values),
    paint: shaded(scene[kind]),
  };
}

export function channelNames(count) {
  return Array.from({ length: count }, (_, at) => ({ name: say("views.channel", { c: at + 1 }) }));
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

// Weights to colours.
export function colored(map, scene) {
  return new Map([...map].map(([at, taps]) => [at, taps.map((tap) => scene.kernel.colors[tap])]));
}
