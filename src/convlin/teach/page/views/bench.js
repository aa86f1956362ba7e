// The open question as a bench: one fully connected neuron whose weights can be dragged, its output
// live, a second image that tells, and what is free after each further image.

import { figure, say } from "../words.js";
import { child } from "../elements.js";
import { freedomByImages, freedomByWindows, imagesThatCount } from "../freedom.js";
import { whenScene } from "../store.js";
import { channelNames } from "./input.js";
import { Cells } from "./cells.js";
import { tints } from "./shade.js";

const MOST = 400; // weights that are set by hand
const TERMS = 14; // of an equation that is written out
const NOTCH = 12; // pixels of dragging that change a weight by one
const OTHERS = [5, -2, 4, 7, -3, 6, -4]; // on dark pixels, by turns: none beside its like

export function startBench(host) {
  const find = (selector) => host.querySelector(selector);
  const state = { weights: [], base: [], key: "", images: 0, windows: 1, shared: false };
  let scene = null;
  const cells = new Cells(find(".box .space"), {
    pointed: () => {},
    typed: (at, event) => typed(at, event),
  });
  drag(cells, (at, by) => set(at, valueAt(at) + by));

  const valueAt = (at) => (state.shared ? state.kernel[at] : state.weights[at]);
  const set = (at, value) => {
    const bounded = Math.min(99, Math.max(-99, value));
    (state.shared ? state.kernel : state.weights)[at] = bounded;
    show();
  };
  const typed = (at, { key, shiftKey, ctrlKey, metaKey }) => {
    if (ctrlKey || metaKey) return false;
    if (/^[0-9]$/.test(key)) set(at, Number(key) * (valueAt(at) < 0 ? -1 : 1));
    else if (key === "-") set(at, -valueAt(at));
    else if (shiftKey && key === "ArrowUp") set(at, valueAt(at) + 1);
    else if (shiftKey && key === "ArrowDown") set(at, valueAt(at) - 1);
    else return false;
    return true;
  };

  const begin = () => {
    state.base = scene.neuron.base;
    state.weights = [...scene.neuron.weights];
    state.kernel = [...scene.kernel.values];
    state.images = 0;
    state.windows = 1;
  };
  whenScene((now) => {
    scene = { ...now.scene, neuron: neuronOf(now.scene, scene) };
    // Other pixels leave the weights as they are, and show what becomes of their output.
    const { row, base } = scene.neuron;
    const kept = [scene.kernel.values, row, base, scene.state.along, scene.input.shape];
    const key = JSON.stringify(kept);
    if (key !== state.key) begin();
    state.key = key;
    show();
  });
  const doing = {
    other: () => (state.weights = others(scene, state.base)),
    reset: begin,
    more: () => (state.shared ? state.windows++ : state.images++),
    less: () => (state.shared ? state.windows-- : state.images--),
    all: () => {
      if (state.shared) state.windows = scene.output.values.length;
      else state.images = imagesThatCount(scene.input.values).length;
    },
  };
  host.addEventListener("click", ({ target }) => {
    const button = target.closest("button[data-do]");
    if (!button) return;
    doing[button.dataset.do]();
    show();
  });
  find(".shared").addEventListener("change", ({ target }) => {
    state.shared = target.checked;
    show();
  });

  const show = () => {
    const pixels = scene.input.values;
    const large = pixels.length > MOST;
    host.classList.toggle("large", large);
    find(".missing").hidden = !large;
    if (large) return;
    const free = freedomByWindows(scene);
    if (!free) state.shared = false;
    find(".shared").checked = state.shared;
    find(".shared").disabled = !free;
    find(".tick span").textContent = say("bench.shared", { n: scene.kernel.values.length });
    const row = scene.neuron.row;
    const target = scene.output.values[row];
    find(".which").textContent = say("bench.which", {
      place: scene.places.said("output", row),
      value: figure(target),
    });
    const equation = state.shared ? sharedEquation(scene, state, row) : ownEquation(scene, state);
    find(".equation").textContent = `${equation.names} = ${figure(target)}`;
    const holds = Math.abs(equation.value - target) < 1e-9;
    const sum = find(".sum");
    sum.textContent = say(holds ? "bench.holds" : "bench.fails", {
      sum: equation.numbers,
      value: figure(equation.value),
      expected: figure(target),
    });
    sum.classList.toggle("holds", holds);
    find('[data-do="other"]').hidden = state.shared;
    second(find(".second"), scene, state);
    freedom(host, scene, state, free);
    grid(cells, scene, state);
  };

  return (step) => {
    if (!scene) return;
    begin();
    state.shared = step === "shared";
    if (step === "other" || step === "second") state.weights = others(scene, state.base);
    if (step === "second") state.images = 1;
    show();
  };
}

// The neuron of the output that is pinned. Where something else is, as when a pixel is edited, it
// stays the one it was, as long as there is such an output.
function neuronOf({ neuron, state, places, kernel, input, output }, before) {
  const row = before?.neuron.row;
  if (/^(output|entry)/.test(state.at ?? "") || row === undefined || row === neuron.row) return neuron;
  if (row >= output.values.length) return neuron;
  const base = new Array(input.values.length).fill(0);
  for (const [, pixel, tap] of places.reads({ output: row })) base[pixel] += kernel.values[tap];
  return { row, base, weights: base };
}

// w1 + w8 + w15 and the numbers that stand there now: of lit pixels, those of the kernel and others
// that are no longer zero.
function ownEquation({ input, places, neuron }, { weights, base }) {
  const met = new Set([...places.reads({ output: neuron.row })].map(([, pixel]) => pixel));
  const terms = [...input.values.keys()].filter(
    (at) => input.values[at] !== 0 && (met.has(at) || weights[at] !== 0 || base[at] !== 0),
  );
  return spelled(
    terms.map((at) => [`w${at + 1}`, input.values[at], weights[at]]),
    terms.reduce((sum, at) => sum + input.values[at] * weights[at], 0),
  );
}

function sharedEquation({ input, places }, { kernel }, row) {
  const terms = [...places.reads({ output: row })].filter(([, pixel]) => input.values[pixel] !== 0);
  return spelled(
    terms.map(([, pixel, tap]) => [`k${tap + 1}`, input.values[pixel], kernel[tap]]),
    terms.reduce((sum, [, pixel, tap]) => sum + input.values[pixel] * kernel[tap], 0),
  );
}

// [name, factor, weight] of each term, as a sum of names and a sum of numbers.
function spelled(terms, value) {
  const some = terms.slice(0, TERMS);
  const more = terms.length > TERMS ? " + …" : "";
  const bracket = (number) => (number < 0 ? `(${figure(number)})` : figure(number));
  const times = (factor, what) => (factor === 1 ? what : `${bracket(factor)}·${what}`);
  const join = (parts) => (parts.length ? parts.join(" + ") + more : "0");
  return {
    names: join(some.map(([name, factor]) => times(factor, name))),
    numbers: join(some.map(([, factor, weight]) => times(factor, bracket(weight)))),
    value,
  };
}

// Other weights for the same output, in whole numbers: all of it on one lit pixel of the window, or
// where it is no multiple of one, the kernel's on all lit ones; and anything on dark ones.
function others({ input, output, neuron, places }, base) {
  const value = output.values[neuron.row];
  const share = (pixel) => value / input.values[pixel];
  const whole = (number) => Math.abs(number - Math.round(number)) < 1e-9;
  const met = [...places.reads({ output: neuron.row })].map(([, pixel]) => pixel);
  const lit = met.find((pixel) => input.values[pixel] !== 0 && whole(share(pixel)));
  let turn = 0;
  return base.map((weight, at) => {
    if (at === lit) return Math.round(share(lit));
    if (input.values[at] !== 0) return lit === undefined ? weight : 0;
    const other = OTHERS[turn++ % OTHERS.length];
    return other === weight ? other + 1 : other;
  });
}

// A second image, with one pixel lit: it reads out one weight, the one that differs most.
function second(host, { input, neuron, places }, { weights, base, shared }) {
  host.hidden = shared;
  if (shared) return;
  let pixel = 0;
  weights.forEach((weight, at) => {
    const apart = Math.abs(weight - base[at]);
    if (apart > Math.abs(weights[pixel] - base[pixel])) pixel = at;
  });
  if (weights[pixel] === base[pixel])
    pixel = [...places.reads({ output: neuron.row })][1]?.[1] ?? pixel;
  const [, rows, columns] = input.shape;
  const small = host.querySelector(".small");
  small.style.setProperty("--columns", columns);
  small.replaceChildren();
  if (rows * columns <= MOST)
    for (let at = 0; at < rows * columns; at++)
      child(small, "i", at === pixel % (rows * columns) ? "on" : "");
  const [got, expected] = [weights[pixel], base[pixel]].map(figure);
  const holds = weights[pixel] === base[pixel];
  const text = host.querySelector("p");
  const key = holds ? "bench.second_holds" : "bench.second_fails";
  text.textContent = say(key, { number: pixel + 1, got, expected });
  host.classList.toggle("fails", !holds);
}

// How much is free, as a bar, and the buttons that take it away.
function freedom(host, { input, output, kernel }, state, free) {
  const find = (selector) => host.querySelector(selector);
  const most = state.shared ? output.values.length : imagesThatCount(input.values).length;
  const count = state.shared ? state.windows : state.images;
  const of = state.shared ? kernel.values.length : input.values.length;
  const left = state.shared ? free[count - 1] : freedomByImages(input.values, count);
  const rank = of - left;
  find(".known").textContent = state.shared
    ? say("bench.windows", { n: count, of: most, rank })
    : say("bench.images", { n: count + 1, rank });
  const text = say("bench.free", { n: left, of });
  const meter = find(".meter");
  meter.setAttribute("aria-label", text);
  meter.dataset.text = text;
  meter.querySelector("i").style.width = `${(100 * left) / of}%`;
  find('[data-do="more"]').textContent = say(state.shared ? "bench.window" : "bench.more");
  find('[data-do="more"]').disabled = count >= most;
  find('[data-do="less"]').textContent = say(state.shared ? "bench.window_less" : "bench.less");
  find('[data-do="less"]').disabled = count <= (state.shared ? 1 : 0);
  find('[data-do="all"]').disabled = count >= most;
}

function grid(cells, scene, state) {
  const { input, kernel, places, neuron } = scene;
  const tapOf = new Map();
  for (const [, pixel, tap] of places.reads({ output: neuron.row })) tapOf.set(pixel, tap);
  const known = new Set(imagesThatCount(input.values).slice(0, state.images));
  const values = state.shared ? state.kernel : state.weights;
  const [channels, rows, columns] = state.shared ? [1, ...kernel.shape.slice(2)] : input.shape;
  const color = (at) => (state.shared ? kernel.colors[at] : kernel.colors[tapOf.get(at)]);
  cells.draw({
    label: say("bench.grid"),
    rows,
    columns,
    panels: channelNames(channels),
    few: true,
    tallest: 260,
    text: (at) => figure(values[at]),
    describe: (at) =>
      say(state.shared ? "views.tap_cell" : "bench.cell", {
        number: at + 1,
        place: places.said(state.shared ? "tap" : "input", at),
        value: figure(values[at]),
        pixel: figure(input.values[at]),
      }),
    fill: (at) => (color(at) ? [color(at)] : []),
    shade: tints(values),
    changed: (at) => !state.shared && values[at] !== state.base[at],
    known: (at) => !state.shared && known.has(at),
  });
}

// Dragging up and down changes a weight, by one every few pixels.
function drag(cells, change) {
  const host = cells.host;
  let held = null;
  host.classList.add("draggable");
  host.addEventListener("pointerdown", (event) => {
    const at = cells.under(event);
    if (at === null) return;
    held = { at, y: event.clientY };
    host.setPointerCapture(event.pointerId);
    event.preventDefault();
    cells.go(at, true);
  });
  host.addEventListener("pointermove", (event) => {
    if (!held) return;
    const by = Math.trunc((held.y - event.clientY) / NOTCH);
    if (!by) return;
    held.y -= by * NOTCH;
    change(held.at, by);
  });
  const release = () => (held = null);
  host.addEventListener("pointerup", release);
  host.addEventListener("pointercancel", release);
}
