// The matrix: a row an output, a column a pixel, an entry a wire in its weight's colour.

import { bytesOf, inkOn } from "../colors.js";
import { figure, say } from "../words.js";
import { current, pin, point, whenPoint, whenScene } from "../store.js";
import { shape } from "../elements.js";
import { Cells } from "./cells.js";
import { outline } from "./marks.js";

const WRITTEN = 400; // entries that get their number written where there is room
const SEVERAL = [118, 118, 118]; // an entry that holds several weights
const READABLE = 15; // pixels of an entry's side that a number fits into
const AXIS = 9; // pixels of the numbers along the edges
const PAINTED = 512; // pixels a side of what is painted: of larger matrices one is several entries

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
    const wide = Math.max(rows, columns) <= 64; // others are numbered by what is pointed at alone
    cells.draw({
      label: say("matrix.grid"),
      rows,
      columns,
      panels: [{ name: say("matrix.grid") }],
      few: false,
      bare: true,
      // Room for the numbers along the edges: of large matrices several entries wide.
      pad: wide ? [Math.max(1.2, rows / 14), Math.max(2.2, columns / 16), 0, 0] : [0, 0, 0, 0],
      pooled: Math.ceil(Math.max(rows, columns) / PAINTED),
      largest: 44,
      tallest: 420,
      zoom: level,
      image: drawn ? null : image,
      text: () => "",
      describe: (at) =>
        say("matrix.cell", { r: Math.floor(at / columns) + 1, k: (at % columns) + 1 }),
      paint: (context) => paint(context, scene),
      fitted: (map) => {
        write(map, scene);
        brighten(map, map.lit, columns);
        if (wide) number(map, scene);
        cross(map, current(), scene.matrix);
      },
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
    for (const [row, column, tap] of light.wires)
      lit.set(row * columns + column, [scene.kernel.colors[tap]]);
    const thing = current();
    const aim = thing?.kind === "entry" ? thing.row * columns + thing.column : null;
    cells.light(lit, aim);
    cells.grid.classList.toggle("some", Boolean(thing)); // a zero dims all others, too
    brighten(cells, lit, columns);
    outline(cells, thing?.kind === "entry" ? [] : band(thing, scene.matrix));
    cross(cells, thing, scene.matrix);
    follow(cells, light.wires[0], scene.matrix);
  });
  for (const button of zoom.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      level = Math.min(32, Math.max(1, level * Number(button.dataset.times)));
      draw();
      follow(cells, scene.places.lit(current()).wires[0], scene.matrix);
    });
  }
}

// The row of the output, or the column of the pixel, that is pointed at.
function band(thing, { rows, columns }) {
  if (thing?.kind === "output")
    return [{ panel: 0, top: thing.at, left: 0, height: 1, width: columns }];
  if (thing?.kind === "input")
    return [{ panel: 0, top: 0, left: thing.at, height: rows, width: 1 }];
  return [];
}

// Where an entry is: its row and its column, also of a zero, which nothing else shows.
function cross({ panels }, thing, { rows, columns }) {
  const { over } = panels[0];
  over.querySelectorAll(".cross").forEach((line) => line.remove());
  const add = (top, left, height, width) =>
    over.prepend(shape(over, "rect", { class: "cross", x: left, y: top, height, width }));
  if (thing?.kind === "entry") {
    add(thing.row, 0, 1, columns);
    add(0, thing.column, rows, 1);
  }
  for (const text of over.querySelectorAll(".axis")) {
    const at = Number(text.dataset.at);
    const row = text.dataset.of === "row";
    const here =
      thing?.kind === "entry"
        ? at === (row ? thing.row : thing.column)
        : at === thing?.at && thing.kind === (row ? "output" : "input");
    text.classList.toggle("here", here);
  }
}

// Numbers on lit entries keep their ink; on dimmed ones the page's ink is read better.
function brighten({ panels }, lit, columns) {
  for (const text of panels[0].over.querySelectorAll("text.entry")) {
    const at = Number(text.dataset.row) * columns + Number(text.dataset.column);
    text.classList.toggle("lit", lit.has(at));
  }
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

// A pixel an entry; of a large matrix one for several, in the colour of an entry among them if there
// is any: shrunk by the browser, thin diagonals would break into dashes.
function paint(context, scene) {
  const { width, height } = context.canvas;
  const pooled = Math.ceil(Math.max(scene.matrix.rows, scene.matrix.columns) / PAINTED);
  const pixels = context.createImageData(width, height);
  const colors = scene.kernel.colors.map(bytesOf);
  for (const { row, column, taps } of entries(scene)) {
    const color = taps.length > 1 ? SEVERAL : colors[taps[0]];
    pixels.data.set(
      [...color, 255],
      4 * (Math.floor(row / pooled) * width + Math.floor(column / pooled)),
    );
  }
  context.putImageData(pixels, 0, 0);
}

// Each stored number on its colour, while they can be read; a mark where several weights meet.
function write(map, scene) {
  const { over } = map.panels[0];
  over.querySelectorAll("text").forEach((text) => text.remove());
  if (map.side < READABLE || scene.matrix.stored > WRITTEN) return;
  const inks = scene.kernel.colors.map(inkOn);
  for (const { row, column, taps } of entries(scene)) {
    const text = shape(over, "text", {
      class: "entry",
      x: column + 0.5,
      y: row + 0.5,
      "data-row": row,
      "data-column": column,
      style: `--own-ink: ${taps.length > 1 ? "#ffffff" : inks[taps[0]]}`,
    });
    text.textContent = taps.length > 1 ? "+" : figure(scene.kernel.values[taps[0]]);
  }
}

// The numbers of outputs and pixels along the edges, from 1, as many as can be read.
function number(map, { matrix: { rows, columns } }) {
  const { over } = map.panels[0];
  const put = (of, at, x, y) => {
    const text = shape(over, "text", { class: `axis ${of}`, x, y, "data-of": of, "data-at": at });
    text.style.fontSize = `${AXIS / map.side}px`;
    text.textContent = String(at + 1);
  };
  const each = (room) => Math.max(1, Math.ceil(room / map.side)); // pixels that a number needs
  const gap = Math.min(0.6, 4 / map.side);
  for (let at = 0; at < rows; at += each(AXIS)) put("row", at, -gap, at + 0.5);
  for (let at = 0; at < columns; at += each(1.6 * AXIS)) put("column", at, at + 0.5, -gap - AXIS / map.side / 2);
}

// Where padding repeats pixels, one entry holds the sum of several weights.
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
