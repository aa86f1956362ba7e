// Straighten: the rows of the image slide into one column of numbered neurons, wires lead from it to
// an output, and the matrix is printed row after row. The article's own picture, moving.

import { inkOn } from "../colors.js";
import { figure, say } from "../words.js";
import { child, shape } from "../elements.js";
import { current, point, shown, whenPoint, whenScene } from "../store.js";

const STAGES = ["image", "column", "wires", "rows"];
const LONGEST = 64; // pixels of a column that is drawn: the article's 36 fill a panel, 64 two
const SIDE = 24; // of a pixel in the image
const HIGH = 11; // of a neuron in the column
const WIDE = 30;
const TOP = 16;
const COLUMN = 230; // where the column stands
const OUTPUT = 430; // and the output neuron
const ROWS = 470; // and the matrix

export function startStraighten(host) {
  const drawing = host.querySelector(".drawing");
  const said = host.querySelector(".said");
  const stages = host.querySelector(".stages");
  let stage = "wires";
  let scene = null;
  let drawn = null;
  for (const name of STAGES) {
    const label = child(stages, "label");
    const radio = child(label, "input", "", { type: "radio", name: "stage", value: name });
    label.append(" ", child(label, "span"));
    radio.addEventListener("change", () => go(name));
  }
  const go = (name) => {
    stage = name;
    drawing.dataset.stage = stage;
    for (const radio of stages.querySelectorAll("input")) radio.checked = radio.value === stage;
  };
  const draw = () => {
    const pixels = scene.input.values.length;
    const large = pixels > LONGEST;
    stages.hidden = large;
    drawing.hidden = large;
    drawn = null;
    said.textContent = large ? say("straighten.large", { n: pixels }) : "";
    if (!large) drawn = column(drawing, scene);
  };
  whenScene((now) => {
    scene = now.scene;
    for (const span of stages.querySelectorAll("span"))
      span.textContent = say(`straighten.${span.parentElement.querySelector("input").value}`);
    draw();
  });
  whenPoint(() => {
    if (drawn) said.textContent = wire(drawn, scene, outputOf(current()), shown.playing);
  });
  drawing.addEventListener("pointerover", ({ target }) => {
    const row = target.closest?.("[data-row]");
    if (row) point({ kind: "output", at: Number(row.dataset.row) });
  });
  drawing.addEventListener("pointerleave", () => point(null));
  go(stage);
  return go;
}

// The output that is pointed at, else the first.
function outputOf(thing) {
  if (thing?.kind === "output") return thing.at;
  return thing?.kind === "entry" ? thing.row : 0;
}

function column(host, scene) {
  const [channels, rows, columns] = scene.input.shape;
  const count = channels * rows * columns;
  const height = TOP + Math.max(count * HIGH, channels * (rows * SIDE + 8)) + 6;
  host.replaceChildren();
  const svg = shape(host, "svg", {
    viewBox: `0 0 600 ${height}`,
    role: "img",
    "aria-label": say("straighten.label", { n: count, output: 1 }),
  });
  const wires = shape(svg, "g", { class: "column-wires" });
  const home = shape(svg, "g", { class: "home", "aria-hidden": "true" }); // where the image was
  const neurons = scene.input.values.map((value, at) => {
    const [channel, row, place] = [
      Math.floor(at / (rows * columns)),
      Math.floor(at / columns) % rows,
      at % columns,
    ];
    const start = [4 + place * SIDE, TOP + channel * (rows * SIDE + 8) + row * SIDE];
    shape(home, "rect", { x: start[0], y: start[1], width: WIDE - 7, height: SIDE - 2, rx: 2 });
    const there = [COLUMN, TOP + at * HIGH];
    const group = shape(svg, "g", { class: "pixel" });
    group.style.setProperty("--home", `translate(${start[0]}px, ${start[1]}px)`);
    group.style.setProperty("--there", `translate(${there[0]}px, ${there[1]}px)`);
    group.style.setProperty("--late", `${row * 110}ms`);
    shape(group, "rect", { width: WIDE - 7, height: HIGH - 1, rx: 2 });
    shape(group, "text", { class: "value", x: (WIDE - 7) / 2, y: HIGH / 2 }).textContent =
      figure(value);
    shape(group, "text", { class: "number", x: -4, y: HIGH / 2 }).textContent = String(at + 1);
    return group;
  });
  const middle = Math.min(height / 2, TOP + (count * HIGH) / 2);
  const neuron = shape(svg, "g", { class: "output" });
  shape(neuron, "circle", { cx: OUTPUT, cy: middle, r: 17 });
  const value = shape(neuron, "text", { class: "value", x: OUTPUT, y: middle });
  const label = shape(neuron, "text", { class: "number", x: OUTPUT, y: middle + 28 });
  const printed = shape(svg, "g", { class: "printed" });
  return { svg, wires, neurons, value, label, printed, middle, lines: print(printed, scene) };
}

// The matrix, a line a row, each entry as wide as there is room for.
function print(group, scene) {
  const { rows, columns } = scene.matrix;
  const wide = Math.min(8, 126 / columns);
  const high = Math.min(11, 400 / rows);
  const lines = Array.from({ length: rows }, (_, row) => {
    const line = shape(group, "g", { class: "line", "data-row": row });
    shape(line, "rect", {
      x: ROWS,
      y: TOP + row * high,
      width: columns * wide,
      height: high - 1,
      class: "zeros",
    });
    return line;
  });
  for (const [row, column, tap] of scene.places.reads()) {
    shape(lines[row], "rect", {
      x: ROWS + column * wide,
      y: TOP + row * high,
      width: wide,
      height: high - 1,
      fill: scene.kernel.colors[tap],
    });
  }
  return lines;
}

// The wires of one output: in colour where the kernel is, grey where only an FC layer has one.
function wire(drawn, scene, output, playing) {
  const { wires, neurons, value, label, middle, lines, svg } = drawn;
  const met = new Map();
  for (const [, pixel, tap] of scene.places.reads({ output })) met.set(pixel, tap);
  wires.replaceChildren();
  neurons.forEach((group, pixel) => {
    const tap = met.get(pixel);
    const y = TOP + pixel * HIGH + HIGH / 2;
    const from = COLUMN + WIDE - 6;
    const d = `M${from} ${y}C${from + 70} ${y} ${OUTPUT - 90} ${middle} ${OUTPUT - 17} ${middle}`;
    if (tap === undefined) shape(wires, "path", { d, class: "zero" });
    else shape(wires, "path", { d, stroke: scene.kernel.colors[tap] });
    group.classList.toggle("met", tap !== undefined);
    const color = tap === undefined ? null : scene.kernel.colors[tap];
    group.style.setProperty("--own", color ?? "");
    group.style.setProperty("--own-ink", color ? inkOn(color) : "");
  });
  value.textContent = figure(scene.output.values[output]);
  label.textContent = String(output + 1);
  lines.forEach((line, row) => {
    line.classList.toggle("here", row === output);
    line.classList.toggle("later", playing && row > output);
  });
  const words = { r: output + 1, output: scene.places.said("output", output) };
  svg.setAttribute("aria-label", say("straighten.label", { n: neurons.length, output: words.output }));
  const rest = neurons.length - met.size;
  return say("straighten.row", {
    ...words,
    value: figure(scene.output.values[output]),
    wires: met.size,
    rest,
  });
}
