// A small convolution, for a page without an engine: one channel, padded with zeros. It finds which
// pixel each output meets with which weight, counts, and adds up; the tests compare every geometry
// that the page reaches with the engine's own.

import { weightColors } from "./colors.js";
import { SCALE } from "./decimals.js";

// How far the sliders go: [least, most].
const REACH = { kernel: [1, 6], stride: [1, 4], padding: [0, 3], dilation: [1, 3] };
const BYTES = 4; // of a float32, and of an index

// Pixels, by output and tap along one dimension; -1 on padding.
function table(size, { kernel, stride, padding, dilation }) {
  const outputs = Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
  return Array.from({ length: Math.max(0, outputs) }, (_, output) =>
    Array.from({ length: kernel }, (_, tap) => {
      const pixel = output * stride - padding + tap * dilation;
      return pixel >= 0 && pixel < size ? pixel : -1;
    }),
  );
}

// Everything of a scene that does not depend on its values; null where there is no output.
// geometry: size, kernel, stride, padding, dilation, each [height, width].
export function convolution(geometry) {
  const along = [0, 1].map((axis) => {
    const numbers = Object.fromEntries(
      Object.entries(geometry).map(([name, pair]) => [name, pair[axis]]),
    );
    return table(numbers.size, numbers);
  });
  const [high, wide] = along;
  if (!high.length || !wide.length) return null;
  const [rows, columns] = geometry.kernel;
  const reads = { taps: rows * columns, starts: [0], pixel: [], tap: [], window: [] };
  const [top, left] = geometry.padding;
  high.forEach((down, y) => {
    wide.forEach((across, x) => {
      for (let tap = 0; tap < reads.taps; tap++) {
        const [row, column] = [down[Math.floor(tap / columns)], across[tap % columns]];
        if (row < 0 || column < 0) continue;
        reads.pixel.push(row * geometry.size[1] + column);
        reads.tap.push(tap);
      }
      reads.starts.push(reads.pixel.length);
      const [first, second] = [y * geometry.stride[0] - top, x * geometry.stride[1] - left];
      const extent = [0, 1].map((a) => geometry.dilation[a] * (geometry.kernel[a] - 1) + 1);
      reads.window.push([first, second, first + extent[0], second + extent[1]]);
    });
  });
  const pixels = geometry.size[0] * geometry.size[1];
  const outputs = high.length * wide.length;
  const stored = reads.pixel.length;
  const wires = reads.starts.slice(1).map((stop, at) => stop - reads.starts[at]);
  const parameters = {
    conv: reads.taps,
    local: outputs * reads.taps,
    linear: outputs * pixels,
    matrix: stored,
  };
  return {
    input: { shape: [1, ...geometry.size] },
    kernel: { shape: [1, 1, rows, columns], colors: weightColors(reads.taps) },
    output: { shape: [1, high.length, wide.length] },
    reads,
    channels: { weight: [[0]] },
    matrix: { rows: outputs, columns: pixels, stored, drawn: true, image: null },
    counts: {
      parameters,
      multiply_adds: { conv: stored, local: stored, linear: outputs * pixels, matrix: stored },
      bytes: {
        conv: BYTES * parameters.conv,
        local: BYTES * parameters.local,
        linear: BYTES * parameters.linear,
        matrix: BYTES * (2 * stored + outputs + 1), // values, columns, and where rows begin
      },
      wires: { least: Math.min(...wires), most: Math.max(...wires) },
    },
  };
}

// The sliders' ends, all others being where they are, as the engine has them within REACH.
export function reach(geometry) {
  const fits = (name, number) =>
    [0, 1].every((axis) => {
      const at = (field) => (field === name ? number : geometry[field][axis]);
      return at("dilation") * (at("kernel") - 1) + 1 <= at("size") + 2 * at("padding");
    });
  const limits = {};
  for (const [name, [least, most]] of Object.entries(REACH)) {
    let [low, high] = [geometry[name][0], geometry[name][0]];
    while (low > least && fits(name, low - 1)) low--;
    while (high < most && fits(name, high + 1)) high++;
    limits[name] = [low, high];
  }
  return limits;
}

// The outputs of thousandths, in millionths: sums of products over what is read. Any channels.
export function outputsOf({ reads, channels, output }, image, weights) {
  const positions = output.shape[1] * output.shape[2];
  const pixels = image.length / channels.weight[0].length;
  return channels.weight.flatMap((row) =>
    Array.from({ length: positions }, (_, position) => {
      let total = 0;
      for (let at = reads.starts[position]; at < reads.starts[position + 1]; at++) {
        row.forEach((slice, input) => {
          if (slice < 0) return;
          total += image[input * pixels + reads.pixel[at]] * weights[slice * reads.taps + reads.tap[at]];
        });
      }
      return total + 0; // no -0
    }),
  );
}

// The row of the matrix that belongs to an output, in thousandths.
export function rowOf({ reads, channels, output }, row, pixels, weights) {
  const positions = output.shape[1] * output.shape[2];
  const each = pixels / channels.weight[0].length;
  const [channel, position] = [Math.floor(row / positions), row % positions];
  const base = new Array(pixels).fill(0);
  for (let at = reads.starts[position]; at < reads.starts[position + 1]; at++) {
    channels.weight[channel].forEach((slice, input) => {
      if (slice >= 0)
        base[input * each + reads.pixel[at]] += weights[slice * reads.taps + reads.tap[at]];
    });
  }
  return base;
}

// Numbers of so many parts to the unit.
export function plain(numbers, scale = SCALE) {
  return numbers.map((number) => number / scale + 0);
}
