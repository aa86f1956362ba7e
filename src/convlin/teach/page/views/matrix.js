// The matrix: a row an output, a column a pixel, an entry a wire in its tap's colour.

import { bytesOf, inkOn } from "../colors.js";
import { figure, say } from "../words.js";
import { current, pin, point, whenPoint, whenScene } from "../store.js";
import { shape } from "../elements.js";
import { Cells } from "./cells.js";
import { outline } from "./marks.js";

const WRITTEN = 400; // entries that get their number written where there is room
const SEVERAL = [118, 118, 118]; // an entry that holds several taps

export function startMatrix(host, zoom) {
  const entry = (scene, at) => ({
    kind: "entry",
    row: Math.floor(at / scene.matrix.columns),
    column: at % scene.matrix.columns,
  });
  let scene = null;
  const cells = new Cells(host, {
    pointed: (at) => point(at === null ? null : entry(scene, at)),
    pinned: (at) => pin(entry(scene, at)),
  });
  let level = 1;
  const draw = () => {
    const { rows, columns, image, drawn } = scene.matrix;
    const missing = !drawn && !image;
    host.hidden = missing;
    host.parentElement.querySelector(".missing").hidden = !missing;
    zoom.hidden = missing;
    if (missing) return;
    cells.draw({
      label: say("matrix.grid"),
      rows,
      columns,
      panels: [{ name: say("matrix.grid") }],
      few: false,
      largest: 34,
      tallest: 420,
      zoom: level,
      image: drawn ? null : image,
      text: () => "",
      describe: (at) =>
        say("entry.cell", { r: String(Math.floor(at / columns)), k: String(at % columns) }),
      paint: (context) => paint(context, scene),
      fitted: (map) => write(map, scene),
    });
  };
  whenScene((shown) => {
    scene = shown.scene;
    draw();
  });
  whenPoint(({ light }) => {
    if (host.hidden) return;
    const { columns } = scene.matrix;
    const lit = new Map();
    for (const [row, column, tap] of light.wires) {
      lit.set(row * columns + column, [scene.kernel.colors[tap % scene.reads.taps]]);
    }
    const thing = current();
    cells.light(lit, thing?.kind === "entry" ? thing.row * columns + thing.column : null);
    outline(cells, band(thing, scene.matrix));
    follow(cells, light.wires[0], scene.matrix);
  });
  for (const button of zoom.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      level = Math.min(32, Math.max(1, level * Number(button.dataset.times)));
      draw();
      whenZoomed();
    });
  }
  const whenZoomed = () => follow(cells, scene.places.lit(current()).wires[0], scene.matrix);
}

// The row of the output, or the column of the pixel, that is pointed at.
function band(thing, { rows, columns }) {
  if (thing?.kind === "output")
    return [{ panel: 0, top: thing.at, left: 0, height: 1, width: columns }];
  if (thing?.kind === "input")
    return [{ panel: 0, top: 0, left: thing.at, height: rows, width: 1 }];
  return [];
}

// Keep the first lit entry in sight where the matrix is larger than its box.
function follow(cells, wire, { rows, columns }) {
  const box = cells.host;
  if (!wire || box.matches(":hover") || box.contains(document.activeElement)) return;
  if (box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight) return;
  const board = cells.panels[0].board;
  box.scrollTo({
    left: (wire[1] / columns) * board.offsetWidth - box.clientWidth / 3,
    top: (wire[0] / rows) * board.offsetHeight - box.clientHeight / 3,
  });
}

function paint(context, scene) {
  const { columns, rows } = scene.matrix;
  const pixels = context.createImageData(columns, rows);
  const colors = scene.kernel.colors.map(bytesOf);
  for (const { row, column, taps } of entries(scene)) {
    const color = taps.length > 1 ? SEVERAL : colors[taps[0] % scene.reads.taps];
    pixels.data.set([...color, 255], 4 * (row * columns + column));
  }
  context.putImageData(pixels, 0, 0);
}

// Each stored number on its colour, while they can be read; a mark where several taps meet.
function write(map, scene) {
  const { over } = map.panels[0];
  over.querySelectorAll("text").forEach((text) => text.remove());
  if (map.side < 15 || scene.matrix.stored > WRITTEN) return;
  const inks = scene.kernel.colors.map(inkOn);
  for (const { row, column, taps } of entries(scene)) {
    const fill = taps.length > 1 ? "#ffffff" : inks[taps[0] % scene.reads.taps];
    const text = shape(over, "text", { x: column + 0.5, y: row + 0.5, fill });
    text.textContent = taps.length > 1 ? "+" : figure(scene.kernel.values[taps[0]]);
  }
}

// Where padding repeats pixels, one entry holds the sum of several taps.
function entries({ places, matrix }) {
  const found = new Map();
  for (const [row, column, tap] of places.reads()) {
    const key = row * matrix.columns + column;
    const entry = found.get(key);
    if (entry) entry.taps.push(tap);
    else found.set(key, { row, column, taps: [tap] });
  }
  return found.values();
}
