// The wiring: every pixel and every output a neuron, every read a wire in its tap's colour.

import { figure, say } from "../words.js";
import { current, pin, point, whenPoint, whenScene } from "../store.js";
import { child, shape } from "../elements.js";

const MOST_WIRES = 2500; // beyond that, only the lit ones are drawn
const MOST_LIT = 600; // beyond that, lit wires are drawn together, one path a colour
const MOST_DOTS = 700; // beyond that, a row of neurons is a bar

export function startWiring(host) {
  let scene = null;
  let rows = null;
  const draw = () => {
    if (!scene || !host.clientWidth) return;
    const old = host.querySelector("svg");
    old?.remove();
    const svg = shape(host, "svg", {
      class: "wires",
      role: "img",
      "aria-label": say("wiring.label"),
    });
    const width = host.clientWidth;
    const wide = matchMedia("(min-width: 1100px)").matches;
    const height = Math.max(150, wide ? host.clientHeight : 260);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    rows = {
      svg,
      pixels: neurons(scene.input.values.length, width, 34),
      outputs: neurons(scene.output.values.length, width, height - 34),
      base: shape(svg, "g", { class: "all" }),
      lit: shape(svg, "g", { class: "lit" }),
    };
    if (scene.matrix.stored <= MOST_WIRES) together(rows.base, rows, scene, scene.places.reads());
    layer(rows, rows.pixels, "input", scene.input.values, -1);
    layer(rows, rows.outputs, "output", scene.output.values, 1);
    tooMany(host, scene);
  };
  whenScene((shown) => {
    scene = shown.scene;
    draw();
  });
  whenPoint(({ light, thing }) => {
    if (rows && host.clientWidth) litWires(rows, scene, light, thing);
  });
  new ResizeObserver(() => {
    draw();
    if (rows) litWires(rows, scene, scene.places.lit(current()), current());
  }).observe(host);
  host.addEventListener("pointerover", (event) => point(neuron(event)));
  host.addEventListener("pointerleave", () => point(null));
  host.addEventListener("click", (event) => {
    const thing = neuron(event);
    if (thing) pin(thing);
  });
}

function neuron({ target }) {
  const { kind, at } = target.dataset;
  return kind ? { kind, at: Number(at) } : null;
}

function neurons(count, width, y) {
  const margin = 12;
  const step = (width - 2 * margin) / count;
  const radius = Math.max(1.2, Math.min(11, step * 0.42));
  return { count, y, step, radius, x: (at) => margin + (at + 0.5) * step };
}

function curve({ pixels, outputs }, output, pixel) {
  const [x, y] = [pixels.x(pixel), pixels.y + pixels.radius];
  const [toX, toY] = [outputs.x(output), outputs.y - outputs.radius];
  const middle = (y + toY) / 2;
  return `M${x.toFixed(1)} ${y}C${x.toFixed(1)} ${middle} ${toX.toFixed(1)} ${middle} ${toX.toFixed(1)} ${toY}`;
}

function together(group, rows, { kernel }, wires) {
  const lines = new Map();
  for (const [output, pixel, tap] of wires) {
    const color = kernel.colors[tap];
    lines.set(color, (lines.get(color) ?? "") + curve(rows, output, pixel));
  }
  for (const [color, d] of lines) shape(group, "path", { d, stroke: color });
}

// A row of neurons, their values inside where they fit, their numbers beside them (from 1).
function layer({ svg }, row, kind, values, side) {
  const group = shape(svg, "g", {});
  if (row.count > MOST_DOTS) {
    shape(group, "rect", {
      x: 12,
      y: row.y - 3,
      width: row.step * row.count,
      height: 6,
      rx: 3,
      class: "bar",
    });
    return;
  }
  for (let at = 0; at < row.count; at++) {
    const text = figure(values[at]);
    // A pill where a circle is too narrow for the number; nothing where the next one is in its way.
    const half = Math.max(row.radius, 3.8 * text.length + 1);
    const fits = 2 * half <= row.step - 1 || half === row.radius;
    const across = fits ? half : row.radius;
    shape(group, "rect", {
      x: row.x(at) - across,
      y: row.y - row.radius,
      width: 2 * across,
      height: 2 * row.radius,
      rx: row.radius,
      class: "neuron",
      "data-kind": kind,
      "data-at": at,
    });
    if (row.radius >= 8 && fits) label(group, row.x(at), row.y, text, "value");
    if (row.step >= 14)
      label(group, row.x(at), row.y + side * (row.radius + 9), String(at + 1), "number");
  }
}

function label(group, x, y, text, name) {
  shape(group, "text", { x, y, class: name }).textContent = text;
}

function litWires(rows, scene, light, thing) {
  const { svg, lit, pixels, outputs } = rows;
  lit.replaceChildren();
  svg.classList.toggle("some", Boolean(thing));
  if (thing?.kind === "output" && pixels.count <= MOST_DOTS) {
    // The wires that a fully connected neuron has and this one has not.
    for (let pixel = 0; pixel < pixels.count; pixel++) {
      if (!light.input.has(pixel))
        shape(lit, "path", { d: curve(rows, thing.at, pixel), class: "zero" });
    }
  }
  const many = light.wires.length > MOST_LIT;
  if (many) together(lit, rows, scene, light.wires);
  const spread = light.wires.length <= 40 && pixels.step >= 14 && thing?.kind === "output";
  for (const [output, pixel, tap] of many ? [] : light.wires) {
    const color = scene.kernel.colors[tap];
    const path = shape(lit, "path", {
      d: curve(rows, output, pixel),
      stroke: color,
      "data-wire": `${output},${pixel}`,
    });
    if (!spread) continue;
    const spot = path.getPointAtLength(26);
    label(lit, spot.x, spot.y, figure(scene.kernel.values[tap]), "weight");
  }
  for (const circle of svg.querySelectorAll(".neuron")) {
    const map = circle.dataset.kind === "input" ? light.input : light.output;
    circle.classList.toggle("lit", map.has(Number(circle.dataset.at)));
  }
  rows.lit.style.setProperty("--wire", many ? "0.4px" : outputs.count > 100 ? "1.2px" : "2.2px");
}

// Say so where wires are left out.
function tooMany(host, { matrix }) {
  const note = host.querySelector(".note") ?? child(host, "p", "note");
  note.textContent = matrix.stored > MOST_WIRES ? say("wiring.many", { n: matrix.stored }) : "";
}
