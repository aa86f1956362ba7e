// A dial from convolution over locally connected to fully connected: weights come apart, zeros fill,
// and one step of training makes what was equal differ.

import { inkOn } from "../colors.js";
import { figure, percent, say } from "../words.js";
import { child } from "../elements.js";
import { whenScene } from "../store.js";
import { trained } from "../training.js";

const TURNS = ["conv", "local", "linear"];
const MOST_ENTRIES = 2500; // entries of a matrix that are drawn here
const LEGIBLE = 17; // pixels of a cell that a number fits into

export function startDial(host) {
  const find = (selector) => host.querySelector(selector);
  const slider = find("#dial");
  const board = child(find(".box .space"), "div", "dial-board", { role: "img" });
  let scene = null;
  let steps = null;
  let stepped = false;
  let cells = [];

  const turn = (position) => {
    slider.value = position;
    show();
  };
  slider.addEventListener("input", () => show());
  find(".train").addEventListener("click", () => {
    stepped = !stepped;
    show();
  });
  whenScene((now) => {
    scene = now.scene;
    const { rows, columns } = scene.matrix;
    const large = rows * columns > MOST_ENTRIES;
    steps = large ? null : trained(scene);
    stepped = false;
    host.classList.toggle("large", !steps);
    find(".missing").hidden = Boolean(steps);
    find(".missing").textContent = say(large ? "dial.large" : "dial.several");
    board.replaceChildren();
    cells = steps ? steps.taps.map(() => child(board, "i")) : [];
    board.style.setProperty("--columns", columns);
    fit();
    show();
  });
  const fit = () => {
    const { clientWidth: width, clientHeight: height } = board.parentElement;
    if (!scene || !width) return;
    const { rows, columns } = scene.matrix;
    const high = matchMedia("(min-width: 1100px)").matches ? height : Infinity;
    const side = Math.max(4, Math.min(26, Math.floor(width / columns), Math.floor(high / rows)));
    board.style.setProperty("--side", `${side}px`);
    board.classList.toggle("wordless", side < LEGIBLE);
  };
  new ResizeObserver(fit).observe(board.parentElement);

  const show = () => {
    if (!steps) return;
    const form = TURNS[slider.value];
    const { before, after, fractions } = steps[form];
    const values = stepped ? after : before;
    const owners = ownersOf(form, steps.taps, scene);
    cells.forEach((cell, at) => colorCell(cell, values[at], owners[at], at, scene.matrix.columns));
    const n = scene.counts.parameters[form];
    const count = say("dial.count", { form: say(`form.${form}`), n });
    find(".count").textContent = count;
    find(".now").textContent = say(`dial.${form}_help`, { n });
    slider.setAttribute("aria-valuetext", count);
    find(".train").textContent = say(stepped ? "dial.undo" : "dial.step");
    find(".stepped").textContent = stepped ? told(fractions, values, steps, form, scene) : "";
    board.setAttribute("aria-label", count);
    board.dataset.form = form;
  };
  return (step) => {
    if (!scene) return;
    stepped = step === "step";
    turn(step === "local" ? 1 : step === "step" ? 2 : 0);
  };
}

// Which weight each entry is: the kernel's, one of its own on the kernel, one of its own anywhere;
// -1 where it is none.
function ownersOf(form, taps, { kernel }) {
  let next = 0;
  return taps.map((tap) => {
    if (form === "conv") return tap < 0 ? null : kernel.colors[tap];
    if (form === "local" && tap < 0) return null;
    return own(next++);
  });
}

// A colour for each of many weights, neighbours far apart: hues by the golden angle.
function own(number) {
  const hue = ((number * 137.508) % 360).toFixed(1);
  return `hsl(${hue} ${35 + ((number * 29) % 30)}% ${64 + ((number * 17) % 22)}%)`;
}

function colorCell(cell, value, color, at, columns) {
  cell.style.setProperty("--late", `${Math.floor(at / columns) * 18}ms`);
  cell.style.background = color ?? "";
  cell.classList.toggle("weight", Boolean(color));
  cell.style.color = color ? (color.startsWith("#") ? inkOn(color) : "#000000") : "";
  cell.textContent = color ? short(value) : "";
}

// As short as can be: of what a cell has room for, the zero before the point says least.
function short(value) {
  const text = Number.isInteger(value) ? figure(value) : figure(Math.round(value * 10) / 10);
  return text.replace(/^(−?)0\./, "$1.");
}

// How the step splits, and what became of the copies of the kernel weight that parts most.
function told(fractions, values, { taps, rate }, form, { kernel }) {
  if (fractions.every((part) => part === 0)) return say("dial.still");
  const [shared, apart, off] = fractions.map(percent);
  const text = say("dial.stepped", { rate: String(rate), shared, apart, off });
  const copies = kernel.values.map((_, tap) => values.filter((_, at) => taps[at] === tap));
  const kinds = copies.map((all) => new Set(all).size);
  const most = kinds.indexOf(Math.max(...kinds));
  const words = { number: most + 1, uses: copies[most].length, different: kinds[most] };
  return `${text} ${say(kinds[most] > 1 ? "dial.different" : "dial.same", words)}`;
}
